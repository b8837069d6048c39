//! `cx memory history`

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    KeyArgs, failure,
    here::{self, Here},
    shown::{self, Full},
};
use crate::{
    failure::{Exit, Failure},
    memory::{Author, Entry},
    ui::{self, Align, Table},
};

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    #[command(flatten)]
    key: KeyArgs,

    /// One JSON array
    #[arg(long)]
    json: bool,
}

/// A version.
#[derive(Serialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
enum Printed<'a> {
    Store(Box<Full<'a>>),
    Delete {
        key: &'a str,
        namespace: &'a str,
        version: u64,
        stored_at: Timestamp,
        by: Option<&'a Author>,
    },
}

impl<'a> Printed<'a> {
    fn of(entry: &'a Entry, here: &Here) -> Self {
        match &entry.value {
            Some(value) => Self::Store(Box::new(Full::of(entry, value, &here.reader))),
            None => Self::Delete {
                key: &entry.name.key,
                namespace: &entry.name.namespace,
                version: entry.version,
                stored_at: entry.at,
                by: entry.by.as_ref(),
            },
        }
    }
}

/// Runs the verb.
pub(super) fn run(args: &HistoryArgs) -> Result<Exit, Failure> {
    let name = here::name(&args.key)?;
    let mut here = Here::open()?;
    here.take_in_results();
    let mut versions = here.memory.history(&name).map_err(failure)?;
    versions.retain(|entry| here.reader.may_read(entry));
    if versions.is_empty() {
        return Err(here::missing(&name));
    }
    let mut out = ui::out();
    if args.json {
        out.json(&versions.iter().map(|entry| Printed::of(entry, &here)).collect::<Vec<_>>())?;
    } else {
        let now = Timestamp::now();
        let mut table = Table::new(&[Align::Right, Align::Left, Align::Left, Align::Left]);
        for entry in &versions {
            let gist = match &entry.value {
                Some(value) => shown::gist(&here.reader.shown(value, entry.by.as_ref())),
                None => "(deleted)".to_owned(),
            };
            table.row(vec![
                entry.version.to_string(),
                format!("{} ago", shown::ago(entry.at, now)),
                shown::by(entry.by.as_ref()),
                gist,
            ]);
        }
        for line in table.lines(ui::is_terminal().then(ui::columns), &[3]) {
            out.line(line)?;
        }
    }
    out.finish()?;
    Ok(Exit::Success)
}
