//! Medians, and the table that is printed in the end.

use std::time::Duration;

/// What one comparison gave.
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What it is a ratio to; empty where the figure is one of its own.
    pub(crate) baseline: String,
    /// The ratio, or the figure with its unit, or why there is none.
    pub(crate) figure: String,
    /// The target, in words.
    pub(crate) target: String,
    /// Whether it was met; none where nothing could be measured.
    pub(crate) met: Option<bool>,
}

impl Row {
    /// A ratio that may be `at_most` so much.
    pub(crate) fn ratio(what: &str, baseline: &str, ratio: f64, at_most: f64) -> Self {
        Self {
            what: what.to_owned(),
            baseline: baseline.to_owned(),
            figure: format!("{ratio:.2} x"),
            target: format!("{at_most} x"),
            met: Some(ratio <= at_most),
        }
    }

    /// Any other figure.
    pub(crate) fn figure(what: &str, figure: String, target: &str, met: bool) -> Self {
        Self {
            what: what.to_owned(),
            baseline: String::new(),
            figure,
            target: target.to_owned(),
            met: Some(met),
        }
    }

    /// What could not be measured here.
    pub(crate) fn skipped(what: &str, why: &str) -> Self {
        Self {
            what: what.to_owned(),
            baseline: String::new(),
            figure: format!("skipped: {why}"),
            target: String::new(),
            met: None,
        }
    }
}

/// The table, as Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![
        "| what | compared with | median | target | met |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(rows.iter().map(|row| {
        let met = match row.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        format!("| {} | {} | {} | {} | {met} |", row.what, row.baseline, row.figure, row.target)
    }));
    lines.join("\n")
}

/// Tells a median and the least as they are, for whoever wonders about a ratio.
pub(crate) fn tell(what: &str, samples: &[Duration]) {
    let least = samples.iter().min().copied().unwrap_or_default();
    crate::tell(format_args!(
        "  median {:9.3} ms, least {:9.3} ms: {what}",
        median(samples) * 1e3,
        least.as_secs_f64() * 1e3
    ));
}

/// The median, in seconds; 0 of nothing.
pub(crate) fn median(samples: &[Duration]) -> f64 {
    let mut seconds: Vec<f64> = samples.iter().map(Duration::as_secs_f64).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or_default()
}
