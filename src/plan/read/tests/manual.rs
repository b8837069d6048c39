//! docs/plans.md and the readers say the same.

use crate::plan::{Plan, read::own};

/// The blocks of the manual, each with the language it names.
fn examples() -> Vec<(&'static str, String)> {
    // What planners are asked and answer is no plan.
    let manual = include_str!("../../../../docs/plans.md");
    let (manual, _) = manual.split_once("\n## Proposals").unwrap_or((manual, ""));
    let mut examples = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in manual.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => examples.push(block),
            (Some(language), None) => open = Some((language, String::new())),
            (None, Some((language, text))) => open = Some((language, text + line + "\n")),
            (None, None) => {}
        }
    }
    examples.retain(|(language, _)| ["json", "yaml", "toml"].contains(language));
    examples
}

#[test]
fn the_examples_of_the_manual_are_plans() {
    let mut forms = Vec::new();
    for (language, text) in examples() {
        let mut plan = Plan::read(text.as_bytes(), &format!("example.{language}"))
            .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        let goal = [("goal".to_owned(), "it".to_owned())].into();
        plan.bind(&goal).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        crate::plan::check(&plan, &|_| Ok(()))
            .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        assert!(plan.notes.is_empty(), "{:?}", plan.notes);
        forms.push(plan.form);
    }
    for form in ["task-map", "pipeline", "workers", "phases", "own"] {
        assert!(forms.iter().any(|own| own == form), "no example of {form}");
    }
}

#[test]
fn the_manual_names_every_key() {
    let manual = include_str!("../../../../docs/plans.md");
    for key in own::KEYS.iter().chain(&own::TASK).chain(&own::ARGUMENT) {
        assert!(manual.contains(&format!("`{key}`")), "docs/plans.md does not say what '{key}' is");
    }
}
