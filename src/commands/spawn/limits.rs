//! What a job may use, what that costs, and whether it waits where a model's service
//! refuses: from arguments and configuration to what the ledger says of it.

use std::{num::NonZeroU64, time::Duration};

use clap::Args;

use super::SpawnArgs;
use crate::{
    backend::{self, Backend},
    commands::session::{Session, store},
    config::Config,
    failure::Failure,
    job::{Budget, BudgetOf, Mode, Price, Usage, Usd},
    ledger::{HoldLimits, Spawned},
};

/// Limits on what is used.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(in crate::commands) struct UseArgs {
    /// End it once it has used N tokens, sent and written
    #[arg(long, value_name = "N", value_parser = crate::job::parse_count::<NonZeroU64>)]
    max_tokens: Option<NonZeroU64>,

    /// End it once it has cost X US dollars
    #[arg(long, value_name = "X", value_parser = Usd::parse)]
    max_budget_usd: Option<Usd>,

    /// Fail at once where the model's service refuses for rate or quota, rather than wait
    #[arg(long)]
    no_hold: bool,
}

impl UseArgs {
    /// What was said, as a budget.
    pub(in crate::commands) fn budget(&self, of: BudgetOf) -> Option<Budget> {
        Budget::new(of, self.max_tokens.map(NonZeroU64::get), self.max_budget_usd)
    }

    /// `--no-hold`.
    pub(in crate::commands) fn is_not_held(&self) -> bool {
        self.no_hold
    }

    /// The same, for a job.
    pub(super) fn of_task(budget: Option<Budget>, no_hold: bool) -> Self {
        Self {
            max_tokens: budget.and_then(|budget| NonZeroU64::new(budget.tokens?)),
            max_budget_usd: budget.and_then(|budget| budget.usd),
            no_hold,
        }
    }
}

/// How often its work is kept while it works.
pub(super) fn checkpoint(args: &SpawnArgs, mode: Mode) -> Result<Option<Duration>, Failure> {
    match args.checkpoint {
        Some(_) if mode == Mode::Reader => {
            Err(Failure::usage("--checkpoint keeps the work of a writer, and this is a reader")
                .hint("give --write, or an agent that writes"))
        }
        Some(every) if every.is_zero() => Err(Failure::usage("--checkpoint cannot be 0")),
        every => Ok(every),
    }
}

/// What stands in the ledger of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    pub(super) budgets: Vec<Budget>,
    pub(super) price: Option<Price>,
    pub(super) hold: Option<HoldLimits>,
}

impl Limits {
    /// What holds for a job of this backend and model. `run` is the budget of its run.
    pub(super) fn check(
        args: &UseArgs,
        config: &Config,
        run: Option<Budget>,
        (backend, model): (&Backend, Option<&str>),
    ) -> Result<Self, Failure> {
        let day = Budget::new(BudgetOf::Day, config.budget.tokens, config.budget.usd);
        let own = args.budget(BudgetOf::Job);
        let price = model.and_then(|model| config.prices.get(model)).copied();
        let millis = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let hold = (config.hold.enabled && !args.no_hold && !backend.runs_commands())
            .then(|| HoldLimits { max_ms: millis(config.hold.longest), times: config.hold.times });
        if own.is_some() {
            require_counted(backend)?;
        }
        if backend.runs_commands() {
            return Ok(Self { budgets: Vec::new(), price, hold });
        }
        let budgets: Vec<Budget> = own.into_iter().chain(run).chain(day).collect();
        Self { budgets, price, hold }.priced(backend, model)
    }

    /// What holds for a job that goes on from another, or does its task again: its own
    /// budget begins anew, as it was where `args` says nothing else, and the day and the
    /// prices are those of now. `others` do its work where `backend` cannot.
    pub(super) fn again(
        args: &UseArgs,
        (old, backend, others): (&Spawned, &Backend, &[Backend]),
        config: &Config,
        model: Option<&str>,
    ) -> Result<Self, Failure> {
        let own = args.budget(BudgetOf::Job);
        if own.is_some() {
            [backend].into_iter().chain(others).try_for_each(require_counted)?;
        }
        let had = old.budgets.iter().find(|budget| budget.of == BudgetOf::Job);
        let own = Budget::new(
            BudgetOf::Job,
            own.and_then(|own| own.tokens).or(had.and_then(|had| had.tokens)),
            own.and_then(|own| own.usd).or(had.and_then(|had| had.usd)),
        );
        let day = Budget::new(BudgetOf::Day, config.budget.tokens, config.budget.usd);
        let run = old.budgets.iter().copied().filter(|budget| budget.of == BudgetOf::Run);
        let day = day.filter(|_| !backend.runs_commands());
        let price = model.and_then(|model| config.prices.get(model)).copied();
        let budgets: Vec<Budget> = own.into_iter().chain(run).chain(day).collect();
        for (other, fallback) in others.iter().zip(&old.fallbacks) {
            let (budgets, price) = (budgets.clone(), fallback.price);
            Self { budgets, price, hold: None }.priced(other, fallback.model.as_deref())?;
        }
        Self { budgets, price, hold: old.hold.filter(|_| !args.no_hold) }.priced(backend, model)
    }

    /// The same, unless it has a budget of which nobody could say how far it is used up.
    fn priced(self, backend: &Backend, model: Option<&str>) -> Result<Self, Failure> {
        let in_dollars = self.budgets.iter().find(|budget| budget.usd.is_some());
        match in_dollars {
            Some(budget) if self.price.is_none() && !backend::tells_cost(backend) => {
                Err(no_price(*budget, backend, model))
            }
            _ => Ok(self),
        }
    }
}

/// Refuses a budget of a job's own where nobody could say how far it is used up.
fn require_counted(backend: &Backend) -> Result<(), Failure> {
    if backend.runs_commands() {
        return Err(Failure::usage(format!(
            "a job of {} uses no tokens that could be counted; nothing was started",
            backend.name
        ))
        .hint("leave out --max-tokens and --max-budget-usd"));
    }
    if !backend::tells_usage(backend) {
        return Err(Failure::usage(format!(
            "{} does not say what it uses, so nothing could be counted; nothing was started",
            backend.name
        ))
        .hint("leave out --max-tokens and --max-budget-usd, or say in its definition where its `usage` is"));
    }
    Ok(())
}

/// A budget in dollars of which nobody could say how far it is used up.
fn no_price(budget: Budget, backend: &Backend, model: Option<&str>) -> Failure {
    let backend = backend.name;
    let whose = match budget.of {
        BudgetOf::Job => "--max-budget-usd",
        BudgetOf::Run => "the run's budget in dollars",
        BudgetOf::Day => "budget.usd-per-day",
    };
    match model {
        Some(model) => Failure::usage(format!(
            "{whose} needs the price of {model}, which {backend} does not tell; nothing was started"
        ))
        .hint(format!(
            "write it into the configuration: [price.\"{model}\"] input = ..., output = ... (dollars per million tokens)"
        )),
        None => Failure::usage(format!(
            "{whose} needs a price, and which model {backend} uses is not known; nothing was started"
        ))
        .hint("name the model with -m, and give its price in the configuration: [price.\"MODEL\"]"),
    }
}

/// What is said where a budget is used up already. To be called under the ledger's lock.
pub(super) fn refuse_spent(session: &Session, spec: &Spawned) -> Result<(), Failure> {
    if spec.budgets.iter().all(|budget| budget.of == BudgetOf::Job) {
        return Ok(());
    }
    let state = session.store.state().map_err(store)?;
    let now = jiff::Timestamp::now();
    let Some(spent) = state.spent(spec, Usage::default(), Usage::default(), now) else {
        return Ok(());
    };
    Err(Failure::usage(format!("{spent}; nothing was started")).hint(match spent.of() {
        BudgetOf::Day => "`cx usage` shows what of; budget.tokens-per-day and budget.usd-per-day in the configuration allow more",
        _ => "`cx usage --by run` shows it; `cx run --resume RUN --max-tokens N` or --max-budget-usd X allows more",
    }))
}
