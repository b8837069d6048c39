//! What a resolver is told: the paths, what both sides wanted, what both did.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    commands::session::{Session, git, label},
    failure::Failure,
    git::{Oid, Repo, diff, merge::Conflict},
    ledger::{Job, State},
    ui,
};

/// The most of one prompt or one diff that is repeated, in bytes.
const MOST: usize = 48 * 1024;

/// The two sides of a conflict.
pub(super) struct Sides<'a> {
    pub(super) session: &'a Session,
    pub(super) repo: &'a Repo,
    /// The one that is merged.
    pub(super) job: &'a Job,
    /// The branch that it is merged into.
    pub(super) branch: &'a str,
    /// Where that is.
    pub(super) base: &'a Oid,
    /// The commit of the job.
    pub(super) tip: &'a Oid,
}

impl Sides<'_> {
    /// The task, in Markdown.
    pub(super) fn compose(
        &self,
        conflicts: &[Conflict],
        history: &State,
        verify: &[String],
    ) -> Result<String, Failure> {
        let Self { job, branch, base, tip, .. } = self;
        let name = &job.spec.name;
        let fork = self.repo.merge_base(base, tip).map_err(git)?;
        let fork = fork.as_ref().unwrap_or(base);
        let mut paths: Vec<PathBuf> = conflicts.iter().map(|c| c.path.clone()).collect();
        paths.dedup();
        let mut text = format!(
            "Resolve a merge conflict. In this worktree the work of the job {name} (commit {tip}) is \
             being merged into the branch {branch} (commit {base}), and these paths conflict:\n\n"
        );
        for conflict in conflicts {
            let _ = writeln!(text, "- {} ({})", conflict.path.display(), conflict.kind);
        }
        text.push_str(
            "\nThe result must do what both sides wanted. Edit the files until no conflict marker is \
             left in any of them. Some may have no markers: a file that one side removed, a binary \
             file, a link, a file that git has moved aside to PATH~SIDE. Decide about each of those \
             too: edit it, replace it, or delete it. Where it has to stay just as it lies there, say \
             so in your final answer, in a line of its own: `KEEP: PATH`. \
             Change nothing that the merge does not need. You need not commit: what lies in the \
             worktree is committed as the merge.\n",
        );
        if !verify.is_empty() {
            let _ = writeln!(text, "\nAfterwards this has to succeed: `{}`", verify.join(" "));
        }
        let _ = writeln!(text, "\n# What {name} was to do (the side that is merged)\n");
        text.push_str(&self.task_of(job));
        let _ = writeln!(text, "\n# What happened in {branch} meanwhile (the side merged into)\n");
        text.push_str(&self.other_side(fork, &paths, history)?);
        let _ = writeln!(text, "\n# What {name} changed\n");
        text.push_str(&self.diff(fork, tip, &[])?);
        let _ = writeln!(text, "\n# What {branch} changed in the paths that conflict\n");
        text.push_str(&self.diff(fork, base, &paths)?);
        Ok(text)
    }

    /// What a job was told, or its first line where that is gone.
    fn task_of(&self, job: &Job) -> String {
        let path = self.session.store.job(job.job).prompt();
        let told = fs::read(path).unwrap_or_else(|_| job.spec.title.clone().into_bytes());
        let told = String::from_utf8_lossy(&told).replace('\0', " ");
        let more = format!("cx prompt {}", job.job);
        format!("{}: {}\n\n{}", label(job), job.spec.title, quoted(&told, &more))
    }

    /// The jobs that landed meanwhile and touched the paths, and the commits.
    fn other_side(
        &self,
        fork: &Oid,
        paths: &[PathBuf],
        history: &State,
    ) -> Result<String, Failure> {
        let mut text = String::new();
        for other in history.jobs.values().filter(|other| other.job != self.job.job) {
            if self.brought(other, fork, paths).map_err(git)? {
                text.push_str(&self.task_of(other));
                text.push('\n');
            }
        }
        let place = self.repo.place();
        let log = place
            .git()
            .args(["log", "--oneline", "--no-decorate", "--no-color", "--max-count=50"])
            .arg(format!("{fork}..{}", self.base))
            .arg("--")
            .args(top(paths))
            .read()
            .map_err(git)?;
        let _ = writeln!(text, "Its commits in those paths:\n\n{}", quoted(&log.text(), "git log"));
        Ok(text)
    }

    /// Whether a job has landed between `fork` and the base with changes in `paths`.
    fn brought(
        &self,
        job: &Job,
        fork: &Oid,
        paths: &[PathBuf],
    ) -> Result<bool, crate::git::GitError> {
        let (Some(tree), Some(merged)) = (&job.spec.tree, &job.merged) else { return Ok(false) };
        let (Ok(from), Ok(tip), Ok(commit)) =
            (Oid::new(&tree.base), Oid::new(&merged.tip), Oid::new(&merged.commit))
        else {
            return Ok(false);
        };
        let repo = self.repo;
        if [&from, &tip, &commit].iter().any(|oid| repo.resolve_commit(oid.as_str()).is_err())
            || repo.is_ancestor(&commit, fork)?
            || !repo.is_ancestor(&commit, self.base)?
        {
            return Ok(false);
        }
        let changes = diff::stat(repo.place(), &from, &tip)?;
        Ok(changes.iter().any(|change| paths.contains(&change.path)))
    }

    fn diff(&self, from: &Oid, to: &Oid, paths: &[PathBuf]) -> Result<String, Failure> {
        let shown = self
            .repo
            .place()
            .git()
            .args(["diff-tree", "-p", "-r", "-M", "--no-color", "--no-ext-diff"])
            .arg(from)
            .arg(to)
            .arg("--")
            .args(top(paths))
            .read()
            .map_err(git)?;
        let text = String::from_utf8_lossy(&shown.stdout).replace('\0', " ");
        Ok(quoted(&text, &format!("git diff {} {}", from.short(), to.short())))
    }
}

/// Paths as pathspecs that mean just them.
fn top(paths: &[PathBuf]) -> impl Iterator<Item = std::ffi::OsString> + '_ {
    paths.iter().map(|path: &PathBuf| {
        let mut spec = std::ffi::OsString::from(":(top,literal)");
        spec.push(Path::as_os_str(path));
        spec
    })
}

/// `text` as a block that nothing in it can end; what is too long is cut, and
/// `more` shows it whole.
fn quoted(text: &str, more: &str) -> String {
    let mut end = text.len().min(MOST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut block = String::with_capacity(end + end / 8);
    for line in text[..end].lines() {
        let _ = writeln!(block, "    {line}");
    }
    if end < text.len() {
        let rest = ui::plural((text.len() - end) as u64, "byte");
        let _ = writeln!(block, "\n(cut: {rest} more; `{more}` shows all)");
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_cut_between_characters_and_says_so() {
        assert_eq!(quoted("a\n```\nb", "x"), "    a\n    ```\n    b\n");
        let long = "\u{e9}".repeat(MOST);
        let block = quoted(&long, "git diff");
        assert!(block.len() < MOST + 100, "{}", block.len());
        assert!(block.ends_with("49152 bytes more; `git diff` shows all)\n"), "{}", &block[MOST..]);
    }
}
