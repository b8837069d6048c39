//! What a task's worker is told: the task's text with its values, and the answers
//! of what it needs.
//!
//! A text is filled in once: what an answer says is never read as a template. A
//! shell script gets no answers at all, since it would run them; an argv may have
//! them, each in one word.

use std::{borrow::Cow, cell::RefCell, fmt::Write};

use super::{answer::Answer, stored::Stored};
use crate::{
    agent::keywords,
    job::{BackendName, Template},
    plan::{Foreach, Schedule, State, Task, TaskIx},
};

/// How many answers of full size fit into one prompt.
pub(super) const FULL_ANSWERS: usize = 4;

/// What fills the text of a task.
pub(super) struct Filling<'a> {
    pub(super) run: &'a str,
    pub(super) stored: &'a Stored,
    pub(super) schedule: &'a Schedule,
    /// The answer of a task that has ended.
    pub(super) answer: &'a dyn Fn(TaskIx) -> Option<Answer>,
}

/// What a job is told: a prompt, or an argv.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) prompt: String,
    pub(super) argv: Vec<String>,
    pub(super) scope: Vec<String>,
}

impl Filling<'_> {
    /// Fills in the text of a task whose needs have ended. An error is the end of
    /// a sentence about the task.
    pub(super) fn tell(&self, at: TaskIx, backend: BackendName) -> Result<Told, String> {
        let task = self.schedule.task(at);
        let left = RefCell::new(self.stored.answer_bytes() * FULL_ANSWERS);
        let shown = RefCell::new(Vec::new());
        let value = |name: &str| -> Option<Cow<'_, str>> {
            match name.strip_prefix("results.") {
                Some(need) => {
                    shown.borrow_mut().push(need.to_owned());
                    let need = self.schedule.find(need)?;
                    Some(self.shown(need, &mut left.borrow_mut()).into())
                }
                None => self.plain(at, name).map(Cow::Owned),
            }
        };
        let fill =
            |text: &str| Template::parse(text).render(&value).map_err(|unset| unset.to_string());
        let all = |texts: &[String]| -> Result<Vec<String>, String> {
            texts.iter().map(|text| fill(text)).collect()
        };
        let argv: Vec<String> = all(&task.argv)?;
        let scope = all(&task.scope)?;
        let mut prompt = fill(&task.prompt)?;
        if argv.is_empty() && backend != BackendName::SH {
            Self::dress(task, &all(&task.files)?, &mut prompt);
            let shown = shown.into_inner();
            for id in task.answers.iter().filter(|id| !shown.contains(id)) {
                let Some(need) = self.schedule.find(id) else { continue };
                self.append(need, &mut prompt, &mut left.borrow_mut());
            }
        }
        Ok(Told { prompt, argv, scope })
    }

    /// Fills in a task's text before anything has ended, to see that every name
    /// in it will have a value.
    pub(super) fn rehearse(&self, at: TaskIx, backend: BackendName) -> Result<Told, String> {
        let task = self.schedule.task(at);
        if backend == BackendName::SH && task.argv.is_empty() {
            Self::no_answers_in_script(task)?;
        }
        let value = |name: &str| -> Option<Cow<'_, str>> {
            if let Some(need) = name.strip_prefix("results.") {
                return self.schedule.find(need).map(|_| "-".into());
            }
            if name == "item" && task.foreach.is_some() {
                return Some("-".into());
            }
            self.plain(at, name).map(Cow::Owned)
        };
        let fill =
            |text: &str| Template::parse(text).render(&value).map_err(|unset| unset.to_string());
        let all = |texts: &[String]| -> Result<Vec<String>, String> {
            texts.iter().map(|text| fill(text)).collect()
        };
        all(&task.files)?;
        Ok(Told { prompt: fill(&task.prompt)?, argv: all(&task.argv)?, scope: all(&task.scope)? })
    }

    fn no_answers_in_script(task: &Task) -> Result<(), String> {
        let answers = matches!(&task.foreach, Some(Foreach::Answer { .. }));
        let template = Template::parse(&task.prompt);
        let found = template
            .names()
            .find(|(name, _)| name.starts_with("results.") || (answers && *name == "item"));
        match found {
            Some((name, _)) => Err(format!(
                "'{{{{{name}}}}}' stands in a shell script, which would run what the answer says; give the script an argv and take it as \"$1\""
            )),
            None => Ok(()),
        }
    }

    /// A value that is no answer.
    fn plain(&self, at: TaskIx, name: &str) -> Option<String> {
        let task = self.schedule.task(at);
        if name == "item"
            && let Some(item) = self.schedule.item(at)
        {
            return Some(item.to_owned());
        }
        if let Some(value) = self.stored.plan.vars.get(name) {
            return Some(value.clone());
        }
        match name {
            "session_id" | "run" => Some(self.run.to_owned()),
            "worker_id" => Some(task.id.clone()),
            "worker_name" => Some(task.alias.as_ref().unwrap_or(&task.id).clone()),
            "task_keywords" => Some(keywords(&task.prompt)),
            "files" if !task.files.is_empty() => Some(task.files.join(", ")),
            _ => None,
        }
    }

    /// What the plan says about the task besides its text.
    fn dress(task: &Task, files: &[String], prompt: &mut String) {
        if let Some(kind) = &task.kind {
            let _ = write!(prompt, "\n\nKind of task: {kind}");
        }
        let told = Template::parse(&task.prompt).names().any(|(name, _)| name == "files");
        if !files.is_empty() && !told {
            let _ = write!(prompt, "\n\nFiles: {}", files.join(", "));
        }
    }

    /// An answer as it stands in place of a `{{results.ID}}`.
    pub(super) fn shown(&self, need: TaskIx, left: &mut usize) -> String {
        let members = self.schedule.runs_of(need);
        let mut texts = Vec::new();
        for member in members {
            let Some(answer) = (self.answer)(member) else { continue };
            let text = self.cut(&answer, left);
            texts.push(match self.schedule.item(member) {
                Some(item) => format!("{} ({item}):\n{text}", self.schedule.task(member).id),
                None => text,
            });
        }
        texts.join("\n\n")
    }

    /// An answer under a heading, at the prompt's end.
    fn append(&self, need: TaskIx, prompt: &mut String, left: &mut usize) {
        for member in self.schedule.runs_of(need) {
            let Some(answer) = (self.answer)(member) else { continue };
            let mut heading = format!("RESULT OF {}", self.schedule.task(member).id);
            if let Some(item) = self.schedule.item(member) {
                let _ = write!(heading, " ({item})");
            }
            if let (Some(why), State::Failed(_)) = (&answer.failed, self.schedule.state(member)) {
                let _ = write!(heading, ", which failed: {why}");
            }
            let text = self.cut(&answer, left);
            let _ = write!(prompt, "\n\n{heading}\n{text}");
        }
    }

    fn cut(&self, answer: &Answer, left: &mut usize) -> String {
        let room = self.stored.answer_bytes().min(*left);
        let text = answer.text.trim_end();
        let whole = answer.bytes <= answer.text.len() as u64;
        if whole && text.len() <= room {
            *left -= text.len();
            return text.to_owned();
        }
        let mut end = room.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        *left -= end;
        let (shown, path) = (text.get(..end).unwrap_or_default(), &answer.path);
        let line = if shown.is_empty() || shown.ends_with('\n') { "" } else { "\n" };
        format!("{shown}{line}[cut after {end} of {} bytes; all of it is in {path}]", answer.bytes)
    }
}
