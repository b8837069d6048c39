use std::num::NonZeroU32;

use super::*;
use crate::job::BackendName;

fn task(line: u64, id: &str, needs: &[&str]) -> Task {
    Task {
        id: id.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        prompt: "Do it".to_owned(),
        line,
        ..Task::default()
    }
}

fn look(tasks: Vec<Task>) -> Result<Graph, Vec<Problem>> {
    let agent = |name: &str| match name {
        "coder" => Ok(()),
        name => Err(format!("there is no agent '{name}'")),
    };
    check(&Plan { tasks, ..Plan::default() }, &agent)
}

/// `LINE: CODE: SENTENCE` of each problem.
fn problems(tasks: Vec<Task>) -> Vec<String> {
    let said = |p: &Problem| format!("{}: {}: {}", p.line, p.kind.code(), p.kind);
    look(tasks).expect_err("has problems").iter().map(said).collect()
}

#[test]
fn waves_follow_needs() {
    let graph = look(vec![
        task(1, "d", &["b", "c", "b"]),
        task(2, "a", &[]),
        task(3, "b", &["a"]),
        task(4, "c", &[]),
    ])
    .expect("good");
    assert_eq!(graph.waves, [vec![1, 3], vec![2], vec![0]]);
    assert_eq!(graph.needs[0], [2, 3]);
}

#[test]
fn everything_is_named_at_once_in_the_order_of_the_file() {
    let unknown = Task { alias: Some("nobody".into()), ..task(2, "b", &["aa"]) };
    let again = Task { alias: Some("nobody".into()), ..task(7, "e", &[]) };
    let empty = Task { prompt: " \n".into(), alias: Some("coder".into()), ..task(6, "d", &[]) };
    assert_eq!(
        problems(vec![
            task(1, "a", &[]),
            unknown,
            task(3, "a", &[]),
            task(4, "", &[]),
            task(5, "a b", &[]),
            empty,
            again,
        ]),
        [
            "2: unknown_agent:nobody: there is no agent 'nobody'",
            "2: unknown_dep:aa: 'b' needs 'aa', and there is no such task",
            "3: duplicate_id:a: there are two tasks 'a', the first in line 1",
            "4: missing_task_id: a task has no id",
            "5: bad_task_id:a b: 'a b' cannot be a task's id: it may not contain ' ' there: \
             letters, digits, '.', '_' and '-' only, beginning with a letter or digit",
            "6: empty_prompt:d: 'd' is told nothing: it has no prompt",
        ]
    );
    assert_eq!(problems(vec![]), ["0: empty_plan: the plan has no tasks"]);
    let near = look(vec![task(1, "scout", &[]), task(2, "b", &["scuot"])]).expect_err("near");
    assert_eq!(near[0].kind.hint().as_deref(), Some("did you mean 'scout'?"));
}

#[test]
fn a_cycle_is_named_link_by_link_and_once() {
    assert_eq!(
        problems(vec![
            task(2, "behind", &["a"]),
            task(3, "c", &["a"]),
            task(4, "a", &["b", "free"]),
            task(5, "b", &["c"]),
            task(6, "free", &[]),
            task(7, "self", &["self"]),
            task(8, "after", &["self", "b"]),
        ]),
        [
            "3: cycle_detected: tasks wait for each other: c needs a (line 3), a needs b (line 4), \
             b needs c (line 5)",
            "7: cycle_detected: tasks wait for each other: self needs self (line 7)",
        ]
    );
}

#[test]
fn names_without_a_value_are_found_before_anything_runs() {
    let told = |line, id: &str, needs: &[&str], prompt: &str| Task {
        prompt: prompt.to_owned(),
        ..task(line, id, needs)
    };
    let argv = Task {
        argv: vec!["echo".into(), "{{results.a}} {{bar}}".into()],
        backend: Some(BackendName::SH.into()),
        ..told(6, "argv", &["a"], "")
    };
    let mut each = told(5, "each", &["a"], "{{item}} {{worker_name}} {{goal}}");
    each.foreach = Some(Foreach::Values(vec!["x".into()]));
    each.scope = vec!["{{item}}".into(), "{{dir}}".into()];
    assert_eq!(
        problems(vec![
            told(1, "a", &[], "{{foo}} {{foo}} ${{ secrets.X }}"),
            told(2, "b", &["a"], "{{results.a}} {{item}} {{files}}"),
            told(3, "c", &["b"], "{{results.a}} {{results.each}} {{results.nobody}}"),
            told(4, "d", &[], "{{worker_task}}"),
            each,
            argv,
        ]),
        [
            "1: unset:foo: '{{foo}}' in 'a' has no value",
            "2: unset:item: '{{item}}' in 'b' has no value",
            "2: unset:files: '{{files}}' in 'b' has no value",
            "3: unset:results.each: '{{results.each}}' in 'c' has no value",
            "3: unset:results.nobody: '{{results.nobody}}' in 'c' has no value",
            "4: unset:worker_task: '{{worker_task}}' in 'd' has no value",
            "5: unset:dir: '{{dir}}' in 'each' has no value",
            "5: unset:goal: 'each' asks for the goal, and none was given",
            "6: unset:bar: '{{bar}}' in 'argv' has no value",
        ]
    );
}

#[test]
fn what_cannot_be_together_is_said() {
    let max = NonZeroU32::new(3).expect("some");
    let argv = Task { argv: vec!["make".into()], prompt: String::new(), ..task(1, "a", &[]) };
    let both = Task {
        argv: vec!["make".into()],
        backend: Some(BackendName::SH.into()),
        ..task(2, "b", &[])
    };
    let reader = Task {
        mode: Some(Mode::Reader),
        scope: vec!["src".into()],
        base: Some("main".into()),
        ..task(3, "c", &[])
    };
    let each =
        Task { foreach: Some(Foreach::Answer { of: "a".into(), max }), ..task(4, "d", &["b"]) };
    let when = Task { when: Some("a.failed and b.failed".into()), ..task(5, "e", &["b"]) };
    let bad = Task {
        when: Some("b".into()),
        answers: vec!["c".into(), "b".into()],
        ..task(6, "f", &["e"])
    };
    let none = Task { foreach: Some(Foreach::Values(vec![])), ..task(7, "g", &[]) };
    let clash =
        Task { foreach: Some(Foreach::Answer { of: "e".into(), max }), ..task(8, "h", &["e"]) };
    let ok = Task {
        argv: vec!["make".into()],
        backend: Some(BackendName::SH.into()),
        prompt: String::new(),
        ..task(9, "h-3", &[])
    };
    assert_eq!(
        problems(vec![argv, both, reader, each, when, bad, none, clash, ok]),
        [
            "1: bad_task:a: 'a' has an argv, which only the backend sh takes",
            "2: bad_task:b: 'b' has both a prompt and an argv",
            "3: bad_task:c: 'c' is a reader, and has a scope for what it may write",
            "3: bad_task:c: 'c' is a reader, and has a base, which is for writers",
            "4: bad_task:d: 'd' is repeated over the answer of 'a', which it does not need",
            "5: bad_task:e: 'e' asks in 'when' about 'a', which it does not need",
            "6: bad_task:f: 'f' has a 'when' that is no condition: 'b' is not NEED.succeeded, NEED.failed or NEED.skipped",
            "6: bad_task:f: 'f' is to see the answer of 'c', which it does not need",
            "7: bad_task:g: 'g' is repeated over nothing: 'foreach' has no values",
            "8: duplicate_id:h-3: there are two tasks 'h-3', the first in line 9",
        ]
    );
}
