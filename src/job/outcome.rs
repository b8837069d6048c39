//! How a job ended, and the exit code that tells it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Price, Usd};

/// How a job ended. Only [`Outcome::Succeeded`] is success; everything else
/// names what went wrong, in the word that ledgers and listings use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The backend's own rule for success holds (see each backend).
    Succeeded,
    /// The worker said that it failed, or ended with a code that is not 0.
    Failed,
    /// `--timeout` ran out.
    TimedOut,
    /// Nothing was written for as long as `--silence` allows.
    Silent,
    /// Ended by `cx kill` or by a signal from elsewhere.
    Killed,
    /// The supervisor vanished (kill -9, power) before the worker's end was known.
    Lost,
    /// The worker ended well, but without a final message.
    NoAnswer,
    /// The worker's sandbox could not start, so nothing it ran did run.
    SandboxBroken,
    /// The model's service refused for rate or quota.
    RateLimited,
    /// The worker was refused something that it asked for, and says that it ended
    /// well all the same.
    Denied,
    /// The worker's own limit on turns was reached before its task was done.
    TurnLimit,
    /// What the job may cost was spent before its task was done.
    OverBudget,
    /// The answer has not the shape that was asked for.
    SchemaMismatch,
    /// A reader changed the checkout.
    WroteInReader,
    /// A job that it had to come `--after` did not succeed.
    Skipped,
    /// The worktree, its setup or the worker's program could not be started.
    NotStarted,
    /// A word from a newer cx.
    #[serde(untagged)]
    Other(String),
}

impl Outcome {
    /// The word in ledgers, JSON and listings.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Silent => "silent",
            Self::Killed => "killed",
            Self::Lost => "lost",
            Self::NoAnswer => "no-answer",
            Self::SandboxBroken => "sandbox-broken",
            Self::RateLimited => "rate-limited",
            Self::Denied => "denied",
            Self::TurnLimit => "turn-limit",
            Self::OverBudget => "over-budget",
            Self::SchemaMismatch => "schema-mismatch",
            Self::WroteInReader => "wrote-in-reader",
            Self::Skipped => "skipped",
            Self::NotStarted => "not-started",
            Self::Other(word) => word,
        }
    }

    /// Whether the job did what it was asked to.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How the worker's own process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerExit {
    /// It called exit with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl WorkerExit {
    /// The code that a shell would show: the exit code, or 128 + signal.
    pub fn shell_code(self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(code & 0xff).unwrap_or(1),
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(255),
        }
    }

    /// The code that `cx wait JOB` gives for a job with `outcome`: the worker's
    /// own, except that a failure is never 0 and a success always is.
    pub fn job_code(exit: Option<Self>, outcome: &Outcome) -> u8 {
        if outcome.is_success() {
            return 0;
        }
        match exit.map(Self::shell_code) {
            None | Some(0) => 1,
            Some(code) => code,
        }
    }
}

/// What a job used, as its program reported it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens sent to the model, cached ones included.
    pub input: u64,
    /// Those of `input` that came from the cache.
    pub cached: u64,
    /// Tokens that the model wrote, reasoning included.
    pub output: u64,
    /// What it cost, where the program says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Usd>,
}

impl Usage {
    /// Tokens, sent and written.
    pub fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The same with what it costs by `price`, where nobody has told.
    #[must_use]
    pub fn priced(self, price: Option<&Price>) -> Self {
        let cost_usd = self.cost_usd.or_else(|| price.map(|price| price.of(&self)));
        Self { cost_usd, ..self }
    }

    /// What came since `before`, where both are counted from the same beginning.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let less = |now: u64, then: u64| now.saturating_sub(then);
        Self {
            input: less(self.input, before.input),
            cached: less(self.cached, before.cached),
            output: less(self.output, before.output),
            cost_usd: self
                .cost_usd
                .map(|now| now.saturating_sub(before.cost_usd.unwrap_or_default())),
        }
    }
}

/// Of several jobs together; the cost is that of those that told theirs.
impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            input: sum.input + one.input,
            cached: sum.cached + one.cached,
            output: sum.output + one.output,
            cost_usd: match (sum.cost_usd, one.cost_usd) {
                (None, None) => None,
                (known, more) => Some(known.into_iter().chain(more).sum()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_never_zero() {
        let code = WorkerExit::job_code;
        assert_eq!(code(Some(WorkerExit::Code(0)), &Outcome::Succeeded), 0);
        assert_eq!(code(Some(WorkerExit::Code(0)), &Outcome::NoAnswer), 1);
        assert_eq!(code(Some(WorkerExit::Code(7)), &Outcome::Failed), 7);
        assert_eq!(code(Some(WorkerExit::Signal(15)), &Outcome::Killed), 143);
        assert_eq!(code(None, &Outcome::Lost), 1);
    }

    #[test]
    fn every_word_reads_back_and_unknown_ones_survive() {
        let words = ["succeeded", "timed-out", "no-answer", "wrote-in-reader", "denied"];
        let more = ["turn-limit", "over-budget", "schema-mismatch", "held-for-a-reason"];
        for word in words.into_iter().chain(more) {
            let json = format!("{word:?}");
            let outcome: Outcome = serde_json::from_str(&json).expect("reads");
            assert_eq!(outcome.as_str(), word);
            assert_eq!(serde_json::to_string(&outcome).expect("writes"), json);
        }
        assert_eq!(
            serde_json::from_str::<Outcome>("\"x\"").expect("reads"),
            Outcome::Other("x".to_owned())
        );
    }
}
