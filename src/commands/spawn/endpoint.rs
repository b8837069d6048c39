//! For a job that a server does: where that is, and the token for it.
//!
//! A token goes with the URL that it stands beside, and to no other server: that of a
//! file with the URL of that file, `CODEX_API_KEY` with any but a file's that has its own.
//! It is kept in a file of the job's until the job is over, and nowhere else.

use std::{env, fmt, fs, path::Path, str::FromStr};

use clap::Args;

use super::SpawnArgs;
use crate::{
    backend::{Backend, http::authorization},
    commands::settings::Settings,
    failure::Failure,
    job::{BaseUrl, Endpoint, Mode},
};

/// The variables with the URL and its token.
const URL: &str = "CODEX_URL";
const KEY: &str = "CODEX_API_KEY";

/// Options for jobs of the backend http.
#[derive(Debug, Default, Args)]
pub(super) struct HttpArgs {
    /// For `-b http`: the server, in place of `CODEX_URL` and `http.url`
    #[arg(long, value_name = "URL")]
    codex_url: Option<String>,

    /// For `-b http`: its token, which others can read in `ps` here: better set `CODEX_API_KEY`
    #[arg(long, value_name = "KEY")]
    codex_key: Option<Secret>,

    /// It was said of a whole run, and counts for those of its jobs that a server does
    #[arg(skip)]
    of_run: bool,
}

impl HttpArgs {
    /// `--codex-url` of a run.
    pub(super) fn of_run(codex_url: Option<String>) -> Self {
        Self { codex_url, codex_key: None, of_run: true }
    }
}

/// What must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(Self(word.to_owned()))
    }
}

/// What a job needs to find its server; nothing for one that is done here.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) endpoint: Option<Endpoint>,
    /// The line of the request's head that has the token.
    pub(super) token: Option<Secret>,
    pub(super) notes: Vec<String>,
}

impl Target {
    /// That of a job for `backend`.
    pub(super) fn of(
        args: &SpawnArgs,
        backend: &Backend,
        mode: Mode,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let asked = &args.http;
        let name = backend.name;
        if !backend.works_elsewhere() {
            let given = [
                ("--codex-url", asked.codex_url.is_some() && !asked.of_run),
                ("--codex-key", asked.codex_key.is_some()),
            ];
            return match given.into_iter().find(|(_, given)| *given) {
                Some((option, _)) => Err(Failure::usage(format!(
                    "{option} is for the backend http, and this job's is {name}"
                ))
                .hint("add -b http")),
                None => Ok(Self::default()),
            };
        }
        if mode == Mode::Writer {
            return Err(Failure::usage(format!(
                "{name} has no writers: what a server does cannot reach a worktree here; nothing was started"
            ))
            .hint("--read asks it for an answer; another backend writes: -b codex"));
        }
        if args.model.is_some() {
            return Err(Failure::usage(format!(
                "{name} has no models to choose from; nothing was started"
            ))
            .hint("http.provider in the configuration is what its server is told"));
        }
        let mut target = Self::find(asked, settings)?;
        let Some(endpoint) = &target.endpoint else { return Ok(target) };
        if asked.codex_key.is_some() {
            target.notes.push(format!(
                "--codex-key can be read by others on this machine while `cx spawn` runs; {KEY} and http.token-file cannot"
            ));
        }
        if target.token.is_some() && endpoint.url.is_plain() && !endpoint.url.is_loopback() {
            let host = endpoint.url.host();
            target.notes.push(format!(
                "the token goes to {host} without TLS, so others on the way can read it"
            ));
        }
        Ok(target)
    }

    /// The token of a job that asks the same server again: none where another one is
    /// meant by now.
    pub(super) fn token_again(
        before: Option<&Endpoint>,
        settings: &Settings,
    ) -> Result<Option<Secret>, Failure> {
        let Some(before) = before else { return Ok(None) };
        let config = &settings.config.http;
        let is_the_files = config.url.as_ref().is_some_and(|url| url.value == before.url);
        let shells = said(URL)?.and_then(|url| url.parse::<BaseUrl>().ok());
        if !is_the_files && shells.as_ref() != Some(&before.url) {
            return Ok(None);
        }
        token(None, config.token_file.as_deref().filter(|_| is_the_files))
    }

    fn find(asked: &HttpArgs, settings: &Settings) -> Result<Self, Failure> {
        let config = &settings.config.http;
        let chosen = match &asked.codex_url {
            Some(url) => Some(("--codex-url", url.clone())),
            None => said(URL)?.map(|url| (URL, url)),
        };
        let (url, file) = match (chosen, &config.url) {
            (Some((what, url)), _) => (parse(what, &url)?, None),
            (None, Some(url)) => (url.value.clone(), config.token_file.as_deref()),
            (None, None) => {
                return Err(Failure::usage(
                    "no server is named for the backend http; nothing was started",
                )
                .hint(format!("--codex-url URL, {URL}, or http.url in the configuration")));
            }
        };
        let endpoint = Endpoint {
            url,
            stream: !config.is_silent,
            provider: config.provider.clone(),
            fallback: config.fallback.clone(),
        };
        let token = token(asked.codex_key.as_ref(), file)?;
        Ok(Self { endpoint: Some(endpoint), token, notes: Vec::new() })
    }
}

/// What a variable says, if it is set.
fn said(name: &str) -> Result<Option<String>, Failure> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    let not_text =
        |_| Failure::usage(format!("the variable {name} is not UTF-8; nothing was started"));
    value.map(|value| value.into_string().map_err(not_text)).transpose()
}

/// The token: `key`, or that of `file`, or else the variable's.
fn token(key: Option<&Secret>, file: Option<&Path>) -> Result<Option<Secret>, Failure> {
    let (what, token) = match (key, file) {
        (Some(key), _) => ("--codex-key".to_owned(), Some(key.0.clone())),
        (None, Some(path)) => (path.display().to_string(), Some(read(path)?)),
        (None, None) => (KEY.to_owned(), said(KEY)?),
    };
    let wrong = |e| Failure::usage(format!("the token of {what} {e}; nothing was started"));
    token.map(|token| authorization(&token).map(Secret).map_err(wrong)).transpose()
}

fn parse(what: &str, url: &str) -> Result<BaseUrl, Failure> {
    url.parse().map_err(|e: crate::job::UrlError| {
        let shown = if e.is_secret() { String::new() } else { format!(" '{url}'") };
        Failure::usage(format!("the URL{shown} of {what} {e}; nothing was started"))
            .hint("for example https://agents.example.com/v1; the token goes into CODEX_API_KEY")
    })
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|e| {
        Failure::usage(format!(
            "the token file {} cannot be read: {e}; nothing was started",
            path.display()
        ))
        .hint("http.token-file in the configuration names it")
    })
}
