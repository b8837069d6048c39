//! Budgets: what a job, a run or a day may use.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Usage, Usd};

/// Whose budget it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetOf {
    /// One job's.
    Job,
    /// That of all jobs of a run together.
    Run,
    /// That of all jobs of a repository on one day, which is one of UTC.
    Day,
}

/// What may be used; at least one of the two is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Whose.
    pub of: BudgetOf,
    /// Tokens, sent and written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<Usd>,
}

/// A budget that is used up: reads as a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    of: BudgetOf,
    amount: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    Tokens { used: u64, of: u64 },
    Usd { used: Usd, of: Usd },
}

impl Budget {
    /// One that limits something, if it does.
    pub fn new(of: BudgetOf, tokens: Option<u64>, usd: Option<Usd>) -> Option<Self> {
        (tokens.is_some() || usd.is_some()).then_some(Self { of, tokens, usd })
    }

    /// Whether this much uses it up. Of a cost that is not known nothing is said.
    pub fn spent(&self, used: &Usage) -> Option<Spent> {
        let tokens = self.tokens.filter(|of| used.tokens() >= *of);
        let tokens = tokens.map(|of| Amount::Tokens { used: used.tokens(), of });
        let dollars = || {
            let (used, of) = (used.cost_usd?, self.usd?);
            (used >= of).then_some(Amount::Usd { used, of })
        };
        Some(Spent { of: self.of, amount: tokens.or_else(dollars)? })
    }

    /// What is left of its dollars.
    pub fn usd_left(&self, used: &Usage) -> Option<Usd> {
        Some(self.usd?.saturating_sub(used.cost_usd.unwrap_or_default()))
    }

    /// How much more may be used before others are told: a small part of it, so that
    /// what many use at once is known to each.
    pub fn is_a_step(&self, more: &Usage) -> bool {
        const STEPS: u64 = 64;
        let cost = more.cost_usd.unwrap_or_default().micros();
        self.tokens.is_some_and(|of| more.tokens() >= of.div_ceil(STEPS))
            || self.usd.is_some_and(|of| cost > 0 && cost >= of.micros().div_ceil(STEPS))
    }
}

impl Spent {
    /// Whose budget.
    pub fn of(&self) -> BudgetOf {
        self.of
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.of {
            BudgetOf::Job => "its budget",
            BudgetOf::Run => "the budget of its run",
            BudgetOf::Day => "the budget of the day",
        };
        match self.amount {
            Amount::Tokens { used, of } => {
                write!(f, "{whose} of {of} tokens is used up: {used}")
            }
            Amount::Usd { used, of } => write!(f, "{whose} of {of} is used up: {used}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(tokens: u64, cents: Option<u64>) -> Usage {
        let cost_usd = cents.map(|cents| Usd::from_micros(cents * 10_000));
        Usage { input: tokens, cost_usd, ..Usage::default() }
    }

    #[test]
    fn a_budget_says_which_it_is_and_how_far() {
        let usd = Some(Usd::from_micros(2_000_000));
        let budget = Budget::new(BudgetOf::Run, Some(1000), usd).expect("a budget");
        assert_eq!(budget.spent(&used(999, Some(199))), None);
        let said = |used| budget.spent(&used).map(|spent| spent.to_string());
        let tokens = "the budget of its run of 1000 tokens is used up: 1040";
        assert_eq!(said(used(1040, None)).as_deref(), Some(tokens));
        let cost = "the budget of its run of $2.00 is used up: $2.50";
        assert_eq!(said(used(10, Some(250))).as_deref(), Some(cost));
        assert_eq!(budget.usd_left(&used(10, Some(250))), Some(Usd::default()));
        assert_eq!(Budget::new(BudgetOf::Day, None, None), None);
    }

    #[test]
    fn others_are_told_of_a_64th() {
        let budget = Budget::new(BudgetOf::Day, Some(6400), None).expect("a budget");
        assert!(!budget.is_a_step(&used(99, Some(500))));
        assert!(budget.is_a_step(&used(100, None)));
        let budget = Budget::new(BudgetOf::Day, None, Some(Usd::from_micros(640_000)));
        let budget = budget.expect("a budget");
        assert!(budget.is_a_step(&used(0, Some(1))) && !budget.is_a_step(&used(9999, None)));
    }
}
