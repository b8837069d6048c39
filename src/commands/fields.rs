//! `--format`: a line made of fields.

use crate::failure::Failure;

/// The fields that a line may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields(pub(super) &'static [&'static str]);

impl Fields {
    /// Fills `{fields}` and `\n`, `\t`, `\\`; `{{` is a brace. What was filled in is
    /// not looked at again. `value` is asked for the fields alone.
    pub(super) fn fill(
        self,
        format: &str,
        value: &dyn Fn(&str) -> String,
    ) -> Result<String, Failure> {
        let mut filled = String::new();
        let mut rest = format;
        while let Some(at) = rest.find(['{', '\\']) {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            let escapes = [("{{", "{"), ("\\n", "\n"), ("\\t", "\t"), ("\\\\", "\\")];
            if let Some((from, to)) = escapes.iter().find(|(from, _)| rest.starts_with(from)) {
                filled.push_str(to);
                rest = &rest[from.len()..];
                continue;
            }
            let key = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            match key {
                Some((key, after)) if self.0.contains(&key) => {
                    filled.push_str(&value(key));
                    rest = after;
                }
                Some((key, _)) => {
                    return Err(Failure::usage(format!("--format has no field '{key}'"))
                        .hint(format!("the fields are {}", self.0.join(", "))));
                }
                None => {
                    filled.push_str(&rest[..1]);
                    rest = &rest[1..];
                }
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_filled_once() {
        let fields = Fields(&["job", "name"]);
        let value = |key: &str| format!("<{key}{{name}}>");
        assert_eq!(
            fields.fill("{job}\\t{{{name}", &value).expect("fills"),
            "<job{name}>\t{<name{name}>"
        );
        assert_eq!(fields.fill("a{b \\x", &value).expect("fills"), "a{b \\x");
        let error = fields.fill("{nope}", &value).expect_err("unknown");
        assert_eq!(error.message, "--format has no field 'nope'");
    }
}
