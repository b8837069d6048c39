//! `cx memory export` and `cx memory import`

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
};

use clap::{Args, ValueHint};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    failure,
    here::{self, Here},
    shown::Full,
};
use crate::{
    commands::settings::Settings,
    failure::{Exit, Failure},
    memory::{DEFAULT_NAMESPACE, MAX_VALUE, MemoryError, Name, Value, base64, check_word},
    ui,
};

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Those in this namespace alone
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The file; stdin where it is `-` or not given
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// Put all of them into this namespace
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Leave keys alone that have a value
    #[arg(long)]
    no_upsert: bool,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// A line of an export, or of a file that somebody wrote.
#[derive(Deserialize)]
struct Line {
    key: String,
    #[serde(default)]
    namespace: Option<String>,
    value: String,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    share_with: Option<Vec<String>>,
}

/// Runs `export`.
pub(super) fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    here::namespace(args.namespace.as_deref())?;
    let mut here = Here::open()?;
    here.take_in_results();
    let all = here.memory.all().map_err(failure)?;
    let now = Timestamp::now();
    let mut out = ui::out();
    for entry in all.entries.values() {
        let is_wanted = args.namespace.as_ref().is_none_or(|ns| entry.name.namespace == *ns);
        if let Some(value) = entry.said(now).filter(|_| is_wanted && here.reader.may_read(entry)) {
            out.json(&Full::of(entry, value, &here.reader))?;
        }
    }
    out.finish()?;
    here.tell_torn(all.torn);
    Ok(Exit::Success)
}

/// Runs `import`. Every line is read before anything is stored.
pub(super) fn import(args: &ImportArgs) -> Result<Exit, Failure> {
    here::namespace(args.namespace.as_deref())?;
    let (text, from) = read(args)?;
    let mut here = Here::open()?;
    here.take_in_results();
    Settings::load(&here.session)?;
    let now = Timestamp::now();
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: String| {
            Failure::usage(format!("line {} of {from} {why}; nothing was stored", number + 1)).hint(
                "a line is one JSON object with `key` and `value`, as `cx memory export` prints it",
            )
        };
        let line: Line =
            serde_json::from_str(line).map_err(|e| wrong(format!("is no entry: {e}")))?;
        let (name, mut value) = entry(line, args.namespace.as_deref())
            .map_err(|e| wrong(format!("is no entry: {e}")))?;
        if value.expires.is_none_or(|expires| expires > now) {
            value.bytes = super::store::without_secrets(value.bytes)?;
            here.apply_policy(&mut value);
            entries.push((name, value));
        }
    }
    let total = entries.len();
    let mut writer = here.memory.writer().map_err(failure)?;
    let who = (&here.reader, !args.no_upsert);
    let stored = writer.store_all(entries, here.author.as_ref(), who).map_err(failure)?;
    drop(writer);
    here.memory.tidy();
    let left = total - stored;
    let mut out = ui::out();
    if args.json {
        out.json(&serde_json::json!({ "stored": stored, "left": left }))?;
    }
    out.finish()?;
    if !args.json {
        let entries = if stored == 1 { "1 entry".to_owned() } else { format!("{stored} entries") };
        let left = match left {
            0 => String::new(),
            left => format!(", and left {left} as they were"),
        };
        ui::note(format_args!("stored {entries}{left}"));
    }
    Ok(Exit::Success)
}

fn read(args: &ImportArgs) -> Result<(String, String), Failure> {
    let mut bytes = Vec::new();
    let (read, from) = match args.file.as_ref().filter(|path| path.as_os_str() != "-") {
        Some(path) => (
            fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
            path.display().to_string(),
        ),
        None => (io::stdin().lock().read_to_end(&mut bytes), "stdin".to_owned()),
    };
    read.map_err(|e| Failure::usage(format!("cannot read {from}: {e}; nothing was stored")))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{from} is not UTF-8; nothing was stored"))
            .hint("a line is one JSON object with `key` and `value`")
    })?;
    Ok((text, from))
}

fn entry(line: Line, namespace: Option<&str>) -> Result<(Name, Value), String> {
    let said = line.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    let name = Name::new(namespace.unwrap_or(said), &line.key).map_err(|e| e.to_string())?;
    let wrong = |e: MemoryError| e.to_string();
    line.tags.iter().try_for_each(|tag| check_word("tag", tag)).map_err(wrong)?;
    let bytes = match line.encoding.as_deref() {
        None | Some("utf-8") => line.value.into_bytes(),
        Some("base64") => {
            base64::decode(&line.value).ok_or_else(|| "its value is not base64".to_owned())?
        }
        Some(other) => return Err(format!("its encoding '{other}' is neither utf-8 nor base64")),
    };
    if bytes.len() > MAX_VALUE {
        return Err(MemoryError::TooLarge { name, bytes: bytes.len() }.to_string());
    }
    let (tags, expires, share_with) = (line.tags, line.expires_at, line.share_with);
    Ok((name, Value { bytes, tags, expires, share_with, redact: Vec::new() }))
}
