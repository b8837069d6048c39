//! How soon `cx wait` is back, and what waiting costs.

use std::{
    fs,
    path::Path,
    process::Child,
    thread,
    time::{Duration, SystemTime},
};

use crate::{
    Result,
    ground::{Ground, make_gate, open_gate, succeed, until},
    report::{Row, median, tell},
};

/// Until everybody who is to sleep does.
const SETTLE: Duration = Duration::from_millis(15);

/// What the measured worker does: sleeps at the gate, and says when it left.
pub(crate) fn worker(gate: &Path) -> Result<()> {
    fs::read(gate)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    crate::say(format_args!("{}", now.as_nanos()));
    Ok(())
}

/// From the worker's last act until nobody waits any more.
fn latency(waiter: &mut Child, gate: &Path, said: &Path) -> Result<Duration> {
    let open = open_gate(gate)?;
    thread::sleep(SETTLE);
    drop(open);
    let status = waiter.wait()?;
    let gone = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    if !status.success() {
        return Err(format!("a waiter failed ({status})").into());
    }
    let left: u64 = fs::read_to_string(said)?.trim().parse()?;
    Ok(gone.saturating_sub(Duration::from_nanos(left)))
}

/// Returns once `pid` sleeps on a file lock.
fn until_waiting(pid: u32) -> Result<()> {
    let pid = format!(" {pid} ");
    until("a waiter that sleeps", || {
        fs::read_to_string("/proc/locks")
            .is_ok_and(|locks| locks.lines().any(|l| l.contains("-> FLOCK") && l.contains(&pid)))
    })
}

/// `cx wait` against a shell that runs the same worker in the foreground.
pub(crate) fn wait(quick: bool) -> Result<Vec<Row>> {
    let ground = Ground::new()?;
    let myself = std::env::current_exe()?;
    let (gate, said) = (ground.path("gate"), ground.path("said"));
    make_gate(&gate)?;
    let (mut shell, mut cx) = (Vec::new(), Vec::new());
    for number in 1..=if quick { 30 } else { 200 } {
        // Two commands, so that the shell stays and waits.
        let mut waiter = ground.command("sh");
        waiter.args(["-c", "\"$0\" --worker \"$1\" >\"$2\"; exit $?"]);
        let mut waiter = waiter.arg(&myself).arg(&gate).arg(&said).spawn()?;
        shell.push(latency(&mut waiter, &gate, &said)?);

        let mut spawn = ground.cx(["spawn", "-b", "sh", "--"]);
        succeed(spawn.arg(&myself).arg("--worker").arg(&gate))?;
        let mut waiter = ground.cx(["wait", "%+"]).spawn()?;
        until_waiting(waiter.id())?;
        let said = ground.store().job(cx::job::JobId(number)).stdout();
        cx.push(latency(&mut waiter, &gate, &said)?);
    }
    tell("sh -c", &shell);
    tell("cx wait", &cx);
    let (shell, cx) = (median(&shell), median(&cx));
    Ok(vec![
        Row::ratio("`cx wait`: worker ended until the waiter is gone", "`sh -c`", cx / shell, 1.5),
        Row::figure(
            "`cx wait`: the same, absolute",
            format!("{:.2} ms", cx * 1e3),
            "2 ms",
            cx < 0.002,
        ),
    ])
}

/// What a waiter uses while it waits, and supervisors of sleeping workers too.
pub(crate) fn sleeping(quick: bool) -> Result<Vec<Row>> {
    let ground = Ground::new()?;
    let count = 200;
    for _ in 0..count {
        succeed(&mut ground.cx(["spawn", "-b", "sh", "--", "sleep", "3600"]))?;
    }
    let result = asleep(&ground, count, if quick { 1 } else { 10 });
    // Whatever came of it, nothing stays behind.
    ground.cx(["kill", "--all"]).status()?;
    ground.cx(["wait"]).status()?;
    let (mut rows, mean) = result?;
    let what = "supervisor of a sleeping worker: PSS, mean of 200 at once";
    rows.push(if crate::has("tsp") {
        let other = crate::many::spooler(&ground, count)?;
        crate::tell(format_args!("  {mean} KB, and {other} KB of task-spooler"));
        #[expect(clippy::cast_precision_loss, reason = "kilobytes")]
        Row::ratio(what, "`tsp`", mean as f64 / other as f64, 1.0)
    } else {
        Row::skipped(what, "tsp is not installed (apt-get install task-spooler)")
    });
    Ok(rows)
}

fn asleep(ground: &Ground, count: usize, seconds: u64) -> Result<(Vec<Row>, u64)> {
    let supervisors = ground.running(count)?;
    thread::sleep(SETTLE);
    let mut waiter = ground.cx(["wait"]).spawn()?;
    until_waiting(waiter.id())?;
    let waiter_id = i32::try_from(waiter.id())?;
    let all = || supervisors.iter().chain([&waiter_id]);
    let before = all().map(|pid| used(*pid)).sum::<Result<u64>>()?;
    thread::sleep(Duration::from_secs(seconds));
    let after = all().map(|pid| used(*pid)).sum::<Result<u64>>()?;
    let shares = supervisors.iter().map(|pid| share(*pid)).collect::<Result<Vec<u64>>>()?;
    let mean = shares.iter().sum::<u64>() / u64::try_from(shares.len().max(1))?;
    waiter.kill()?;
    waiter.wait()?;
    let rows = vec![
        Row::figure(
            "`cx wait` and 200 supervisors: CPU used while they sleep",
            format!("{} ns in {seconds} s", after - before),
            "0",
            after == before,
        ),
        Row::figure(
            "supervisor of a sleeping worker: PSS, mean of 200 at once",
            format!("{mean} KB"),
            "250 KB",
            mean <= 250,
        ),
    ];
    Ok((rows, mean))
}

/// Nanoseconds that a process has been on a processor.
fn used(pid: i32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    Ok(text.split_whitespace().next().unwrap_or_default().parse()?)
}

/// Proportional memory, KB.
pub(crate) fn share(pid: i32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("smaps_rollup has no Pss")?.parse()?)
}
