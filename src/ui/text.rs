//! Text that comes from others, made fit for one line of a terminal.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that `text` takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` on one line, without control characters: a worker must not be able
/// to paint on the terminal of whoever lists it.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() {
            gap = !out.is_empty();
        } else if !c.is_control() {
            if gap {
                out.push(' ');
                gap = false;
            }
            out.push(c);
        }
    }
    out
}

/// `bytes` for a terminal: newlines, tabs and whole colour sequences as they are,
/// every other control character as the picture that Unicode has of it (`␛`).
pub(super) fn tame(bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_plain = |b: &u8| !matches!(*b, 0..=8 | 11..=31 | 127 | 0xc2);
    if bytes.iter().all(is_plain) {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        let colour = colour_sequence(rest);
        if colour > 0 {
            out.extend_from_slice(&rest[..colour]);
            rest = &rest[colour..];
            continue;
        }
        rest = match (first, after) {
            (b'\r', [b'\n', ..]) => after,
            // The second half of the control characters, U+0080 to U+009F.
            (0xc2, [0x80..=0x9f, behind @ ..]) => {
                out.extend_from_slice("\u{fffd}".as_bytes());
                behind
            }
            (b'\n' | b'\t' | 32..=126 | 128.., _) => {
                out.push(first);
                after
            }
            (control, _) => {
                let picture = if control == 127 { 0x21 } else { control };
                let picture = char::from_u32(0x2400 + u32::from(picture)).unwrap_or(' ');
                out.extend_from_slice(picture.encode_utf8(&mut [0; 4]).as_bytes());
                after
            }
        };
    }
    Cow::Owned(out)
}

/// The length of the sequence for colours with which `bytes` begin, or 0.
fn colour_sequence(bytes: &[u8]) -> usize {
    let Some(parameters) = bytes.strip_prefix(b"\x1b[") else { return 0 };
    let end = parameters.iter().position(|b| !matches!(b, b'0'..=b'9' | b';' | b':'));
    end.filter(|end| parameters[*end] == b'm').map_or(0, |end| end + 3)
}

/// `text` cut to `columns`, with `…` where something was left out.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > columns.saturating_sub(1) {
            break;
        }
        used += w;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// One word for sh, whatever is in it.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// `1 job`, `2 jobs`.
pub fn plural(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// A number of bytes as people read it: `1.2 GB`, in powers of a thousand.
pub fn size(bytes: u64) -> String {
    let mut unit = 1_u64;
    let names = ["kB", "MB", "GB", "TB"];
    let mut shown = format!("{bytes} B");
    for name in names {
        if bytes / unit < 1000 {
            break;
        }
        unit *= 1000;
        let tenths = bytes / (unit / 10);
        shown = if tenths < 100 {
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        } else {
            format!("{} {name}", bytes / unit)
        };
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_or_three_digits() {
        let shown = [0, 999, 1000, 1234, 12_345, 999_999, 1_000_000, 20_000_000_000, u64::MAX];
        let shown = shown.map(size);
        let expected = ["0 B", "999 B", "1.0 kB", "1.2 kB", "12 kB", "999 kB", "1.0 MB", "20 GB"];
        assert_eq!(shown[..8], expected);
        assert_eq!(shown[8], "18446744 TB");
    }

    #[test]
    fn a_worker_cannot_paint_on_the_terminal() {
        let tamed = |bytes: &[u8]| String::from_utf8_lossy(&tame(bytes)).into_owned();
        assert!(matches!(tame("plain, Übung\n\tx".as_bytes()), Cow::Borrowed(_)));
        assert_eq!(tamed(b"\x1b[1;31mred\x1b[0m\r\n"), "\x1b[1;31mred\x1b[0m\n");
        assert_eq!(tamed(b"\x1b[2J\x1b]0;title\x07"), "␛[2J␛]0;title␇");
        assert_eq!(tamed(b"10%\r20%\x7f\x1b"), "10%␍20%␡␛");
        assert_eq!(tamed("\u{9b}2J".as_bytes()), "\u{fffd}2J");
        assert_eq!(tame(b"\xff\xc2"), &b"\xff\xc2"[..]);
    }

    #[test]
    fn text_of_others_stays_on_its_line() {
        assert_eq!(clean("  a\n\tb \u{1b}[31mred\u{7}"), "a b [31mred");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
    }
}
