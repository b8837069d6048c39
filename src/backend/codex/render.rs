//! An event as a line for people, for `cx logs`.

use std::path::Path;

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
    let (mark, text) = match &event {
        Event::Message(message) => return Some(message.trim_end().to_owned()),
        // Of what begins and ends, the end is told; of a command the beginning, and
        // an end that is not well.
        Event::TurnStarted
        | Event::Thread(_)
        | Event::Thinking
        | Event::Edit { stage: Stage::Started, .. }
        | Event::Search { stage: Stage::Started, .. }
        | Event::Tool { stage: Stage::Started, .. }
        | Event::CommandEnded { exit: Some(0), .. } => return None,
        Event::CommandStarted { .. } => ('$', activity::sentence(&event, root)?),
        Event::Error(_) | Event::TurnFailed(_) => ('!', activity::sentence(&event, root)?),
        _ => ('·', activity::sentence(&event, root)?),
    };
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| format!("{mark} {text}"))
}
