//! The secrets in the environment of this process.

use std::{ffi::OsString, path::Path};

use crate::job::secret::{self, Secrets};

/// Keeps to this process what stands in its variables of the usual patterns, and of
/// `more`.
pub fn keep(more: &[String]) {
    let patterns: Vec<&str> =
        secret::PATTERNS.into_iter().chain(more.iter().map(String::as_str)).collect();
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let is_place = |value: &str| value.starts_with('/') && Path::new(value).exists();
    secret::keep(Secrets::of(std::env::vars_os().filter_map(text), &patterns, is_place));
}
