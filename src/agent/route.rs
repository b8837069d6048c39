//! Routing: which agents a text or files call for, by their triggers, and why.
//!
//! The rule, which `docs/agents.md` says too: each trigger of an agent counts
//! once for the text (a file pattern once for each file), with these points.
//!
//! - a regex: 300 (high), 200 (medium), 100 (low)
//! - a keyword: one for each of its characters, at most 99
//! - a file pattern: one for each character that is no wildcard, at most 99
//!
//! The most points come first, and among equals the order of the agents. An agent
//! without triggers is never chosen.
//!
//! Pure: patterns are compiled once, and nothing is read or written.

use std::ops::Range;

use regex_lite::{Regex, RegexBuilder};
use serde::Serialize;

use super::triggers::{Priority, Triggers};

/// The most that a keyword or a file pattern counts.
const MOST: usize = 99;

/// Triggers that are ready to be asked.
#[derive(Debug)]
pub struct Router {
    agents: Vec<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    keywords: Vec<Keyword>,
    regex: Vec<(String, Priority, Regex)>,
    files: Vec<String>,
}

#[derive(Debug)]
struct Keyword {
    written: String,
    folded: Vec<char>,
}

/// A trigger that cannot be used, and is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTrigger {
    /// Whose it is: its place among the agents given.
    pub agent: usize,
    /// As it is written.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: String,
}

/// An agent that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its place among the agents given.
    pub agent: usize,
    /// The points of all its matches.
    pub score: usize,
    /// Why: in the order of the files, and then of the triggers.
    pub matches: Vec<Match>,
}

/// A trigger that matched, where, and for how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Match {
    /// What it is.
    pub kind: TriggerKind,
    /// The trigger as it is written.
    pub trigger: String,
    /// The priority, of a regex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// What matched: a part of the text, or a file.
    pub matched: String,
    /// Where that begins in the text: line and column, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Position>,
    /// Its points.
    pub score: usize,
}

/// What kind of trigger matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerKind {
    /// A word or a phrase.
    Keyword,
    /// An expression.
    Regex,
    /// A glob for files.
    FilePattern,
}

impl TriggerKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Regex => "regex",
            Self::FilePattern => "file pattern",
        }
    }
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl Router {
    /// Compiles the triggers of some agents. What cannot be compiled is left out
    /// and named.
    pub fn new<'a>(agents: impl IntoIterator<Item = &'a Triggers>) -> (Self, Vec<BadTrigger>) {
        let mut bad = Vec::new();
        let agents = agents
            .into_iter()
            .enumerate()
            .map(|(agent, triggers)| {
                let mut reject = |pattern: &str, problem: String| {
                    bad.push(BadTrigger { agent, pattern: pattern.to_owned(), problem });
                };
                let regex = triggers.regex.iter().filter_map(|one| {
                    match RegexBuilder::new(&one.pattern).case_insensitive(true).build() {
                        Ok(regex) => Some((one.pattern.clone(), one.priority, regex)),
                        Err(error) => {
                            reject(&one.pattern, format!("is no regex: {error}"));
                            None
                        }
                    }
                });
                Compiled {
                    regex: regex.collect(),
                    keywords: triggers
                        .keywords
                        .iter()
                        .filter_map(|one| Keyword::new(one))
                        .collect(),
                    files: triggers.file_patterns.clone(),
                }
            })
            .collect();
        (Self { agents }, bad)
    }

    /// The agents that a text calls for.
    pub fn text(&self, text: &str) -> Vec<Route> {
        let folded = fold(text);
        let trimmed = text.trim();
        // `^` and `$` mean the task, not the spaces around it.
        let offset = text.len() - text.trim_start().len();
        self.routes(|agent| {
            let mut matches = Vec::new();
            for (pattern, priority, regex) in &agent.regex {
                let Some(found) = regex.find(trimmed) else { continue };
                matches.push(Match {
                    kind: TriggerKind::Regex,
                    trigger: pattern.clone(),
                    priority: Some(*priority),
                    matched: found.as_str().to_owned(),
                    at: Some(position(text, offset + found.start())),
                    score: match priority {
                        Priority::High => 300,
                        Priority::Medium => 200,
                        Priority::Low => 100,
                    },
                });
            }
            for keyword in &agent.keywords {
                let Some(found) = keyword.find(text, &folded) else { continue };
                matches.push(Match {
                    kind: TriggerKind::Keyword,
                    trigger: keyword.written.clone(),
                    priority: None,
                    at: Some(position(text, found.start)),
                    matched: text.get(found).unwrap_or_default().to_owned(),
                    score: keyword.folded.len().min(MOST),
                });
            }
            matches
        })
    }

    /// The agents that files call for. The paths are relative to the root of the
    /// checkout, without `./` and `..`.
    pub fn files(&self, paths: &[String]) -> Vec<Route> {
        self.routes(|agent| {
            let (out, wanted): (Vec<&str>, Vec<&str>) =
                agent.files.iter().map(String::as_str).partition(|glob| glob.starts_with('!'));
            let mut matches = Vec::new();
            for path in paths {
                let is_in = |glob: &str| fast_glob::glob_match(glob, path);
                if out.iter().any(|glob| glob.strip_prefix('!').is_some_and(is_in)) {
                    continue;
                }
                matches.extend(wanted.iter().filter(|glob| is_in(glob)).map(|glob| Match {
                    kind: TriggerKind::FilePattern,
                    trigger: (*glob).to_owned(),
                    priority: None,
                    matched: path.clone(),
                    at: None,
                    score: glob.chars().filter(|c| !"*?[]{}".contains(*c)).count().min(MOST),
                }));
            }
            matches
        })
    }

    fn routes(&self, matches: impl Fn(&Compiled) -> Vec<Match>) -> Vec<Route> {
        let mut routes: Vec<Route> = self
            .agents
            .iter()
            .enumerate()
            .map(|(agent, triggers)| (agent, matches(triggers)))
            .filter(|(_, matches)| !matches.is_empty())
            .map(|(agent, matches)| {
                let score = matches.iter().map(|one| one.score).sum();
                Route { agent, score, matches }
            })
            .collect();
        // Stable: among equals, the order of the agents.
        routes.sort_by_key(|route| std::cmp::Reverse(route.score));
        routes
    }
}

impl Keyword {
    /// Nothing for one without characters, which would match everything.
    fn new(written: &str) -> Option<Self> {
        let words: Vec<&str> = written.split_whitespace().collect();
        let folded: Vec<char> = fold(&words.join(" ")).into_iter().map(|(c, _)| c).collect();
        (!folded.is_empty()).then(|| Self { written: written.to_owned(), folded })
    }

    /// The first place where it stands as a word of its own, in bytes.
    fn find(&self, text: &str, folded: &[(char, usize)]) -> Option<Range<usize>> {
        let length = self.folded.len();
        let (first, last) = (*self.folded.first()?, *self.folded.last()?);
        let start = folded.windows(length).enumerate().position(|(at, window)| {
            let before = at.checked_sub(1).and_then(|at| folded.get(at));
            let after = folded.get(at + length);
            let apart = |edge: char, next: Option<&(char, usize)>| {
                !(is_word(edge) && next.is_some_and(|(c, _)| is_word(*c)))
            };
            window.iter().map(|(c, _)| c).eq(&self.folded)
                && apart(first, before)
                && apart(last, after)
        })?;
        let from = folded.get(start)?.1;
        let last = folded.get(start + length - 1)?.1;
        let width = text.get(last..)?.chars().next().map_or(0, char::len_utf8);
        Some(from..last + width)
    }
}

/// A text in small letters with every run of white space as one space, and where
/// in the text each character comes from, in bytes.
fn fold(text: &str) -> Vec<(char, usize)> {
    let mut folded: Vec<(char, usize)> = Vec::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            if !matches!(folded.last(), Some((' ', _))) {
                folded.push((' ', at));
            }
        } else {
            folded.extend(c.to_lowercase().map(|small| (small, at)));
        }
    }
    folded
}

/// Whether a character is part of a word: letters and digits of any script, `_`,
/// and marks that combine with the letter before them.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || ('\u{300}'..='\u{36f}').contains(&c)
}

fn position(text: &str, at: usize) -> Position {
    let before = text.get(..at).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Position { line, column }
}

#[cfg(test)]
mod tests {
    use super::super::triggers::RegexTrigger;
    use super::*;

    fn triggers(keywords: &[&str], regex: &[(&str, Priority)], files: &[&str]) -> Triggers {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Triggers {
            keywords: owned(keywords),
            regex: regex
                .iter()
                .map(|(pattern, priority)| RegexTrigger {
                    pattern: (*pattern).to_owned(),
                    priority: *priority,
                })
                .collect(),
            file_patterns: owned(files),
        }
    }

    fn keyword(keyword: &str, text: &str) -> Option<Match> {
        let (router, bad) = Router::new([&triggers(&[keyword], &[], &[])]);
        assert_eq!(bad, []);
        router.text(text).pop().map(|mut route| route.matches.remove(0))
    }

    fn found(word: &str, text: &str) -> Option<(String, usize, usize)> {
        keyword(word, text).map(|one| {
            let at = one.at.expect("a keyword has a place");
            (one.matched, at.line, at.column)
        })
    }

    fn is_file(globs: &[&str], path: &str) -> bool {
        let (router, _) = Router::new([&triggers(&[], &[], globs)]);
        !router.files(&[path.to_owned()]).is_empty()
    }

    #[test]
    fn keywords_are_words_and_not_parts_of_them() {
        assert_eq!(found("api", "Name the capital"), None);
        assert_eq!(found("api", "an apis' api"), Some(("api".into(), 1, 10)));
        assert_eq!(found("api", "The API, please"), Some(("API".into(), 1, 5)));
        assert_eq!(found("api", "my_api"), None);
        assert_eq!(found("api", "rest-api/v2"), Some(("api".into(), 1, 6)));
        assert_eq!(found("ci/cd", "fix CI/CD"), Some(("CI/CD".into(), 1, 5)));
        assert_eq!(found("c++", "a C++17 parser"), Some(("C++".into(), 1, 3)));
        assert_eq!(found("", "anything"), None);
        assert_eq!(found("  ", "any thing"), None);
    }

    #[test]
    fn phrases_match_over_any_white_space() {
        assert_eq!(
            found("code  review", "Do\na Code \n  REVIEW now"),
            Some(("Code \n  REVIEW".into(), 2, 3))
        );
        assert_eq!(found("code review", "code reviews"), None);
        assert_eq!(found("code review", "encode review"), None);
    }

    #[test]
    fn letters_of_all_scripts_are_letters() {
        assert_eq!(found("über", "ÜBER alles"), Some(("ÜBER".into(), 1, 1)));
        assert_eq!(found("übe", "ÜBER alles"), None);
        assert_eq!(found("cafe", "cafe\u{301}s"), None);
        assert_eq!(found("тест", "Напиши тест"), Some(("тест".into(), 1, 8)));
        // One capital letter that is two small ones.
        assert_eq!(found("i\u{307}stanbul", "İstanbul!"), Some(("İstanbul".into(), 1, 1)));
        assert_eq!(found("x", "\u{1f600}x"), Some(("x".into(), 1, 2)));
    }

    #[test]
    fn regexes_see_the_task_without_the_space_around_it() {
        let review = triggers(&[], &[("^review .* code$", Priority::Low)], &[]);
        let (router, _) = Router::new([&review]);
        let route = &router.text("\n  Review all the code\n")[0];
        assert_eq!(route.matches[0].at, Some(Position { line: 2, column: 3 }));
        assert_eq!(route.matches[0].matched, "Review all the code");
        assert_eq!(router.text("please review all the code"), []);
    }

    #[test]
    fn a_bad_regex_is_named_and_the_rest_counts() {
        let mixed = triggers(&["api"], &[("(", Priority::High), ("ap.", Priority::Low)], &[]);
        let (router, bad) = Router::new([&triggers(&[], &[], &[]), &mixed]);
        assert_eq!((bad[0].agent, bad[0].pattern.as_str()), (1, "("));
        assert!(bad[0].problem.starts_with("is no regex: "), "{}", bad[0].problem);
        let found = router.text("api");
        assert_eq!((found.len(), found[0].agent, found[0].score), (1, 1, 103));
    }

    #[test]
    fn the_order_is_by_points_and_then_as_given() {
        let all = [
            triggers(&["api"], &[], &[]),
            triggers(&[], &[("api", Priority::Low)], &[]),
            triggers(&["new api"], &[], &[]),
            triggers(&["new"], &[], &[]),
            triggers(&[], &[("api", Priority::High)], &[]),
            triggers(&[], &[("api", Priority::Medium)], &[]),
            triggers(&[&"long ".repeat(40)], &[], &[]),
            triggers(&[], &[], &["**"]),
        ];
        let (router, _) = Router::new(&all);
        let text = format!("a new API {}", "long ".repeat(40));
        let order: Vec<_> = router.text(&text).iter().map(|r| (r.agent, r.score)).collect();
        assert_eq!(order, [(4, 300), (5, 200), (1, 100), (6, 99), (2, 7), (0, 3), (3, 3)]);
    }

    #[test]
    fn a_trigger_counts_once_and_all_are_added() {
        let (router, _) = Router::new([&triggers(&["api", "new"], &[], &[])]);
        let found = router.text("new api, old api, new api");
        assert_eq!((found[0].score, found[0].matches.len()), (6, 2));
    }

    #[test]
    fn globs_are_real() {
        assert!(is_file(&["**/*.ts"], "a.ts") && is_file(&["**/*.ts"], "x/y/a.ts"));
        assert!(is_file(&["*.ts"], "a.ts") && !is_file(&["*.ts"], "x/a.ts"));
        assert!(
            is_file(&["src/*.{js,ts}"], "src/a.js") && !is_file(&["src/*.{js,ts}"], "src/a.rs")
        );
        assert!(is_file(&["**/api/**/*.js"], "x/api/v1/a.js"));
        assert!(is_file(&["**/api/**/*.js"], "api/a.js"));
        assert!(!is_file(&["**/api/**/*.js"], "capi/a.js"));
        assert!(is_file(&["**/[a-c]?.md"], "docs/ab.md") && !is_file(&["**/[!a-c]?.md"], "ab.md"));
        assert!(is_file(&["**/größe.*"], "x/größe.rs"));
        assert!(!is_file(&["**/*.TS"], "a.ts"), "files keep their case");
    }

    #[test]
    fn an_exclamation_mark_takes_files_out() {
        let globs = ["!**/*.test.ts", "**/*.ts"];
        assert!(is_file(&globs, "src/a.ts") && !is_file(&globs, "src/a.test.ts"));
        assert!(!is_file(&["!**/*.test.ts"], "src/a.ts"), "nothing was asked for");
    }

    #[test]
    fn files_add_up_and_say_what_matched() {
        let (router, _) = Router::new([&triggers(&[], &[], &["**/*.ts", "src/**"])]);
        let found = router.files(&["src/a.ts", "b.ts", "c.rs"].map(str::to_owned));
        let matches: Vec<_> = found[0]
            .matches
            .iter()
            .map(|one| (one.matched.as_str(), one.trigger.as_str(), one.score))
            .collect();
        assert_eq!(
            matches,
            [("src/a.ts", "**/*.ts", 4), ("src/a.ts", "src/**", 4), ("b.ts", "**/*.ts", 4)]
        );
        assert_eq!(found[0].score, 12);
    }
}
