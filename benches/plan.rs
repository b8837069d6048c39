//! What it costs to read and check a plan, and to say what of it can run.
//!
//! `cargo bench --bench plan [TASKS]`. The bound is 50 ms for reading and checking
//! a plan of a thousand tasks.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cx::plan::{End, Plan, Schedule, check};

const ROUNDS: usize = 9;

fn main() {
    let tasks = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(1_000);
    for (name, text) in [
        ("plan.toml", own(tasks)),
        ("plan.yaml", workers(tasks)),
        ("map.json", task_map(tasks)),
        ("phases.json", phases(tasks)),
    ] {
        let (mut reading, mut checking, mut running) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let plan = Plan::read(text.as_bytes(), name).unwrap();
            reading.push(begun.elapsed());
            let begun = Instant::now();
            check(&plan, &|_| Ok(())).unwrap();
            checking.push(begun.elapsed());
            let begun = Instant::now();
            let mut schedule = Schedule::new(&plan);
            let mut ready = schedule.ready();
            while let Some(task) = ready.pop() {
                schedule.start(task);
                let answer = String::new();
                ready.extend(schedule.on_end(task, End::Succeeded { answer }).ready);
            }
            assert!(schedule.is_done());
            running.push(begun.elapsed());
        }
        println!(
            "{name:<12} {tasks} tasks, {:>4} KiB: read {:>8.2?}, check {:>8.2?}, schedule {:>8.2?}",
            text.len() / 1024,
            median(reading),
            median(checking),
            median(running),
        );
    }
}

/// Each task needs up to three of those before it, and names one of their answers.
fn own(tasks: usize) -> String {
    let mut text = String::new();
    for at in 0..tasks {
        let needs: Vec<String> = (1..=3)
            .filter(|back| at >= back * 7)
            .map(|back| format!("\"t{}\"", at - back * 7))
            .collect();
        let seen = if at >= 7 { format!("{{{{results.t{}}}}}", at - 7) } else { String::new() };
        writeln!(
            text,
            "[tasks.t{at}]\nagent = \"coder\"\nneeds = [{}]\nprompt = \"\"\"\nDo part {at} of it.\n{seen}\"\"\"\n",
            needs.join(", ")
        )
        .unwrap();
    }
    text
}

fn workers(tasks: usize) -> String {
    let mut text = "workers:\n".to_owned();
    for at in 0..tasks {
        let needs = if at == 0 { String::new() } else { format!("w{}", (at - 1) / 2) };
        writeln!(
            text,
            "  - {{ id: w{at}, role: coder, prompt: 'Do part {at}', dependsOn: [{needs}] }}"
        )
        .unwrap();
    }
    text
}

fn task_map(tasks: usize) -> String {
    let list: Vec<String> =
        (0..tasks).map(|at| format!("    \"Review src/file{at}.ts\"")).collect();
    format!("{{\n  \"reviewer\": [\n{}\n  ]\n}}\n", list.join(",\n"))
}

/// Every task of a phase needs all of the one before: the most needs there can be.
fn phases(tasks: usize) -> String {
    let each = tasks / 10;
    let phase = |number: usize| {
        let list: Vec<String> = (0..each).map(|at| format!("\"Part {at}\"")).collect();
        format!("{{\"name\": \"{number}\", \"tasks\": {{\"coder\": [{}]}}}}", list.join(","))
    };
    let all: Vec<String> = (0..10).map(phase).collect();
    format!("{{\"phases\": [{}]}}", all.join(",\n"))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
