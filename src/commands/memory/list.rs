//! `cx memory list`

use clap::Args;
use jiff::Timestamp;

use super::{
    failure,
    here::{self, Here},
    shown::{self, Head},
};
use crate::{
    commands::fields::Fields,
    failure::{Exit, Failure},
    memory::{Entry, Value},
    ui::{self, Align, Table},
};

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Those in this namespace alone
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// One JSON array
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// One line for each, with {key}, {namespace}, {tags}, {bytes}, {version},
    /// {stored_at}, {expires_at}, {by}, {agent}, {value}; \n and \t
    #[arg(long, value_name = "FMT")]
    format: Option<String>,
}

const FIELDS: Fields = Fields(&[
    "key",
    "namespace",
    "tags",
    "bytes",
    "version",
    "stored_at",
    "expires_at",
    "by",
    "agent",
    "value",
]);

/// Runs the verb.
pub(super) fn run(args: &ListArgs) -> Result<Exit, Failure> {
    here::namespace(args.namespace.as_deref())?;
    if let Some(format) = &args.format {
        FIELDS.fill(format, &|_| String::new())?;
    }
    let mut here = Here::open()?;
    here.take_in_results();
    let all = here.memory.all().map_err(failure)?;
    let now = Timestamp::now();
    let is_wanted = |entry: &&Entry| {
        args.namespace.as_ref().is_none_or(|wanted| entry.name.namespace == *wanted)
            && here.reader.may_read(entry)
    };
    let entries: Vec<(&Entry, &Value)> = all
        .entries
        .values()
        .filter(is_wanted)
        .filter_map(|entry| Some((entry, entry.said(now)?)))
        .collect();
    let mut out = ui::out();
    if args.json {
        let heads: Vec<_> = entries.iter().map(|(entry, value)| Head::of(entry, value)).collect();
        out.json(&heads)?;
    } else if let Some(format) = &args.format {
        for (entry, value) in &entries {
            let line = FIELDS.fill(format, &|key| field(key, entry, value, &here))?;
            out.foreign(line.as_bytes())?;
            out.line("")?;
        }
    } else {
        let mut table =
            Table::new(&[Align::Left, Align::Left, Align::Right, Align::Left, Align::Left]);
        for (entry, value) in &entries {
            table.row(vec![
                entry.name.namespace.clone(),
                entry.name.key.clone(),
                format!("{} ago", shown::ago(entry.at, now)),
                shown::by(entry.by.as_ref()),
                shown::gist(&here.reader.shown(value, entry.by.as_ref())),
            ]);
        }
        for line in table.lines(ui::is_terminal().then(ui::columns), &[4, 3]) {
            out.line(line)?;
        }
    }
    out.finish()?;
    if entries.is_empty() && !args.json {
        ui::note("nothing is stored");
    }
    here.tell_torn(all.torn);
    Ok(Exit::Success)
}

fn field(key: &str, entry: &Entry, value: &Value, here: &Here) -> String {
    let by = entry.by.as_ref();
    match key {
        "key" => entry.name.key.clone(),
        "namespace" => entry.name.namespace.clone(),
        "tags" => value.tags.join(","),
        "bytes" => value.bytes.len().to_string(),
        "version" => entry.version.to_string(),
        "stored_at" => entry.at.to_string(),
        "expires_at" => value.expires.map(|at| at.to_string()).unwrap_or_default(),
        "by" => by.map(|by| by.name.clone()).unwrap_or_default(),
        "agent" => by.and_then(|by| by.agent.clone()).unwrap_or_default(),
        _ => {
            let shown = here.reader.shown(value, by);
            String::from_utf8_lossy(&shown).trim_end().to_owned()
        }
    }
}
