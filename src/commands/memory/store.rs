//! `cx memory store`

use std::{
    ffi::OsString,
    fs,
    io::{self, IsTerminal, Read},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueHint};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    KeyArgs, failure,
    here::{self, Here},
};
use crate::{
    commands::settings::Settings,
    failure::{Exit, Failure},
    job::{parse_duration, secret},
    memory::{MAX_VALUE, Value, check_word},
    ui,
};

#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    #[command(flatten)]
    key: KeyArgs,

    /// The value; `-`, or none where stdin is no terminal, reads stdin
    #[arg(value_name = "VALUE", conflicts_with = "file")]
    value: Option<OsString>,

    /// Read the value from FILE; `-` is stdin
    #[arg(short = 'F', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// Change nothing where the key has a value: exit code 1
    #[arg(long)]
    no_upsert: bool,

    /// How long it is there: 90s, 10m, 12h, 7d
    #[arg(long, value_name = "D", value_parser = ttl)]
    ttl: Option<Duration>,

    /// Words to find it by
    #[arg(long, value_name = "TAG,...", value_delimiter = ',')]
    tags: Vec<String>,

    /// The agents or jobs whose workers may read it; none: no other worker. All where this is not given
    #[arg(long, value_name = "WHO,...", value_delimiter = ',')]
    share_with: Option<Vec<String>>,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Printed<'a> {
    stored: bool,
    key: &'a str,
    namespace: &'a str,
    version: u64,
    /// Whether there was a value before.
    updated: bool,
    bytes: usize,
    expires_at: Option<Timestamp>,
}

/// A duration that may count days.
fn ttl(word: &str) -> Result<Duration, String> {
    let days = word.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    match days {
        Some(days) if days > 0 => Ok(Duration::from_secs(u64::from(days) * 86400)),
        _ => parse_duration(word).map_err(|e| e.to_string()),
    }
}

/// Runs the verb.
pub(super) fn run(args: &StoreArgs) -> Result<Exit, Failure> {
    let name = here::name(&args.key)?;
    let words = |all: &[String]| -> Vec<String> {
        all.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
    };
    let tags = words(&args.tags);
    tags.iter().try_for_each(|tag| check_word("tag", tag)).map_err(failure)?;
    let share_with = args
        .share_with
        .as_deref()
        .map(|all| words(all).into_iter().filter(|word| word != "none").collect::<Vec<_>>());
    for word in share_with.iter().flatten() {
        check_word("name in --share-with", word).map_err(failure)?;
    }
    let expires = args.ttl.map(expiry).transpose()?;
    let here = Here::open()?;
    // More variables may hold secrets than the usual ones.
    Settings::load(&here.session)?;
    let bytes = without_secrets(read(args)?)?;
    let mut value = Value { bytes, tags, expires, share_with, redact: Vec::new() };
    here.apply_policy(&mut value);
    let size = value.bytes.len();
    let mut writer = here.memory.writer().map_err(failure)?;
    let who = (&here.reader, !args.no_upsert);
    let stored = writer.store(&name, value, here.author.clone(), who).map_err(failure)?;
    drop(writer);
    here.memory.tidy();
    let mut out = ui::out();
    if args.json {
        out.json(&Printed {
            stored: true,
            key: &name.key,
            namespace: &name.namespace,
            version: stored.version,
            updated: stored.updated,
            bytes: size,
            expires_at: expires,
        })?;
    }
    out.finish()?;
    if !args.json {
        let again = if stored.updated { ", in place of another value" } else { "" };
        ui::note(format_args!("stored {name}: {}{again}", ui::plural(size as u64, "byte")));
    }
    Ok(Exit::Success)
}

/// When what is stored now is there no more.
fn expiry(ttl: Duration) -> Result<Timestamp, Failure> {
    let at =
        SignedDuration::try_from(ttl).ok().and_then(|ttl| Timestamp::now().checked_add(ttl).ok());
    at.and_then(|at| at.round(jiff::Unit::Millisecond).ok())
        .ok_or_else(|| Failure::usage("--ttl is longer than any clock goes; nothing was stored"))
}

/// The value; no more of it than shows that it is too large.
fn read(args: &StoreArgs) -> Result<Vec<u8>, Failure> {
    let source: Box<dyn Read> = match (&args.file, &args.value) {
        (Some(path), _) if path.as_os_str() != "-" => {
            let file = fs::File::open(path).map_err(|e| {
                Failure::usage(format!("cannot read the value from {}: {e}", path.display()))
            })?;
            Box::new(file)
        }
        (None, Some(value)) if value != "-" => return Ok(value.as_bytes().to_vec()),
        (None, None) if io::stdin().is_terminal() => return Err(no_value()),
        _ => Box::new(io::stdin().lock()),
    };
    let mut bytes = Vec::new();
    source
        .take(MAX_VALUE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Failure::usage(format!("cannot read the value: {e}; nothing was stored")))?;
    if bytes.is_empty() && args.file.is_none() && args.value.is_none() {
        // More likely forgotten than meant: stdin is /dev/null where nobody says.
        return Err(no_value());
    }
    if bytes.len() > MAX_VALUE {
        return Err(Failure::usage(format!(
            "the value of '{}' has more than {MAX_VALUE} bytes, which is the most; nothing was stored",
            ui::clean(&args.key.key)
        ))
        .hint("store where it lies, or a summary of it"));
    }
    Ok(bytes)
}

fn no_value() -> Failure {
    Failure::usage("there is no value to store")
        .hint("cx memory store KEY VALUE, or -F FILE, or `-` for stdin")
}

/// The value without the secrets that this process knows: it is going to be told to
/// others.
pub(super) fn without_secrets(bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    match String::from_utf8(bytes) {
        Ok(text) => {
            let clean = secret::redacted(&text);
            if clean != text {
                ui::warn("the value has a secret in it, which was left out");
            }
            Ok(clean.into_owned().into_bytes())
        }
        Err(error) => {
            let variable = secret::variable_in(&String::from_utf8_lossy(error.as_bytes()));
            match variable {
                Some(variable) => Err(Failure::usage(format!(
                    "the value of {variable} stands in what is to be stored, which is no text; nothing was stored"
                ))),
                None => Ok(error.into_bytes()),
            }
        }
    }
}
