//! The secrets in the environment of this process.

use std::{ffi::OsString, path::Path};

use crate::job::secret::{self, Secrets};

/// Keeps to this process what stands in its variables of the usual patterns. Before
/// anything is said or written down.
pub fn keep() {
    of_patterns(&secret::PATTERNS);
}

/// Keeps what stands in variables of `more` patterns as well.
pub fn keep_also(more: &[String]) {
    // Going through the environment costs as much as half of a start.
    if !more.is_empty() {
        of_patterns(&more.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

fn of_patterns(patterns: &[&str]) {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let is_place = |value: &str| value.starts_with('/') && Path::new(value).exists();
    secret::keep(Secrets::of(std::env::vars_os().filter_map(text), patterns, is_place));
}
