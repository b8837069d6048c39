//! `cx pick`

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::{
    merge::{self, MergeArgs},
    session::{Session, label, refuse_in_worker, store},
};
use crate::{
    failure::{Exit, Failure},
    job::{JobId, Mode},
    ledger::{Event, Job, NotPicked},
    ui,
};

const ABOUT: &str = "Merge one job of a group, and give the others up";
const LONG_ABOUT: &str = "\
Merge one job of a group, and give the others up

A group is what `cx spawn -N` or `--with` has started on one task. All of it has
to be over. Everything is as with `cx merge`; once the job has landed, `cx clean`
takes the others, and keeps their branches under `refs/cx/trash/`. `cx merge
--undo` takes the pick back.";

/// `cx pick`: the options of `cx merge` for one job.
#[derive(Debug)]
pub struct PickArgs {
    merge: MergeArgs,
}

impl Args for PickArgs {
    fn augment_args(cmd: Command) -> Command {
        MergeArgs::augment_args(cmd)
            .about(ABOUT)
            .long_about(LONG_ABOUT)
            .mut_arg("jobs", |arg| arg.required(true).help("The job").value_name("JOB"))
            .mut_arg("undo", |arg| arg.hide(true))
            .mut_arg("in_order", |arg| arg.hide(true))
    }

    fn augment_args_for_update(cmd: Command) -> Command {
        Self::augment_args(cmd)
    }
}

impl FromArgMatches for PickArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { merge: MergeArgs::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.merge.update_from_arg_matches(matches)
    }
}

/// Runs the verb.
pub fn run(args: &PickArgs) -> Result<Exit, Failure> {
    refuse_in_worker("pick")?;
    let session = Session::open()?;
    let job = session.job(&args.merge.jobs)?;
    let others = others(&session, &job)?;
    let all: Vec<JobId> = others.iter().filter(|job| job.merged.is_none()).map(|j| j.job).collect();
    let exit = merge::merge(&args.merge, &all)?;
    if exit != Exit::Success || args.merge.dry_run {
        return Ok(exit);
    }
    if session.fresh(job.job)?.merged.is_none() {
        ui::note(format_args!("{} has landed nothing, so none was picked", label(&job)));
        return Ok(Exit::Failed);
    }
    let given_up: Vec<&Job> = others.iter().filter(|other| other.merged.is_none()).collect();
    // One that was merged before is picked only now.
    let mut open = Vec::new();
    for other in &given_up {
        if session.fresh(other.job)?.not_picked.is_none() {
            open.push(other.job);
        }
    }
    if !open.is_empty() {
        let picked = Event::NotPicked(NotPicked { picked: job.job });
        session.store.append_all(&open, &picked).map_err(store)?;
    }
    for other in given_up {
        ui::note(format_args!(
            "{} was not picked; `cx clean` takes it and keeps its branch under refs/cx/trash/",
            label(other)
        ));
    }
    Ok(exit)
}

/// The rest of a job's group, which has to be over.
fn others(session: &Session, job: &Job) -> Result<Vec<Job>, Failure> {
    let Some(group) = job.spec.group.as_ref().filter(|_| job.spec.mode == Mode::Writer) else {
        return Err(Failure::usage(format!(
            "{} is in no group, so there is nothing to pick it from; nothing was merged",
            label(job)
        ))
        .hint(format!("cx merge {}", job.spec.name)));
    };
    let jobs = session.history()?.jobs.into_values();
    let others: Vec<Job> = jobs
        .filter(|other| other.spec.group.as_ref() == Some(group) && other.job != job.job)
        .collect();
    if let Some(live) = others.iter().find(|other| other.is_live()) {
        return Err(Failure::usage(format!(
            "{} of the same group is not over yet; nothing was merged",
            label(live)
        ))
        .hint(format!("cx wait {0}, or cx kill {0}", live.spec.name)));
    }
    Ok(others)
}
