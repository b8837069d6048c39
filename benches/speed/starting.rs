//! How soon the prompt is back after `cx spawn`, and how long `cx jobs` takes.

use std::{fs, thread, time::Duration};

use crate::{
    Result,
    ground::{Ground, time},
    report::{Row, median, tell},
};

/// Between samples, so that what runs in the background is over.
const PAUSE: Duration = Duration::from_millis(5);

/// `cx spawn` against `nq`, which does nothing but fork and write a file.
pub(crate) fn spawn(quick: bool) -> Result<Vec<Row>> {
    let what = "`cx spawn -b sh true`: until the prompt is back";
    if !crate::has("nq") {
        return Ok(vec![Row::skipped(what, "nq is not installed (apt-get install nq)")]);
    }
    let past = 1_000;
    let grounds = [
        ("no earlier jobs", Ground::new()?),
        ("1,000 earlier jobs, collected", Ground::new()?.with_past(past, true)?),
        ("1,000 earlier jobs, not collected", Ground::new()?.with_past(past, false)?),
    ];
    let beside = Ground::new()?;
    let mut nq = Vec::new();
    let mut cx = vec![Vec::new(); grounds.len()];
    for round in 0..if quick { 30 } else { 200 } {
        // A queue of its own for each: nq looks through what is in the folder.
        let queue = beside.path(&format!("queue-{round}"));
        fs::create_dir(&queue)?;
        nq.push(time(beside.command("nq").arg("true").env("NQDIR", &queue))?);
        beside.command("nq").arg("-w").env("NQDIR", &queue).status()?;
        thread::sleep(PAUSE);
        for ((_, ground), samples) in grounds.iter().zip(&mut cx) {
            samples.push(time(&mut ground.cx(["spawn", "-b", "sh", "true"]))?);
            // Collected at once, so that each past stays what it is called.
            ground.cx(["wait", "%+"]).status()?;
            ground.cx(["collect", "%+"]).status()?;
            thread::sleep(PAUSE);
        }
    }
    tell("nq true", &nq);
    for ((past, _), samples) in grounds.iter().zip(&cx) {
        tell(past, samples);
    }
    let nq = median(&nq);
    Ok(grounds
        .iter()
        .zip(&cx)
        .map(|((past, _), samples)| {
            Row::ratio(&format!("{what}; {past}"), "`nq true`", median(samples) / nq, 2.0)
        })
        .collect())
}

/// `cx jobs` against `true`.
pub(crate) fn jobs(quick: bool) -> Result<Vec<Row>> {
    let past = if quick { 10_000 } else { 100_000 };
    let ground = Ground::new()?.with_past(past, true)?;
    let young = Ground::new()?;
    let mut samples = vec![Vec::new(); 3];
    for _ in 0..if quick { 50 } else { 300 } {
        let commands = [young.command("true"), young.cx(["jobs"]), ground.cx(["jobs"])];
        for (mut command, samples) in commands.into_iter().zip(&mut samples) {
            samples.push(time(&mut command)?);
        }
    }
    for (what, samples) in ["true", "cx jobs, young", "cx jobs, old"].iter().zip(&samples) {
        tell(what, samples);
    }
    let medians: Vec<f64> = samples.iter().map(|samples| median(samples)).collect();
    let [baseline, young, old] = medians.as_slice() else { return Ok(Vec::new()) };
    Ok(vec![
        Row::ratio("`cx jobs`; no earlier jobs", "`true`", young / baseline, 3.0),
        Row::ratio(
            &format!("`cx jobs`; {past} earlier jobs, collected"),
            "`true`",
            old / baseline,
            3.0,
        ),
    ])
}

/// A thousand spawns, 50 at a time, until the last job is over.
///
/// Each sample, of either program, has a fresh repository, and all of them are
/// deleted when the last has been measured: where there is no journal, ext4 does
/// not use an inode again soon after its file was deleted, and whoever makes files
/// then searches long. Nobody but a benchmark deletes a thousand jobs just before
/// the next thousand.
pub(crate) fn thousand(quick: bool) -> Result<Vec<Row>> {
    let what = "1,000 spawns, 50 at a time, until all jobs are over";
    let count = 1_000;
    let compare = crate::has("parallel");
    let (mut cx, mut parallel) = (Vec::new(), Vec::new());
    let mut lost = 0;
    let mut grounds = Vec::new();
    for _ in 0..if quick { 1 } else { 5 } {
        if compare {
            let ground = Ground::new()?;
            let line = format!("seq {count} | parallel -j 50 'true {{}}'");
            // Its notice of how to cite it comes once for each home.
            fs::create_dir_all(ground.path("home/.parallel"))?;
            fs::write(ground.path("home/.parallel/will-cite"), "")?;
            parallel.push(time(ground.command("sh").args(["-c", &line]))?);
            grounds.push(ground);
        }
        let ground = Ground::new()?;
        let program = ground.path("cx").display().to_string();
        let line = format!(
            "seq {count} | xargs -P 50 -I {{}} {program} spawn -b sh 'true {{}}' && {program} wait"
        );
        cx.push(time(ground.command("sh").args(["-c", &line]))?);
        let state = ground.store().history()?;
        let ended = state.jobs.values().filter(|job| job.succeeded()).count();
        lost += count - ended.min(count);
        grounds.push(ground);
    }
    drop(grounds);
    tell("parallel", &parallel);
    tell("cx", &cx);
    let mut rows = vec![Row::figure(
        "1,000 spawns, 50 at a time: jobs lost",
        lost.to_string(),
        "0",
        lost == 0,
    )];
    rows.push(if compare {
        Row::ratio(what, "`parallel -j 50`", median(&cx) / median(&parallel), 0.5)
    } else {
        Row::skipped(what, "GNU parallel is not installed (apt-get install parallel)")
    });
    Ok(rows)
}
