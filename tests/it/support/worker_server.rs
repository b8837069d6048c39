//! A server on loopback that answers `POST /run` with bytes that the test has written: whole
//! responses, halves of them, or none.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use serde_json::Value;

use super::DEADLINE;
use super::listening::Listening;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `POST /run HTTP/1.1`.
    pub(crate) line: String,
    /// The other lines of the head, their names in small letters.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// The body, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }
}

/// A part of a response.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// These bytes.
    Say(String),
    /// Nothing until [`WorkerServer::go_on`].
    Wait,
    /// Nothing until the client has gone away.
    Hang,
}

/// The server. It runs until it is dropped.
pub(crate) struct WorkerServer {
    shared: Arc<Shared>,
    listening: Listening,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// For one request after the other; the last for all that come then.
    turns: Vec<Vec<Part>>,
    asked: Vec<Asked>,
    abandoned: usize,
    may_go_on: bool,
}

impl WorkerServer {
    /// Starts one that answers each request with these parts and closes the connection.
    pub(crate) fn start(parts: impl Into<Vec<Part>>) -> Self {
        Self::in_turn([parts.into()])
    }

    /// The same, for one request after the other; the last are for all that come then.
    pub(crate) fn in_turn(turns: impl Into<Vec<Vec<Part>>>) -> Self {
        let shared = Arc::new(Shared::default());
        shared.state().turns = turns.into();
        let serving = Arc::clone(&shared);
        let listening = Listening::start(move |stream| serving.serve(stream));
        Self { shared, listening }
    }

    /// One that answers with a status, a content type (none if it is empty) and a body.
    pub(crate) fn answering(status: &str, kind: &str, body: &str) -> Self {
        Self::start([Part::Say(response(status, kind, body))])
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listening.address())
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.state().asked.clone()
    }

    /// Lets pass all who wait.
    pub(crate) fn go_on(&self) {
        self.shared.state().may_go_on = true;
        self.shared.changed.notify_all();
    }

    /// Waits until a request has come.
    #[track_caller]
    pub(crate) fn wait_for_request(&self) {
        self.wait_until("no request came", |state| !state.asked.is_empty());
    }

    /// Waits until a client has gone away from a response that hung.
    #[track_caller]
    pub(crate) fn wait_for_abandoned(&self) {
        self.wait_until("no client went away", |state| state.abandoned > 0);
    }

    #[track_caller]
    fn wait_until(&self, otherwise: &str, is_so: impl Fn(&State) -> bool) {
        let state = self.shared.state();
        let not_yet = |state: &mut State| !is_so(state);
        let (state, _) = self.shared.changed.wait_timeout_while(state, DEADLINE, not_yet).unwrap();
        assert!(is_so(&state), "{otherwise}");
    }
}

/// A response whose body ends with the connection.
pub(crate) fn response(status: &str, kind: &str, body: &str) -> String {
    let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    format!("HTTP/1.1 {status}\r\n{kind}Connection: close\r\n\r\n{body}")
}

impl Drop for WorkerServer {
    fn drop(&mut self) {
        self.go_on();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, mut stream: &TcpStream) -> io::Result<()> {
        let asked = read(stream)?;
        let parts = {
            let mut state = self.state();
            state.asked.push(asked);
            let turn = state.asked.len().min(state.turns.len()) - 1;
            state.turns[turn].clone()
        };
        self.changed.notify_all();
        for part in parts {
            match part {
                Part::Say(bytes) => stream.write_all(bytes.as_bytes())?,
                Part::Wait => {
                    let waits = |state: &mut State| !state.may_go_on;
                    drop(self.changed.wait_while(self.state(), waits).unwrap());
                }
                Part::Hang => {
                    let mut byte = [0];
                    while matches!(stream.read(&mut byte), Ok(1)) {}
                    self.state().abandoned += 1;
                    self.changed.notify_all();
                }
            }
        }
        Ok(())
    }
}

fn read(stream: &TcpStream) -> io::Result<Asked> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = if lines.is_empty() { String::new() } else { lines.remove(0) };
    let small = |line: &String| match line.split_once(':') {
        Some((name, value)) => format!("{}:{value}", name.to_ascii_lowercase()),
        None => line.clone(),
    };
    let headers: Vec<String> = lines.iter().map(small).collect();
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().expect("a number"))];
    reader.read_exact(&mut body)?;
    Ok(Asked { line, headers, body })
}
