//! `cx memory get`

use clap::Args;
use jiff::Timestamp;

use super::{
    KeyArgs, failure,
    here::{self, Here},
    shown::{self, Full},
};
use crate::{
    failure::{Exit, Failure},
    memory::Entry,
    ui,
};

#[derive(Debug, Args)]
pub(super) struct GetArgs {
    #[command(flatten)]
    key: KeyArgs,

    /// Nothing but the value, byte for byte
    #[arg(long, conflicts_with = "json")]
    value_only: bool,

    /// One JSON object
    #[arg(long)]
    json: bool,

    /// An earlier version: `cx memory history` shows them
    #[arg(long, value_name = "VERSION")]
    at: Option<u64>,
}

/// Runs the verb.
pub(super) fn run(args: &GetArgs) -> Result<Exit, Failure> {
    let name = here::name(&args.key)?;
    let mut here = Here::open()?;
    here.take_in_results();
    let entry = match args.at {
        None => here.memory.last(&name).map_err(failure)?,
        Some(version) => {
            let all = here.memory.history(&name).map_err(failure)?;
            all.into_iter().find(|entry| entry.version == version)
        }
    };
    let entry = entry.filter(|entry| here.reader.may_read(entry));
    let said = |entry: Entry| {
        let value = match args.at {
            None => entry.said(Timestamp::now()),
            Some(_) => entry.value.as_ref(),
        };
        let value = value.cloned()?;
        Some((entry, value))
    };
    let Some((entry, value)) = entry.and_then(said) else {
        return Err(here::missing(&name));
    };
    let mut out = ui::out();
    if args.json {
        out.json(&Full::of(&entry, &value, &here.reader))?;
    } else {
        if !args.value_only && ui::is_terminal() {
            let mut parts = vec![format!("{} in {}", name.key, name.namespace)];
            parts.push(format!("version {}", entry.version));
            parts.push(format!("{} ago", shown::ago(entry.at, Timestamp::now())));
            let by = shown::by(entry.by.as_ref());
            if !by.is_empty() {
                parts.push(by);
            }
            if !value.tags.is_empty() {
                parts.push(value.tags.join(", "));
            }
            ui::note(parts.join(" · "));
        }
        let bytes = here.reader.shown(&value, entry.by.as_ref());
        out.foreign(&bytes)?;
        if !args.value_only && !bytes.ends_with(b"\n") {
            out.line("")?;
        }
    }
    out.finish()?;
    Ok(Exit::Success)
}
