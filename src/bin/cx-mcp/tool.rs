//! A tool: its name, what it takes, what it says of itself.

use std::sync::Arc;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

/// What a tool does to the world, as clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It only looks.
    Looks,
    /// It makes or changes something that can be taken back.
    Changes,
    /// It ends or replaces something.
    Ends,
}

/// What a tool is described by.
pub(crate) struct Description {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    pub(crate) effect: Effect,
    /// What it takes, and what cannot be left out.
    pub(crate) takes: &'static [Argument],
    pub(crate) needs: &'static [&'static str],
}

/// One argument of a tool.
pub(crate) struct Argument {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) says: &'static str,
}

/// What an argument is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    /// Text, or any other JSON, which is then kept as JSON.
    Anything,
    Texts,
    Flag,
    Number,
    OneOf(&'static [&'static str]),
}

/// An argument that is text.
pub(crate) const fn text(name: &'static str, says: &'static str) -> Argument {
    Argument { name, kind: Kind::Text, says }
}

/// An argument that is a list of texts.
pub(crate) const fn texts(name: &'static str, says: &'static str) -> Argument {
    Argument { name, kind: Kind::Texts, says }
}

/// An argument that is true or false.
pub(crate) const fn flag(name: &'static str, says: &'static str) -> Argument {
    Argument { name, kind: Kind::Flag, says }
}

/// An argument that is a whole number.
pub(crate) const fn number(name: &'static str, says: &'static str) -> Argument {
    Argument { name, kind: Kind::Number, says }
}

impl Description {
    /// As the protocol has it.
    pub(crate) fn tool(&self) -> Tool {
        let properties: Map<String, Value> =
            self.takes.iter().map(|one| (one.name.to_owned(), one.schema())).collect();
        let mut schema = JsonObject::new();
        schema.insert("type".to_owned(), json!("object"));
        schema.insert("properties".to_owned(), Value::Object(properties));
        if !self.needs.is_empty() {
            schema.insert("required".to_owned(), json!(self.needs));
        }
        let annotations = ToolAnnotations::new()
            .read_only(self.effect == Effect::Looks)
            .destructive(self.effect == Effect::Ends)
            .open_world(false);
        Tool::new(self.name, self.says, Arc::new(schema)).with_annotations(annotations)
    }
}

impl Argument {
    fn schema(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Text => json!({ "type": "string" }),
            Kind::Anything => json!({}),
            Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Kind::Flag => json!({ "type": "boolean" }),
            Kind::Number => json!({ "type": "integer", "minimum": 0 }),
            Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        };
        if let (Some(schema), false) = (schema.as_object_mut(), self.says.is_empty()) {
            schema.insert("description".to_owned(), json!(self.says));
        }
        schema
    }
}

/// What a tool answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

impl Answer {
    /// That something is so.
    pub(crate) fn said(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: false }
    }

    /// That nothing was done, and why.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true }
    }

    /// As the protocol has it.
    pub(crate) fn result(self) -> CallToolResult {
        let content = vec![ContentBlock::text(self.text)];
        if self.is_error {
            CallToolResult::error(content)
        } else {
            CallToolResult::success(content)
        }
    }
}
