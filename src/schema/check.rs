//! Whether a value fits.

use serde_json::{Map, Number, Value};

use super::{
    Mismatch, Schema,
    read::{below, pattern},
};

/// How many misfits are named.
const MOST: usize = 5;

/// How deep schemas may follow each other: one that refers to itself ends here.
const DEEPEST: usize = 200;

impl Schema {
    /// Whether `value` fits. What does not, a few at most.
    pub fn check(&self, value: &Value) -> Result<(), Vec<Mismatch>> {
        let mut check = Check { schema: self, wrong: Vec::new(), depth: 0 };
        check.value(&self.root, value, "");
        if check.wrong.is_empty() { Ok(()) } else { Err(check.wrong) }
    }
}

struct Check<'s> {
    schema: &'s Schema,
    wrong: Vec<Mismatch>,
    depth: usize,
}

impl Check<'_> {
    fn say(&mut self, at: &str, problem: impl Into<String>) {
        if self.wrong.len() < MOST {
            let at = if at.is_empty() { "the answer" } else { at };
            self.wrong.push(Mismatch { at: at.to_owned(), problem: problem.into() });
        }
    }

    /// Whether `value` fits `schema`, saying nothing.
    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let mut check = Check { schema: self.schema, wrong: Vec::new(), depth: self.depth };
        check.value(schema, value, "");
        check.wrong.is_empty()
    }

    fn value(&mut self, schema: &Value, value: &Value, at: &str) {
        let object = match schema {
            Value::Object(object) => object,
            Value::Bool(false) => return self.say(at, "nothing may stand here"),
            _ => return,
        };
        if self.depth >= DEEPEST || self.wrong.len() >= MOST {
            return self.say(at, "is nested too deeply");
        }
        self.depth += 1;
        if let Some(reference) = object.get("$ref").and_then(Value::as_str)
            && let Some(target) = self.schema.target(reference)
        {
            self.value(target, value, at);
        }
        self.itself(object, value, at);
        self.combined(object, value, at);
        match value {
            Value::String(text) => self.text(object, text, at),
            Value::Number(number) => self.number(object, number, at),
            Value::Array(items) => self.items(object, items, at),
            Value::Object(members) => self.members(object, members, at),
            Value::Null | Value::Bool(_) => {}
        }
        self.depth -= 1;
    }

    fn itself(&mut self, schema: &Map<String, Value>, value: &Value, at: &str) {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !types.is_empty() && !types.iter().any(|word| is_of_type(value, word)) {
            self.say(at, format!("is {}, and has to be {}", type_of(value), types.join(" or ")));
        }
        if let Some(Value::Array(all)) = schema.get("enum")
            && !all.iter().any(|one| is_same(one, value))
        {
            let all: Vec<String> = all.iter().map(Value::to_string).collect();
            self.say(at, format!("is none of {}", all.join(", ")));
        }
        if let Some(only) = schema.get("const")
            && !is_same(only, value)
        {
            self.say(at, format!("is not {only}"));
        }
    }

    fn combined(&mut self, schema: &Map<String, Value>, value: &Value, at: &str) {
        let all = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
        for one in all("allOf") {
            self.value(one, value, at);
        }
        if schema.contains_key("anyOf") && !all("anyOf").any(|one| self.fits(one, value)) {
            self.say(at, "fits none of what it may be (anyOf)");
        }
        if schema.contains_key("oneOf") {
            match all("oneOf").filter(|one| self.fits(one, value)).count() {
                1 => {}
                0 => self.say(at, "fits none of what it may be (oneOf)"),
                n => self.say(at, format!("fits {n} of what it may be one of (oneOf)")),
            }
        }
        if schema.get("not").is_some_and(|not| self.fits(not, value)) {
            self.say(at, "is what it may not be (not)");
        }
        if let Some(condition) = schema.get("if") {
            let branch = if self.fits(condition, value) { "then" } else { "else" };
            if let Some(branch) = schema.get(branch) {
                self.value(branch, value, at);
            }
        }
    }

    fn text(&mut self, schema: &Map<String, Value>, text: &str, at: &str) {
        let length = text.chars().count() as u64;
        self.count(schema, ["minLength", "maxLength"], length, "character", at);
        if let Some(Value::String(wanted)) = schema.get("pattern")
            && pattern(wanted).is_ok_and(|regex| !regex.is_match(text))
        {
            self.say(at, format!("does not match '{wanted}'"));
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, number: &Number, at: &str) {
        let Some(value) = number.as_f64() else { return };
        let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
        for (key, holds) in [
            ("minimum", limit("minimum").is_none_or(|least| value >= least)),
            ("maximum", limit("maximum").is_none_or(|most| value <= most)),
            ("exclusiveMinimum", limit("exclusiveMinimum").is_none_or(|least| value > least)),
            ("exclusiveMaximum", limit("exclusiveMaximum").is_none_or(|most| value < most)),
        ] {
            if !holds {
                let bound = schema.get(key).map(ToString::to_string).unwrap_or_default();
                self.say(at, format!("is {number}, and {key} is {bound}"));
            }
        }
        if let Some(step) = limit("multipleOf") {
            let times = value / step;
            if (times - times.round()).abs() > 1e-9 * times.abs().max(1.0) {
                self.say(at, format!("is {number}, which is no multiple of {step}"));
            }
        }
    }

    fn items(&mut self, schema: &Map<String, Value>, items: &[Value], at: &str) {
        self.count(schema, ["minItems", "maxItems"], items.len() as u64, "item", at);
        let first = schema.get("prefixItems").and_then(Value::as_array);
        let first = first.map(Vec::as_slice).unwrap_or_default();
        for (n, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(n).or_else(|| schema.get("items")) {
                self.value(schema, item, &below(at, &n.to_string()));
            }
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            let repeats = |n: usize| {
                let (before, item) = (items.get(..n), items.get(n));
                item.zip(before).is_some_and(|(item, all)| all.iter().any(|one| is_same(one, item)))
            };
            if (0..items.len()).any(repeats) {
                self.say(at, "has an item twice");
            }
        }
        if let Some(wanted) = schema.get("contains") {
            let found = items.iter().filter(|item| self.fits(wanted, item)).count() as u64;
            let least = schema.get("minContains").and_then(Value::as_u64).unwrap_or(1);
            let most = schema.get("maxContains").and_then(Value::as_u64).unwrap_or(u64::MAX);
            if found < least || found > most {
                self.say(at, format!("has {found} of what it has to contain"));
            }
        }
    }

    fn members(&mut self, schema: &Map<String, Value>, members: &Map<String, Value>, at: &str) {
        self.count(schema, ["minProperties", "maxProperties"], members.len() as u64, "member", at);
        let named = |key: &str| schema.get(key).and_then(Value::as_object);
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if let Some(name) = name.as_str().filter(|name| !members.contains_key(*name)) {
                self.say(at, format!("has no '{name}'"));
            }
        }
        for (name, wanted) in named("dependentRequired").into_iter().flatten() {
            let wanted = wanted.as_array().into_iter().flatten().filter_map(Value::as_str);
            for other in wanted.filter(|_| members.contains_key(name)) {
                if !members.contains_key(other) {
                    self.say(at, format!("has '{name}', and no '{other}'"));
                }
            }
        }
        for (name, wanted) in named("dependentSchemas").into_iter().flatten() {
            if members.contains_key(name) {
                self.value(wanted, &Value::Object(members.clone()), at);
            }
        }
        let patterns = named("patternProperties").into_iter().flatten();
        let patterns: Vec<_> =
            patterns.filter_map(|(text, schema)| Some((pattern(text).ok()?, schema))).collect();
        for (name, value) in members {
            let here = below(at, name);
            if let Some(names) = schema.get("propertyNames") {
                self.value(names, &Value::String(name.clone()), &here);
            }
            let own = named("properties").and_then(|all| all.get(name));
            let fitting = patterns.iter().filter(|(regex, _)| regex.is_match(name));
            let known: Vec<&Value> = own.into_iter().chain(fitting.map(|(_, s)| *s)).collect();
            for one in &known {
                self.value(one, value, &here);
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) if known.is_empty() => {
                    self.say(at, format!("has '{name}', which is not foreseen"));
                }
                Some(others) if known.is_empty() => self.value(others, value, &here),
                _ => {}
            }
        }
    }

    fn count(&mut self, schema: &Map<String, Value>, keys: [&str; 2], n: u64, of: &str, at: &str) {
        let [least, most] = keys.map(|key| schema.get(key).and_then(Value::as_u64));
        let s = if n == 1 { "" } else { "s" };
        if let Some(least) = least.filter(|least| n < *least) {
            self.say(at, format!("has {n} {of}{s}, and {} is {least}", keys[0]));
        }
        if let Some(most) = most.filter(|most| n > *most) {
            self.say(at, format!("has {n} {of}{s}, and {} is {most}", keys[1]));
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn is_of_type(value: &Value, word: &str) -> bool {
    match word {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        // 1.0 is an integer.
        _ => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
    }
}

/// Whether two values are the same: 1 and 1.0 are, and the order of members does not
/// count.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same =
                |(key, value): (&String, &Value)| b.get(key).is_some_and(|v| is_same(value, v));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => one == other,
    }
}
