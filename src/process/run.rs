//! Running a program to its end, in the foreground: to hear what it says, or to
//! let it talk to the person itself.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// A program that is asked something.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Its path.
    pub program: &'a Path,
    /// Without the program itself.
    pub args: Vec<OsString>,
    /// Where it runs.
    pub dir: PathBuf,
    /// Taken out of the environment.
    pub env_remove: &'a [&'a str],
    /// When to give up and kill it.
    pub limit: Duration,
}

/// What a program left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// All of its stdout.
    pub stdout: Vec<u8>,
    /// All of its stderr.
    pub stderr: Vec<u8>,
}

impl Question<'_> {
    /// Runs it with nothing on stdin. `None` when the limit passed first; the
    /// program has been killed then.
    pub fn ask(&self) -> io::Result<Option<Answer>> {
        // Files, not pipes: what it leaves running cannot hold us up.
        let (stdout, stderr) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
        let mut expression = duct::cmd(self.program, &self.args)
            .dir(&self.dir)
            .unchecked()
            .stdin_null()
            .stdout_file(stdout.reopen()?)
            .stderr_file(stderr.reopen()?);
        for name in self.env_remove {
            expression = expression.env_remove(name);
        }
        let handle = expression.start()?;
        let Some(output) = handle.wait_timeout(self.limit)? else {
            handle.kill()?;
            handle.wait()?;
            return Ok(None);
        };
        Ok(Some(Answer {
            code: output.status.code(),
            stdout: std::fs::read(stdout.path())?,
            stderr: std::fs::read(stderr.path())?,
        }))
    }
}

/// Runs a program with our own stdin, stdout and stderr; gives its exit code,
/// if it had one.
pub fn on_terminal(program: &Path, args: &[OsString]) -> io::Result<Option<i32>> {
    Ok(duct::cmd(program, args).unchecked().run()?.status.code())
}

/// Runs a program with our own stdout and stderr, and with the content of a file
/// (none: nothing) on stdin; gives its exit code, if it had one.
pub fn with_input(
    program: &Path,
    args: &[OsString],
    dir: &Path,
    env_remove: &[&str],
    input: Option<&Path>,
) -> io::Result<Option<i32>> {
    let mut expression = duct::cmd(program, args).dir(dir).unchecked();
    expression = match input {
        Some(file) => expression.stdin_path(file),
        None => expression.stdin_null(),
    };
    for name in env_remove {
        expression = expression.env_remove(name);
    }
    Ok(expression.run()?.status.code())
}
