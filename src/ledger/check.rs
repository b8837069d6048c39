//! Looking for lines of the ledger that say nothing.

use super::{
    line::decode,
    parts::Chunks,
    store::{Store, StoreError},
};

impl Store {
    /// The numbers of all torn lines, from 1: what a crash cut short, or
    /// something else wrote. A last line without its end is one too.
    pub fn torn_lines(&self) -> Result<Vec<u64>, StoreError> {
        let (mut torn, mut number) = (Vec::new(), 0);
        let mut chunks = Chunks::new(self, 0)?;
        while let Some(lines) = chunks.next()? {
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                number += 1;
                // An append after a torn line leaves none, but a person's editor may
                // leave an empty one.
                if line != b"\n" && decode(line).is_none() {
                    torn.push(number);
                }
            }
        }
        if chunks.has_more()? {
            torn.push(number + 1);
        }
        Ok(torn)
    }
}
