//! What the model does: a list of steps, played one request at a time.

use serde_json::Value;

/// The turns of a model, for prompts that contain a marker.
///
/// A step that calls a tool ends its request; codex runs the tool and asks
/// again, and the next step answers. The server keeps no position: the number
/// of tool outputs after the prompt says which step is next, so that a retry or
/// a resumed thread goes on at the right place. A step that spoils its request
/// answers nothing; it does so for ever, or as often as [`Script::times`] says.
/// When no step is left the model says `done`.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone)]
pub(super) struct Step {
    pub(super) action: Action,
    /// How many requests a spoiling step spoils; None: all.
    pub(super) times: Option<u32>,
    /// `[input, cached, output, reasoning]` tokens of the response.
    pub(super) usage: [u64; 4],
    /// Output items that come first in the same response.
    pub(super) before: Vec<Value>,
}

#[derive(Clone)]
pub(super) enum Action {
    Say(String),
    Empty,
    Fail { code: String, message: String },
    Call(Call),
    Spoil(Spoil),
}

#[derive(Clone)]
pub(super) enum Call {
    Shell(String),
    Patch(String),
    Tool { name: String, input: Value },
}

#[derive(Clone)]
pub(super) enum Spoil {
    Status { code: u16, retry_after: Option<u64> },
    Drop,
    Hang,
    Stall,
    BadJson,
}

impl Step {
    /// With the tokens that a response uses if nothing else is said.
    pub(super) fn plain(action: Action) -> Self {
        Self { action, times: None, usage: [1000, 100, 20, 5], before: vec![] }
    }
}

impl Script {
    /// A script with no step yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The final answer.
    pub(crate) fn say(self, text: &str) -> Self {
        self.step(Action::Say(text.to_owned()))
    }

    /// A completed response without any output.
    pub(crate) fn empty(self) -> Self {
        self.step(Action::Empty)
    }

    /// A `response.failed` event, such as `context_length_exceeded`.
    pub(crate) fn fail(self, code: &str, message: &str) -> Self {
        self.step(Action::Fail { code: code.to_owned(), message: message.to_owned() })
    }

    /// Has a shell command run.
    pub(crate) fn shell(self, command: &str) -> Self {
        self.step(Action::Call(Call::Shell(command.to_owned())))
    }

    /// Has a new file written by `apply_patch`: `text` is its lines, and the
    /// file ends with a newline.
    pub(crate) fn write(self, path: &str, text: &str) -> Self {
        let lines = text.strip_suffix('\n').unwrap_or(text).replace('\n', "\n+");
        self.patch(&format!("*** Begin Patch\n*** Add File: {path}\n+{lines}\n*** End Patch\n"))
    }

    /// Has a patch applied, in the `*** Begin Patch` form.
    pub(crate) fn patch(self, patch: &str) -> Self {
        self.step(Action::Call(Call::Patch(patch.to_owned())))
    }

    /// Has a tool of claude's called, or of codex one of an MCP server: `mcp__SERVER__TOOL`.
    pub(crate) fn tool(self, name: &str, input: Value) -> Self {
        self.step(Action::Call(Call::Tool { name: name.to_owned(), input }))
    }

    /// An HTTP error instead of a response.
    pub(crate) fn status(self, code: u16) -> Self {
        self.step(Action::Spoil(Spoil::Status { code, retry_after: None }))
    }

    /// An HTTP error with `Retry-After`, in seconds.
    pub(crate) fn status_retry_after(self, code: u16, seconds: u64) -> Self {
        self.step(Action::Spoil(Spoil::Status { code, retry_after: Some(seconds) }))
    }

    /// Half a response, then the connection is closed.
    pub(crate) fn drop_stream(self) -> Self {
        self.step(Action::Spoil(Spoil::Drop))
    }

    /// No answer at all, not even headers, until the client goes away.
    pub(crate) fn hang(self) -> Self {
        self.step(Action::Spoil(Spoil::Hang))
    }

    /// A response that begins and then says no more, until the client goes away.
    pub(crate) fn stall(self) -> Self {
        self.step(Action::Spoil(Spoil::Stall))
    }

    /// An event whose data is no JSON, then an orderly end.
    pub(crate) fn bad_json(self) -> Self {
        self.step(Action::Spoil(Spoil::BadJson))
    }

    /// The last step spoils only so many requests of each thread.
    pub(crate) fn times(mut self, count: u32) -> Self {
        let step = self.last();
        assert!(matches!(step.action, Action::Spoil(_)), "only what spoils can do so some times");
        step.times = Some(count);
        self
    }

    /// The tokens that the last step's response has used.
    pub(crate) fn usage(mut self, input: u64, cached: u64, output: u64, reasoning: u64) -> Self {
        self.last().usage = [input, cached, output, reasoning];
        self
    }

    /// An output item that comes before the last step's own, as it stands.
    pub(crate) fn after_item(mut self, item: Value) -> Self {
        self.last().before.push(item);
        self
    }

    fn step(mut self, action: Action) -> Self {
        self.steps.push(Step::plain(action));
        self
    }

    fn last(&mut self) -> &mut Step {
        self.steps.last_mut().expect("there is a step to say this of")
    }
}
