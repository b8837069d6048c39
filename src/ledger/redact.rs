//! What stands in an event because somebody has said it, and so may have a secret
//! in it: none is written down. What is to be run or found again is not touched;
//! whoever starts a job sees to it that there is none in that.

use std::borrow::Cow;

use super::Event;
use crate::job::secret;

/// The event as it may be written down.
pub(super) fn redacted(mut event: Event) -> Event {
    for text in said(&mut event) {
        if let Cow::Owned(clean) = secret::redacted(text) {
            *text = clean;
        }
    }
    event
}

/// Sentences, titles and lines of others.
fn said(event: &mut Event) -> Vec<&mut String> {
    match event {
        Event::Spawned(spec) => {
            let item = spec.task.as_mut().and_then(|task| task.item.as_mut());
            item.into_iter().chain([&mut spec.title]).collect()
        }
        Event::Note(note) => vec![&mut note.text],
        Event::Exited(exited) => exited.reason.iter_mut().collect(),
        Event::Held(held) => vec![&mut held.command],
        Event::FellOver(fell) => vec![&mut fell.reason],
        Event::OnHold(hold) => vec![&mut hold.reason],
        Event::RunRevised(revised) => {
            let prompts = revised.changed.iter_mut().map(|task| &mut task.prompt);
            prompts.chain([&mut revised.why]).collect()
        }
        Event::TaskSkipped(skipped) => vec![&mut skipped.reason],
        Event::RunEnded(ended) => ended.reason.iter_mut().collect(),
        Event::Started(_)
        | Event::Waiting(_)
        | Event::Queued
        | Event::Admitted
        | Event::Based(_)
        | Event::Worktree(_)
        | Event::Running(_)
        | Event::Used(_)
        | Event::HoldOver
        | Event::KillRequested(_)
        | Event::Lost
        | Event::Collected
        | Event::Merged(_)
        | Event::Unmerged(_)
        | Event::NotPicked(_)
        | Event::Cleaned(_)
        | Event::RunStarted(_)
        | Event::RunRunning(_)
        | Event::RunStopping(_)
        | Event::Unknown => Vec::new(),
    }
}
