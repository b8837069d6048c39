//! A goal cut into steps, and each step into what can be done at the same time.
//!
//! A list with numbers is a sequence, one with bullets is not. In prose a
//! sentence, `;`, "then" and "finally" begin a step; a comma or "and" before a
//! verb begins something beside it. What stands in quotes, backticks or brackets
//! is not cut.

use super::work::{bare, begins_clause};

/// What comes one after the other, and in each what comes side by side.
pub(super) fn steps(goal: &str) -> Vec<Vec<String>> {
    list(goal).unwrap_or_else(|| prose(goal))
}

/// How an item of a list begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marker {
    Number,
    Bullet,
}

/// The items of a list of two or more; what stands around it is for the reader of
/// the whole goal.
fn list(goal: &str) -> Option<Vec<Vec<String>>> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let outer = goal.lines().filter(|line| marker(line).is_some()).map(indent).min()?;
    let mut items: Vec<(Marker, String)> = Vec::new();
    // Whether the next line may still belong to the last item.
    let mut open = false;
    for line in goal.lines() {
        match marker(line) {
            Some((kind, text)) if indent(line) == outer => {
                items.push((kind, text.to_owned()));
                open = true;
            }
            _ if line.trim().is_empty() => open = false,
            _ if open || indent(line) > outer => {
                if let Some((_, item)) = items.last_mut() {
                    item.push('\n');
                    item.push_str(line.trim_end());
                }
            }
            _ => {}
        }
    }
    if items.len() < 2 {
        return None;
    }
    let mut steps: Vec<Vec<String>> = Vec::new();
    let mut before = Marker::Number;
    for (kind, text) in items {
        match steps.last_mut() {
            Some(step) if kind == Marker::Bullet && before == Marker::Bullet => step.push(text),
            _ => steps.push(vec![text]),
        }
        before = kind;
    }
    Some(steps)
}

/// The marker of a line that begins an item, and the rest of it.
fn marker(line: &str) -> Option<(Marker, &str)> {
    let line = line.trim_start();
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let (kind, rest) = if (1..=3).contains(&digits) {
        let rest = line.get(digits..)?;
        (Marker::Number, rest.strip_prefix(['.', ')'])?)
    } else {
        (Marker::Bullet, line.strip_prefix(['-', '*', '+', '•'])?)
    };
    let text = rest.strip_prefix([' ', '\t'])?.trim();
    let text = ["[ ] ", "[x] ", "[X] "]
        .iter()
        .find_map(|check| text.strip_prefix(check))
        .unwrap_or(text)
        .trim();
    (!text.is_empty()).then_some((kind, text))
}

/// What a word does to the clauses around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    No,
    /// Something beside it.
    Beside,
    /// The next step.
    Step,
}

fn prose(goal: &str) -> Vec<Vec<String>> {
    let words = words(goal);
    let mut steps: Vec<Vec<String>> = vec![Vec::new()];
    let mut clause: Vec<&str> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match cut(&words, at, &clause) {
            Cut::No => {}
            Cut::Beside => push(&mut steps, &mut clause),
            Cut::Step => {
                push(&mut steps, &mut clause);
                if steps.last().is_some_and(|step| !step.is_empty()) {
                    steps.push(Vec::new());
                }
            }
        }
        clause.push(word.text);
    }
    push(&mut steps, &mut clause);
    steps.retain(|step| !step.is_empty());
    steps
}

/// A word of the goal.
struct Word<'a> {
    text: &'a str,
    /// It stands in quotes, backticks or brackets.
    inside: bool,
    /// An empty line comes before it.
    apart: bool,
}

fn words(goal: &str) -> Vec<Word<'_>> {
    let (mut tick, mut quote, mut depth) = (false, false, 0_usize);
    let mut words = Vec::new();
    let mut newlines = 0;
    let mut rest = goal;
    loop {
        let blank = rest.len() - rest.trim_start().len();
        let (gap, after) = rest.split_at(blank);
        newlines = gap.matches('\n').count().max(newlines);
        if after.is_empty() {
            return words;
        }
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let (text, after) = after.split_at(end);
        words.push(Word { text, inside: tick || quote || depth > 0, apart: newlines > 1 });
        newlines = 0;
        for c in text.chars() {
            match c {
                '`' => tick = !tick,
                '"' if !tick => quote = !quote,
                '(' | '[' | '{' if !tick => depth += 1,
                ')' | ']' | '}' if !tick => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        rest = after;
    }
}

fn cut(words: &[Word<'_>], at: usize, clause: &[&str]) -> Cut {
    let Some(word) = words.get(at) else { return Cut::No };
    let Some(before) = at.checked_sub(1).and_then(|at| words.get(at)) else { return Cut::No };
    if word.apart {
        return Cut::Step;
    }
    if word.inside || clause.is_empty() {
        return Cut::No;
    }
    if ends_sentence(before.text) {
        let beside = ["meanwhile", "simultaneously", "concurrently"];
        return if beside.contains(&bare(word.text).as_str()) { Cut::Beside } else { Cut::Step };
    }
    let next = words.get(at + 1).map(|word| word.text);
    let after_next = words.get(at + 2).map(|word| word.text);
    // "If it fails, then retry" is one piece.
    let condition =
        clause.first().is_some_and(|word| ["if", "when", "unless"].contains(&bare(word).as_str()));
    let joins =
        |word: &str| matches!(bare(word).as_str(), "then" | "finally" | "lastly" | "afterwards");
    let after_that = |one: &str, two: Option<&str>| {
        bare(one) == "after"
            && two.is_some_and(|two| ["that", "this"].contains(&bare(two).as_str()))
    };
    let comma = before.text.ends_with(',');
    let and = bare(word.text) == "and";
    if !condition && next.is_some() {
        if joins(word.text) && (comma || bare(word.text) != "lastly") && bare(before.text) != "and"
        {
            return Cut::Step;
        }
        if and && next.is_some_and(|next| joins(next) || after_that(next, after_next)) {
            return Cut::Step;
        }
        if comma && after_that(word.text, next) {
            return Cut::Step;
        }
    }
    // "Implement and test the parser": the object belongs to both.
    if clause.len() < 2 {
        return Cut::No;
    }
    let begins = match (and, comma) {
        (true, _) => next.is_some_and(|next| begins_clause(next, after_next)),
        (false, true) => begins_clause(word.text, next),
        (false, false) => false,
    };
    if begins { Cut::Beside } else { Cut::No }
}

fn ends_sentence(word: &str) -> bool {
    let stripped = word.trim_end_matches(['"', '\'', ')', ']', '`']);
    let abbreviations = ["e.g.", "i.e.", "etc.", "vs.", "cf.", "approx.", "incl.", "no."];
    stripped.ends_with(['.', '!', '?', ';'])
        && !abbreviations.contains(&stripped.trim_start_matches('(').to_lowercase().as_str())
}

/// Words that only say how a clause hangs together with the one before it.
const JOINTS: [&str; 12] = [
    "after",
    "afterwards",
    "also",
    "and",
    "finally",
    "first",
    "lastly",
    "meanwhile",
    "next",
    "second",
    "then",
    "third",
];

/// Ends a clause: without the joints at its beginning, and the comma at its end.
fn push(steps: &mut [Vec<String>], clause: &mut Vec<&str>) {
    let all = std::mem::take(clause);
    let mut words = all.as_slice();
    while let Some((first, rest)) = words.split_first() {
        let joint = bare(first);
        let that = rest.first().is_some_and(|word| ["that", "this"].contains(&bare(word).as_str()));
        match joint.as_str() {
            "after" if that => words = rest.get(1..).unwrap_or_default(),
            "after" => break,
            // "Second thoughts" is no joint, "Second, ..." is.
            "first" | "second" | "third" | "next" if !first.ends_with(',') => break,
            joint if JOINTS.contains(&joint) => words = rest,
            _ => break,
        }
    }
    let text = words.join(" ");
    let text = text.trim().trim_end_matches([',', ';', '.', ':']).trim_end();
    if text.chars().any(char::is_alphanumeric)
        && let Some(step) = steps.last_mut()
    {
        let mut chars = text.chars();
        let first = chars
            .next()
            .filter(|_| begins_clause(text.split(' ').next().unwrap_or_default(), Some("the")));
        step.push(match first {
            Some(first) => first.to_uppercase().chain(chars).collect(),
            None => text.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn then_is_a_step_and_and_is_beside() {
        assert_eq!(
            steps(
                "Design the API, then implement the server and write the docs; finally review it all."
            ),
            vec![
                vec!["Design the API"],
                vec!["Implement the server", "Write the docs"],
                vec!["Review it all"],
            ]
        );
        assert_eq!(
            steps("add a cache and then remove the old one, and finally bump the version"),
            vec![vec!["Add a cache"], vec!["Remove the old one"], vec!["Bump the version"]]
        );
        assert_eq!(
            steps(
                "Fix the parser. After that, update the fixtures, add tests and document the flags"
            ),
            vec![
                vec!["Fix the parser".to_owned()],
                vec!["Update the fixtures".into(), "Add tests".into(), "Document the flags".into()]
            ]
        );
    }

    #[test]
    fn nouns_and_objects_are_not_cut() {
        for whole in [
            "Review src/a.rs and src/b.rs",
            "Implement and test the parser",
            "Fix the build and test scripts",
            "Make `a; b, then c` work",
            "Rename \"foo. Then bar\" everywhere",
            "Support e.g. TOML",
            "Explain it (first X. Then Y)",
            "If the test fails, then rerun it",
            "Release v1.2 of the tool",
        ] {
            assert_eq!(steps(whole), vec![vec![whole.to_owned()]]);
        }
    }

    #[test]
    fn numbers_are_a_sequence_and_bullets_are_not() {
        let goal =
            "Build a todo app:\n1. Design it\n2) Build it\n   with care\n\n3. Ship it\n\nBe nice.";
        assert_eq!(
            steps(goal),
            vec![vec!["Design it"], vec!["Build it\n   with care"], vec!["Ship it"]]
        );
        assert_eq!(
            steps("- [ ] a page\n  - with a form\n* an API\n"),
            vec![vec!["a page\n  - with a form", "an API"]]
        );
        assert_eq!(
            steps("1. plan\n- x\n- y\n2. check"),
            vec![vec!["plan"], vec!["x", "y"], vec!["check"]]
        );
        // One item is no list, and a number alone no item.
        assert_eq!(steps("- only this"), vec![vec!["- only this"]]);
        assert_eq!(steps("Use 3.14 here"), vec![vec!["Use 3.14 here"]]);
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(steps("").is_empty());
        assert!(steps(" \n .; ,").is_empty());
        assert_eq!(steps("Größe ändern"), vec![vec!["Größe ändern"]]);
    }
}
