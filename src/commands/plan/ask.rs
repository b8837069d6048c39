//! Asking a planner: by name, once, and once more with what was wrong.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    backend::Backend,
    commands::{
        collect::message_file,
        kill,
        session::{Session, label, refuse_in_worker, store},
        settings::Settings,
        spawn::{Asked, ask_reader},
        view,
    },
    config::{Command, Commanded, Limit, Origin, Planner},
    failure::{Exit, Failure},
    job::{BackendChoice, Mode, WorkerExit},
    ledger::{Event, Job},
    plan::propose::{Ask, Request},
    process::{
        leash::{Ended, Interrupts, Leashed},
        run::Question,
        vigil::Vigil,
    },
    ui,
};

/// How long one answer may take where nothing is said.
const PATIENCE: Duration = Duration::from_mins(10);

/// Who is asked.
#[derive(Clone, Debug)]
pub(in crate::commands) enum Who {
    /// Nobody.
    Heuristic,
    /// A planner, by this name.
    Planner(String, Planner),
}

impl Who {
    /// Whom a name stands for; `option` is where it was given.
    pub(in crate::commands) fn find(
        name: &str,
        option: &str,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let named = |planner| Ok(Self::Planner(name.to_owned(), planner));
        match (name, settings.config.planners.get(name)) {
            ("heuristic", _) => Ok(Self::Heuristic),
            ("llm", _) => named(Planner::Model { backend: None, model: None, timeout: None }),
            (_, Some(planner)) => named(planner.clone()),
            (_, None) if settings.is_withheld(&format!("planner.{name}.command")) => {
                Err(Failure::usage(format!(
                    "the planner '{name}' is a command of the repository, and is not trusted"
                ))
                .hint("`cx trust` shows it and remembers that you trust it"))
            }
            (_, None) => {
                let mut known = vec!["heuristic", "llm"];
                known.extend(settings.config.planners.keys().map(String::as_str));
                Err(Failure::usage(format!("{option}: there is no planner '{name}'"))
                    .hint(format!("one of: {}; or configure [planner.{name}]", known.join(", "))))
            }
        }
    }

    /// Has `llm` ask this backend in place of the default one.
    pub(super) fn on(&mut self, name: &str, to: BackendChoice) -> Result<(), Failure> {
        if let (Self::Planner(_, Planner::Model { backend, .. }), "llm") = (self, name) {
            if to.is_shell() {
                return Err(Failure::usage(
                    "the backend sh runs commands, and cannot plan; nothing was started",
                )
                .hint("-b codex or -b claude"));
            }
            *backend = Some(to);
        }
        Ok(())
    }

    /// Who revises a plan that runs: a planner by its name, or else a shell command.
    pub(in crate::commands) fn reviser(word: &str, settings: &Settings) -> Result<Self, Failure> {
        let is_planner = matches!(word, "llm" | "heuristic")
            || settings.config.planners.contains_key(word)
            || settings.is_withheld(&format!("planner.{word}.command"));
        if word.trim().is_empty() {
            return Err(Failure::usage("--revise-plan= names nobody; nothing was started")
                .hint("a planner, or a command"));
        }
        if !is_planner {
            let origin = Origin::User("--revise-plan".into());
            let command = Commanded { value: Command::Shell(word.to_owned()), origin };
            let name = ui::cut(&ui::clean(word), 60);
            return Ok(Self::Planner(name, Planner::Command { command, timeout: None }));
        }
        match Self::find(word, "--revise-plan", settings)? {
            Self::Heuristic => {
                Err(Failure::usage("the heuristic revises no plan; nothing was started")
                    .hint("--revise-plan asks the default backend, --revise-plan=CMD a command"))
            }
            // A shell would run what is written for a model.
            Self::Planner(_, Planner::Model { backend: None, .. })
                if settings.config.backend.is_shell() =>
            {
                Err(Failure::usage(
                    "the backend sh runs commands, and cannot revise a plan; nothing was started",
                )
                .hint("--revise-plan=CMD names a command, or a planner of the configuration"))
            }
            who @ Self::Planner(..) => Ok(who),
        }
    }

    /// Refuses a planner whose program is not there, as far as that can be known before
    /// it is asked.
    ///
    /// # Errors
    /// Exit 126 or 127, as a shell has them.
    pub(in crate::commands) fn require(
        &self,
        session: &Session,
        settings: &Settings,
    ) -> Result<(), Failure> {
        match self {
            Self::Heuristic => Ok(()),
            Self::Planner(_, Planner::Model { backend, .. }) => {
                // The last one's failure is as good as that of any other.
                let mut missing = Ok(());
                for name in backend.unwrap_or(settings.config.backend).names() {
                    let backend = settings.backend(name)?;
                    missing =
                        settings.program(&backend, None, Mode::Reader, folder(session)).map(drop);
                    if missing.is_ok() {
                        break;
                    }
                }
                missing
            }
            Self::Planner(name, Planner::Command { command, .. }) => {
                words(&command.value, session, settings)?;
                match &command.value {
                    Command::Argv(_) => Ok(()),
                    Command::Shell(line) => require_word(name, line, session, settings),
                }
            }
        }
    }

    /// The same, who has to answer within this time at the latest.
    pub(in crate::commands) fn within(mut self, left: Duration) -> Self {
        if let Self::Planner(_, planner) = &mut self {
            let (Planner::Command { timeout, .. } | Planner::Model { timeout, .. }) = planner;
            let least = patience(*timeout).map_or(left, |limit| limit.min(left));
            *timeout = Some(Limit::After(least));
        }
        self
    }

    /// Asks, and reads the answer with `read`. What cannot be read is named, and
    /// asked for once more with its codes.
    ///
    /// # Errors
    /// Exit 1 where the planner fails, or where its second answer is no better.
    pub(in crate::commands) fn ask<T>(
        &self,
        session: &Session,
        settings: &Settings,
        request: &Request<'_>,
        read: &dyn Fn(&str) -> Result<T, Vec<String>>,
    ) -> Result<T, Failure> {
        let Self::Planner(name, planner) = self else {
            return Err(Failure::internal("the heuristic asks nobody"));
        };
        let answer = |request: &Request<'_>| match planner {
            Planner::Command { command, timeout } => {
                let words = words(&command.value, session, settings)?;
                run(name, &words, patience(*timeout), (session, settings), request)
            }
            Planner::Model { backend, model, timeout } => {
                let timeout = patience(*timeout);
                job(session, settings, (*backend, model.as_deref(), timeout), request)
            }
        };
        let first = match read(&answer(request)?) {
            Ok(good) => return Ok(good),
            Err(codes) => codes.join(", "),
        };
        ui::warn(format_args!(
            "the planner '{name}' gave no valid answer: {first}; asked once more"
        ));
        let again = Request { problem: Some(&first), ..request.clone() };
        read(&answer(&again)?).map_err(|codes| {
            let codes = codes.join(", ");
            let mut failure = format!("the planner '{name}' gave no valid answer twice: {codes}");
            let hint = match request.ask {
                Ask::Revision => {
                    failure = format!("{failure}; {}", then(request));
                    "`cx man plans` says what an answer has to be"
                }
                Ask::Agents | Ask::Tasks => {
                    "`cx man plans` says what an answer has to be; --decomposer heuristic asks nobody"
                }
            };
            Failure::new(Exit::Failed, failure).hint(hint)
        })
    }
}

/// What becomes of it where there is no answer.
fn then(request: &Request<'_>) -> &'static str {
    match request.ask {
        Ask::Revision => "the plan stays as it was",
        Ask::Agents | Ask::Tasks => "there is no plan",
    }
}

/// No limit is no limit of ours.
fn patience(said: Option<Limit>) -> Option<Duration> {
    said.map_or(Some(PATIENCE), Limit::duration)
}

/// The program and its arguments.
fn words(
    command: &Command,
    session: &Session,
    settings: &Settings,
) -> Result<(PathBuf, Vec<OsString>), Failure> {
    let here = folder(session);
    let program = |word| settings.program(&Backend::SH, word, Mode::Reader, here);
    Ok(match command {
        Command::Shell(line) => (program(None)?, vec!["-c".into(), line.into()]),
        Command::Argv(words) => {
            (program(words.first())?, words.iter().skip(1).map(OsString::from).collect())
        }
    })
}

/// Asks the shell whether it knows what a line begins with. Runs nothing of it.
fn require_word(
    name: &str,
    line: &str,
    session: &Session,
    settings: &Settings,
) -> Result<(), Failure> {
    let here = folder(session);
    let Some(word) = plain_word(line) else { return Ok(()) };
    let ask = "case $1 in
        */*) test -f \"$1\" || exit 127; test -x \"$1\" || exit 126;;
        *) command -v -- \"$1\" > /dev/null || exit 127;;
        esac";
    let question = Question {
        program: &settings.program(&Backend::SH, None, Mode::Reader, here)?,
        args: ["-c", ask, "sh", word].map(OsString::from).to_vec(),
        dir: here.to_owned(),
        env_remove: &["CX_CRASH_AT"],
        limit: PATIENCE,
    };
    let answer = question.ask().map_err(|e| Failure::internal(format!("cannot run sh: {e}")))?;
    let (exit, what) = match answer.and_then(|answer| answer.code) {
        Some(127) => (Exit::NotFound, "was not found"),
        Some(126) => (Exit::NotExecutable, "cannot be executed"),
        _ => return Ok(()),
    };
    let place = if word.contains('/') { "" } else { " on PATH" };
    Err(Failure::new(
        exit,
        format!("the planner '{name}': {word} {what}{place}; nothing was started"),
    )
    .hint("--revise-plan names a planner of the configuration, or a command for sh"))
}

/// The word that a shell takes for the command of a line; none where that is for the
/// shell to find out.
fn plain_word(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let is_end = |c: char| c.is_whitespace() || ";|&<>()".contains(c);
    let word = rest.get(..rest.find(is_end).unwrap_or(rest.len()))?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,%".contains(c) || !c.is_ascii();
    (!word.is_empty() && word.chars().all(is_plain)).then_some(word)
}

/// Where a planner runs: at the top of the checkout.
fn folder(session: &Session) -> &Path {
    let checkout = session.place.as_ref().and_then(|place| place.checkout.as_deref());
    checkout.unwrap_or(&session.cwd)
}

/// What a command answers. Nothing that it starts outlives it.
fn run(
    name: &str,
    (program, args): &(PathBuf, Vec<OsString>),
    limit: Option<Duration>,
    (session, settings): (&Session, &Settings),
    request: &Request<'_>,
) -> Result<String, Failure> {
    let then = then(request);
    let failed =
        |what: String| Failure::new(Exit::Failed, format!("the planner '{name}' {what}; {then}"));
    let broken = |e: io::Error| failed(format!("cannot be run: {e}"));
    let files = tempfile::tempdir().map_err(broken)?;
    let [input, output, log] = ["request", "answer", "log"].map(|name| files.path().join(name));
    let json = serde_json::to_vec(request).map_err(|e| Failure::internal(e.to_string()))?;
    fs::write(&input, json).map_err(broken)?;
    // Files, not pipes: what it leaves running cannot hold us up.
    let mut words: Vec<OsString> = vec!["-c".into(), REDIRECT.into(), "sh".into()];
    words.extend([input.into(), output.clone().into(), program.into()]);
    words.extend(args.iter().cloned());
    let here = folder(session);
    let leashed = Leashed {
        program: settings.program(&Backend::SH, None, Mode::Reader, here)?,
        args: words,
        dir: here.to_owned(),
        env: Vec::new(),
        env_remove: vec!["CX_CRASH_AT".into()],
        log: log.clone(),
        limit,
        grace: settings.config.grace,
    };
    let interrupts = Interrupts::install().map_err(broken)?;
    let code = match leashed.run(&interrupts).map_err(broken)? {
        Ended::Exited(WorkerExit::Code(0)) => {
            let answer = fs::read(&output).map_err(broken)?;
            return String::from_utf8(answer)
                .map_err(|_| failed("answered what is not UTF-8".to_owned()));
        }
        Ended::Exited(WorkerExit::Code(code)) => format!("ended with exit code {code}"),
        Ended::Exited(WorkerExit::Signal(signal)) => format!("was ended by signal {signal}"),
        Ended::TimedOut => {
            let limit = ui::short(limit.unwrap_or_default());
            return Err(failed(format!("did not answer within {limit}"))
                .hint(format!("planner.{name}.timeout allows more")));
        }
        Ended::Interrupted(signal) => {
            let code = u8::try_from(128 + signal).unwrap_or(u8::MAX);
            let what = format!("the planner '{name}' was ended; {then}");
            return Err(Failure::new(Exit::Code(code), what));
        }
    };
    let said = fs::read(&log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rev().map(ui::clean).find(|line| !line.is_empty());
    let last = last.map(|line| format!(": {}", ui::cut(&line, 200))).unwrap_or_default();
    Err(failed(format!("{code}{last}")))
}

/// Its request on stdin and its answer in a file; then it is the program.
const REDIRECT: &str = "exec < \"$1\" > \"$2\"; shift 2; exec \"$@\"";

/// What a reader answers.
fn job(
    session: &Session,
    settings: &Settings,
    (backend, model, timeout): (Option<BackendChoice>, Option<&str>, Option<Duration>),
    request: &Request<'_>,
) -> Result<String, Failure> {
    refuse_in_worker("ask another for a plan")?;
    let asked = Asked {
        name: "plan",
        title: format!("Plan: {}", ui::cut(&ui::clean(request.goal), 100)),
        prompt: request.prompt(),
        backend,
        model,
        timeout,
        schema: schema(session, request)?,
    };
    let launched = ask_reader(session, settings, asked)?;
    let job = session.fresh(launched.id)?;
    ui::note(format_args!(
        "asking {}; `cx logs -f {}` shows what it does",
        label(&job),
        job.spec.name
    ));
    let (job, signal) = until_over(session, &job)?;
    if let Some(signal) = signal {
        let what = format!("{} was to plan, and was ended; {}", label(&job), then(request));
        return Err(Failure::new(Exit::Code(128 + signal), what));
    }
    if !job.succeeded() {
        let why = view::status_with_code(&job);
        return Err(Failure::new(
            Exit::Failed,
            format!("{} was to plan, and {why}; {}", label(&job), then(request)),
        )
        .hint(format!("`cx show {}` says why", job.spec.name)));
    }
    let path = message_file(session, &job);
    let answer = fs::read(&path).map_err(|e| {
        Failure::internal(format!(
            "cannot read the answer of {} in {}: {e}",
            label(&job),
            path.display()
        ))
    })?;
    // It was handed out: to us.
    session.store.append(job.job, &Event::Collected).map_err(store)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The job once it is over. A Ctrl-C or TERM meanwhile ends it, and is told.
fn until_over(session: &Session, job: &Job) -> Result<(Job, Option<u8>), Failure> {
    let broken = |e: io::Error| Failure::internal(format!("cannot wait for {}: {e}", label(job)));
    let mut vigil = Vigil::keep(&session.store.ledger_path()).map_err(broken)?;
    vigil.until_free(&session.store.job(job.job).lock(), job.job.0).map_err(broken)?;
    let mut signal = None;
    loop {
        let roused = vigil.wait(None).map_err(broken)?;
        if !roused.freed.is_empty() {
            return Ok((session.until_over(job)?, signal));
        }
        if signal.is_none() && roused.interrupts + roused.terminations > 0 {
            signal = Some(if roused.interrupts > 0 { 2 } else { 15 });
            kill::request(session, job, 15)?;
        }
    }
}

/// The file with the schema of the answer. It stays: it is the same every time.
fn schema(session: &Session, request: &Request<'_>) -> Result<PathBuf, Failure> {
    let dir = session.store.dir().join("schemas");
    let path = dir.join(format!("{}.json", request.ask.as_str()));
    let write = || {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&dir)?;
        writeln!(file, "{:#}", request.ask.schema())?;
        file.persist(&path).map_err(|error| error.error)
    };
    write().map(|_| path.clone()).map_err(|e| {
        Failure::internal(format!("cannot write {}: {e}; nothing was started", path.display()))
    })
}
