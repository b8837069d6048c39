//! One configuration file: what it says, what it should not say, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_ignored::Path as Ignored;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::backends::{self, BackendTable};
use super::keys::keys_of;
use super::planner::PlannerLayers;
use super::room::{PoolLayer, PortLayer};
use super::trust::visible;
use super::value::{Command, Limit, Origin, Span};
use super::{ConfigError, aliases};
use crate::job::{BackendChoice, BaseUrl, Price, Usd};

/// What one file says; nothing where it says nothing. The fields are the keys.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Layer {
    pub(super) backend: Option<BackendChoice>,
    pub(super) model: Option<String>,
    pub(super) max_jobs: Option<NonZeroUsize>,
    pub(super) timeout: Option<Limit>,
    pub(super) silence: Option<Limit>,
    pub(super) grace: Option<Span>,
    pub(super) secrets: Option<Vec<String>>,
    pub(super) notify: Option<bool>,
    pub(super) mcp: Option<bool>,
    pub(super) hooks: HooksLayer,
    pub(super) worktree: WorktreeLayer,
    pub(super) codex: ProgramLayer,
    pub(super) claude: ProgramLayer,
    pub(super) http: HttpLayer,
    pub(super) merge: MergeLayer,
    pub(super) price: Option<BTreeMap<String, Price>>,
    pub(super) budget: BudgetLayer,
    pub(super) hold: HoldLayer,
    pub(super) pool: PoolLayer,
    pub(super) port: PortLayer,
    pub(super) alias: Option<serde_json::Map<String, Value>>,
    pub(super) planner: Option<PlannerLayers>,
    pub(super) backends: Option<serde_json::Map<String, Value>>,
}

/// The table `[hooks]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct HooksLayer {
    pub(super) on_exit: Option<Command>,
    pub(super) on_failure: Option<Command>,
    pub(super) on_idle: Option<Command>,
    pub(super) timeout: Option<Span>,
}

/// The table `[worktree]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct WorktreeLayer {
    pub(super) dir: Option<String>,
    pub(super) setup: Option<Command>,
    pub(super) include: Option<Vec<String>>,
}

/// The tables `[codex]` and `[claude]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct ProgramLayer {
    pub(super) program: Option<PathBuf>,
    pub(super) args: Option<Vec<String>>,
    pub(super) env_exclude: Option<Vec<String>>,
    pub(super) model: Option<String>,
}

/// The table `[http]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct HttpLayer {
    pub(super) url: Option<BaseUrl>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) stream: Option<bool>,
    pub(super) provider: Option<String>,
    pub(super) fallback: Option<String>,
}

/// The table `[merge]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct MergeLayer {
    pub(super) verify: Option<Command>,
    pub(super) verify_timeout: Option<Limit>,
}

/// The table `[budget]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct BudgetLayer {
    pub(super) tokens_per_day: Option<NonZeroU64>,
    pub(super) usd_per_day: Option<Usd>,
}

/// The table `[hold]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct HoldLayer {
    pub(super) enabled: Option<bool>,
    pub(super) longest: Option<Span>,
    pub(super) times: Option<NonZeroU64>,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) origin: Origin,
    pub(super) layer: Layer,
    /// What it wants run, as key and JSON, in the order of the keys' names; empty
    /// for a person's own file, which needs nobody's trust.
    pub(super) commands: Vec<(String, String)>,
    /// Under `backends`.
    pub(super) backends: Vec<BackendTable>,
    pub(super) warnings: Vec<Warning>,
}

/// A key that this cx does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// The key with its tables: `worktree.stup`.
    pub key: String,
    /// The known key that is nearly the same.
    pub nearest: Option<String>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, key, .. } = self;
        write!(f, "{}:{line}: there is no key '{key}', so it does nothing", path.display())
    }
}

impl Warning {
    /// What helps.
    pub fn hint(&self) -> Option<String> {
        self.nearest.as_ref().map(|nearest| format!("did you mean '{nearest}'?"))
    }
}

/// What relative paths of a file count from, and what `~/` stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base<'a> {
    pub(super) folder: &'a Path,
    pub(super) home: &'a Path,
}

/// Reads the file at `origin`; nothing where there is none.
pub(super) fn read(origin: Origin, base: Base) -> Result<Option<File>, ConfigError> {
    let text = match fs::read_to_string(origin.path()) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => {
            return Err(ConfigError::Unreadable { path: origin.path().to_owned(), error });
        }
    };
    parse(&text, origin, base).map(Some)
}

/// Reads a file's text.
pub(super) fn parse(text: &str, origin: Origin, base: Base) -> Result<File, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let invalid =
        |line, problem| ConfigError::Invalid { path: origin.path().to_owned(), line, problem };
    let line_at = |span: Option<Range<usize>>| {
        let before = text.get(..span.map_or(0, |span| span.start)).unwrap_or(text);
        before.bytes().fold(1, |line, byte| line + u64::from(byte == b'\n'))
    };

    let mut unknown: Vec<Vec<String>> = Vec::new();
    let document = toml::Deserializer::parse(text).map_err(|error| {
        let problem = format!("is no valid TOML: {}", one_line(error.message()));
        invalid(line_at(error.span()), problem)
    })?;
    let mut layer: Layer = serde_ignored::deserialize(document, |path| unknown.push(words(&path)))
        .map_err(|error: toml::de::Error| {
            let key = error.span().and_then(|span| key_around(text, &span)).unwrap_or_default();
            let problem = format!("'{key}' is wrong: {}", one_line(error.message()));
            invalid(line_at(error.span()), problem)
        })?;
    let line_of = |key: &[&str]| line_at(key_span(text, key));

    let mut warnings: Vec<Warning> = unknown
        .iter()
        .map(|key| Warning {
            path: origin.path().to_owned(),
            line: line_of(&key.iter().map(String::as_str).collect::<Vec<_>>()),
            nearest: nearest(key),
            key: key.join("."),
        })
        .collect();
    warnings.sort_by_key(|warning| warning.line);

    let commands = if origin.is_repository() { layer.commands() } else { Vec::new() };
    if let Some(dir) = &mut layer.worktree.dir {
        let checked = worktree_dir(dir, origin.is_repository(), base.home);
        *dir = checked.map_err(|problem| {
            let problem = format!("'worktree.dir' is '{dir}', which {problem}");
            invalid(line_of(&["worktree", "dir"]), problem)
        })?;
    }
    for (name, table) in [("codex", &mut layer.codex), ("claude", &mut layer.claude)] {
        let Some(program) = &mut table.program else { continue };
        if program.as_os_str().is_empty() {
            let problem = format!("'{name}.program' is empty");
            return Err(invalid(line_of(&[name, "program"]), problem));
        }
        *program = located(program, base);
    }
    if let Some(path) = &mut layer.http.token_file {
        if path.as_os_str().is_empty() {
            let problem = "'http.token-file' is empty".to_owned();
            return Err(invalid(line_of(&["http", "token-file"]), problem));
        }
        *path = match path.strip_prefix("~") {
            Ok(rest) => base.home.join(rest),
            Err(_) => base.folder.join(&path),
        };
    }
    for (name, value) in layer.alias.iter().flatten() {
        let agent = value.get("agent").unwrap_or(value);
        if agent.as_str().is_none_or(str::is_empty) {
            let problem = format!("'alias.{name}' has to name its 'agent'");
            return Err(invalid(line_of(&["alias", name]), problem));
        }
    }
    let models = [
        ("model", &layer.model),
        ("codex.model", &layer.codex.model),
        ("claude.model", &layer.claude.model),
    ];
    for (key, model) in models.into_iter().filter_map(|(key, model)| Some((key, model.as_ref()?))) {
        // It becomes an argument, and must not pass for another option.
        if model.is_empty() || model.starts_with('-') {
            let path: Vec<&str> = key.split('.').collect();
            let problem = format!("'{key}' is '{model}', which is no name of a model");
            return Err(invalid(line_of(&path), problem));
        }
    }
    for (name, planner) in layer.planner.iter().flatten() {
        if let Some(problem) = planner.problem(name) {
            let problem = format!("'planner.{name}' {problem}");
            return Err(invalid(line_of(&["planner", name]), problem));
        }
    }
    let backends = match layer.backends {
        Some(_) => backends::tables(text, &origin, base),
        None => Vec::new(),
    };
    Ok(File { origin, layer, commands, backends, warnings })
}

impl Layer {
    /// What it wants run, as key and JSON that can be shown as it is.
    fn commands(&self) -> Vec<(String, String)> {
        let argv = |words: &[String]| serde_json::Value::from(words.to_vec());
        let command = |command: &Command| match command {
            Command::Shell(line) => line.as_str().into(),
            Command::Argv(words) => argv(words),
        };
        let program =
            |table: &ProgramLayer| table.program.as_ref().map(|path| path.to_string_lossy().into());
        // Prompts go there, and tokens.
        let text = |path: &PathBuf| path.to_string_lossy().into();
        // On `sh` it is the person's prompt that runs, for which they did not ask.
        let backend = self.backend.filter(BackendChoice::is_shell);
        let mut commands = vec![
            ("backend".to_owned(), backend.map(|choice| choice.to_string().into())),
            ("claude.args".to_owned(), self.claude.args.as_deref().map(argv)),
            ("claude.program".to_owned(), program(&self.claude)),
            ("codex.args".to_owned(), self.codex.args.as_deref().map(argv)),
            ("codex.program".to_owned(), program(&self.codex)),
            ("http.token-file".to_owned(), self.http.token_file.as_ref().map(text)),
            ("http.url".to_owned(), self.http.url.as_ref().map(|url| url.as_str().into())),
            ("hooks.on-exit".to_owned(), self.hooks.on_exit.as_ref().map(command)),
            ("hooks.on-failure".to_owned(), self.hooks.on_failure.as_ref().map(command)),
            ("hooks.on-idle".to_owned(), self.hooks.on_idle.as_ref().map(command)),
            ("merge.verify".to_owned(), self.merge.verify.as_ref().map(command)),
            // A program of the person's runs, and their terminal rings.
            ("notify".to_owned(), self.notify.filter(|notify| *notify).map(Value::from)),
        ];
        commands.extend(self.planner.iter().flatten().map(|(name, planner)| {
            (format!("planner.{name}.command"), planner.command.as_ref().map(command))
        }));
        let setup = self.worktree.setup.as_ref().map(command);
        commands.push(("worktree.setup".to_owned(), setup));
        let mut commands: Vec<(String, String)> = commands
            .into_iter()
            .filter_map(|(key, value)| Some((key, visible(&value?.to_string()))))
            .collect();
        for (name, value) in self.alias.iter().flatten() {
            aliases::commands(&format!("alias.{name}"), "", value, &mut commands);
        }
        // All of it: the program, and what it is told that it may do.
        let backends = self.backends.iter().flatten();
        commands.extend(
            backends.map(|(name, value)| (format!("backends.{name}"), visible(&value.to_string()))),
        );
        commands.sort();
        commands
    }

    /// Forgets what [`Layer::commands`] names.
    pub(super) fn withhold(&mut self) {
        self.backend = self.backend.filter(|choice| !choice.is_shell());
        for table in [&mut self.codex, &mut self.claude] {
            table.args = None;
            table.program = None;
        }
        (self.http.url, self.http.token_file) = (None, None);
        self.backends = None;
        self.hooks = HooksLayer::default();
        self.notify = self.notify.filter(|notify| !notify);
        self.merge.verify = None;
        if let Some(planners) = &mut self.planner {
            planners.retain(|_, planner| planner.command.is_none());
        }
        self.worktree.setup = None;
        for value in self.alias.iter_mut().flatten().map(|(_, value)| value) {
            aliases::withhold("", value);
        }
    }
}

/// Checks the folder for worktrees and puts the home in place of `~/`.
fn worktree_dir(dir: &str, repository: bool, home: &Path) -> Result<String, &'static str> {
    let plain = dir.replace("{repo}", "");
    if dir.is_empty() {
        return Err("is empty");
    }
    if plain.contains(['{', '}']) {
        return Err("has a placeholder other than {repo}");
    }
    if !repository {
        return match dir.strip_prefix("~/") {
            Some(rest) => {
                home.join(rest).into_os_string().into_string().map_err(|_| "is not valid UTF-8")
            }
            None => Ok(dir.to_owned()),
        };
    }
    // Others write this file: worktrees may lie in the checkout or beside it.
    let mut parts = Path::new(dir).components().peekable();
    parts.next_if_eq(&Component::ParentDir);
    let is_plain = |part| match part {
        Component::Normal(name) => !name.eq_ignore_ascii_case(".git") && name != "~",
        Component::CurDir => true,
        _ => false,
    };
    if parts.peek().is_none() || !parts.all(is_plain) {
        return Err(
            "a repository's own file may not say: write a path in the checkout or, with one '../', beside it",
        );
    }
    Ok(dir.to_owned())
}

/// A program's path: a bare name stays one, for `PATH`.
pub(super) fn located(program: &Path, base: Base) -> PathBuf {
    match program.strip_prefix("~") {
        Ok(rest) if !rest.as_os_str().is_empty() => base.home.join(rest),
        _ if program.components().count() > 1 || program.is_absolute() => base.folder.join(program),
        _ => program.to_owned(),
    }
}

/// The keys on the way to something that was ignored.
fn words(path: &Ignored) -> Vec<String> {
    match path {
        Ignored::Root => Vec::new(),
        Ignored::Map { parent, key } => {
            let mut all = words(parent);
            all.push(key.clone());
            all
        }
        Ignored::Seq { parent, .. }
        | Ignored::Some { parent }
        | Ignored::NewtypeStruct { parent }
        | Ignored::NewtypeVariant { parent } => words(parent),
    }
}

/// Where a key stands in the text.
fn key_span(text: &str, key: &[&str]) -> Option<Range<usize>> {
    fn walk(table: &DeTable, key: &[&str]) -> Option<Range<usize>> {
        let (first, rest) = key.split_first()?;
        let (name, value) = table.iter().find(|(name, _)| name.get_ref() == first)?;
        let deeper = match value.get_ref() {
            DeValue::Table(table) => walk(table, rest),
            _ => None,
        };
        Some(deeper.unwrap_or_else(|| name.span()))
    }
    walk(DeTable::parse(text).ok()?.get_ref(), key)
}

/// The dotted key whose value `span` lies in.
fn key_around(text: &str, span: &Range<usize>) -> Option<String> {
    fn walk(table: &DeTable, span: &Range<usize>) -> Option<String> {
        table.iter().find_map(|(name, value)| {
            let holds = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
            let deeper = match value.get_ref() {
                DeValue::Table(table) => walk(table, span),
                _ => None,
            };
            match deeper {
                Some(rest) => Some(format!("{}.{rest}", name.get_ref())),
                None => {
                    (holds(value.span()) || holds(name.span())).then(|| name.get_ref().to_string())
                }
            }
        })
    }
    walk(DeTable::parse(text).ok()?.get_ref(), span)
}

/// The known key that is nearly `key`; also one of the same name in another table.
fn nearest(key: &[String]) -> Option<String> {
    let last = |dotted: &str| dotted.rsplit('.').next().unwrap_or_default().to_owned();
    let (full, own) = (key.join("."), key.last()?);
    keys_of::<Layer>()
        .into_iter()
        .map(|known| {
            let whole = strsim::osa_distance(&full, &known);
            (whole.min(strsim::osa_distance(own, &last(&known)) + 1), known)
        })
        .filter(|(distance, _)| distance * 3 <= own.len().max(3))
        .min()
        .map(|(_, known)| known)
}

/// What the TOML reader says, without line breaks.
fn one_line(message: &str) -> String {
    let line = message.lines().collect::<Vec<_>>().join(", ");
    // The library names types of ours, which say nothing to a person.
    line.replace("a nonzero usize", "a number above 0").replace("a nonzero u64", "a number above 0")
}
