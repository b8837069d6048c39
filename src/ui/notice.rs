//! What tells a person who looks elsewhere that something is over: a message on
//! the desktop, or one that their terminal shows for them, and its bell.

use std::ffi::OsString;

use super::text::{clean, cut};

/// Two lines for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    summary: String,
    body: String,
}

/// Whether there may be a desktop. `variable` reads the environment.
pub fn has_desktop(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let signs = ["WAYLAND_DISPLAY", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS"];
    signs.iter().any(|name| variable(name).is_some_and(|value| !value.is_empty()))
}

impl Notification {
    /// `summary` is what has happened, `body` to what. Of both only what fits a line
    /// and cannot paint is shown.
    pub fn new(summary: &str, body: &str) -> Self {
        Self { summary: cut(&clean(summary), 80), body: cut(&clean(body), 120) }
    }

    /// The arguments of `notify-send`, whose body is a kind of HTML.
    pub fn desktop_args(&self) -> Vec<OsString> {
        let plain = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        ["--app-name=cx", "--", &self.summary, &plain(&self.body)].map(OsString::from).to_vec()
    }

    /// What is written to a terminal: the bell, and the sequence by which this kind of
    /// terminal shows a message, where there is one. `variable` reads the environment.
    pub fn for_terminal(&self, variable: impl Fn(&str) -> Option<OsString>) -> String {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let term = variable("TERM").unwrap_or_default();
        let term = term.to_string_lossy();
        // A `;` would begin the next part.
        let (summary, body) = (self.summary.replace(';', ","), self.body.replace(';', ","));
        let is_plain = term.is_empty() || term == "linux" || term == "dumb";
        if is_plain || is_set("TMUX") || is_set("STY") {
            // tmux and screen keep the message, and pass on the bell.
            return "\x07".to_owned();
        }
        let knows_777 =
            is_set("VTE_VERSION") || term.starts_with("rxvt") || term.starts_with("foot");
        if knows_777 {
            return format!("\x1b]777;notify;{summary};{body}\x1b\\\x07");
        }
        let gap = if body.is_empty() { "" } else { ": " };
        format!("\x1b]9;{summary}{gap}{body}\x1b\\\x07")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(notification: &Notification, variables: &[(&str, &str)]) -> String {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        notification.for_terminal(|name| find(name).map(|(_, value)| value.into()))
    }

    #[test]
    fn a_terminal_is_told_in_its_own_words() {
        let told = Notification::new("auth succeeded", "Fix a; then b");
        let osc_9 = "\x1b]9;auth succeeded: Fix a, then b\x1b\\\x07";
        assert_eq!(said(&told, &[("TERM", "xterm-kitty")]), osc_9);
        let osc_777 = "\x1b]777;notify;auth succeeded;Fix a, then b\x1b\\\x07";
        assert_eq!(said(&told, &[("TERM", "xterm-256color"), ("VTE_VERSION", "7600")]), osc_777);
        assert_eq!(said(&told, &[("TERM", "foot")]), osc_777);
        for only_bell in
            [&[("TERM", "linux")][..], &[("TERM", "tmux-256color"), ("TMUX", "/t")], &[]]
        {
            assert_eq!(said(&told, only_bell), "\x07");
        }
    }

    #[test]
    fn nothing_in_it_can_paint_or_pass_for_more() {
        let told = Notification::new("a\x1b]9;b\x07", "<b>x</b> & --y\n\x1b[2J");
        assert_eq!(
            told.desktop_args(),
            ["--app-name=cx", "--", "a]9;b", "&lt;b>x&lt;/b> &amp; --y [2J"]
        );
        assert_eq!(said(&told, &[("TERM", "xterm")]).matches('\x1b').count(), 2);
    }
}
