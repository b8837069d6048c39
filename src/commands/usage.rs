//! `cx usage`

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;

use super::session::{Session, store};
use crate::{
    failure::{Exit, Failure},
    job::{JobId, parse_duration},
    ledger::{JobUse, Page, Tally, day_of},
    ui::{self, Align, Table},
};

/// Show what jobs have used: tokens and cost
///
/// Cost is what the programs tell, or else what the configuration's prices make of
/// the tokens; where there is neither it is unknown, and a sum with unknowns says so.
/// Days are those of UTC.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct UsageArgs {
    /// A line for each of these
    #[arg(long, value_enum, default_value = "day")]
    by: By,

    /// What was used since: today, 7d, 12h, 2026-11-20
    #[arg(long, value_name = "D", value_parser = since)]
    since: Option<Timestamp>,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  cx usage                        # by day
  cx usage --by run --since 7d
  cx usage --by job --json | jq '.rows[] | [.name, .cost_usd]'";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum By {
    /// Each job that had a worker
    Job,
    /// Each run, and what belongs to none
    Run,
    /// Each agent
    Agent,
    /// Each backend
    Backend,
    /// Each day, of UTC
    Day,
}

/// Where a look back begins. Reads as the end of a sentence where it fails.
pub(super) fn since(word: &str) -> Result<Timestamp, String> {
    let midnight = |day: Date| day.to_zoned(TimeZone::UTC).map(|at| at.timestamp());
    let wrong = "is neither a day nor a duration: write today, 7d, 12h or 2026-11-20";
    let now = Timestamp::now();
    if word == "today" {
        return midnight(day_of(now)).map_err(|e| e.to_string());
    }
    if let Ok(day) = word.parse::<Date>() {
        return midnight(day).map_err(|e| e.to_string());
    }
    let days = word.strip_suffix('d').and_then(|days| days.parse::<i64>().ok());
    let back = match days {
        Some(days) if days > 0 => days.checked_mul(24).and_then(SignedDuration::try_from_hours),
        Some(_) => None,
        None => parse_duration(word).ok().and_then(|back| SignedDuration::try_from(back).ok()),
    };
    back.and_then(|back| now.checked_sub(back).ok()).ok_or_else(|| wrong.to_owned())
}

/// A line of the table.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    key: BTreeMap<&'static str, serde_json::Value>,
    #[serde(flatten)]
    sum: Sum,
    /// For people.
    #[serde(skip)]
    label: String,
}

/// A sum, and what is missing from it.
#[derive(Clone, Copy, Debug, Serialize)]
struct Sum {
    jobs: u64,
    input: u64,
    cached: u64,
    output: u64,
    /// None where the cost of no job is known.
    cost_usd: Option<crate::job::Usd>,
    /// Jobs whose cost is not known.
    cost_unknown: u64,
    /// Jobs of which not even the tokens are known.
    tokens_unknown: u64,
}

impl From<Tally> for Sum {
    fn from(tally: Tally) -> Self {
        // One that several backends worked at is unknown in the sum of each.
        let cost_unknown = tally.cost_unknown.min(tally.jobs.max(1));
        let unknown = cost_unknown + tally.tokens_unknown;
        let is_known = unknown == 0 || tally.cost_usd.micros() > 0;
        Self {
            jobs: tally.jobs,
            input: tally.input,
            cached: tally.cached,
            output: tally.output,
            cost_usd: is_known.then_some(tally.cost_usd),
            cost_unknown,
            tokens_unknown: tally.tokens_unknown,
        }
    }
}

impl Sum {
    fn cells(&self) -> [String; 5] {
        [
            self.jobs.to_string(),
            self.input.to_string(),
            self.cached.to_string(),
            self.output.to_string(),
            self.cost(),
        ]
    }

    fn cost(&self) -> String {
        let unknown = self.cost_unknown + self.tokens_unknown;
        let more = match (self.jobs, unknown) {
            (_, 0) => String::new(),
            (1, 1) => "unknown".to_owned(),
            (_, 1) => "1 job unknown".to_owned(),
            (_, n) => format!("{n} jobs unknown"),
        };
        match self.cost_usd {
            Some(cost) if unknown == 0 => cost.to_string(),
            Some(cost) => format!("{cost} + {more}"),
            None => more,
        }
    }
}

#[derive(Serialize)]
struct Printed<'a> {
    by: By,
    since: Option<Timestamp>,
    rows: &'a [Row],
    total: Sum,
}

/// Runs the verb.
pub fn run(args: &UsageArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let (rows, total) = match args.by {
        By::Job => of_jobs(jobs(&session, args.since)?),
        By::Run => of_runs(jobs(&session, args.since)?),
        By::Agent | By::Backend | By::Day => {
            let mut pages = session.state()?.book.pages();
            let from = args.since.map(day_of);
            pages.retain(|page, _| from.is_none_or(|from| page.day >= from));
            of_pages(args.by, &pages)
        }
    };
    let mut out = ui::out();
    if args.json {
        out.json(&Printed { by: args.by, since: args.since, rows: &rows, total })?;
    } else if rows.is_empty() {
        ui::note("nothing was used");
    } else {
        for line in table(args.by, &rows, &total) {
            out.line(line)?;
        }
        if total.tokens_unknown > 0 {
            let jobs = ui::plural(total.tokens_unknown, "job");
            ui::note(format_args!(
                "of {jobs} not even the tokens are known: the workers did not tell, or not before they ended"
            ));
        }
        if total.cost_unknown > 0 {
            ui::hint(
                "a cost is known where the job's model has a price in the configuration: [price.\"MODEL\"]",
            );
        }
    }
    out.finish()?;
    Ok(Exit::Success)
}

fn table(by: By, rows: &[Row], total: &Sum) -> Vec<String> {
    let left = Align::Left;
    let right = Align::Right;
    let mut table = Table::new(&[left, right, right, right, right, left]);
    let by = by.to_possible_value().map(|value| value.get_name().to_uppercase());
    let head = [by.as_deref().unwrap_or_default(), "JOBS", "IN", "CACHED", "OUT", "COST"];
    table.row(head.map(str::to_owned).to_vec());
    let mut row = |label: &str, sum: &Sum| {
        table.row([ui::clean(label)].into_iter().chain(sum.cells()).collect());
    };
    for one in rows {
        row(&one.label, &one.sum);
    }
    if rows.len() > 1 {
        row("total", total);
    }
    table.lines(ui::is_terminal().then(ui::columns), &[0])
}

fn jobs(session: &Session, since: Option<Timestamp>) -> Result<Vec<JobUse>, Failure> {
    let mut jobs = session.store.usage_of_jobs().map_err(store)?;
    jobs.retain(|job| since.is_none_or(|since| job.at >= since));
    Ok(jobs)
}

fn of_jobs(jobs: Vec<JobUse>) -> (Vec<Row>, Sum) {
    let total: Tally = jobs.iter().map(|job| job.tally).sum();
    let row = |job: JobUse| Row {
        label: format!("{} {}", job.job, job.name),
        sum: Sum::from(job.tally),
        key: BTreeMap::from([
            ("job", number(job.job)),
            ("name", job.name.into()),
            ("run", job.run.into()),
            ("agent", job.agent.into()),
            ("backend", job.backend.into()),
            ("model", job.model.into()),
            ("live", job.live.into()),
        ]),
    };
    (jobs.into_iter().map(row).collect(), total.into())
}

fn number(job: JobId) -> serde_json::Value {
    job.0.into()
}

fn of_runs(jobs: Vec<JobUse>) -> (Vec<Row>, Sum) {
    let total: Tally = jobs.iter().map(|job| job.tally).sum();
    // In the order in which they began.
    let mut runs: Vec<(Option<String>, Tally)> = Vec::new();
    let mut at: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for job in jobs {
        let index = *at.entry(job.run.clone()).or_insert(runs.len());
        if index == runs.len() {
            runs.push((job.run, Tally::default()));
        }
        if let Some((_, tally)) = runs.get_mut(index) {
            *tally += job.tally;
        }
    }
    (named("run", runs), total.into())
}

fn of_pages(by: By, pages: &BTreeMap<Page, Tally>) -> (Vec<Row>, Sum) {
    let total: Tally = pages.values().copied().sum();
    let mut sums: BTreeMap<Option<String>, Tally> = BTreeMap::new();
    for (page, tally) in pages {
        let name = match by {
            By::Agent => page.agent.clone(),
            By::Backend => Some(page.backend.clone()),
            _ => Some(page.day.to_string()),
        };
        *sums.entry(name).or_default() += *tally;
    }
    let key = match by {
        By::Agent => "agent",
        By::Backend => "backend",
        _ => "day",
    };
    (named(key, sums), total.into())
}

fn named(key: &'static str, sums: impl IntoIterator<Item = (Option<String>, Tally)>) -> Vec<Row> {
    let row = |(name, tally): (Option<String>, Tally)| Row {
        label: name.clone().unwrap_or_else(|| format!("no {key}")),
        key: BTreeMap::from([(key, name.into())]),
        sum: tally.into(),
    };
    sums.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Usage, Usd};

    fn tally(tokens: u64, cost: Option<u64>) -> Tally {
        let cost_usd = cost.map(Usd::from_micros);
        Tally::of(Some(Usage { input: tokens, cost_usd, ..Usage::default() }), true, true)
    }

    #[test]
    fn a_sum_says_what_it_does_not_know() {
        let sum = |all: &[Tally]| Sum::from(all.iter().copied().sum::<Tally>()).cost();
        assert_eq!(sum(&[tally(5, Some(1_500_000))]), "$1.50");
        assert_eq!(sum(&[tally(5, None)]), "unknown");
        assert_eq!(sum(&[tally(5, None), tally(5, None)]), "2 jobs unknown");
        assert_eq!(sum(&[tally(5, Some(1_500_000)), tally(5, None)]), "$1.50 + 1 job unknown");
        let killed = Tally::of(None, true, true);
        assert_eq!(sum(&[tally(5, Some(1_500_000)), killed]), "$1.50 + 1 job unknown");
        // A shell command uses none, and nothing about that is unknown.
        assert_eq!(sum(&[Tally::of(None, true, false)]), "$0.0000");
    }

    #[test]
    fn a_look_back_is_a_day_or_a_duration() {
        let midnight = since("2026-11-20").expect("a day").to_string();
        assert_eq!(midnight, "2026-11-20T00:00:00Z");
        let ago = Timestamp::now().duration_since(since("7d").expect("days"));
        assert_eq!((ago.as_secs() + 60) / 3600, 7 * 24, "{ago}");
        assert!(since("90m").is_ok() && since("today").is_ok());
        for bad in ["", "-1d", "0d", "yesterday", "2026-13-01", "99999999999d"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
