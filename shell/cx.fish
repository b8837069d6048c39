# cx in fish: `cx cd`, a prompt segment, completions.
#
#     cx init fish | source         # in ~/.config/fish/config.fish
#
# That prints this file and, below it, the completions.
#
# `cx_segment` prints what the jobs of this repository do: `cx:2+1!1` is two live
# ones, one that has succeeded and one that has failed, neither of them collected
# yet; in `cx:2~1` one of the two is on hold. It prints nothing where there is nothing to say. Call it where you like it:
#
#     function fish_right_prompt
#         cx_segment
#     end

# `cx cd JOB` changes to a writer's worktree; all else goes to the binary.
function cx --description 'Jobs for coding agents'
    if test "$argv[1]" = cd; and set -q argv[2]; and not contains -- "$argv[2]" -h --help
        set -l dir (command cx path $argv[2..]); and builtin cd -- $dir
    else
        command cx $argv
    end
end

# Sets __cx_state to the state folder of the repository around this folder, or
# to nothing. It goes up by `..`, where links in $PWD lead to the wrong place.
function __cx_find_state
    set -g __cx_pwd $PWD
    set -g __cx_state
    set -l dir .
    while test -e $dir
        set -l common
        if test -d $dir/.git/objects
            set common $dir/.git
        else if test -f $dir/.git
            # A linked worktree, or a submodule.
            read -l line <$dir/.git
            set line (string replace -r '^gitdir: ' '' -- $line)
            string match -q '/*' -- $line; or set line $dir/$line
            set common $line
            if test -f $line/commondir
                read common <$line/commondir
                string match -q '/*' -- $common; or set common $line/$common
            end
        else if test -f $dir/HEAD; and test -d $dir/objects; and test -d $dir/refs
            set common $dir
        end
        if test -n "$common"
            set -g __cx_state $common/cx
            return
        end
        test $dir -ef /; and return
        set dir $dir/..
    end
end

# cx keeps the text in a small file and is started only when the ledger is newer
# than that: a prompt after nothing has happened costs a few system calls and no
# process. Leaves $status as it was.
function cx_segment --description 'Print the live, succeeded and failed jobs of this repository'
    set -l before $status
    if test "$PWD" != "$__cx_pwd"; or not test -f "$__cx_state/ledger.jsonl"
        __cx_find_state
    end
    set -l ledger $__cx_state/ledger.jsonl
    set -l segment $__cx_state/segment
    if set -q __cx_state[1]; and test -f $ledger
        if test $ledger -nt $segment; and test "$PWD" != "$__cx_in_vain"
            # Where cx cannot write it is not asked again in this folder.
            command cx __segment $__cx_state 2>/dev/null; or set -g __cx_in_vain $PWD
        end
        set -l line
        test -f $segment; and read line <$segment
        # The file may have come with the repository: nothing odd reaches a prompt.
        string match -r '^cx:[0-9+!]+$' -- $line
    end
    return $before
end
