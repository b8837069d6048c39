//! Who may read what.

use std::borrow::Cow;

use super::entry::{Author, Entry, Value};

/// What stands in place of what is not shown.
const REDACTED: &str = "[REDACTED]";

/// Who reads: the person sees everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The person, or what the person runs.
    Person,
    /// The worker of a job.
    Worker(Worker),
}

/// The worker of a job, as sharing knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worker {
    /// Its `CX_JOB_ID`.
    pub id: String,
    /// What it goes by: the names of its job, its agent and its alias.
    pub names: Vec<String>,
}

impl Worker {
    /// One that goes by these names; of `group/agent` also by the last word.
    pub fn new<'n>(id: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        let all = names
            .into_iter()
            .flat_map(|name| [Some(name), name.rsplit_once('/').map(|(_, last)| last)]);
        Self { id: id.to_owned(), names: all.flatten().map(str::to_owned).collect() }
    }

    /// Whether it stored the entry itself, or another job of its agent did.
    fn is_author(&self, by: Option<&Author>) -> bool {
        by.is_some_and(|by| {
            (by.id == self.id && !self.id.is_empty())
                || by.agent.as_ref().is_some_and(|agent| self.goes_by(agent))
        })
    }

    fn goes_by(&self, word: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(word))
    }
}

impl Reader {
    /// Whether an entry is shared with it.
    pub fn may_read(&self, entry: &Entry) -> bool {
        let Self::Worker(worker) = self else { return true };
        let share_with = entry.value.as_ref().and_then(|value| value.share_with.as_ref());
        share_with.is_none_or(|all| {
            worker.is_author(entry.by.as_ref())
                || all
                    .iter()
                    .any(|word| matches!(word.as_str(), "*" | "all") || worker.goes_by(word))
        })
    }

    /// A value as this reader sees it: what its author keeps from others is taken out
    /// of JSON, at any depth.
    pub fn shown<'v>(&self, value: &'v Value, by: Option<&Author>) -> Cow<'v, [u8]> {
        let Self::Worker(worker) = self else { return Cow::Borrowed(&value.bytes) };
        if value.redact.is_empty() || worker.is_author(by) {
            return Cow::Borrowed(&value.bytes);
        }
        let Ok(mut json) = serde_json::from_slice(&value.bytes) else {
            return Cow::Borrowed(&value.bytes);
        };
        if !redact(&mut json, &value.redact) {
            return Cow::Borrowed(&value.bytes);
        }
        serde_json::to_vec(&json).unwrap_or_default().into()
    }
}

/// Takes out what stands under `keys`; `false` where nothing does.
fn redact(json: &mut serde_json::Value, keys: &[String]) -> bool {
    match json {
        serde_json::Value::Object(map) => {
            let mut found = false;
            for (key, inner) in map {
                if keys.iter().any(|word| word.eq_ignore_ascii_case(key)) {
                    *inner = REDACTED.into();
                    found = true;
                } else {
                    found |= redact(inner, keys);
                }
            }
            found
        }
        serde_json::Value::Array(all) => {
            // All of them, not only up to the first.
            all.iter_mut().filter_map(|inner| redact(inner, keys).then_some(())).count() > 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::JobId, memory::Name};

    fn entry(share_with: Option<&[&str]>, agent: Option<&str>) -> Entry {
        let share_with = share_with.map(|all| all.iter().map(|word| (*word).to_owned()).collect());
        Entry {
            name: Name::new("default", "k").expect("a name"),
            version: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
            by: agent.map(|agent| Author {
                job: JobId(1),
                id: "1".into(),
                name: "one".into(),
                agent: Some(agent.into()),
            }),
            value: Some(Value { share_with, ..Value::default() }),
        }
    }

    fn worker(id: &str, names: &[&str]) -> Reader {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Reader::Worker(Worker { id: id.into(), names })
    }

    #[test]
    fn an_entry_is_for_all_unless_it_says_for_whom() {
        let coder = worker("2", &["two", "coder"]);
        let own = worker("1", &["one"]);
        let same_agent = worker("3", &["three", "Planner"]);
        for (share_with, expected) in [
            (None, [true, true, true]),
            (Some(&["coder"][..]), [true, true, true]),
            (Some(&["two"][..]), [true, true, true]),
            (Some(&["tester"][..]), [false, true, true]),
            (Some(&["*"][..]), [true, true, true]),
            (Some(&[][..]), [false, true, true]),
        ] {
            let entry = entry(share_with, Some("planner"));
            let may = [&coder, &own, &same_agent].map(|reader| reader.may_read(&entry));
            assert_eq!(may, expected, "{share_with:?}");
            assert!(Reader::Person.may_read(&entry));
        }
        assert!(!coder.may_read(&entry(Some(&[]), None)));
    }

    #[test]
    fn redacted_keys_are_so_at_any_depth_and_for_others_only() {
        let value = Value {
            bytes: br#"{"a":{"Token":{"x":1}},"b":[{"token":"t","n":1.50}],"tokens":2}"#.to_vec(),
            redact: vec!["token".into()],
            ..Value::default()
        };
        let by = Author { job: JobId(1), id: "1".into(), name: "one".into(), agent: None };
        let shown = |reader: &Reader, value: &Value| {
            String::from_utf8(reader.shown(value, Some(&by)).into_owned()).expect("text")
        };
        let all = String::from_utf8(value.bytes.clone()).expect("text");
        assert_eq!(
            shown(&worker("2", &[]), &value),
            r#"{"a":{"Token":"[REDACTED]"},"b":[{"token":"[REDACTED]","n":1.5}],"tokens":2}"#
        );
        assert_eq!(shown(&worker("1", &[]), &value), all);
        assert_eq!(shown(&Reader::Person, &value), all);
        let text = Value { bytes: b"token: t".to_vec(), ..value };
        assert_eq!(shown(&worker("2", &[]), &text), "token: t");
    }
}
