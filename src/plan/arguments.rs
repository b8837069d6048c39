//! What a plan asks of whoever runs it, and the values it is given.

use std::{borrow::Cow, collections::BTreeMap, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use super::{Foreach, Kind, Plan, Problem, nearest};
use crate::job::Template;

/// Something that a plan asks for. Its value is `{{NAME}}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Argument {
    /// The name. `goal` is what the words of the command line are.
    pub name: String,
    /// What usage lines call it: `WHAT`.
    pub placeholder: String,
    /// What it is, in one line.
    pub help: String,
    /// Its value where none is given; without one it has to be.
    pub default: Option<String>,
    /// The words that the value is made of, where only some can be; each stands for
    /// a longer text.
    pub of: Vec<Choice>,
    /// The fewest words.
    pub min: Option<NonZeroU32>,
    /// The most words.
    pub max: Option<NonZeroU32>,
}

/// A word that an argument may have, and what it stands for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// What is typed.
    pub word: String,
    /// What the worker reads.
    pub meaning: String,
}

impl Argument {
    /// The texts that the words of `value` stand for, or what is wrong with it.
    fn meanings(&self, value: &str) -> Result<Vec<String>, String> {
        let words = words(value);
        let count = words.len() as u64;
        if let Some(min) = self.min
            && count < u64::from(min.get())
        {
            return Err(format!("has {count} of at least {min} words"));
        }
        if let Some(max) = self.max
            && count > u64::from(max.get())
        {
            return Err(format!("has {count} words, and at most {max} are allowed"));
        }
        if let Some((at, word)) =
            words.iter().enumerate().find(|(at, word)| words.iter().take(*at).any(|w| w == *word))
        {
            return Err(format!("has '{word}' twice, the second time as word {}", at + 1));
        }
        if self.of.is_empty() {
            return Ok(words);
        }
        words
            .iter()
            .map(|word| {
                let choice = self.of.iter().find(|choice| is_same(&choice.word, word));
                choice.map(|choice| choice.meaning.clone()).ok_or_else(|| {
                    let known = || self.of.iter().map(|choice| choice.word.as_str());
                    match nearest(word, known()) {
                        Some(near) => {
                            format!("cannot be '{word}': did you mean '{near}'?")
                        }
                        None => format!(
                            "cannot be '{word}': there are {}",
                            known().collect::<Vec<_>>().join(", ")
                        ),
                    }
                })
            })
            .collect()
    }
}

impl Plan {
    /// Gives the plan its values: `given` over its own and its arguments' defaults.
    /// Afterwards [`Plan::vars`] has all of them, and every `foreach` that is a
    /// template has its values.
    ///
    /// # Errors
    /// Every argument that is missing or cannot be, and every name in a `foreach`
    /// that has no value.
    pub fn bind(&mut self, given: &BTreeMap<String, String>) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        self.vars.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
        for argument in &self.args {
            // It is mended on the command line, not in the file.
            let problem = |kind| Problem { line: 0, kind };
            let value = self.vars.get(&argument.name).or(argument.default.as_ref());
            let Some(value) = value.filter(|value| !value.trim().is_empty()) else {
                problems.push(problem(Kind::MissingArgument(
                    argument.placeholder.clone(),
                    argument.help.clone(),
                )));
                continue;
            };
            let is_list =
                !argument.of.is_empty() || argument.min.is_some() || argument.max.is_some();
            let value = if is_list {
                match argument.meanings(value) {
                    Ok(meanings) => meanings.join("\n"),
                    Err(what) => {
                        problems.push(problem(Kind::BadArgument(argument.name.clone(), what)));
                        continue;
                    }
                }
            } else {
                value.clone()
            };
            self.vars.insert(argument.name.clone(), value);
        }
        let vars = &self.vars;
        for task in &mut self.tasks {
            let Some(Foreach::List(template)) = &task.foreach else { continue };
            let filled = Template::parse(template)
                .render(&|name| vars.get(name).map(|value| Cow::Borrowed(value.as_str())));
            match filled {
                Ok(text) => task.foreach = Some(Foreach::Values(words(&text))),
                // The argument was named above, where it is one.
                Err(unset) if self.args.iter().any(|own| own.name == unset.name) => {}
                Err(unset) => problems.push(Problem {
                    line: task.line,
                    kind: Kind::Unset(task.id.clone(), unset.name),
                }),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// `GOAL [--var NAME=...]`: what to type after the plan's name.
    pub fn usage(&self) -> String {
        let words = self.args.iter().map(|argument| {
            let (name, placeholder) = (&argument.name, &argument.placeholder);
            let option = match name.as_str() {
                "goal" => placeholder.clone(),
                "lenses" => format!("--lenses {placeholder}"),
                _ => format!("--var {name}={placeholder}"),
            };
            if argument.default.is_some() { format!("[{option}]") } else { option }
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Whether two words are one, however they are written: `Backward compatibility`
/// and `backward-compatibility`.
fn is_same(a: &str, b: &str) -> bool {
    let plain = |c: char| if c == '-' || c == '_' { ' ' } else { c.to_ascii_lowercase() };
    a.chars().map(plain).eq(b.chars().map(plain))
}

/// The items of a list that a person types: its lines, or what stands between
/// commas where it is one line.
fn words(text: &str) -> Vec<String> {
    let text = text.trim();
    let separator = if text.contains('\n') { '\n' } else { ',' };
    text.split(separator)
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Task;

    fn plan() -> Plan {
        let choice =
            |word: &str| Choice { word: word.into(), meaning: format!("{word}: look, here") };
        Plan {
            args: vec![
                Argument { name: "goal".into(), placeholder: "WHAT".into(), ..Argument::default() },
                Argument {
                    name: "lenses".into(),
                    placeholder: "A,B".into(),
                    default: Some("clarity, risks".into()),
                    of: ["clarity", "risks", "security"].map(choice).into(),
                    min: NonZeroU32::new(2),
                    max: NonZeroU32::new(3),
                    ..Argument::default()
                },
            ],
            tasks: vec![Task {
                id: "look".into(),
                foreach: Some(Foreach::List("{{lenses}}".into())),
                ..Task::default()
            }],
            ..Plan::default()
        }
    }

    fn bind(values: &[(&str, &str)]) -> Result<Plan, String> {
        let mut plan = plan();
        let given = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        match plan.bind(&given) {
            Ok(()) => Ok(plan),
            Err(problems) => {
                let said: Vec<_> = problems.iter().map(|p| p.kind.to_string()).collect();
                Err(said.join("; "))
            }
        }
    }

    #[test]
    fn words_become_what_they_stand_for() {
        let plan = bind(&[("goal", "src"), ("lenses", "Security,clarity")]).expect("binds");
        let expected = vec!["security: look, here".to_owned(), "clarity: look, here".to_owned()];
        assert_eq!(plan.tasks[0].foreach, Some(Foreach::Values(expected)));
        assert_eq!(plan.vars["goal"], "src");
        let plan = bind(&[("goal", "src")]).expect("binds");
        assert_eq!(plan.vars["lenses"], "clarity: look, here\nrisks: look, here");
        assert_eq!(plan.usage(), "WHAT [--lenses A,B]");
    }

    #[test]
    fn what_is_missing_or_cannot_be_is_named_all_at_once() {
        for (lenses, said) in [
            ("clarity", "'lenses' has 1 of at least 2 words"),
            ("a,b,c,d", "'lenses' has 4 words, and at most 3 are allowed"),
            ("clarity,clarity", "'lenses' has 'clarity' twice, the second time as word 2"),
            ("clarity,risk", "'lenses' cannot be 'risk': did you mean 'risks'?"),
            ("clarity,taste", "'lenses' cannot be 'taste': there are clarity, risks, security"),
        ] {
            let error = bind(&[("lenses", lenses)]).expect_err(lenses);
            assert_eq!(error, format!("WHAT is missing; {said}"));
        }
        let mut unset = plan();
        unset.tasks[0].foreach = Some(Foreach::List("{{other}}".into()));
        let given = [("goal".to_owned(), "x".to_owned())].into();
        let problems = unset.bind(&given).expect_err("unset");
        assert_eq!(problems[0].kind, Kind::Unset("look".into(), "other".into()));
    }
}
