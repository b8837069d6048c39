# cx in bash: `cx cd`, a prompt segment, completions.
#
#     eval "$(cx init bash)"        # in ~/.bashrc
#
# That prints this file and, below it, the completions.
#
# Before each prompt $cx_segment says what the jobs of this repository do:
# `cx:2+1!1` is two live ones, one that has succeeded and one that has failed,
# neither of them collected yet; in `cx:2~1` one of the two is on hold. It is empty
# where there is nothing to say. Put it where you like it, in single quotes:
#
#     PS1='\w${cx_segment:+ $cx_segment} \$ '

# `cx cd JOB` changes to a writer's worktree; all else goes to the binary.
cx() {
  if [[ ${1-} == cd && ${2--h} != -h && $2 != --help ]]; then
    local dir
    dir=$(command cx path "${@:2}") && builtin cd -- "$dir"
  else
    command cx "$@"
  fi
}

# Sets __cx_state to the state folder of the repository around this folder, or
# to nothing. It goes up by `..`, where links in $PWD lead to the wrong place.
__cx_find_state() {
  local dir=. common line
  __cx_pwd=$PWD __cx_state=
  while [[ -e $dir ]]; do
    common=
    if [[ -d $dir/.git/objects ]]; then
      common=$dir/.git
    elif [[ -f $dir/.git ]]; then
      # A linked worktree, or a submodule.
      IFS= read -r line < "$dir/.git"
      line=${line#gitdir: }
      [[ $line == /* ]] || line=$dir/$line
      common=$line
      if [[ -f $line/commondir ]]; then
        IFS= read -r common < "$line/commondir"
        [[ $common == /* ]] || common=$line/$common
      fi
    elif [[ -f $dir/HEAD && -d $dir/objects && -d $dir/refs ]]; then
      common=$dir
    fi
    if [[ $common ]]; then
      __cx_state=$common/cx
      return
    fi
    [[ $dir -ef / ]] && return
    dir=$dir/..
  done
}

# Sets cx_segment. cx keeps the text in a small file and is started only when
# the ledger is newer than that: a prompt after nothing has happened costs a few
# system calls and no process. Leaves $? as it was.
__cx_set_segment() {
  local status=$? line=
  cx_segment=
  if [[ $PWD != "${__cx_pwd-}" || ! -f ${__cx_state-}/ledger.jsonl ]]; then
    __cx_find_state
  fi
  local ledger=$__cx_state/ledger.jsonl segment=$__cx_state/segment
  if [[ $__cx_state && -f $ledger ]]; then
    if [[ $ledger -nt $segment && $PWD != "${__cx_in_vain-}" ]]; then
      # Where cx cannot write it is not asked again in this folder.
      command cx __segment "$__cx_state" 2> /dev/null || __cx_in_vain=$PWD
    fi
    [[ -f $segment ]] && IFS= read -r line < "$segment"
    # The file may have come with the repository: nothing odd reaches a prompt.
    [[ $line == cx:* && $line != *[!cx:0-9+\!]* ]] && cx_segment=$line
  fi
  return "$status"
}

# First, so that whatever makes up a prompt there can use it.
if [[ ${PROMPT_COMMAND[*]-} != *__cx_set_segment* ]]; then
  PROMPT_COMMAND="__cx_set_segment${PROMPT_COMMAND:+; $PROMPT_COMMAND}"
fi
