//! Changes brought into a checkout without a commit.
//!
//! `git apply` does it: it tries the whole patch on the files as they lie there
//! and writes only when all of it fits, so what does not fit leaves everything as
//! it was. Index and refs are not touched. A file that has other local changes
//! keeps them where the patch fits around them. What a crash leaves: git writes
//! one file after the other, so a `kill -9` while it writes leaves some of the
//! files changed; nothing else of the repository is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::command::{path as path_of, records};
use super::{Git, GitError, Oid, Place};

/// Why nothing was applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Git could not be asked, or said no.
    #[error(transparent)]
    Git(#[from] GitError),
    /// There are no files to bring the changes into.
    #[error("{} has no checkout to apply anything to", .0.display())]
    NoCheckout(PathBuf),
    /// A path that no file of a repository may have.
    #[error("the changes name the path '{}', which no file of a repository may have", .0.display())]
    BadPath(PathBuf),
    /// A submodule would have to move, which a patch cannot do.
    #[error("submodule {} was changed, which only a merge can bring over", .0.display())]
    Submodule(PathBuf),
    /// It does not fit onto what lies there.
    #[error("it does not fit onto the files in {}: {}", checkout.display(), shown(why))]
    InTheWay {
        /// The checkout.
        checkout: PathBuf,
        /// What git says, file by file.
        why: Vec<String>,
    },
    /// All of it is there already.
    #[error("the files in {} have these changes already", .0.display())]
    Already(PathBuf),
}

impl ApplyError {
    /// What to do about it, where this folder knows.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Git(error) => return error.hint(),
            Self::InTheWay { .. } => {
                "commit or stash what is in the way (git stash -u), name fewer files, or merge: cx merge"
                    .to_owned()
            }
            Self::Submodule(_) => "name the other files, or merge: cx merge".to_owned(),
            Self::NoCheckout(_) => "change to a worktree of it".to_owned(),
            Self::BadPath(_) | Self::Already(_) => return None,
        })
    }
}

fn shown(why: &[String]) -> String {
    let first: Vec<&str> = why.iter().take(3).map(String::as_str).collect();
    match why.len().saturating_sub(first.len()) {
        0 => first.join("; "),
        more => format!("{}; and {more} more", first.join("; ")),
    }
}

/// Changes that were looked through and can be applied.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The files that it changes, makes or removes, relative to the root.
    pub paths: Vec<PathBuf>,
    bytes: Vec<u8>,
}

impl Patch {
    /// What `tip` changes since `base`, both commits or trees, in the files that
    /// `pathspecs` name as seen from `cwd`; all where there are none.
    ///
    /// Paths that could leave the repository or change git's own files, and
    /// submodules, are refused here, whatever git thinks of them.
    pub fn between(
        cwd: &Path,
        base: &Oid,
        tip: &Oid,
        pathspecs: &[PathBuf],
    ) -> Result<Self, ApplyError> {
        let listed = diff_tree(cwd, &["--raw", "-z"], base, tip, pathspecs)?;
        let mut paths = Vec::new();
        let mut fields = records(&listed);
        while let (Some(raw), Some(path)) = (fields.next(), fields.next()) {
            let path = path_of(path);
            if !is_inside(&path) {
                return Err(ApplyError::BadPath(path));
            }
            // `:MODE MODE OID OID LETTER`.
            let mut modes = raw.strip_prefix(b":").unwrap_or(raw).split(|b| *b == b' ').take(2);
            if modes.any(|mode| mode == b"160000") {
                return Err(ApplyError::Submodule(path));
            }
            paths.push(path);
        }
        let options = [
            "-p",
            "--binary",
            "--full-index",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--unified=3",
            "--src-prefix=a/",
            "--dst-prefix=b/",
        ];
        let bytes = diff_tree(cwd, &options, base, tip, pathspecs)?;
        Ok(Self { paths, bytes })
    }

    /// Brings the changes into the files of `place`'s checkout, all or none; with
    /// `check` it only says whether it would.
    pub fn apply(&self, place: &Place, check: bool) -> Result<(), ApplyError> {
        let Some(checkout) = &place.checkout else {
            return Err(ApplyError::NoCheckout(place.git_dir.clone()));
        };
        let git = |options: &[&str]| -> Git {
            place
                .git()
                .config("apply.ignoreWhitespace", "no")
                .args(["apply", "--whitespace=nowarn"])
                .args(options)
                .arg("-")
                .stdin(self.bytes.clone())
        };
        let output = git(if check { &["--check"] } else { &[] }).output()?;
        if output.code() == 0 {
            return Ok(());
        }
        if git(&["--check", "--reverse"]).output()?.code() == 0 {
            return Err(ApplyError::Already(checkout.clone()));
        }
        let said = output.stderr.lines().filter_map(|line| line.strip_prefix("error: "));
        // What follows each of these says the same.
        let why: Vec<String> = said
            .filter(|line| !line.starts_with("patch failed: "))
            .map(|line| line.trim_end_matches('.').to_owned())
            .collect();
        if why.is_empty() {
            return Err(output.error().into());
        }
        Err(ApplyError::InTheWay { checkout: checkout.clone(), why })
    }
}

/// One file each, renames as what they are made of.
fn diff_tree(
    cwd: &Path,
    options: &[&str],
    base: &Oid,
    tip: &Oid,
    pathspecs: &[PathBuf],
) -> Result<Vec<u8>, GitError> {
    let git = Git::at(cwd).args(["diff-tree", "-r", "--no-renames", "--ignore-submodules=none"]);
    let git = git.args(options).arg(base).arg(tip).arg("--").args(pathspecs);
    Ok(git.read()?.stdout)
}

/// Whether a path of a tree stays below the root and out of `.git`, also where
/// file systems do not mind case.
fn is_inside(path: &Path) -> bool {
    let plain = |part: &OsStr| {
        let bytes = part.as_bytes();
        !bytes.eq_ignore_ascii_case(b".git") && bytes != b".." && bytes != b"." && !bytes.is_empty()
    };
    // `components` would pass over `.` and empty names.
    path.components().all(|part| matches!(part, Component::Normal(_)))
        && path.as_os_str().as_bytes().split(|b| *b == b'/').all(|b| plain(OsStr::from_bytes(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Fixture;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A tree with one file below folders of these names, made without checks.
    fn crafted(fixture: &Fixture, names: &[&str]) -> Oid {
        let (file, folders) = names.split_last().unwrap();
        let place = fixture.place();
        let blob = place.git().args(["hash-object", "-w", "--stdin"]).stdin("x\n").run();
        let blob = blob.unwrap().oid().unwrap();
        let tree =
            |line: String| place.git().arg("mktree").stdin(line).run().unwrap().oid().unwrap();
        let innermost = tree(format!("100644 blob {blob}\t{file}\n"));
        folders
            .iter()
            .rev()
            .fold(innermost, |oid, name| tree(format!("040000 tree {oid}\t{name}\n")))
    }

    #[test]
    fn paths_that_leave_the_repository_are_refused_by_name() {
        let fixture = Fixture::new();
        let base = fixture.oid("HEAD");
        for names in [
            &["..", "out"][..],
            &["a", "..", "..", "out"],
            &[".git", "config"],
            &["a", ".GIT", "x"],
        ] {
            let tip = crafted(&fixture, names);
            let error = Patch::between(&fixture.root(), &base, &tip, &[]).unwrap_err();
            let bad = names.join("/");
            assert!(
                matches!(&error, ApplyError::BadPath(path) if path == Path::new(&bad)),
                "{error}"
            );
        }
        for (path, inside) in
            [("a/b", true), ("a/.gitignore", true), ("/a", false), ("a//b", false), ("./a", false)]
        {
            assert_eq!(is_inside(Path::new(path)), inside, "{path}");
        }
    }

    #[test]
    fn every_kind_of_change_comes_over_and_the_index_stays() {
        let fixture = Fixture::new();
        for (path, text) in [("gone", "x\n"), ("mode", "m\n"), ("type", "t\n"), ("bin", "\0a")] {
            fixture.write(path, text);
        }
        // Settings that change how patches look do not count.
        fixture.git(&["config", "diff.noprefix", "true"]);
        fixture.git(&["config", "apply.whitespace", "fix"]);
        let base = fixture.commit("base");
        let root = fixture.root();
        fs::remove_file(root.join("gone")).unwrap();
        fs::set_permissions(root.join("mode"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_file(root.join("type")).unwrap();
        symlink("README", root.join("type")).unwrap();
        fixture.write("bin", "\0b");
        fs::write(root.join(OsStr::from_bytes(b"new\n\xff")), "trailing \nno end").unwrap();
        let tip = fixture.commit("tip");
        fixture.git(&["reset", "--quiet", "--hard", base.as_str()]);
        let index = fs::read(root.join(".git/index")).unwrap();
        let place = fixture.place();

        let patch = Patch::between(&root, &base, &tip, &[]).unwrap();
        assert_eq!(patch.paths.len(), 5);
        patch.apply(&place, true).unwrap();
        assert_eq!(fixture.git(&["status", "--porcelain"]), "");
        patch.apply(&place, false).unwrap();
        assert_eq!(fs::read(root.join(".git/index")).unwrap(), index);
        fixture.git(&["add", "--all"]);
        assert_eq!(
            fixture.git(&["write-tree"]),
            fixture.git(&["rev-parse", &format!("{tip}^{{tree}}")])
        );
        assert!(matches!(patch.apply(&place, false), Err(ApplyError::Already(_))));
    }

    #[test]
    fn what_is_in_the_way_is_named_and_nothing_is_written() {
        let fixture = Fixture::new();
        fixture.write("folder/file", "one\n");
        let base = fixture.commit("base");
        fixture.write("folder/file", "two\n");
        fixture.write("README", "changed\n");
        let tip = fixture.commit("tip");
        fixture.git(&["reset", "--quiet", "--hard", base.as_str()]);
        let outside = fixture.beside("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "one\n").unwrap();
        fs::remove_dir_all(fixture.root().join("folder")).unwrap();
        symlink(&outside, fixture.root().join("folder")).unwrap();
        let patch = Patch::between(&fixture.root(), &base, &tip, &[]).unwrap();
        let error = patch.apply(&fixture.place(), false).unwrap_err().to_string();
        assert!(error.contains("'folder/file' is beyond a symbolic link"), "{error}");
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(fixture.root().join("README")).unwrap(), "hello\n");
        // Only what is asked for.
        let some = Patch::between(&fixture.root(), &base, &tip, &["README".into()]).unwrap();
        some.apply(&fixture.place(), false).unwrap();
        assert_eq!(fs::read_to_string(fixture.root().join("README")).unwrap(), "changed\n");
    }
}
