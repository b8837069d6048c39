//! What tokens cost, by a price list that a person has written down.

use serde::{Deserialize, Serialize};

use super::{Usage, Usd};

/// A model's price: dollars for a million tokens of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Tokens that are sent.
    pub input: Usd,
    /// Those of them that come from the cache; as the others where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<Usd>,
    /// Tokens that the model writes.
    pub output: Usd,
}

impl Price {
    /// What this much costs, to a millionth of a dollar, rounded up.
    pub fn of(&self, usage: &Usage) -> Usd {
        let cached = usage.cached.min(usage.input);
        let parts = [
            (usage.input - cached, self.input),
            (cached, self.cached.unwrap_or(self.input)),
            (usage.output, self.output),
        ];
        let cost = |(tokens, price): (u64, Usd)| u128::from(tokens) * u128::from(price.micros());
        let micros = parts.into_iter().map(cost).sum::<u128>().div_ceil(1_000_000);
        Usd::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, cached: u64, output: u64) -> Usage {
        Usage { input, cached, output, cost_usd: None }
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let usd = |dollars| Usd::from_dollars(dollars).expect("money");
        let price = Price { input: usd(1.25), cached: Some(usd(0.125)), output: usd(10.0) };
        assert_eq!(price.of(&usage(1_000_000, 0, 0)), usd(1.25));
        assert_eq!(price.of(&usage(1_000_000, 1_000_000, 0)), usd(0.125));
        assert_eq!(price.of(&usage(2_000_000, 1_000_000, 500_000)), usd(6.375));
        // Less than a millionth is not nothing, and more cached than sent is not less.
        assert_eq!(price.of(&usage(1, 1, 0)), Usd::from_micros(1));
        assert_eq!(price.of(&usage(1_000_000, 9_000_000, 0)), usd(0.125));
        let plain = Price { cached: None, ..price };
        assert_eq!(plain.of(&usage(1_000_000, 400_000, 0)), usd(1.25));
        assert_eq!(price.of(&usage(u64::MAX, 0, u64::MAX)).micros(), u64::MAX);
    }
}
