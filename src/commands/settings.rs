//! The configuration as it counts for one command: files, variables, and only
//! those of the repository's commands that are trusted.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::{backends::Catalog, claims, session::Session};
use crate::{
    backend::{self, Backend, Family, program},
    config::{self, Command, Commanded, Config, Loaded, Overrides, Places, Trust},
    failure::{Exit, Failure},
    git::Place,
    job::{BackendChoice, BackendChoiceError, BackendName, Mode},
    ledger::Notice,
    process::{secrets, tty},
};

/// The configuration that counts.
#[derive(Debug)]
pub(super) struct Settings {
    /// Without what the repository wants run and nobody trusts.
    pub(super) config: Config,
    /// Sentences for the person: unknown keys, commands that were not trusted.
    pub(super) notes: Vec<String>,
    /// Those of them that are about the files, and not about any job.
    about_files: Vec<String>,
    /// The keys whose commands were withheld.
    withheld: Vec<String>,
    /// What does the work.
    pub(super) catalog: Catalog,
}

impl Settings {
    /// Reads the configuration for where we stand.
    pub(super) fn load(session: &Session) -> Result<Self, Failure> {
        let mut loaded = load(session)?;
        secrets::keep_also(&loaded.config.secrets);
        let mut notes: Vec<String> = loaded
            .warnings
            .iter()
            .map(|warning| match warning.hint() {
                Some(hint) => format!("{warning} ({hint})"),
                None => warning.to_string(),
            })
            .collect();
        let about_files = notes.clone();
        let mut withheld = Vec::new();
        if let Some(claim) = claims::of_config(session, &loaded)?
            && !Trust::open(&session.roots.state_home).is_trusted(&claim)
        {
            withheld = loaded.withhold();
            notes.push(format!(
                "{} of this repository's {} is not trusted and was left out; `cx trust` shows it",
                withheld.join(", "),
                claim.file()
            ));
        }
        let catalog = Catalog::read(&loaded.config.backends, &mut notes)?;
        Ok(Self { config: loaded.config, notes, about_files, withheld, catalog })
    }

    /// Whether a note says something of a job, and not only of the files.
    pub(super) fn is_of_a_job(&self, note: &String) -> bool {
        !self.about_files.contains(note)
    }

    /// What a name stands for.
    pub(super) fn backend(&self, name: BackendName) -> Result<Backend, Failure> {
        self.catalog.find(name).map(|(backend, _)| backend).ok_or_else(|| {
            let known: Vec<_> = self.catalog.names().iter().map(ToString::to_string).collect();
            let hint = if self.is_withheld(&format!("backends.{name}")) {
                "the repository defines it, and is not trusted: `cx trust` shows it".to_owned()
            } else {
                format!("one of: {}", known.join(", "))
            };
            Failure::usage(format!("there is no backend '{name}'")).hint(hint)
        })
    }

    /// Who says which backend works where nobody else does.
    pub(super) fn who_chose_backend() -> &'static str {
        let is_said = std::env::var_os("CX_BACKEND").is_some_and(|value| !value.is_empty());
        if is_said { "CX_BACKEND" } else { "the configuration" }
    }

    /// Names that somebody typed. Each stands for a backend.
    pub(super) fn choice(&self, words: &str) -> Result<BackendChoice, Failure> {
        let wrong = |e: BackendChoiceError| Failure::usage(format!("'{words}' {e}"));
        let choice: BackendChoice = words.parse().map_err(wrong)?;
        for name in choice.names() {
            self.backend(name)?;
        }
        Ok(choice)
    }

    /// The model for a backend where nobody asks for another.
    pub(super) fn model_for<'a>(&'a self, backend: &'a Backend) -> Option<&'a str> {
        match &backend.family {
            Family::Command(_) if !backend::takes_model(backend) => None,
            Family::Command(command) => self.config.model_over(command.model.as_deref()),
            Family::Codex | Family::Claude | Family::Http | Family::Sh => {
                self.config.model_for(backend.name)
            }
        }
    }

    /// The program of a backend, or for an argv its first word, as it is found by a
    /// job of this mode that starts in `cwd`.
    pub(super) fn program(
        &self,
        backend: &Backend,
        word: Option<&String>,
        mode: Mode,
        cwd: &Path,
    ) -> Result<PathBuf, Failure> {
        let path = env::var_os("PATH").unwrap_or_default();
        let found = if let Some(word) = word {
            // A reader starts here, so `./program` is known now. A writer's
            // folder does not exist yet.
            let here = (mode == Mode::Reader && word.contains('/')).then(|| cwd.join(word));
            let word = here.as_deref().map_or(word.as_ref(), Path::as_os_str);
            program::locate_word(word, &path)
        } else {
            let configured =
                self.config.of_backend(backend.name).and_then(|own| own.program.as_ref());
            let configured = configured.map(|program| program.value.as_path());
            program::locate(backend, configured, &path).map(|found| found.path)
        };
        found.map_err(|error| {
            let exit = if error.exit_code() == 126 { Exit::NotExecutable } else { Exit::NotFound };
            Failure::new(exit, format!("{error}; nothing was started")).maybe_hint(error.hint())
        })
    }

    /// Whether the repository asks for `key` to be run, and nobody trusts it.
    pub(super) fn is_withheld(&self, key: &str) -> bool {
        self.withheld.iter().any(|withheld| withheld == key)
    }

    /// The setup command for a fresh worktree. One that is not trusted is left
    /// out, or refused where it is required.
    pub(super) fn setup(&self, required: bool) -> Result<Vec<String>, Failure> {
        if required && self.withheld.iter().any(|key| key.contains("setup")) {
            return Err(Failure::usage(
                "the repository's setup command is not trusted, and it is required",
            )
            .hint("`cx trust` shows it and remembers that you trust it"));
        }
        match &self.config.worktree.setup {
            Some(command) => Ok(argv(&command.value)),
            None if required => {
                Err(Failure::usage("--require-setup was given, and no setup command is configured")
                    .hint("set worktree.setup in .cx/config.toml"))
            }
            None => Ok(Vec::new()),
        }
    }

    /// Who is told of a job's end; `notify` where the person asks for it.
    pub(super) fn notice(&self, notify: bool) -> Option<Notice> {
        let hooks = &self.config.hooks;
        let words = |hook: &Option<Commanded<Command>>| {
            hook.as_ref().map(|hook| argv(&hook.value)).unwrap_or_default()
        };
        let notify = notify || self.config.notify;
        let terminal = if notify { tty::own() } else { None };
        let notice = Notice {
            on_exit: words(&hooks.on_exit),
            on_failure: words(&hooks.on_failure),
            on_idle: words(&hooks.on_idle),
            limit_ms: u64::try_from(hooks.timeout.as_millis()).unwrap_or(u64::MAX),
            notify,
            terminal: terminal.and_then(|path| path.into_os_string().into_string().ok()),
        };
        (!notice.is_nothing()).then_some(notice)
    }

    /// The configured arguments of a backend's program, checked.
    pub(super) fn extra_args(&self, backend: &Backend) -> Result<Vec<String>, Failure> {
        let args = self.config.of_backend(backend.name).and_then(|own| own.args.as_ref());
        let args = args.map(|args| args.value.clone()).unwrap_or_default();
        backend::check_args(backend, &args).map_err(|e| {
            let key = format!("{}.args", backend.name);
            Failure::usage(e.to_string()).hint(format!("change {key} in the configuration"))
        })?;
        Ok(args)
    }

    /// Patterns of variables that the commands of a backend's worker must not see.
    pub(super) fn env_exclude(&self, backend: &Backend) -> Vec<String> {
        let own = self.config.of_backend(backend.name);
        own.map(|own| own.env_exclude.clone()).unwrap_or_default()
    }

    /// The folder that a repository's worktrees lie in.
    pub(super) fn worktree_folder(&self, place: &Place) -> PathBuf {
        self.config.worktree.folder(&main_folder(place))
    }
}

/// A command as a program and its arguments.
fn argv(command: &Command) -> Vec<String> {
    match command {
        Command::Shell(script) => vec!["sh".to_owned(), "-c".to_owned(), script.clone()],
        Command::Argv(argv) => argv.clone(),
    }
}

/// Reads the configuration files.
pub(super) fn load(session: &Session) -> Result<Loaded, Failure> {
    let failed = |e: config::ConfigError| {
        Failure::usage(format!("{e}; nothing was started")).maybe_hint(e.hint())
    };
    let overrides = Overrides::read(|name| env::var_os(name)).map_err(failed)?;
    let checkout = session.place.as_ref().and_then(|place| place.checkout.as_deref());
    let places =
        Places { checkout, config_home: &session.roots.config_home, home: &session.roots.home };
    config::load(&places, overrides).map_err(failed)
}

/// The folder that a repository's worktrees lie in where nobody says otherwise.
pub(super) fn default_folder(place: &Place) -> PathBuf {
    config::Worktree::default().folder(&main_folder(place))
}

/// The same for a repository whose main checkout is, or was, at `main`.
pub(super) fn folder_beside(main: &Path) -> PathBuf {
    config::Worktree::default().folder(main)
}

/// Where the repository's main checkout is, for naming its worktrees' folder.
fn main_folder(place: &Place) -> PathBuf {
    // The common folder is `.git` in the main checkout, or the bare repository.
    match place.common_dir.file_name() {
        Some(name) if name == ".git" => {
            place.common_dir.parent().unwrap_or(&place.common_dir).to_owned()
        }
        _ => place.common_dir.clone(),
    }
}
