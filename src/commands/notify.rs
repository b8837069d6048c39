//! Tells the person at this terminal that something is over.

use std::{env, ffi::OsStr, path::Path, time::Duration};

use crate::{
    backend::program,
    process::{run::Question, tty},
    ui::{self, Notification},
};

/// How long the desktop may take to show it.
const PATIENCE: Duration = Duration::from_secs(5);

/// On the desktop where there is one, else on the terminal (ours, if `terminal`
/// names no other), whose bell rings in any case. Where there is neither, nobody
/// is told, and that is no failure.
pub(super) fn notify(told: &Notification, terminal: Option<&Path>) {
    let mut for_terminal = told.for_terminal(|name| env::var_os(name));
    if ui::has_desktop(|name| env::var_os(name)) && on_desktop(told) {
        "\x07".clone_into(&mut for_terminal);
    }
    let own = tty::own();
    if let Some(terminal) = terminal.or(own.as_deref()) {
        let _ = tty::write(terminal, for_terminal.as_bytes());
    }
}

fn on_desktop(told: &Notification) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let Ok(program) = program::locate_word(OsStr::new("notify-send"), &path) else { return false };
    let question = Question {
        program: &program,
        args: told.desktop_args(),
        dir: "/".into(),
        env_remove: &[],
        limit: PATIENCE,
    };
    matches!(question.ask(), Ok(Some(answer)) if answer.code == Some(0))
}
