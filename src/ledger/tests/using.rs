//! What was used: differences, days, and what stays known when jobs are forgotten.

use super::*;
use crate::job::{Budget, BudgetOf, Usage, Usd};

fn usage(input: u64, output: u64, cents: Option<u64>) -> Usage {
    let cost_usd = cents.map(|cents| Usd::from_micros(cents * 10_000));
    Usage { input, cached: input / 2, output, cost_usd }
}

fn used(usage: Usage) -> Event {
    Event::Used(Used { usage })
}

fn over(usage: Option<Usage>) -> Event {
    Event::Exited(Box::new(Exited { usage, ..exited(Outcome::Succeeded) }))
}

fn of_codex(name: &str) -> Spawned {
    Spawned { backend: BackendName::CODEX, ..spec(name, Mode::Reader) }
}

fn running() -> Event {
    Event::Running(Running { worker: process(7) })
}

fn begun(name: &str) -> Event {
    Event::Spawned(Box::new(of_codex(name)))
}

fn total(state: &State) -> Tally {
    state.book.pages().values().copied().sum()
}

#[test]
fn what_is_said_twice_counts_once() {
    let state = folded([
        (1, begun("a")),
        (1, running()),
        (1, used(usage(100, 10, None))),
        (1, used(usage(300, 20, None))),
        (1, over(Some(usage(400, 50, Some(3))))),
        // Somebody else has seen the end as well.
        (1, over(Some(usage(900, 90, Some(9))))),
    ]);
    let sum = total(&state);
    assert_eq!((sum.jobs, sum.input, sum.cached, sum.output), (1, 400, 200, 50));
    assert_eq!((sum.cost_usd, sum.cost_unknown), (Usd::from_micros(30_000), 0));
}

#[test]
fn what_is_not_known_is_counted_as_that() {
    let state = folded([
        (1, begun("told")),
        (1, running()),
        (1, over(Some(usage(10, 1, Some(5))))),
        (2, begun("without-a-price")),
        (2, running()),
        (2, over(Some(usage(10, 1, None)))),
        (3, begun("killed")),
        (3, running()),
        (3, over(None)),
        (4, begun("killed-later")),
        (4, running()),
        (4, used(usage(50, 0, None))),
        (4, over(None)),
        // It never had a worker, and used nothing.
        (5, begun("never-started")),
        (5, over(None)),
        (6, spawned("shell", Mode::Reader)),
        (6, running()),
        (6, over(None)),
    ]);
    let sum = total(&state);
    assert_eq!((sum.jobs, sum.cost_unknown, sum.tokens_unknown), (5, 2, 1));
    assert_eq!((sum.input, sum.cost_usd), (70, Usd::from_micros(50_000)));
}

#[test]
fn each_day_has_its_part() {
    let mut state = State::new();
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let mut fold = |time: &str, event| {
        state.fold(Record { version: VERSION, at: at(time), job: JobId(1), event });
    };
    fold("2026-11-20T23:00:00Z", begun("a"));
    fold("2026-11-20T23:00:00Z", running());
    fold("2026-11-20T23:59:59Z", used(usage(100, 0, None)));
    fold("2026-11-21T00:00:01Z", over(Some(usage(150, 0, None))));
    let on = |day: &str| state.book.on(day.parse().expect("a day"));
    assert_eq!((on("2026-11-20").input, on("2026-11-20").jobs), (100, 0));
    assert_eq!((on("2026-11-21").input, on("2026-11-21").jobs), (50, 1));
    assert_eq!(on("2026-11-22"), Tally::default());
}

#[test]
fn jobs_that_are_forgotten_have_been_used_all_the_same() {
    let (_dir, store) = store();
    for n in 1..=300 {
        append_all(
            &store,
            [
                (n, begun(&format!("job-{n}"))),
                (n, running()),
                (n, over(Some(usage(n, 1, None)))),
                (n, Event::Collected),
            ],
        );
        if n % 100 == 0 {
            super::snapshots::force(&store);
        }
    }
    let state = store.state().expect("a state");
    assert!(state.jobs.len() < 300, "nothing was forgotten");
    let sum = total(&state);
    assert_eq!((sum.jobs, sum.input, sum.cost_unknown), (300, 300 * 301 / 2, 300));
    assert_eq!(state.book, store.history().expect("a history").book);
    // One by one they are in the ledger itself.
    let jobs = store.usage_of_jobs().expect("they can be read");
    assert_eq!(jobs.iter().map(|job| job.tally).sum::<Tally>(), sum);
    assert_eq!((jobs.len(), jobs[6].name.as_str(), jobs[6].live), (300, "job-7", false));
}

#[test]
fn a_try_that_was_refused_has_been_used_all_the_same() {
    let (_dir, store) = store();
    let fallback = |backend| Fallback {
        backend,
        program: "/bin/true".to_owned(),
        model: None,
        price: None,
        extra_args: Vec::new(),
        env_exclude: Vec::new(),
    };
    let fell = |from, to, usage| {
        let reason = "was refused for a limit".to_owned();
        Event::FellOver(FellOver { from, to, reason, usage, ran_ms: 5 })
    };
    let (codex, claude, http) = (BackendName::CODEX, BackendName::CLAUDE, BackendName::HTTP);
    let spec = Spawned { fallbacks: vec![fallback(claude), fallback(http)], ..of_codex("a") };
    append_all(
        &store,
        [
            (1, Event::Spawned(Box::new(spec))),
            (1, running()),
            (1, used(usage(60, 0, None))),
            (1, fell(codex, claude, Some(usage(100, 10, None)))),
            (1, running()),
            (1, used(usage(40, 0, Some(2)))),
            // What it said before counts where it says nothing in the end.
            (1, fell(claude, http, None)),
            (1, running()),
        ],
    );
    super::snapshots::force(&store);
    append_all(&store, [(1, over(Some(usage(30, 5, Some(1)))))]);
    let state = store.state().expect("a state");
    let of = |backend: &str| {
        let pages = state.book.pages();
        pages.iter().find(|(page, _)| page.backend == backend).map(|(_, tally)| *tally)
    };
    let told = |backend| of(backend).map(|tally| (tally.jobs, tally.input, tally.cost_unknown));
    assert_eq!(told("codex"), Some((0, 100, 1)));
    assert_eq!(told("claude"), Some((0, 40, 0)));
    assert_eq!(told("http"), Some((1, 30, 0)));
    let sum = total(&state);
    assert_eq!((sum.input, sum.output, sum.cost_usd), (170, 15, Usd::from_micros(30_000)));
    assert_eq!(state.book, store.history().expect("a history").book);
    let jobs = store.usage_of_jobs().expect("they can be read");
    assert_eq!(jobs.iter().map(|job| job.tally).sum::<Tally>(), sum);
    assert_eq!((jobs[0].backend.as_str(), jobs[0].live), ("http", false));
}

#[test]
fn budgets_count_what_is_under_way() {
    let budget = |of, tokens| Budget::new(of, Some(tokens), None).expect("a budget");
    let spec = |name: &str, budgets: Vec<Budget>| Spawned {
        run: Some("r".to_owned()),
        budgets,
        ..of_codex(name)
    };
    let run = RunStarted {
        run: "r".to_owned(),
        name: "r".to_owned(),
        source: "-".to_owned(),
        tasks: 2,
        jobs: None,
        max_jobs: None,
        revision: 1,
    };
    let mine = spec("b", vec![budget(BudgetOf::Job, 500), budget(BudgetOf::Run, 1000)]);
    let state = folded([
        (0, Event::RunStarted(run)),
        (1, Event::Spawned(Box::new(spec("a", Vec::new())))),
        (1, running()),
        (1, used(usage(600, 0, None))),
        (2, Event::Spawned(Box::new(mine.clone()))),
        (2, running()),
        (2, used(usage(100, 0, None))),
    ]);
    let now = Timestamp::from_second(9).expect("a time");
    let spent = |own: u64| {
        let own = usage(own, 0, None);
        state.spent(&mine, own, own.since(usage(100, 0, None)), now)
    };
    assert_eq!(spent(399), None);
    let why = spent(400).map(|spent| spent.to_string());
    assert_eq!(why.as_deref(), Some("the budget of its run of 1000 tokens is used up: 1000"));
    let day = Spawned { budgets: vec![budget(BudgetOf::Day, 700)], ..of_codex("c") };
    assert!(state.spent(&day, Usage::default(), Usage::default(), now).is_some());
    let tomorrow = Timestamp::from_second(90_000).expect("a time");
    assert_eq!(state.spent(&day, Usage::default(), Usage::default(), tomorrow), None);
}
