//! The patterns: plans that are part of cx, the files of `plans/`.

use super::{Plan, Problem};

/// A plan that is part of cx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The word after `cx run`.
    pub name: &'static str,
    /// Its file.
    pub text: &'static str,
}

/// All of them, in the order in which they are told.
pub const PATTERNS: [Pattern; 6] = [
    Pattern { name: "review", text: include_str!("../../plans/review.toml") },
    Pattern { name: "fix", text: include_str!("../../plans/fix.toml") },
    Pattern { name: "scout", text: include_str!("../../plans/scout.toml") },
    Pattern { name: "split", text: include_str!("../../plans/split.toml") },
    Pattern { name: "research", text: include_str!("../../plans/research.toml") },
    Pattern { name: "options", text: include_str!("../../plans/options.toml") },
];

impl Pattern {
    /// The pattern of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PATTERNS.iter().find(|pattern| pattern.name == name)
    }

    /// Its plan.
    ///
    /// # Errors
    /// None: a test reads each of them.
    pub fn plan(&self) -> Result<Plan, Vec<Problem>> {
        Plan::read(self.text.as_bytes(), &format!("{}.toml", self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::{Foreach, check};

    fn bound(name: &str, values: &[(&str, &str)]) -> Plan {
        let mut plan = Pattern::find(name).expect("known").plan().expect("reads");
        let given: BTreeMap<_, _> =
            values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        plan.bind(&given).expect("binds");
        plan
    }

    #[test]
    fn each_reads_binds_and_checks_with_a_goal_alone() {
        for pattern in PATTERNS {
            let plan = bound(pattern.name, &[("goal", "src")]);
            assert_eq!(plan.name, pattern.name);
            assert_eq!(plan.notes, [] as [&str; 0]);
            assert!(!plan.description.is_empty());
            check(&plan, &|_| Ok(())).unwrap_or_else(|problems| panic!("{problems:?}"));
            assert!(plan.tasks.iter().all(|task| task.mode.is_some()), "{}", pattern.name);
            // Without one it says what it wants.
            let mut plan = pattern.plan().expect("reads");
            assert!(plan.bind(&BTreeMap::new()).is_err(), "{}", pattern.name);
            assert!(pattern.text.contains(&format!("#   cx run {} ", pattern.name)));
        }
    }

    #[test]
    fn every_lens_is_one_line_that_says_what_it_looks_for() {
        let plan = Pattern::find("review").expect("known").plan().expect("reads");
        let lenses = &plan.args.iter().find(|own| own.name == "lenses").expect("lenses").of;
        let words: Vec<_> = lenses.iter().map(|lens| lens.word.as_str()).collect();
        let expected = [
            "clarity",
            "correctness",
            "risks",
            "consistency",
            "evidence",
            "practicality",
            "accessibility",
            "security",
            "performance",
            "backward-compatibility",
        ];
        assert_eq!(words, expected);
        for lens in lenses {
            assert!(lens.meaning.ends_with('?') && !lens.meaning.contains('\n'), "{}", lens.word);
            let two = format!("{},{}", lens.word, expected[usize::from(lens.word == "clarity")]);
            let plan = bound("review", &[("goal", "src"), ("lenses", &two)]);
            let Some(Foreach::Values(values)) = &plan.tasks[0].foreach else { panic!("values") };
            assert_eq!(values[0], lens.meaning);
        }
    }
}
