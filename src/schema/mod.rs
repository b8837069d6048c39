//! The shape that an answer has to have: JSON Schema, as far as it says what a
//! value is.
//!
//! [`Schema::read`] takes a file with what it refers to beside it, and makes one
//! document of them that refers to nothing outside of itself. What it cannot check
//! it refuses: an answer must not pass because a word of its schema was not
//! understood. Reads the files that it is told of, and nothing else; nothing here
//! knows a job. See `docs/decisions` for why this is no crate.

mod check;
mod read;

use std::{io, path::PathBuf};

use serde_json::Value;

/// A schema without references to other files.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    root: Value,
}

/// Why there is no schema. Reads as a sentence.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A file cannot be read.
    #[error("the schema {} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is no JSON.
    #[error("the schema {} is no JSON: {error}", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: serde_json::Error,
    },
    /// A keyword has a value that it cannot have, or one that cx cannot check.
    #[error("the schema {} says at {at} what cannot be checked: {problem}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where in it: a JSON pointer.
        at: String,
        /// The end of the sentence.
        problem: String,
    },
}

/// Where an answer does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct Mismatch {
    /// Where in the answer: a JSON pointer, or `the answer` for all of it.
    pub at: String,
    /// What is wrong there.
    pub problem: String,
}

impl Schema {
    /// The document, for a backend that takes one.
    pub fn document(&self) -> &Value {
        &self.root
    }

    /// What [`Schema::document`] was written to.
    pub fn from_document(root: Value) -> Self {
        Self { root }
    }

    /// Whether an answer fits: it has to be JSON, and nothing but that. What does not
    /// fit, a few at most.
    pub fn fits(&self, answer: &str) -> Result<(), Vec<Mismatch>> {
        let value: Value = serde_json::from_str(answer.trim()).map_err(|error| {
            vec![Mismatch { at: "the answer".to_owned(), problem: format!("is no JSON: {error}") }]
        })?;
        self.check(&value)
    }
}

#[cfg(test)]
mod tests;
