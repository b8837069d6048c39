//! Reading a schema with the files that it refers to.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::{Schema, SchemaError};

/// Where the documents of other files are put.
const DEFINITIONS: &str = "$defs";

/// Keywords whose value is a schema.
const ONE: [&str; 9] = [
    "additionalProperties",
    "items",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "propertyNames",
    "additionalItems",
];

/// Keywords whose value is a list of schemas.
const MANY: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];

/// Keywords whose value is an object of schemas.
const NAMED: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Keywords that say something of a value and that are not checked here.
const UNKNOWN: [&str; 7] = [
    "unevaluatedProperties",
    "unevaluatedItems",
    "$dynamicRef",
    "$recursiveRef",
    "dependencies",
    "contentSchema",
    "$vocabulary",
];

/// The types that a value can have.
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

impl Schema {
    /// Reads the schema in `file`.
    ///
    /// # Errors
    /// A file that cannot be read or is no JSON, a reference to something else than a
    /// file below the folder of `file`, and what cannot be checked.
    pub fn read(file: &Path) -> Result<Self, SchemaError> {
        let unreadable = |error| SchemaError::Unreadable { path: file.to_owned(), error };
        let file = fs::canonicalize(file).map_err(unreadable)?;
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        let mut reader = Reader { folder, names: BTreeMap::new(), waiting: vec![file.clone()] };
        reader.names.insert(file.clone(), None);
        let mut root = Value::Null;
        let mut others = Map::new();
        while let Some(path) = reader.waiting.pop() {
            let mut document = parse(&path)?;
            reader.look(&mut document, &path, "")?;
            match reader.names.get(&path).cloned().flatten() {
                None => root = document,
                Some(name) => drop(others.insert(name, document)),
            }
        }
        if !others.is_empty() {
            // Only an object has references.
            if let Value::Object(root) = &mut root {
                let own = root.entry(DEFINITIONS).or_insert_with(|| Map::new().into());
                if let Value::Object(own) = own {
                    own.extend(others);
                }
            }
        }
        let schema = Self { root };
        schema.follow_all(&schema.root, &file, "")?;
        Ok(schema)
    }

    /// Looks whether each reference leads somewhere.
    fn follow_all(&self, part: &Value, path: &Path, at: &str) -> Result<(), SchemaError> {
        match part {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref")
                    && self.target(reference).is_none()
                {
                    return Err(wrong(path, at, &format!("'{reference}' leads nowhere")));
                }
                object
                    .iter()
                    .filter(|(key, _)| {
                        !matches!(key.as_str(), "const" | "enum" | "default" | "examples")
                    })
                    .try_for_each(|(key, value)| self.follow_all(value, path, &below(at, key)))
            }
            Value::Array(all) => all.iter().enumerate().try_for_each(|(n, value)| {
                self.follow_all(value, path, &below(at, &n.to_string()))
            }),
            _ => Ok(()),
        }
    }

    /// What a reference within the document leads to.
    pub(super) fn target(&self, reference: &str) -> Option<&Value> {
        self.root.pointer(&decoded(reference.strip_prefix('#')?))
    }
}

fn parse(path: &Path) -> Result<Value, SchemaError> {
    let bytes =
        fs::read(path).map_err(|error| SchemaError::Unreadable { path: path.to_owned(), error })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| SchemaError::NotJson { path: path.to_owned(), error })
}

struct Reader {
    /// That of the first file: others have to lie in it.
    folder: PathBuf,
    /// The files so far, and what each is called in the one document.
    names: BTreeMap<PathBuf, Option<String>>,
    /// Those that are still to be read.
    waiting: Vec<PathBuf>,
}

impl Reader {
    /// Looks at a schema and all in it, and has its references name the one document.
    fn look(&mut self, schema: &mut Value, path: &Path, at: &str) -> Result<(), SchemaError> {
        let object = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(object) => object,
            _ => return Err(wrong(path, at, "a schema is an object, true or false")),
        };
        if let Some(word) = UNKNOWN.iter().find(|word| object.contains_key(**word)) {
            return Err(wrong(path, &below(at, word), &format!("cx does not know '{word}'")));
        }
        for (key, value) in object.iter_mut() {
            let here = below(at, key);
            let key = key.as_str();
            if key == "$ref" {
                let Value::String(reference) = value else {
                    return Err(wrong(path, &here, "a reference is a string"));
                };
                *reference = self.reference(reference, path, &here)?;
            } else if key == "items" && value.is_array() {
                return Err(wrong(path, &here, "a list of schemas goes under 'prefixItems'"));
            } else if ONE.contains(&key) {
                self.look(value, path, &here)?;
            } else if MANY.contains(&key) {
                let all = value.as_array_mut().filter(|all| !all.is_empty());
                let all =
                    all.ok_or_else(|| wrong(path, &here, "it has to be a list of schemas"))?;
                for (n, one) in all.iter_mut().enumerate() {
                    self.look(one, path, &below(&here, &n.to_string()))?;
                }
            } else if NAMED.contains(&key) {
                let all = value.as_object_mut();
                let all =
                    all.ok_or_else(|| wrong(path, &here, "it has to be an object of schemas"))?;
                for (name, one) in all.iter_mut() {
                    let here = below(&here, name);
                    if key == "patternProperties" {
                        pattern(name).map_err(|problem| wrong(path, &here, &problem))?;
                    }
                    self.look(one, path, &here)?;
                }
            } else {
                plain(key, value).map_err(|problem| wrong(path, &here, &problem))?;
            }
        }
        Ok(())
    }

    /// A reference in `path` as it is in the one document.
    fn reference(&mut self, word: &str, path: &Path, at: &str) -> Result<String, SchemaError> {
        let (file, pointer) = word.split_once('#').unwrap_or((word, ""));
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(wrong(path, at, &format!("'{word}' names an anchor, and not a place")));
        }
        let target = if file.is_empty() { path.to_owned() } else { self.beside(file, path, at)? };
        let count = self.names.len();
        let name = self.names.entry(target.clone()).or_insert_with(|| {
            self.waiting.push(target);
            Some(format!("cx-{count}"))
        });
        Ok(match name {
            None => format!("#{pointer}"),
            Some(name) => format!("#/{DEFINITIONS}/{name}{pointer}"),
        })
    }

    /// The file that a reference names.
    fn beside(&self, file: &str, path: &Path, at: &str) -> Result<PathBuf, SchemaError> {
        let refused = |why: &str| wrong(path, at, &format!("'{file}' {why}"));
        if file.contains("://") || file.starts_with("urn:") {
            return Err(refused("is an address, and cx fetches nothing"));
        }
        let named = path.parent().unwrap_or(Path::new("/")).join(decoded(file));
        let found = fs::canonicalize(&named)
            .map_err(|error| SchemaError::Unreadable { path: named, error })?;
        if found.starts_with(&self.folder) {
            return Ok(found);
        }
        Err(refused("lies outside of the schema's folder"))
    }
}

/// What is wrong with the value of a keyword that holds no schema.
fn plain(key: &str, value: &Value) -> Result<(), String> {
    let strings =
        |value: &Value| value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
    let is_good = match key {
        "type" => {
            let known = |value: &Value| value.as_str().is_some_and(|word| TYPES.contains(&word));
            known(value) || value.as_array().is_some_and(|all| all.iter().all(known))
        }
        "enum" => value.is_array(),
        "required" => strings(value),
        "dependentRequired" => value.as_object().is_some_and(|all| all.values().all(strings)),
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties"
        | "minContains" | "maxContains" => value.as_u64().is_some(),
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
        "multipleOf" => value.as_f64().is_some_and(|step| step > 0.0),
        "uniqueItems" => value.is_boolean(),
        "pattern" => {
            return match value.as_str() {
                Some(text) => pattern(text).map(drop),
                None => Err("it has to be a string".to_owned()),
            };
        }
        // Words for people, and what is nobody's.
        _ => true,
    };
    if is_good { Ok(()) } else { Err(format!("'{key}' cannot be {value}")) }
}

/// A pattern, which may stand anywhere in a text.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("the pattern '{text}' is not understood: {error}"))
}

fn wrong(path: &Path, at: &str, problem: &str) -> SchemaError {
    let at = if at.is_empty() { "its top" } else { at };
    SchemaError::Wrong { path: path.to_owned(), at: at.to_owned(), problem: problem.to_owned() }
}

/// A JSON pointer, one step further.
pub(super) fn below(at: &str, step: &str) -> String {
    format!("{at}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// A part of an address with its `%20` as it is meant.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let coded = hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%');
        bytes.push(coded.unwrap_or(*first));
        rest = if coded.is_some() { more.get(2..).unwrap_or_default() } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
