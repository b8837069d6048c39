//! One HTTP request, within bounds: a head, and a body whose length it tells.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// How long a client may take to send all of its request, and to take what it is sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same; a debug build lets tests say less.
pub(super) fn patience() -> Duration {
    #[cfg(debug_assertions)]
    if let Some(millis) = std::env::var("CX_PATIENCE_MS").ok().and_then(|ms| ms.parse().ok()) {
        return Duration::from_millis(millis);
    }
    PATIENCE
}

/// The most of a head, in bytes.
const HEAD_MAX: usize = 16 << 10;

/// The most headers.
const HEADERS_MAX: usize = 64;

/// The most of a body, in bytes. A prompt of 8 MiB fits, unless much of it is escaped.
const BODY_MAX: usize = 10 << 20;

/// What stands above the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) query: String,
    /// Names in small letters, in the order in which they came.
    headers: Vec<(String, String)>,
}

/// Why a request is not answered as it wants: a status and one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl Head {
    /// The head at the beginning of `bytes` and how long it is; none if it is not whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => return Ok(None),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(Refusal::new(431, "the head of the request is too large"));
            }
            Err(error) => {
                return Err(Refusal::new(400, format!("this is no HTTP request: {error}")));
            }
        };
        let target = request.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = request.headers.iter().map(|header| {
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            (header.name.to_ascii_lowercase(), value)
        });
        let head = Self {
            method: request.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers.collect(),
        };
        Ok(Some((head, length)))
    }

    /// The value of a header that may come once; none where it does not come.
    pub(super) fn header(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Refusal::new(400, format!("the header {name} comes twice"))),
            (first, None) => Ok(first.map(|(_, value)| value.as_str())),
        }
    }

    /// Whether a stream is wanted: `?stream=1`.
    pub(super) fn is_stream(&self) -> bool {
        self.query.split('&').any(|part| matches!(part, "stream=1" | "stream=true"))
    }

    /// How many bytes follow.
    fn length(&self) -> Result<usize, Refusal> {
        if self.header("transfer-encoding")?.is_some() {
            return Err(Refusal::new(411, "a request has to tell its length (Content-Length)"));
        }
        let Some(length) = self.header("content-length")? else { return Ok(0) };
        // `parse` would take a sign.
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(Refusal::new(400, "Content-Length is no number"));
        }
        match length.parse::<usize>() {
            Ok(length) if length <= BODY_MAX => Ok(length),
            _ => Err(Refusal::new(413, format!("a request may have at most {BODY_MAX} bytes"))),
        }
    }
}

/// A client that sends a request.
#[derive(Debug)]
pub(super) struct Sender<'a> {
    stream: &'a TcpStream,
    until: Instant,
    /// What came behind the head.
    rest: Vec<u8>,
}

/// None: the client has gone, or said nothing.
type Received<T> = Result<Option<T>, Refusal>;

impl<'a> Sender<'a> {
    pub(super) fn new(stream: &'a TcpStream) -> Self {
        let now = Instant::now();
        Self { stream, until: now.checked_add(patience()).unwrap_or(now), rest: Vec::new() }
    }

    /// Reads the head.
    pub(super) fn head(&mut self) -> Received<Head> {
        loop {
            if let Some((head, length)) = Head::parse(&self.rest)? {
                self.rest.drain(..length);
                return Ok(Some(head));
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Reads the body that goes with `head`.
    pub(super) fn body(mut self, head: &Head) -> Received<Vec<u8>> {
        let length = head.length()?;
        let waits =
            head.header("expect")?.is_some_and(|what| what.eq_ignore_ascii_case("100-continue"));
        if waits && self.rest.len() < length {
            let mut stream = self.stream;
            if stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_err() {
                return Ok(None);
            }
        }
        while self.rest.len() < length {
            if !self.more()? {
                return Ok(None);
            }
        }
        self.rest.truncate(length);
        Ok(Some(self.rest))
    }

    /// Reads what there is; whether there was anything.
    fn more(&mut self) -> Result<bool, Refusal> {
        let mut buffer = [0; 16 << 10];
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Refusal::new(408, "the request took too long to arrive"));
            }
            let mut stream = self.stream;
            if stream.set_read_timeout(Some(left)).is_err() {
                return Ok(false);
            }
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.rest.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => return Ok(false),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::parse(text.as_bytes()).expect("parses").expect("whole").0
    }

    fn status<T: std::fmt::Debug>(result: Result<T, Refusal>) -> u16 {
        result.expect_err("refused").status
    }

    #[test]
    fn a_head_is_read_whole_or_not_at_all() {
        let text = "POST /run?stream=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        let (head, length) = Head::parse(text.as_bytes()).expect("parses").expect("whole");
        assert_eq!(
            (head.method.as_str(), head.path.as_str(), length),
            ("POST", "/run", text.len() - 3)
        );
        assert!(head.is_stream());
        assert_eq!((head.header("host"), head.length()), (Ok(Some("a")), Ok(3)));
        assert_eq!(Head::parse(b"POST /run HTTP/1.1\r\nHost"), Ok(None));
        assert_eq!(status(Head::parse(b"\x16\x03\x01 hello\r\n\r\n")), 400);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(status(Head::parse(many.as_bytes())), 431);
        let long = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(HEAD_MAX));
        assert_eq!(status(Head::parse(long.as_bytes())), 431);
    }

    #[test]
    fn a_length_is_one_number_within_bounds() {
        let length = |headers: &str| head(&format!("POST / HTTP/1.1\r\n{headers}\r\n")).length();
        assert_eq!(length(""), Ok(0));
        assert_eq!(length("Content-Length: 10485760\r\n"), Ok(BODY_MAX));
        assert_eq!(status(length("Content-Length: 10485761\r\n")), 413);
        assert_eq!(status(length("Content-Length: 99999999999999999999999\r\n")), 413);
        for wrong in ["+3", "-3", "", "3, 3", "0x3"] {
            assert_eq!(status(length(&format!("Content-Length: {wrong}\r\n"))), 400, "{wrong}");
        }
        assert_eq!(status(length("Content-Length: 3\r\ncontent-length: 3\r\n")), 400);
        assert_eq!(status(length("Transfer-Encoding: chunked\r\n")), 411);
        assert_eq!(status(length("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n")), 411);
    }
}
