//! An agent's own words around a task: `prompt.user_template` of a bundle, `template`
//! of cx's own files.

use std::borrow::Cow;

use super::Agent;
use crate::job::Template;

/// The names under which a template has the task.
const TASK: [&str; 3] = ["goal", "task", "worker_task"];

/// Why a task cannot be put into an agent's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// The template wants something else than the task.
    #[error("the template of agent '{agent}' has '{{{{{name}}}}}', which has no value")]
    Unset {
        /// The agent.
        agent: String,
        /// The name.
        name: String,
    },
    /// A template is text.
    #[error("the prompt is not UTF-8, and the template of agent '{0}' cannot hold it")]
    NotText(String),
}

impl Agent {
    /// The task in the agent's own words; `other` knows what its template may name
    /// besides. The task itself goes in byte for byte, and no value is ever read as a
    /// template; a template that does not name the task stands before it.
    ///
    /// # Errors
    /// Those of [`WordsError`].
    pub fn in_its_words<'a>(
        &self,
        task: &'a [u8],
        other: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Cow<'a, [u8]>, WordsError> {
        let Some(template) = &self.template else { return Ok(Cow::Borrowed(task)) };
        let text = std::str::from_utf8(task).map_err(|_| WordsError::NotText(self.name.clone()))?;
        let template = Template::parse(template);
        let value = |name: &str| match name {
            "task_keywords" => Some(Cow::Owned(keywords(text))),
            name if TASK.contains(&name) => Some(Cow::Borrowed(text)),
            name => other(name).map(Cow::Owned),
        };
        let mut words = template
            .render(&value)
            .map_err(|unset| WordsError::Unset { agent: self.name.clone(), name: unset.name })?;
        if !template.names().any(|(name, _)| TASK.contains(&name)) {
            words = format!("{}\n\n{text}", words.trim_end());
        }
        Ok(Cow::Owned(words.into_bytes()))
    }
}

/// The long words of a text that are no templates, each once, at most ten.
pub fn keywords(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '{' | '}' | '-' | '_')) {
        let word = word.to_lowercase();
        if word.chars().count() > 4 && !word.contains(['{', '}']) && !words.contains(&word) {
            words.push(word);
        }
    }
    words.truncate(10);
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::agent::Source;

    use super::*;

    fn words(template: Option<&str>, task: &[u8]) -> Result<Vec<u8>, String> {
        let agent = Agent {
            template: template.map(str::to_owned),
            ..Agent::empty("x", "cx/x".to_owned(), Source::BuiltIn)
        };
        let other = |name: &str| (name == "worker_name").then(|| "{{goal}}".to_owned());
        let words = agent.in_its_words(task, &other);
        words.map(Cow::into_owned).map_err(|error| error.to_string())
    }

    #[test]
    fn the_task_goes_in_as_it_is_and_is_never_lost() {
        assert_eq!(words(None, b"\xff{{x}}"), Ok(b"\xff{{x}}".to_vec()));
        let goal = Some("GOAL: {{goal}}\nList risks.");
        assert_eq!(words(goal, b"{{x}}\n"), Ok(b"GOAL: {{x}}\n\nList risks.".to_vec()));
        assert_eq!(words(Some("Be kind.\n"), b"Do it"), Ok(b"Be kind.\n\nDo it".to_vec()));
        let named = Some("{{worker_name}}, {{task_keywords}}: {{worker_task}}");
        let said = b"{{goal}}, cache, slowly: Mend the Cache slowly";
        assert_eq!(words(named, b"Mend the Cache slowly"), Ok(said.to_vec()));
    }

    #[test]
    fn what_cannot_be_filled_in_is_named() {
        let unset = "the template of agent 'x' has '{{other}}', which has no value";
        assert_eq!(words(Some("{{goal}} {{other}}"), b"y"), Err(unset.to_owned()));
        let binary = "the prompt is not UTF-8, and the template of agent 'x' cannot hold it";
        assert_eq!(words(Some("{{goal}}"), b"\xff"), Err(binary.to_owned()));
    }
}
