//! An entry for people and scripts. The JSON keys are the contract (`docs/memory.md`).

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    memory::{Author, Entry, Reader, Value, base64},
    ui,
};

/// What is known of an entry besides its value.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Head<'a> {
    pub(super) key: &'a str,
    pub(super) namespace: &'a str,
    /// How often the key was stored or deleted, this time included.
    pub(super) version: u64,
    pub(super) stored_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) tags: &'a [String],
    /// Of the value.
    pub(super) bytes: usize,
    /// The job whose worker stored it; none for a person.
    pub(super) by: Option<&'a Author>,
    /// The agents or jobs that may read it; none where all may.
    pub(super) share_with: Option<&'a [String]>,
}

/// The same with the value.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Full<'a> {
    #[serde(flatten)]
    pub(super) head: Head<'a>,
    #[serde(flatten)]
    pub(super) text: Text,
}

/// A value in JSON.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Text {
    value: String,
    /// `utf-8`, or `base64` where the value is no text.
    encoding: &'static str,
}

impl Text {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { value: text.to_owned(), encoding: "utf-8" },
            Err(_) => Self { value: base64::encode(bytes), encoding: "base64" },
        }
    }
}

impl<'a> Head<'a> {
    pub(super) fn of(entry: &'a Entry, value: &'a Value) -> Self {
        Self {
            key: &entry.name.key,
            namespace: &entry.name.namespace,
            version: entry.version,
            stored_at: entry.at,
            expires_at: value.expires,
            tags: &value.tags,
            bytes: value.bytes.len(),
            by: entry.by.as_ref(),
            share_with: value.share_with.as_deref(),
        }
    }
}

impl<'a> Full<'a> {
    /// As `reader` sees it.
    pub(super) fn of(entry: &'a Entry, value: &'a Value, reader: &Reader) -> Self {
        let shown = reader.shown(value, entry.by.as_ref());
        Self { head: Head::of(entry, value), text: Text::of(&shown) }
    }
}

/// Who stored an entry, for people: `[3] auth`, or nothing.
pub(super) fn by(author: Option<&Author>) -> String {
    author.map(|by| format!("[{}] {}", by.job.0, by.name)).unwrap_or_default()
}

/// How long ago something was.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let since = now.duration_since(at);
    ui::short(std::time::Duration::try_from(since).unwrap_or_default())
}

/// The beginning of a value, on one line.
pub(super) fn gist(bytes: &[u8]) -> String {
    let head = bytes.get(..bytes.len().min(400)).unwrap_or_default();
    ui::cut(&ui::clean(&String::from_utf8_lossy(head)), 200)
}
