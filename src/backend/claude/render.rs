//! An event as a line for people, for `cx logs`.

use std::path::Path;

use super::super::text;
use super::activity;
use super::event::{self, Event};

/// What a line of output says, or nothing where it says nothing to a person.
/// Messages keep their lines; everything else is one line.
pub(in super::super) fn render(line: &[u8], root: Option<&Path>) -> Option<String> {
    let Some(value) = event::parse(line) else {
        let text = String::from_utf8_lossy(line.trim_ascii());
        return (!text.is_empty()).then(|| format!("? {text}"));
    };
    let shown: Vec<String> =
        Event::of(&value).iter().filter_map(|event| rendered(event, root)).collect();
    (!shown.is_empty()).then(|| shown.join("\n"))
}

fn rendered(event: &Event<'_>, root: Option<&Path>) -> Option<String> {
    let (mark, said) = match event {
        Event::Text(message) => {
            let message = message.trim_end();
            return (!message.is_empty()).then(|| message.to_owned());
        }
        Event::Call(call) if call.name == "Bash" => ('$', activity::command(call).to_owned()),
        Event::Call(call) => ('·', activity::sentence(call, None, root)),
        // What was read or written is not shown, only what went wrong with it.
        Event::Returned { failed: false, of_command: false, .. } => return None,
        Event::Returned { output, failed, .. } => {
            let ended = failed.then(|| "· failed".to_owned());
            let shown: Vec<String> = text::last_lines(output).into_iter().chain(ended).collect();
            return (!shown.is_empty()).then(|| shown.join("\n"));
        }
        Event::Denied { .. } | Event::Retry { .. } => ('!', activity::remark(event)?),
        Event::Result(result) if result.is_error => ('!', activity::remark(event)?),
        Event::Session(_) | Event::Thinking | Event::Result(_) => return None,
    };
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    (!said.is_empty()).then(|| format!("{mark} {said}"))
}
