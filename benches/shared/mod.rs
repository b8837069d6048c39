//! What the benchmarks of git repositories share.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What git says; it has to succeed.
pub(crate) fn git(root: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.current_dir(root).args(["-c", "core.hooksPath=/dev/null"]).args(args);
    let output = git.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
