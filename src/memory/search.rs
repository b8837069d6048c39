//! Finding entries: what a query asks for, and how well an entry answers it.
//!
//! The measure is BM25. A word counts more the fewer entries have it, and each time that
//! an entry has it counts less than the time before; long entries need more of them. A
//! word in the key counts as three, one among the tags as two. Divided by what an entry
//! would get that is nothing but the words of the query, that is a number from 0 to 1.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    entry::{Entry, Value},
    error::MemoryError,
    passage::passage,
    reader::Reader,
    store::Memory,
    words::{self, Kind, term},
};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// In words, or as a name from code.
    pub text: &'a str,
    /// In this namespace alone.
    pub namespace: Option<&'a str>,
    /// At most so many.
    pub limit: usize,
    /// Those that answer it so well, from 0 to 1.
    pub threshold: f64,
    /// Who asks.
    pub reader: &'a Reader,
}

/// An entry that answers a query.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The entry.
    pub entry: Entry,
    /// How well, from 0 to 1.
    pub score: f64,
    /// What part of it is about the query, on one line.
    pub passage: String,
}

/// How soon a word that comes again counts less.
const K1: f64 = 1.2;
/// How much of its length an entry has to make up for.
const B: f64 = 0.75;

/// The weights of a word's places.
pub(super) const IN_KEY: u32 = 3;
pub(super) const IN_TAGS: u32 = 2;
pub(super) const IN_VALUE: u32 = 1;

/// How much a word says that `with` of `all` entries have.
pub(super) fn weight(with: u64, all: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no memory has so many entries")]
    let (with, all) = (with.min(all) as f64, all as f64);
    (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
}

/// How much of a word's weight an entry gets that has it `times`, and is `length` of the
/// usual length.
pub(super) fn share(times: u32, length: f64) -> f64 {
    let times = f64::from(times);
    times / (times + K1 * (1.0 - B + B * length))
}

/// The words of an entry: calls `take` with each, and how much its place counts. Gives
/// how many there are.
pub(super) fn words_of(entry: &Entry, value: &Value, take: &mut dyn FnMut(&str, Kind, u32)) -> u32 {
    let mut length = 0_u32;
    let mut text = |text: &str, counts: u32| {
        words::each(text, |word, kind, _| {
            length = length.saturating_add(u32::from(kind == Kind::Part));
            take(word, kind, counts);
        });
    };
    text(&entry.name.key, IN_KEY);
    value.tags.iter().for_each(|tag| text(tag, IN_TAGS));
    text(value.text().unwrap_or_default(), IN_VALUE);
    length
}

/// The words of a query, each once: what they are looked up by.
pub(super) fn asked(text: &str) -> BTreeMap<String, Kind> {
    let mut asked = BTreeMap::new();
    words::each(text, |word, kind, _| {
        asked.entry(term(word, kind).into_owned()).or_insert(kind);
    });
    asked
}

/// What is shown of an entry that was found.
pub(super) fn hit(entry: Entry, score: f64, terms: &BTreeSet<String>, reader: &Reader) -> Hit {
    let passage = match &entry.value {
        Some(value) => {
            let shown = reader.shown(value, entry.by.as_ref());
            std::str::from_utf8(&shown).map_or_else(
                |_| format!("{} bytes that are no text", shown.len()),
                |text| passage(text, terms),
            )
        }
        None => String::new(),
    };
    Hit { entry, score, passage }
}

/// Whether an entry has one of the words in what its reader sees of it: what is kept
/// from somebody must not be found by them either.
pub(super) fn mentions(entry: &Entry, terms: &BTreeSet<String>, reader: &Reader) -> bool {
    let Some(value) = &entry.value else { return false };
    let shown = reader.shown(value, entry.by.as_ref());
    if *shown == *value.bytes {
        return true;
    }
    let shown = Value { bytes: shown.into_owned(), ..value.clone() };
    let mut found = false;
    words_of(entry, &shown, &mut |word, kind, _| found |= terms.contains(&*term(word, kind)));
    found
}

impl Memory {
    /// The entries that answer a query, the best first; of those that do so equally
    /// well the newest. And the number of lines that could not be read.
    pub fn search(&self, query: &Query<'_>) -> Result<(Vec<Hit>, u64), MemoryError> {
        let asked = asked(query.text);
        self.tidy();
        self.looked_up(&mut |look| Ok((look.search(&asked, query)?, look.torn())))
    }
}
