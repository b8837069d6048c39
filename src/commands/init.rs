//! `cx init`

use clap::Args;

use super::completions::{Shell, registration};
use crate::{
    failure::{Exit, Failure},
    ui,
};

/// Print what makes cx part of your shell
///
/// It gives `cx cd JOB`, completions, and a prompt segment: the jobs of this
/// repository that are live, have succeeded and have failed, as in `cx:2+1!1`;
/// `cx:2~1` says that one of the live ones is on hold.
/// The first lines of what it prints say how to put that into your prompt.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eval \"$(cx init bash)\"       in ~/.bashrc
  eval \"$(cx init zsh)\"        in ~/.zshrc
  cx init fish | source        in ~/.config/fish/config.fish")]
pub struct InitArgs {
    /// The shell
    shell: Shell,
}

/// Runs the verb.
pub fn run(args: &InitArgs) -> Result<Exit, Failure> {
    let file = match args.shell {
        Shell::Bash => include_str!("../../shell/cx.bash"),
        Shell::Zsh => include_str!("../../shell/cx.zsh"),
        Shell::Fish => include_str!("../../shell/cx.fish"),
    };
    let mut completions = registration(args.shell)?;
    if args.shell == Shell::Zsh {
        // Waits for compinit, where that comes later.
        completions = completions.replace("\ncompdef ", "\n__cx_compdef ");
    }
    let mut out = ui::out();
    out.bytes(file.as_bytes())?;
    out.bytes(b"\n")?;
    out.bytes(completions.as_bytes())?;
    out.finish()?;
    Ok(Exit::Success)
}
