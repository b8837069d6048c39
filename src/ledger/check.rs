//! Looking for lines of the ledger that say nothing.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
};

use super::{
    line::decode,
    store::{Store, StoreError, at},
};

impl Store {
    /// The numbers of all torn lines, from 1: what a crash cut short, or
    /// something else wrote. A last line without its end is one too.
    pub fn torn_lines(&self) -> Result<Vec<u64>, StoreError> {
        let path = self.ledger_path();
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(at("open", &path))?,
        };
        let mut reader = BufReader::with_capacity(64 * 1024, file);
        let (mut torn, mut line, mut number) = (Vec::new(), Vec::new(), 0);
        while reader.read_until(b'\n', &mut line).map_err(at("read", &path))? > 0 {
            number += 1;
            let whole = line.ends_with(b"\n");
            // An append after a torn line leaves none, but a person's editor may
            // leave an empty one.
            if !(whole && (line == b"\n" || decode(&line).is_some())) {
                torn.push(number);
            }
            line.clear();
        }
        Ok(torn)
    }
}
