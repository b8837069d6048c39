//! Durations as listings show them.

use std::time::Duration;

/// At most two units: `14s`, `2m13s`, `1h02m`, `3d04h`; below ten seconds with
/// a tenth: `0.4s`.
pub fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    if duration < Duration::from_secs(10) {
        // Cut, not rounded: 9.96 s must not become 10.0 s here.
        return format!("{seconds}.{}s", duration.subsec_millis() / 100);
    }
    if days > 0 {
        format!("{days}d{:02}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h{:02}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m{:02}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

/// A point in time in the zone of the person: `2026-11-20 13:05:09`.
pub fn clock(at: jiff::Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time of day to the minute, here; with its day where that is not today.
pub fn clock_to_the_minute(at: jiff::Timestamp) -> String {
    let here = jiff::tz::TimeZone::system();
    let (at, now) = (at.to_zoned(here.clone()), jiff::Timestamp::now().to_zoned(here));
    let format = if at.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_at_most() {
        for (millis, text) in [
            (0, "0.0s"),
            (9_960, "9.9s"),
            (14_000, "14s"),
            (133_000, "2m13s"),
            (3_720_000, "1h02m"),
            (273_600_000, "3d04h"),
        ] {
            assert_eq!(short(Duration::from_millis(millis)), text);
        }
    }
}
