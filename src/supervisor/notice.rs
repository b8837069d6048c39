//! Who is told of a job's end: the hooks `on_exit`, `on_failure` and `on_idle`, and
//! the person.
//!
//! The end is in the ledger by then, and nothing here can change it: what goes
//! wrong is a note. The hooks are started while the job's lock is still held, so
//! that its folder is there, and attended to after it is free, so that nobody who
//! waits for the job waits for them. A crash leaves them to themselves, and those
//! that were not started yet are not: none ever runs twice.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::prepare::{path_variable, scrubbed};
use crate::{
    backend::program,
    job::{JobId, WorkerExit},
    ledger::{Event, Job, JobFiles, Note, Notice, Store, StoreError},
    process::{
        crash, errand,
        signals::Signals,
        tty,
        worker::{Input, Worker, WorkerCommand},
    },
    ui::{self, Notification},
    view::{self, JobView},
};

/// A job whose end is in the ledger.
pub(super) struct Over {
    job: Job,
    /// No other job of the repository was live then.
    idle: bool,
}

/// Writes the end of a job down. What is to be told of it, if anybody is.
///
/// Of several jobs that end at once the last to do so finds the repository idle,
/// and no other: ends are written one at a time.
pub(super) fn write_end(
    store: &Store,
    id: JobId,
    notice: Option<&Notice>,
    events: &[&Event],
) -> Result<Option<Over>, StoreError> {
    let mut appender = store.appender()?;
    appender.append_all(events.iter().map(|event| (id, *event)))?;
    if notice.is_none() {
        return Ok(None);
    }
    // The end is written, and must not look as if it were not.
    let Ok(mut state) = appender.state() else { return Ok(None) };
    let idle = !state.jobs.values().any(Job::is_live);
    Ok(state.jobs.remove(&id).map(|job| Over { job, idle }))
}

/// What was started to tell of an end.
pub(super) struct Telling {
    store: Store,
    id: JobId,
    limit: Duration,
    /// What each is called, and where what it puts out is.
    errands: Vec<(String, PathBuf, Worker)>,
}

impl Over {
    /// Starts what is to be told.
    pub(super) fn tell(&self, store: &Store) -> Option<Telling> {
        let notice = self.job.spec.notice.as_ref()?;
        let failed = self.job.outcome().is_some_and(|outcome| !outcome.is_success());
        let hooks = [
            ("on_exit", &notice.on_exit, true),
            ("on_failure", &notice.on_failure, failed),
            ("on_idle", &notice.on_idle, self.idle),
        ];
        let mut telling = Telling {
            store: store.clone(),
            id: self.job.job,
            limit: Duration::from_millis(notice.limit_ms),
            errands: Vec::new(),
        };
        // What a hook starts, such as another job, is not ours to end.
        if let Err(error) = errand::let_orphans_go() {
            telling.note(format!("its hooks did not run: {error}"));
            return None;
        }
        let files = store.job(self.job.job);
        for (name, argv, _) in hooks.into_iter().filter(|(_, argv, due)| *due && !argv.is_empty()) {
            let log = files.dir().join(format!("{name}.log"));
            let started = self.input(store, &files).and_then(|input| {
                let mut command = self.command(argv, Input::File(input), &log)?;
                command.env.push(("CX_HOOK".into(), name.into()));
                command.start()
            });
            match started {
                Ok(worker) => telling.errands.push((format!("the {name} hook"), log, worker)),
                Err(error) => {
                    telling.note(format!("the {name} hook could not be started: {error}"));
                }
            }
        }
        if notice.notify {
            self.notify(notice, &files, &mut telling);
        }
        crash::point("telling");
        Some(telling)
    }

    /// The job as `cx show --json` has it, in a file.
    fn input(&self, store: &Store, files: &JobFiles) -> io::Result<PathBuf> {
        let path = files.dir().join("job.json");
        if !path.exists() {
            let mut bytes = serde_json::to_vec(&JobView::new(&self.job, store))?;
            bytes.push(b'\n');
            files.replace(&path, &bytes).map_err(io::Error::other)?;
        }
        Ok(path)
    }

    fn command(&self, words: &[String], stdin: Input, log: &Path) -> io::Result<WorkerCommand> {
        let [program, args @ ..] = words else { return Err(io::ErrorKind::InvalidInput.into()) };
        let program = program::locate_word(program.as_ref(), &path_variable());
        let spec = &self.job.spec;
        let dir = PathBuf::from(spec.checkout.as_ref().unwrap_or(&spec.cwd));
        // It is nobody's worker, so it may do what only people may.
        let mut env_remove = scrubbed();
        env_remove.extend(["CX_JOB", "CX_JOB_ID", "CX_NAME"].map(str::to_owned));
        Ok(WorkerCommand {
            program: program.map_err(io::Error::other)?,
            args: args.iter().map(OsString::from).collect(),
            dir: if dir.is_dir() { dir } else { PathBuf::from("/") },
            env: Vec::new(),
            env_remove,
            stdin,
            stdout: log.to_owned(),
            stderr: log.to_owned(),
            confine: None,
        })
    }

    /// Tells the person: the desktop where there is one, else the terminal, whose bell
    /// rings in any case.
    fn notify(&self, notice: &Notice, files: &JobFiles, telling: &mut Telling) {
        let summary = format!("{} {}", self.job.spec.name, view::status_with_code(&self.job));
        let told = Notification::new(&summary, &self.job.spec.title);
        let mut for_terminal = told.for_terminal(|name| std::env::var_os(name));
        if ui::has_desktop(|name| std::env::var_os(name)) {
            let argv: Vec<String> = [OsString::from("notify-send")]
                .into_iter()
                .chain(told.desktop_args())
                .filter_map(|word| word.into_string().ok())
                .collect();
            let log = files.dir().join("notify.log");
            let command = self.command(&argv, Input::Null, &log);
            if let Ok(worker) = command.and_then(|command| command.start()) {
                telling.errands.push(("notify-send".to_owned(), log, worker));
                "\x07".clone_into(&mut for_terminal);
            }
        }
        if let Some(terminal) = &notice.terminal {
            // One that is gone has nobody before it.
            let _ = tty::write(Path::new(terminal), for_terminal.as_bytes());
        }
    }
}

impl Telling {
    /// Waits for what was started, as long as it may take; what went wrong is a note.
    pub(super) fn attend(self, signals: &mut Signals) {
        let Self { store, id, limit, errands } = self;
        if errands.is_empty() {
            return;
        }
        let (named, workers): (Vec<_>, Vec<_>) =
            errands.into_iter().map(|(name, log, worker)| ((name, log), worker)).unzip();
        let note = |text: String| {
            let _ = store.append(id, &Event::Note(Note { text }));
        };
        let ends = match errand::attend(workers, limit, signals) {
            Ok(ends) => ends,
            Err(error) => return note(format!("how its hooks ended is not known: {error}")),
        };
        for ((name, log), end) in named.into_iter().zip(ends) {
            let output = format!("its output is in {}", log.display());
            match end {
                errand::Done::Exited(WorkerExit::Code(0)) => {}
                errand::Done::Exited(exit) => {
                    note(format!("{name} failed ({}); {output}", exit.shell_code()));
                }
                errand::Done::Late => {
                    note(format!("{name} was ended after {}; {output}", ui::short(limit)));
                }
            }
        }
    }

    fn note(&self, text: String) {
        let _ = self.store.append(self.id, &Event::Note(Note { text }));
    }
}
