//! Prompts that are a text as it is, whatever braces stand in it.

use super::Plan;
use crate::job::Template;

impl Plan {
    /// A prompt that says `text`, byte for byte. A text that would be read as a
    /// template becomes a value of the plan, since values never are.
    pub fn literal(&mut self, text: &str) -> String {
        if Template::parse(text).render(&|_| None).is_ok_and(|rendered| rendered == text) {
            return text.to_owned();
        }
        let mut number = self.vars.len() + 1;
        let name = loop {
            let name = format!("text_{number}");
            match self.vars.get(&name) {
                Some(value) if value == text => break name,
                Some(_) => number += 1,
                None => {
                    self.vars.insert(name.clone(), text.to_owned());
                    break name;
                }
            }
        };
        format!("{{{{{name}}}}}")
    }

    /// What a prompt of [`Plan::literal`] says; another as it stands in the plan.
    pub fn spoken<'a>(&'a self, prompt: &'a str) -> &'a str {
        let name = prompt.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let name = name.filter(|name| name.starts_with("text_"));
        name.and_then(|name| self.vars.get(name)).map_or(prompt, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_survive() {
        let mut plan = Plan::default();
        assert_eq!(plan.literal("a {b} ${{ c }}"), "a {b} ${{ c }}");
        assert!(plan.vars.is_empty());
        for text in ["Render {{name}}", "{{{{x}}}}", "{{text_1}} {{y}}"] {
            let prompt = plan.literal(text);
            let filled = Template::parse(&prompt)
                .render(&|name| plan.vars.get(name).map(|value| value.as_str().into()));
            assert_eq!(filled.expect("all have values"), text);
            assert_eq!(plan.spoken(&prompt), text);
        }
        for other in ["{{goal}}", "{{text_9}}", "Do it"] {
            assert_eq!(plan.spoken(other), other);
        }
        assert_eq!(plan.vars.len(), 3);
    }
}
