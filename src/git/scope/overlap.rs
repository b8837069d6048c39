//! Whether two scopes may touch the same file: by the files that are there, and
//! for those to come by what the pathspecs say outright.
//!
//! Conservative: before a wildcard counts what stands before it, and two
//! wildcards are told apart only by what stands after the last one. So an
//! overlap may be reported where there is none, and not the other way round.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{Scope, files};
use crate::git::{GitError, Oid, Place};

/// Something that both scopes have, for people; none where they are apart.
/// `tree` is the commit whose files count. A scope without pathspecs overlaps
/// with nothing.
pub fn overlap(
    place: &Place,
    tree: &Oid,
    a: Scope<'_>,
    b: Scope<'_>,
) -> Result<Option<String>, GitError> {
    if a.specs.is_empty() || b.specs.is_empty() {
        return Ok(None);
    }
    let of_a: HashSet<PathBuf> = files(place, tree, a)?.into_iter().collect();
    let shared = files(place, tree, b)?.into_iter().find(|path| of_a.contains(path));
    if let Some(path) = shared {
        return Ok(Some(path.display().to_string()));
    }
    let (of_a, of_b) = (Claims::of(a), Claims::of(b));
    Ok(of_a.meet(&of_b).map(|(x, y)| if x == y { x } else { format!("{x} and {y}") }))
}

/// What a scope takes and what it leaves out.
struct Claims {
    takes: Vec<Claim>,
    leaves: Vec<Claim>,
}

/// One pathspec, as far as it can be read without the files.
struct Claim {
    /// As it was given.
    text: String,
    /// What every match begins with: a path, or a piece of one before a wildcard.
    begins: String,
    /// What every match ends with; none where `begins` is all of it.
    ends: Option<String>,
}

impl Claims {
    fn of(scope: Scope<'_>) -> Self {
        let prefix = scope.prefix.to_string_lossy();
        let (mut takes, mut leaves) = (Vec::new(), Vec::new());
        for spec in scope.specs {
            let (claim, leaves_out) = read(&prefix, spec);
            if leaves_out { leaves.push(claim) } else { takes.push(claim) }
        }
        if takes.is_empty() {
            takes.push(Claim { text: ".".to_owned(), begins: String::new(), ends: None });
        }
        Self { takes, leaves }
    }

    fn meet(&self, other: &Self) -> Option<(String, String)> {
        let pairs = self.takes.iter().flat_map(|a| other.takes.iter().map(move |b| (a, b)));
        let mut meeting = pairs.filter(|(a, b)| {
            let is_left = other.leaves.iter().any(|left| left.covers(a))
                || self.leaves.iter().any(|left| left.covers(b));
            !is_left && a.may_meet(b)
        });
        meeting.next().map(|(a, b)| (a.text.clone(), b.text.clone()))
    }
}

impl Claim {
    fn may_meet(&self, other: &Self) -> bool {
        match (&self.ends, &other.ends) {
            (None, None) => self.covers(other) || other.covers(self),
            (None, Some(_)) => self.covers(other) || self.begins.starts_with(&other.begins),
            (Some(_), None) => other.may_meet(self),
            (Some(a), Some(b)) => {
                let begin = self.begins.starts_with(&other.begins)
                    || other.begins.starts_with(&self.begins);
                begin && (a.ends_with(b) || b.ends_with(a))
            }
        }
    }

    /// Whether this is a file or folder in which all of `other` lies.
    fn covers(&self, other: &Self) -> bool {
        let below = other.begins.strip_prefix(&self.begins);
        self.ends.is_none()
            && (self.begins.is_empty()
                || below.is_some_and(|rest| {
                    rest.starts_with('/') || (rest.is_empty() && other.ends.is_none())
                }))
    }
}

/// A pathspec, and whether it leaves out.
fn read(prefix: &str, spec: &str) -> (Claim, bool) {
    let (mut top, mut leaves_out, mut literal, mut unclear) = (false, false, false, false);
    let mut rest = spec;
    if let Some((words, path)) = spec.strip_prefix(":(").and_then(|rest| rest.split_once(')')) {
        rest = path;
        for word in words.split(',') {
            match word {
                "top" => top = true,
                "exclude" => leaves_out = true,
                "literal" => literal = true,
                "glob" | "" => {}
                _ => unclear = true,
            }
        }
    } else if let Some(signs) = spec.strip_prefix(':') {
        rest = signs.trim_start_matches(['/', '!', '^']);
        let signs = &signs[..signs.len() - rest.len()];
        top = signs.contains('/');
        leaves_out = signs.contains(['!', '^']);
        rest = rest.strip_prefix(':').unwrap_or(rest);
    }
    let text = spec.to_owned();
    if unclear {
        // Case that does not count, attributes: nothing is known outright.
        return (Claim { text, begins: String::new(), ends: Some(String::new()) }, leaves_out);
    }
    let wild: &[char] = if literal { &[] } else { &['*', '?', '[', ']', '\\'] };
    let (begins, ends) = match (rest.find(wild), rest.rfind(wild)) {
        (Some(first), Some(last)) => (&rest[..first], Some(rest[last + 1..].to_owned())),
        _ => (rest, None),
    };
    let joined =
        if top || prefix.is_empty() { begins.to_owned() } else { format!("{prefix}/{begins}") };
    let mut begins = normal(&joined);
    if ends.is_some() && joined.ends_with('/') && !begins.is_empty() {
        begins.push('/');
    }
    (Claim { text, begins, ends }, leaves_out)
}

/// A path without `.`, `..` and doubled slashes.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::git::testing::Fixture;

    #[test]
    fn scopes_are_apart_or_not() {
        let fixture = Fixture::new();
        fixture.write("src/auth/a.rs", "x\n");
        fixture.write("src/auth.md", "x\n");
        let tree = fixture.commit("files");
        let split = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let meet = |(at_a, a): (&str, &str), (at_b, b): (&str, &str)| {
            let (a, b) = (split(a), split(b));
            let a = Scope { prefix: Path::new(at_a), specs: &a };
            let b = Scope { prefix: Path::new(at_b), specs: &b };
            let found = overlap(&fixture.place(), &tree, a, b).unwrap();
            let other = overlap(&fixture.place(), &tree, b, a).unwrap();
            assert_eq!(found.is_some(), other.is_some());
            found
        };
        for (a, b) in [
            ("src", "docs"),
            ("src", "src2"),
            ("src/a", "src/b"),
            ("new/*.md", "new/*.rs"),
            ("src :!src/auth", "src/auth"),
            ("src/x*", "src/auth"),
            ("src/auth", "src/auth2/*"),
            (":(literal)new*", "newer"),
        ] {
            assert_eq!(meet(("", a), ("", b)), None, "{a} and {b}");
        }
        for (a, b) in [
            ("src", "src/auth"),
            ("src/", "src"),
            (".", "new"),
            ("new", "new/deep/er"),
            ("*.rs", "src"),
            ("new/*", "new/x"),
            ("ne*", "new"),
            ("src/*.md", "src/au*"),
            (":!docs", "src"),
            (":(icase)NEW", "new"),
            (":(top)new", "new/x"),
            (":/new", "new"),
        ] {
            assert!(meet(("", a), ("", b)).is_some(), "{a} and {b}");
        }
        // Each from where it was given.
        assert_eq!(meet(("src", "new"), ("", "new")), None);
        assert!(meet(("src", "new"), ("", "src/new")).is_some());
        assert!(meet(("src", "../new"), ("", "new")).is_some());
        assert_eq!(meet(("", "src/*.md"), ("", "src/a*")).unwrap(), "src/auth.md");
        let none = Scope { prefix: Path::new(""), specs: &[] };
        assert_eq!(overlap(&fixture.place(), &tree, none, none).unwrap(), None);
    }
}
