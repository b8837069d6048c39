//! What the ledger says of a job is text: its paths, and the id that is its alone.

use std::{fs, io::Read, path::Path};

use crate::failure::Failure;

/// A path as the ledger can hold it.
pub(super) fn path_text(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!(
            "the path {} is not UTF-8, and the ledger cannot hold it",
            path.display()
        ))
        .hint("rename the folder, or work in another")
    })
}

/// 16 hexadecimal digits that no other job anywhere has.
pub(super) fn unique_id() -> Result<String, Failure> {
    let mut bytes = [0_u8; 8];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|e| Failure::internal(format!("cannot read /dev/urandom: {e}")))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}
