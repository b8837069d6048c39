//! Whether a server answers, as its response comes. What a job has used is told at its end.

use super::digest::Head;

/// Looks at one line after the other.
#[derive(Debug, Default)]
pub(in super::super) struct Counter {
    /// A response has begun that is no refusal. A stream may still become one, until it is
    /// complete.
    pub(in super::super) answered: bool,
    head: Option<Head>,
}

impl Counter {
    /// The next whole line.
    pub(in super::super) fn line(&mut self, line: &[u8]) {
        let line = line.trim_ascii_end();
        // Other lines may be long, and say nothing of this.
        if line.starts_with(b"HTTP/") {
            self.head = Head::begun(&String::from_utf8_lossy(line));
        } else if line == b"event: complete" {
            self.answered = true;
        } else if let Some(head) = &mut self.head {
            if line.is_empty() {
                self.answered |= head.is_success() && !head.is_stream();
                self.head = None;
            } else {
                head.header(&String::from_utf8_lossy(line));
            }
        }
    }
}
