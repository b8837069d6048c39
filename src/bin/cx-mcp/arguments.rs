//! What a client has said: arguments by name, each of the kind that its tool wants.
//!
//! Whatever is taken from here becomes one word of a command line, behind `=` or `--`.

use rmcp::model::JsonObject;
use serde_json::Value;

use crate::tool::{Answer, Description};

/// The arguments of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments<'a>(pub(crate) &'a JsonObject);

/// Why a call is answered without `cx`.
pub(crate) type Refusal = Answer;

impl<'a> Arguments<'a> {
    /// Refuses what the tool does not know, which would otherwise be left out silently.
    pub(crate) fn check(self, tool: &Description) -> Result<(), Refusal> {
        let known = |name: &&String| tool.takes.iter().any(|one| one.name == name.as_str());
        match self.0.keys().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => {
                let names: Vec<&str> = tool.takes.iter().map(|one| one.name).collect();
                let takes = match names.as_slice() {
                    [] => "it takes none".to_owned(),
                    names => format!("it takes {}", names.join(", ")),
                };
                let tool = tool.name;
                Err(Answer::refused(format!(
                    "{tool} has no argument '{name}'; nothing was done\nhint: {takes}"
                )))
            }
        }
    }

    fn value(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn wrong(name: &str, wanted: &str) -> Refusal {
        Answer::refused(format!("'{name}' has to be {wanted}; nothing was done"))
    }

    /// A text; one without anything in it counts as none.
    pub(crate) fn text(self, name: &str) -> Result<Option<&'a str>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Self::wrong(name, "text")),
        }
    }

    /// A text that cannot be left out.
    pub(crate) fn needed(self, name: &str) -> Result<&'a str, Refusal> {
        self.text(name)?.ok_or_else(|| Self::wrong(name, "given, as text"))
    }

    /// A text; what is another JSON is that JSON.
    pub(crate) fn anything(self, name: &str) -> Result<String, Refusal> {
        match self.value(name) {
            None => Err(Self::wrong(name, "given")),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Ok(other.to_string()),
        }
    }

    /// A list of texts, or one text alone.
    pub(crate) fn texts(self, name: &str) -> Result<Vec<&'a str>, Refusal> {
        let wrong = || Self::wrong(name, "a list of texts");
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.as_str()]),
            Some(Value::Array(all)) => {
                all.iter().map(|one| one.as_str().ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }

    /// True or false.
    pub(crate) fn flag(self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(Self::wrong(name, "true or false")),
        }
    }

    /// A whole number. Some clients write one as text.
    pub(crate) fn number(self, name: &str) -> Result<Option<u64>, Refusal> {
        let number = match self.value(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(value) => value.as_u64(),
        };
        number.map(Some).ok_or_else(|| Self::wrong(name, "a whole number"))
    }
}

/// The words of one `cx` command line, as they grow.
#[derive(Debug)]
pub(crate) struct Words(Vec<String>);

impl Words {
    /// A verb, and what always stands behind it.
    pub(crate) fn of(words: &[&str]) -> Self {
        Self(words.iter().map(|&word| word.to_owned()).collect())
    }

    /// `--name=value`, one word.
    pub(crate) fn option(&mut self, name: &str, value: Option<&str>) {
        self.0.extend(value.map(|value| format!("--{name}={value}")));
    }

    /// A word of ours.
    pub(crate) fn own(&mut self, word: &str) {
        self.0.push(word.to_owned());
    }

    /// The client's words, which are no options.
    pub(crate) fn behind(mut self, words: &[&str]) -> Vec<String> {
        if !words.is_empty() {
            self.own("--");
            self.0.extend(words.iter().map(|&word| word.to_owned()));
        }
        self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> JsonObject {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn arguments_are_of_the_kind_that_is_wanted() {
        let said = object(&json!({
            "a": "x", "b": ["y", "z"], "c": true, "d": "7", "e": {"k": 1}, "f": null, "g": -1,
        }));
        let said = Arguments(&said);
        assert_eq!(said.text("a"), Ok(Some("x")));
        assert_eq!(said.texts("a"), Ok(vec!["x"]));
        assert_eq!(said.texts("b"), Ok(vec!["y", "z"]));
        assert_eq!(said.flag("c"), Ok(Some(true)));
        assert_eq!(said.number("d"), Ok(Some(7)));
        assert_eq!(said.anything("e"), Ok("{\"k\":1}".to_owned()));
        assert_eq!(said.text("f"), Ok(None));
        for refused in [said.text("b"), said.needed("f").map(Some)] {
            assert!(refused.is_err_and(|refusal| refusal.is_error));
        }
        assert!(said.number("g").is_err() && said.flag("a").is_err() && said.texts("c").is_err());
    }

    #[test]
    fn what_a_client_says_is_no_option() {
        let mut words = Words::of(&["spawn"]);
        words.option("name", Some("--verify=rm"));
        words.option("base", None);
        assert_eq!(words.behind(&["-rf", "x"]), ["spawn", "--name=--verify=rm", "--", "-rf", "x"]);
        assert_eq!(Words::of(&["jobs"]).behind(&[]), ["jobs"]);
    }
}
