//! The tables `[pool]` and `[port]`: what is kept of worktrees, and which ports are whose.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::value::Span;
use super::{file::File, first};
use crate::job::JobId;

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

/// Where the kernel's own choice of ports begins, by default.
const EPHEMERAL: u16 = 32_768;

impl Ports {
    /// The first port of a job, by its number and where the state of its repository lies:
    /// no two of a repository's jobs have the same, unless another thousand lie between them,
    /// and other repositories begin elsewhere. Whether nobody else listens there is not
    /// asked: it could be otherwise a moment later.
    pub fn of_job(self, state: &Path, id: JobId) -> Option<u16> {
        let blocks = EPHEMERAL.checked_sub(self.first)?.checked_div(self.count)?;
        let here =
            state.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| {
                (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
            });
        let block = (here >> 32).wrapping_add(id.0).checked_rem(u64::from(blocks))?;
        let offset = u16::try_from(block).ok()?.checked_mul(self.count)?;
        self.first.checked_add(offset)
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
    fn each_job_has_ports_of_its_own() {
        let ports = Ports { first: 20_000, count: 10 };
        let of = |state: &str, id| ports.of_job(Path::new(state), JobId(id)).unwrap();
        let mut all: Vec<u16> = (1..=1276).map(|id| of("/a/.git/cx", id)).collect();
        assert!(all.iter().all(|port| (20_000..=32_758).contains(port) && port % 10 == 0));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1276);
        assert_ne!(of("/a/.git/cx", 1), of("/b/.git/cx", 1));
        for (first, count) in [(20_000, 0), (40_000, 10), (32_767, 10)] {
            assert_eq!(Ports { first, count }.of_job(Path::new("/a"), JobId(1)), None);
        }
    }

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
