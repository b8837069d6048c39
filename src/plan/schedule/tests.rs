use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

fn task(id: &str, needs: &[&str]) -> Task {
    Task {
        id: id.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        ..Task::default()
    }
}

fn schedule(tasks: Vec<Task>) -> Schedule {
    Schedule::new(&Plan { tasks, ..Plan::default() })
}

fn ids(schedule: &Schedule, tasks: &[TaskIx]) -> Vec<String> {
    tasks.iter().map(|task| schedule.task(*task).id.clone()).collect()
}

fn ready(schedule: &Schedule) -> Vec<String> {
    ids(schedule, &schedule.ready())
}

fn end(schedule: &mut Schedule, id: &str, end: End) -> Step {
    let task = schedule.find(id).expect("known");
    schedule.start(task);
    schedule.on_end(task, end)
}

fn succeed(schedule: &mut Schedule, id: &str, answer: &str) -> Step {
    end(schedule, id, End::Succeeded { answer: answer.to_owned() })
}

fn state(schedule: &Schedule, id: &str) -> State {
    schedule.state(schedule.find(id).expect("known")).clone()
}

#[test]
fn what_has_its_needs_is_ready_in_the_order_of_the_file() {
    let mut plan = schedule(vec![
        task("d", &["b", "c"]),
        task("b", &["a"]),
        task("a", &[]),
        task("c", &["a"]),
        task("alone", &[]),
    ]);
    assert_eq!(ready(&plan), ["a", "alone"]);
    let step = succeed(&mut plan, "a", "");
    assert_eq!(ids(&plan, &step.ready), ["b", "c"]);
    assert_eq!(ready(&plan), ["b", "c", "alone"]);
    let d = plan.find("d").expect("known");
    assert_eq!(ids(&plan, &plan.waits_for(d)), ["b", "c"]);
    assert_eq!(succeed(&mut plan, "c", ""), Step::default());
    let step = succeed(&mut plan, "b", "");
    assert_eq!(ids(&plan, &step.ready), ["d"]);
    succeed(&mut plan, "d", "");
    assert!(!plan.is_done());
    succeed(&mut plan, "alone", "");
    assert!(plan.is_done());
}

#[test]
fn a_failed_need_skips_its_dependants_by_name_and_at_once() {
    let mut plan = schedule(vec![
        task("a", &[]),
        task("slow", &[]),
        task("b", &["a", "slow"]),
        task("c", &["b"]),
        task("other", &["slow"]),
    ]);
    let step = end(&mut plan, "a", End::Failed);
    assert_eq!(ids(&plan, &step.skipped), ["b", "c"]);
    assert_eq!(state(&plan, "b"), State::Skipped("needs 'a', which failed".into()));
    assert_eq!(state(&plan, "c"), State::Skipped("needs 'b', which was skipped".into()));
    let step = succeed(&mut plan, "slow", "");
    assert_eq!(ids(&plan, &step.ready), ["other"]);
    // What is over, or was never ready, cannot end again.
    assert_eq!(end(&mut plan, "a", End::Succeeded { answer: String::new() }), Step::default());
    assert_eq!(end(&mut plan, "b", End::Failed), Step::default());
    assert_eq!(state(&plan, "a"), State::Failed(None));
}

#[test]
fn a_condition_decides_about_the_needs_it_names() {
    let tasks = || {
        let when = |mut task: Task, when: &str| {
            task.when = Some(when.to_owned());
            task
        };
        vec![
            task("check", &[]),
            task("other", &[]),
            when(task("fix", &["check"]), "'FAIL' in check or check.failed"),
            when(task("mend", &["check", "other"]), "check.failed"),
            task("after", &["fix"]),
        ]
    };
    let mut plan = schedule(tasks());
    let step = end(&mut plan, "check", End::Failed);
    assert_eq!(ids(&plan, &step.ready), ["fix"]);
    // `other` is not named, and so its failure counts.
    let step = end(&mut plan, "other", End::Failed);
    assert_eq!(ids(&plan, &step.skipped), ["mend"]);

    let mut plan = schedule(tasks());
    let step = succeed(&mut plan, "check", "1 FAIL");
    assert_eq!(ids(&plan, &step.ready), ["fix"]);

    let mut plan = schedule(tasks());
    let step = succeed(&mut plan, "check", "all well");
    assert_eq!(ids(&plan, &step.skipped), ["fix"]);
    let why = "what its 'when' says does not hold: 'FAIL' in check or check.failed";
    assert_eq!(state(&plan, "fix"), State::PassedOver(why.into()));
    // Passed over is no failure.
    assert_eq!(ids(&plan, &step.ready), ["after"]);
}

#[test]
fn values_make_members_and_who_needs_them_needs_all() {
    let each = Task {
        foreach: Some(Foreach::Values(vec!["x".into(), "{{y}}".into()])),
        ..task("each", &["a"])
    };
    let mut plan = schedule(vec![task("end", &["each"]), each, task("a", &[]), task("z", &["a"])]);
    let step = succeed(&mut plan, "a", "");
    assert_eq!(ids(&plan, &step.ready), ["each-1", "each-2", "z"]);
    assert_eq!(ids(&plan, &step.grown), ["each"]);
    let member = plan.find("each-2").expect("known");
    assert_eq!(plan.item(member), Some("{{y}}"));
    assert_eq!(plan.task(member).foreach, None);
    assert_eq!(ids(&plan, plan.needs(member)), ["a"]);
    assert_eq!(succeed(&mut plan, "each-2", ""), Step::default());
    let step = succeed(&mut plan, "each-1", "");
    assert_eq!(
        (ids(&plan, &step.ended), ids(&plan, &step.ready)),
        (vec!["each".into()], vec!["end".into()])
    );
    let all: Vec<_> = plan.tasks().collect();
    assert_eq!(ids(&plan, &all), ["end", "each-1", "each-2", "a", "z"]);
}

fn over(of: &str, max: u32) -> Foreach {
    Foreach::Answer { of: of.to_owned(), max: NonZeroU32::new(max).expect("some") }
}

#[test]
fn an_answer_makes_members_once_it_is_there() {
    let each = Task { foreach: Some(over("list", 3)), ..task("each", &["list"]) };
    let plan = || schedule(vec![task("list", &[]), each.clone(), task("end", &["each"])]);

    let mut two = plan();
    let step = succeed(&mut two, "list", "Here:\n```json\n[\"a b\", {\"n\": 1}]\n```\n");
    assert_eq!(ids(&two, &step.ready), ["each-1", "each-2"]);
    let items: Vec<_> = step.ready.iter().map(|task| two.item(*task)).collect();
    assert_eq!(items, [Some("a b"), Some("{\"n\":1}")]);
    end(&mut two, "each-1", End::Failed);
    let step = succeed(&mut two, "each-2", "");
    assert_eq!(state(&two, "each"), State::Failed(Some("1 of 2 failed".into())));
    assert_eq!(ids(&two, &step.skipped), ["end"]);
    assert!(two.is_done());

    let mut many = plan();
    let step = succeed(&mut many, "list", "1. a\n2. b\n- c\n* d\n");
    assert_eq!(ids(&many, &step.ended), ["each"]);
    let why = "the answer of 'list' has 4 items, and its 'max' allows 3";
    assert_eq!(state(&many, "each"), State::Failed(Some(why.into())));
    assert_eq!(ids(&many, &step.skipped), ["end"]);

    let mut none = plan();
    let step = succeed(&mut none, "list", "[]");
    assert_eq!(state(&none, "each"), State::PassedOver("there is nothing to do it for".into()));
    assert_eq!(ids(&none, &step.ready), ["end"]);

    let mut failed = plan();
    let step = end(&mut failed, "list", End::Failed);
    assert_eq!(ids(&failed, &step.skipped), ["each", "end"]);
}

#[test]
fn scopes_and_files_are_filled_in_once() {
    let work = Task {
        scope: vec!["{{item}}".into(), "{{dir}}/x".into()],
        files: vec!["{{dir}}/{{item}}".into()],
        foreach: Some(Foreach::Values(vec!["{{dir}}".into()])),
        ..task("work", &[])
    };
    let alone = Task { scope: vec!["{{dir}}".into(), "{{a | b}}".into()], ..task("alone", &[]) };
    let vars = [("dir".to_owned(), "src".to_owned())].into();
    let plan = Schedule::new(&Plan { tasks: vec![work, alone], vars, ..Plan::default() });
    let member = plan.task(plan.find("work-1").expect("known"));
    assert_eq!(member.scope, ["{{dir}}", "src/x"]);
    assert_eq!(member.files, ["src/{{dir}}"]);
    assert_eq!(plan.task(plan.find("alone").expect("known")).scope, ["src", "{{a | b}}"]);
}

#[test]
fn items_are_those_of_an_array_or_lines() {
    for (answer, expected) in [
        ("", &[][..]),
        ("[\"a\"]", &["a"]),
        ("a\n\n b \n", &["a", "b"]),
        ("- a\n* b\n1. c\n12) d\n1.5 e", &["a", "b", "c", "d", "1.5 e"]),
        ("see [1] and [2]", &["see [1] and [2]"]),
        ("]x[", &["]x["]),
        ("```\na\n```", &["a"]),
    ] {
        assert_eq!(items::items(answer), expected, "{answer}");
    }
}

#[test]
fn groups_over_groups_take_all_answers_in_their_order() {
    let lists =
        Task { foreach: Some(Foreach::Values(vec!["x".into(), "y".into()])), ..task("lists", &[]) };
    let each = Task { foreach: Some(over("lists", 9)), ..task("each", &["lists"]) };
    let mut plan = schedule(vec![lists, each]);
    assert_eq!(ready(&plan), ["lists-1", "lists-2"]);
    succeed(&mut plan, "lists-2", "[\"c\"]");
    let step = succeed(&mut plan, "lists-1", "[\"a\",\"b\"]");
    let items: Vec<_> = step.ready.iter().filter_map(|task| plan.item(*task)).collect();
    assert_eq!(items, ["a", "b", "c"]);
}

#[test]
fn a_stop_skips_what_was_not_started() {
    let each = Task { foreach: Some(over("b", 9)), ..task("each", &["b"]) };
    let cleanup = Task { when: Some("a.failed or a.skipped".into()), ..task("cleanup", &["a"]) };
    let mut plan = schedule(vec![task("a", &[]), task("b", &[]), cleanup, each, task("c", &["a"])]);
    plan.start(plan.find("b").expect("known"));
    let step = plan.stop("the run was stopped");
    assert_eq!(ids(&plan, &step.skipped), ["a", "cleanup", "each", "c"]);
    assert_eq!(step.ready, []);
    assert_eq!(state(&plan, "c"), State::Skipped("the run was stopped".into()));
    assert!(!plan.is_done());
    assert_eq!(succeed(&mut plan, "b", "[\"x\"]"), Step::default());
    assert!(plan.is_done());
    assert_eq!(ready(&plan), [] as [&str; 0]);
}

#[test]
fn a_chain_of_thousands_falls_without_recursion() {
    let mut tasks = vec![task("t0", &[])];
    for n in 1..20_000 {
        tasks.push(task(&format!("t{n}"), &[&format!("t{}", n - 1)]));
    }
    let mut plan = schedule(tasks);
    assert_eq!(end(&mut plan, "t0", End::Failed).skipped.len(), 19_999);
    assert!(plan.is_done());
}

/// A plan without cycles: each task needs some of those before it.
fn plans() -> impl Strategy<Value = Vec<Task>> {
    let one = (
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        0_u8..8,
        any::<prop::sample::Index>(),
    );
    prop::collection::vec(one, 1..14).prop_map(|all| {
        let name = |at: usize| format!("t{at}");
        let mut tasks: Vec<Task> = Vec::new();
        for (at, (needs, kind, which)) in all.into_iter().enumerate() {
            let mut one = task(&name(at), &[]);
            if at > 0 {
                one.needs = needs.iter().map(|index| name(index.index(at))).collect();
            }
            if !one.needs.is_empty() {
                let need = one.needs[which.index(one.needs.len())].clone();
                match kind {
                    0 => one.when = Some(format!("{need}.succeeded")),
                    1 => one.when = Some(format!("{need}.failed or 'a' in {need}")),
                    2 => one.foreach = Some(over(&need, 2)),
                    _ => {}
                }
            }
            if kind == 3 {
                one.foreach = Some(Foreach::Values(vec!["v".into(), "w".into()]));
            }
            tasks.push(one);
        }
        tasks.reverse();
        tasks
    })
}

proptest! {
    #[test]
    fn nothing_runs_before_its_needs_and_everything_ends_once(
        tasks in plans(),
        turns in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..5), 200),
        stop_at in 0_usize..60,
    ) {
        let mut schedule = schedule(tasks);
        let mut running: Vec<TaskIx> = Vec::new();
        let mut over: BTreeSet<TaskIx> =
            (0..schedule.nodes.len()).map(TaskIx).filter(|t| schedule.state(*t).is_ended()).collect();
        for (turn, (index, kind)) in turns.into_iter().enumerate() {
            for task in schedule.ready() {
                for need in schedule.needs(task) {
                    prop_assert!(schedule.state(*need).is_ended());
                }
                if running.len() < 3 {
                    schedule.start(task);
                    running.push(task);
                }
            }
            if running.is_empty() {
                break;
            }
            let step = if turn == stop_at {
                schedule.stop("enough")
            } else {
                let task = running.remove(index.index(running.len()));
                prop_assert!(over.insert(task), "ended twice");
                let answer = ["", "[\"a\"]", "a\nb", "a\nb\nc"][usize::from(kind.min(3))].to_owned();
                schedule.on_end(task, if kind == 4 { End::Failed } else { End::Succeeded { answer } })
            };
            for task in step.skipped.iter().chain(&step.ended) {
                prop_assert!(over.insert(*task), "ended twice");
                prop_assert!(schedule.state(*task).is_ended());
            }
            for task in &step.ready {
                prop_assert_eq!(schedule.state(*task), &State::Ready);
            }
        }
        prop_assert!(schedule.is_done());
        prop_assert_eq!(over.len(), schedule.nodes.len());
        prop_assert!(schedule.ready().is_empty());
        for task in schedule.tasks() {
            // Whoever failed or was skipped took along whoever did not ask for it.
            if *schedule.state(task) == State::Succeeded && schedule.group(task).is_none() {
                let node = &schedule.nodes[task.0];
                prop_assert!(node.needs.iter().all(|need| schedule.hindrance(node, *need).is_none()));
            }
        }
    }
}
