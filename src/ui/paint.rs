//! The colours, each for one meaning.

use anstyle::{AnsiColor, Style};

/// What ended well.
pub const GOOD: Style = AnsiColor::Green.on_default();

/// What did not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// What is not over.
pub const LIVE: Style = AnsiColor::Cyan.on_default();

/// What one should know.
pub const ODD: Style = AnsiColor::Yellow.on_default();
