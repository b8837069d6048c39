//! Schemas and what fits them.

use std::{fs, path::Path};

use serde_json::json;

use super::*;

fn schema(document: &Value) -> Schema {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("s.json");
    fs::write(&file, document.to_string()).expect("file");
    Schema::read(&file).unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong with `value`, or nothing.
fn wrong(document: &Value, value: &Value) -> String {
    let found = schema(document).check(value).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn what_a_value_has_to_be() {
    let person = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2, "pattern": "^[A-Z]"},
            "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": true, "maxItems": 2},
        },
        "required": ["name"],
        "additionalProperties": false,
    });
    for (value, expected) in [
        (json!({"name": "Ann", "age": 7.0, "tags": ["a", "b"]}), ""),
        (json!([]), "the answer: is an array, and has to be object"),
        (json!({}), "the answer: has no 'name'"),
        (json!({"name": "ann"}), "/name: does not match '^[A-Z]'"),
        (json!({"name": "A"}), "/name: has 1 character, and minLength is 2"),
        (json!({"name": "Ann", "age": 1.5}), "/age: is a number, and has to be integer"),
        (json!({"name": "Ann", "age": 150}), "/age: is 150, and exclusiveMaximum is 150"),
        (json!({"name": "Ann", "tags": ["a", "a"]}), "/tags: has an item twice"),
        (json!({"name": "Ann", "tags": ["c"]}), "/tags/0: is none of \"a\", \"b\""),
        (json!({"name": "Ann", "x/y": 1}), "the answer: has 'x/y', which is not foreseen"),
    ] {
        assert_eq!(wrong(&person, &value), expected, "{value}");
    }
}

#[test]
fn schemas_that_are_made_of_others() {
    let either = json!({"oneOf": [{"type": "number"}, {"multipleOf": 3}]});
    assert_eq!(wrong(&either, &json!(4)), "");
    assert!(wrong(&either, &json!(9)).contains("fits 2 of"));
    assert!(wrong(&json!({"anyOf": [{"const": 1}, {"const": "x"}]}), &json!(2)).contains("anyOf"));
    assert_eq!(wrong(&json!({"anyOf": [{"const": 1}]}), &json!(1.0)), "");
    assert!(wrong(&json!({"not": {"type": "null"}}), &json!(null)).contains("(not)"));
    let branch = json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": false});
    assert_eq!(wrong(&branch, &json!({"a": 1})), "the answer: has no 'b'");
    assert_eq!(wrong(&branch, &json!({})), "the answer: nothing may stand here");
    let list = json!({
        "prefixItems": [{"type": "string"}], "items": {"type": "number"},
        "contains": {"const": 2}, "maxContains": 1,
    });
    assert_eq!(wrong(&list, &json!(["x", 1, 2])), "");
    assert_eq!(
        wrong(&list, &json!([2, 2])),
        "/0: is a number, and has to be string; the answer: has 2 of what it has to contain"
    );
    let names = json!({
        "propertyNames": {"maxLength": 3}, "patternProperties": {"^n": {"type": "number"}},
        "dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["d"]}},
        "minProperties": 1,
    });
    assert_eq!(wrong(&names, &json!({"n1": 1, "a": 1, "b": 1, "c": 1, "d": 1})), "");
    assert_eq!(
        wrong(&names, &json!({"n1": "x", "a": 1, "c": 1})),
        "the answer: has 'a', and no 'b'; the answer: has no 'd'; /n1: is a string, and has to be number"
    );
    assert!(wrong(&names, &json!({"long": 1})).starts_with("/long: has 4 characters"));
}

#[test]
fn a_schema_may_refer_to_itself_and_to_files_beside_it() {
    let tree = json!({"type": "object", "properties": {"left": {"$ref": "#"}}, "required": ["v"]});
    assert_eq!(
        wrong(&tree, &json!({"v": 1, "left": {"left": {}, "v": 2}})),
        "/left/left: has no 'v'"
    );
    // It says nothing, for ever.
    assert!(wrong(&json!({"$ref": "#"}), &json!(1)).contains("nested too deeply"));

    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, value: Value| {
        fs::create_dir_all(folder.path().join("s/parts")).expect("folder");
        fs::write(folder.path().join(name), value.to_string()).expect("file");
    };
    write("s/a.json", json!({"properties": {"b": {"$ref": "parts/b%20c.json#/$defs/x"}}}));
    write(
        "s/parts/b c.json",
        json!({"$defs": {"x": {"items": {"$ref": "#/$defs/y"}}, "y": {"$ref": "../d.json"}}}),
    );
    write("s/d.json", json!({"type": "number", "description": "a.json"}));
    let file = folder.path().join("s/a.json");
    let read = Schema::read(&file).expect("reads");
    // One document, which needs no file any more.
    let whole = Schema::from_document(read.document().clone());
    drop(folder);
    let found = whole.check(&json!({"b": [1, "x"]})).expect_err("a string");
    assert_eq!(found[0].to_string(), "/b/1: is a string, and has to be number");
    assert_eq!(whole.check(&json!({"b": [1]})), Ok(()));
}

#[test]
fn what_cannot_be_checked_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("out.json"), "true").expect("file");
    fs::create_dir(folder.path().join("s")).expect("folder");
    let file = folder.path().join("s/a.json");
    let error = |text: &str| {
        fs::write(&file, text).expect("file");
        Schema::read(&file).expect_err(text).to_string()
    };
    for (text, sentence) in [
        ("{", "is no JSON: EOF"),
        ("1", "says at its top what cannot be checked: a schema is an object, true or false"),
        (r#"{"type": "text"}"#, "at /type what cannot be checked: 'type' cannot be \"text\""),
        (r#"{"properties": {"a": 1}}"#, "at /properties/a "),
        (r#"{"items": [true]}"#, "a list of schemas goes under 'prefixItems'"),
        (r#"{"pattern": "(?=x)"}"#, "the pattern '(?=x)' is not understood"),
        (r#"{"unevaluatedProperties": false}"#, "cx does not know 'unevaluatedProperties'"),
        (r##"{"$ref": "#/nowhere"}"##, "'#/nowhere' leads nowhere"),
        (r##"{"$ref": "#name"}"##, "names an anchor"),
        (r#"{"$ref": "https://example.com/s.json"}"#, "is an address, and cx fetches nothing"),
        (r#"{"$ref": "../out.json"}"#, "'../out.json' lies outside of the schema's folder"),
        (r#"{"$ref": "none.json"}"#, "none.json cannot be read: "),
    ] {
        let said = error(text);
        assert!(said.contains(sentence), "{text}: {said}");
    }
    std::os::unix::fs::symlink("../out.json", folder.path().join("s/link.json")).expect("link");
    assert!(error(r#"{"$ref": "link.json"}"#).contains("lies outside"));
    let gone = Schema::read(Path::new("/no/such.json")).expect_err("nothing there").to_string();
    assert!(gone.starts_with("the schema /no/such.json cannot be read: "), "{gone}");
}

#[test]
fn an_answer_is_json_and_nothing_else() {
    let number = schema(&json!({"type": "number"}));
    assert_eq!(number.fits(" 7\n"), Ok(()));
    for (answer, sentence) in [
        ("", "the answer: is no JSON: "),
        ("```json\n7\n```", "the answer: is no JSON: "),
        ("7 is it", "the answer: is no JSON: "),
        ("\"7\"", "the answer: is a string, and has to be number"),
    ] {
        let found = number.fits(answer).expect_err(answer);
        assert!(found[0].to_string().starts_with(sentence), "{found:?}");
    }
}
