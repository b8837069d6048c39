//! `when = "scout.succeeded and not 'nothing to do' in scout"`: whether a task
//! runs, by what became of its needs.
//!
//! ```text
//! or      and { "or" and }
//! and     not { "and" not }
//! not     "not" not | "(" or ")" | fact
//! fact    NEED ".succeeded" | NEED ".failed" | NEED ".skipped" | STRING "in" NEED
//! ```

use std::{borrow::Cow, iter::Peekable, str::CharIndices};

/// A condition that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// What became of a need.
    Is(String, Ending),
    /// The text stands in the need's answer.
    In(String, String),
    /// It does not hold.
    Not(Box<When>),
    /// Both hold.
    And(Box<When>, Box<When>),
    /// One of them holds, or both.
    Or(Box<When>, Box<When>),
}

/// What can become of a need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ran and succeeded.
    Succeeded,
    /// It ran and failed.
    Failed,
    /// It never ran: something it needs failed, or its own `when` did not hold.
    Skipped,
}

/// Why a text is no condition. Reads as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// There is nothing in it.
    #[error("says nothing")]
    Empty,
    /// Something else was meant to stand there.
    #[error("is no condition: {expected} was expected {}", place(found.as_deref()))]
    Unexpected {
        /// What could stand there.
        expected: &'static str,
        /// What does; nothing is the end.
        found: Option<String>,
    },
    /// A string that does not end.
    #[error("is no condition: the text that begins with {0} does not end")]
    Open(char),
    /// A need without what became of it, or with something that cannot.
    #[error("is no condition: '{0}' is not NEED.succeeded, NEED.failed or NEED.skipped")]
    NoFact(String),
    /// More parentheses and `not`s within each other than anybody writes.
    #[error("is no condition: it is nested too deeply")]
    Deep,
}

fn place(found: Option<&str>) -> String {
    found.map_or_else(|| "at the end".to_owned(), |found| format!("in place of '{found}'"))
}

/// How deep parentheses and `not` may go: reading and judging recurse.
const DEPTH: usize = 64;

/// The most facts in one condition, for the same reason.
const FACTS: usize = 256;

impl When {
    /// Reads a condition.
    ///
    /// # Errors
    /// Those of [`WhenError`].
    pub fn parse(text: &str) -> Result<Self, WhenError> {
        if text.trim().is_empty() {
            return Err(WhenError::Empty);
        }
        let mut words = tokens(text)?.into_iter().peekable();
        if words.len() > 4 * FACTS {
            return Err(WhenError::Deep);
        }
        let when = or(&mut words, 0)?;
        match words.next() {
            None => Ok(when),
            found => unexpected("'and', 'or' or the end", found),
        }
    }

    /// The needs it names, in their order, as often as they stand there.
    pub fn needs(&self) -> Vec<&str> {
        match self {
            Self::Is(need, _) | Self::In(_, need) => vec![need],
            Self::Not(inner) => inner.needs(),
            Self::And(a, b) | Self::Or(a, b) => {
                let mut needs = a.needs();
                needs.extend(b.needs());
                needs
            }
        }
    }

    /// The needs whose answers it looks into.
    pub fn reads(&self) -> Vec<&str> {
        match self {
            Self::Is(..) => Vec::new(),
            Self::In(_, need) => vec![need],
            Self::Not(inner) => inner.reads(),
            Self::And(a, b) | Self::Or(a, b) => {
                let mut needs = a.reads();
                needs.extend(b.reads());
                needs
            }
        }
    }

    /// Whether it holds. `fact` knows how a need ended and what it answered,
    /// which is empty where it has not.
    pub fn holds<'a>(&self, fact: &dyn Fn(&str) -> (Ending, Cow<'a, str>)) -> bool {
        match self {
            Self::Is(need, ending) => fact(need).0 == *ending,
            Self::In(text, need) => fact(need).1.contains(text.as_str()),
            Self::Not(inner) => !inner.holds(fact),
            Self::And(a, b) => a.holds(fact) && b.holds(fact),
            Self::Or(a, b) => a.holds(fact) || b.holds(fact),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Word(String),
    Text(String),
    Other(char),
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }

    fn into_text(self) -> String {
        match self {
            Self::Open => "(".to_owned(),
            Self::Close => ")".to_owned(),
            Self::Word(text) | Self::Text(text) => text,
            Self::Other(c) => c.to_string(),
        }
    }
}

type Tokens = Peekable<std::vec::IntoIter<Token>>;

fn tokens(text: &str) -> Result<Vec<Token>, WhenError> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        tokens.push(match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '"' | '\'' => Token::Text(quoted(&mut chars, c)?),
            c if is_word(c) => {
                let mut end = at + c.len_utf8();
                while let Some((at, c)) = chars.next_if(|(_, c)| is_word(*c)) {
                    end = at + c.len_utf8();
                }
                Token::Word(text.get(at..end).unwrap_or_default().to_owned())
            }
            c => Token::Other(c),
        });
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// The text up to the next `quote`; a backslash takes the next character as it is.
fn quoted(chars: &mut Peekable<CharIndices<'_>>, quote: char) -> Result<String, WhenError> {
    let mut text = String::new();
    while let Some((_, c)) = chars.next() {
        match c {
            '\\' => text.extend(chars.next().map(|(_, c)| c)),
            c if c == quote => return Ok(text),
            c => text.push(c),
        }
    }
    Err(WhenError::Open(quote))
}

fn or(words: &mut Tokens, depth: usize) -> Result<When, WhenError> {
    let mut when = and(words, depth)?;
    while words.next_if(|word| word.is("or")).is_some() {
        when = When::Or(Box::new(when), Box::new(and(words, depth)?));
    }
    Ok(when)
}

fn and(words: &mut Tokens, depth: usize) -> Result<When, WhenError> {
    let mut when = not(words, depth)?;
    while words.next_if(|word| word.is("and")).is_some() {
        when = When::And(Box::new(when), Box::new(not(words, depth)?));
    }
    Ok(when)
}

fn not(words: &mut Tokens, depth: usize) -> Result<When, WhenError> {
    if depth > DEPTH {
        return Err(WhenError::Deep);
    }
    match words.next() {
        Some(word) if word.is("not") => Ok(When::Not(Box::new(not(words, depth + 1)?))),
        Some(Token::Open) => {
            let inner = or(words, depth + 1)?;
            match words.next() {
                Some(Token::Close) => Ok(inner),
                found => unexpected("')'", found),
            }
        }
        Some(Token::Text(text)) => {
            match words.next() {
                Some(word) if word.is("in") => {}
                found => return unexpected("'in'", found),
            }
            match words.next() {
                Some(Token::Word(need)) => Ok(When::In(text, need)),
                found => unexpected("the id of a need", found),
            }
        }
        Some(Token::Word(word)) if !["and", "or", "in"].contains(&word.as_str()) => fact(word),
        found => unexpected("NEED.succeeded, \"text\" in NEED, 'not' or '('", found),
    }
}

fn fact(word: String) -> Result<When, WhenError> {
    let ending = |what| match what {
        "succeeded" => Some(Ending::Succeeded),
        "failed" => Some(Ending::Failed),
        "skipped" => Some(Ending::Skipped),
        _ => None,
    };
    match word.rsplit_once('.').map(|(need, what)| (need, ending(what))) {
        Some((need, Some(ending))) if !need.is_empty() => Ok(When::Is(need.to_owned(), ending)),
        _ => Err(WhenError::NoFact(word)),
    }
}

fn unexpected<T>(expected: &'static str, found: Option<Token>) -> Result<T, WhenError> {
    Err(WhenError::Unexpected { expected, found: found.map(Token::into_text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `good` succeeded with an answer, `bad` failed, `out` was skipped.
    fn holds(text: &str) -> Result<bool, String> {
        let when = When::parse(text).map_err(|error| error.to_string())?;
        Ok(when.holds(&|need| match need {
            "good" | "v1.2" => (Ending::Succeeded, "VERDICT: holds".into()),
            "bad" => (Ending::Failed, "".into()),
            _ => (Ending::Skipped, "".into()),
        }))
    }

    #[test]
    fn conditions_hold_or_not() {
        for (text, expected) in [
            ("good.succeeded", true),
            ("good.failed", false),
            ("bad.failed", true),
            ("out.skipped", true),
            ("v1.2.succeeded", true),
            ("\"holds\" in good", true),
            ("not good.succeeded", false),
            ("not not good.succeeded", true),
            // `and` binds more tightly than `or`.
            ("good.succeeded or bad.succeeded and bad.succeeded", true),
            ("(good.succeeded or bad.succeeded) and bad.succeeded", false),
            ("not bad.succeeded and good.succeeded", true),
            ("bad.failed and ('x' in bad or \"VERDICT: \" in good)", true),
        ] {
            assert_eq!(holds(text), Ok(expected), "{text}");
        }
        assert_eq!(holds(r#""a \"quoted\" b" in good"#), Ok(false));
    }

    #[test]
    fn what_is_no_condition_is_said_in_one_sentence() {
        for (text, problem) in [
            (" ", "says nothing"),
            ("good", "is no condition: 'good' is not NEED.succeeded, NEED.failed or NEED.skipped"),
            (
                ".failed",
                "is no condition: '.failed' is not NEED.succeeded, NEED.failed or NEED.skipped",
            ),
            ("'x", "is no condition: the text that begins with ' does not end"),
            ("'it''s' in good", "is no condition: 'in' was expected in place of 's'"),
            ("'x' on good", "is no condition: 'in' was expected in place of 'on'"),
            ("'x' in", "is no condition: the id of a need was expected at the end"),
            ("(good.failed", "is no condition: ')' was expected at the end"),
            (
                "good.failed bad.failed",
                "is no condition: 'and', 'or' or the end was expected in place of 'bad.failed'",
            ),
            (
                "good.failed && bad.failed",
                "is no condition: 'and', 'or' or the end was expected in place of '&'",
            ),
            (
                "and good.failed",
                "is no condition: NEED.succeeded, \"text\" in NEED, 'not' or '(' was expected in place of 'and'",
            ),
        ] {
            assert_eq!(holds(text), Err(problem.to_owned()), "{text}");
        }
        assert_eq!(When::parse(&"(".repeat(100_000)), Err(WhenError::Deep));
        assert_eq!(When::parse(&"not ".repeat(1_000)), Err(WhenError::Deep));
    }

    #[test]
    fn the_needs_it_names() {
        let when = When::parse("a.failed or ('x' in b and not a.skipped)").expect("reads");
        assert_eq!(when.needs(), ["a", "b", "a"]);
        assert_eq!(when.reads(), ["b"]);
    }
}
