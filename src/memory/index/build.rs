//! Making segments: from entries of the log, and from other segments.

use std::{collections::HashMap, io};

use super::{
    format::{FAN, HEADER, Header, Postings, each_posting, first, hash, odd},
    segment::Segment,
};
use crate::memory::{
    entry::{Entry, Name, Value},
    search::words_of,
    words::term,
};

/// How many words are remembered with their stems.
const STEMS: usize = 1 << 16;

/// What a key is found by.
pub(super) fn key_hash(name: &Name) -> u64 {
    // No namespace has a NUL in it.
    hash(&[name.namespace.as_bytes(), b"\0", name.key.as_bytes()].concat())
}

/// A namespace, as documents have it.
pub(super) fn space_hash(namespace: &str) -> u32 {
    u32::try_from(hash(namespace.as_bytes()) >> 32).unwrap_or_default()
}

/// What a term is found by.
pub(super) fn term_hash(term: &str) -> u64 {
    hash(term.as_bytes())
}

/// A document: one version of one key.
#[derive(Clone, Copy, Debug)]
struct Doc {
    words: u32,
    space: u32,
    /// Where its line begins.
    line: u64,
    key: u64,
}

/// A segment that is being made.
#[derive(Debug, Default)]
pub(super) struct Builder {
    docs: Vec<Doc>,
    terms: HashMap<u64, Postings>,
    words: u64,
    /// Words and what they are found by.
    known: HashMap<String, u64>,
}

impl Builder {
    /// A segment of entries, each with where its line begins; in the order of the log.
    pub(super) fn of(entries: &[(u64, Entry)]) -> Self {
        // Of each key the last one.
        let mut last = HashMap::new();
        for (index, (_, entry)) in entries.iter().enumerate() {
            last.insert(&entry.name, index);
        }
        let mut builder = Self::default();
        for (index, (line, entry)) in entries.iter().enumerate() {
            if last.get(&entry.name) == Some(&index) {
                builder.add(*line, entry);
            }
        }
        builder
    }

    fn add(&mut self, line: u64, entry: &Entry) {
        let Ok(doc) = u32::try_from(self.docs.len()) else { return };
        let words = entry.value.as_ref().map_or(0, |value| self.add_words(doc, entry, value));
        self.words += u64::from(words);
        let space = space_hash(&entry.name.namespace);
        self.docs.push(Doc { words, space, line, key: key_hash(&entry.name) });
    }

    fn add_words(&mut self, doc: u32, entry: &Entry, value: &Value) -> u32 {
        let mut times: HashMap<u64, u32> = HashMap::new();
        let words = words_of(entry, value, &mut |word, kind, counts| {
            // A name as a whole is never stemmed, and seldom comes again.
            let term = match self.known.get(word) {
                Some(term) if kind == crate::memory::words::Kind::Part => *term,
                _ => {
                    let term = term_hash(&term(word, kind));
                    if kind == crate::memory::words::Kind::Part && self.known.len() < STEMS {
                        self.known.insert(word.to_owned(), term);
                    }
                    term
                }
            };
            let times = times.entry(term).or_default();
            *times = times.saturating_add(counts);
        });
        for (term, times) in times {
            self.terms.entry(term).or_default().push(doc, times);
        }
        words
    }

    /// One segment in place of several that follow each other in the log. Documents of
    /// which a later one has a newer version are left out.
    pub(super) fn merge(segments: &[&Segment]) -> io::Result<Self> {
        let mut newest = HashMap::new();
        for (at, segment) in segments.iter().enumerate() {
            for (key, _) in segment.keys()? {
                newest.insert(key, at);
            }
        }
        let mut builder = Self::default();
        // For each segment, what its documents are called now.
        let mut names: Vec<Vec<Option<u32>>> = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            let (lengths, spaces, lines) =
                (segment.lengths()?, segment.spaces()?, segment.lines()?);
            let mut keys = vec![None; lines.len()];
            for (key, doc) in segment.keys()? {
                *keys.get_mut(doc as usize).ok_or_else(|| odd("no document"))? = Some(key);
            }
            let mut own = Vec::with_capacity(lines.len());
            for (((words, space), line), key) in
                lengths.into_iter().zip(spaces).zip(lines).zip(keys)
            {
                let key = key.ok_or_else(|| odd("a document without key"))?;
                if newest.get(&key) != Some(&at) {
                    own.push(None);
                    continue;
                }
                own.push(Some(u32::try_from(builder.docs.len()).map_err(|_| odd("too many"))?));
                builder.docs.push(Doc { words, space, line, key });
                builder.words += u64::from(words);
            }
            names.push(own);
        }
        for (segment, names) in segments.iter().zip(&names) {
            let bytes = segment.postings()?;
            for (term, range, _) in segment.terms()? {
                let bytes = bytes.get(range).ok_or_else(|| odd("no postings"))?;
                let postings = builder.terms.entry(term).or_default();
                each_posting(bytes, &mut |doc, times| {
                    let name = names.get(doc as usize).ok_or_else(|| odd("no document"))?;
                    if let Some(doc) = name {
                        postings.push(*doc, times);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(builder)
    }

    /// The file: what it covers of the log is said by whoever knows.
    pub(super) fn finish(self, covers: Header) -> Vec<u8> {
        let Self { docs, terms, words, .. } = self;
        // A deletion has no words.
        let live = docs.iter().filter(|doc| doc.words > 0).count() as u64;
        let mut terms: Vec<(u64, Postings)> =
            terms.into_iter().filter(|(_, postings)| postings.with > 0).collect();
        terms.sort_unstable_by_key(|(hash, _)| *hash);
        let postings: u64 = terms.iter().map(|(_, postings)| postings.bytes.len() as u64).sum();
        let mut keys: Vec<(u64, u32)> = (0..).zip(&docs).map(|(doc, own)| (own.key, doc)).collect();
        keys.sort_unstable();
        let header = Header {
            words,
            docs: docs.len() as u64,
            live,
            terms: terms.len() as u64,
            postings,
            ..covers
        };
        let [.., end] = header.parts();
        let mut file = Vec::with_capacity(usize::try_from(end).unwrap_or(HEADER + FAN));
        file.extend_from_slice(&header.encode());
        file.extend(docs.iter().flat_map(|doc| doc.words.to_le_bytes()));
        file.extend(docs.iter().flat_map(|doc| doc.space.to_le_bytes()));
        file.extend(docs.iter().flat_map(|doc| doc.line.to_le_bytes()));
        fan(&mut file, keys.iter().map(|(hash, _)| *hash));
        for (hash, doc) in &keys {
            file.extend_from_slice(&hash.to_le_bytes());
            file.extend_from_slice(&doc.to_le_bytes());
        }
        fan(&mut file, terms.iter().map(|(hash, _)| *hash));
        let mut at = 0_u64;
        for (hash, postings) in &terms {
            file.extend_from_slice(&hash.to_le_bytes());
            file.extend_from_slice(&at.to_le_bytes());
            file.extend_from_slice(&postings.with.to_le_bytes());
            at += postings.bytes.len() as u64;
        }
        for (_, postings) in &terms {
            file.extend_from_slice(&postings.bytes);
        }
        file
    }
}

/// How many of the sorted hashes come before each first byte.
fn fan(file: &mut Vec<u8>, hashes: impl Iterator<Item = u64>) {
    let mut counts = [0_u32; 257];
    for hash in hashes {
        if let Some(count) = counts.get_mut(first(hash) + 1) {
            *count += 1;
        }
    }
    let mut before = 0;
    for count in counts {
        before += count;
        file.extend_from_slice(&before.to_le_bytes());
    }
}
