//! The context pack: what a worker should know beside its task.
//!
//! It comes from repeatable options and from `--context FILE`. A TOML, JSON or
//! YAML file whose keys are all those of the pack is merged into it; every other
//! file goes into the prompt as it is. So a misspelt key loses nothing: the
//! worker then reads the file itself.

use serde_json::Value;

use crate::document;

/// What a worker should know beside its task. One string is one point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextPack {
    /// What the whole is for (`--goal`).
    pub goal: Vec<String>,
    /// What it is not for (`--non-goal`).
    pub non_goals: Vec<String>,
    /// What has to hold (`--constraint`).
    pub constraints: Vec<String>,
    /// Where to look (`--pointer`).
    pub pointers: Vec<String>,
    /// What is decided already (`--decision`).
    pub decisions: Vec<String>,
    /// How one sees that it is done (`--success`).
    pub success: Vec<String>,
    /// Files that go in as they are: their names and bytes.
    pub files: Vec<(String, Vec<u8>)>,
}

impl ContextPack {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.sections().iter().all(|(_, points)| points.is_empty())
    }

    /// Takes in a `--context` file after what is there. `name` is what the worker
    /// is shown; its ending says how the file is read.
    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) {
        match keyed(name, &bytes) {
            Some(pairs) => {
                for (key, points) in pairs {
                    if let Some(list) = self.list_mut(&key) {
                        list.extend(points);
                    }
                }
            }
            None => self.files.push((name.to_owned(), bytes)),
        }
    }

    /// The headings of the prompt and their points, in the prompt's order.
    pub(super) fn sections(&self) -> [(&'static str, &[String]); 6] {
        [
            ("GOAL", &self.goal),
            ("NON-GOALS", &self.non_goals),
            ("CONSTRAINTS", &self.constraints),
            ("POINTERS", &self.pointers),
            ("DECISIONS", &self.decisions),
            ("SUCCESS", &self.success),
        ]
    }

    fn list_mut(&mut self, key: &str) -> Option<&mut Vec<String>> {
        match key.replace('_', "-").as_str() {
            "goal" | "goals" => Some(&mut self.goal),
            "non-goal" | "non-goals" => Some(&mut self.non_goals),
            "constraint" | "constraints" => Some(&mut self.constraints),
            "pointer" | "pointers" => Some(&mut self.pointers),
            "decision" | "decisions" => Some(&mut self.decisions),
            "success" => Some(&mut self.success),
            _ => None,
        }
    }
}

/// The points of a file that is keyed as a pack is, or nothing.
fn keyed(name: &str, bytes: &[u8]) -> Option<Vec<(String, Vec<String>)>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, ending) = name.rsplit_once('.')?;
    let value: Value = match ending.to_ascii_lowercase().as_str() {
        "toml" => document::toml(text).ok()?.json(),
        "json" => serde_json::from_str(text).ok()?,
        "yaml" | "yml" => document::yaml(text).ok()?.json(),
        _ => return None,
    };
    let Value::Object(object) = value else { return None };
    let mut scratch = ContextPack::default();
    object
        .into_iter()
        .map(|(key, value)| {
            scratch.list_mut(&key)?;
            let points = match value {
                Value::String(text) => vec![text],
                Value::Array(all) => {
                    all.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>()?
                }
                _ => return None,
            };
            Some((key, points))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyed_files_are_merged_after_what_the_options_said() {
        let toml = "goal = \"ship\"\nnon_goals = [\"rewrite\", \"rename\"]\n";
        let json = r#"{"constraints": ["no new crates"], "success": "tests pass"}"#;
        let yaml = "pointers:\n  - src/auth.rs:40\ndecision: >-\n  use\n  tokens\n";
        let mut pack = ContextPack { goal: vec!["first".into()], ..ContextPack::default() };
        pack.add_file("a.toml", toml.into());
        pack.add_file("b.JSON", json.into());
        pack.add_file("c.yml", yaml.into());
        assert_eq!(
            pack,
            ContextPack {
                goal: vec!["first".into(), "ship".into()],
                non_goals: vec!["rewrite".into(), "rename".into()],
                constraints: vec!["no new crates".into()],
                pointers: vec!["src/auth.rs:40".into()],
                decisions: vec!["use tokens".into()],
                success: vec!["tests pass".into()],
                files: Vec::new(),
            }
        );
    }

    #[test]
    fn every_other_file_goes_in_as_it_is() {
        for (name, bytes) in [
            ("notes.md", b"goal: ship\n".as_slice()),
            ("misspelt.yaml", b"gaol: ship\n"),
            ("half.toml", b"goal = \"a\"\nother = 1\n"),
            ("broken.json", b"{\"goal\": "),
            ("list.json", b"[1]"),
            ("number.yaml", b"goal: 3\n"),
            ("binary.toml", b"goal = \"\xff\"\n"),
            ("goal", b"goal: ship\n"),
        ] {
            let mut pack = ContextPack::default();
            assert!(pack.is_empty());
            pack.add_file(name, bytes.to_vec());
            assert_eq!(pack.files, [(name.to_owned(), bytes.to_vec())]);
            assert!(!pack.is_empty());
        }
    }
}
