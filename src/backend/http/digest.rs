//! What there is of a response, in one pass: the last head, and the body by its kind.

use std::io::{self, BufRead};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde_json::Value;

use super::{
    super::text,
    stream::Stream,
    value::{self, Answered},
};

/// The most of a body that is read, in bytes.
const BODY_MAX: usize = 16 << 20;

/// A response's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Without parameters, in small letters.
    pub(super) content_type: String,
    pub(super) retry_after: Option<String>,
    pub(super) location: Option<String>,
}

impl Head {
    /// The first line of one: `HTTP/1.1 200 OK`.
    pub(super) fn begun(line: &str) -> Option<Self> {
        let status = line.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, ..Self::default() })
    }

    pub(super) fn header(&mut self, line: &str) {
        let Some((name, value)) = line.split_once(':') else { return };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-type" => {
                let plain = value.split(';').next().unwrap_or_default().trim();
                self.content_type = plain.to_ascii_lowercase();
            }
            "retry-after" => self.retry_after = value::sentence(value),
            "location" => self.location = value::sentence(value),
            _ => {}
        }
    }

    /// Whether the server refuses for rate, quota or load. That it is overloaded is a limit
    /// only where it says when that ends.
    pub(super) fn is_limit(&self) -> bool {
        matches!(self.status, 429 | 529) || (self.status == 503 && self.retry_after.is_some())
    }

    /// When it may be asked again, where it says so: a number of seconds, or a date.
    pub(super) fn asks_again(&self, now: Timestamp) -> Option<Timestamp> {
        let after = self.retry_after.as_deref().filter(|_| self.is_limit())?;
        if let Ok(seconds) = after.parse::<u32>() {
            return now.checked_add(SignedDuration::from_secs(seconds.into())).ok();
        }
        rfc2822::parse(after).ok().map(|at| at.timestamp())
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Only for a success: an error is told in a body.
    pub(super) fn is_stream(&self) -> bool {
        self.is_success() && self.content_type == "text/event-stream"
    }

    pub(super) fn is_json(&self) -> bool {
        self.content_type == "application/json"
            || (self.content_type.starts_with("application/")
                && self.content_type.ends_with("+json"))
    }
}

/// A response as far as it came.
#[derive(Debug, Default)]
pub(super) struct Digest {
    /// None where nothing came that is one.
    pub(super) head: Option<Head>,
    /// Whether the head is whole.
    pub(super) has_body: bool,
    pub(super) stream: Stream,
    body: Vec<u8>,
    pub(super) too_long: bool,
}

impl Digest {
    pub(super) fn read(reader: impl BufRead) -> io::Result<Self> {
        let mut digest = Self::default();
        text::for_each_line(reader, |line| digest.line(line))?;
        // What stands at the end without a blank line behind it.
        digest.stream.dispatch();
        Ok(digest)
    }

    fn line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        // After a hold it was asked once more. Nothing else can follow a refusal but its
        // own words, and those are no head.
        if self.has_body && self.is_refused() && Head::begun(&text).is_some() {
            *self = Self::default();
        }
        if !self.has_body {
            match (&mut self.head, Head::begun(&text)) {
                (_, Some(head)) => self.head = Some(head),
                // One that only says that the real one comes.
                (Some(head), None) if text.is_empty() => self.has_body = head.status >= 200,
                (Some(head), None) => head.header(&text),
                (None, None) => {}
            }
            return;
        }
        if self.head.as_ref().is_some_and(Head::is_stream) {
            self.stream.line(&text);
        } else if self.body.len() + line.len() < BODY_MAX {
            self.body.extend_from_slice(line);
            self.body.push(b'\n');
        } else {
            self.too_long = true;
        }
    }

    /// Whether it was refused for a limit, with which a job may go on hold.
    fn is_refused(&self) -> bool {
        self.stream.is_limited || self.head.as_ref().is_some_and(Head::is_limit)
    }

    /// Whether the body has nothing but white space.
    pub(super) fn is_blank(&self) -> bool {
        self.body.iter().all(u8::is_ascii_whitespace)
    }

    /// The answer in a body that is not a stream; else the end of a sentence.
    pub(super) fn answer(&self) -> Result<Answered, String> {
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(value) => Answered::of(&value),
            Err(error) => Err(format!("is no valid JSON: {error}")),
        }
    }

    /// What a body says that tells an error.
    pub(super) fn complaint(&self) -> Option<String> {
        if let Ok(value) = serde_json::from_slice::<Value>(&self.body) {
            return value::complaint(&value).or_else(|| value::sentence(value.as_str()?));
        }
        let is_page = self.head.as_ref().is_some_and(|head| head.content_type.contains("html"));
        let text = String::from_utf8_lossy(&self.body);
        if is_page { None } else { text.lines().find_map(value::sentence) }
    }
}
