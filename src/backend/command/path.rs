//! Places in JSON: `result.text`, `items.0.name`, `messages.-1.content`,
//! `models.*.tokens`. A step is a key, a number (from the end where it is negative),
//! or `*` for everything in a list or object.

use serde_json::Value;

use super::spec::{Found, Where};

/// Everything at `path`, in order; the value itself at an empty one.
pub(super) fn all<'v>(value: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![value];
    for step in path.split('.').filter(|step| !step.is_empty()) {
        found = found.into_iter().flat_map(|value| below(value, step)).collect();
    }
    found
}

fn below<'v>(value: &'v Value, step: &str) -> Vec<&'v Value> {
    match value {
        Value::Array(items) if step == "*" => items.iter().collect(),
        Value::Object(map) if step == "*" => map.values().collect(),
        Value::Array(items) => {
            let at = step.parse::<isize>().ok().and_then(|at| {
                if at < 0 { items.len().checked_add_signed(at) } else { usize::try_from(at).ok() }
            });
            at.and_then(|at| items.get(at)).into_iter().collect()
        }
        Value::Object(map) => map.get(step).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The text at `path`: texts one after the other, and numbers as they are written.
/// Nothing where there is none.
pub(super) fn text(value: &Value, path: &str) -> Option<String> {
    let texts: Vec<String> = all(value, path)
        .into_iter()
        .filter_map(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect();
    (!texts.is_empty()).then(|| texts.concat())
}

/// The sum of the numbers at these paths; nothing where there is none.
pub(super) fn sum(value: &Value, paths: &[String]) -> Option<f64> {
    let numbers: Vec<f64> = paths
        .iter()
        .flat_map(|path| all(value, path))
        .filter_map(Value::as_f64)
        .filter(|number| *number >= 0.0)
        .collect();
    (!numbers.is_empty()).then(|| numbers.iter().sum())
}

/// Whether all of it stands there.
pub(super) fn fits(value: &Value, within: &Where) -> bool {
    within.0.iter().all(|(path, wanted)| all(value, path).contains(&wanted))
}

/// What stands where it is looked for; nothing where nothing does, or only what
/// means nothing: `null`, `false`, an empty text or list.
pub(super) fn found(value: &Value, found: &Found) -> Option<String> {
    if !fits(value, &found.within) {
        return None;
    }
    let all = all(value, &found.path);
    let means = |value: &&&Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    };
    let first = all.iter().find(means)?;
    Some(match first {
        Value::String(text) => text.clone(),
        Value::Bool(true) => String::new(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_are_keys_numbers_and_stars() {
        let value = json!({"a": [{"b": "x"}, {"b": "y"}], "n": {"p": {"t": 2}, "q": {"t": 3.5}}});
        assert_eq!(text(&value, "a.0.b").as_deref(), Some("x"));
        assert_eq!(text(&value, "a.-1.b").as_deref(), Some("y"));
        assert_eq!(text(&value, "a.*.b").as_deref(), Some("xy"));
        for nowhere in ["a.2.b", "a.-3.b", "a.b", "x.y", "a.0.b.c", "a.0"] {
            assert_eq!(text(&value, nowhere), None, "{nowhere}");
        }
        assert_eq!(sum(&value, &["n.*.t".to_owned()]), Some(5.5));
        assert_eq!(sum(&value, &["n.p.t".to_owned(), "n.q.t".to_owned()]), Some(5.5));
        assert_eq!(sum(&value, &["a.*.b".to_owned()]), None);
        assert_eq!(text(&json!("plain"), "").as_deref(), Some("plain"));
    }

    #[test]
    fn a_condition_is_all_of_its_parts() {
        let within = |value: Value| serde_json::from_value::<Where>(value).expect("a condition");
        let event = json!({"type": "result", "is_error": true, "n": 1, "parts": [{"k": "a"}]});
        assert!(fits(&event, &within(json!({}))));
        assert!(fits(&event, &within(json!({"type": "result", "is_error": true, "n": 1}))));
        assert!(fits(&event, &within(json!({"parts.*.k": "a"}))));
        assert!(!fits(&event, &within(json!({"type": "result", "is_error": false}))));
        assert!(!fits(&event, &within(json!({"other": "x"}))));
    }

    #[test]
    fn what_means_nothing_was_not_found() {
        let at = |value: Value| {
            let value = json!({ "e": value });
            found(&value, &Found { within: Where::default(), path: "e".to_owned() })
        };
        for nothing in [json!(null), json!(false), json!(""), json!([]), json!({})] {
            assert_eq!(at(nothing.clone()), None, "{nothing}");
        }
        assert_eq!(at(json!("no")).as_deref(), Some("no"));
        assert_eq!(at(json!(true)).as_deref(), Some(""));
        assert_eq!(at(json!({"m": 1})).as_deref(), Some("{\"m\":1}"));
    }
}
