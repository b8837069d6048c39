//! `cx memory search`

use clap::Args;
use serde::Serialize;

use super::{
    failure,
    here::{self, Here},
    shown::{Head, Text},
};
use crate::{
    failure::{Exit, Failure},
    memory::{Hit, Query},
    ui,
};

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// In words, or a name from code: its parts are found too
    #[arg(value_name = "QUERY", required = true)]
    query: Vec<String>,

    /// In this namespace alone
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// At most so many
    #[arg(long, value_name = "K", default_value = "10", value_parser = crate::job::parse_count::<std::num::NonZeroU64>)]
    limit: std::num::NonZeroU64,

    /// Only those that answer it so well, from 0 to 1
    #[arg(long, value_name = "T", default_value = "0", value_parser = threshold)]
    threshold: f64,

    /// One JSON array
    #[arg(long)]
    json: bool,

    /// With --json, the values as well
    #[arg(long, requires = "json")]
    values: bool,
}

#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// From 0 to 1.
    score: f64,
    passage: &'a str,
    #[serde(flatten)]
    value: Option<Text>,
}

fn threshold(word: &str) -> Result<f64, String> {
    let number = word.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "is not a number from 0 to 1".to_owned())
}

/// Runs the verb.
pub(super) fn run(args: &SearchArgs) -> Result<Exit, Failure> {
    here::namespace(args.namespace.as_deref())?;
    let mut here = Here::open()?;
    here.take_in_results();
    let text = args.query.join(" ");
    let query = Query {
        text: &text,
        namespace: args.namespace.as_deref(),
        limit: usize::try_from(args.limit.get()).unwrap_or(usize::MAX),
        threshold: args.threshold,
        reader: &here.reader,
    };
    let (hits, torn) = here.memory.search(&query).map_err(failure)?;
    let mut out = ui::out();
    if args.json {
        let printed = |hit| printed(hit, args.values, &here);
        out.json(&hits.iter().filter_map(printed).collect::<Vec<_>>())?;
    } else {
        for hit in &hits {
            let name = &hit.entry.name;
            let at = if args.namespace.is_some() {
                name.key.clone()
            } else {
                format!("{} {}", name.namespace, name.key)
            };
            out.line(format_args!("{:.2}  {}", hit.score, ui::clean(&at)))?;
            if !hit.passage.is_empty() {
                out.line(format_args!("      {}", ui::clean(&hit.passage)))?;
            }
        }
    }
    out.finish()?;
    here.tell_torn(torn);
    if hits.is_empty() {
        ui::note("nothing was found");
        return Ok(Exit::Failed);
    }
    Ok(Exit::Success)
}

fn printed<'a>(hit: &'a Hit, values: bool, here: &Here) -> Option<Printed<'a>> {
    let entry = &hit.entry;
    let value = entry.value.as_ref()?;
    let text = || Text::of(&here.reader.shown(value, entry.by.as_ref()));
    Some(Printed {
        head: Head::of(entry, value),
        score: (hit.score * 1000.0).round() / 1000.0,
        passage: &hit.passage,
        value: values.then(text),
    })
}
