//! `cx wait`

use std::{
    collections::BTreeSet,
    env,
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    notify::notify,
    runs,
    session::{Recoveries, Session, label, shown_backend, store},
    view,
};
use crate::{
    backend,
    failure::{Exit, Failure},
    job::{Candidate, JobId, parse_duration},
    ledger::{FollowedState, Job},
    process::{
        lock::{self, Waiters, deadline_in},
        signals,
    },
    ui::{self, Align, Notification, Table, progress::Lines},
};

/// How often live lines are drawn. Nothing is polled but the screen.
const FRAME: Duration = Duration::from_millis(250);

/// Wait for jobs to end, and tell how they did
///
/// Without JOB, all live and not yet collected jobs (of this `CX_RUN`, where
/// that is set), but for what failed and was tried again since. The exit code is 0
/// only if every one succeeded; with one JOB it
/// is that job's own. Ctrl-C stops the waiting, not the work. A worker has to name
/// the jobs, and cannot wait for itself or what comes after it.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// The jobs
    #[arg(value_name = "JOB", add = super::candidates::any_job())]
    jobs: Vec<String>,

    /// Wait until this run is over, with all that it has yet to start
    ///
    /// The exit code is 0 only if it succeeded.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["jobs", "any"], add = super::candidates::any_run())]
    run: Option<String>,

    /// Return when one has ended, and print which: its exit code is ours
    ///
    /// With `cx collect "$(cx wait -n)"` in a loop, each job comes once; until it is
    /// collected, the one that ended first comes again.
    #[arg(short = 'n', long)]
    any: bool,

    /// Give up after this long, with exit code 124; the jobs go on
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// Tell me when the waiting is over: on the desktop, or by the terminal and its bell
    #[arg(long)]
    notify: bool,
}

/// Why the waiting ended.
enum Ended {
    Done,
    TimedOut,
    Interrupted,
}

/// Runs the verb.
pub fn run(args: &WaitArgs) -> Result<Exit, Failure> {
    let session = Session::open()?.narrowed(args.run.as_deref())?;
    refuse_own_end(&session, args)?;
    let exit = wait_for_all(&session, args)?;
    // Whoever has pressed Ctrl-C is here.
    if args.notify && exit != Exit::Code(130) {
        let how = match exit {
            Exit::Success => "all well",
            Exit::TimedOut => "still running",
            Exit::NotFound => "no jobs to wait for",
            _ => "not all succeeded",
        };
        let whom = match &args.run {
            Some(run) => format!("run {run}"),
            None if args.jobs.is_empty() => "all jobs".to_owned(),
            None => args.jobs.join(" "),
        };
        notify(&Notification::new(&format!("cx wait: {how}"), &whom), None);
    }
    Ok(exit)
}

fn wait_for_all(session: &Session, args: &WaitArgs) -> Result<Exit, Failure> {
    if let (Some(_), Some(run)) = (&args.run, &session.run)
        && session.store.run(run).dir().exists()
    {
        return wait_for_run(session, args.timeout);
    }
    let mut jobs = if args.jobs.is_empty() {
        let state = session.state()?;
        let wanted = |job: &Job| (job.is_live() || job.is_to_collect()) && session.in_run(job);
        state.jobs.into_values().filter(wanted).collect()
    } else {
        session.jobs_or_groups(&args.jobs)?
    };
    if jobs.is_empty() {
        ui::note("no jobs to wait for");
        return Ok(if args.any { Exit::NotFound } else { Exit::Success });
    }
    // When the first of what is waited for was asked for.
    let begun = jobs.iter().filter(|job| job.is_live()).map(|job| job.spawned_at).min();
    let deadline = args.timeout.and_then(deadline_in);
    match wait(session, &mut jobs, args.any, deadline)? {
        Ended::Done => {}
        Ended::TimedOut => {
            let live = names(&jobs);
            let limit = ui::short(args.timeout.unwrap_or_default());
            if !ui::stderr_is_terminal() {
                tell_failures(session, &jobs);
            }
            ui::note(format_args!("still running after {limit}: {live}"));
            return Ok(Exit::TimedOut);
        }
        Ended::Interrupted => {
            ui::note(format_args!("no longer waiting; these go on: {}", names(&jobs)));
            return Ok(Exit::Code(130));
        }
    }
    if args.any {
        let first = jobs.iter().filter(|job| !job.is_live()).min_by_key(|job| job.ended_at);
        let Some(job) = first else { return Ok(Exit::Failed) };
        tell_failure(session, job);
        let mut out = ui::out();
        out.line(label(job))?;
        out.finish()?;
        return Ok(Exit::Code(code(job)));
    }
    if jobs.len() > 1 {
        catch_up(session, &mut jobs)?;
    }
    // The last lines on a terminal have told already.
    if !ui::stderr_is_terminal() {
        tell_failures(session, &jobs);
    }
    let before = |job: &Job| job.ended_at.zip(begun).is_some_and(|(end, begun)| end < begun);
    let earlier = |job: &&Job| !is_well(job) && before(job);
    let earlier: Vec<_> = jobs.iter().filter(earlier).map(label).collect();
    if args.jobs.is_empty() && !earlier.is_empty() {
        ui::hint(format_args!(
            "failed before these began, and not yet collected: {}; `cx collect` hands them out, \
             and then they count no more",
            earlier.join(", ")
        ));
    }
    match jobs.as_slice() {
        [one] if !args.jobs.is_empty() => Ok(Exit::Code(code(one))),
        all if all.iter().all(is_well) => Ok(Exit::Success),
        _ => Ok(Exit::Failed),
    }
}

/// A worker that waits for its own end, or for what begins after it, waits for ever.
fn refuse_own_end(session: &Session, args: &WaitArgs) -> Result<(), Failure> {
    let Some(own) = env::var("CX_JOB").ok().and_then(|id| id.parse().ok()).map(JobId) else {
        return Ok(());
    };
    let name = env::var("CX_NAME").unwrap_or_default();
    let refused = |what: &str| {
        Err(Failure::usage(format!(
            "the worker of job {own} {name} cannot wait for {what}: it would wait for its own end"
        ))
        .hint("name jobs that do not depend on this one: cx wait JOB"))
    };
    if let Some(run) = &args.run {
        let is_own = session.run.is_some() && env::var("CX_RUN").ok() == session.run;
        return if is_own { refused(&format!("run {run}, which it is part of")) } else { Ok(()) };
    }
    if args.jobs.is_empty() {
        return refused("all jobs");
    }
    let state = session.state()?;
    // In another repository the number is another job's.
    if state.jobs.get(&own).is_none_or(|job| job.spec.name.as_str() != name) {
        return Ok(());
    }
    // A job comes after older ones only: by number each is met after what it waits for.
    let mut later = BTreeSet::from([own]);
    for job in state.jobs.values() {
        if job.spec.after.iter().any(|id| later.contains(id)) {
            later.insert(job.job);
        }
    }
    for job in session.jobs_or_groups(&args.jobs)? {
        if job.job == own {
            return refused("itself");
        }
        if job.is_live() && later.contains(&job.job) {
            return refused(&format!("{}, which comes after it", label(&job)));
        }
    }
    Ok(())
}

/// Whether a job did well, or another does what it failed to do.
fn is_well(job: &Job) -> bool {
    job.succeeded() || job.superseded_by().is_some()
}

/// Those that have failed may have been tried again while the others were waited for.
fn catch_up(session: &Session, jobs: &mut [Job]) -> Result<(), Failure> {
    if jobs.iter().all(Job::succeeded) {
        return Ok(());
    }
    let mut state = session.state()?;
    for job in jobs {
        if let Some(now) = state.jobs.remove(&job.job) {
            *job = now;
        }
    }
    Ok(())
}

/// Waits until nobody works through the run any more, and tells how it is.
fn wait_for_run(session: &Session, timeout: Option<Duration>) -> Result<Exit, Failure> {
    let Some(id) = &session.run else { return Ok(Exit::Failed) };
    let deadline = timeout.and_then(deadline_in);
    let mut waiters =
        Waiters::new(vec![session.store.run(id).lock()]).map_err(|e| wait_failure(&e))?;
    if waiters.next(deadline).is_none() {
        let limit = ui::short(timeout.unwrap_or_default());
        ui::note(format_args!("run {id} still goes on after {limit}"));
        return Ok(Exit::TimedOut);
    }
    let state = session.store.history().map_err(store)?;
    let run = Session::find_run(id, &state)?;
    let status = runs::status(run, false);
    let reason = run.ended.as_ref().and_then(|ended| ended.reason.as_ref());
    let reason = reason.map(|why| format!(": {why}")).unwrap_or_default();
    ui::note(format_args!("run {id} {status}{reason}"));
    let Some(ended) = &run.ended else {
        ui::hint(format_args!("cx run --resume {id}   goes on with it"));
        return Ok(Exit::Failed);
    };
    Ok(if ended.outcome.as_str() == "succeeded" { Exit::Success } else { Exit::Failed })
}

fn code(job: &Job) -> u8 {
    job.exited.as_ref().map_or(1, |exited| exited.code)
}

fn names(jobs: &[Job]) -> String {
    jobs.iter().filter(|job| job.is_live()).map(label).collect::<Vec<_>>().join(", ")
}

fn tell_failures(session: &Session, jobs: &[Job]) {
    for job in jobs {
        tell_failure(session, job);
    }
}

/// Names a job that did not succeed, and why.
pub(super) fn tell_failure(session: &Session, job: &Job) {
    let Some(exited) = job.exited.as_ref().filter(|exited| !exited.outcome.is_success()) else {
        return;
    };
    let mut status = view::status_with_code(job);
    if let Some(next) = job.superseded_by() {
        status = format!("{status}, tried again as {next}");
    }
    match &exited.reason {
        Some(reason) => ui::note(format_args!("{} {status}: {}", label(job), ui::clean(reason))),
        None => ui::note(format_args!("{} {status}", label(job))),
    }
    let reason = exited.reason.as_deref().unwrap_or_default();
    let backend = shown_backend(&session.store.job(job.job), job);
    if let Some(hint) = backend::hint(&backend, &exited.outcome, reason) {
        ui::hint(hint);
    }
    if let Some(hint) = view::checkpoint_hint(job) {
        ui::hint(hint);
    }
}

/// Waits until `jobs` have ended, or one of them, and brings them up to date.
fn wait(
    session: &Session,
    jobs: &mut [Job],
    any: bool,
    deadline: Option<Instant>,
) -> Result<Ended, Failure> {
    let screen = ui::stderr_is_terminal().then(|| {
        // The line below the last belongs to the cursor.
        Lines::new(jobs.len().min(ui::stderr_rows().saturating_sub(1).max(1)))
    });
    let interrupted = match &screen {
        Some(_) => Some(
            signals::interrupt_flag()
                .map_err(|e| Failure::internal(format!("cannot listen for Ctrl-C: {e}")))?,
        ),
        None => None,
    };
    let done = |jobs: &[Job]| {
        if any { jobs.iter().any(|job| !job.is_live()) } else { !jobs.iter().any(Job::is_live) }
    };
    let mut recoveries: Option<Recoveries> = None;
    let mut followed = session.store.follow_state().map_err(store)?;
    let ended = 'waiting: loop {
        if done(jobs) {
            break Ended::Done;
        }
        // Here again: a lock was free whose job is not over.
        if let (Some(recoveries), Some(job)) =
            (&mut recoveries, jobs.iter().find(|job| job.is_live()))
        {
            recoveries.failed(session, job)?;
        }
        recoveries.get_or_insert_default();
        // Nothing to draw and nothing else to wait for: one lock after the
        // other, without a thread.
        if screen.is_none() && deadline.is_none() && !any {
            for job in jobs.iter().filter(|job| job.is_live()) {
                lock::wait(&session.store.job(job.job).lock()).map_err(|e| wait_failure(&e))?;
            }
            refresh(session, &mut followed, jobs)?;
            continue;
        }
        let live: Vec<JobId> = jobs.iter().filter(|job| job.is_live()).map(|job| job.job).collect();
        let locks = live.iter().map(|id| session.store.job(*id).lock()).collect();
        let mut waiters = Waiters::new(locks).map_err(|e| wait_failure(&e))?;
        while !waiters.is_done() {
            let frame = screen.as_ref().and_then(|_| deadline_in(FRAME));
            let until = match (frame, deadline) {
                (Some(frame), Some(deadline)) => Some(frame.min(deadline)),
                (frame, deadline) => frame.or(deadline),
            };
            let freed = waiters.next(until);
            if interrupted
                .as_ref()
                .is_some_and(|flag| flag.load(std::sync::atomic::Ordering::Relaxed))
            {
                break 'waiting Ended::Interrupted;
            }
            if freed.is_some() || screen.is_some() {
                refresh(session, &mut followed, jobs)?;
            }
            if let Some(screen) = &screen {
                draw(session, screen, jobs);
            }
            if freed.is_some() && done(jobs) {
                break 'waiting Ended::Done;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break 'waiting Ended::TimedOut;
            }
            let freed = freed.and_then(|index| live.get(index));
            if jobs.iter().any(|job| Some(&job.job) == freed && job.is_live()) {
                // Lost: its recovery has the lock, and is waited for as well.
                continue 'waiting;
            }
        }
        refresh(session, &mut followed, jobs)?;
    };
    if let (Some(screen), Ended::Interrupted) = (&screen, &ended) {
        screen.leave();
        ui::plain("");
    } else if let Some(screen) = &screen {
        screen.clear();
        // What was watched stays on the screen as it ended; in a loop of `-n`
        // that would be the same lines again and again.
        let stays = if any { Vec::new() } else { lines(session, jobs) };
        stays.into_iter().for_each(ui::plain);
    }
    Ok(ended)
}

/// Brings `jobs` up to date. A lock that is free without an end in the ledger
/// means a lost job; looking at the state takes care of it, and its recovery
/// holds the lock again.
fn refresh(
    session: &Session,
    followed: &mut FollowedState<'_>,
    jobs: &mut [Job],
) -> Result<(), Failure> {
    session.look(followed)?;
    for job in jobs.iter_mut().filter(|job| job.is_live()) {
        match followed.state().jobs.get(&job.job) {
            Some(now) => job.clone_from(now),
            None => job.clone_from(&session.fresh(job.job)?),
        }
    }
    Ok(())
}

/// Where there are more jobs than lines, those that are live are drawn first of
/// all, and the last line counts the others.
fn draw(session: &Session, screen: &Lines, jobs: &[Job]) {
    let lines = lines(session, jobs);
    if lines.len() <= screen.count() {
        screen.show(&lines);
        return;
    }
    let (live, over): (Vec<usize>, Vec<usize>) =
        (0..jobs.len()).partition(|index| jobs.get(*index).is_some_and(Job::is_live));
    let room = screen.count().saturating_sub(1);
    let mut shown: Vec<usize> = live.iter().chain(over.iter().rev()).copied().take(room).collect();
    shown.sort_unstable();
    let more = lines.len() - room;
    let mut rows: Vec<String> =
        shown.iter().filter_map(|index| lines.get(*index).cloned()).collect();
    rows.push(format!("and {more} more; {} live, {} over", live.len(), over.len()));
    screen.show(&rows);
}

/// A line for each job: how far it is, and what it does now or why it failed.
fn lines(session: &Session, jobs: &[Job]) -> Vec<String> {
    let ids: Vec<JobId> = jobs.iter().map(Candidate::id).collect();
    let mut table =
        Table::new(&[Align::Right, Align::Left, Align::Right, Align::Left, Align::Left]);
    for job in jobs {
        let doing = view::activity_with_report(job, &session.store.job(job.job))
            .or_else(|| job.exited.as_ref().and_then(|exited| exited.reason.clone()))
            .unwrap_or_else(|| job.spec.title.clone());
        table.row(vec![
            format!("[{}]{}", job.job.0, view::mark(&ids, job.job)),
            view::status_with_code(job),
            ui::short(view::elapsed(job)),
            job.spec.name.to_string(),
            ui::clean(&doing),
        ]);
        table.paint(1, view::colour(job));
    }
    table.lines(Some(ui::stderr_columns()), &[4, 3])
}

fn wait_failure(error: &std::io::Error) -> Failure {
    Failure::internal(format!("cannot wait for a job's lock: {error}")).maybe_hint(
        lock::are_too_many(error).then(|| {
            "wait for fewer jobs at once, or raise the limits: `ulimit -n`, `ulimit -u`".to_owned()
        }),
    )
}
