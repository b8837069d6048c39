//! The http backend: `POST URL/run`, sent by `curl` (docs/http.md has the contract).
//!
//! curl is the worker, so limits, signals and records are those of any job, and TLS,
//! certificates and proxies are those of the system. Its stdout is the response as it
//! came, head and all; `digest` reads that.
//!
//! # Invariants
//! - The token reaches curl through a file that only its owner can read. It stands in no
//!   argument, and the variable that it may have come from is not inherited.
//! - No redirect is followed: the token goes to the host that was named, and nowhere else.
//! - Nobody else is asked when that one fails.

mod counter;
mod digest;
mod judge;
mod show;
mod stream;
#[cfg(test)]
mod tests;
mod value;

use std::ffi::OsString;

use serde_json::json;

use super::{ArgError, Launch, LaunchInput, PromptError, Stdin};
use crate::job::BackendName;

pub(super) use counter::Counter;
pub(super) use judge::{hint, judge};
pub(super) use show::{activity, render};

/// The most that is sent, in bytes: what `cx serve` takes too.
pub(super) const PROMPT_MAX: usize = 8 << 20;

/// The variable that the token may stand in.
pub(super) const ENV_REMOVE: [&str; 1] = ["CODEX_API_KEY"];

/// What stands for an agent where a job has none.
pub const NO_AGENT: &str = "default";

/// How long connecting may take, in seconds. All else is held by the job's own limits.
const CONNECT_MAX: u32 = 30;

/// Why a token cannot be sent. The end of a sentence; the token is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing, or nothing but white space.
    #[error("is empty")]
    Empty,
    /// More than one word, or what cannot stand in a header.
    #[error("has a character in it that cannot stand in a header")]
    Character,
}

/// The line that tells the token, for the file that curl reads it from. White space
/// around it is no part of it.
pub fn authorization(token: &str) -> Result<String, TokenError> {
    let token = token.trim();
    if token.is_empty() {
        return Err(TokenError::Empty);
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError::Character);
    }
    Ok(format!("{AUTHORIZATION}{token}\n"))
}

/// The header by which a server on this machine knows which job asks.
pub const ASKER: &str = "Cx-Job-Id";

const AUTHORIZATION: &str = "Authorization: Bearer ";

/// The token in such a file.
pub fn token_in(authorization: &str) -> Option<&str> {
    authorization.strip_prefix(AUTHORIZATION).map(str::trim_end)
}

pub(super) fn check_prompt(prompt: &[u8]) -> Result<(), PromptError> {
    let name = BackendName::HTTP;
    if prompt.iter().all(u8::is_ascii_whitespace) {
        return Err(PromptError::Empty);
    }
    if let Err(error) = str::from_utf8(prompt) {
        return Err(PromptError::NotUtf8 { at: error.valid_up_to(), name });
    }
    if prompt.len() > PROMPT_MAX {
        return Err(PromptError::TooManyBytes { bytes: prompt.len(), max: PROMPT_MAX, name });
    }
    Ok(())
}

pub(super) fn check_args(args: &[String]) -> Result<(), ArgError> {
    let why = "the arguments of curl are cx's; curl reads CURL_CA_BUNDLE and HTTPS_PROXY";
    ArgError::of_any(args, BackendName::HTTP, why)
}

pub(super) fn launch(input: &LaunchInput<'_>) -> Launch {
    let mut args: Vec<OsString> = [
        // First, or the person's .curlrc would be read.
        "--disable",
        "--silent",
        "--show-error",
        "--no-buffer",
        "--include",
        "--suppress-connect-headers",
        "--globoff",
        "--proto",
        "=http,https",
        "--header",
        "Content-Type: application/json",
        "--header",
        "Accept: text/event-stream, application/json",
        // A response to a later try, after a hold, begins on a line of its own.
        "--write-out",
        "\\n",
        // curl would wait for leave to send a long prompt.
        "--header",
        "Expect:",
    ]
    .map(Into::into)
    .into();
    args.extend(["--connect-timeout".into(), CONNECT_MAX.to_string().into()]);
    args.extend(["--user-agent".into(), concat!("cx/", env!("CARGO_PKG_VERSION")).into()]);
    if let Some(file) = input.token_file {
        let mut at = OsString::from("@");
        at.push(file);
        args.extend(["--header".into(), at]);
    }
    let mut body = json!({
        "agentId": input.agent.unwrap_or(NO_AGENT),
        "alias": input.alias.or(input.agent).unwrap_or(NO_AGENT),
        "task": String::from_utf8_lossy(input.prompt),
    });
    let mut url = String::new();
    if let Some(endpoint) = input.endpoint {
        if endpoint.url.is_loopback() {
            // What stays on this machine is no proxy's business. It may be a server of
            // this very repository, where two would wait for each other.
            args.extend(["--noproxy".into(), "*".into()]);
            args.extend(["--header".into(), format!("{ASKER}: {}", input.id).into()]);
        }
        for (key, value) in [("provider", &endpoint.provider), ("fallback", &endpoint.fallback)] {
            if let (Some(value), Some(body)) = (value, body.as_object_mut()) {
                body.insert(key.to_owned(), value.as_str().into());
            }
        }
        url = endpoint.url.below(if endpoint.stream { "run?stream=1" } else { "run" });
    }
    args.extend(["--data-binary".into(), "@-".into(), "--url".into(), url.into()]);
    Launch {
        program: input.program.to_owned(),
        args,
        stdin: Stdin::Bytes(body.to_string().into_bytes()),
        env: Vec::new(),
        answer_file: None,
        stdout_is_events: true,
        thread: None,
    }
}
