//! Lines of the ledger: events encoded and decoded.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{Event, Record, VERSION};
use super::redact::redacted;
use crate::job::JobId;

#[derive(Serialize)]
struct Line<'a, T> {
    v: u32,
    #[serde(serialize_with = "millis")]
    t: Timestamp,
    ev: &'a str,
    job: JobId,
    #[serde(flatten)]
    body: &'a T,
}

/// Always three digits, so that times sort as text.
fn millis<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

#[derive(Serialize)]
struct Nothing {}

/// The fields that every line has. Borrowed, so that a fold which wants only
/// these stays cheap.
#[derive(Deserialize)]
struct Head<'a> {
    v: u32,
    t: Timestamp,
    #[serde(borrow)]
    ev: std::borrow::Cow<'a, str>,
    job: JobId,
}

type Encoded = Result<Vec<u8>, jsonl::WriteError>;

/// Encodes one event as a line with its newline, and no secret in it.
pub(super) fn encode(at: Timestamp, job: JobId, event: &Event) -> Encoded {
    fn line<T: Serialize>((at, job, ev): (Timestamp, JobId, &str), body: &T) -> Encoded {
        // jsonl writes the newline separately; into a buffer, so that the file
        // sees one write.
        let mut buffer = Vec::with_capacity(256);
        jsonl::write(&mut buffer, &Line { v: VERSION, t: at, ev, job, body })?;
        Ok(buffer)
    }
    let event = &redacted(event.clone());
    let head = (at, job, event.kind());
    match event {
        Event::Spawned(body) => line(head, body),
        Event::Started(body) => line(head, body),
        Event::Waiting(body) => line(head, body),
        Event::Based(body) => line(head, body),
        Event::Worktree(body) => line(head, body),
        Event::Note(body) => line(head, body),
        Event::Running(body) => line(head, body),
        Event::FellOver(body) => line(head, body),
        Event::Used(body) => line(head, body),
        Event::OnHold(body) => line(head, body),
        Event::KillRequested(body) => line(head, body),
        Event::Exited(body) => line(head, body),
        Event::Merged(body) => line(head, body),
        Event::Unmerged(body) => line(head, body),
        Event::Held(body) => line(head, body),
        Event::NotPicked(body) => line(head, body),
        Event::Cleaned(body) => line(head, body),
        Event::RunStarted(body) => line(head, body),
        Event::RunRunning(body) => line(head, body),
        Event::RunRevised(body) => line(head, body),
        Event::TaskSkipped(body) => line(head, body),
        Event::RunStopping(body) => line(head, body),
        Event::RunEnded(body) => line(head, body),
        Event::Queued
        | Event::Admitted
        | Event::HoldOver
        | Event::Lost
        | Event::Collected
        | Event::Unknown => line(head, &Nothing {}),
    }
}

/// Decodes one line, with or without its newline. `None` when it is torn: no
/// JSON object with the fields that every line has.
///
/// A line whose kind is known but whose body is not understood is
/// [`Event::Unknown`]: a later version may have changed it.
pub fn decode(line: &[u8]) -> Option<Record> {
    fn body<'a, T: Deserialize<'a>>(line: &'a [u8], make: impl Fn(T) -> Event) -> Event {
        serde_json::from_slice(line).map_or(Event::Unknown, make)
    }
    let head: Head<'_> = serde_json::from_slice(line).ok()?;
    let event = match head.ev.as_ref() {
        "spawned" => body(line, |b| Event::Spawned(Box::new(b))),
        "started" => body(line, Event::Started),
        "waiting" => body(line, Event::Waiting),
        "queued" => Event::Queued,
        "admitted" => Event::Admitted,
        "based" => body(line, Event::Based),
        "worktree" => body(line, Event::Worktree),
        "note" => body(line, Event::Note),
        "running" => body(line, Event::Running),
        "fell-over" => body(line, Event::FellOver),
        "used" => body(line, Event::Used),
        "on-hold" => body(line, Event::OnHold),
        "hold-over" => Event::HoldOver,
        "kill-requested" => body(line, Event::KillRequested),
        "exited" => body(line, |b| Event::Exited(Box::new(b))),
        "lost" => Event::Lost,
        "collected" => Event::Collected,
        "merged" => body(line, Event::Merged),
        "unmerged" => body(line, Event::Unmerged),
        "held" => body(line, Event::Held),
        "not-picked" => body(line, Event::NotPicked),
        "cleaned" => body(line, Event::Cleaned),
        "run-started" => body(line, Event::RunStarted),
        "run-running" => body(line, Event::RunRunning),
        "run-revised" => body(line, Event::RunRevised),
        "task-skipped" => body(line, Event::TaskSkipped),
        "run-stopping" => body(line, Event::RunStopping),
        "run-ended" => body(line, Event::RunEnded),
        _ => Event::Unknown,
    };
    Some(Record { version: head.v, at: head.t, job: head.job, event })
}

/// The kind and the job of a line, if it is spelt as cx spells it. Nothing is
/// said about the rest of it: this is for passing over lines, of which most are
/// about other jobs or say nothing that is asked for.
pub fn glance(line: &[u8]) -> Option<(&str, JobId)> {
    let until_quote = |text: &[u8]| text.iter().position(|byte| *byte == b'"');
    let rest = line.strip_prefix(b"{\"v\":1,\"t\":\"")?;
    let rest = rest.get(until_quote(rest)?..)?.strip_prefix(b"\",\"ev\":\"")?;
    let (kind, rest) = rest.split_at_checked(until_quote(rest)?)?;
    let rest = rest.strip_prefix(b"\",\"job\":")?;
    let digits = rest.split(|byte| !byte.is_ascii_digit()).next()?;
    Some((str::from_utf8(kind).ok()?, JobId(str::from_utf8(digits).ok()?.parse().ok()?)))
}
