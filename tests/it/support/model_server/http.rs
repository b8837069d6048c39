//! As much of HTTP/1.1 and of event streams as codex needs.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

/// A request, read to its end.
pub(super) struct Head {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
}

/// Reads one request. None when the client has closed without one.
pub(super) fn read_request(stream: &TcpStream) -> io::Result<Option<Head>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(io::Error::other(format!("no request line: {line:?}")));
    };
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(io::Error::other("a chunked request, which nobody has taught this server"));
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Head { method, path, body }))
}

/// Answers with a JSON body.
pub(super) fn answer(
    mut stream: &TcpStream,
    code: u16,
    retry_after: Option<u64>,
    body: &Value,
) -> io::Result<()> {
    let body = body.to_string();
    let length = body.len();
    let retry =
        retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {code} Scripted\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{retry}Connection: close\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes())
}

/// Begins an event stream, which ends when the connection is closed.
pub(super) fn begin_events(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
          Connection: close\r\n\r\n",
    )
}

/// Sends one event; `fields` is an object without its `type`.
pub(super) fn event(mut stream: &TcpStream, kind: &str, fields: Value) -> io::Result<()> {
    let mut data = json!({ "type": kind });
    if let (Value::Object(data), Value::Object(fields)) = (&mut data, fields) {
        data.extend(fields);
    }
    stream.write_all(format!("event: {kind}\ndata: {data}\n\n").as_bytes())
}

/// Blocks until the client closes the connection, or the server's end does.
pub(super) fn until_closed(mut stream: &TcpStream) {
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1)) {}
}
