//! An event as a line for people, for `cx logs`.

use std::path::Path;

use super::super::text;
use super::{
    activity,
    event::{self, Event, Stage},
};

/// What a line of output says, or nothing where it says nothing to a person.
/// Messages keep their lines; everything else is one line.
pub(in super::super) fn render(line: &[u8], root: Option<&Path>) -> Option<String> {
    let Some(value) = event::parse(line) else {
        let text = String::from_utf8_lossy(line.trim_ascii());
        return (!text.is_empty()).then(|| format!("? {text}"));
    };
    let event = Event::of(&value);
    if let Event::CommandEnded { output: said, exit, .. } = &event {
        let ended = match exit {
            Some(0) => None,
            Some(code) => Some(format!("· exit {code}")),
            None => Some("· could not be run".to_owned()),
        };
        let shown = text::last_lines(said).into_iter().chain(ended).collect::<Vec<_>>().join("\n");
        return (!shown.is_empty()).then_some(shown);
    }
    let (mark, text) = match &event {
        Event::Message(message) => return Some(message.trim_end().to_owned()),
        // Of what begins and ends, the end is told; of a command the beginning, its
        // output, and an end that is not well.
        Event::TurnStarted
        | Event::Thread(_)
        | Event::Thinking
        | Event::Edit { stage: Stage::Started, .. }
        | Event::Search { stage: Stage::Started, .. }
        | Event::Tool { stage: Stage::Started, .. } => return None,
        Event::CommandStarted { command } => ('$', activity::script(command)),
        Event::Error(_) | Event::TurnFailed(_) => ('!', activity::sentence(&event, root)?),
        _ => ('·', activity::sentence(&event, root)?),
    };
    let text = one_line(&text);
    (!text.is_empty()).then(|| format!("{mark} {text}"))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(output: &str, code: i64) -> Option<String> {
        let item = serde_json::json!({
            "type": "item.completed",
            "item": {"type": "command_execution", "command": "bash -lc make", "exit_code": code,
                     "aggregated_output": output, "status": "completed"},
        });
        render(item.to_string().as_bytes(), None)
    }

    #[test]
    fn what_a_command_put_out_stands_below_it() {
        assert_eq!(ended("", 0), None);
        assert_eq!(ended("ok\n\n", 0).as_deref(), Some("  ok"));
        assert_eq!(
            ended("10%\r50%\r\n\u{1b}[31mno\u{1b}[0m\n", 2).as_deref(),
            Some("  50%\n  no\n· exit 2")
        );
        let many = (1..=12).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        let shown = ended(&many, 0).expect("lines");
        assert!(shown.starts_with("  (2 more lines; --raw has them)\n  3\n"), "{shown}");
    }
}
