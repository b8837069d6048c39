//! What a sentence asks for, by its verb.

use crate::job::Mode;

/// The kind of work that a sentence asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The built-in agent that does such work.
    pub role: &'static str,
    /// Whether it changes files.
    pub mode: Mode,
    /// The word that says so; none where none was known.
    pub verb: Option<String>,
}

/// The built-in agents that work is given to, readers first.
pub const ROLES: [(&str, Mode); 8] = [
    ("architect", Mode::Reader),
    ("researcher", Mode::Reader),
    ("reviewer", Mode::Reader),
    ("scout", Mode::Reader),
    ("verifier", Mode::Reader),
    ("coder", Mode::Writer),
    ("docs", Mode::Writer),
    ("tester", Mode::Writer),
];

/// Verbs and who does what they say.
const VERBS: [(&str, &[&str]); 8] = [
    (
        "architect",
        &[
            "architect",
            "choose",
            "decide",
            "design",
            "outline",
            "plan",
            "propose",
            "sketch",
            "specify",
        ],
    ),
    ("scout", &["explore", "find", "list", "locate", "map", "trace"]),
    (
        "researcher",
        &[
            "analyse",
            "analyze",
            "answer",
            "compare",
            "describe",
            "estimate",
            "evaluate",
            "examine",
            "explain",
            "investigate",
            "learn",
            "measure",
            "profile",
            "read",
            "research",
            "study",
            "summarise",
            "summarize",
            "understand",
        ],
    ),
    ("reviewer", &["audit", "critique", "inspect", "judge", "review"]),
    ("verifier", &["check", "confirm", "ensure", "validate", "verify"]),
    ("tester", &["cover", "test"]),
    ("docs", &["document"]),
    (
        "coder",
        &[
            "add",
            "adapt",
            "adjust",
            "apply",
            "automate",
            "build",
            "bump",
            "change",
            "clean",
            "configure",
            "connect",
            "convert",
            "correct",
            "create",
            "debug",
            "delete",
            "deploy",
            "disable",
            "draft",
            "drop",
            "edit",
            "enable",
            "expose",
            "extend",
            "extract",
            "fix",
            "format",
            "generate",
            "handle",
            "implement",
            "improve",
            "inline",
            "install",
            "integrate",
            "introduce",
            "make",
            "merge",
            "migrate",
            "modernise",
            "modernize",
            "move",
            "optimise",
            "optimize",
            "package",
            "patch",
            "port",
            "prepare",
            "refactor",
            "release",
            "remove",
            "rename",
            "repair",
            "replace",
            "resolve",
            "rework",
            "rewrite",
            "scaffold",
            "set",
            "ship",
            "simplify",
            "solve",
            "speed",
            "split",
            "support",
            "switch",
            "translate",
            "tune",
            "update",
            "upgrade",
            "use",
            "wire",
            "write",
        ],
    ),
];

/// Verbs that are nouns as often: after "and" they begin a clause only before
/// what can begin an object.
const NOUNS_TOO: [&str; 14] = [
    "build", "change", "check", "cover", "design", "list", "map", "patch", "plan", "profile",
    "release", "review", "test", "trace",
];

const BEFORE_OBJECTS: [&str; 21] = [
    "a",
    "all",
    "an",
    "any",
    "each",
    "every",
    "everything",
    "for",
    "how",
    "it",
    "its",
    "our",
    "that",
    "the",
    "their",
    "them",
    "these",
    "this",
    "what",
    "where",
    "whether",
];

/// Words that may come before the verb.
const FILLERS: [&str; 29] = [
    "also", "and", "can", "could", "finally", "first", "have", "i", "is", "it", "just", "let's",
    "lets", "must", "need", "needs", "next", "now", "please", "second", "should", "so", "then",
    "third", "to", "want", "we", "would", "you",
];

const QUESTIONS: [&str; 12] =
    ["are", "do", "does", "how", "is", "what", "when", "where", "which", "who", "whose", "why"];

/// What ends the first object of a verb.
const PREPOSITIONS: [&str; 17] = [
    "about", "and", "as", "at", "before", "by", "for", "from", "in", "into", "of", "on", "so",
    "that", "to", "which", "with",
];

fn role_of(verb: &str) -> Option<&'static str> {
    VERBS.iter().find(|(_, verbs)| verbs.contains(&verb)).map(|(role, _)| *role)
}

/// A word in small letters, without the punctuation around it.
pub(super) fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

/// Whether a clause of its own begins with `word`, the next word being `next`.
pub(super) fn begins_clause(word: &str, next: Option<&str>) -> bool {
    let verb = bare(word);
    role_of(&verb).is_some()
        && next.is_some_and(|next| {
            !NOUNS_TOO.contains(&verb.as_str()) || BEFORE_OBJECTS.contains(&bare(next).as_str())
        })
}

/// What a sentence asks for. Where no verb is known it is a question, or else a
/// change.
pub fn work(text: &str) -> Work {
    let words: Vec<String> =
        text.split_whitespace().map(bare).filter(|word| !word.is_empty()).collect();
    let first = words.iter().position(|word| !FILLERS.contains(&word.as_str())).unwrap_or(0);
    let verb = words.get(first).filter(|word| role_of(word).is_some());
    let role = match verb {
        Some(verb) => {
            let role = role_of(verb).unwrap_or("coder");
            if role == "coder" { made(words.get(first + 1..).unwrap_or_default()) } else { role }
        }
        None if text.trim_end().ends_with('?')
            || words.first().is_some_and(|word| QUESTIONS.contains(&word.as_str())) =>
        {
            "researcher"
        }
        None => "coder",
    };
    let mode = ROLES.iter().find(|(name, _)| *name == role).map_or(Mode::Writer, |(_, mode)| *mode);
    Work { role, mode, verb: verb.cloned() }
}

/// Who makes what these words name: the last word of the first object counts.
fn made(object: &[String]) -> &'static str {
    let end = object.iter().position(|word| PREPOSITIONS.contains(&word.as_str()));
    let head = object.get(..end.unwrap_or(object.len())).and_then(<[String]>::last);
    let head = head.map_or("", String::as_str);
    match head {
        "test" | "tests" | "coverage" | "testcase" | "testcases" | "benchmarks" => "tester",
        "doc" | "docs" | "documentation" | "docstring" | "docstrings" | "guide" | "manual"
        | "readme" | "changelog" | "tutorial" => "docs",
        _ if matches!(head.rsplit_once('.'), Some((_, "md" | "rst"))) => "docs",
        _ => "coder",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_says_who() {
        for (text, role) in [
            ("Design the storage layer", "architect"),
            ("please review src/auth for races", "reviewer"),
            ("Add a login page", "coder"),
            ("Add unit tests for the parser", "tester"),
            ("Update the test runner to v3", "coder"),
            ("Update README.md", "docs"),
            ("Write the API documentation", "docs"),
            ("Document the flags", "docs"),
            ("We need to verify that it starts", "verifier"),
            ("Find all callers", "scout"),
            ("How does the cache expire?", "researcher"),
            ("Is the lock held there?", "researcher"),
            ("Dark mode", "coder"),
            ("", "coder"),
        ] {
            assert_eq!(work(text).role, role, "{text}");
        }
        assert_eq!(work("Dark mode").verb, None);
        assert_eq!(work("Fix it").verb.as_deref(), Some("fix"));
    }

    #[test]
    fn every_role_is_known_and_no_verb_stands_twice() {
        let mut all: Vec<&str> =
            VERBS.iter().flat_map(|(_, verbs)| verbs.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (role, _) in VERBS {
            assert!(ROLES.iter().any(|(name, _)| *name == role), "{role}");
        }
        for noun in NOUNS_TOO {
            assert!(role_of(noun).is_some(), "{noun}");
        }
    }
}
