//! `cx man`

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Command, CommandFactory};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_mangen::Man;
use flate2::read::GzDecoder;

use crate::{
    backend::program,
    cli::Cli,
    failure::{Exit, Failure},
    process::run,
    ui,
};

/// Show the manual page of cx, of one of its verbs, or a reference
///
/// On a terminal `man` shows it; elsewhere it is printed as roff, for example
/// for `cx man | man -l -`.
///
/// The references are Markdown: `plans` (every form of a plan, with examples),
/// `agents` (definitions, aliases, routing, the prompt), `backends` (programs that do
/// the work), `config` (every key), `http` (workers and servers over HTTP), `ledger`
/// (every event), `mcp` (the tools of agents) and `memory` (what is shared, with whom, as
/// JSON). Of the verbs `agents`, `backends`, `mcp` and `memory`, `--help` has the manual.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The verb; or plans, agents, backends, config, http, ledger, mcp or memory
    #[arg(value_name = "VERB|REFERENCE", conflicts_with = "into", add = verb_candidates())]
    verb: Option<String>,

    /// Write all pages into DIR, as cx.1, cx-spawn.1 and so on
    #[arg(long = "dir", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    into: Option<PathBuf>,
}

/// A reference, as `build.rs` has packed it.
macro_rules! reference {
    ($name:literal) => {
        ($name, include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".md.gz")))
    };
}

/// The references, which an installed cx has nowhere else. Unpacked they would be a
/// fiftieth of the binary.
const REFERENCES: [(&str, &[u8]); 8] = [
    reference!("agents"),
    reference!("backends"),
    reference!("config"),
    reference!("http"),
    reference!("ledger"),
    reference!("mcp"),
    reference!("memory"),
    reference!("plans"),
];

/// What a shell is offered for a verb.
fn verb_candidates() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let mut names = verbs();
        names.extend(REFERENCES.map(|(name, _)| name.to_owned()));
        names.sort();
        names.dedup();
        names.into_iter().map(CompletionCandidate::new).collect()
    })
}

/// Runs the verb.
pub fn run(args: &ManArgs) -> Result<Exit, Failure> {
    let pages = pages();
    if let Some(dir) = &args.into {
        fs::create_dir_all(dir).map_err(|e| cannot_write(dir, &e))?;
        for page in &pages {
            let path = dir.join(format!("{}.1", page.name));
            fs::write(&path, page.roff()?).map_err(|e| cannot_write(&path, &e))?;
        }
        ui::note(format_args!(
            "wrote {} to {}",
            ui::plural(pages.len() as u64, "page"),
            dir.display()
        ));
        return Ok(Exit::Success);
    }
    let is_it = |(name, _): &&(&str, &[u8])| Some(*name) == args.verb.as_deref();
    if let Some((name, packed)) = REFERENCES.iter().find(is_it) {
        let mut text = Vec::new();
        GzDecoder::new(*packed)
            .read_to_end(&mut text)
            .map_err(|e| Failure::internal(format!("cannot unpack the reference {name}: {e}")))?;
        return show("less", &[], &text);
    }
    let name = args.verb.as_ref().map_or("cx".to_owned(), |verb| format!("cx-{verb}"));
    let page = pages.iter().find(|page| page.name == name).ok_or_else(|| {
        let references = REFERENCES.map(|(name, _)| name);
        Failure::usage(format!("no such verb: {}", args.verb.as_deref().unwrap_or_default()))
            .hint(format!("`cx --help` lists them; {} are references", references.join(", ")))
    })?;
    show("man", &["-l"], &page.roff()?)
}

/// A page of the manual: of cx, or of one verb.
struct Page {
    name: String,
    command: Command,
}

impl Page {
    fn roff(&self) -> Result<Vec<u8>, Failure> {
        self.render().map_err(|e| Failure::internal(format!("cannot write the manual page: {e}")))
    }

    /// The sections of clap_mangen, but for two: its synopsis lists every
    /// option, and it would fill the lines of examples.
    fn render(&self) -> io::Result<Vec<u8>> {
        let command = &self.command;
        let man = Man::new(command.clone())
            .title(&self.name)
            .source(concat!("cx ", env!("CARGO_PKG_VERSION")))
            .manual("cx");
        let mut roff = Vec::new();
        man.render_title(&mut roff)?;
        man.render_name_section(&mut roff)?;
        let usage = command.clone().render_usage().to_string();
        section(&mut roff, "SYNOPSIS", usage.trim_start_matches("Usage:").trim())?;
        man.render_description_section(&mut roff)?;
        man.render_options_section(&mut roff)?;
        if command.get_subcommands().any(|verb| !verb.is_hide_set()) {
            man.render_subcommands_section(&mut roff)?;
        }
        let after = command.get_after_long_help().or(command.get_after_help());
        for part in after.map(ToString::to_string).unwrap_or_default().split("\n\n") {
            let (title, lines) = part.split_once(":\n").unwrap_or(("", part));
            if !lines.is_empty() {
                section(&mut roff, &title.to_uppercase(), lines)?;
            }
        }
        Ok(roff)
    }
}

/// A section whose lines stay as they are.
fn section(roff: &mut Vec<u8>, title: &str, lines: &str) -> io::Result<()> {
    writeln!(roff, ".SH \"{title}\"\n.nf")?;
    for line in lines.lines() {
        let mut escaped = String::new();
        for c in line.chars() {
            match c {
                '\\' => escaped.push_str("\\e"),
                '-' => escaped.push_str("\\-"),
                '\'' => escaped.push_str("\\(aq"),
                '`' => escaped.push_str("\\(ga"),
                '^' => escaped.push_str("\\(ha"),
                '~' => escaped.push_str("\\(ti"),
                c => escaped.push(c),
            }
        }
        // A dot in front would make a request of it.
        writeln!(roff, "\\&{escaped}")?;
    }
    writeln!(roff, ".fi")
}

/// All pages, that of cx first.
fn pages() -> Vec<Page> {
    let mut cx = Cli::command().disable_help_subcommand(true);
    cx.build();
    let mut pages = Vec::new();
    add_pages(&mut pages, &cx, "cx");
    pages
}

fn add_pages(pages: &mut Vec<Page>, command: &Command, name: &str) {
    pages.push(Page { name: name.to_owned(), command: command.clone().display_name(name) });
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        add_pages(pages, below, &format!("{name}-{}", below.get_name()));
    }
}

/// The verbs, for completions.
pub(super) fn verbs() -> Vec<String> {
    pages().iter().filter_map(|page| page.name.strip_prefix("cx-").map(str::to_owned)).collect()
}

/// On a terminal that program shows it, where it is there.
fn show(program: &str, options: &[&str], text: &[u8]) -> Result<Exit, Failure> {
    let path = env::var_os("PATH").unwrap_or_default();
    if ui::is_terminal()
        && let Ok(program) = program::locate_word(program.as_ref(), &path)
    {
        return show_with(&program, options, text);
    }
    let mut out = ui::out();
    out.bytes(text)?;
    out.finish()?;
    Ok(Exit::Success)
}

fn show_with(program: &Path, options: &[&str], text: &[u8]) -> Result<Exit, Failure> {
    let write = || -> io::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::Builder::new().prefix("cx").suffix(".1").tempfile()?;
        file.write_all(text)?;
        Ok(file)
    };
    let file = write().map_err(|e| cannot_write(&env::temp_dir(), &e))?;
    let options = options.iter().map(OsString::from);
    let args: Vec<OsString> = options.chain([file.path().into()]).collect();
    let code = run::on_terminal(program, &args)
        .map_err(|e| Failure::internal(format!("cannot run {}: {e}", program.display())))?;
    Ok(if code == Some(0) { Exit::Success } else { Exit::Failed })
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::internal(format!("cannot write {}: {error}", path.display()))
}
