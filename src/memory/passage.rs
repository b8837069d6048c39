//! The part of a value that a query is about.

use std::collections::BTreeSet;

use super::words::{self, term};

/// How many bytes a passage has at most, more or less.
const LENGTH: usize = 240;

/// How much of a value is looked at.
const LOOKED_AT: usize = 256 * 1024;

/// The passage of `text` with most of `terms` in it, or its beginning; on one line, with
/// `…` where something was left out.
pub(super) fn passage(text: &str, terms: &BTreeSet<String>) -> String {
    let looked_at = text.get(..text.floor_char_boundary(LOOKED_AT)).unwrap_or_default();
    // Where words of the query stand, and which.
    let mut hits: Vec<(usize, usize, usize)> = Vec::new();
    words::each(looked_at, |word, kind, at| {
        if let Some(index) = terms.iter().position(|wanted| *wanted == *term(word, kind)) {
            hits.push((at.start, at.end, index));
        }
    });
    let mut best = (0, 0, 0, 0);
    for (index, (begin, ..)) in hits.iter().enumerate() {
        let near = hits.iter().skip(index).take_while(|(_, end, _)| *end <= begin + LENGTH * 3 / 4);
        let (mut different, mut count, mut until) = (BTreeSet::new(), 0, *begin);
        for (_, end, which) in near {
            different.insert(which);
            count += 1;
            until = until.max(*end);
        }
        if (different.len(), count) > (best.0, best.1) {
            best = (different.len(), count, *begin, until);
        }
    }
    let (_, _, begin, until) = best;
    // The hits in the middle, with what is around them.
    let spare = LENGTH.saturating_sub(until - begin);
    let from = begin.saturating_sub(spare / 2);
    let to = (from + LENGTH).max(until).min(text.len());
    let from = if to == text.len() { from.min(to.saturating_sub(LENGTH)) } else { from };
    let from = word_boundary(text, from, begin);
    let to = text.floor_char_boundary(to);
    // Not in the middle of a word, where a blank is near.
    let to = match text.get(until.min(to)..to).unwrap_or_default().rfind(char::is_whitespace) {
        Some(blank) if to < text.len() => until.min(to) + blank,
        _ => to,
    };
    let inner = clean(text.get(from..to).unwrap_or_default());
    let before = if clean(text.get(..from).unwrap_or_default()).is_empty() { "" } else { "…" };
    let after = if clean(text.get(to..).unwrap_or_default()).is_empty() { "" } else { "…" };
    format!("{before}{inner}{after}")
}

/// The first beginning of a word between `from` and `until`, or `from`.
fn word_boundary(text: &str, from: usize, until: usize) -> usize {
    let from = text.ceil_char_boundary(from);
    if from == 0 {
        return 0;
    }
    let between = text.get(from..until).unwrap_or_default();
    between.find(char::is_whitespace).map_or(from, |blank| {
        from + blank
            + between.get(blank..).unwrap_or_default().chars().next().map_or(0, char::len_utf8)
    })
}

/// On one line, without control characters.
fn clean(text: &str) -> String {
    let words = text.split_whitespace().map(|word| word.replace(char::is_control, ""));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str, terms: &[&str]) -> String {
        passage(text, &terms.iter().map(|term| (*term).to_owned()).collect())
    }

    #[test]
    fn a_short_value_is_there_whole() {
        assert_eq!(of("all of\n it", &["nothing"]), "all of it");
        assert_eq!(of("", &["nothing"]), "");
    }

    #[test]
    fn of_a_long_one_the_part_with_most_of_the_words() {
        let filler = "lorem ipsum dolor ".repeat(40);
        let text = format!("token first {filler}then the token store is locked here {filler}end");
        let found = of(&text, &["token", "store", "lock"]);
        assert!(found.contains("the token store is locked here"), "{found}");
        assert!(found.starts_with('…') && found.ends_with('…'), "{found}");
        assert!(found.len() < 260, "{}", found.len());
        let beginning = of(&text, &["nowhere"]);
        assert!(beginning.starts_with("token first lorem") && beginning.ends_with('…'));
        let end = of(&text, &["end"]);
        assert!(end.ends_with("dolor end"), "{end}");
    }

    proptest! {
        #[test]
        fn any_text_has_one(text in "[ab é語\n\u{7}]{0,600}") {
            let found = of(&text, &["a", "語"]);
            prop_assert!(!found.contains(char::is_control));
            prop_assert!(found.len() <= 4 * LENGTH);
        }
    }
}
