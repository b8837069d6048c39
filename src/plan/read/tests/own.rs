//! cx's own form: all that it can say, and each slip with its line.

use std::time::Duration;

use super::{problem, read, survives_serde, tasks};
use crate::{
    job::{BackendName, Mode},
    plan::Foreach,
};

const OWN: &str = r#"
name = "everything"
description = "All of it"
goal = "x"
max-jobs = 4
timeout = "1h"
fail-fast = true
retries = 2
backend = "codex"
model = "m"
verify = "make check"
merge = true

[vars]
dir = "src"

[args.lenses]
placeholder = "A,B"
help = "what for"
default = ["a", "b"]
min = 1
max = 2
of = { a = "A!", b = "B!" }

[aliases.fast]
agent = "coder"
model = "mini"

[tasks.scout]
agent = "scout"
prompt = "Find {{goal}}"
type = "analysis"
files = ["a", "b"]
tools = "grep"
silence = 90

[tasks.work]
agent = "fast"
write = true
needs = ["scout", "scan"]
answers = ["scan"]
foreach = { answer = "scout", max = 3 }
scope = ["{{item}}"]
base = "main"
prompt = "{{item}}"
when = "scout.succeeded"
retries = 0
timeout = "90s"
max-turns = 7
recall = 3
backend = "sh"
model = "other"

[tasks.scan]
argv = ["grep", "x"]
mode = "reader"
foreach = ["1", "2"]

[tasks.look]
prompt = "p"
foreach = "{{lenses}}"
"#;

#[test]
fn everything_that_the_own_form_can_say() {
    let plan = read(OWN);
    assert_eq!(
        tasks(&plan),
        [
            "29 scout scout <- : Find {{goal}}",
            "37 work fast <- scout,scan: {{item}}",
            "54 scan - <- : ",
            "59 look - <- : p",
        ]
    );
    let [scout, work, scan, look] = plan.tasks.as_slice() else { panic!("four") };
    assert_eq!(
        (scout.retries, scout.model.as_deref(), scout.backend),
        (Some(2), Some("m"), Some(BackendName::CODEX.into()))
    );
    assert_eq!(
        (scout.kind.as_deref(), scout.files.len(), scout.silence),
        (Some("analysis"), 2, Some(Duration::from_secs(90)))
    );
    assert_eq!(
        (work.retries, work.model.as_deref(), work.backend),
        (Some(0), Some("other"), Some(BackendName::SH.into()))
    );
    assert_eq!(
        (work.mode, work.base.as_deref(), work.timeout),
        (Some(Mode::Writer), Some("main"), Some(Duration::from_secs(90)))
    );
    assert_eq!(
        (work.answers.as_slice(), work.scope.as_slice()),
        (["scan".to_owned()].as_slice(), ["{{item}}".to_owned()].as_slice())
    );
    assert_eq!(
        (work.when.as_deref(), work.max_turns.map(u32::from), work.recall.map(u32::from)),
        (Some("scout.succeeded"), Some(7), Some(3))
    );
    assert!(
        matches!(&work.foreach, Some(Foreach::Answer { of, max }) if of == "scout" && max.get() == 3)
    );
    assert_eq!((scan.backend, scan.mode), (Some(BackendName::SH.into()), Some(Mode::Reader)));
    assert_eq!(scan.foreach, Some(Foreach::Values(vec!["1".into(), "2".into()])));
    assert_eq!(look.foreach, Some(Foreach::List("{{lenses}}".into())));
    assert_eq!(
        (plan.name.as_str(), plan.max_jobs.map(u64::from), plan.timeout),
        ("everything", Some(4), Some(Duration::from_hours(1)))
    );
    assert!(plan.fail_fast && plan.merge && plan.verify.as_deref() == Some("make check"));
    assert_eq!(plan.aliases["fast"], serde_json::json!({"agent": "coder", "model": "mini"}));
    assert_eq!(plan.args[0].default.as_deref(), Some("a\nb"));
    assert_eq!(plan.args[0].of[1].meaning, "B!");
    assert_eq!(plan.vars["dir"], "src");
    survives_serde(&plan);

    // The same as a list, in YAML, and the short way.
    let plan = read("tasks:\n- id: a\n  prompt: x\n- prompt: y\n  needs: a\n");
    assert_eq!(tasks(&plan), ["2 a - <- : x", "4  - <- a: y"]);
    let plan = read("[tasks]\na = 'x'\n");
    assert_eq!(tasks(&plan), ["2 a - <- : x"]);
    assert_eq!(read("tasks = []").tasks, []);
}

#[test]
fn a_slip_in_the_own_form_is_an_error_with_its_line() {
    for (text, expected) in [
        ("name = 'x'", "plan:1: there are no 'tasks'"),
        ("tasks = 1", "plan:1: 'tasks' has to be a table or a list, and is a number"),
        (
            "max_jobs = 1\n[tasks]\n",
            "plan:1: a plan has no key 'max_jobs': did you mean 'max-jobs'?",
        ),
        ("[tasks.a]\n\nneed = ['b']", "plan:3: a task has no key 'need': did you mean 'needs'?"),
        (
            "[tasks.a]\nzzz = 1",
            "plan:2: a task has no key 'zzz': there are id, agent, prompt, argv, needs, answers, mode, write, backend, model, scope, base, files, tools, type, when, foreach, retries, timeout, silence, max-turns, max-tokens, max-budget-usd, schema, recall",
        ),
        ("[tasks.a]\nid = 'b'", "plan:2: the task is called 'a' already"),
        ("[tasks]\na = 1", "plan:2: a task has to be a table, and is a number"),
        ("[tasks.a]\nmode = 'both'", "plan:2: 'mode' is 'both': write reader or writer"),
        (
            "[tasks.a]\ntimeout = 'ever'",
            "plan:2: 'timeout' is 'ever', which is not a duration: write 90s, 10m, 1h30m or a number of seconds",
        ),
        (
            "[tasks.a]\nretries = -1",
            "plan:2: 'retries' is -1, and has to be a whole number from 0 on",
        ),
        (
            "retries = true\n[tasks.a]",
            "plan:1: 'retries' has to be a whole number, and is true or false",
        ),
        (
            "[tasks.a]\nforeach = 1",
            "plan:2: 'foreach' has to be a list, a text or a table, and is a number",
        ),
        ("[tasks.a.foreach]\nmax = 1", "plan:1: 'foreach' does not say whose 'answer'"),
        (
            "[tasks.a]\nforeach = {answr = 'b'}",
            "plan:2: 'foreach' has no key 'answr': did you mean 'answer'?",
        ),
        (
            "[vars]\n'1x' = 'y'\n[tasks]",
            "plan:2: '1x' cannot be a name: letters, digits, '_', '.' and '-' only, beginning with a letter",
        ),
        (
            "[args.x]\nhlp = 'y'\n[tasks]",
            "plan:2: an argument has no key 'hlp': did you mean 'help'?",
        ),
        ("vars = 1\n[tasks]", "plan:1: 'vars' has to be a table, and is a number"),
        (
            "verify = 'make'\n[tasks]",
            "plan:1: 'verify' is for what is merged: write 'merge = true' too",
        ),
        ("[tasks.a]\nprompt = ['x']", "plan:2: 'prompt' has to be a text, and is a list"),
        ("[tasks.a]\n[tasks.a]", "plan:2: this is no valid TOML: duplicate key"),
        ("tasks:\n  a:\n    promt: x", "plan:3: a task has no key 'promt': did you mean 'prompt'?"),
    ] {
        assert_eq!(problem(text), expected);
    }
}
