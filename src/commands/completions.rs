//! `cx completions`, and the answer to a shell that asks for some.

use std::{ffi::OsString, io, path::Path};

use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::env;

use crate::{
    cli::Cli,
    failure::{Exit, Failure},
    ui,
};

/// The variable by which a shell asks cx for completions.
const VARIABLE: &str = "CX_COMPLETE";

/// Print the completions for a shell
///
/// They ask cx itself, so they know the jobs, agents and branches there are.
/// `cx init` prints them too, with all else that a shell can have.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cx completions bash > ~/.local/share/bash-completion/completions/cx
  cx completions zsh > ~/.zfunc/_cx        a folder in $fpath
  cx completions fish > ~/.config/fish/completions/cx.fish")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// A shell that cx knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// Runs the verb.
pub fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut out = ui::out();
    out.bytes(file(args.shell)?.as_bytes())?;
    out.finish()?;
    Ok(Exit::Success)
}

/// Answers a shell that asks for completions, in a process started for that.
/// Does nothing in any other.
pub fn answer() {
    const SHELLS: env::Shells<'static> =
        env::Shells(&[&Quiet(&env::Bash), &Quiet(&env::Zsh), &Quiet(&env::Fish)]);
    clap_complete::CompleteEnv::with_factory(Cli::command).var(VARIABLE).shells(SHELLS).complete();
}

/// An adapter that offers no options before a `-` is typed, unless there is
/// nothing else to offer: after `cx merge ` one wants to see jobs.
struct Quiet(&'static dyn env::EnvCompleter);

impl env::EnvCompleter for Quiet {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn is(&self, name: &str) -> bool {
        self.0.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn io::Write,
    ) -> io::Result<()> {
        self.0.write_registration(var, name, bin, completer, buf)
    }

    fn write_complete(
        &self,
        cmd: &mut Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn io::Write,
    ) -> io::Result<()> {
        // bash and zsh say which word is meant; for fish it is the last.
        let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|i| i.parse().ok());
        let word = args.get(index.unwrap_or(args.len().saturating_sub(1)));
        if word.is_none_or(|word| word.is_empty()) {
            *cmd = without_options(std::mem::take(cmd));
        }
        self.0.write_complete(cmd, args, current_dir, buf)
    }
}

/// Hides the options of a command and all below it. What is hidden is offered
/// only where nothing else is.
fn without_options(cmd: Command) -> Command {
    cmd.mut_args(|arg| if arg.is_positional() { arg } else { arg.hide(true) })
        .mut_subcommands(without_options)
}

/// The script that registers the completions. It starts `cx` from the PATH.
pub(super) fn registration(shell: Shell) -> Result<String, Failure> {
    let adapter: &dyn env::EnvCompleter = match shell {
        Shell::Bash => &env::Bash,
        Shell::Zsh => &env::Zsh,
        Shell::Fish => &env::Fish,
    };
    let mut script = Vec::new();
    adapter
        .write_registration(VARIABLE, "cx", "cx", "cx", &mut script)
        .map_err(|e| Failure::internal(format!("cannot write the completions: {e}")))?;
    let script = String::from_utf8_lossy(&script);
    Ok(format!("{}\n", script.trim()))
}

/// The same as a file that the shell loads when it first needs it.
pub(super) fn file(shell: Shell) -> Result<String, Failure> {
    let mut script = registration(shell)?;
    if shell == Shell::Zsh {
        // zsh loads the file in order to complete, and would leave it at that.
        script.push_str("[[ $funcstack[1] == _cx ]] && _clap_dynamic_completer_cx \"$@\"\n");
    }
    Ok(script)
}
