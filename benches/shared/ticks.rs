//! What of a processor was used, which a busy machine changes less than the time.

use std::fs;

/// The processor time of this process and its children, in clock ticks.
pub(crate) fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').skip(11).take(4).map(|field| field.parse::<u64>().unwrap()).sum()
}
