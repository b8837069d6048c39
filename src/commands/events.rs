//! `cx events`

use clap::Args;
use jiff::Timestamp;

use super::{
    session::{Session, store},
    usage::since,
};
use crate::{
    failure::{Exit, Failure},
    ledger::{Event, Follower, NO_JOB, Record, decode},
    process::watch::Watch,
    ui,
};

/// Print the ledger: every change of every job's state
///
/// `docs/ledger.md` describes each event. A line that cannot be read is
/// reported on stderr and passed over.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Go on as new events come
    #[arg(short, long)]
    follow: bool,

    /// From then on: today, 7d, 12h, 2026-11-20
    #[arg(long, value_name = "D", value_parser = since)]
    since: Option<Timestamp>,

    /// The ledger's own lines
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &EventsArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let mut follower = match args.since {
        None => Follower::new(&session.store, 0),
        Some(time) => Follower::since(&session.store, time).map_err(store)?,
    };
    let watch = args.follow.then(|| watch_ledger(&session)).transpose()?;
    let mut out = ui::out();
    loop {
        let lines = follower.some_lines().map_err(store)?;
        for line in &lines {
            if args.json && decode(line).is_some() {
                out.bytes(line)?;
                continue;
            }
            match decode(line) {
                Some(record) => out.line(sentence(&record))?,
                None if line == b"\n" => {}
                None => ui::warn("a line of the ledger cannot be read, and was passed over"),
            }
        }
        if !lines.is_empty() {
            continue;
        }
        out.flush()?;
        let Some(watch) = &watch else { return Ok(Exit::Success) };
        watch.wait(None).map_err(|e| Failure::internal(format!("cannot watch the ledger: {e}")))?;
    }
}

fn watch_ledger(session: &Session) -> Result<Watch, Failure> {
    let failed = |e: std::io::Error| Failure::internal(format!("cannot watch the ledger: {e}"));
    // Without a ledger yet, its folder is watched until it appears.
    session.store.create().map_err(store)?;
    let watch = Watch::new().map_err(failed)?;
    watch.add(session.store.dir()).map_err(failed)?;
    Ok(watch)
}

fn sentence(record: &Record) -> String {
    let what = match &record.event {
        Event::Spawned(s) => {
            format!("spawned {} ({} on {}): {}", s.name, s.mode, s.backend, s.title)
        }
        Event::Started(s) => format!("supervised by pid {}", s.supervisor.pid),
        Event::Waiting(w) => {
            let after: Vec<_> = w.after.iter().map(ToString::to_string).collect();
            format!("waits for {}", after.join(", "))
        }
        Event::Queued => "waits for its turn".to_owned(),
        Event::Admitted => "its turn has come".to_owned(),
        Event::Based(b) => {
            let of: Vec<_> = b.of.iter().map(ToString::to_string).collect();
            format!("starts from {}, with the work of {}", b.base, of.join(", "))
        }
        Event::Worktree(w) => match &w.why {
            Some(why) => format!("worktree made by {} in {} ms ({why})", w.engine, w.took_ms),
            None => format!("worktree made by {} in {} ms", w.engine, w.took_ms),
        },
        Event::Note(n) => n.text.clone(),
        Event::Running(r) => format!("running as pid {}", r.worker.pid),
        Event::FellOver(f) => format!("{} {}; {} does it", f.from, f.reason, f.to),
        Event::Used(u) => {
            format!("has used {} tokens so far", u.usage.tokens())
        }
        Event::OnHold(h) => {
            format!("on hold until {}: {}", ui::clock(h.until), h.reason)
        }
        Event::HoldOver => "the hold is over".to_owned(),
        Event::KillRequested(k) => {
            format!("asked to be sent {}", crate::process::signals::name(k.signal))
        }
        Event::Exited(e) => match &e.reason {
            Some(reason) => format!("{} ({}): {reason}", e.outcome, e.code),
            None => format!("{} ({})", e.outcome, e.code),
        },
        Event::Lost => "lost: its supervisor vanished".to_owned(),
        Event::Collected => "collected".to_owned(),
        Event::Unmerged(u) => format!("taken back out of {}", u.from),
        Event::Held(h) => format!("held back by a {}: {}", h.by, h.command),
        Event::NotPicked(n) => format!("not picked; {} was", n.picked),
        Event::Merged(m) => format!("merged into {} as {}", m.into, m.commit),
        Event::Cleaned(c) => match &c.kept {
            Some(kept) => format!("cleaned; its work is kept at {kept}"),
            None => "cleaned".to_owned(),
        },
        Event::RunStarted(r) => format!("run {} started: {}", r.run, ui::plural(r.tasks, "task")),
        Event::RunRunning(r) if r.resumed => {
            format!("run {} taken up again by pid {}", r.run, r.runner.pid)
        }
        Event::RunRunning(r) => format!("run {} has pid {}", r.run, r.runner.pid),
        Event::RunRevised(r) => format!("run {} revised: {}", r.run, r.why),
        Event::TaskSkipped(s) => format!("run {}: {} is skipped: {}", s.run, s.task, s.reason),
        Event::RunStopping(s) => format!("run {} starts no more jobs ({})", s.run, s.by),
        Event::RunEnded(e) => match &e.reason {
            Some(reason) => format!("run {} {}: {reason}", e.run, e.outcome.as_str()),
            None => format!("run {} {}", e.run, e.outcome.as_str()),
        },
        Event::Unknown => "something that this version of cx does not know".to_owned(),
    };
    let who = if record.job == NO_JOB { "--".to_owned() } else { record.job.to_string() };
    format!("{}  {who}  {}", ui::clock(record.at), ui::clean(&what))
}
