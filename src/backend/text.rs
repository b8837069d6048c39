//! Reading output that may be torn, huge, or not text at all.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anstream::adapter::strip_str;
use serde_json::Value;

/// Longest line that is read, in bytes; longer ones are skipped. An event with
/// a whole file in it is far below.
const LINE_MAX: usize = 16 << 20;

/// How many lines of a command's output are shown: the last ones.
const OUTPUT_LINES: usize = 10;

/// Longest line of it, in characters.
const OUTPUT_WIDTH: usize = 300;

/// The JSON object on a line; none for blank, torn and other lines. Invalid
/// UTF-8 is replaced.
pub(super) fn object(line: &[u8]) -> Option<Value> {
    let line = line.trim_ascii();
    if line.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(line).ok().or_else(|| match str::from_utf8(line) {
        Ok(_) => None,
        Err(_) => serde_json::from_str(&String::from_utf8_lossy(line)).ok(),
    })
}

/// The last lines that a command put out, indented; how many there were before.
pub(super) fn last_lines(said: &str) -> Option<String> {
    let plain = strip_str(said).to_string();
    // Of what was written over with a carriage return, the last stays.
    let last = |line| str::trim_end_matches(line, '\r').rsplit('\r').next().unwrap_or_default();
    let plain_chars = |c: &char| *c == '\t' || !c.is_control();
    let lines: Vec<String> = plain
        .trim_end()
        .lines()
        .map(|line| last(line).chars().filter(plain_chars).take(OUTPUT_WIDTH).collect())
        .collect();
    let cut = lines.len().saturating_sub(OUTPUT_LINES);
    let before = (cut > 0).then(|| format!("  ({cut} more lines; --raw has them)"));
    let shown: Vec<String> = before
        .into_iter()
        .chain(lines.iter().skip(cut).map(|line| format!("  {line}").trim_end().to_owned()))
        .collect();
    (!shown.is_empty()).then(|| shown.join("\n"))
}

/// Calls `each` with every line of `reader`, without its line end. A line longer
/// than 16 MiB is left out, so memory stays bounded.
pub(super) fn for_each_line(
    mut reader: impl BufRead,
    mut each: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = io::Read::take(&mut reader, LINE_MAX as u64);
        if limited.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let whole = line.last() == Some(&b'\n') || line.len() < LINE_MAX;
        if whole {
            each(line.trim_ascii_end());
        } else {
            reader.skip_until(b'\n')?;
        }
    }
}

/// A reader on `path`; a file that does not exist is empty.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    match File::open(path) {
        Ok(file) => Ok(Box::new(BufReader::with_capacity(1 << 16, file))),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Box::new(io::empty())),
        Err(err) => Err(err),
    }
}

/// The last `max` bytes of `path`; a file that does not exist is empty.
pub(super) fn tail(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(err),
    };
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(max)))?;
    let mut tail = Vec::new();
    file.take(max).read_to_end(&mut tail)?;
    Ok(tail)
}

/// `bytes` as one line of plain text: no escape sequences, no control
/// characters, single spaces, at most `max` characters.
pub(super) fn one_line(bytes: &[u8], max: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = strip_str(&text).to_string();
    let mut line = String::new();
    let mut chars = 0;
    for word in
        plain.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty())
    {
        let room = max - chars;
        let needed = word.chars().count() + usize::from(chars > 0);
        if chars > 0 && needed <= room {
            line.push(' ');
        }
        if needed > room {
            line.extend(word.chars().take(if chars > 0 { 0 } else { room.saturating_sub(1) }));
            line.push('…');
            break;
        }
        line.push_str(word);
        chars += needed;
    }
    line
}

/// A UUID of a job's own, for programs whose sessions we may name. The job's 16
/// digits are unique, and the rest of it is fixed (version 8: made by the rule of
/// an application).
pub(super) fn uuid(id: &str) -> String {
    let digits: String =
        id.chars().filter(char::is_ascii_hexdigit).chain(std::iter::repeat('0')).take(16).collect();
    let (time, rest) = digits.split_at(8);
    let (middle, rest) = rest.split_at(4);
    format!("{time}-{middle}-8c0d-8000-00000000{rest}")
}

/// The same for programs that know only versions up to 5: it passes for a random one.
pub(super) fn uuid_as_random(id: &str) -> String {
    uuid(id).replacen("-8c0d-", "-4c0d-", 1)
}

/// The last lines of `tail`, newest first. What stands before a carriage return
/// was overwritten on the terminal and is left out.
pub(super) fn lines_from_end(tail: &[u8]) -> impl Iterator<Item = &[u8]> {
    tail.rsplit(|&b| b == b'\n').map(|line| {
        let line = line.trim_ascii_end();
        line.rsplit(|&b| b == b'\r').next().unwrap_or(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_too_long_ones_not_at_all() {
        let mut seen = Vec::new();
        let mut input = b"a\r\n\n".to_vec();
        input.extend(std::iter::repeat_n(b'x', LINE_MAX + 10));
        input.extend(b"\nb\nlast");
        for_each_line(&input[..], |line| seen.push(line.to_vec())).expect("reads");
        assert_eq!(seen, [&b"a"[..], b"", b"b", b"last"]);
    }

    #[test]
    fn a_tail_is_the_end_of_a_file() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("out");
        assert_eq!(tail(&path, 4).expect("empty"), b"");
        std::fs::write(&path, "abcdef").expect("writes");
        assert_eq!(tail(&path, 4).expect("reads"), b"cdef");
        assert_eq!(tail(&path, 9).expect("reads"), b"abcdef");
    }

    #[test]
    fn one_line_is_plain_and_short() {
        assert_eq!(one_line(b"\x1b[31mred\x1b[0m  \t and\x07 more\n", 80), "red and more");
        assert_eq!(one_line(b"a\xffb", 80), "a\u{fffd}b");
        assert_eq!(one_line(b"one two three", 8), "one two…");
        assert_eq!(one_line("ü".repeat(20).as_bytes(), 5), "üüüü…");
        assert_eq!(one_line(b" \n ", 5), "");
    }
}
