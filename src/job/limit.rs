//! Durations as people type them: `90`, `90s`, `10m`, `1h30m`, `1.5h`.

use std::{num::NonZeroU64, time::Duration};

/// Why a word is no duration. Reads as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a duration: write 90s, 10m, 1h30m or a number of seconds")]
pub struct DurationError;

/// Reads a duration; a bare number counts seconds. Zero and negative ones are
/// refused: no limit is said by leaving the option out.
pub fn parse_duration(word: &str) -> Result<Duration, DurationError> {
    let seconds = match word.parse::<f64>() {
        Ok(number) => number,
        Err(_) => word.parse::<jiff::SignedDuration>().map_err(|_| DurationError)?.as_secs_f64(),
    };
    if !(seconds.is_finite() && seconds > 0.0) {
        return Err(DurationError);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| DurationError)
}

/// A word that is no count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountError {
    /// The largest one matters to nobody.
    #[error("is not a whole number of 1 or more")]
    Any,
    /// Neither less than 1 nor more than this.
    #[error("is not a whole number from 1 to {0}")]
    UpTo(u64),
}

/// Reads a count: a whole number from 1 to the largest of `N`, one of `NonZeroU8` to `NonZeroU64`.
pub fn parse_count<N: TryFrom<NonZeroU64>>(word: &str) -> Result<N, CountError> {
    let error = || match u64::BITS.checked_sub(8 * u32::try_from(size_of::<N>()).unwrap_or(8)) {
        Some(spare @ 1..) => CountError::UpTo(u64::MAX >> spare),
        _ => CountError::Any,
    };
    let number = word.parse::<NonZeroU64>().map_err(|_| error())?;
    N::try_from(number).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::{NonZeroU8, NonZeroU32};

    #[test]
    fn counts_say_how_far_they_go() {
        assert_eq!(parse_count::<NonZeroU8>("255").map(NonZeroU8::get), Ok(255));
        for bad in ["0", "256", "-1", "two", "99999999999999999999"] {
            assert_eq!(parse_count::<NonZeroU8>(bad), Err(CountError::UpTo(255)), "{bad}");
        }
        assert_eq!(parse_count::<NonZeroU32>("0"), Err(CountError::UpTo(u64::from(u32::MAX))));
        assert_eq!(parse_count::<NonZeroU64>("0"), Err(CountError::Any));
    }

    #[test]
    fn durations_as_people_type_them() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "0", "-1", "ten", "1x", "inf", "NaN", "1e400"] {
            assert_eq!(parse_duration(bad), Err(DurationError), "{bad}");
        }
    }
}
