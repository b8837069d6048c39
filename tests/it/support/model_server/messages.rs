//! As much of the Anthropic Messages API as `claude -p` uses.

use std::io::{self, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::http;
use super::script::{Action, Call, Spoil, Step};

/// How claude's own context begins, which it sends as text of the user.
const CONTEXT: &str = "<system-reminder>";

/// The place and the text of the last message of the user that is a prompt.
pub(super) fn prompt_of(body: &Value) -> Option<(usize, String)> {
    let prompt = |(index, message): (usize, &Value)| {
        if message["role"] != "user" {
            return None;
        }
        let text: String = match &message["content"] {
            Value::String(text) => text.clone(),
            parts => parts
                .as_array()?
                .iter()
                .filter_map(|part| part["text"].as_str())
                .filter(|text| !text.starts_with(CONTEXT))
                .collect(),
        };
        (!text.is_empty() && !text.starts_with(CONTEXT)).then_some((index, text))
    };
    messages(body).iter().enumerate().rev().find_map(prompt)
}

/// How many tools have answered since message `at`.
pub(super) fn answered(body: &Value, at: usize) -> usize {
    let parts = messages(body).iter().skip(at).filter_map(|message| message["content"].as_array());
    parts.flatten().filter(|part| part["type"] == "tool_result").count()
}

fn messages(body: &Value) -> &[Value] {
    body["messages"].as_array().map_or(&[], Vec::as_slice)
}

/// Plays `step`, the `id`th of the server.
pub(super) fn respond(stream: &TcpStream, id: usize, step: &Step, body: &Value) -> io::Result<()> {
    if body["stream"] != true {
        return respond_whole(stream, id, step, body);
    }
    let (blocks, reason) = match &step.action {
        Action::Spoil(spoil) => return spoil_response(stream, id, spoil, body),
        Action::Fail { code, message } => {
            begin(stream, id, step, body)?;
            let error = json!({ "type": code, "message": message });
            return http::event(stream, "error", json!({ "error": error }));
        }
        Action::Say(text) => (Some(json!({ "type": "text", "text": text })), "end_turn"),
        Action::Empty => (None, "end_turn"),
        Action::Call(call) => (Some(tool_use(id, call)), "tool_use"),
    };
    begin(stream, id, step, body)?;
    for (index, part) in step.before.iter().chain(&blocks).enumerate() {
        send_part(stream, index, part)?;
    }
    let [_, _, output, _] = step.usage;
    http::event(
        stream,
        "message_delta",
        json!({
            "delta": { "stop_reason": reason, "stop_sequence": null },
            "usage": { "output_tokens": output },
        }),
    )?;
    http::event(stream, "message_stop", json!({}))
}

/// Claude asks without a stream once more where a stream has failed.
fn respond_whole(stream: &TcpStream, id: usize, step: &Step, body: &Value) -> io::Result<()> {
    let (blocks, reason) = match &step.action {
        Action::Fail { code, message } => {
            let status = if code == "overloaded_error" { 529 } else { 500 };
            let error = json!({ "type": "error", "error": { "type": code, "message": message } });
            return http::answer(stream, status, None, &error);
        }
        // It is as broken as the stream was.
        Action::Spoil(Spoil::Drop | Spoil::BadJson) => return Ok(()),
        Action::Spoil(spoil) => return spoil_response(stream, id, spoil, body),
        Action::Say(text) => (Some(json!({ "type": "text", "text": text })), "end_turn"),
        Action::Empty => (None, "end_turn"),
        Action::Call(call) => (Some(tool_use(id, call)), "tool_use"),
    };
    let parts: Vec<&Value> = step.before.iter().chain(&blocks).collect();
    let [_, _, output, _] = step.usage;
    let mut message = message(id, step, body);
    message["content"] = json!(parts);
    message["stop_reason"] = json!(reason);
    message["usage"]["output_tokens"] = json!(output);
    http::answer(stream, 200, None, &message)
}

fn tool_use(id: usize, call: &Call) -> Value {
    let (name, input) = match call {
        Call::Shell(command) => ("Bash", json!({ "command": command, "description": "scripted" })),
        Call::Tool { name, input } => (name.as_str(), input.clone()),
        Call::Patch(_) => panic!("claude has no tool that applies patches"),
    };
    json!({ "type": "tool_use", "id": format!("toolu_{id}"), "name": name, "input": input })
}

/// A message that has only begun.
fn message(id: usize, step: &Step, body: &Value) -> Value {
    let [input, cached, _, _] = step.usage;
    let usage = json!({
        "input_tokens": input - cached, "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0, "output_tokens": 1,
    });
    json!({
        "id": format!("msg_{id}"), "type": "message", "role": "assistant", "model": body["model"],
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage,
    })
}

fn begin(stream: &TcpStream, id: usize, step: &Step, body: &Value) -> io::Result<()> {
    http::begin_events(stream)?;
    let message = message(id, step, body);
    http::event(stream, "message_start", json!({ "message": message }))
}

fn send_part(stream: &TcpStream, index: usize, part: &Value) -> io::Result<()> {
    let (begun, delta) = if part["type"] == "text" {
        let delta = json!({ "type": "text_delta", "text": part["text"] });
        (json!({ "type": "text", "text": "" }), delta)
    } else {
        let mut begun = part.clone();
        begun["input"] = json!({});
        let input = part["input"].to_string();
        (begun, json!({ "type": "input_json_delta", "partial_json": input }))
    };
    http::event(stream, "content_block_start", json!({ "index": index, "content_block": begun }))?;
    http::event(stream, "content_block_delta", json!({ "index": index, "delta": delta }))?;
    http::event(stream, "content_block_stop", json!({ "index": index }))
}

fn spoil_response(
    mut stream: &TcpStream,
    id: usize,
    spoil: &Spoil,
    body: &Value,
) -> io::Result<()> {
    let step = Step::plain(Action::Empty);
    match spoil {
        Spoil::Status { code, retry_after } => {
            let kind = match code {
                400 => "invalid_request_error",
                401 => "authentication_error",
                429 => "rate_limit_error",
                529 => "overloaded_error",
                _ => "api_error",
            };
            let error = json!({ "type": kind, "message": format!("scripted status {code}") });
            http::answer(stream, *code, *retry_after, &json!({ "type": "error", "error": error }))
        }
        Spoil::Drop => {
            begin(stream, id, &step, body)?;
            let part = json!({ "type": "text", "text": "" });
            http::event(stream, "content_block_start", json!({ "index": 0, "content_block": part }))
        }
        Spoil::Hang => {
            http::until_closed(stream);
            Ok(())
        }
        Spoil::Stall => {
            begin(stream, id, &step, body)?;
            http::until_closed(stream);
            Ok(())
        }
        Spoil::BadJson => {
            begin(stream, id, &step, body)?;
            stream.write_all(b"event: content_block_start\ndata: {\"type\": {nope\n\n")
        }
    }
}
