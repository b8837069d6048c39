//! How a segment's file is made up.
//!
//! ```text
//! header                 what it covers of the log, how much of each kind there is
//! u32 for each document  its length in words
//! u32 for each document  which namespace, hashed
//! u64 for each document  where its line begins
//! keys                   a fan of 257 u32, then rows: hash (u64), document (u32)
//! terms                  a fan of 257 u32, then rows: hash (u64), where its postings
//!                        begin (u64), how many documents have it (u32)
//! postings               for each term its documents, ascending, as numbers in groups
//!                        of seven bits: twice the distance to the one before, and one
//!                        more where the term counts once; else how much it counts follows
//! ```
//! Numbers are little-endian. Rows are sorted by their hash. The fan says for each first
//! byte of a hash how many rows come before it.

use std::io;

/// Changes with the format, and with what words an entry is found by.
pub(super) const MAGIC: [u8; 8] = *b"cxmemo\x00\x01";

pub(super) const HEADER: usize = 96;
pub(super) const KEY_ROW: usize = 12;
pub(super) const TERM_ROW: usize = 20;
/// The size of a fan.
pub(super) const FAN: usize = 257 * 4;

/// What a segment begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Where in the log it begins.
    pub(super) from: u64,
    /// Where in the log it ends.
    pub(super) to: u64,
    /// A hash of what stands in the log just before that.
    pub(super) check: u64,
    /// Lines of the log that could not be read.
    pub(super) torn: u64,
    /// Words of all documents.
    pub(super) words: u64,
    /// Documents: the last versions of keys, deletions among them.
    pub(super) docs: u64,
    /// Documents that are no deletions.
    pub(super) live: u64,
    /// Rows of terms.
    pub(super) terms: u64,
    /// Bytes of postings.
    pub(super) postings: u64,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER] {
        let fields = [
            self.from,
            self.to,
            self.check,
            self.torn,
            self.words,
            self.docs,
            self.live,
            self.terms,
            self.postings,
        ];
        let mut bytes = [0; HEADER];
        let (magic, rest) = bytes.split_at_mut(8);
        magic.copy_from_slice(&MAGIC);
        for (place, field) in rest.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let sum = hash(bytes.get(..HEADER - 8).unwrap_or_default());
        if let Some(place) = bytes.get_mut(HEADER - 8..) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> io::Result<Self> {
        let field = |at: usize| number_64(bytes, at * 8);
        if !bytes.starts_with(&MAGIC) || bytes.len() < HEADER {
            return Err(odd("no segment"));
        }
        if field(11)? != hash(bytes.get(..HEADER - 8).unwrap_or_default()) {
            return Err(odd("torn header"));
        }
        Ok(Self {
            from: field(1)?,
            to: field(2)?,
            check: field(3)?,
            torn: field(4)?,
            words: field(5)?,
            docs: field(6)?,
            live: field(7)?,
            terms: field(8)?,
            postings: field(9)?,
        })
    }

    /// Where the parts begin: lengths, namespaces, lines, keys, terms, postings; and
    /// where the file ends.
    pub(super) fn parts(&self) -> [u64; 7] {
        let docs = self.docs;
        let lengths = HEADER as u64;
        let spaces = lengths + docs * 4;
        let lines = spaces + docs * 4;
        let keys = lines + docs * 8;
        let terms = keys + FAN as u64 + docs * KEY_ROW as u64;
        let postings = terms + FAN as u64 + self.terms * TERM_ROW as u64;
        [lengths, spaces, lines, keys, terms, postings, postings + self.postings]
    }
}

/// That a segment is not what it should be.
pub(super) fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// FNV-1a, stirred so that its first byte is as good as any other.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The first byte of a hash.
pub(super) fn first(hash: u64) -> usize {
    usize::from(hash.to_be_bytes()[0])
}

pub(super) fn number_32(bytes: &[u8], at: usize) -> io::Result<u32> {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map(u32::from_le_bytes).ok_or_else(|| odd("cut short"))
}

pub(super) fn number_64(bytes: &[u8], at: usize) -> io::Result<u64> {
    let eight = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok());
    eight.map(u64::from_le_bytes).ok_or_else(|| odd("cut short"))
}

/// Postings of one term, while they are collected.
#[derive(Clone, Debug, Default)]
pub(super) struct Postings {
    pub(super) bytes: Vec<u8>,
    /// The document after the last one.
    next: u32,
    /// How many documents have it.
    pub(super) with: u32,
}

impl Postings {
    /// `doc` comes after all before it.
    pub(super) fn push(&mut self, doc: u32, times: u32) {
        let distance = u64::from(doc.saturating_sub(self.next));
        put(&mut self.bytes, distance << 1 | u64::from(times == 1));
        if times != 1 {
            put(&mut self.bytes, u64::from(times));
        }
        self.next = doc + 1;
        self.with += 1;
    }
}

/// Calls `take` with each document and how much the term counts there.
pub(super) fn each_posting(
    mut bytes: &[u8],
    take: &mut dyn FnMut(u32, u32) -> io::Result<()>,
) -> io::Result<()> {
    let mut next = 0_u64;
    while !bytes.is_empty() {
        let first = take_number(&mut bytes)?;
        let times = if first & 1 == 1 { 1 } else { take_number(&mut bytes)? };
        let doc = next + (first >> 1);
        let (doc, times) = (u32::try_from(doc), u32::try_from(times));
        let (Ok(doc), Ok(times)) = (doc, times) else { return Err(odd("no document")) };
        take(doc, times)?;
        next = u64::from(doc) + 1;
    }
    Ok(())
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

fn take_number(bytes: &mut &[u8]) -> io::Result<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or_else(|| odd("cut short"))?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(odd("no number"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn postings_come_back(
            docs in proptest::collection::btree_map(any::<u32>().prop_map(|d| d >> 1), 0_u32..1000, 0..50),
        ) {
            let mut postings = Postings::default();
            for (doc, times) in &docs {
                postings.push(*doc, *times);
            }
            prop_assert_eq!(postings.with as usize, docs.len());
            let mut back = std::collections::BTreeMap::new();
            each_posting(&postings.bytes, &mut |doc, times| {
                back.insert(doc, times);
                Ok(())
            }).expect("whole");
            prop_assert_eq!(back, docs);
        }

        #[test]
        fn bytes_of_others_are_no_postings_or_some_but_never_more(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut count = 0;
            let _ = each_posting(&bytes, &mut |_, _| { count += 1; Ok(()) });
            prop_assert!(count <= bytes.len());
        }
    }

    #[test]
    fn a_header_that_was_changed_is_none() {
        let header = Header { from: 1, to: 2, docs: 3, postings: 9, ..Header::default() };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes).expect("reads"), header);
        for at in 0..HEADER {
            let mut other = bytes;
            other[at] ^= 1;
            assert!(Header::decode(&other).is_err(), "{at}");
        }
        assert!(Header::decode(&bytes[..HEADER - 1]).is_err());
    }
}
