//! What git is configured to do in a repository, read in one go.
//!
//! `git config --list` gives it, because only git knows all the places: files
//! that include others, a branch's own, the environment. cx asks once for each
//! repository that it opens ([`super::Repo::settings`]).

use super::command::path as path_of;
use super::{GitError, Place};

use std::path::PathBuf;

/// All settings, in the order in which they count: the last one of a key wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Section and variable are lower case; no value means true.
    entries: Vec<(String, Option<Vec<u8>>)>,
}

impl Settings {
    /// Asks git.
    pub(super) fn read(place: &Place) -> Result<Self, GitError> {
        let listed = place.git().args(["config", "--list", "-z", "--includes"]).read()?;
        Ok(Self::parse(&listed.stdout))
    }

    /// Reads `KEY LF VALUE NUL`..., without what cx itself tells every git to do.
    fn parse(bytes: &[u8]) -> Self {
        let mut entries = Vec::new();
        for entry in bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let (key, value) = match entry.iter().position(|byte| *byte == b'\n') {
                Some(at) => (&entry[..at], Some(entry[at + 1..].to_vec())),
                None => (entry, None),
            };
            entries.push((String::from_utf8_lossy(key).into_owned(), value));
        }
        // The command line comes last.
        for ours in ["core.fsmonitor", "core.hookspath"] {
            if let Some(at) = entries.iter().rposition(|(key, _)| key == ours) {
                entries.remove(at);
            }
        }
        Self { entries }
    }

    /// Every value of every key, the ones that count more later.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// Whether `key` is set.
    pub(super) fn has(&self, key: &str) -> bool {
        self.all().any(|(set, _)| set == key)
    }

    /// The value of `key` as text; none where it is not set, has no value, or is not UTF-8.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        std::str::from_utf8(self.value(key)?).ok()
    }

    /// The value of `key` as it stands there.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        self.value(key).map(path_of)
    }

    /// Whether `key` is on; what is not set, or no boolean, is not.
    pub(super) fn is_on(&self, key: &str) -> bool {
        let last = self.all().filter(|(set, _)| *set == key).last();
        last.is_some_and(|(_, value)| boolean(value) == Some(true))
    }

    fn value(&self, key: &str) -> Option<&[u8]> {
        self.all().filter(|(set, _)| *set == key).last()?.1
    }
}

/// A boolean as git reads it; none where it is none.
pub(super) fn boolean(value: Option<&[u8]>) -> Option<bool> {
    // A key without a value is true, one with an empty value is not.
    let Some(value) = value else { return Some(true) };
    let value = std::str::from_utf8(value).ok()?;
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" | "" => Some(false),
        number => number.parse::<i64>().ok().map(|number| number != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Fixture;

    #[test]
    fn the_last_one_wins_and_what_cx_itself_sets_does_not_count() {
        let fixture = Fixture::new();
        fixture.git(&["config", "core.hooksPath", "my hooks"]);
        fixture.git(&["config", "--add", "Branch.Main.MergeOptions", "--no-ff"]);
        fixture.git(&["config", "--add", "core.ignoreCase", "true"]);
        fixture.git(&["config", "--add", "core.ignoreCase", "off"]);
        let settings = Settings::read(&fixture.place()).unwrap();
        assert_eq!(settings.path("core.hookspath"), Some(PathBuf::from("my hooks")));
        assert_eq!(settings.text("branch.Main.mergeoptions"), Some("--no-ff"));
        assert_eq!(settings.text("branch.main.mergeoptions"), None);
        assert!(settings.has("core.ignorecase") && !settings.is_on("core.ignorecase"));
        assert!(!settings.has("core.fsmonitor"));
    }

    #[test]
    fn booleans_are_gits() {
        let settings = Settings::parse(b"a.b\0a.c\n\0a.d\nYes\0a.e\n0\0a.f\n2\0a.g\nperhaps\0");
        let on = ["a.b", "a.c", "a.d", "a.e", "a.f", "a.g", "a.h"].map(|key| settings.is_on(key));
        assert_eq!(on, [true, false, true, false, true, false, false]);
    }
}
