//! `cx kill`

use std::{ffi::OsString, time::Duration};

use clap::Args;

use super::session::{Recoveries, Session, label, refuse_in_worker, store};
use crate::{
    failure::{Exit, Failure},
    job::{JobId, ProcessRef},
    ledger::{Event, Job, KillRequested, Phase},
    process::{lock, lock::deadline_in, signals, tree, watch::Watch},
    ui,
};

/// End jobs: the worker and everything that it started
///
/// The signal goes to every process of the job; what is left after the grace
/// time (5 s unless configured) is killed. What a writer did so far is committed
/// on its branch. Returns when nothing of the job runs any more.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// The signal, by name or number; -9 and -KILL are understood as well
    ///
    /// KILL ends at once; STOP and CONT pause and go on; USR1, USR2 and the
    /// like are passed on to the worker. CONT also ends the hold of a job that waits
    /// until a model's service may be asked again.
    #[arg(short, long, value_name = "SIG", default_value = "TERM", add = super::candidates::signal())]
    signal: String,

    /// All live jobs (of this `CX_RUN`, where that is set)
    #[arg(long, conflicts_with = "jobs")]
    all: bool,

    /// The live jobs of this run, which starts no more then
    #[arg(long, value_name = "RUN", conflicts_with_all = ["jobs", "all"], add = super::candidates::live_run())]
    run: Option<String>,

    /// The jobs
    #[arg(value_name = "JOB", required_unless_present_any = ["all", "run"], add = super::candidates::live_job())]
    jobs: Vec<String>,
}

/// A command line of `cx kill`, with `-9` and `-KILL` as `--signal=9` and
/// `--signal=KILL`: that is how everybody's fingers write it.
pub fn in_full(args: &[OsString]) -> Vec<OsString> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let full = |(at, arg): (usize, &OsString)| {
        let word = arg.to_str().and_then(|word| word.strip_prefix('-')).filter(|_| at < end);
        let is_signal = |word: &&str| {
            // Options have small letters.
            word.starts_with(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase())
                && signals::number(word).is_some()
        };
        let is_value = at > 0 && matches!(args[at - 1].to_str(), Some("-s" | "--signal"));
        match word.filter(is_signal) {
            Some(word) if !is_value => format!("--signal={word}").into(),
            _ => arg.clone(),
        }
    };
    args.iter().enumerate().map(full).collect()
}

/// Runs the verb.
pub fn run(args: &KillArgs) -> Result<Exit, Failure> {
    let Some(signal) = signals::number(&args.signal) else {
        return Err(Failure::usage(format!("'{}' is not a signal", args.signal))
            .hint("TERM, INT, KILL, HUP, STOP, CONT, ... or a number; `kill -l` lists them"));
    };
    refuse_in_worker("kill jobs")?;
    let session = Session::open()?.narrowed(args.run.as_deref())?;
    if args.run.is_some() && signals::ends(signal) {
        stop_run(&session)?;
    }
    let jobs: Vec<Job> = if args.all || args.run.is_some() {
        let state = session.state()?;
        state.jobs.into_values().filter(|job| job.is_live() && session.in_run(job)).collect()
    } else {
        session.jobs_or_groups(&args.jobs)?
    };
    let (live, over): (Vec<_>, Vec<_>) = jobs.into_iter().partition(Job::is_live);
    for job in &over {
        let status = super::view::status(job);
        ui::note(format_args!("{} has already ended: {status}", label(job)));
    }
    if live.is_empty() && (args.all || args.run.is_some()) {
        ui::note("no live jobs");
    }
    let mut unheard = false;
    for job in &live {
        if !request(&session, job, signal)? {
            unheard = true;
            let name = signals::name(signal);
            ui::note(format_args!("{} has no worker yet that could get {name}", label(job)));
        }
    }
    if signals::ends(signal) {
        // What has ended is read once for all of them.
        let mut followed = session.store.follow_state().map_err(store)?;
        for job in &live {
            let path = session.store.job(job.job).lock();
            lock::wait(&path).map_err(|e| {
                Failure::internal(format!("cannot wait for the lock {}: {e}", path.display()))
            })?;
            followed.look().map_err(store)?;
            let ended = match followed.state().jobs.get(&job.job) {
                Some(ended) if !ended.is_live() => ended.clone(),
                // It is lost.
                _ => session.until_over(job)?,
            };
            ui::note(format_args!("{} {}", label(job), super::view::status_with_code(&ended)));
        }
    }
    let exit = if over.is_empty() && !unheard { Exit::Success } else { Exit::Failed };
    if let (Some(run), true) =
        (session.run.as_ref().filter(|_| args.run.is_some()), signals::ends(signal))
    {
        let path = session.store.run(run).lock();
        if !path.exists() {
            // Jobs with its name (`CX_RUN`), through which nobody works.
            return Ok(exit);
        }
        lock::wait(&path).map_err(|e| {
            Failure::internal(format!("cannot wait for the lock {}: {e}", path.display()))
        })?;
    }
    Ok(exit)
}

/// Has whoever works through the run start no more, and returns once that is so.
fn stop_run(session: &Session) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::internal(format!("cannot stop the run: {e}"));
    let Some(id) = &session.run else { return Ok(()) };
    let watch = Watch::new().map_err(failed)?;
    watch.add(session.store.dir()).map_err(failed)?;
    let mut asked = None;
    loop {
        let state = session.store.state().map_err(store)?;
        let Some(run) = state.runs.get(id) else { return Ok(()) };
        if run.stopping.is_some() || !session.is_worked_through(run)? {
            return Ok(());
        }
        if run.runner != asked {
            asked = run.runner;
            if let Some(runner) = asked {
                tree::signal(runner, signals::TERM).map_err(failed)?;
            }
        }
        // One that is killed writes nothing, so look again now and then.
        watch.wait(deadline_in(Duration::from_millis(200))).map_err(failed)?;
    }
}

/// Writes the request into the ledger. A signal that is to end the job is the
/// supervisor's to send, which is woken; any other is sent at once, so that a
/// job is stopped when `cx kill -s STOP` returns. `false`: nobody was there to
/// get it.
pub(super) fn request(session: &Session, job: &Job, signal: i32) -> Result<bool, Failure> {
    session
        .store
        .append(job.job, &Event::KillRequested(KillRequested { signal }))
        .map_err(store)?;
    let Some(supervisor) = supervisor(session, job)? else { return Ok(true) };
    // One on hold has no worker that could go on: what goes on is the job.
    let is_for_job = job.phase == Phase::OnHold && signal == signals::CONT;
    let sent = if signals::ends(signal) || is_for_job {
        tree::signal(supervisor, signals::REQUEST).map(|_| true)
    } else {
        tree::signal_all_below(supervisor, signal)
    };
    let sent = sent.map_err(|e| {
        Failure::internal(format!("cannot signal the processes of {}: {e}", label(job)))
            .hint(format!("are they yours? `cx show {}` has their numbers", job.spec.name))
    })?;
    if signals::name(signal) == "STOP" && sent {
        until_stopped(session, job.job)?;
    }
    Ok(sent)
}

/// Returns once the worker stands still. The kernel stops it a little after it is sent
/// the signal, and tells nobody but its parent.
fn until_stopped(session: &Session, id: JobId) -> Result<(), Failure> {
    const LOOKS: u32 = 100;
    let Some(worker) = session.fresh(id)?.worker else { return Ok(()) };
    for _ in 0..LOOKS {
        if tree::is_stopped(worker) || !tree::is_alive(worker) {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// The job's supervisor; a moment after the spawn it has not said yet who it
/// is. `None` when the job has ended meanwhile.
fn supervisor(session: &Session, job: &Job) -> Result<Option<ProcessRef>, Failure> {
    if let Some(supervisor) = job.supervisor.filter(|process| tree::is_alive(*process)) {
        return Ok(Some(supervisor));
    }
    let id = job.job;
    let failed = |e: std::io::Error| Failure::internal(format!("cannot watch the ledger: {e}"));
    let watch = Watch::new().map_err(failed)?;
    watch.add(session.store.dir()).map_err(failed)?;
    let mut recoveries = Recoveries::default();
    loop {
        let job = session.fresh(id)?;
        if !job.is_live() {
            return Ok(None);
        }
        if let Some(supervisor) = job.supervisor.filter(|process| tree::is_alive(*process)) {
            return Ok(Some(supervisor));
        }
        let path = session.store.job(id).lock();
        if !lock::is_held(&path).map_err(failed)? {
            recoveries.failed(session, &job)?;
        }
        // A supervisor that dies writes nothing, so look again now and then.
        watch.wait(deadline_in(Duration::from_millis(200))).map_err(failed)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_may_stand_as_it_does_for_kill() {
        let full = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            in_full(&words).join(" ".as_ref()).into_string().expect("text")
        };
        assert_eq!(full("cx kill -9 a"), "cx kill --signal=9 a");
        assert_eq!(full("cx kill a -KILL"), "cx kill a --signal=KILL");
        assert_eq!(full("cx kill -SIGINT %1"), "cx kill --signal=SIGINT %1");
        for same in [
            "cx kill -s 9 a",
            "cx kill -sKILL a",
            "cx kill -s -9 a",
            "cx kill -NONE a",
            "cx kill -999 a",
            "cx kill -- -9",
        ] {
            assert_eq!(full(same), same);
        }
    }
}
