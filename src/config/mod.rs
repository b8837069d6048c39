//! Configuration files and the trust in what a repository brings along.
//!
//! [`load`] reads `.cx/config.toml` of the checkout over the person's own
//! `~/.config/cx/config.toml`, and `CX_*` variables over both. Where there is no
//! file, that costs two failed opens.
//!
//! A repository's file is written by others. What it wants to be *run* (a
//! command, a program, arguments) carries its [`Origin`], is collected in a
//! [`Claim`], and is used only when [`Trust`] knows that claim; otherwise
//! [`Loaded::withhold`] takes it away. What it may say without being trusted
//! (limits, a model, patterns) can start nothing, and it can point worktrees no
//! further than beside the repository.
//!
//! Only `trust` writes, one small file at a time, each by a rename: a crash
//! leaves the old state or the new one.

mod aliases;
mod backends;
mod error;
mod file;
mod http;
mod keys;
mod overrides;
mod planner;
mod room;
mod roots;
mod trust;
mod value;

pub use backends::BackendTable;
pub use error::ConfigError;
pub use file::Warning;
pub use http::Http;
pub use overrides::Overrides;
pub use planner::Planner;
pub use room::{Pool, Ports};
pub use roots::{Roots, RootsError};
pub use trust::{Claim, Trust, TrustError, visible};
pub use value::{Command, Commanded, Limit, Origin};

use std::collections::BTreeMap;
use std::io;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::job::{BackendChoice, BackendName, Price, Usd};
use file::{Base, File, Layer, ProgramLayer};

/// Where a repository's own file lies in the checkout.
pub const REPOSITORY_FILE: &str = ".cx/config.toml";

/// Where a person's own file lies in the configuration folder.
pub const USER_FILE: &str = "cx/config.toml";

/// How long a worker may write nothing when nothing else is said. A model can hang
/// for ever without a word, but is also still while a long build or test runs.
const MODEL_SILENCE: Duration = Duration::from_mins(30);

/// How long a job waits for a model's service in all: longer than the five hours by
/// which such services count.
const HOLD: Duration = Duration::from_hours(6);

/// How often.
const HOLD_TIMES: u64 = 20;

/// The folder for worktrees, from the repository's own.
const WORKTREE_DIR: &str = "../{repo}.cx";

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);

/// How long a hook may take.
const HOOK_TIMEOUT: Duration = Duration::from_mins(1);

/// Variables that are kept from the commands that a model runs.
const ENV_EXCLUDE: [&str; 3] = ["*KEY*", "*TOKEN*", "*SECRET*"];

/// Everything that can be configured, with the defaults filled in. The keys, and
/// what they mean, are in `docs/config.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What does the work where neither a job nor its agent says.
    pub backend: BackendChoice,
    /// The model for every backend; see [`Config::model_for`].
    pub model: Option<String>,
    /// Live workers of one repository at most; without it there is no limit.
    pub max_jobs: Option<NonZeroUsize>,
    /// Wall-clock limit of a job.
    pub timeout: Option<Duration>,
    /// As it was said; see [`Config::silence_for`].
    pub silence: Option<Limit>,
    /// How long a worker has between TERM and KILL.
    pub grace: Duration,
    /// Patterns of variables whose values are secrets, besides the usual ones: the
    /// repository's and the person's.
    pub secrets: Vec<String>,
    /// Whether a person is told when what they have started is over.
    pub notify: bool,
    /// Whether workers are given cx's own tools, where their program takes some.
    pub mcp: bool,
    /// What runs once a job is over.
    pub hooks: EndHooks,
    /// Where writers work.
    pub worktree: Worktree,
    /// The codex backend.
    pub codex: Program,
    /// The claude backend.
    pub claude: Program,
    /// The http backend.
    pub http: Http,
    /// What `cx merge` asks before it lands anything.
    pub merge: Merge,
    /// What models cost, by name. A person's own list is before a repository's, which
    /// does not know what they pay.
    pub prices: BTreeMap<String, Price>,
    /// What all jobs of a repository may use on one day, by the file that allows the
    /// least.
    pub budget: DayBudget,
    /// What happens to a job when the model's service refuses for rate.
    pub hold: Hold,
    /// Which worktrees are kept to be used again.
    pub pool: Pool,
    /// Which ports jobs are told to use.
    pub ports: Ports,
    /// Whom `cx plan` can ask, by name.
    pub planners: BTreeMap<String, Planner>,
    /// Second names for agents, the nearest file's first.
    pub aliases: Vec<Alias>,
    /// Definitions of backends, the nearest file's first.
    pub backends: Vec<BackendTable>,
    /// `CX_MODEL` says what the model is.
    is_model_forced: bool,
}

/// What may be used on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayBudget {
    /// Tokens, sent and written.
    pub tokens: Option<u64>,
    /// Dollars.
    pub usd: Option<Usd>,
}

/// What happens to a job when the model's service refuses for rate or quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// It waits and goes on later; otherwise it fails at once.
    pub enabled: bool,
    /// How long it may wait in all.
    pub longest: Duration,
    /// How often.
    pub times: u64,
}

/// What runs once a job is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndHooks {
    /// Whatever became of it.
    pub on_exit: Option<Commanded<Command>>,
    /// Where it did not succeed.
    pub on_failure: Option<Commanded<Command>>,
    /// Where no other job of the repository is live.
    pub on_idle: Option<Commanded<Command>>,
    /// How long each may take.
    pub timeout: Duration,
}

/// A second name for an agent, as a file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// The agent's name, or an object with `agent` and what is laid over it.
    pub value: serde_json::Value,
    /// The file.
    pub origin: Origin,
}

/// What `cx merge` asks before it lands anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// What has to succeed on the merged tree.
    pub verify: Option<Commanded<Command>>,
    /// How long one run of it may take.
    pub verify_timeout: Option<Duration>,
}

/// Where writers work, and what is there before they start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worktree {
    /// The folder for all of them; see [`Worktree::folder`].
    pub dir: String,
    /// What runs in a new worktree before its worker starts.
    pub setup: Option<Commanded<Command>>,
    /// Ignored files that come along, in gitignore's syntax, beside what
    /// `.worktreeinclude` says: the person's patterns, then the repository's.
    pub include: Vec<String>,
}

/// A backend whose program talks to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program, absolute or a name to look up in `PATH`.
    pub program: Option<Commanded<PathBuf>>,
    /// Arguments that go before cx's own.
    pub args: Option<Commanded<Vec<String>>>,
    /// Variables that are kept from the commands it runs. A repository can add to
    /// them, never take away.
    pub env_exclude: Vec<String>,
    /// The model for this backend alone.
    pub model: Option<String>,
}

impl Config {
    /// The model for `backend`: its own, or the one for all. `CX_MODEL` is before
    /// both.
    pub fn model_for(&self, backend: BackendName) -> Option<&str> {
        self.model_over(self.of_backend(backend).and_then(|own| own.model.as_deref()))
    }

    /// The same for a backend whose own model is known.
    pub fn model_over<'a>(&'a self, own: Option<&'a str>) -> Option<&'a str> {
        own.filter(|_| !self.is_model_forced).or(self.model.as_deref())
    }

    /// What is configured for `backend`, if it can be configured.
    pub fn of_backend(&self, backend: BackendName) -> Option<&Program> {
        match backend {
            BackendName::CODEX => Some(&self.codex),
            BackendName::CLAUDE => Some(&self.claude),
            _ => None,
        }
    }

    /// How long a worker of `backend` may write nothing: what is configured, or
    /// else half an hour for a model and no limit for `sh`.
    pub fn silence_for(&self, backend: BackendName) -> Option<Duration> {
        match (self.silence, backend) {
            (Some(limit), _) => limit.duration(),
            (None, BackendName::SH) => None,
            (None, _) => Some(MODEL_SILENCE),
        }
    }

    /// What the files say, the first that says something winning, and the
    /// variables over all of them.
    fn of(overrides: &Overrides, files: &[File]) -> Self {
        let worktree_include = |file: &File| file.layer.worktree.include.clone();
        let (own, others): (Vec<&File>, Vec<&File>) =
            files.iter().partition(|file| !file.origin.is_repository());
        let program = |table: fn(&Layer) -> &ProgramLayer| {
            let excluded = |layer: &Layer| table(layer).env_exclude.clone();
            let mut env_exclude = first(own.iter().copied(), excluded)
                .unwrap_or_else(|| ENV_EXCLUDE.map(str::to_owned).to_vec());
            env_exclude.extend(others.iter().filter_map(|file| excluded(&file.layer)).flatten());
            Program {
                program: commanded(files, |layer| table(layer).program.clone()),
                args: commanded(files, |layer| table(layer).args.clone()),
                env_exclude,
                model: first(files, |layer| table(layer).model.clone()),
            }
        };

        let timeout = overrides.timeout.or_else(|| first(files, |layer| layer.timeout));
        let grace = || first(files, |layer| layer.grace).map(|grace| grace.0);
        let backend = overrides.backend.or_else(|| first(files, |layer| layer.backend));
        let dir = first(files, |layer| layer.worktree.dir.clone());
        Self {
            backend: backend.unwrap_or_else(|| BackendName::CODEX.into()),
            max_jobs: overrides.max_jobs.or_else(|| first(files, |layer| layer.max_jobs)),
            timeout: timeout.and_then(Limit::duration),
            silence: overrides.silence.or_else(|| first(files, |layer| layer.silence)),
            grace: overrides.grace.or_else(grace).unwrap_or(GRACE),
            secrets: files.iter().filter_map(|file| file.layer.secrets.clone()).flatten().collect(),
            notify: first(files, |layer| layer.notify).unwrap_or(false),
            mcp: first(files, |layer| layer.mcp).unwrap_or(true),
            hooks: EndHooks {
                on_exit: commanded(files, |layer| layer.hooks.on_exit.clone()),
                on_failure: commanded(files, |layer| layer.hooks.on_failure.clone()),
                on_idle: commanded(files, |layer| layer.hooks.on_idle.clone()),
                timeout: first(files, |layer| layer.hooks.timeout)
                    .map_or(HOOK_TIMEOUT, |timeout| timeout.0),
            },
            worktree: Worktree {
                dir: dir.unwrap_or_else(|| WORKTREE_DIR.to_owned()),
                setup: commanded(files, |layer| layer.worktree.setup.clone()),
                include: files.iter().rev().filter_map(worktree_include).flatten().collect(),
            },
            codex: program(|layer| &layer.codex),
            claude: program(|layer| &layer.claude),
            http: Http::of(files),
            merge: Merge {
                verify: commanded(files, |layer| layer.merge.verify.clone()),
                verify_timeout: first(files, |layer| layer.merge.verify_timeout)
                    .and_then(Limit::duration),
            },
            aliases: files
                .iter()
                .flat_map(|file| {
                    file.layer.alias.iter().flatten().map(|(name, value)| Alias {
                        name: name.clone(),
                        value: value.clone(),
                        origin: file.origin.clone(),
                    })
                })
                .collect(),
            is_model_forced: overrides.model.is_some(),
            backends: files.iter().flat_map(|file| file.backends.iter().cloned()).collect(),
            model: overrides.model.clone().or_else(|| first(files, |layer| layer.model.clone())),
            prices: others
                .iter()
                .chain(&own)
                .flat_map(|file| file.layer.price.iter().flatten())
                .map(|(model, price)| (model.clone(), *price))
                .collect(),
            budget: DayBudget {
                tokens: least(files, |layer| layer.budget.tokens_per_day).map(NonZeroU64::get),
                usd: least(files, |layer| layer.budget.usd_per_day),
            },
            hold: Hold {
                enabled: first(files, |layer| layer.hold.enabled).unwrap_or(true),
                longest: first(files, |layer| layer.hold.longest).map_or(HOLD, |span| span.0),
                times: first(files, |layer| layer.hold.times).map_or(HOLD_TIMES, NonZeroU64::get),
            },
            pool: Pool::of(files),
            ports: Ports::of(files),
            // The nearest file that has a name says all of it.
            planners: files.iter().rev().flat_map(planners).collect(),
        }
    }
}

/// Those of one file.
fn planners(file: &File) -> impl Iterator<Item = (String, Planner)> + '_ {
    let layers = file.layer.planner.iter().flatten();
    layers.map(|(name, layer)| (name.clone(), layer.planner(&file.origin)))
}

/// The first value that a file gives for a key.
fn first<'a, T>(
    files: impl IntoIterator<Item = &'a File>,
    key: impl Fn(&Layer) -> Option<T>,
) -> Option<T> {
    files.into_iter().find_map(|file| key(&file.layer))
}

/// The smallest value that a file gives for a key.
fn least<T: Ord>(files: &[File], key: impl Fn(&Layer) -> Option<T>) -> Option<T> {
    files.iter().filter_map(|file| key(&file.layer)).min()
}

/// The first value, with its origin.
fn commanded<T>(files: &[File], key: impl Fn(&Layer) -> Option<T>) -> Option<Commanded<T>> {
    files.iter().find_map(|file| {
        let value = key(&file.layer)?;
        Some(Commanded { value, origin: file.origin.clone() })
    })
}

impl Default for Worktree {
    fn default() -> Self {
        Self { dir: WORKTREE_DIR.to_owned(), setup: None, include: Vec::new() }
    }
}

impl Worktree {
    /// The folder that the worktrees of a repository lie in. `repository` is the
    /// absolute root of its main checkout, or the bare repository's folder.
    pub fn folder(&self, repository: &Path) -> PathBuf {
        let name = repository.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".git").filter(|stem| !stem.is_empty()).unwrap_or(&name);
        let mut folder = repository.to_owned();
        for part in Path::new(&self.dir.replace("{repo}", name)).components() {
            match part {
                Component::ParentDir => {
                    folder.pop();
                }
                Component::CurDir => {}
                // An absolute path begins with its root, which replaces all.
                part => folder.push(part),
            }
        }
        folder
    }
}

/// Where the files lie.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The root of the checkout.
    pub checkout: Option<&'a Path>,
    /// The person's configuration folder (`~/.config`).
    pub config_home: &'a Path,
    /// The person's home, for which `~/` stands.
    pub home: &'a Path,
}

/// What [`load`] found.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration, with the repository's commands until they are withheld.
    pub config: Config,
    /// Keys that this cx does not know, in the files' order.
    pub warnings: Vec<Warning>,
    overrides: Overrides,
    /// The nearest first.
    files: Vec<File>,
}

/// Reads the configuration.
///
/// # Errors
/// Those of [`ConfigError`]: a file that cannot be read, is no TOML, or has a
/// value of the wrong kind. Unknown keys are warnings.
pub fn load(places: &Places, overrides: Overrides) -> Result<Loaded, ConfigError> {
    let home = places.home;
    let mut files = Vec::new();
    if let Some(folder) = places.checkout {
        let origin = Origin::Repository(folder.join(REPOSITORY_FILE));
        files.extend(file::read(origin, Base { folder, home })?);
    }
    let path = places.config_home.join(USER_FILE);
    let folder = path.parent().unwrap_or(&path);
    files.extend(file::read(Origin::User(path.clone()), Base { folder, home })?);
    Ok(Loaded {
        config: Config::of(&overrides, &files),
        warnings: files.iter_mut().flat_map(|file| std::mem::take(&mut file.warnings)).collect(),
        overrides,
        files,
    })
}

impl Loaded {
    /// What the repository's own file wants run, for `cx trust` to show and to
    /// remember; nothing where it wants nothing run. `place` is the repository's
    /// common folder, so that all its worktrees count as one place.
    ///
    /// # Errors
    /// Where `place` cannot be resolved.
    pub fn claim(&self, place: &Path) -> io::Result<Option<Claim>> {
        let commands: Vec<_> =
            self.files.iter().flat_map(|file| file.commands.iter().cloned()).collect();
        if commands.is_empty() {
            return Ok(None);
        }
        Claim::new(place, REPOSITORY_FILE, commands).map(Some)
    }

    /// Takes away what the repository's file wants run, so that the person's own
    /// values count in its place, and gives the keys that were taken.
    pub fn withhold(&mut self) -> Vec<String> {
        let mut keys = Vec::new();
        for file in self.files.iter_mut().filter(|file| file.origin.is_repository()) {
            keys.extend(std::mem::take(&mut file.commands).into_iter().map(|(key, _)| key));
            file.layer.withhold();
            file.backends.clear();
        }
        self.config = Config::of(&self.overrides, &self.files);
        keys
    }
}

#[cfg(test)]
mod tests;
