//! `cx doctor`
//!
//! It looks and mends nothing: not even jobs whose supervisor has vanished,
//! which every other command takes over.

mod backends;
mod claude;
mod jobs;
mod programs;
mod settings;
mod state;
mod trees;

pub(super) use programs::ask;

use clap::Args;
use serde::Serialize;

use super::session::Session;
use crate::{
    failure::{Exit, Failure},
    ui,
};

/// Look for what keeps cx from working, and say how to mend it
///
/// It looks at git, codex with its login and its sandbox, claude where it is
/// there, other backends that are there or configured, the confinement of readers, the configuration, the state folder, the ledger, jobs and
/// worktrees. It changes nothing. The exit code is 1 when there is a problem;
/// notes are worth knowing, and no problem. `codex doctor`, which it asks about
/// the login, tries to reach the model's service.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Say it as one JSON object
    #[arg(long)]
    json: bool,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Ok,
    Note,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    /// What was looked at, in a word or two.
    topic: &'static str,
    /// What was found: a sentence, or a few words where it is well.
    text: String,
    /// What to do about it.
    mend: Option<String>,
}

/// All that was found, in the order in which it was looked at.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        level: Level,
        topic: &'static str,
        text: impl Into<String>,
        mend: Option<String>,
    ) {
        self.0.push(Finding { level, topic, text: text.into(), mend });
    }

    fn ok(&mut self, topic: &'static str, text: impl Into<String>) {
        self.add(Level::Ok, topic, text, None);
    }

    fn note(&mut self, topic: &'static str, text: impl Into<String>, mend: impl Into<String>) {
        self.add(Level::Note, topic, text, Some(mend.into()));
    }

    fn problem(&mut self, topic: &'static str, text: impl Into<String>, mend: impl Into<String>) {
        self.add(Level::Problem, topic, text, Some(mend.into()));
    }

    /// What could not be looked at is a problem too.
    fn failure(&mut self, topic: &'static str, failure: Failure) {
        self.add(Level::Problem, topic, failure.message, failure.hint);
    }

    /// Says that all is well with `topic`, unless something was found.
    fn ok_unless_said(&mut self, topic: &'static str, text: impl Into<String>) {
        if self.0.iter().all(|finding| finding.topic != topic) {
            self.ok(topic, text);
        }
    }
}

/// Runs the verb.
pub fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let mut findings = Findings::default();
    programs::git(&mut findings);
    match Session::open() {
        Ok(session) => look(&session, &mut findings),
        // Nothing can be told of what depends on the place.
        Err(failure) => findings.failure("place", failure),
    }
    report(args, &findings)
}

fn look(session: &Session, findings: &mut Findings) {
    let settings = settings::look(session, findings);
    if let Some(settings) = &settings {
        programs::codex(session, settings, findings);
        claude::look(session, settings, findings);
        backends::look(session, settings, findings);
        programs::mcp(settings, findings);
    }
    programs::confinement(findings);
    state::look(session, settings.as_ref(), findings);
    jobs::look(session, findings);
    if let Some(place) = &session.place {
        trees::look(session, place, settings.as_ref(), findings);
    }
}

#[derive(Serialize)]
struct Report<'a> {
    problems: usize,
    findings: &'a [Finding],
}

fn report(args: &DoctorArgs, findings: &Findings) -> Result<Exit, Failure> {
    let problems = findings.0.iter().filter(|finding| finding.level == Level::Problem).count();
    let mut out = ui::out();
    if args.json {
        out.json(&Report { problems, findings: &findings.0 })?;
    } else {
        let wide = findings.0.iter().map(|finding| finding.topic.len()).max().unwrap_or(0);
        for finding in &findings.0 {
            let (style, word) = match finding.level {
                Level::Ok => (ui::GOOD, "ok"),
                Level::Note => (ui::ODD, "note"),
                Level::Problem => (ui::BAD, "problem"),
            };
            let text = ui::clean(&finding.text);
            out.line(format_args!("{style}{word:<7}{style:#}  {:<wide$}  {text}", finding.topic))?;
            if let Some(mend) = &finding.mend {
                out.line(format_args!("{:<7}  {:<wide$}  to mend: {}", "", "", ui::clean(mend)))?;
            }
        }
    }
    out.finish()?;
    if problems > 0 {
        ui::note(format_args!("{} found", ui::plural(problems as u64, "problem")));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Success)
}
