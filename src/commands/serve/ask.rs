//! One request, from its first byte to the answer: a job is started, waited for, and
//! handed out, or ended when nobody waits for it any more.

use std::{
    fs, io,
    net::TcpStream,
    time::{Duration, Instant},
};

use jiff::Zoned;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Server, guard,
    request::{Head, Refusal, Sender},
    respond,
};
use crate::{
    backend::{
        self,
        http::{ASKER, NO_AGENT},
    },
    commands::{
        collect::message_file,
        kill,
        logs::Reader,
        roles::{AgentsDir, Roles},
        session::{Recoveries, Session, label, store},
        settings::Settings,
        view,
    },
    failure::Failure,
    job::{JobId, Outcome, Usage},
    ledger::{Event, Job},
    process::{
        attend::{Attendance, Heard},
        signals, start,
    },
    ui,
};

/// How long a stream says nothing before it says that it is still there.
const QUIET: Duration = Duration::from_secs(15);

/// Longest summary, in characters.
const SUMMARY_MAX: usize = 200;

/// What is asked. What else a client sends is not looked at.
#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default, rename = "agentId")]
    agent: Option<String>,
    #[serde(default)]
    alias: Option<String>,
    task: String,
    #[serde(default)]
    provider: Option<String>,
}

/// What `cx spawn --json` prints.
#[derive(Debug, Deserialize)]
struct Started {
    job: JobId,
}

/// Answers whatever `client` asks.
pub(super) fn serve(server: &Server, client: &TcpStream) {
    let _ = client.set_nodelay(true);
    if let Err(refusal) = answer(server, client) {
        respond::refuse(client, refusal.status, &refusal.message);
    }
}

fn answer(server: &Server, client: &TcpStream) -> Result<(), Refusal> {
    let mut sender = Sender::new(client);
    let Some(head) = sender.head()? else { return Ok(()) };
    guard::no_web_page(&head, server.is_loopback)?;
    if (head.method.as_str(), head.path.as_str()) == ("GET", "/health") {
        let health = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
        // A client that is gone needs no answer.
        let _ = respond::json(client, 200, None, &health);
        return Ok(());
    }
    guard::has_token(&head, server.token.as_deref())?;
    match (head.method.as_str(), head.path.as_str()) {
        ("POST", "/run") => {}
        (_, "/run" | "/health") => {
            return Err(Refusal::new(405, format!("{} does not take {}", head.path, head.method)));
        }
        _ => return Err(Refusal::new(404, "there is only POST /run and GET /health")),
    }
    guard::is_json(&head)?;
    let Some(body) = sender.body(&head)? else { return Ok(()) };
    let asked: Asked = serde_json::from_slice(&body).map_err(|e| {
        Refusal::new(400, format!("the body has to be JSON, {{\"task\": \"...\"}} at least: {e}"))
    })?;
    drop(body);
    work(server, client, &head, &asked)
}

/// Starts the job and stays with it.
fn work(server: &Server, client: &TcpStream, head: &Head, asked: &Asked) -> Result<(), Refusal> {
    if let Some(provider) = given(asked.provider.as_deref())
        && provider != server.backend
    {
        return Err(Refusal::new(
            422,
            format!("the provider here is {}, and not {provider}", server.backend),
        ));
    }
    let session = Session::open().map_err(internal)?;
    let takes_place = is_asked_here(&session, head)?;
    let job = start(server, &session, asked, takes_place)?;
    let session = &session;
    let is_stream = head.is_stream();
    let request = Request { server, session, client, is_stream, counts_here: takes_place };
    match request.attend(&job) {
        Ok(Some(job)) => request.hand_out(&job).map_err(internal),
        Ok(None) => Ok(()),
        Err(failure) => {
            ui::warn(&failure);
            Err(internal(failure))
        }
    }
}

/// A name that stands for something.
fn given(name: Option<&str>) -> Option<&str> {
    name.map(str::trim).filter(|name| !name.is_empty() && *name != NO_AGENT)
}

/// Whether it is a live job of this repository that asks. It has its place already, and
/// would wait for the one who is to answer, while that one waits for its place.
fn is_asked_here(session: &Session, head: &Head) -> Result<bool, Refusal> {
    let Some(asker) = head.header(&ASKER.to_ascii_lowercase())? else { return Ok(false) };
    let state = session.state().map_err(internal)?;
    let is_asker = |job: &&Job| job.spec.id == asker && job.spec.endpoint.is_some();
    Ok(state.jobs.values().filter(is_asker).any(Job::is_live))
}

fn start(
    server: &Server,
    session: &Session,
    asked: &Asked,
    takes_place: bool,
) -> Result<Job, Refusal> {
    let mut args: Vec<String> =
        ["spawn", "--json", "--read", "--no-preamble", "--no-hold", "--file", "-", "--backend"]
            .map(str::to_owned)
            .into();
    args.push(server.backend.clone());
    args.extend(server.options.iter().cloned());
    args.extend(takes_place.then(|| "--takes-place".to_owned()));
    let (alias, agent) = (given(asked.alias.as_deref()), given(asked.agent.as_deref()));
    // An alias may be the client's own, and its agent one that is known here too.
    let role = match (alias, agent) {
        (Some(alias), Some(agent)) if alias != agent && !is_known(session, alias) => Some(agent),
        (alias, agent) => alias.or(agent),
    };
    args.extend(role.map(|role| format!("--agent={role}")));
    let said = start::own_told(&args, asked.task.as_bytes())
        .map_err(|e| Refusal::new(500, format!("no job could be started: {e}")))?;
    if !said.status.success() {
        let status = match said.status.code() {
            Some(2) => 400,
            Some(126 | 127) => 503,
            _ => 500,
        };
        return Err(Refusal::new(status, complaint(&said.stderr)));
    }
    let started: Started = serde_json::from_slice(&said.stdout)
        .map_err(|e| Refusal::new(500, format!("no job could be started: {e}")))?;
    let job = session.fresh(started.job).map_err(internal)?;
    ui::note(format_args!("{} {}", label(&job), ui::clean(&job.spec.title)));
    Ok(job)
}

fn is_known(session: &Session, name: &str) -> bool {
    let dir = AgentsDir::default();
    let known = Settings::load(session).and_then(|settings| {
        Roles::new(session, &settings, &[], Vec::new(), &dir, false)?.resolve(name, false)
    });
    known.is_ok()
}

/// The sentence of a refused `cx spawn`, with its hint.
fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let after = |mark: &str| {
        text.lines().find_map(|line| Some(ui::clean(line.split_once(mark)?.1).trim().to_owned()))
    };
    match (after("cx: error: "), after("hint: ")) {
        (Some(sentence), Some(hint)) => format!("{sentence} ({hint})"),
        (Some(sentence), None) => sentence,
        (None, _) => "no job could be started".to_owned(),
    }
}

fn internal(failure: Failure) -> Refusal {
    Refusal::new(500, failure.message)
}

/// A request that has become a job.
struct Request<'a> {
    server: &'a Server,
    session: &'a Session,
    client: &'a TcpStream,
    is_stream: bool,
    /// Who asks is in the same ledger: what is used must not count there twice.
    counts_here: bool,
}

impl Request<'_> {
    /// Waits until the job is over, and tells what it does where that is wanted. None: the
    /// client has gone away, and the job was ended.
    fn attend(&self, job: &Job) -> Result<Option<Job>, Failure> {
        let failed =
            |e: io::Error| Failure::internal(format!("cannot wait for {}: {e}", label(job)));
        let files = self.session.store.job(job.job);
        let mut reader = Reader::new(&files, job, files.stdout(), false);
        let mut recoveries = Recoveries::default();
        let id = json!({ "job": job.job, "name": job.spec.name, "id": job.spec.id });
        if self.is_stream && self.begin(&id).is_err() {
            return self.give_up(job);
        }
        loop {
            let mut attendance =
                Attendance::new(self.client, files.dir(), &files.lock()).map_err(failed)?;
            // What came before the watch wakes nobody.
            if self.is_stream && self.tell(&mut reader, false).is_err() {
                return self.give_up(job);
            }
            loop {
                let deadline =
                    if self.is_stream { Instant::now().checked_add(QUIET) } else { None };
                let heard = attendance.wait(deadline).map_err(failed)?;
                let told = match heard {
                    Heard::Gone => return self.give_up(job),
                    Heard::Over => break,
                    Heard::Written if self.is_stream => self.tell(&mut reader, false),
                    Heard::Nothing if self.is_stream => respond::still_here(self.client),
                    Heard::Written | Heard::Nothing => Ok(()),
                };
                if told.is_err() {
                    return self.give_up(job);
                }
            }
            let now = self.session.fresh(job.job)?;
            if !now.is_live() {
                if self.is_stream && self.tell(&mut reader, true).is_err() {
                    return Ok(None);
                }
                return Ok(Some(now));
            }
            // It is lost, and its recovery has the lock now.
            recoveries.failed(self.session, &now)?;
        }
    }

    fn begin(&self, id: &Value) -> io::Result<()> {
        respond::begin_events(self.client)?;
        respond::event(self.client, "start", id)
    }

    /// What has come since the last time.
    fn tell(&self, reader: &mut Reader, over: bool) -> io::Result<()> {
        let lines = reader.lines(over)?;
        if lines.is_empty() {
            return Ok(());
        }
        respond::event(self.client, "chunk", &json!({ "text": lines.join("\n") }))
    }

    /// Nobody waits for it.
    fn give_up(&self, job: &Job) -> Result<Option<Job>, Failure> {
        kill::request(self.session, job, signals::TERM)?;
        let ended = self.session.until_over(job)?;
        let status = view::status_with_code(&ended);
        if self.server.is_ending() {
            ui::note(format_args!("{} {status}, as the server ends", label(job)));
            let message = "the server was ended, and the job with it";
            let error = json!({ "error": { "message": message }, "status": 503, "job": job.job });
            // It may be gone as well.
            let _ = if self.is_stream {
                respond::event(self.client, "error", &error)
            } else {
                respond::json(self.client, 503, None, &error)
            };
        } else {
            ui::note(format_args!("{} {status}, as its client went away", label(job)));
        }
        Ok(None)
    }

    /// Tells how it ended. Once that is written, the job is collected.
    fn hand_out(&self, job: &Job) -> Result<(), Failure> {
        ui::note(format_args!("{} {}", label(job), view::status_with_code(job)));
        let (status, body) = self.told(job)?;
        let written = match (self.is_stream, status) {
            (true, 200) => respond::event(self.client, "complete", &body),
            (true, _) => respond::event(self.client, "error", &body),
            (false, status) => {
                let again = (status == 429).then(|| again_in(job)).flatten();
                respond::json(self.client, status, again, &body)
            }
        };
        if written.is_err() {
            return Ok(());
        }
        self.session.store.append(job.job, &Event::Collected).map_err(store)?;
        respond::part(self.client);
        Ok(())
    }

    /// The status and the body of the response.
    fn told(&self, job: &Job) -> Result<(u16, Value), Failure> {
        let (id, name) = (job.job, job.spec.name.as_str());
        let Some(exited) = job.exited.as_ref().filter(|exited| !exited.outcome.is_success()) else {
            let path = message_file(self.session, job);
            let output = match fs::read(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
                other => other.map_err(|e| {
                    Failure::internal(format!("cannot read the answer of {}: {e}", label(job)))
                })?,
            };
            let output = String::from_utf8_lossy(&output);
            let first = output.lines().map(ui::clean).find(|line| !line.trim().is_empty());
            let summary = first.unwrap_or_else(|| job.spec.title.clone());
            let mut body = json!({
                "summary": ui::cut(summary.trim(), SUMMARY_MAX), "output": output,
                "logs": job.notes, "outcome": "succeeded", "job": id, "name": name,
            });
            let own = |usage| if self.counts_here { Usage::default() } else { usage };
            let usage = job.usage().map(own);
            if let (Some(usage), Some(body)) = (usage, body.as_object_mut()) {
                let usage = json!({ "tokensIn": usage.input, "tokensOut": usage.output });
                body.insert("usage".to_owned(), usage);
            }
            return Ok((200, body));
        };
        let status = match exited.outcome {
            Outcome::RateLimited => 429,
            Outcome::TimedOut | Outcome::Silent => 504,
            _ => 500,
        };
        let reason = exited.reason.as_deref().map_or_else(|| exited.outcome.to_string(), ui::clean);
        let body = json!({
            "error": { "message": reason, "outcome": exited.outcome }, "status": status,
            "logs": job.notes, "job": id, "name": name,
        });
        Ok((status, body))
    }
}

/// After how many seconds a job may be asked for again that was refused for a limit:
/// when its own service says, or a minute, and never where that takes no waiting.
fn again_in(job: &Job) -> Option<u64> {
    const UNSAID: u64 = 60;
    let reason = job.exited.as_ref()?.reason.as_deref().unwrap_or_default();
    let now = Zoned::now();
    match backend::Refusal::of(reason, &now) {
        backend::Refusal::ForGood => None,
        backend::Refusal::ForNow => Some(UNSAID),
        backend::Refusal::Until(at) => {
            let wait = at.duration_since(now.timestamp()).as_millis();
            Some(u64::try_from(wait).map_or(0, |millis| millis.div_ceil(1000)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_a_task_and_perhaps_for_whom() {
        let asked: Asked =
            serde_json::from_str(r#"{"task":"t","alias":null,"more":1}"#).expect("reads");
        assert_eq!((asked.task.as_str(), asked.agent, asked.alias), ("t", None, None));
        for wrong in
            ["{}", "[]", r#"{"task":1}"#, r#"{"task":null}"#, r#"{"task":"t","agentId":{}}"#]
        {
            assert!(serde_json::from_str::<Asked>(wrong).is_err(), "{wrong}");
        }
        let names = [None, Some(""), Some(" "), Some("default"), Some(" reviewer ")].map(given);
        assert_eq!(names, [None, None, None, None, Some("reviewer")]);
    }

    #[test]
    fn a_refusal_is_told_in_one_sentence_with_its_hint() {
        let said = b"cx: warning: x\ncx: error: there is no agent 'x'; nothing was started\n    hint: look\n";
        assert_eq!(complaint(said), "there is no agent 'x'; nothing was started (look)");
        assert_eq!(complaint(b"cx: error: no\n"), "no");
        assert_eq!(complaint(b""), "no job could be started");
    }
}
