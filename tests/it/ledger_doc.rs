//! `docs/ledger.md` against `src/ledger/{event,fallback,given,hold,landing,run,usage}.rs`: the same kinds, the same
//! fields, the same ones optional, and examples that cx reads.

use std::collections::BTreeMap;

const DOC: &str = include_str!("../../docs/ledger.md");
const SOURCE: &str = concat!(
    include_str!("../../src/ledger/event.rs"),
    include_str!("../../src/ledger/fallback.rs"),
    include_str!("../../src/ledger/given.rs"),
    include_str!("../../src/ledger/landing.rs"),
    include_str!("../../src/ledger/run.rs"),
    include_str!("../../src/ledger/hold.rs"),
    include_str!("../../src/ledger/usage.rs"),
);

/// Field name to whether it may be absent.
type Fields = BTreeMap<String, bool>;

/// What stands between backticks, one after the other.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Each kind with the fields of its table and its example.
fn documented() -> BTreeMap<&'static str, (Fields, &'static str)> {
    let (_, events) = DOC.split_once("## Events\n").expect("a chapter on events");
    let (events, _) = events.split_once("\n## ").expect("a chapter after it");
    let sections = events.split("\n### ").skip(1);
    sections
        .map(|section| {
            let kind = quoted(section).next().expect("a heading names its kind");
            let rows = section.lines().filter(|line| line.starts_with("| `"));
            let fields = rows
                .map(|row| {
                    let cell = row.split('|').nth(1).expect("a row has cells").trim();
                    let name = quoted(cell).next().expect("a row names its field");
                    (name.to_owned(), cell.ends_with('?'))
                })
                .collect();
            let (_, example) = section.split_once("```json\n").expect("an example");
            (kind, (fields, example.lines().next().expect("a line")))
        })
        .collect()
}

/// The fields of a struct in the source.
fn fields_of(name: &str) -> Fields {
    let head = format!("pub struct {name} {{\n");
    let (_, body) = SOURCE.split_once(&head).unwrap_or_else(|| panic!("no struct {name}"));
    let (body, _) = body.split_once("\n}").expect("a struct ends");
    let mut fields = Fields::new();
    let mut optional = false;
    for line in body.lines().map(str::trim) {
        if line.starts_with("#[serde(") {
            optional = line.contains("skip_serializing_if");
        } else if let Some((field, _)) = line.strip_prefix("pub ").and_then(|l| l.split_once(':')) {
            fields.insert(field.to_owned(), optional);
            optional = false;
        }
    }
    fields
}

/// Each kind with the fields of what its variant holds.
fn in_source() -> BTreeMap<&'static str, Fields> {
    let (_, kinds) = SOURCE.split_once("pub fn kind(").expect("the kinds");
    let (kinds, _) = kinds.split_once("\n    }\n").expect("the kinds end");
    let arms = kinds.lines().filter_map(|line| line.trim().strip_prefix("Self::"));
    arms.filter_map(|arm| {
        let (variant, word) = arm.split_once(" => ").expect("an arm");
        let word = word.trim_matches(['"', ',']);
        let fields = variant.strip_suffix("(_)").map(fields_of).unwrap_or_default();
        (word != "unknown").then_some((word, fields))
    })
    .collect()
}

#[test]
fn the_reference_has_every_event_and_field() {
    let documented: BTreeMap<_, _> =
        documented().into_iter().map(|(kind, (fields, _))| (kind, fields)).collect();
    assert_eq!(documented, in_source());
    assert!(documented["spawned"].len() > 20, "the source was not understood");
    assert!(documented["exited"]["reason"] && !documented["exited"]["code"]);
}

#[test]
fn the_examples_are_lines_of_a_ledger() {
    for (kind, (fields, example)) in documented() {
        let record = cx::ledger::decode(example.as_bytes()).unwrap_or_else(|| panic!("{example}"));
        assert_eq!(record.event.kind(), kind, "{example}");
        assert_eq!(record.version, cx::ledger::VERSION);
        let line: BTreeMap<String, serde_json::Value> = serde_json::from_str(example).unwrap();
        let head = ["v", "t", "ev", "job"];
        for key in line.keys().filter(|key| !head.contains(&key.as_str())) {
            assert!(fields.contains_key(key), "{kind} has {key}, which is not in its table");
        }
        for (field, optional) in &fields {
            assert!(*optional || line.contains_key(field), "{kind} lacks {field}");
        }
    }
}

#[test]
fn nested_objects_are_described() {
    let row = |name: &str| {
        let row = DOC.lines().find(|line| line.starts_with(&format!("| `{name}`? | object")));
        row.unwrap_or_else(|| panic!("no row for {name}"))
    };
    for field in fields_of("Tree").keys() {
        assert!(row("tree").contains(&format!("`{field}`")), "tree: {field}");
    }
    for field in fields_of("TaskOf").keys() {
        assert!(row("task").contains(&format!("`{field}`")), "task: {field}");
    }
    let usage = serde_json::to_value(cx::job::Usage::default()).unwrap();
    for field in usage.as_object().expect("an object").keys() {
        assert!(row("usage").contains(&format!("`{field}`")), "usage: {field}");
    }
}
