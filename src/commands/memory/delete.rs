//! `cx memory delete`

use clap::Args;
use serde_json::json;

use super::{
    KeyArgs, failure,
    here::{self, Here},
};
use crate::{
    failure::{Exit, Failure},
    ui,
};

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    key: KeyArgs,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub(super) fn run(args: &DeleteArgs) -> Result<Exit, Failure> {
    let name = here::name(&args.key)?;
    let mut here = Here::open()?;
    here.take_in_results();
    let mut writer = here.memory.writer().map_err(failure)?;
    if !writer.delete(&name, here.author.clone(), &here.reader).map_err(failure)? {
        return Err(here::missing(&name));
    }
    drop(writer);
    let mut out = ui::out();
    if args.json {
        out.json(&json!({ "deleted": true, "key": name.key, "namespace": name.namespace }))?;
    }
    out.finish()?;
    if !args.json {
        ui::note(format_args!("deleted {name}; its values are still in `cx memory history`"));
    }
    Ok(Exit::Success)
}
