//! `{{name}}` in a text: found, named, filled in.
//!
//! A template is two opening braces, a name and two closing braces; blanks
//! around the name are allowed. A name begins with a letter or `_` and goes on
//! with letters, digits, `_`, `.` and `-`. Everything else that has braces stays
//! as it is: `{{ a | b }}` and `{% if %}` of Jinja, `{{{x}}}` of Mustache, and
//! `${{ secrets.X }}` of GitHub, which the `$` tells apart. Four braces on both
//! sides, `{{{{name}}}}`, stand for a literal `{{name}}`.
//!
//! A text is read once: what is filled in is never read as a template.

use std::borrow::Cow;

/// A text with the names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template<'a>(Vec<Part<'a>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part<'a> {
    /// As it is.
    Text(&'a str),
    /// `{{name}}`, and the line of the text that it stands in, from 1.
    Name(&'a str, u64),
}

/// A name that has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{{{{{name}}}}}' has no value")]
pub struct Unset {
    /// The name.
    pub name: String,
    /// Its line in the text, from 1.
    pub line: u64,
}

impl<'a> Template<'a> {
    /// Reads a text. Every text is a template.
    pub fn parse(text: &'a str) -> Self {
        let mut parts = Vec::new();
        // What is not yet in `parts` begins at `done`.
        let (mut done, mut at, mut line) = (0, 0, 1);
        while let Some(found) = text.get(at..).and_then(|rest| rest.find("{{")) {
            let start = at + found;
            let rest = text.get(start..).unwrap_or_default();
            let opening = rest.bytes().take_while(|byte| *byte == b'{').count();
            let after_dollar = text.get(..start).is_some_and(|before| before.ends_with('$'));
            let inner = rest.get(opening..).unwrap_or_default();
            let Some((name, length)) = name_before_braces(inner).filter(|_| !after_dollar) else {
                at = start + opening;
                continue;
            };
            let close = start + opening + length;
            let closing =
                text.get(close..).unwrap_or_default().bytes().take_while(|b| *b == b'}').count();
            let (before, part, end) = match opening {
                2 => (start, None, close + 2),
                // Half of the braces on each side are for the reader of the text.
                4 if closing >= 4 => (start + 2, Some(start + 2..close + 2), close + 4),
                _ => {
                    at = close + closing;
                    continue;
                }
            };
            let head = if part.is_some() { start } else { before };
            let text_before = text.get(done..head).unwrap_or_default();
            line += newlines(text_before);
            if !text_before.is_empty() {
                parts.push(Part::Text(text_before));
            }
            match part {
                Some(literal) => parts.push(Part::Text(text.get(literal).unwrap_or_default())),
                None => parts.push(Part::Name(name, line)),
            }
            (done, at) = (end, end);
        }
        match text.get(done..) {
            Some(rest) if !rest.is_empty() => parts.push(Part::Text(rest)),
            _ => {}
        }
        Self(parts)
    }

    /// The names in it, in their order and as often as they stand there, each
    /// with its line.
    pub fn names(&self) -> impl Iterator<Item = (&'a str, u64)> + '_ {
        self.0.iter().filter_map(|part| match part {
            Part::Name(name, line) => Some((*name, *line)),
            Part::Text(_) => None,
        })
    }

    /// The text with the values in place of the names.
    ///
    /// # Errors
    /// The first name that `value` does not know.
    pub fn render<'v>(
        &self,
        value: &dyn Fn(&str) -> Option<Cow<'v, str>>,
    ) -> Result<String, Unset> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Name(name, line) => match value(name) {
                    Some(piece) => text.push_str(&piece),
                    None => return Err(Unset { name: (*name).to_owned(), line: *line }),
                },
            }
        }
        Ok(text)
    }
}

/// Whether `word` can stand between the braces, and so be given a value.
pub fn is_template_name(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// The name at the beginning of `inner`, and how far the closing braces are.
fn name_before_braces(inner: &str) -> Option<(&str, usize)> {
    let length = inner.find("}}")?;
    let name = inner.get(..length)?.trim_matches([' ', '\t']);
    is_template_name(name).then_some((name, length))
}

fn newlines(text: &str) -> u64 {
    text.bytes().fold(0, |lines, byte| lines + u64::from(byte == b'\n'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(text: &str) -> Result<String, Unset> {
        Template::parse(text).render(&|name| match name {
            "a" => Some("A".into()),
            "item" => Some("{{a}} {{nobody}}".into()),
            "results.code-1" => Some("ok".into()),
            _ => None,
        })
    }

    #[test]
    fn names_are_filled_in_and_values_are_never_read() {
        for (text, expected) in [
            ("", ""),
            ("no braces", "no braces"),
            ("{{a}}", "A"),
            ("x {{ a }}{{a}} y", "x AA y"),
            ("{{item}}", "{{a}} {{nobody}}"),
            ("{{results.code-1}}!", "ok!"),
            ("{\"k\":{{a}}}", "{\"k\":A}"),
            ("ä{{a}}ö", "äAö"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn four_braces_are_two() {
        for (text, expected) in [
            ("{{{{a}}}}", "{{a}}"),
            ("{{{{ nobody }}}} {{a}}", "{{ nobody }} A"),
            ("{{a}}{{{{a}}}}{{a}}", "A{{a}}A"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn braces_of_others_stay() {
        for text in [
            "${{ secrets.X }}",
            "{{ a | b }}",
            "{% if a %}",
            "{{{a}}}",
            "{{{{a}}",
            "{{1}}",
            "{{}}",
            "{{ }}",
            "{{a",
            "{{a}",
            "}}{{",
            "{{\na\n}}",
            "{{#each x}}",
            "{{{{{{a}}}}}}",
            "f = {{'a': 1}}",
        ] {
            assert_eq!(render(text).as_deref(), Ok(text), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_named_with_its_line() {
        let unset = render("a\n{{a}}\n\n {{nobody}} {{other}}").expect_err("unset");
        assert_eq!(unset, Unset { name: "nobody".into(), line: 4 });
        assert_eq!(unset.to_string(), "'{{nobody}}' has no value");
        let names: Vec<_> = Template::parse("{{b}}\n{{ a }}{{b}}").names().collect();
        assert_eq!(names, [("b", 1), ("a", 2), ("b", 2)]);
    }

    proptest! {
        #[test]
        fn any_text_is_a_template(text in "[{}$ \na-c.]{0,30}") {
            let template = Template::parse(&text);
            let names = template.names().count();
            let rendered = template.render(&|_| Some("x".into())).expect("all have values");
            // Only names and doubled braces change a text.
            prop_assert!(names > 0 || text.contains("{{{{") || rendered == text);
        }

        #[test]
        fn a_doubled_name_comes_out_as_a_name(name in "[a-z_][a-z0-9._-]{0,9}") {
            let literal = format!("{{{{{{{{{name}}}}}}}}}");
            let template = Template::parse(&literal);
            prop_assert_eq!(template.names().count(), 0);
            prop_assert_eq!(template.render(&|_| None), Ok(format!("{{{{{name}}}}}")));
        }
    }
}
