//! Secrets: what stands in certain variables of the environment, and must stand
//! nowhere else.
//!
//! [`Secrets`] is a value, and taking them out of a text is a function of both.
//! One such value is that of this process ([`keep`]): what is written to the ledger
//! or to stderr goes through [`redacted`].
//!
//! A text may have been cut in the middle of a secret. So what is left of one
//! before a cut, or at the very beginning of a text, is taken out as well.

use std::{
    borrow::Cow,
    sync::{PoisonError, RwLock},
};

/// Variables that hold secrets unless they hold the path of something. In any case.
pub const PATTERNS: [&str; 3] = ["*KEY*", "*TOKEN*", "*SECRET*"];

/// A shorter value is no secret that could be told from an ordinary word.
const SHORTEST: usize = 8;

/// A part of a cut secret that is as long as this is taken for one; so is a shorter
/// one that is half of it.
const LONG_PART: usize = 8;
const SHORTEST_PART: usize = 5;

/// Values that must not be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Variable and value, the longest first.
    values: Vec<(String, String)>,
}

impl Secrets {
    /// The secrets among `variables`: those whose name fits one of `patterns`. A value
    /// that is a path of something (`is_place`) or shorter than 8 bytes is none. Of
    /// several lines each is one: messages put them side by side.
    pub fn of(
        variables: impl IntoIterator<Item = (String, String)>,
        patterns: &[&str],
        is_place: impl Fn(&str) -> bool,
    ) -> Self {
        let mut values: Vec<(String, String)> = Vec::new();
        for (name, value) in variables {
            if !patterns.iter().any(|pattern| fits_name(pattern, &name)) || is_place(&value) {
                continue;
            }
            let lines = value.lines().map(str::trim);
            for line in lines.filter(|line| line.len() >= SHORTEST) {
                values.push((name.clone(), line.to_owned()));
            }
        }
        let mut secrets = Self { values };
        secrets.sort();
        secrets
    }

    fn sort(&mut self) {
        self.values.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.cmp(b)));
        self.values.dedup_by(|a, b| a.1 == b.1);
    }

    /// The variable whose value is in `text`.
    pub fn found_in(&self, text: &str) -> Option<&str> {
        let found = self.values.iter().find(|(_, value)| text.contains(value.as_str()));
        found.map(|(name, _)| name.as_str())
    }

    /// `text` with `[redacted NAME]` in place of each secret.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for (name, value) in &self.values {
            let mark = || format!("[redacted {name}]");
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), &mark()).into();
            }
            let tail = longest(value, |part| text.starts_with(part), End::Tail);
            if let Some(tail) = tail {
                text = format!("{}{}", mark(), &text[tail.len()..]).into();
            }
            for cut in
                ["…", "...", ""].into_iter().filter(|cut| text.contains(cut)).collect::<Vec<_>>()
            {
                let ends = |part: &str| match cut {
                    "" => text.ends_with(part),
                    cut => text.contains(&format!("{part}{cut}")),
                };
                let Some(head) = longest(value, ends, End::Head) else { continue };
                text = match cut {
                    "" => format!("{}{}", &text[..text.len() - head.len()], mark()).into(),
                    cut => {
                        text.replace(&format!("{head}{cut}"), &format!("{}{cut}", mark())).into()
                    }
                };
            }
        }
        text
    }
}

/// Which part of a secret is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Head,
    Tail,
}

/// The longest part of `value` at this end of it, but for all of it, that `is_there`.
fn longest(value: &str, is_there: impl Fn(&str) -> bool, end: End) -> Option<&str> {
    let cuts = value.char_indices().map(|(at, _)| at).filter(|at| *at > 0);
    let parts = cuts.map(|at| match end {
        End::Head => &value[..at],
        End::Tail => &value[at..],
    });
    let is_telling = |len: usize| {
        len >= LONG_PART || (len >= SHORTEST_PART && len.saturating_mul(2) >= value.len())
    };
    parts.filter(|part| is_telling(part.len()) && is_there(part)).max_by_key(|part| part.len())
}

/// Whether a variable's `name` fits `pattern`, in which `*` stands for any characters
/// and `?` for one; in any case.
pub fn fits_name(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.as_bytes(), name.as_bytes());
    // Nearly every one is of this form, and each start looks for three of them in the
    // names of the whole environment.
    if let [b'*', part @ .., b'*'] = pattern
        && !part.is_empty()
        && !part.contains(&b'*')
        && !part.contains(&b'?')
    {
        return name.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    }
    // What follows the last star, and where in the name that was tried last.
    let mut star = None;
    loop {
        match (pattern, name) {
            ([b'*', after @ ..], _) => {
                star = Some((after, name));
                pattern = after;
            }
            ([], []) => return true,
            ([p, after @ ..], [n, rest @ ..]) if *p == b'?' || p.eq_ignore_ascii_case(n) => {
                (pattern, name) = (after, rest);
            }
            _ => {
                let Some((after, [_, rest @ ..])) = star else { return false };
                star = Some((after, rest));
                (pattern, name) = (after, rest);
            }
        }
    }
}

static KEPT: RwLock<Secrets> = RwLock::new(Secrets { values: Vec::new() });

/// Has this process keep these secrets too.
pub fn keep(more: Secrets) {
    let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
    kept.values.extend(more.values);
    kept.sort();
}

/// `text` without the secrets of this process.
pub fn redacted(text: &str) -> Cow<'_, str> {
    KEPT.read().unwrap_or_else(PoisonError::into_inner).redact(text)
}

/// The variable of this process whose secret is in `text`.
pub fn variable_in(text: &str) -> Option<String> {
    let kept = KEPT.read().unwrap_or_else(PoisonError::into_inner);
    kept.found_in(text).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(variables: &[(&str, &str)]) -> Secrets {
        let owned = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Secrets::of(owned, &PATTERNS, |value| value.starts_with("/home/"))
    }

    #[test]
    fn a_secret_is_a_value_that_could_be_nothing_else() {
        let kept = secrets(&[
            ("OPENAI_API_KEY", "sk-0123456789"),
            ("github_token", "ghp_abcdefgh"),
            ("MAX_TOKENS", "32000"),
            ("SSH_KEY_FILE", "/home/me/.ssh/id"),
            ("EDITOR", "vim-is-my-editor"),
        ]);
        assert_eq!(
            kept.redact("a sk-0123456789b, ghp_abcdefgh 32000 /home/me/.ssh/id vim-is-my-editor"),
            "a [redacted OPENAI_API_KEY]b, [redacted github_token] 32000 /home/me/.ssh/id vim-is-my-editor"
        );
        assert_eq!(kept.found_in("x sk-0123456789"), Some("OPENAI_API_KEY"));
        assert_eq!(kept.found_in("sk-012345678"), None);
        assert!(matches!(kept.redact("nothing of it"), Cow::Borrowed("nothing of it")));
    }

    #[test]
    fn what_a_cut_leaves_of_one_is_taken_out() {
        let kept = secrets(&[("A_KEY", "sk-0123456789")]);
        for (text, told) in [
            ("refused: sk-01234…", "refused: [redacted A_KEY]…"),
            ("refused: sk-01234...; see", "refused: [redacted A_KEY]...; see"),
            ("refused: sk-0123", "refused: [redacted A_KEY]"),
            ("3456789 was refused", "[redacted A_KEY] was refused"),
            // Too little to be sure of.
            ("refused: sk-01", "refused: sk-01"),
            ("456 was refused", "456 was refused"),
        ] {
            assert_eq!(kept.redact(text), told);
        }
    }

    #[test]
    fn of_one_in_another_the_longer_is_taken_out_and_lines_count_each() {
        let kept = secrets(&[
            ("A_TOKEN", "abcdefgh"),
            ("B_TOKEN", "abcdefgh-and-more"),
            ("PRIVATE_KEY", "-----BEGIN-----\nMIIE0123456789\n-----END-----\n"),
        ]);
        assert_eq!(kept.redact("abcdefgh-and-more"), "[redacted B_TOKEN]");
        assert_eq!(
            kept.redact("key: -----BEGIN----- MIIE0123456789 ok"),
            "key: [redacted PRIVATE_KEY] [redacted PRIVATE_KEY] ok"
        );
    }

    #[test]
    fn patterns_fit_names_in_any_case() {
        assert!(fits_name("*KEY*", "ANTHROPIC_API_KEY") && fits_name("*KEY*", "key"));
        assert!(fits_name("*token*", "GITHUB_TOKEN_FILE") && fits_name("A?C", "abc"));
        assert!(fits_name("*", "") && !fits_name("", "A") && !fits_name("A", ""));
        assert!(!fits_name("*KEY", "KEYS") && !fits_name("A?C", "AC"));
    }
}
