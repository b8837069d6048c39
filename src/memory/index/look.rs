//! Looking entries up: one by its key, many by their words.

use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    fs::File,
    io,
};

use jiff::Timestamp;

use super::{
    Index, Tail,
    build::{key_hash, space_hash, term_hash},
    format::{each_posting, odd},
    segment::Segment,
};
use crate::memory::{
    entry::{Entry, Name},
    error::MemoryError,
    log::{Log, each, entry_at},
    search::{Hit, Query, hit, mentions, share, weight},
    words::Kind,
};

/// How many words of a query count: those that say most.
const MOST_WORDS: usize = 32;

/// The memory as of one moment.
#[derive(Debug)]
pub(in crate::memory) struct Look {
    file: Option<File>,
    segments: Vec<Segment>,
    /// What came after them.
    tail: Vec<Entry>,
    /// Lines that could not be read.
    torn: u64,
}

/// How many more candidates are looked at than are asked for: of some there is a newer
/// version, or another reader.
const SPARE: usize = 100;

/// A document that may be an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    score: f32,
    layer: usize,
    doc: u32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Of those that are as good, the newest.
        let age = |one: &Self| (one.layer, one.doc);
        self.score.total_cmp(&other.score).then(age(self).cmp(&age(other)))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A word of a query: how much it says, and where its postings are in each layer.
struct Asked {
    weight: f64,
    kind: Kind,
    postings: Vec<Option<std::ops::Range<usize>>>,
}

impl Look {
    /// Reads what comes after the index; `unwritten` counts as if it came last.
    pub(in crate::memory) fn new(
        index: Option<&Index>,
        log: &Log,
        unwritten: &[Entry],
    ) -> Result<Self, MemoryError> {
        let Some(mut file) = log.open()? else {
            let tail = unwritten.to_vec();
            return Ok(Self { file: None, segments: Vec::new(), tail, torn: 0 });
        };
        let covered = index.map(|index| index.open(&file)).unwrap_or_default();
        let lines = log.lines(&mut file, covered.to, u64::MAX)?;
        let mut tail = Vec::new();
        let mut torn = each(&lines, |_, entry| tail.push(entry));
        torn += covered.segments.iter().map(|segment| segment.header.torn).sum::<u64>();
        tail.extend_from_slice(unwritten);
        Ok(Self { file: Some(file), segments: covered.segments, tail, torn })
    }

    /// Lines of the log that could not be read.
    pub(in crate::memory) fn torn(&self) -> u64 {
        self.torn
    }

    /// The last version of a key.
    pub(in crate::memory) fn last(&self, name: &Name) -> io::Result<Option<Entry>> {
        let newest = self.tail.iter().rev().find(|entry| entry.name == *name);
        if let Some(entry) = newest {
            return Ok(Some(entry.clone()));
        }
        let key = key_hash(name);
        for segment in self.segments.iter().rev() {
            for doc in segment.docs_of(key)? {
                let entry = self.entry(segment, doc)?;
                if entry.name == *name {
                    return Ok(Some(entry));
                }
            }
        }
        Ok(None)
    }

    fn entry(&self, segment: &Segment, doc: u32) -> io::Result<Entry> {
        let line = segment.line(doc)?;
        let file = self.file.as_ref().ok_or_else(|| odd("no log"))?;
        let entry = entry_at(file, line)?;
        entry.ok_or_else(|| odd("no entry"))
    }

    /// The entries that answer a query, the best first.
    pub(in crate::memory) fn search(
        &mut self,
        asked: &BTreeMap<String, Kind>,
        query: &Query<'_>,
    ) -> io::Result<Vec<Hit>> {
        let tail = Tail::of(std::mem::take(&mut self.tail))?;
        let layers: Vec<&Segment> = self.segments.iter().chain([&tail.segment]).collect();
        let terms: BTreeSet<String> = asked.keys().cloned().collect();
        let words = words(&layers, asked)?;
        let mut most = query.limit.saturating_mul(2).saturating_add(SPARE);
        loop {
            let (candidates, is_all) = candidates(&layers, &words, query, most)?;
            let hits = self.hits(candidates, (&layers, &tail), (&words, &terms), query)?;
            if is_all || hits.len() >= query.limit {
                return Ok(hits);
            }
            // Too many of them are old, or not for this reader.
            most = usize::MAX;
        }
    }

    /// Those candidates that are there, and for this reader.
    fn hits(
        &self,
        mut candidates: BinaryHeap<Candidate>,
        (layers, tail): (&[&Segment], &Tail),
        (words, terms): (&Words, &BTreeSet<String>),
        query: &Query<'_>,
    ) -> io::Result<Vec<Hit>> {
        let now = Timestamp::now();
        let mut hits = Vec::new();
        while hits.len() < query.limit
            && let Some(Candidate { score, layer, doc }) = candidates.pop()
        {
            let Some(segment) = layers.get(layer) else { continue };
            let entry = if layer + 1 == layers.len() {
                tail.entry(doc)?.clone()
            } else {
                self.entry(segment, doc)?
            };
            // Of two namespaces with one hash one is meant.
            let is_in = query.namespace.is_none_or(|namespace| entry.name.namespace == namespace);
            let later = layers.get(layer + 1..).unwrap_or_default();
            if is_in
                && entry.said(now).is_some()
                && query.reader.may_read(&entry)
                && !self.is_old(&entry.name, later, tail)?
                && mentions(&entry, terms, query.reader)
            {
                hits.push(hit(entry, words.part(score), terms, query.reader));
            }
        }
        Ok(hits)
    }

    /// Whether one of the later layers has a newer version of a key.
    fn is_old(&self, name: &Name, later: &[&Segment], tail: &Tail) -> io::Result<bool> {
        let key = key_hash(name);
        for (at, segment) in later.iter().enumerate() {
            for doc in segment.docs_of(key)? {
                let is_same = if at + 1 == later.len() {
                    tail.entry(doc)?.name == *name
                } else {
                    self.entry(segment, doc)?.name == *name
                };
                if is_same {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// The words of a query that count.
struct Words {
    all: Vec<Asked>,
    /// What all of them weigh together.
    weight: f64,
    /// The usual length of an entry, in words.
    usual: f64,
}

impl Words {
    /// What part of the whole weight a score is.
    fn part(&self, score: f32) -> f64 {
        (f64::from(score) / self.weight).min(1.0)
    }
}

fn words(layers: &[&Segment], asked: &BTreeMap<String, Kind>) -> io::Result<Words> {
    let sum = |of: fn(&Segment) -> u64| layers.iter().map(|layer| of(layer)).sum::<u64>();
    let live = sum(|layer| layer.header.live);
    #[expect(clippy::cast_precision_loss, reason = "no memory has so many words")]
    let usual = (sum(|layer| layer.header.words) as f64 / live.max(1) as f64).max(1.0);
    let mut words = Vec::with_capacity(asked.len());
    for (term, kind) in asked {
        let term = term_hash(term);
        let (mut with, mut postings) = (0, Vec::with_capacity(layers.len()));
        for layer in layers {
            let found = layer.term(term)?;
            with += found.as_ref().map_or(0, |(_, with)| u64::from(*with));
            postings.push(found.map(|(range, _)| range));
        }
        words.push((with > 0, Asked { weight: weight(with, live), kind: *kind, postings }));
    }
    if words.len() > MOST_WORDS {
        // Of a long text those words count that say most, and are known at all.
        words.retain(|(is_known, _)| *is_known);
        words.sort_by(|(_, a), (_, b)| b.weight.total_cmp(&a.weight));
        words.truncate(MOST_WORDS);
    }
    let all: Vec<Asked> = words.into_iter().map(|(_, word)| word).collect();
    let parts = all.iter().filter(|word| word.kind == Kind::Part).map(|word| word.weight);
    let weight = parts.sum::<f64>().max(f64::MIN_POSITIVE);
    Ok(Words { all, weight, usual })
}

/// The documents that answer best, about `most` of them; and whether these are all.
fn candidates(
    layers: &[&Segment],
    words: &Words,
    query: &Query<'_>,
    most: usize,
) -> io::Result<(BinaryHeap<Candidate>, bool)> {
    let wanted = query.namespace.map(space_hash);
    let mut found: Vec<Candidate> = Vec::new();
    let (mut least, mut is_all) = (0_f32, true);
    for (at, layer) in layers.iter().enumerate() {
        let scores = scores(layer, at, words)?;
        let spaces = match wanted {
            Some(_) if !scores.is_empty() => layer.spaces()?,
            _ => Vec::new(),
        };
        for (doc, score) in (0..).zip(scores) {
            let is_in = || wanted.is_none() || spaces.get(doc as usize).copied() == wanted;
            if score > 0.0 && score >= least && words.part(score) >= query.threshold && is_in() {
                found.push(Candidate { score, layer: at, doc });
            }
            if found.len() >= most.saturating_mul(4) {
                // The better ones go on; what is worse than all of them need not.
                found.select_nth_unstable_by(most, |a, b| b.cmp(a));
                found.truncate(most + 1);
                least = found.last().map_or(least, |last| last.score);
                is_all = false;
            }
        }
    }
    Ok((BinaryHeap::from(found), is_all))
}

/// How well each document of a layer answers; not yet a number from 0 to 1.
fn scores(layer: &Segment, at: usize, words: &Words) -> io::Result<Vec<f32>> {
    let found: Vec<_> = words
        .all
        .iter()
        .filter_map(|word| Some((word.weight, word.postings.get(at)?.as_ref()?)))
        .collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let lengths = layer.lengths()?;
    let mut scores = vec![0_f32; lengths.len()];
    let mut postings = Vec::new();
    for (weight, range) in found {
        layer.postings_at(range, &mut postings)?;
        each_posting(&postings, &mut |doc, times| {
            let doc = doc as usize;
            let (Some(score), Some(length)) = (scores.get_mut(doc), lengths.get(doc)) else {
                return Err(odd("no document"));
            };
            let share = share(times, f64::from(*length) / words.usual);
            #[expect(clippy::cast_possible_truncation, reason = "it is compared, and shown cut")]
            let more = (weight * share) as f32;
            *score += more;
            Ok(())
        })?;
    }
    Ok(scores)
}
