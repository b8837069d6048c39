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
        Event::TurnStarted | Event::Thread(_) | Event::Thinking => return None,
        // Their ends are told.
        Event::Edit { stage: Stage::Started, .. }
        | Event::Search { stage: Stage::Started, .. }
        | Event::Tool { stage: Stage::Started, .. } => return None,
        Event::CommandStarted { .. } => ('$', activity::sentence(&event, root)?),
        Event::Error(_) | Event::TurnFailed(_) => ('!', activity::sentence(&event, root)?),
        Event::CommandEnded { exit: Some(0), .. } => return None,
        _ => ('·', activity::sentence(&event, root)?),
    };
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| format!("{mark} {text}"))
}
