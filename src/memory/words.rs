//! From a text to the words that it is found by.
//!
//! A word of prose is stemmed: `errors` is found by `error`. A name from code is found
//! by its parts and as a whole: `parseHTTPRequest` by `parse`, `http`, `request` and
//! `parsehttprequest`, `snake_case` by `snake` and `case`. A path is found by what
//! stands between its slashes. Scripts that put no blanks between words are found by
//! each of their characters.

use std::{borrow::Cow, ops::Range};

use rust_stemmers::{Algorithm, Stemmer};

/// A longer word is cut: it is a hash or an image, and nobody types it.
const LONGEST: usize = 64;

/// What a word is in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word, or a part of a name.
    Part,
    /// A name of several parts as a whole.
    Whole,
}

/// Calls `take` for each word of `text`, in lower case and not stemmed, with where it
/// stands.
pub(super) fn each(text: &str, mut take: impl FnMut(&str, Kind, Range<usize>)) {
    let mut word = String::new();
    let mut whole = String::new();
    let mut rest = 0;
    while let Some((begin, end)) = run(text, rest) {
        rest = end;
        whole.clear();
        let mut parts = 0;
        let mut at = begin;
        while at < end {
            let Some((from, to)) = part(text, at, end) else { break };
            at = to;
            word.clear();
            lower(&mut word, text.get(from..to).unwrap_or_default());
            if word.is_empty() {
                continue;
            }
            parts += 1;
            if whole.len() < LONGEST {
                whole.push_str(&word);
            }
            take(&word, Kind::Part, from..to);
        }
        if parts > 1 && !whole.chars().any(stands_alone) {
            cut(&mut whole);
            take(&whole, Kind::Whole, begin..end);
        }
    }
}

/// What a word is looked up by.
pub(super) fn term(word: &str, kind: Kind) -> Cow<'_, str> {
    let is_prose =
        kind == Kind::Part && word.len() > 2 && word.bytes().all(|b| b.is_ascii_lowercase());
    if is_prose { Stemmer::create(Algorithm::English).stem(word) } else { Cow::Borrowed(word) }
}

/// The next letters and digits that nothing but `_` stands between.
fn run(text: &str, from: usize) -> Option<(usize, usize)> {
    let rest = text.get(from..)?;
    let is_in = |c: char| c.is_alphanumeric() || c == '_';
    let begin = from + rest.find(char::is_alphanumeric)?;
    let rest = text.get(begin..)?;
    let end = rest.find(|c| !is_in(c)).map_or(text.len(), |length| begin + length);
    Some((begin, end))
}

/// The next part of a name between `from` and `end`.
fn part(text: &str, from: usize, end: usize) -> Option<(usize, usize)> {
    let name = text.get(from..end)?;
    let begin = from + name.find(|c| c != '_')?;
    let mut chars = text.get(begin..end)?.char_indices().peekable();
    let (_, first) = chars.next()?;
    if stands_alone(first) {
        return Some((begin, begin + first.len_utf8()));
    }
    let mut before = first;
    while let Some((offset, c)) = chars.next() {
        let next_is_lower = chars.peek().is_some_and(|(_, next)| next.is_lowercase());
        // `aB`, `2B`, and of `HTTPRequest` the R.
        let is_hump = c.is_uppercase() && (!before.is_uppercase() || next_is_lower);
        if c == '_' || is_hump || stands_alone(c) {
            return Some((begin, begin + offset));
        }
        before = c;
    }
    Some((begin, end))
}

/// Of scripts that put no blanks between words.
fn stands_alone(c: char) -> bool {
    matches!(u32::from(c), 0x0E00..=0x0EFF | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

fn lower(word: &mut String, text: &str) {
    if text.is_ascii() {
        word.push_str(text);
        word.make_ascii_lowercase();
    } else {
        word.extend(text.chars().flat_map(char::to_lowercase));
    }
    cut(word);
}

fn cut(word: &mut String) {
    word.truncate(word.floor_char_boundary(LONGEST));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        each(text, |word, kind, _| terms.push(term(word, kind).into_owned()));
        terms
    }

    #[test]
    fn names_from_code_are_found_by_their_parts_and_as_a_whole() {
        for (text, expected) in [
            ("parseHTTPRequest", &["pars", "http", "request", "parsehttprequest"][..]),
            ("snake_case_name", &["snake", "case", "name", "snakecasename"]),
            ("__init__", &["init"]),
            ("SCREAMING_CASE", &["scream", "case", "screamingcase"]),
            ("src/auth/token.rs", &["src", "auth", "token", "rs"]),
            ("base64Encode", &["base64", "encod", "base64encode"]),
            ("x86_64", &["x86", "64", "x8664"]),
            ("HTTP2Server", &["http2", "server", "http2server"]),
            ("a-b::c", &["a", "b", "c"]),
            ("日本語", &["日", "本", "語"]),
            ("Größe ÜBER", &["größe", "über"]),
            ("", &[]),
            ("--- _ ---", &[]),
        ] {
            assert_eq!(terms(text), expected, "{text}");
        }
    }

    #[test]
    fn prose_is_found_by_its_stems() {
        assert_eq!(terms("Errors are reported"), terms("error are report"));
        assert_eq!(terms("connections"), terms("connected"));
        assert_ne!(terms("universe"), terms("adverse"));
    }

    #[test]
    fn long_words_are_cut_at_a_character() {
        let long = "é".repeat(100);
        assert_eq!(terms(&long), ["é".repeat(32)]);
    }

    proptest! {
        #[test]
        fn words_stand_where_they_are_said_to(text in "\\PC{0,40}") {
            let mut last = 0;
            each(&text, |word, kind, at| {
                let there: String =
                    text[at.clone()].chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect();
                assert!(there.starts_with(word), "{word} in {there}");
                if kind == Kind::Part {
                    assert!(last <= at.start);
                    last = at.end;
                }
            });
        }

        #[test]
        fn case_and_what_is_around_do_not_matter(word in "[a-z]{1,10}") {
            let upper = word.to_uppercase();
            prop_assert_eq!(terms(&word), terms(&upper));
            let around = format!("({word}),");
            prop_assert_eq!(terms(&word), terms(&around));
        }
    }
}
