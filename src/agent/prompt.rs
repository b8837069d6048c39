//! The prompt that a worker gets: the preamble, the task, its scope, what else
//! there is to know, and the agent's role. `docs/agents.md` shows the layout.
//!
//! The task goes in byte for byte: nothing is trimmed, escaped, wrapped or read
//! as a template. Where it does not end in a newline, one follows it, so that
//! the next heading stands on a line of its own.

use super::{Agent, ContextPack};

/// The worker preamble: `agents/preamble.md`, word for word.
pub const PREAMBLE: &str = include_str!("../../agents/preamble.md");

/// What is said in place of a scope where none is given.
const NO_SCOPE: &str = "No limit is set beyond the task itself.\n";

/// What a prompt is made of.
#[derive(Clone, Copy, Debug)]
pub struct PromptParts<'a> {
    /// Whether the worker preamble stands at the top.
    pub preamble: bool,
    /// The role.
    pub agent: Option<&'a Agent>,
    /// What else the worker should know.
    pub context: &'a ContextPack,
    /// Pathspecs that the job may touch: those of the command line, or else the
    /// agent's. The caller decides, since it holds the job to them.
    pub scope: &'a [String],
    /// The task, in the person's own bytes.
    pub task: &'a [u8],
}

impl PromptParts<'_> {
    /// Whether the prompt is nothing but the task: no preamble, no agent and no
    /// context. The scope is then not told either.
    fn is_bare(&self) -> bool {
        !self.preamble && self.agent.is_none() && self.context.is_empty()
    }

    /// The prompt.
    #[must_use]
    pub fn compose(&self) -> Vec<u8> {
        if self.is_bare() {
            return self.task.to_vec();
        }
        let role = Role::of(self.agent.map_or("", |agent| agent.body.as_str()));
        let mut prompt = Vec::with_capacity(self.task.len() + role.rest.len() + 2048);
        if self.preamble {
            prompt.extend_from_slice(PREAMBLE.as_bytes());
        }

        heading(&mut prompt, "TASK");
        paragraph(&mut prompt, role.task);
        prompt.extend_from_slice(self.task);
        end_line(&mut prompt);

        heading(&mut prompt, "SCOPE");
        paragraph(&mut prompt, role.scope);
        if self.scope.is_empty() {
            prompt.extend_from_slice(NO_SCOPE.as_bytes());
        }
        points(&mut prompt, self.scope);

        if let Some(level) = self.agent.and_then(|agent| agent.autonomy) {
            heading(&mut prompt, "AUTONOMY");
            prompt.extend_from_slice(autonomy(level).as_bytes());
        }

        for (name, all) in self.context.sections() {
            if !all.is_empty() {
                heading(&mut prompt, name);
                points(&mut prompt, all);
            }
        }
        for (name, bytes) in &self.context.files {
            heading(&mut prompt, &format!("CONTEXT FROM {name}"));
            prompt.extend_from_slice(bytes);
            end_line(&mut prompt);
        }

        if !role.rest.is_empty() {
            prompt.push(b'\n');
            prompt.extend_from_slice(role.rest.as_bytes());
            end_line(&mut prompt);
        }
        prompt
    }
}

/// What a level of autonomy asks of a worker, which nobody can answer.
fn autonomy(level: f64) -> String {
    format!(
        "{level} of 1. At 0, decide nothing that the task leaves open: stop there, and name it in \
         your answer. At 1, decide all of it yourself, and say what you decided.\n"
    )
}

/// An agent's body, taken apart: what it says about every task and every scope
/// goes under the prompt's own headings, and the rest comes after.
struct Role<'a> {
    task: &'a str,
    scope: &'a str,
    rest: &'a str,
}

impl<'a> Role<'a> {
    fn of(body: &'a str) -> Self {
        let (task, rest) = section(body, "TASK:");
        let (scope, rest) = section(rest, "SCOPE:");
        Self { task, scope, rest }
    }
}

/// The text of the section that `body` begins with, if it has this `name`, and
/// what comes after it.
fn section<'a>(body: &'a str, name: &str) -> (&'a str, &'a str) {
    let Some(text) = body.strip_prefix(name) else { return ("", body) };
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if end > 0 && is_heading(line) {
            break;
        }
        end += line.len();
    }
    let (text, rest) = text.split_at(end);
    (text.trim(), rest)
}

/// Whether a line begins a section: `DO NOT:`, `LENS: ...`, `## Anything`.
fn is_heading(line: &str) -> bool {
    let capitals = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.chars().all(|c| c.is_ascii_uppercase() || matches!(c, ' ' | '-'))
    };
    line.starts_with('#') || line.split_once(':').is_some_and(|(word, _)| capitals(word))
}

/// A heading on a line of its own, after an empty line unless it is the first.
fn heading(prompt: &mut Vec<u8>, name: &str) {
    if !prompt.is_empty() {
        prompt.push(b'\n');
    }
    prompt.extend_from_slice(name.as_bytes());
    prompt.extend_from_slice(b":\n");
}

/// Text and an empty line, or nothing.
fn paragraph(prompt: &mut Vec<u8>, text: &str) {
    if !text.is_empty() {
        prompt.extend_from_slice(text.as_bytes());
        prompt.extend_from_slice(b"\n\n");
    }
}

fn points(prompt: &mut Vec<u8>, all: &[String]) {
    for point in all {
        prompt.extend_from_slice(b"- ");
        prompt.extend_from_slice(point.as_bytes());
        end_line(prompt);
    }
}

fn end_line(prompt: &mut Vec<u8>) {
    if !prompt.ends_with(b"\n") {
        prompt.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::agent::{Places, find};

    use super::*;

    fn built_in(name: &str) -> Agent {
        let nowhere = tempfile::tempdir().expect("folder");
        find(
            name,
            &Places {
                checkout: None,
                config_home: nowhere.path(),
                home: nowhere.path(),
                agents_dir: None,
                codex_agents_dir: None,
            },
        )
        .expect(name)
    }

    #[test]
    fn the_preamble_is_word_for_word() {
        assert_eq!(
            PREAMBLE,
            "CONTEXT: WORKER\n\
             ROLE: You are a sub-agent run by the ORCHESTRATOR. Do only the assigned task.\n\
             RULES: No extra scope, no other workers.\n\
             Your final output will be provided back to the ORCHESTRATOR.\n"
        );
    }

    #[test]
    fn the_plain_prompt() {
        let parts = PromptParts {
            preamble: true,
            agent: None,
            context: &ContextPack::default(),
            scope: &[],
            task: b"Fix the bug",
        };
        let expected = format!("{PREAMBLE}\nTASK:\nFix the bug\n\nSCOPE:\n{NO_SCOPE}");
        assert_eq!(String::from_utf8(parts.compose()).expect("text"), expected);
    }

    #[test]
    fn the_documented_prompt_is_the_one_that_is_sent() {
        let agent = built_in("reviewer");
        let mut context = ContextPack {
            goal: vec!["Logins survive a restart".into()],
            constraints: vec!["No new dependency".into()],
            ..ContextPack::default()
        };
        context.add_file("notes.md", b"The store was rewritten in March.".to_vec());
        let parts = PromptParts {
            preamble: true,
            agent: Some(&agent),
            context: &context,
            scope: &["src/auth".to_owned()],
            task: b"Review src/auth for races.",
        };
        let prompt = String::from_utf8(parts.compose()).expect("text");
        let page = include_str!("../../docs/agents.md");
        let (_, example) = page.split_once("<!-- prompt -->\n```text\n").expect("an example");
        let (example, _) = example.split_once("```\n").expect("its end");
        assert_eq!(prompt, example);
    }

    #[test]
    fn a_role_without_task_and_scope_of_its_own_comes_last_as_it_is() {
        let agent =
            Agent { body: "## How\nCarefully.\nTASK: no section".into(), ..built_in("coder") };
        let parts = PromptParts {
            preamble: false,
            agent: Some(&agent),
            context: &ContextPack::default(),
            scope: &["a".into(), "b".into()],
            task: b"x\n",
        };
        let expected = "TASK:\nx\n\nSCOPE:\n- a\n- b\n\n## How\nCarefully.\nTASK: no section\n";
        assert_eq!(String::from_utf8(parts.compose()).expect("text"), expected);
    }

    #[test]
    fn sections_end_at_the_next_heading_only() {
        let role = Role::of("TASK: one\ntwo: three\n\nfour\n\nSCOPE:\nfive\n\nDO NOT:\n- six");
        assert_eq!((role.task, role.scope), ("one\ntwo: three\n\nfour", "five"));
        assert_eq!(role.rest, "DO NOT:\n- six");
        let role = Role::of("TASK: all there is");
        assert_eq!((role.task, role.scope, role.rest), ("all there is", "", ""));
    }

    proptest! {
        #[test]
        fn the_task_arrives_byte_for_byte(
            task in proptest::collection::vec(any::<u8>(), 0..200),
            preamble: bool,
            with_agent: bool,
        ) {
            let agent = built_in("coder");
            let agent = with_agent.then_some(&agent);
            let context = ContextPack::default();
            let parts = PromptParts { preamble, agent, context: &context, scope: &[], task: &task };
            let prompt = parts.compose();
            if parts.is_bare() {
                prop_assert_eq!(prompt, task);
            } else {
                let marked = PromptParts { task: b"<mark>", ..parts }.compose();
                let marked = String::from_utf8(marked).expect("text");
                let (head, tail) = marked.split_once("<mark>\n").expect("the mark");
                // An empty task has its line already: that of the heading.
                let ends = task.is_empty() || task.ends_with(b"\n");
                let newline: &[u8] = if ends { b"" } else { b"\n" };
                let expected = [head.as_bytes(), &task, newline, tail.as_bytes()].concat();
                prop_assert_eq!(prompt, expected);
            }
        }
    }
}
