//! How long a batch takes to land, checkout included.

use std::{
    fmt::Write as _,
    process::Stdio,
    time::{Duration, Instant},
};

use cx::ledger::{Event, Tree};

use crate::{
    Result,
    ground::{Ground, exited, spawned, succeed, time},
    report::{Row, median, tell},
};

const JOBS: usize = 8;
const FILES_EACH: usize = 20;

/// `cx merge` of eight jobs against eight `git merge` in the checkout.
pub(crate) fn merge(quick: bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (files, name, target) in [(10_000, "10,000", 0.3), (100_000, "100,000", 0.12)] {
        let ground = Ground::new()?.with_branches(files)?;
        let (mut git, mut cx) = (Vec::new(), Vec::new());
        let rounds = if quick { 3 } else { 9 };
        for _ in 0..rounds {
            // Both find an index that knows its files.
            ground.quiet("git", ["status"])?;
            git.push(one_by_one(&ground)?);
            ground.quiet("git", ["reset", "--quiet", "--hard", "base"])?;
            ground.quiet("git", ["status"])?;
            cx.push(time(&mut ground.cx(["merge"]))?);
            ground.quiet("git", ["diff", "--quiet", "HEAD"])?;
            succeed(&mut ground.cx(["merge", "--undo"]))?;
        }
        tell(&format!("eight git merge, {name} files"), &git);
        tell(&format!("cx merge, {name} files"), &cx);
        let what = format!("`cx merge`, 8 jobs with 20 files each, {name} files");
        rows.push(Row::ratio(&what, "eight `git merge`", median(&cx) / median(&git), target));
    }
    Ok(rows)
}

fn one_by_one(ground: &Ground) -> Result<Duration> {
    let begin = Instant::now();
    for n in 1..=JOBS {
        let branch = format!("cx/job-{n}");
        ground.quiet("git", ["merge", "--quiet", "--no-edit", &branch])?;
    }
    Ok(begin.elapsed())
}

impl Ground {
    /// A checkout of `files` files, and a finished writer for each of eight
    /// branches that changed twenty of them, no two the same one.
    fn with_branches(self, files: usize) -> Result<Self> {
        let path = |n: usize| format!("d{:03}/f{:05}", n / 100, n);
        let mut stream = "commit refs/heads/main\nmark :1\n".to_owned();
        let head = "committer Bench <bench@example.com> 1700000000 +0000\ndata 1\nx\n";
        stream.push_str(head);
        for n in 0..files {
            let text = format!("file {n}\n").repeat(8);
            writeln!(stream, "M 100644 inline {}\ndata {}\n{text}", path(n), text.len())?;
        }
        for job in 1..=JOBS {
            write!(stream, "commit refs/heads/cx/job-{job}\n{head}from :1\n")?;
            for k in 0..FILES_EACH {
                let n = (k * JOBS + job) * (files / (JOBS * FILES_EACH + JOBS + 1));
                let text = format!("changed by {job}\n");
                writeln!(stream, "M 100644 inline {}\ndata {}\n{text}", path(n), text.len())?;
            }
        }
        let mut import = self.command("git");
        import.args(["fast-import", "--quiet", "--force"]).stdin(Stdio::piped());
        let mut child = import.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            std::io::Write::write_all(&mut stdin, stream.as_bytes())?;
        }
        if !child.wait()?.success() {
            return Err("git fast-import failed".into());
        }
        self.quiet("git", ["reset", "--quiet", "--hard", "main"])?;
        self.quiet("git", ["tag", "base"])?;
        let oid = |rev: &str| -> Result<String> {
            let output =
                self.command("git").args(["rev-parse", rev]).stdout(Stdio::piped()).output()?;
            Ok(String::from_utf8(output.stdout)?.trim().to_owned())
        };
        let base = oid("base")?;
        let store = self.store();
        let cwd = self.path("repo").display().to_string();
        let mut appender = store.appender()?;
        for (job, number) in (1..=JOBS).zip(1_u64..) {
            let branch = format!("cx/job-{job}");
            let mut spawned = spawned(number, &cwd)?;
            spawned.mode = cx::job::Mode::Writer;
            let tree = self.path(&format!("repo.cx/job-{job}")).display().to_string();
            let (base, prefix) = (base.clone(), String::new());
            spawned.tree =
                Some(Tree { start: None, path: tree, branch: Some(branch.clone()), base, prefix });
            let mut exited = exited();
            exited.tip = Some(oid(&branch)?);
            exited.commits = 1;
            exited.files = FILES_EACH as u64;
            let id = cx::job::JobId(number);
            appender.append(id, &Event::Spawned(Box::new(spawned)))?;
            appender.append(id, &Event::Exited(Box::new(exited)))?;
        }
        drop(appender);
        Ok(self)
    }
}
