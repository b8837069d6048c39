//! What is sent back: one response, after which the connection is closed.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// How much of what a client still sends is taken, in bytes, and for how long: where it
/// were left unread, the client would lose the response.
const DRAIN_MAX: usize = 16 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// A status and JSON; and after how many seconds it is worth to ask again.
pub(super) fn json(
    stream: &TcpStream,
    status: u16,
    again: Option<u64>,
    body: &Value,
) -> io::Result<()> {
    let body = format!("{body}\n");
    let again = again.map(|seconds| format!("Retry-After: {seconds}\r\n"));
    let more = match status {
        401 => "WWW-Authenticate: Bearer\r\n",
        405 => "Allow: GET, POST\r\n",
        _ => again.as_deref().unwrap_or_default(),
    };
    let text = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n{more}\r\n{body}",
        phrase(status),
        body.len(),
    );
    let mut stream = stream;
    stream.write_all(text.as_bytes())
}

/// `{error: {message}}`, and the end of the connection.
pub(super) fn refuse(stream: &TcpStream, status: u16, message: &str) {
    // A client that is gone needs no answer.
    if json(stream, status, None, &json!({ "error": { "message": message } })).is_ok() {
        part(stream);
    }
}

/// The head of a stream of events.
pub(super) fn begin_events(stream: &TcpStream) -> io::Result<()> {
    let mut stream = stream;
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\
          X-Accel-Buffering: no\r\nConnection: close\r\n\r\n",
    )
}

/// One event. JSON has no line breaks of its own.
pub(super) fn event(stream: &TcpStream, name: &str, data: &Value) -> io::Result<()> {
    let mut stream = stream;
    stream.write_all(format!("event: {name}\ndata: {data}\n\n").as_bytes())
}

/// A sign of life.
pub(super) fn still_here(stream: &TcpStream) -> io::Result<()> {
    let mut stream = stream;
    stream.write_all(b": still at work\n\n")
}

/// Ends the connection so that what was written arrives.
pub(super) fn part(stream: &TcpStream) {
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let (mut stream, mut scrap, mut taken) = (stream, [0; 4096], 0);
    let end = Instant::now().checked_add(DRAIN_TIME);
    while taken < DRAIN_MAX {
        let left = end.map_or(Duration::ZERO, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match stream.read(&mut scrap) {
            Ok(count @ 1..) => taken += count,
            _ => return,
        }
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Internal Server Error",
    }
}
