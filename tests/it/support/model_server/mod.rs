//! A model server on loopback, scripted in Rust, that the real codex and the real
//! claude talk to.
//!
//! It speaks as much of the OpenAI Responses API as `codex exec` uses: `POST
//! /v1/responses` with an event stream, and `GET /v1/models`; and as much of the
//! Anthropic Messages API as `claude -p` uses (`messages`). Which script
//! answers is decided by a marker in the prompt, the last message of the user
//! that is not codex's own context; see [`Script`] for how steps are played.
//! Each connection has a thread; dropping the server closes all and ends them.

mod http;
mod messages;
mod script;

use std::collections::HashMap;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use serde_json::{Value, json};

use super::DEADLINE;
use super::listening::Listening;
pub(crate) use script::Script;
use script::{Action, Call, Spoil, Step};

/// How codex's own context begins, which it sends as messages of the user.
const CONTEXT: &[&str] =
    &["<environment_context>", "<user_instructions>", "# AGENTS.md instructions"];

/// The server. It runs until it is dropped.
pub(crate) struct ModelServer {
    shared: Arc<Shared>,
    listening: Listening,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    scripts: Vec<(String, Script)>,
    requests: Vec<Value>,
    /// How many requests each spoiling step has spoiled, by thread and step.
    spoiled: HashMap<(String, usize), u32>,
    /// How many clients went away from a request that was never to be answered.
    abandoned: usize,
    complaints: Vec<String>,
}

impl ModelServer {
    /// Starts a server on a free port of loopback.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let listening = Listening::start(move |stream| serving.serve(stream));
        Self { shared, listening }
    }

    /// `http://127.0.0.1:PORT/v1`, for a provider's configuration.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.listening.address())
    }

    /// `http://127.0.0.1:PORT`, for `ANTHROPIC_BASE_URL`.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.listening.address())
    }

    /// Prompts that contain `marker` are answered by `script`; the first marker
    /// that fits counts. A prompt without one gets an empty script.
    pub(crate) fn on(&self, marker: &str, script: Script) {
        self.shared.state().scripts.push((marker.to_owned(), script));
    }

    /// The model knows no script any more.
    pub(crate) fn forget(&self) {
        self.shared.state().scripts.clear();
    }

    /// The bodies of all requests for a response so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.shared.state().requests.clone()
    }

    /// The prompt of each request so far, as the model would read it.
    pub(crate) fn prompts(&self) -> Vec<String> {
        self.requests()
            .iter()
            .map(|body| {
                let prompt = prompt_of(body).or_else(|| messages::prompt_of(body));
                prompt.map_or_else(String::new, |p| p.1)
            })
            .collect()
    }

    /// Waits until `count` requests have come, answered or not.
    #[track_caller]
    pub(crate) fn wait_for_requests(&self, count: usize) {
        self.wait_for_count("requests that came", count, |state| state.requests.len());
    }

    /// Waits until clients have gone away from `count` requests that hung or stalled.
    #[track_caller]
    pub(crate) fn wait_for_abandoned(&self, count: usize) {
        self.wait_for_count("requests that were given up", count, |state| state.abandoned);
    }

    #[track_caller]
    fn wait_for_count(&self, what: &str, wanted: usize, count: impl Fn(&State) -> usize) {
        let state = self.shared.state();
        let too_few = |state: &mut State| count(state) < wanted;
        let (state, _) = self.shared.changed.wait_timeout_while(state, DEADLINE, too_few).unwrap();
        let came = count(&state);
        drop(state);
        assert!(came >= wanted, "{what}: {wanted} were awaited, there are {came}");
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.listening.stop();
        let complaints = std::mem::take(&mut self.shared.state().complaints);
        if !thread::panicking() {
            assert!(complaints.is_empty(), "the model server was not understood: {complaints:?}");
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let Some(request) = http::read_request(stream)? else { return Ok(()) };
        match (request.method.as_str(), request.path.split('?').next()) {
            ("GET", Some("/v1/models")) => http::answer(
                stream,
                200,
                None,
                &json!({ "object": "list", "data": [], "models": [] }),
            ),
            // `codex doctor` only looks whether somebody is there.
            ("HEAD", Some("/v1/responses")) => http::answer(stream, 405, None, &json!({})),
            ("POST", Some("/v1/responses")) => match serde_json::from_slice(&request.body) {
                Ok(body) => self.respond(stream, &body),
                Err(error) => self.complain(stream, &format!("a request is not JSON: {error}")),
            },
            // `claude` only looks whether somebody is there.
            ("HEAD", Some("/")) => http::answer(stream, 200, None, &json!({})),
            ("POST", Some("/v1/messages")) => match serde_json::from_slice(&request.body) {
                Ok(body) => self.respond_as_messages(stream, &body),
                Err(error) => self.complain(stream, &format!("a request is not JSON: {error}")),
            },
            (method, _) => {
                self.complain(stream, &format!("no such page: {method} {}", request.path))
            }
        }
    }

    /// What a test must hear of although only codex sees the answer.
    fn complain(&self, stream: &TcpStream, complaint: &str) -> io::Result<()> {
        self.state().complaints.push(complaint.to_owned());
        http::answer(stream, 400, None, &json!({ "error": { "message": complaint } }))
    }

    /// Keeps a request, and gives its number.
    fn record(&self, body: &Value) -> usize {
        let mut state = self.state();
        state.requests.push(body.clone());
        let id = state.requests.len();
        drop(state);
        self.changed.notify_all();
        id
    }

    fn count_abandoned(&self, spoil: &Spoil) {
        if matches!(spoil, Spoil::Hang | Spoil::Stall) {
            self.state().abandoned += 1;
            self.changed.notify_all();
        }
    }

    fn respond_as_messages(&self, stream: &TcpStream, body: &Value) -> io::Result<()> {
        let (at, prompt) = messages::prompt_of(body).unwrap_or_default();
        let session = body["metadata"]["user_id"].as_str().unwrap_or_default();
        let step = self.next_step(session, at, &prompt, messages::answered(body, at));
        let id = self.record(body);
        messages::respond(stream, id, &step, body)?;
        if let Action::Spoil(spoil) = &step.action {
            self.count_abandoned(spoil);
        }
        Ok(())
    }

    fn respond(&self, stream: &TcpStream, body: &Value) -> io::Result<()> {
        let (at, prompt) = prompt_of(body).unwrap_or_default();
        let outputs = input_of(body).iter().skip(at).filter(|item| {
            item["type"].as_str().is_some_and(|kind| kind.ends_with("_call_output"))
        });
        let thread = body["prompt_cache_key"].as_str().unwrap_or_default();
        let step = self.next_step(thread, at, &prompt, outputs.count());
        let id = self.record(body);
        let mut output = step.before;
        match step.action {
            Action::Spoil(spoil) => {
                spoil_response(stream, id, &spoil)?;
                self.count_abandoned(&spoil);
                return Ok(());
            }
            Action::Say(text) => output.push(message(id, &text)),
            Action::Empty => {}
            Action::Fail { code, message } => {
                begin_response(stream, id)?;
                let error = json!({ "code": code, "message": message });
                let response =
                    json!({ "id": format!("resp_{id}"), "status": "failed", "error": error });
                return http::event(stream, "response.failed", json!({ "response": response }));
            }
            Action::Call(call) => match tool_call(id, &call, body) {
                Ok(item) => output.push(item),
                Err(complaint) => return self.complain(stream, &complaint),
            },
        }
        begin_response(stream, id)?;
        for (index, item) in output.iter().enumerate() {
            send_item(stream, index, item)?;
        }
        let [input, cached, out, reasoning] = step.usage;
        let usage = json!({
            "input_tokens": input,
            "input_tokens_details": { "cached_tokens": cached },
            "output_tokens": out,
            "output_tokens_details": { "reasoning_tokens": reasoning },
            "total_tokens": input + out,
        });
        let response = json!({
            "id": format!("resp_{id}"), "object": "response", "status": "completed",
            "output": output, "usage": usage,
        });
        http::event(stream, "response.completed", json!({ "response": response }))
    }

    /// The step that answers a request whose prompt is item `at` of `thread` and
    /// after which so many tools have answered. A spoiling step is passed over
    /// when a tool has answered after it, or when it has spoiled enough.
    fn next_step(&self, thread: &str, at: usize, prompt: &str, mut answered: usize) -> Step {
        let mut state = self.state();
        let fitting = state.scripts.iter().find(|(marker, _)| prompt.contains(marker));
        let steps = fitting.map(|(_, script)| script.steps.clone()).unwrap_or_default();
        for (index, step) in steps.into_iter().enumerate() {
            match step.action {
                Action::Spoil(_) if answered == 0 => {
                    let spoiled =
                        state.spoiled.entry((format!("{thread} {at}"), index)).or_default();
                    if step.times.is_none_or(|times| *spoiled < times) {
                        *spoiled += 1;
                        return step;
                    }
                }
                Action::Call(_) if answered > 0 => answered -= 1,
                Action::Spoil(_) => {}
                _ => return step,
            }
        }
        let mut ending = Script::new().say("done");
        ending.steps.remove(0)
    }
}

/// The input items of a request.
fn input_of(body: &Value) -> &[Value] {
    body["input"].as_array().map_or(&[], Vec::as_slice)
}

/// The place and the text of the last message of the user that is a prompt.
fn prompt_of(body: &Value) -> Option<(usize, String)> {
    let prompt = |(index, item): (usize, &Value)| {
        if item["type"] != "message" || item["role"] != "user" {
            return None;
        }
        let parts = item["content"].as_array()?.iter().filter_map(|part| part["text"].as_str());
        let text: String = parts.collect();
        (!CONTEXT.iter().any(|context| text.starts_with(context))).then_some((index, text))
    };
    input_of(body).iter().enumerate().rev().find_map(prompt)
}

fn begin_response(stream: &TcpStream, id: usize) -> io::Result<()> {
    http::begin_events(stream)?;
    let response = json!({
        "id": format!("resp_{id}"), "object": "response", "status": "in_progress", "output": [],
    });
    http::event(stream, "response.created", json!({ "response": response }))
}

fn message(id: usize, text: &str) -> Value {
    json!({
        "type": "message", "role": "assistant", "id": format!("msg_{id}"),
        "phase": "final_answer", "status": "completed",
        "content": [{ "type": "output_text", "text": text, "annotations": [] }],
    })
}

/// The item that calls a tool, as the request offers it.
fn tool_call(id: usize, call: &Call, body: &Value) -> Result<Value, String> {
    let (kind, name) = match call {
        Call::Shell(_) => ("function", "exec_command"),
        Call::Patch(_) => ("custom", "apply_patch"),
        Call::Tool { name, input } => return mcp_call(id, name, input),
    };
    let tools = body["tools"].as_array().map_or(&[][..], Vec::as_slice);
    if !tools.iter().any(|tool| tool["type"] == kind && tool["name"] == name) {
        return Err(format!("the request offers no {kind} tool {name}: {tools:?}"));
    }
    let call_id = format!("call_{id}");
    Ok(match call {
        Call::Shell(command) => {
            let arguments = json!({ "cmd": command, "yield_time_ms": 30_000 }).to_string();
            json!({
                "type": "function_call", "id": format!("fc_{id}"), "call_id": call_id,
                "name": name, "arguments": arguments, "status": "completed",
            })
        }
        Call::Patch(patch) => json!({
            "type": "custom_tool_call", "id": format!("ctc_{id}"), "call_id": call_id,
            "name": name, "input": patch, "status": "completed",
        }),
        Call::Tool { .. } => Value::Null,
    })
}

/// The item that calls a tool of an MCP server, `mcp__SERVER__TOOL`. codex offers these only
/// to who searches for them.
fn mcp_call(id: usize, name: &str, input: &Value) -> Result<Value, String> {
    let Some((namespace, tool)) = name.rsplit_once("__").filter(|(space, _)| space.contains("__"))
    else {
        return Err(format!("codex has no tool {name}"));
    };
    Ok(json!({
        "type": "function_call", "id": format!("fc_{id}"), "call_id": format!("call_{id}"),
        "namespace": namespace, "name": tool, "arguments": input.to_string(),
        "status": "completed",
    }))
}

fn send_item(stream: &TcpStream, index: usize, item: &Value) -> io::Result<()> {
    let mut begun = item.clone();
    if item["type"] == "message" {
        begun["content"] = json!([]);
    }
    http::event(
        stream,
        "response.output_item.added",
        json!({ "output_index": index, "item": begun }),
    )?;
    http::event(stream, "response.output_item.done", json!({ "output_index": index, "item": item }))
}

fn spoil_response(mut stream: &TcpStream, id: usize, spoil: &Spoil) -> io::Result<()> {
    use io::Write;
    match spoil {
        Spoil::Status { code, retry_after } => {
            let message = format!("scripted status {code}");
            let error = json!({ "message": message, "type": "scripted", "code": "scripted" });
            http::answer(stream, *code, *retry_after, &json!({ "error": error }))
        }
        Spoil::Drop => {
            begin_response(stream, id)?;
            let item = message(id, "");
            http::event(
                stream,
                "response.output_item.added",
                json!({ "output_index": 0, "item": item }),
            )?;
            let delta = json!({
                "output_index": 0, "item_id": item["id"], "content_index": 0,
                "delta": "half an ans",
            });
            http::event(stream, "response.output_text.delta", delta)
        }
        Spoil::Hang => {
            http::until_closed(stream);
            Ok(())
        }
        Spoil::Stall => {
            begin_response(stream, id)?;
            http::until_closed(stream);
            Ok(())
        }
        Spoil::BadJson => {
            begin_response(stream, id)?;
            stream.write_all(b"event: response.output_item.done\ndata: {\"type\": {nope\n\n")
        }
    }
}
