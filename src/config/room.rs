//! The tables `[pool]` and `[port]`: what is kept of worktrees, and which ports are whose.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::value::Span;
use super::{file::File, first};

const DAY: Duration = Duration::from_hours(24);
const GB: u64 = 1_000_000_000;

/// The table `[pool]` of one file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct PoolLayer {
    max: Option<usize>,
    age: Option<Span>,
    bytes: Option<Bytes>,
    min_files: Option<u64>,
    keep: Option<Vec<String>>,
}

/// The table `[port]` of one file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct PortLayer {
    first: Option<u16>,
    count: Option<u16>,
}

/// Which worktrees wait for the next writer once their job is done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// How many at most; 0 is none.
    pub max: usize,
    /// For how long.
    pub age: Duration,
    /// Bytes on disk, all together.
    pub bytes: u64,
    /// Smaller ones without a cache are deleted.
    pub min_files: u64,
    /// Names of the folders in them that stay; by kind of project where nobody says.
    pub keep: Option<Vec<String>>,
}

/// Which ports jobs are told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The first of all; the last is the one before those that the kernel hands out itself.
    pub first: u16,
    /// How many each job has; 0 is none.
    pub count: u16,
}

impl Pool {
    pub(super) fn of(files: &[File]) -> Self {
        Self {
            max: first(files, |layer| layer.pool.max).unwrap_or(4),
            age: first(files, |layer| layer.pool.age).map_or(7 * DAY, |span| span.0),
            bytes: first(files, |layer| layer.pool.bytes).map_or(20 * GB, |bytes| bytes.0),
            min_files: first(files, |layer| layer.pool.min_files).unwrap_or(1000),
            keep: first(files, |layer| layer.pool.keep.clone()),
        }
    }
}

impl Ports {
    pub(super) fn of(files: &[File]) -> Self {
        Self {
            first: first(files, |layer| layer.port.first).unwrap_or(20_000),
            count: first(files, |layer| layer.port.count).unwrap_or(10),
        }
    }
}

/// A number of bytes, as `"20GB"` or as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;

        impl Visitor<'_> for Word {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"20GB\", \"500MB\" or a number of bytes")
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Bytes, E> {
                let size = u64::try_from(bytes).map(Bytes);
                size.map_err(|_| E::invalid_value(de::Unexpected::Signed(bytes), &self))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Bytes, E> {
                let wrong = || E::invalid_value(de::Unexpected::Str(word), &self);
                size(word).map(Bytes).ok_or_else(wrong)
            }
        }

        deserializer.deserialize_any(Word)
    }
}

fn size(word: &str) -> Option<u64> {
    let units = [("TB", 1000 * GB), ("GB", GB), ("MB", GB / 1000), ("KB", 1000)];
    let binary = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.into_iter().chain(binary).find(|(unit, _)| word.ends_with(unit));
    let (number, unit) = match unit {
        Some((name, unit)) => (word.strip_suffix(name)?, unit),
        None => (word.strip_suffix('B').unwrap_or(word), 1),
    };
    number.trim_end().parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_a_unit() {
        assert_eq!(size("20GB"), Some(20_000_000_000));
        assert_eq!(size("1 GiB"), Some(1 << 30));
        assert_eq!(size("12"), Some(12));
        assert_eq!(size("12B"), Some(12));
        for wrong in ["", "GB", "-1GB", "1.5GB", "1XB", "99999999999TB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
