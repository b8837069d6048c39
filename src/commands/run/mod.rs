//! `cx run`
//!
//! Loading a plan, checking all of it and showing it happen here; what runs it
//! comes after, and only with a plan in which nothing is wrong.

mod args;
mod dry_run;
mod load;

pub use args::RunArgs;

use super::session::{Session, refuse_in_worker};
use crate::{
    failure::{Exit, Failure},
    ui,
};

/// Runs the verb.
pub fn run(args: &RunArgs) -> Result<Exit, Failure> {
    if let Some(name) = &args.show {
        let mut out = ui::out();
        out.bytes(load::pattern(name)?.text.as_bytes())?;
        out.finish()?;
        return Ok(Exit::Success);
    }
    let session = Session::open()?;
    let loaded = load::load(args, &session)?;
    for note in &loaded.plan.notes {
        ui::warn(format_args!("{}: {note}", loaded.source));
    }
    if args.dry_run {
        dry_run::print(&loaded, args.json)?;
        return Ok(Exit::Success);
    }
    refuse_in_worker("run plans")?;
    Err(Failure::usage("this cx shows plans, and does not run them yet").hint("add --dry-run"))
}
