//! Best of N: several writers on one task, of which one is to be picked.

use super::SpawnArgs;
use crate::{commands::settings::Settings, failure::Failure, job::Mode};

/// What one job of a group has of its own.
pub(super) struct Variant {
    pub(super) agent: Option<String>,
    pub(super) backend: Option<String>,
    pub(super) model: Option<String>,
}

impl Variant {
    /// What `-t`, `-b` and `-m` say.
    pub(super) fn of(args: &SpawnArgs) -> Self {
        Self { agent: args.agent.clone(), backend: args.backend.clone(), model: args.model.clone() }
    }
}

/// The jobs that are asked for, one or more.
pub(super) fn variants(args: &SpawnArgs, settings: &Settings) -> Result<Vec<Variant>, Failure> {
    let count = args.count.map_or(1, std::num::NonZeroU8::get);
    if args.with.is_empty() {
        return Ok((0..count).map(|_| Variant::of(args)).collect());
    }
    let mut variants = Vec::new();
    for word in &args.with {
        for _ in 0..count {
            variants.push(variant(word, Variant::of(args), settings)?);
        }
    }
    Ok(variants)
}

/// `WORD[:MODEL]`, where the word is a backend or else an agent.
fn variant(word: &str, given: Variant, settings: &Settings) -> Result<Variant, Failure> {
    let (who, model) = match word.split_once(':') {
        Some((who, model)) => (who, Some(model.to_owned())),
        None => (word, None),
    };
    if who.is_empty() {
        return Err(Failure::usage("--with has an empty word")
            .hint("for example: --with codex:gpt-5,coder"));
    }
    let is_backend = settings.catalog.names().iter().any(|name| name.as_str() == who);
    let (taken, option) =
        if is_backend { (&given.backend, "--backend") } else { (&given.agent, "--agent") };
    if taken.is_some() {
        return Err(Failure::usage(format!("both --with {who} and {option} were given"))
            .hint(format!("leave out {option}")));
    }
    let model = model.or(given.model);
    let who = Some(who.to_owned());
    Ok(if is_backend {
        Variant { backend: who, model, ..given }
    } else {
        Variant { agent: who, model, ..given }
    })
}

/// Refuses a group of readers: there would be nothing to pick.
pub(super) fn require_writer(mode: Mode) -> Result<(), Failure> {
    match mode {
        Mode::Writer => Ok(()),
        Mode::Reader => {
            Err(Failure::usage("-N and --with start writers, and this would be a reader")
                .hint("choose an agent that writes, or spawn the readers one by one"))
        }
    }
}
