//! What a refusal for rate, quota or overload says of when to ask again.
//!
//! The services say it in words, in a few forms; what is not understood is not known,
//! and whoever waits chooses a time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Zoned, civil};

/// When a service that has refused may be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has not said.
    ForNow,
    /// Not before this.
    Until(Timestamp),
    /// Not before somebody has paid, or has changed the account.
    ForGood,
}

/// Words of refusals that no waiting helps against.
const FOR_GOOD: [&str; 6] = [
    "quota exceeded",
    "insufficient_quota",
    "exceeded your current quota",
    "usage_not_included",
    "credit balance is too low",
    "spend limit",
];

impl Refusal {
    /// What `reason` says. Times of day are those of the zone of `now`.
    pub fn of(reason: &str, now: &Zoned) -> Self {
        let text = reason.to_lowercase();
        if FOR_GOOD.iter().any(|words| text.contains(words)) {
            return Self::ForGood;
        }
        stamp(&text)
            .or_else(|| after(&text, "again in ").and_then(|rest| span(rest, now)))
            .or_else(|| after(&text, "again at ").and_then(|rest| moment(rest, now)))
            .or_else(|| after(&text, "resets in ").and_then(|rest| span(rest, now)))
            .or_else(|| after(&text, "resets at ").and_then(|rest| moment(rest, now)))
            .or_else(|| after(&text, "resets ").and_then(|rest| moment(rest, now)))
            .or_else(|| {
                // The header, as an HTTP worker's sentence has it.
                let (_, rest) = reason.split_once("retry after ")?;
                span(rest, now).or_else(|| http_date(rest))
            })
            .map_or(Self::ForNow, Self::Until)
    }
}

/// `Wed, 21 Oct 2026 07:28:00 GMT`, and whatever comes after.
fn http_date(text: &str) -> Option<Timestamp> {
    let (date, _) = text.split_once(" GMT")?;
    jiff::fmt::rfc2822::parse(&format!("{date} GMT")).ok().map(|at| at.timestamp())
}

fn after<'t>(text: &'t str, words: &str) -> Option<&'t str> {
    text.split_once(words).map(|(_, rest)| rest)
}

/// `limit reached|1747357200`: seconds since 1970.
fn stamp(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once('|')?;
    let digits: &str = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    (digits.len() >= 10).then(|| digits.parse().ok().and_then(seconds))?
}

/// Seconds since 1970, or milliseconds where that many seconds are far off.
pub(super) fn seconds(number: i64) -> Option<Timestamp> {
    if number > 100_000_000_000 {
        return Timestamp::from_millisecond(number).ok();
    }
    Timestamp::from_second(number).ok()
}

/// `1.898s`, `28ms`, `5 days 4 hours 3 minutes`, `2h30m`.
fn span(text: &str, now: &Zoned) -> Option<Timestamp> {
    let mut sum = 0.0;
    let mut rest = text;
    loop {
        let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let Ok(amount) = number.trim_end_matches('.').parse::<f64>() else { break };
        let unit_from = rest.get(number.len()..)?.trim_start();
        let unit: String = unit_from.chars().take_while(char::is_ascii_alphabetic).collect();
        let one = match unit.as_str() {
            "ms" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            _ => break,
        };
        sum += amount * one;
        rest = unit_from.get(unit.len()..)?.trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
    let span = Duration::try_from_secs_f64(sum).ok().filter(|span| !span.is_zero())?;
    now.timestamp().checked_add(SignedDuration::try_from(span).ok()?).ok()
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// `3:05 pm`, `3pm (europe/paris)`, `nov 21st, 2026 3:05 pm`, `nov 21 at 3pm`. Without a
/// day the next such time.
fn moment(text: &str, now: &Zoned) -> Option<Timestamp> {
    let clean = text.replace(',', " ");
    let mut words: Vec<&str> = clean.split_whitespace().collect();
    let month = words.first().and_then(|word| {
        MONTHS.iter().position(|month| word.starts_with(month)).filter(|_| word.len() <= 9)
    });
    let mut day = None;
    if let Some(month) = month {
        let number: String = words.get(1)?.chars().take_while(char::is_ascii_digit).collect();
        words.drain(..2);
        let year = words.first().filter(|word| word.len() == 4).and_then(|y| y.parse().ok());
        if year.is_some() {
            words.remove(0);
        }
        if words.first() == Some(&"at") {
            words.remove(0);
        }
        let month = i8::try_from(month + 1).ok()?;
        day = civil::Date::new(year.unwrap_or(now.year()), month, number.parse().ok()?).ok();
        day?;
    }
    let time = time_of_day(&words)?;
    let zone = words.iter().find_map(|word| zone_in(word));
    let now = zone.map_or_else(|| now.clone(), |zone| now.with_time_zone(zone));
    let on = |day: civil::Date| day.to_datetime(time).to_zoned(now.time_zone().clone()).ok();
    let found = match day {
        Some(day) => on(day)?,
        None => {
            on(now.date()).filter(|at| *at > now).or_else(|| on(now.date().tomorrow().ok()?))?
        }
    };
    (found > now).then(|| found.timestamp())
}

/// `3:05 pm`, `3pm`, `15:05`.
fn time_of_day(words: &[&str]) -> Option<civil::Time> {
    let first = words.first()?.trim_end_matches('.');
    let digits_end = first.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(first.len());
    let (digits, glued) = first.split_at(digits_end);
    let half = if glued.is_empty() { words.get(1).copied().unwrap_or_default() } else { glued };
    let (hour, minute) = digits.split_once(':').unwrap_or((digits, "0"));
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match half.get(..2).unwrap_or_default() {
        "am" => hour % 12,
        "pm" => hour % 12 + 12,
        _ if digits.contains(':') => hour,
        _ => return None,
    };
    civil::Time::new(hour, minute, 0, 0).ok()
}

/// `(europe/paris)`.
fn zone_in(word: &str) -> Option<jiff::tz::TimeZone> {
    let name = word.strip_prefix('(')?.split(')').next()?;
    jiff::tz::TimeZone::get(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(reason: &str) -> String {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(1));
        let now = civil::date(2026, 11, 20).at(14, 0, 0, 0).to_zoned(zone).expect("a time");
        match Refusal::of(reason, &now) {
            Refusal::Until(at) => at.to_string(),
            Refusal::ForNow => "?".to_owned(),
            Refusal::ForGood => "never".to_owned(),
        }
    }

    #[test]
    fn times_as_the_services_write_them() {
        for (reason, expected) in [
            (
                "Rate limit reached for gpt-5.5: Limit 30000. Please try again in 1.5s",
                "13:00:01.5Z",
            ),
            ("Please try again in 250ms. Visit https://x", "13:00:00.25Z"),
            ("You've hit your usage limit. Try again in 1 hour 5 minutes.", "14:05:00Z"),
            ("You've hit your usage limit. Upgrade to Pro or try again at 3:05 PM.", "14:05:00Z"),
            ("You've hit your limit · resets 3pm", "14:00:00Z"),
            ("Claude AI usage limit reached|1795183200", "14:00:00Z"),
            ("HTTP 429, retry after 30 s: slow down", "13:00:30Z"),
            ("HTTP 503, retry after Fri, 20 Nov 2026 14:28:00 GMT: wait", "14:28:00Z"),
        ] {
            assert_eq!(until(reason), format!("2026-11-20T{expected}"), "{reason}");
        }
        let day = "You've hit your usage limit. Try again at Nov 23rd, 2026 9:30 AM.";
        assert_eq!(until(day), "2026-11-23T08:30:00Z");
        assert_eq!(until("weekly limit · resets Nov 23 at 9am"), "2026-11-23T08:00:00Z");
        // What is past for today is tomorrow's.
        assert_eq!(until("try again at 1:30 PM"), "2026-11-21T12:30:00Z");
        assert_eq!(until("try again in 3 days 2 hours 1 minute."), "2026-11-23T15:01:00Z");
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        for reason in [
            "exceeded retry limit, last status: 429 Too Many Requests",
            "Overloaded",
            "try again later",
            "try again in a moment",
            "limit resets soon",
            "try again at Nov 99th, 2026 9:30 AM",
            "a|b|12",
            "resets 3",
            "resets 25:99",
        ] {
            assert_eq!(until(reason), "?", "{reason}");
        }
    }

    #[test]
    fn some_refusals_wait_for_money() {
        for reason in [
            "You exceeded your current quota, please check your plan and billing details",
            "Your credit balance is too low to access the API",
        ] {
            assert_eq!(until(reason), "never", "{reason}");
        }
    }
}
