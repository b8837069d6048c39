//! Everything that is printed.
//!
//! stdout is the answer, stderr is narration. Colour and escapes appear only on
//! a terminal (`anstream` decides, `NO_COLOR` and `--color` are honoured), and
//! without one there is no decoration: what a script reads is plain.

mod duration;
mod notice;
mod output;
mod paint;
pub mod progress;
mod table;
mod text;

pub use duration::{clock, clock_to_the_minute, short};
pub use notice::{Notification, has_desktop};
pub use output::{
    Out, columns, failure, hint, is_terminal, note, out, plain, stderr_columns, stderr_is_terminal,
    stderr_rows, warn,
};
pub use paint::{BAD, GOOD, LIVE, ODD};
pub use table::{Align, Table};
pub use text::{clean, cut, plural, quoted, size, width};
