//! Whether there is something to tidy up, and who is at it: orders in `tidy/` of the state
//! folder, and the lock file `tidy.lock`.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{lock, start};

const LOCK: &str = "tidy.lock";

/// The folder of orders in the state folder.
pub const ORDERS: &str = "tidy";

/// The orders that are to be carried out, the oldest first.
pub fn orders(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state.join(ORDERS)).into_iter().flatten().flatten();
    let whole = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let mut orders: Vec<PathBuf> = whole.map(|entry| entry.path()).collect();
    orders.sort_unstable();
    orders
}

/// The lock of who tidies up, where there is something to do and nobody at it.
pub fn claim(state: &Path) -> io::Result<Option<File>> {
    if orders(state).is_empty() { Ok(None) } else { lock::claim(&state.join(LOCK)) }
}

/// Starts the process that tidies up, where there is something to do and nobody at it.
/// Whether it was started.
pub fn start(state: &Path) -> io::Result<bool> {
    let Some(lock) = claim(state)? else { return Ok(false) };
    start::tidier(state.as_os_str(), lock).map(|()| true)
}

/// Whether somebody is at it.
pub fn is_under_way(state: &Path) -> bool {
    lock::is_held(&state.join(LOCK)).unwrap_or(false)
}
