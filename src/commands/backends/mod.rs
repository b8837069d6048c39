//! `cx backends`

mod catalog;

use std::{env, path::PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    doctor::ask,
    session::{Session, label},
    settings::Settings,
};
use crate::{
    backend::{self, Backend, Family, program},
    failure::{Exit, Failure},
    job::{BackendName, Mode, Outcome},
    ledger::{Job, State},
    ui::{self, Align, Table},
};

pub(super) use catalog::Catalog;
use catalog::Whence;

/// List what can do a job's work
///
/// That are codex, claude, http and sh, the ready definitions that come with cx, and
/// `[backends.NAME]` of the configuration (`cx man backends`). Each with its program, what
/// it can do, and how its last job in this repository ended: whether it has ever run
/// here. With a name it says all about that one, and asks its program for its version.
#[derive(Debug, Args)]
pub struct BackendsArgs {
    /// Only this one, with all that is known of it
    #[arg(value_name = "NAME", add = super::candidates::backend())]
    name: Option<String>,

    /// Ask each program for its version
    #[arg(long)]
    versions: bool,

    /// One JSON array, or one object where a NAME is given
    #[arg(long)]
    json: bool,
}

/// A backend for people and scripts.
#[derive(Debug, Serialize)]
struct View {
    name: BackendName,
    /// `built-in`, `ready`, or the file.
    from: String,
    /// Its line, where it is a file.
    line: Option<u64>,
    /// Whether it does the work that nobody names a backend for.
    default: bool,
    /// The program, if it is there.
    program: Option<PathBuf>,
    /// What it says of its version, if it was asked.
    version: Option<String>,
    /// How to install it.
    install: Option<String>,
    /// Why it cannot be used, where its program is not there.
    missing: Option<String>,
    modes: Vec<Mode>,
    /// A conversation can be taken up again.
    resumes: bool,
    /// It says what it used.
    usage: bool,
    /// It can be told a model.
    model: bool,
    /// What it is.
    about: Option<String>,
    /// Where it is known from how it works.
    checked: Option<String>,
    /// Its last job here that is over.
    last: Option<Last>,
}

/// How a backend did here.
#[derive(Debug, Serialize)]
struct Last {
    job: u64,
    name: String,
    status: Outcome,
    ended_at: Option<Timestamp>,
}

/// Runs the verb.
pub fn run(args: &BackendsArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let settings = Settings::load(&session)?;
    for note in &settings.notes {
        ui::warn(note);
    }
    // Who did a job long ago counts as well.
    let history = session.history()?;
    let asks = args.versions || args.name.is_some();
    let view = |name: BackendName| view(name, &session, &settings, &history, asks);
    let mut out = ui::out();
    if let Some(word) = &args.name {
        let name = settings.choice(word)?.first();
        let Some(view) = view(name) else {
            return Err(Failure::usage(format!("there is no backend '{word}'")));
        };
        if args.json {
            out.json(&view)?;
        } else {
            details(&view).lines(None, &[]).iter().try_for_each(|line| out.line(line))?;
        }
        out.finish()?;
        return Ok(Exit::Success);
    }
    let all: Vec<View> = settings.catalog.names().into_iter().filter_map(view).collect();
    if args.json {
        out.json(&all)?;
    } else {
        let columns = ui::is_terminal().then(ui::columns);
        let lines = listing(&all).lines(columns, &[4, 1]);
        lines.iter().try_for_each(|line| out.line(line))?;
    }
    out.finish()?;
    Ok(Exit::Success)
}

fn view(
    name: BackendName,
    session: &Session,
    settings: &Settings,
    history: &State,
    asks: bool,
) -> Option<View> {
    let (backend, whence) = settings.catalog.find(name)?;
    let path = env::var_os("PATH").unwrap_or_default();
    let configured = settings.config.of_backend(name).and_then(|own| own.program.as_ref());
    let configured = configured.map(|program| program.value.as_path());
    let found = program::locate(&backend, configured, &path);
    let missing = found.as_ref().err().map(ToString::to_string);
    let program = found.ok().map(|found| found.path);
    let definition = match &backend.family {
        Family::Command(command) => Some(command),
        Family::Codex | Family::Claude | Family::Http | Family::Sh => None,
    };
    let (from, line) = match whence {
        Whence::BuiltIn => ("built-in".to_owned(), None),
        Whence::Ready => ("ready".to_owned(), None),
        Whence::File(path, line) => (path.display().to_string(), Some(line)),
    };
    let version = program.as_ref().filter(|_| asks).and_then(|program| {
        let answer = ask(session, program, &version_args(&backend)?).ok()?;
        let said = String::from_utf8_lossy(&answer.stdout).into_owned();
        let line = said.lines().map(ui::clean).find(|line| !line.is_empty());
        line.filter(|_| answer.code == Some(0))
    });
    let last = history.jobs.values().rev().find(|job| job.spec.backend == name && ran(job));
    Some(View {
        name,
        from,
        line,
        default: settings.config.backend.names().any(|other| other == name),
        version,
        install: program::install(&backend).map(str::to_owned),
        missing,
        program,
        modes: [Mode::Reader, Mode::Writer]
            .into_iter()
            .filter(|mode| backend::can(&backend, *mode))
            .collect(),
        resumes: backend::has_threads(&backend),
        usage: backend::tells_usage(&backend),
        model: backend::takes_model(&backend),
        about: definition.and_then(|command| command.about.clone()),
        checked: definition.and_then(|command| command.checked.clone()),
        last: last.and_then(|job| {
            let exited = job.exited.as_ref()?;
            Some(Last {
                job: job.job.0,
                name: label(job),
                status: exited.outcome.clone(),
                ended_at: job.ended_at,
            })
        }),
    })
}

/// Whether its worker has run and is over.
fn ran(job: &Job) -> bool {
    job.running_at.is_some() && job.exited.is_some()
}

/// The arguments with which a program says its version.
pub(super) fn version_args(backend: &Backend) -> Option<Vec<std::ffi::OsString>> {
    let words = match &backend.family {
        Family::Codex | Family::Claude | Family::Http => vec!["--version".into()],
        Family::Sh => Vec::new(),
        Family::Command(command) => command.version.iter().map(Into::into).collect(),
    };
    (!words.is_empty()).then_some(words)
}

fn listing(all: &[View]) -> Table {
    let mut table = Table::new(&[Align::Left; 5]);
    for view in all {
        let default = if view.default { "*" } else { "" };
        let (program, colour) = match (&view.program, &view.version) {
            (Some(path), Some(version)) => (format!("{version} at {}", path.display()), ui::GOOD),
            (Some(path), None) => (path.display().to_string(), ui::GOOD),
            (None, _) => ("not installed".to_owned(), ui::ODD),
        };
        table.row(vec![
            format!("{}{default}", view.name),
            program,
            modes(view),
            abilities(view),
            last(view),
        ]);
        table.paint(1, colour);
    }
    table
}

fn details(view: &View) -> Table {
    let mut table = Table::new(&[Align::Left, Align::Left]);
    let mut row = |key: &str, value: String| {
        if !value.is_empty() {
            table.row(vec![key.to_owned(), value]);
        }
    };
    let text = |value: &Option<String>| ui::clean(value.as_deref().unwrap_or_default());
    row("backend", view.name.to_string());
    row("about", text(&view.about));
    row(
        "from",
        match view.line {
            Some(line) => format!("{}:{line}", view.from),
            None => view.from.clone(),
        },
    );
    row("known by", text(&view.checked));
    row("default", if view.default { "yes".to_owned() } else { String::new() });
    row("program", view.program.as_ref().map(|p| p.display().to_string()).unwrap_or_default());
    row("missing", text(&view.missing));
    row("version", text(&view.version));
    row("install", text(&view.install));
    row("jobs", modes(view));
    row("can", abilities(view));
    row("last job", last(view));
    table
}

fn modes(view: &View) -> String {
    let word = |mode: &Mode| match mode {
        Mode::Reader => "reads",
        Mode::Writer => "writes",
    };
    view.modes.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn abilities(view: &View) -> String {
    let all = [(view.model, "model"), (view.usage, "usage"), (view.resumes, "resume")];
    let can: Vec<&str> = all.iter().filter(|(can, _)| *can).map(|(_, word)| *word).collect();
    can.join(", ")
}

fn last(view: &View) -> String {
    match &view.last {
        Some(last) => {
            let at = last.ended_at.map(ui::clock).unwrap_or_default();
            format!("{} {} {at}", last.name, last.status)
        }
        None => "never run here".to_owned(),
    }
}
