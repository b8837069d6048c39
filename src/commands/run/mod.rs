//! `cx run`
//!
//! Loading a plan, checking all of it and showing it happen here; what runs it
//! comes after, and only with a plan in which nothing is wrong.

mod answer;
mod args;
mod begin;
mod book;
mod compat;
mod dry_run;
mod end;
mod front;
mod load;
mod look;
mod picture;
mod prompt;
mod rehearse;
mod resume;
mod runner;
mod stop;
mod stored;
mod summary;

pub use args::RunArgs;
pub use begin::main;
pub(super) use look::Look;
pub(super) use summary::Summary;

use self::{
    begin::Manner,
    front::Saying,
    load::Loaded,
    stored::{Options, Prepared},
};
use super::{
    session::{Session, refuse_in_worker},
    settings::Settings,
};
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
    let saying = Saying { verbose: args.verbose, stream: args.stream, json: args.json };
    let manner = Manner { saying, detach: args.detach };
    if let Some(run) = &args.resume {
        refuse_in_worker("run plans")?;
        return resume::resume(&session, run, manner, args);
    }
    let loaded = load::load(args, &session)?;
    for note in &loaded.plan.notes {
        ui::warn(format_args!("{}: {note}", loaded.source));
    }
    if args.dry_run {
        // What the run would refuse is no plan to look at.
        let prepared = prepared(args, &session, loaded.clone());
        rehearse::rehearse_all(&session, &Settings::load(&session)?, prepared)?;
        dry_run::print(&loaded, args.json)?;
        return Ok(Exit::Success);
    }
    refuse_in_worker("run plans")?;
    if args.plan {
        dry_run::print(&loaded, args.json)?;
    }
    let settings = Settings::load(&session)?;
    let prepared = prepared(args, &session, loaded);
    begin::begin(&session, &settings, prepared, manner)
}

fn prepared(args: &RunArgs, session: &Session, loaded: Loaded) -> Prepared {
    let Loaded { plan, source, digest, agents, .. } = loaded;
    Prepared { options: Options::said(args, session), plan, source, digest, agents }
}
