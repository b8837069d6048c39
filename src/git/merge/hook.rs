//! The repository's own hooks, run as `git merge` runs them (`git hook run`):
//! found where `core.hooksPath` says, nothing on stdin, their output on stderr.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::Cleanup;
use crate::git::command::on_terminal;
use crate::git::{Git, GitError, Place, Repo};

/// The folder that holds the hooks of `repo`, absolute.
fn folder(repo: &Repo) -> Result<PathBuf, GitError> {
    let place = repo.place();
    let settings = repo.settings()?;
    if !settings.has("core.hookspath") {
        return Ok(place.common_dir.join("hooks"));
    }
    match settings.path("core.hookspath") {
        Some(set) if is_plain(&set) => Ok(place.folder().join(set)),
        _ => asked(place),
    }
}

/// Whether a path means what it says: git reads `~`, `%(prefix)` and `:(optional)`.
fn is_plain(path: &Path) -> bool {
    !matches!(path.as_os_str().as_bytes().first(), None | Some(b'~' | b'%' | b':'))
}

fn asked(place: &Place) -> Result<PathBuf, GitError> {
    let mut ask = on_terminal(place.folder());
    ask.args(["rev-parse", "--git-path", "hooks"]).stdin(Stdio::null());
    let output = ask.output().map_err(GitError::NotRun)?;
    let path = crate::git::command::path(output.stdout.strip_suffix(b"\n").unwrap_or_default());
    if !output.status.success() || path.as_os_str().is_empty() {
        return Err(GitError::Answer("git rev-parse --git-path hooks".to_owned()));
    }
    Ok(place.folder().join(path))
}

/// The hooks that there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Hooks {
    folder: PathBuf,
    names: Vec<&'static str>,
}

/// Where a hook runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage<'a> {
    /// Its working directory: the top of a checkout, or a bare repository.
    pub(super) cwd: &'a Path,
    /// Whose HEAD and index it sees; none for those of `cwd` itself.
    pub(super) git_dir: Option<&'a Path>,
    /// Whether an editor of the person's may be started.
    pub(super) interactive: bool,
}

impl Hooks {
    /// Those of `wanted` that git would run in `repo`.
    pub(super) fn find(repo: &Repo, wanted: &[&'static str]) -> Result<Self, GitError> {
        let folder = folder(repo)?;
        let runs = |name: &&&'static str| {
            fs::metadata(folder.join(name))
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        let names = wanted.iter().filter(runs).copied().collect();
        Ok(Self { folder, names })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// Runs hook `name`, if there is one. Whether it said yes.
    pub(super) fn run(
        &self,
        name: &str,
        args: &[&std::ffi::OsStr],
        stage: Stage<'_>,
    ) -> Result<bool, GitError> {
        if !self.has(name) {
            return Ok(true);
        }
        let mut hooks_path = std::ffi::OsString::from("core.hooksPath=");
        hooks_path.push(&self.folder);
        let mut command = on_terminal(stage.cwd);
        // Absolute, because the folder may be one that git does not track and
        // that the checkout in which the hook runs has not.
        command.arg("-c").arg(hooks_path);
        command.args(["hook", "run", "--ignore-missing", name, "--"]).args(args);
        if let Some(git_dir) = stage.git_dir {
            command.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", stage.cwd);
            command.env("GIT_INDEX_FILE", git_dir.join("index"));
        }
        if !stage.interactive {
            command.env("GIT_EDITOR", ":");
        }
        let status = command.stdin(Stdio::null()).status().map_err(GitError::NotRun)?;
        Ok(status.success())
    }
}

/// Runs the `post-merge` hook in the checkout that a landing has updated. It
/// cannot change the outcome; `squash` is what it is told. `repo` is the one of
/// any worktree.
pub fn post_merge(repo: &Repo, checkout: &Path, squash: bool) -> Result<(), GitError> {
    let place =
        Place::discover(checkout)?.ok_or_else(|| GitError::NotAWorktree(checkout.to_owned()))?;
    let hooks = Hooks::find(&repo.seen_from(&place), &["post-merge"])?;
    let stage = Stage { cwd: place.folder(), git_dir: None, interactive: true };
    let flag = if squash { "1" } else { "0" };
    hooks.run("post-merge", &[flag.as_ref()], stage).map(drop)
}

/// Opens the person's editor on `file`, as git does. An error says why not.
pub(super) fn edit(place: &Place, file: &Path) -> Result<Result<(), String>, GitError> {
    let mut ask = on_terminal(place.folder());
    ask.args(["var", "GIT_EDITOR"]).stdin(Stdio::null());
    let output = ask.output().map_err(GitError::NotRun)?;
    let editor = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    if !output.status.success() || editor.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Ok(Err(crate::git::command::telling_line(&said)));
    }
    if editor == ":" {
        return Ok(Ok(()));
    }
    // The shell reads the editor's words; the file is an argument of its own.
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(&editor).arg(file);
    let status = command.status().map_err(GitError::NotRun)?;
    Ok(if status.success() { Ok(()) } else { Err(format!("{editor} ended with {status}")) })
}

/// Where git cuts a message that a person has edited.
pub(super) const SCISSORS: &str = "------------------------ >8 ------------------------";

/// `text` as git keeps a message: no trailing blanks, no empty lines at its
/// ends, and no comments where a person has edited it, or what is configured.
pub(super) fn clean(
    git: Git,
    mut text: Vec<u8>,
    edited: bool,
    cleanup: Cleanup,
) -> Result<String, GitError> {
    if cleanup == Cleanup::Scissors && edited {
        let mut at = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            // A comment character stands before it.
            if line.trim_ascii_end().ends_with(SCISSORS.as_bytes()) {
                break;
            }
            at += line.len();
        }
        text.truncate(at);
    }
    let strips = match cleanup {
        Cleanup::Verbatim => return Ok(String::from_utf8_lossy(&text).into_owned()),
        Cleanup::Default => edited,
        Cleanup::Strip => true,
        Cleanup::Whitespace | Cleanup::Scissors => false,
    };
    let git = git.arg("stripspace");
    let git = if strips { git.arg("--strip-comments") } else { git };
    let output = git.stdin(text).run()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
