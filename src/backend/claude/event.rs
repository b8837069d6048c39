//! One line of `claude -p --output-format stream-json`.
//!
//! Keys come in any order, so a line is parsed and never matched by how it
//! begins. What is unknown is passed over.

use jiff::Timestamp;
use serde_json::Value;

use crate::job::{Usage, Usd};

/// What one line says. A message may have several parts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event<'a> {
    /// `system/init`: the session that this run belongs to.
    Session(&'a str),
    /// The agent says something.
    Text(&'a str),
    Thinking,
    /// The agent asks for a tool.
    Call(Call<'a>),
    /// What a tool gave back.
    Returned {
        id: &'a str,
        failed: bool,
        output: &'a str,
        /// Whether it was a command.
        of_command: bool,
    },
    /// A tool was refused.
    Denied {
        tool: &'a str,
    },
    /// A request failed and is tried again.
    Retry {
        attempt: u64,
        of: u64,
        /// The HTTP status, where one came.
        status: Option<u64>,
        error: &'a str,
    },
    /// The end of the run; the last one counts.
    Result(Box<RunResult<'a>>),
}

/// A call of a tool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Call<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) input: &'a Value,
    /// Whether it is a subagent's.
    pub(super) nested: bool,
}

/// A `result` line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RunResult<'a> {
    pub(super) session: &'a str,
    pub(super) subtype: &'a str,
    pub(super) is_error: bool,
    /// HTTP status of the request that it failed with.
    pub(super) status: Option<u64>,
    pub(super) error_type: &'a str,
    /// The final message, or of a failure what went wrong.
    pub(super) text: &'a str,
    /// The same as a value, where one of a shape was asked for.
    pub(super) structured: Option<&'a Value>,
    pub(super) errors: Vec<&'a str>,
    /// The tools that were denied, as often as they were.
    pub(super) denied: Vec<Call<'a>>,
    pub(super) turns: Option<u64>,
    pub(super) tokens: Tokens,
}

/// What a result says of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Tokens {
    /// Nothing.
    #[default]
    Unknown,
    /// Those since the result before, or since this run began.
    Since(Usage),
    /// Those of this run up to here, as older versions tell them.
    SoFar(Usage),
}

/// The JSON object on a line; none for blank, torn and other lines. Invalid
/// UTF-8 is replaced.
pub(super) fn parse(line: &[u8]) -> Option<Value> {
    super::super::text::object(line)
}

impl<'a> Event<'a> {
    /// What `line` says, in its order.
    pub(super) fn of(line: &'a Value) -> Vec<Self> {
        match text(line, "type") {
            "system" => Self::system(line).into_iter().collect(),
            "assistant" => {
                let nested = line.get("parent_tool_use_id").is_some_and(|id| !id.is_null());
                content(line).filter_map(|part| Self::said(part, nested)).collect()
            }
            "user" => {
                let ran =
                    line.get("tool_use_result").filter(|result| result.get("stdout").is_some());
                content(line).filter_map(|part| Self::returned(part, ran)).collect()
            }
            "result" => vec![Self::Result(Box::new(RunResult::of(line)))],
            _ => Vec::new(),
        }
    }

    fn system(line: &'a Value) -> Option<Self> {
        Some(match text(line, "subtype") {
            "init" => Self::Session(text(line, "session_id")),
            "permission_denied" => Self::Denied { tool: text(line, "tool_name") },
            "api_retry" => Self::Retry {
                attempt: number(line, "attempt").unwrap_or(0),
                of: number(line, "max_retries").unwrap_or(0),
                status: number(line, "error_status"),
                error: text(line, "error"),
            },
            _ => return None,
        })
    }

    fn said(part: &'a Value, nested: bool) -> Option<Self> {
        match text(part, "type") {
            // What a subagent says is for the agent.
            "text" if !nested => Some(Self::Text(text(part, "text"))),
            "thinking" | "redacted_thinking" => Some(Self::Thinking),
            "tool_use" => Some(Self::Call(Call {
                id: text(part, "id"),
                name: text(part, "name"),
                input: part.get("input").unwrap_or(&Value::Null),
                nested,
            })),
            _ => None,
        }
    }

    /// `ran` is what a command put out, of which `part` says more than people need.
    fn returned(part: &'a Value, ran: Option<&'a Value>) -> Option<Self> {
        let output = || match part.get("content") {
            Some(Value::String(output)) => output,
            Some(Value::Array(parts)) => parts.first().map_or("", |part| text(part, "text")),
            _ => "",
        };
        let put_out = |ran| match text(ran, "stdout") {
            "" => text(ran, "stderr"),
            stdout => stdout,
        };
        (text(part, "type") == "tool_result").then(|| Self::Returned {
            id: text(part, "tool_use_id"),
            failed: part.get("is_error").and_then(Value::as_bool) == Some(true),
            output: ran.map_or_else(output, put_out),
            of_command: ran.is_some(),
        })
    }
}

impl<'a> RunResult<'a> {
    fn of(line: &'a Value) -> Self {
        let strings = |key| array(line, key).iter().filter_map(Value::as_str).collect();
        let denied = array(line, "permission_denials").iter().map(|denial| Call {
            id: text(denial, "tool_use_id"),
            name: text(denial, "tool_name"),
            input: denial.get("tool_input").unwrap_or(&Value::Null),
            nested: false,
        });
        Self {
            session: text(line, "session_id"),
            subtype: text(line, "subtype"),
            // One that does not say that all is well is not taken for it.
            is_error: line.get("is_error").and_then(Value::as_bool) != Some(false),
            status: number(line, "api_error_status"),
            error_type: text(line, "api_error_type"),
            text: text(line, "result"),
            structured: line.get("structured_output").filter(|value| !value.is_null()),
            errors: strings("errors"),
            denied: denied.collect(),
            turns: number(line, "num_turns"),
            tokens: tokens(line),
        }
    }
}

/// Newer versions say what came since the result before, model by model; older
/// ones what came in this run, and the tokens beside the cost.
fn tokens(line: &Value) -> Tokens {
    if let Some(models) = line.get("model_usage_since_last_result").and_then(Value::as_object) {
        let mut usage = Usage::default();
        let mut cost = 0.0;
        for model in models.values() {
            let count = |key| number(model, key).unwrap_or(0);
            let cached = count("cacheReadInputTokens");
            usage.input += count("inputTokens") + count("cacheCreationInputTokens") + cached;
            usage.cached += cached;
            usage.output += count("outputTokens");
            cost += model.get("costUSD").and_then(Value::as_f64).unwrap_or(0.0);
        }
        usage.cost_usd = Usd::from_dollars(cost);
        return Tokens::Since(usage);
    }
    let Some(used) = line.get("usage") else { return Tokens::Unknown };
    let cost = line.get("total_cost_usd").and_then(Value::as_f64);
    Tokens::SoFar(Usage { cost_usd: cost.and_then(Usd::from_dollars), ..tokens_of(used) })
}

/// When a limit of the account that was hit is over: of `rate_limit_event`.
pub(super) fn resets(line: &Value) -> Option<Timestamp> {
    let info = line.get("rate_limit_info").filter(|info| text(info, "status") == "rejected")?;
    super::super::refusal::seconds(info.get("resetsAt")?.as_i64()?)
}

/// The tokens of an object `usage`.
pub(super) fn tokens_of(used: &Value) -> Usage {
    let count = |key| number(used, key).unwrap_or(0);
    let cached = count("cache_read_input_tokens");
    Usage {
        input: count("input_tokens") + count("cache_creation_input_tokens") + cached,
        cached,
        output: count("output_tokens"),
        cost_usd: None,
    }
}

/// The parts of a message.
fn content(line: &Value) -> impl Iterator<Item = &Value> {
    line.get("message").map_or(&[][..], |message| array(message, "content")).iter()
}

/// The text at `key`, or "".
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

/// The list at `key`, or none.
fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key).and_then(Value::as_u64)
}
