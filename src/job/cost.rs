//! Money, counted so that sums are exact.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// US dollars, to a millionth. In JSON a number of dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd {
    micros: u64,
}

/// Why a word is no amount of money. Reads as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an amount of US dollars: write 5 or 0.25")]
pub struct UsdError;

impl Usd {
    /// Millionths of a dollar.
    pub const fn from_micros(micros: u64) -> Self {
        Self { micros }
    }

    /// Dollars; none for what is no amount of money.
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let micros = (dollars * 1e6).round();
        #[expect(clippy::cast_possible_truncation, reason = "it lies within the range")]
        #[expect(clippy::cast_sign_loss, reason = "it is not negative")]
        (0.0..1e15).contains(&micros).then_some(Self { micros: micros as u64 })
    }

    /// Reads an amount as people type it, more than nothing.
    pub fn parse(word: &str) -> Result<Self, UsdError> {
        let number = word.strip_prefix('$').unwrap_or(word);
        let dollars = number.parse::<f64>().ok().and_then(Self::from_dollars);
        dollars.filter(|usd| usd.micros > 0).ok_or(UsdError)
    }

    /// Millionths of a dollar.
    pub const fn micros(self) -> u64 {
        self.micros
    }

    /// Dollars.
    pub fn dollars(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "exact up to nine billion dollars")]
        let micros = self.micros as f64;
        micros / 1e6
    }

    /// What is left after `other`; never less than nothing.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self { micros: self.micros.saturating_sub(other.micros) }
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self { micros: amounts.fold(0, |sum, amount| sum.saturating_add(amount.micros)) }
    }
}

/// Dollars and cents; of less than ten cents four digits, so that it is not nothing.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.micros < 100_000 { 4 } else { 2 };
        write!(f, "${:.digits$}", self.dollars())
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Self::from_dollars(dollars).ok_or_else(|| {
            serde::de::Error::custom(format_args!("{dollars} is no amount of money"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_come_back_as_they_went() {
        for micros in [0, 1, 9_580, 14_490, 440_000, 1_234_567_890] {
            let usd = Usd::from_micros(micros);
            let json = serde_json::to_string(&usd).expect("writes");
            assert_eq!(serde_json::from_str::<Usd>(&json).expect("reads"), usd, "{json}");
        }
        assert_eq!(Usd::from_dollars(0.009_580_000_000_000_002), Some(Usd::from_micros(9580)));
        assert_eq!(serde_json::from_str::<Usd>("3").expect("reads"), Usd::from_micros(3_000_000));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for bad in [-0.1, f64::NAN, f64::INFINITY, 1e10] {
            assert_eq!(Usd::from_dollars(bad), None, "{bad}");
        }
        assert!(serde_json::from_str::<Usd>("-1").is_err());
    }

    #[test]
    fn small_amounts_are_not_shown_as_nothing() {
        assert_eq!(Usd::from_micros(9_580).to_string(), "$0.0096");
        assert_eq!(Usd::from_micros(4_040_000).to_string(), "$4.04");
    }

    #[test]
    fn sums_and_differences_stay_in_range() {
        let (a, b) = (Usd::from_micros(5), Usd::from_micros(7));
        assert_eq!([a, b].into_iter().sum::<Usd>(), Usd::from_micros(12));
        assert_eq!(a.saturating_sub(b), Usd::default());
    }
}
