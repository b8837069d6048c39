//! Durations as people type them: `90`, `90s`, `10m`, `1h30m`, `1.5h`.

use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::*;

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
