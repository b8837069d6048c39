//! `cx __generate`, hidden: the files of this package that are made from the
//! command line. `scripts/test` fails where they are not up to date.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Arg, Args, Command, CommandFactory};

use super::completions::{Shell, file};
use crate::{
    cli::Cli,
    failure::{Exit, Failure},
    ui,
};

/// Write the files that are made from the command line
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Only say which ones are out of date, and fail where one is
    #[arg(long)]
    check: bool,

    /// The root of the package
    #[arg(value_name = "DIR", default_value = ".")]
    root: PathBuf,
}

/// Runs the verb.
pub fn run(args: &GenerateArgs) -> Result<Exit, Failure> {
    if !args.root.join("Cargo.toml").is_file() {
        return Err(Failure::usage(format!(
            "{} is not the root of a package",
            args.root.display()
        )));
    }
    let mut stale = false;
    for (name, text) in generated()? {
        let path = args.root.join(name);
        let failed =
            |e: io::Error| Failure::internal(format!("cannot write {}: {e}", path.display()));
        if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
            continue;
        }
        stale = true;
        if args.check {
            ui::note(format_args!("{name} is out of date"));
        } else {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
            fs::write(&path, text).map_err(failed)?;
            ui::note(format_args!("wrote {name}"));
        }
    }
    if stale && args.check {
        return Err(Failure::new(Exit::Failed, "generated files are out of date")
            .hint("cargo run -- __generate"));
    }
    Ok(Exit::Success)
}

fn generated() -> Result<[(&'static str, String); 4], Failure> {
    Ok([
        ("completions/cx.bash", file(Shell::Bash)?),
        ("completions/_cx", file(Shell::Zsh)?),
        ("completions/cx.fish", file(Shell::Fish)?),
        ("docs/cli.md", manual()),
    ])
}

/// The manual of all verbs, in Markdown.
fn manual() -> String {
    let mut cx = Cli::command().disable_help_subcommand(true);
    cx.build();
    let mut text = String::from(
        "# The command line\n\n<!-- Made by `cargo run -- __generate` from the doc comments in \
         src/cli.rs and src/commands/. -->\n",
    );
    let verbs: Vec<&Command> = cx.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    write_about(&mut text, &cx);
    text.push_str("\n| verb | |\n|---|---|\n");
    for verb in &verbs {
        let (name, about) = (verb.get_name(), verb.get_about().map(ToString::to_string));
        let about = about.unwrap_or_default().replace('|', "\\|");
        let _ = writeln!(text, "| [`{name}`](#cx-{name}) | {about} |");
    }
    write_args(&mut text, &cx, true);
    write_after(&mut text, &cx);
    for verb in verbs {
        write_verb(&mut text, verb, &format!("cx {}", verb.get_name()));
    }
    text
}

fn write_verb(text: &mut String, command: &Command, name: &str) {
    let level = if name.split(' ').count() > 2 { "###" } else { "##" };
    let _ = writeln!(text, "\n{level} {name}");
    write_about(text, command);
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let _ = writeln!(text, "\n```text\n{usage}\n```");
    write_args(text, command, false);
    write_after(text, command);
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_verb(text, below, &format!("{name} {}", below.get_name()));
    }
}

fn write_about(text: &mut String, command: &Command) {
    let about = command.get_long_about().or(command.get_about());
    let _ = writeln!(text, "\n{}", about.map(ToString::to_string).unwrap_or_default().trim());
}

/// The arguments, then the options. What every verb has stands at the top only.
fn write_args(text: &mut String, command: &Command, top: bool) {
    let shown = |arg: &&Arg| {
        let everywhere = arg.is_global_set() || matches!(arg.get_id().as_str(), "help" | "version");
        !arg.is_hide_set() && (top || !everywhere)
    };
    let mut lines = Vec::new();
    for arg in command.get_positionals().filter(shown) {
        lines.push(item(&format!("`{arg}`"), arg));
    }
    for arg in
        command.get_opts().chain(command.get_arguments().filter(|arg| is_switch(arg))).filter(shown)
    {
        lines.push(item(&signature(arg), arg));
    }
    if !lines.is_empty() {
        let _ = writeln!(text, "\n{}", lines.join("\n"));
    }
}

fn is_switch(arg: &Arg) -> bool {
    !arg.is_positional() && !arg.get_action().takes_values()
}

/// `-t`, `--agent AGENT`.
fn signature(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let mut names: Vec<String> = short.into_iter().chain(long).collect();
    if arg.get_action().takes_values()
        && let Some(last) = names.last_mut()
    {
        for value in arg.get_value_names().unwrap_or_default() {
            let _ = write!(last, " {value}");
        }
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn item(signature: &str, arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string);
    let mut text = format!("- {signature}: {}", help.unwrap_or_default().replace('\n', "\n  "));
    let values = arg.get_possible_values();
    let values: Vec<String> = values
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        let _ = write!(text, " ({})", values.join(", "));
    }
    text
}

fn write_after(text: &mut String, command: &Command) {
    if let Some(after) = command.get_after_long_help().or(command.get_after_help()) {
        let _ = writeln!(text, "\n```text\n{}\n```", after.to_string().trim());
    }
}
