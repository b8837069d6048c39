//! `cx compare --verify`: the check, run on what each writer would bring.
//!
//! A writer's result is its work merged onto the branch that is checked out, as
//! `cx merge` would do it; where that does not merge, or is there already, it is
//! what the writer has by itself.

use serde::Serialize;

use crate::{
    commands::{
        check::{Check, Checker},
        session::{Session, git},
    },
    failure::{Exit, Failure},
    git::{
        CommitMessage, Oid, Place, Repo,
        merge::{self, Candidate, MergeError, Order, Style, Target, Verdict},
    },
};

/// What the check says of a writer's result.
#[derive(Serialize)]
pub(super) struct Checked {
    /// `green`, `red`, `timed-out`.
    pub(super) result: &'static str,
    /// The exit code, or 128 + signal.
    pub(super) code: Option<u8>,
    /// How long it took; of a tree that two have in common it is the same run.
    pub(super) seconds: f64,
    /// What it ran on: `merged`, or `branch` (the work without the target's news).
    pub(super) on: &'static str,
    /// What it wrote.
    pub(super) log: String,
}

impl Checked {
    /// For a table.
    pub(super) fn words(&self) -> String {
        let alone = if self.on == "branch" { ", by itself" } else { "" };
        match (self.result, self.code) {
            ("red", Some(code)) => format!("red ({code}){alone}"),
            (result, _) => format!("{result}{alone}"),
        }
    }
}

/// Runs the check on each of `tips`, a commit with the name of its job.
pub(super) fn check(
    session: &Session,
    place: &Place,
    given: Option<&str>,
    tips: &[(String, Oid)],
) -> Result<Vec<Checked>, Failure> {
    let so = "nothing was compared";
    let wanted = Check::wanted(session, given, None, so).map_err(|failure| match given {
        None => failure.hint("`cx trust` shows it and remembers that you trust it"),
        Some(_) => failure,
    })?;
    let Some(check) = wanted else {
        return Err(Failure::usage(format!("--verify needs a command; {so}"))
            .hint("give --verify CMD, or set merge.verify in the configuration"));
    };
    let repo = Repo::open(place);
    let target = match Target::find(&repo, None) {
        Ok(target) => Some(target),
        Err(MergeError::Detached) => None,
        Err(error) => return Err(Failure::new(Exit::Failed, format!("{error}; {so}"))),
    };
    let mut checker = Checker::new(session, &repo, check)?;
    let mut all = Vec::new();
    for (name, tip) in tips {
        let merged = match &target {
            Some(target) => merged(&repo, target, name, tip)?,
            None => None,
        };
        let (commit, on) = merged.map_or((tip.clone(), "branch"), |commit| (commit, "merged"));
        let run = checker.run(&commit, vec![name.clone()], name)?;
        all.push(Checked {
            result: run.result,
            code: run.code,
            seconds: run.seconds,
            on,
            log: run.log.clone(),
        });
    }
    Ok(all)
}

/// The target with a job's work in it; none where it does not merge, or has it.
fn merged(repo: &Repo, target: &Target, name: &str, tip: &Oid) -> Result<Option<Oid>, Failure> {
    let message =
        CommitMessage { subject: format!("Try {name}"), body: String::new(), trailers: Vec::new() };
    let candidate = Candidate { key: name.to_owned(), tip: tip.clone(), start: None, message };
    let plan = merge::plan(repo, &target.tip, &[candidate], Style::Merge, Order::AsGiven);
    let plan = plan.map_err(git)?;
    Ok(match plan.entries.first().map(|entry| &entry.verdict) {
        Some(Verdict::Landed { .. } | Verdict::NoChanges) => Some(plan.result),
        _ => None,
    })
}
