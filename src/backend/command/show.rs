//! What of a program's output is shown while it runs, and in its log.

use std::path::Path;

use serde_json::Value;

use super::path;
use super::spec::{AnswerFrom, Command, Output, Show};
use crate::backend::text;

/// Longest line, in characters; listings cut it further.
const LINE_MAX: usize = 300;

/// The last thing that it did.
pub(in super::super) fn activity(
    command: &Command,
    tail: &[u8],
    root: Option<&Path>,
) -> Option<String> {
    text::lines_from_end(tail).find_map(|line| {
        let shown = match command.output {
            Output::Events => render(command, line, root)?,
            Output::Text | Output::Json => String::from_utf8_lossy(line).into_owned(),
        };
        let line = text::one_line(shown.lines().last()?.as_bytes(), LINE_MAX);
        (!line.is_empty()).then_some(line)
    })
}

/// An event as people read it; what is no event as it is.
pub(in super::super) fn render(
    command: &Command,
    line: &[u8],
    root: Option<&Path>,
) -> Option<String> {
    if command.output != Output::Events {
        return Some(String::from_utf8_lossy(line).into_owned());
    }
    let Some(event) = text::object(line) else {
        let line = text::one_line(line, LINE_MAX);
        return (!line.is_empty()).then_some(line);
    };
    let shown = command.show.iter().find(|show| path::fits(&event, &show.within));
    let answer = || {
        let rule = &command.answer;
        let is_ours = rule.from == AnswerFrom::Path && path::fits(&event, &rule.within);
        is_ours.then(|| path::text(&event, &rule.path)).flatten()
    };
    let said = match shown {
        Some(show) => Some(filled(show, &event)),
        None => answer(),
    };
    let said = said.filter(|said| !said.trim().is_empty())?;
    Some(match root.and_then(Path::to_str) {
        Some(root) => said.replace(&format!("{root}/"), ""),
        None => said,
    })
}

/// The line of an event. A hole that nothing fits stays empty.
fn filled(show: &Show, event: &Value) -> String {
    let mut line = String::new();
    let mut rest = show.text.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        line.push_str(before);
        let Some((at, after)) = after.split_once('}') else {
            line.push('{');
            rest = after;
            continue;
        };
        line.push_str(&path::text(event, at).unwrap_or_default());
        rest = after;
    }
    line.push_str(rest);
    line.trim_end().to_owned()
}
