//! `cx serve`: the contract of docs/http.md in front of any backend.
//!
//! A thread for each connection, a connection for each request, a `cx spawn` for each
//! request: what is asked becomes a reader like any other, whose limits, ledger and end
//! are those of any job. There is no state of the server's own, so a crash leaves jobs
//! that go on.
//!
//! # Who is let in
//! Whoever can run a job here can read this repository. So: nobody from another machine
//! without the token (`guard`); no web page, whichever name it gives this machine; and
//! never `sh`, unless the person who started the server has said so.
//!
//! # Bounds
//! So many connections, so many bytes of a request, so much time to send it and to take
//! what is answered (`request`). Jobs have their own limits.

mod ask;
mod guard;
mod request;
mod respond;

use std::{
    collections::HashMap,
    fs, io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use clap::{Args, ValueHint};
use serde_json::json;

use super::{
    session::{Session, refuse_in_worker},
    spawn,
};
use crate::{
    backend::http::{TokenError, authorization},
    failure::{Exit, Failure},
    job::parse_duration,
    process::door::{Door, Knock},
    ui,
};

/// Clients at once. Each waits for one job, or has a job wait for its turn.
const CLIENTS_MAX: usize = 64;

/// Answer over HTTP what others ask: each request is a job here
///
/// `POST /run` with `{"agentId", "alias", "task"}` starts a reader in this repository and
/// answers `{"summary", "output", "usage"}` once it is over; with `?stream=1` its activity
/// comes as server-sent events before. `cx man http` has the contract. A client that goes
/// away ends its job, and Ctrl-C ends the server and the jobs of all its clients.
///
/// What is printed is the server's URL. On loopback anybody on this machine may ask,
/// unless there is a token; anywhere else there has to be one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Where to listen: a port of loopback, or HOST:PORT; port 0 is any that is free
    #[arg(long, value_name = "ADDR", required = true)]
    http: String,

    /// What does the work, whatever an agent says; the configured one if not given
    #[arg(short, long, value_name = "BACKEND", add = super::candidates::backend())]
    backend: Option<String>,

    /// Answer only who sends the token in FILE: `Authorization: Bearer TOKEN`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,

    /// Have a request wait for its turn while N jobs of this repository run
    #[arg(long, value_name = "N", value_parser = crate::job::parse_count::<std::num::NonZeroU64>)]
    max_jobs: Option<std::num::NonZeroU64>,

    /// End a request's worker after this long: 90s, 10m, 1h30m
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

const EXAMPLES: &str = "\
Examples:
  cx serve --http 8080 --max-jobs 4
  CODEX_URL=http://127.0.0.1:8080 cx spawn -b http \"Where is the retry limit set?\"
  cx serve --http 0.0.0.0:8080 --token-file ~/.config/cx/serve-token";

/// What all connections know.
struct Server {
    token: Option<String>,
    /// Only this machine can reach it.
    is_loopback: bool,
    backend: String,
    /// What each job is started with, besides.
    options: Vec<String>,
    /// No more answers are waited for.
    ending: AtomicBool,
    clients: Mutex<HashMap<u64, TcpStream>>,
}

/// Runs the verb.
pub fn run(args: &ServeArgs) -> Result<Exit, Failure> {
    refuse_in_worker("serve")?;
    let session = Session::open()?;
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let addresses = addresses(&args.http)?;
    let is_loopback = addresses.iter().all(|address| address.ip().is_loopback());
    if !is_loopback && token.is_none() {
        return Err(Failure::usage(format!(
            "{} can be reached from other machines, and there is no token; nothing was started",
            args.http
        ))
        .hint(
            "--token-file FILE names one; `openssl rand -hex 32` makes one; or listen on 127.0.0.1",
        ));
    }
    let backend = spawn::backend_to_serve(args.backend.as_deref(), &session)?;
    let failed = |e: io::Error| {
        Failure::usage(format!("cannot listen on {}: {e}", args.http))
            .hint("another port, or 0 for any that is free")
    };
    let listener = TcpListener::bind(addresses.as_slice()).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let runs_commands = backend.runs_commands();
    let mut options = Vec::new();
    options.extend(args.max_jobs.map(|n| format!("--max-jobs={n}")));
    options.extend(args.timeout.map(|limit| format!("--timeout={}ms", limit.as_millis())));
    let server = Arc::new(Server {
        token,
        is_loopback,
        backend: backend.name.to_string(),
        options,
        ending: AtomicBool::new(false),
        clients: Mutex::default(),
    });
    let door = Door::open(listener).map_err(failed)?;
    let mut out = ui::out();
    out.line(format_args!("http://{address}"))?;
    out.finish()?;
    let who = match (&server.token, is_loopback) {
        (Some(_), _) => "who has the token may ask",
        (None, _) => "anybody on this machine may ask",
    };
    ui::note(format_args!("serving {} with {}; {who}", session.top().display(), server.backend));
    if runs_commands {
        ui::warn("each request is a script that runs here");
    }
    server.serve(door)
}

/// Where to listen.
fn addresses(word: &str) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(port) = word.parse::<u16>() {
        return Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]);
    }
    let wrong = |why: &str| {
        Failure::usage(format!("'{word}' is no address to listen on: {why}"))
            .hint("for example: --http 8080, --http 127.0.0.1:8080, --http '[::1]:8080'")
    };
    if word.starts_with(':') {
        return Err(wrong("it names no host"));
    }
    match word.to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(e) => Err(wrong(&e.to_string())),
    }
}

fn read_token(path: &Path) -> Result<String, Failure> {
    let wrong = |why: String| {
        Failure::usage(format!("the token file {} {why}; nothing was started", path.display()))
    };
    let text = fs::read_to_string(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    authorization(&text).map_err(|e: TokenError| wrong(e.to_string()))?;
    if fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        ui::warn(format_args!("others on this machine may read {}", path.display()));
    }
    Ok(text.trim().to_owned())
}

impl Server {
    /// Lets clients in until a signal comes; then ends their jobs.
    fn serve(self: &Arc<Self>, mut door: Door) -> Result<Exit, Failure> {
        let failed = |e: io::Error| Failure::internal(format!("cannot wait for clients: {e}"));
        let mut number = 0_u64;
        let signal = loop {
            match door.wait(true).map_err(failed)? {
                Knock::Signal(signal) => break signal,
                Knock::Left => {}
                Knock::Client(client) => {
                    number += 1;
                    let leaving = door.leaving().map_err(failed)?;
                    if let Some(client) = self.let_in(number, client) {
                        let server = Arc::clone(self);
                        let started = thread::Builder::new().spawn(move || {
                            ask::serve(&server, &client);
                            server.clients().remove(&number);
                            // After that, so that whoever is woken finds it gone.
                            drop(leaving);
                        });
                        if started.is_err() {
                            self.clients().remove(&number);
                        }
                    }
                }
            }
        };
        self.ending.store(true, Ordering::SeqCst);
        let left = {
            let clients = self.clients();
            for client in clients.values() {
                // Who waits for a job of theirs sees them go, and ends it.
                let _ = client.shutdown(Shutdown::Read);
            }
            clients.len()
        };
        if left > 0 {
            let requests = ui::plural(left as u64, "request");
            ui::note(format_args!("ending {requests}; once more, and their jobs go on"));
        }
        while !self.clients().is_empty() {
            if let Knock::Signal(_) = door.wait(false).map_err(failed)? {
                break;
            }
        }
        Ok(Exit::Code(u8::try_from(128 + signal).unwrap_or(u8::MAX)))
    }

    /// Remembers a client, if there is room.
    fn let_in(&self, number: u64, client: TcpStream) -> Option<TcpStream> {
        // The kernel has room for so short an answer; who does not read it, does not.
        let _ = client.set_write_timeout(Some(request::patience()));
        let mut clients = self.clients();
        if clients.len() >= CLIENTS_MAX {
            drop(clients);
            let error = json!({ "error": { "message": "too many requests are under way" } });
            let _ = respond::json(&client, 503, None, &error);
            return None;
        }
        clients.insert(number, client.try_clone().ok()?);
        Some(client)
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }
}
