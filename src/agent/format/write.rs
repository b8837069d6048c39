//! Writing an agent down in cx's own shape.

use std::fmt::Write as _;

use serde_json::Value;

use crate::agent::Agent;

/// The agent as a file of cx's own, under another name perhaps. What it says and
/// this cx does not honour is not in it.
pub(in crate::agent) fn markdown(agent: &Agent, name: &str) -> String {
    // Writing to a string cannot fail.
    let mut text = String::from("---\n");
    let mut line = |key: &str, value: Value| {
        let _ = writeln!(text, "{key}: {value}");
    };
    line("name", name.into());
    line("description", agent.description.as_str().into());
    line("mode", agent.mode.to_string().into());
    if let Some(backend) = agent.backend {
        line("backend", backend.to_string().into());
    }
    if let Some(model) = &agent.model {
        line("model", model.as_str().into());
    }
    for (key, limit) in [("timeout", agent.timeout), ("silence", agent.silence)] {
        match limit.map(|limit| (limit.as_secs(), limit.subsec_millis())) {
            Some((seconds, 0)) => line(key, seconds.into()),
            Some((seconds, millis)) if key == "timeout" => {
                line("timeout-ms", (seconds * 1000 + u64::from(millis)).into());
            }
            // Silence is never finer than seconds.
            Some((seconds, _)) => line(key, (seconds + 1).into()),
            None => {}
        }
    }
    if !agent.scope.is_empty() {
        line("scope", agent.scope.clone().into());
    }
    if let Some(limit) = agent.limit {
        line("max-parallel", limit.get().into());
    }
    if let Some(retries) = agent.retries {
        line("retries", retries.into());
    }
    if let Some(level) = agent.autonomy {
        line("autonomy", level.into());
    }
    if let Some(template) = &agent.template {
        line("template", template.as_str().into());
    }
    let mut group = |key: &str, lists: &[(&str, Value)]| {
        let full: Vec<_> = lists
            .iter()
            .filter(|(_, list)| list.as_array().is_some_and(|l| !l.is_empty()))
            .collect();
        if full.is_empty() {
            return;
        }
        let _ = writeln!(text, "{key}:");
        for (key, list) in full {
            let _ = writeln!(text, "  {key}: {list}");
        }
    };
    let tools = &agent.tools;
    group(
        "tools",
        &[
            ("allowed", tools.allowed.clone().into()),
            ("restricted", tools.restricted.clone().into()),
        ],
    );
    let hooks = &agent.hooks;
    group(
        "hooks",
        &[
            ("pre_task", hooks.pre_task.clone().into()),
            ("post_task", hooks.post_task.clone().into()),
            ("failure", hooks.failure.clone().into()),
        ],
    );
    let triggers = &agent.triggers;
    let regex = triggers.regex.iter().map(
        |one| serde_json::json!({ "pattern": one.pattern, "priority": one.priority.as_str() }),
    );
    group(
        "triggers",
        &[
            ("keywords", triggers.keywords.clone().into()),
            ("regex", regex.collect()),
            ("file_patterns", triggers.file_patterns.clone().into()),
        ],
    );
    text.push_str("---\n");
    text.push_str(&agent.body);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use crate::agent::format;
    use crate::agent::{Hooks, Priority, RegexTrigger, Source, Tools, Triggers};
    use crate::job::{BackendName, Mode};

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect();
        let agent = Agent {
            description: "Looks: at \"things\", and\nmore # of them".to_owned(),
            mode: Mode::Writer,
            mode_reason: Some("'mode' says so".to_owned()),
            backend: Some(BackendName::CODEX.into()),
            model: Some("gpt-5".to_owned()),
            timeout: Some(Duration::from_millis(20_500)),
            silence: Some(Duration::from_secs(90)),
            scope: words(&["src", ":!x"]),
            tools: Tools { allowed: words(&["Bash(a, b)", "*"]), restricted: words(&["Web"]) },
            limit: NonZeroU64::new(3),
            retries: Some(2),
            autonomy: Some(0.85),
            hooks: Hooks {
                pre_task: words(&["echo \"$TASK\"\necho ✅ 'x'"]),
                failure: words(&["false"]),
                ..Hooks::default()
            },
            template: Some("GOAL: {{goal}}\nMore".to_owned()),
            triggers: Triggers {
                keywords: words(&["a: b"]),
                regex: vec![RegexTrigger {
                    pattern: r"^a\b.*$".to_owned(),
                    priority: Priority::High,
                }],
                file_patterns: words(&["**/*.rs"]),
            },
            body: "---\nDO:\n- it".to_owned(),
            ..Agent::empty("one", "cx/one".to_owned(), Source::BuiltIn)
        };
        let text = markdown(&agent, "one");
        let read = format::markdown::parse("one", text.as_bytes(), Source::BuiltIn).expect(&text);
        assert_eq!(read, agent, "{text}");
        let least = Agent {
            description: "d".to_owned(),
            body: "x".to_owned(),
            mode_reason: Some("'mode' says so".to_owned()),
            ..Agent::empty("one", "cx/one".to_owned(), Source::BuiltIn)
        };
        let text = markdown(&least, "one");
        assert_eq!(text, "---\nname: \"one\"\ndescription: \"d\"\nmode: \"reader\"\n---\nx\n");
        let read = format::markdown::parse("one", text.as_bytes(), Source::BuiltIn).expect("reads");
        assert_eq!(read, least);
    }
}
