//! What nearly every test of a verb does.

use std::path::Path;

use rustix::fs::inotify::WatchFlags;
use serde_json::Value;

use super::{DEADLINE, Output, Sandbox, watch::Watch};

/// Waits until no process has this `NAME=value` in its environment any more.
#[track_caller]
pub(crate) fn until_none_has(variable: &str) {
    assert!(super::processes::all_exit(variable, super::DEADLINE), "some process has {variable}");
}

/// Waits until `name` is gone from `folder`: a supervisor tidies up after it has
/// let go of its job.
#[track_caller]
pub(crate) fn until_gone(folder: &Path, name: &str) {
    let watch = Watch::on(folder, WatchFlags::DELETE).expect("the folder is there");
    while folder.join(name).exists() {
        assert!(watch.wait(DEADLINE), "{name} is still in {}", folder.display());
    }
}

/// Waits until `name` is in `folder`, which is there.
#[track_caller]
pub(crate) fn until_there(folder: &Path, name: &str) {
    let changes = WatchFlags::CREATE | WatchFlags::MOVED_TO;
    let watch = Watch::on(folder, changes).expect("the folder is there");
    while !folder.join(name).exists() {
        assert!(watch.wait(DEADLINE), "{name} never came to {}", folder.display());
    }
}

/// Waits until `holds`; it is asked again whenever something changes in `folder`,
/// which is there.
#[track_caller]
pub(crate) fn until_changed(folder: &Path, holds: impl Fn() -> bool) {
    let changes = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MODIFY;
    let watch = Watch::on(folder, changes).expect("the folder is there");
    while !holds() {
        assert!(watch.wait(DEADLINE), "nothing more came to {}", folder.display());
    }
}

impl Sandbox {
    /// `cx spawn -b sh ARGS...`, which must succeed, and gives what it printed
    /// without the newline: a job spec.
    #[track_caller]
    pub(crate) fn spawn_sh<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> String {
        let printed = self.cx(["spawn", "-b", "sh"].into_iter().chain(args)).ok().stdout();
        printed.strip_suffix('\n').expect("a line").to_owned()
    }

    /// Starts a reader with this name that runs this script.
    #[track_caller]
    pub(crate) fn reader(&self, name: &str, script: &str) {
        self.spawn_sh(["-n", name, script]);
    }

    /// Starts a writer with this name that runs this script.
    #[track_caller]
    pub(crate) fn writer(&self, name: &str, script: &str) {
        self.spawn_sh(["-w", "-n", name, script]);
    }

    /// Starts a writer and waits until it has succeeded.
    #[track_caller]
    pub(crate) fn written(&self, name: &str, script: &str) {
        self.writer(name, script);
        self.cx(["wait", name]).ok();
    }

    /// What `cx show --json` says of a job.
    #[track_caller]
    pub(crate) fn job(&self, spec: &str) -> Value {
        self.cx(["show", "--json", spec]).ok().json()
    }

    /// The lines of stdout of `cx ...`, whatever its exit code.
    #[track_caller]
    pub(crate) fn lines<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        self.cx(args).stdout().lines().map(str::to_owned).collect()
    }

    /// Waits until the ledger has this event of this job.
    #[track_caller]
    pub(crate) fn until(&self, job: u64, event: &str) -> Value {
        self.ledger().wait_for(|line| line["job"] == job && line["ev"] == event)
    }

    /// Nothing of a job came to be: no line in the ledger, no folder.
    #[track_caller]
    pub(crate) fn assert_nothing_started(&self, refusal: &Output) {
        assert!(self.ledger().events().is_empty(), "the ledger has a line after {refusal}");
        let jobs = self.repo().join(".git/cx/jobs");
        let folders = std::fs::read_dir(jobs).map_or(0, Iterator::count);
        assert_eq!(folders, 0, "a folder was left by {refusal}");
    }
}

impl Output {
    /// The same, refused with this code in one sentence and at most one hint,
    /// and with nothing on stdout.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, sentence: &str) -> Self {
        let output = self.code(code);
        assert_eq!(output.stdout(), "", "{output}");
        let said = output.stderr();
        let lines: Vec<&str> = said.lines().collect();
        let (first, rest) = lines.split_first().unwrap_or_else(|| panic!("no word: {output}"));
        assert!(first.starts_with("cx: error: ") && first.contains(sentence), "{output}");
        assert!(!first.ends_with('.'), "a full stop: {output}");
        assert!(rest.len() <= 1 && rest.iter().all(|l| l.starts_with("    hint: ")), "{output}");
        output
    }
}
