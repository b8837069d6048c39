//! What an entry is, and how a line of `entries.jsonl` spells it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{base64, error::MemoryError};
use crate::job::JobId;

/// The version that this cx writes.
const VERSION: u32 = 1;

/// The largest value, in bytes: 1 MiB.
pub const MAX_VALUE: usize = 1 << 20;

/// The longest key, namespace or tag, in bytes.
const MAX_WORD: usize = 512;

/// The namespace where nobody names one.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The namespace of what workers answered.
pub const RESULTS: &str = "results";

/// What an entry is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Names of keys that belong together.
    pub namespace: String,
    /// Unique among them.
    pub key: String,
}

impl Name {
    /// Checks both words.
    ///
    /// # Errors
    /// A sentence about the word that cannot be one.
    pub fn new(namespace: &str, key: &str) -> Result<Self, MemoryError> {
        check_word("namespace", namespace)?;
        check_word("key", key)?;
        Ok(Self { namespace: namespace.to_owned(), key: key.to_owned() })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace == DEFAULT_NAMESPACE {
            return write!(f, "'{}'", self.key);
        }
        write!(f, "'{}' in namespace '{}'", self.key, self.namespace)
    }
}

/// Refuses what cannot be shown on a line, or is too long to be a name.
pub fn check_word(what: &'static str, word: &str) -> Result<(), MemoryError> {
    let wrong = if word.trim().is_empty() {
        "is empty"
    } else if word.len() > MAX_WORD {
        "is longer than 512 bytes"
    } else if word.chars().any(char::is_control) {
        "has a control character in it"
    } else {
        return Ok(());
    };
    let word = word.chars().filter(|c| !c.is_control()).take(40).collect();
    Err(MemoryError::Word { what, word, wrong })
}

/// The job whose worker stored an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Its number.
    pub job: JobId,
    /// Its `CX_JOB_ID`, unique everywhere.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its role, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// One version of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is found by.
    pub name: Name,
    /// How often the key was stored or deleted, this time included.
    pub version: u64,
    /// When it was stored, UTC, to the millisecond.
    pub at: Timestamp,
    /// The job that stored it; none for a person.
    pub by: Option<Author>,
    /// What it says; of a deletion nothing.
    pub value: Option<Value>,
}

/// What a stored entry says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// Up to 1 MiB of any bytes.
    pub bytes: Vec<u8>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// When it is there no more.
    pub expires: Option<Timestamp>,
    /// The agents or jobs that may read it; none where all may.
    pub share_with: Option<Vec<String>>,
    /// Keys in a JSON value that other workers do not see.
    pub redact: Vec<String>,
}

impl Value {
    /// The value as text, where it is.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

impl Entry {
    /// What it says at `now`: nothing where it was deleted or has expired.
    pub fn said(&self, now: Timestamp) -> Option<&Value> {
        self.value.as_ref().filter(|value| value.expires.is_none_or(|expires| now < expires))
    }
}

/// A line, as serde reads and writes it.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    v: u32,
    #[serde(serialize_with = "millis")]
    t: Timestamp,
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow)]
    ns: Cow<'a, str>,
    #[serde(borrow)]
    key: Cow<'a, str>,
    n: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<Author>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share_with: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    redact: Vec<String>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// Always three digits, so that times sort as text.
fn millis<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

/// An entry as a line with its newline.
pub(super) fn encode(entry: &Entry) -> Result<Vec<u8>, MemoryError> {
    let said = entry.value.as_ref();
    let text = said.and_then(Value::text);
    let line = Line {
        v: VERSION,
        t: entry.at,
        op: if said.is_some() { "store" } else { "delete" }.into(),
        ns: entry.name.namespace.as_str().into(),
        key: entry.name.key.as_str().into(),
        n: entry.version,
        by: entry.by.clone(),
        tags: said.map(|said| said.tags.clone()).unwrap_or_default(),
        expires: said.and_then(|said| said.expires),
        share_with: said.and_then(|said| said.share_with.clone()),
        redact: said.map(|said| said.redact.clone()).unwrap_or_default(),
        value: text.map(Cow::Borrowed),
        base64: said.filter(|_| text.is_none()).map(|said| base64::encode(&said.bytes)),
    };
    let mut bytes = serde_json::to_vec(&line).map_err(MemoryError::Encode)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What a line says, with or without its newline.
pub(super) enum Decoded {
    Entry(Box<Entry>),
    /// Something that a later version writes.
    Unknown,
    /// Torn: no line that anybody has written.
    Torn,
}

/// Reads one line.
pub(super) fn decode(line: &[u8]) -> Decoded {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "v")]
        _v: u32,
    }
    let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else {
        let is_whole = serde_json::from_slice::<Head>(line).is_ok();
        return if is_whole { Decoded::Unknown } else { Decoded::Torn };
    };
    let bytes = match (line.value, line.base64) {
        (Some(text), _) => Some(text.into_owned().into_bytes()),
        (None, Some(text)) => match base64::decode(&text) {
            Some(bytes) => Some(bytes),
            None => return Decoded::Torn,
        },
        (None, None) => None,
    };
    let value = match (line.op.as_ref(), bytes) {
        ("store", Some(bytes)) => Some(Value {
            bytes,
            tags: line.tags,
            expires: line.expires,
            share_with: line.share_with,
            redact: line.redact,
        }),
        ("delete", _) => None,
        _ => return Decoded::Unknown,
    };
    Decoded::Entry(Box::new(Entry {
        name: Name { namespace: line.ns.into_owned(), key: line.key.into_owned() },
        version: line.n,
        at: line.t,
        by: line.by,
        value,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(bytes: Vec<u8>) -> Entry {
        Entry {
            name: Name::new("default", "k").expect("a name"),
            version: 3,
            at: "2026-11-20T10:00:00.250Z".parse().expect("a time"),
            by: Some(Author {
                job: JobId(3),
                id: "00".into(),
                name: "auth".into(),
                agent: Some("coder".into()),
            }),
            value: Some(Value {
                bytes,
                tags: vec!["a".into()],
                expires: Some("2026-11-20T11:00:00Z".parse().expect("a time")),
                share_with: Some(vec![]),
                redact: vec!["token".into()],
            }),
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let entry = entry(bytes);
            let line = encode(&entry).expect("encodes");
            prop_assert_eq!(line.split_last(), Some((&b'\n', &line[..line.len() - 1])));
            prop_assert!(!line[..line.len() - 1].contains(&b'\n'));
            let Decoded::Entry(back) = decode(&line) else { panic!("no entry") };
            prop_assert_eq!(*back, entry);
        }

        #[test]
        fn a_line_cut_anywhere_is_torn(at in 0_usize..200) {
            let line = encode(&entry(b"some text".to_vec())).expect("encodes");
            let at = at.min(line.len() - 2);
            prop_assert!(matches!(decode(&line[..at]), Decoded::Torn));
        }
    }

    #[test]
    fn what_a_later_version_writes_is_not_torn() {
        for line in [
            r#"{"v":2,"x":1}"#,
            r#"{"v":1,"t":"2026-11-20T10:00:00Z","op":"link","ns":"a","key":"b","n":1}"#,
        ] {
            assert!(matches!(decode(line.as_bytes()), Decoded::Unknown), "{line}");
        }
    }

    #[test]
    fn names_stand_on_a_line() {
        assert!(Name::new("default", "a key/with:anything é").is_ok());
        for wrong in ["", " ", "a\nb", "\u{1b}[2J"] {
            assert!(Name::new("default", wrong).is_err(), "{wrong:?}");
        }
        let long = "x".repeat(513);
        let error = Name::new(&long, "k").expect_err("too long");
        assert!(error.to_string().starts_with("the namespace 'xxx"), "{error}");
    }
}
