//! What many jobs cost: a million events in the ledger, a thousand jobs at once.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    ground::{Ground, make_gate, open_gate, succeed, time, until},
    report::{Row, median, tell},
    waiting::share,
};

/// Events of each job of the past.
const EVENTS: u64 = 5;

/// A ledger of so many events, as it is once jobs have ended in it: with a
/// snapshot, and packed.
fn grown(events: u64) -> Result<Ground> {
    let ground = Ground::new()?.with_past(events / EVENTS, true)?;
    for _ in 0..4 {
        ground.quiet_cx(["spawn", "-b", "sh", "true"])?;
        ground.quiet_cx(["wait"])?;
        ground.quiet_cx(["collect"])?;
        ground.store().refresh_snapshot();
        thread::sleep(Duration::from_millis(200));
    }
    Ok(ground)
}

/// The state of a repository, from where the programs run.
const STATE: &str = ".git/cx";

/// What is asked every day, of a ledger of a million events against one of ten
/// thousand.
pub(crate) fn million(quick: bool) -> Result<Vec<Row>> {
    let (few, many) = (10_000, if quick { 100_000 } else { 1_000_000 });
    let grounds = [grown(few)?, grown(many)?];
    let old = format!("job-{}", few / EVENTS / 2);
    let asked: [(&str, &[&str], f64); 8] = [
        ("cx jobs", &["jobs"], 1.3),
        ("cx spawn", &["spawn", "-b", "sh", "true"], 1.3),
        ("cx wait, the last job", &["wait", "%+"], 1.3),
        ("cx wait, a job of long ago, by its number", &["wait", "7"], 1.3),
        ("cx show, a job of long ago, by its name", &["show", &old], 3.0),
        ("cx collect, nothing to collect", &["collect"], 1.3),
        ("the line for prompts", &["__segment", STATE], 1.3),
        ("cx events, of the last second", &["events", "--since", "1s"], 3.0),
    ];
    let mut samples = vec![[const { Vec::new() }; 2]; asked.len()];
    let mut nothing = Vec::new();
    for _ in 0..if quick { 30 } else { 200 } {
        nothing.push(time(grounds[0].command("true").stdin(std::process::Stdio::null()))?);
        for ((_, words, _), samples) in asked.iter().zip(&mut samples) {
            for (ground, samples) in grounds.iter().zip(samples) {
                let begin = Instant::now();
                ground.cx(*words).status()?;
                samples.push(begin.elapsed());
                if words[0] == "spawn" {
                    ground.cx(["wait", "%+"]).status()?;
                    ground.cx(["collect", "%+"]).status()?;
                }
            }
        }
    }
    let nothing_took = median(&nothing);
    tell("true", &nothing);
    let mut rows = Vec::new();
    for ((what, _, most), [few, many]) in asked.iter().zip(&samples) {
        tell(&format!("{what}, 10,000 events"), few);
        tell(&format!("{what}, {} events", ground_events(quick)), many);
        let name = format!("`{what}`; {} events", ground_events(quick));
        rows.push(Row::ratio(&name, "10,000 events", median(many) / median(few), *most));
        if *what == "cx jobs" {
            rows.push(Row::ratio(&name, "`true`", median(many) / nothing_took, 3.0));
        }
    }
    Ok(rows)
}

fn ground_events(quick: bool) -> &'static str {
    if quick { "100,000" } else { "1,000,000" }
}

/// A thousand jobs at once whose workers sleep.
pub(crate) fn live(quick: bool) -> Result<Vec<Row>> {
    let count: usize = if quick { 200 } else { 1_000 };
    let ground = Ground::new()?;
    let begin = Instant::now();
    let program = ground.path("cx").display().to_string();
    let line = format!("seq {count} | xargs -P 8 -I {{}} {program} spawn -b sh -- sleep 3600");
    succeed(ground.command("sh").args(["-c", &line]))?;
    crate::tell(format_args!("  {:.2} s: {count} spawns", begin.elapsed().as_secs_f64()));
    let result = alive(&ground, count);
    let begin = Instant::now();
    // Whatever came of it, nothing stays behind.
    ground.cx(["kill", "--all"]).status()?;
    let killed = begin.elapsed();
    let state = ground.store().state()?;
    let left = state.jobs.values().filter(|job| job.is_live()).count();
    let mut rows = result?;
    let begin = Instant::now();
    ground.cx(["collect"]).status()?;
    let collected = begin.elapsed();
    let seconds = |took: Duration| format!("{:.2} s", took.as_secs_f64());
    let what = format!("{count} live jobs: ");
    rows.push(Row::figure(
        &format!("{what}`cx kill --all`"),
        seconds(killed),
        "10 s",
        killed.as_secs() < 10 && left == 0,
    ));
    rows.push(Row::figure(
        &format!("{what}`cx collect` of all"),
        seconds(collected),
        "1 s",
        collected.as_millis() < 1000,
    ));
    Ok(rows)
}

fn alive(ground: &Ground, count: usize) -> Result<Vec<Row>> {
    let supervisors = ground.running(count)?;
    thread::sleep(Duration::from_millis(500));
    let shares = supervisors.iter().map(|pid| share(*pid)).collect::<Result<Vec<u64>>>()?;
    let mean = shares.iter().sum::<u64>() / (count as u64);
    let took = |words: &[&str]| -> Result<f64> {
        let mut samples = Vec::new();
        for _ in 0..9 {
            let begin = Instant::now();
            ground.cx(words).status()?;
            samples.push(begin.elapsed());
        }
        tell(&words.join(" "), &samples);
        Ok(median(&samples) * 1e3)
    };
    let jobs = took(&["jobs"])?;
    let wait = took(&["wait", "--timeout", "1ms"])?;
    let what = format!("{count} live jobs: ");
    let figure = |name: &str, ms: f64, most: f64| {
        let target = format!("{most} ms");
        Row::figure(&format!("{what}{name}"), format!("{ms:.1} ms"), &target, ms <= most)
    };
    Ok(vec![
        Row::figure(
            &format!("{what}PSS of a supervisor, mean"),
            format!("{mean} KB"),
            "105 KB",
            mean <= 105,
        ),
        figure("`cx jobs`", jobs, 100.0),
        figure("`cx wait --timeout 1ms`, of all", wait, 200.0),
    ])
}

/// What a sleeping job costs under task-spooler: the memory of all its processes, but
/// for the job's own, for each job; KB.
pub(crate) fn spooler(ground: &Ground, count: usize) -> Result<u64> {
    let socket = ground.path("spooler");
    let gate = ground.path("spooler-gate");
    make_gate(&gate)?;
    let tsp = |args: &[&str]| -> Command {
        let mut command = ground.command("tsp");
        command.args(args).env("TS_SOCKET", &socket).env("TMPDIR", ground.path("home"));
        command
    };
    succeed(&mut tsp(&["-S", &count.to_string()]))?;
    for _ in 0..count {
        succeed(tsp(&["-n", "sh", "-c", "read -r _ < \"$0\""]).arg(&gate))?;
    }
    let mine = || spoolers(&socket);
    let result = until("task-spoolers", || mine().len() > count).and_then(|()| {
        thread::sleep(Duration::from_millis(300));
        let shares = mine().iter().map(|pid| share(*pid)).collect::<Result<Vec<u64>>>()?;
        Ok(shares.iter().sum::<u64>() / (count as u64))
    });
    drop(open_gate(&gate)?);
    until("task-spoolers that are gone", || mine().len() <= 1)?;
    succeed(&mut tsp(&["-K"]))?;
    result
}

/// The processes of the task-spooler with this socket.
fn spoolers(socket: &Path) -> Vec<i32> {
    let mark = format!("TS_SOCKET={}", socket.display());
    let is_one = |pid: &i32| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        read("comm") == b"tsp\n" && read("environ").split(|b| *b == 0).any(|v| v == mark.as_bytes())
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_one).collect()
}
