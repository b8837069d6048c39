//! Both files together, and what `docs/config.md` says of them.

use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;

use super::keys::keys_of;
use super::*;

/// A checkout, a configuration folder and a home below one folder.
struct World(TempDir);

impl World {
    fn new(repository: Option<&str>, user: Option<&str>) -> Self {
        let world = Self(tempfile::tempdir().expect("folder"));
        let own = world.path("config").join(USER_FILE);
        let repositorys = world.path("repo").join(REPOSITORY_FILE);
        for (file, text) in [(repositorys, repository), (own, user)] {
            fs::create_dir_all(file.parent().expect("parent")).expect("folders");
            if let Some(text) = text {
                fs::write(file, text).expect("file");
            }
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load_with(&self, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let (checkout, config_home, home) =
            (self.path("repo"), self.path("config"), self.path("home"));
        let places = Places { checkout: Some(&checkout), config_home: &config_home, home: &home };
        let overrides = Overrides::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })?;
        load(&places, overrides)
    }

    fn load(&self) -> Loaded {
        self.load_with(&[]).expect("loads")
    }
}

/// The error of a repository's file with this text, without the folder.
fn problem(text: &str) -> String {
    let world = World::new(Some(text), None);
    let error = world.load_with(&[]).expect_err("is wrong").to_string();
    let folder = format!("{}/", world.path("repo").display());
    error.strip_prefix(&folder).expect("names the file").to_owned()
}

#[test]
fn without_files_there_are_the_defaults() {
    let loaded = World::new(None, None).load();
    let program = || Program {
        program: None,
        args: None,
        env_exclude: vec!["*KEY*".into(), "*TOKEN*".into(), "*SECRET*".into()],
        model: None,
    };
    assert_eq!(
        loaded.config,
        Config {
            backend: BackendName::CODEX.into(),
            model: None,
            max_jobs: None,
            timeout: None,
            silence: None,
            grace: Duration::from_secs(5),
            secrets: Vec::new(),
            notify: false,
            mcp: true,
            hooks: EndHooks {
                on_exit: None,
                on_failure: None,
                on_idle: None,
                timeout: Duration::from_mins(1),
            },
            worktree: Worktree { dir: "../{repo}.cx".into(), setup: None, include: Vec::new() },
            codex: program(),
            claude: program(),
            http: Http::default(),
            merge: Merge { verify: None, verify_timeout: None },
            prices: BTreeMap::new(),
            budget: DayBudget::default(),
            pool: Pool::of(&[]),
            ports: Ports::of(&[]),
            hold: Hold { enabled: true, longest: Duration::from_hours(6), times: 20 },
            planners: BTreeMap::new(),
            aliases: Vec::new(),
            backends: Vec::new(),
            is_model_forced: false,
        }
    );
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.silence_for(BackendName::CODEX), Some(Duration::from_mins(30)));
    assert_eq!(loaded.config.silence_for(BackendName::SH), None);
}

#[test]
fn a_checkout_whose_cx_is_a_file_has_no_configuration() {
    let world = World::new(None, None);
    fs::remove_dir(world.path("repo/.cx")).expect("removes");
    fs::write(world.path("repo/.cx"), "a file").expect("file");
    assert_eq!(world.load().config.grace, Duration::from_secs(5));
}

#[test]
fn variables_stand_above_the_repository_and_it_above_the_person() {
    let world = World::new(
        Some(
            "max-jobs = 2\ntimeout = 90\nmodel = 'r'\n[codex]\nenv-exclude = ['R']\n[worktree]\ninclude = ['r']",
        ),
        Some(
            "max-jobs = 3\ntimeout = '2h'\nsilence = 'none'\ngrace = 0.5\n\
             [codex]\nenv-exclude = ['U']\nmodel = 'u'\n[worktree]\ninclude = ['u']",
        ),
    );
    let config = world.load().config;
    assert_eq!(config.max_jobs.map(NonZeroUsize::get), Some(2));
    assert_eq!(config.timeout, Some(Duration::from_secs(90)));
    assert_eq!(config.silence_for(BackendName::CODEX), None);
    assert_eq!(config.grace, Duration::from_millis(500));
    assert_eq!(config.codex.env_exclude, ["U", "R"]);
    assert_eq!(config.worktree.include, ["u", "r"]);
    assert_eq!(config.model_for(BackendName::CODEX), Some("u"));
    assert_eq!(config.model_for(BackendName::SH), Some("r"));

    let variables = [
        ("CX_MAX_JOBS", "7"),
        ("CX_TIMEOUT", "none"),
        ("CX_SILENCE", "1m"),
        ("CX_GRACE", "9"),
        ("CX_MODEL", "v"),
        ("CX_BACKEND", "sh"),
    ];
    let config = world.load_with(&variables).expect("loads").config;
    assert_eq!(config.max_jobs.map(NonZeroUsize::get), Some(7));
    assert_eq!(config.timeout, None);
    assert_eq!(config.silence_for(BackendName::SH), Some(Duration::from_mins(1)));
    assert_eq!(config.grace, Duration::from_secs(9));
    assert_eq!(config.model_for(BackendName::CODEX), Some("v"));
    assert_eq!(config.backend, BackendName::SH.into());
}

#[test]
fn a_wrong_variable_is_named_and_an_empty_one_is_not_set() {
    let world = World::new(None, None);
    for (name, value, problem) in [
        (
            "CX_BACKEND",
            "gpt!",
            "is no name of a backend: '!' may not be there, only letters, digits, '.', '_' and '-' after a letter",
        ),
        ("CX_MAX_JOBS", "0", "is not a number of jobs: write 1 or more"),
        ("CX_MODEL", "-x", "is no name of a model"),
        (
            "CX_SILENCE",
            "x",
            "is not a duration: write 90s, 10m, 1h30m or a number of seconds, or none",
        ),
        ("CX_GRACE", "none", "is not a duration: write 90s, 10m, 1h30m or a number of seconds"),
    ] {
        let error = world.load_with(&[(name, value)]).expect_err("wrong").to_string();
        assert_eq!(error, format!("the variable {name} is '{value}', which {problem}"));
        assert!(world.load_with(&[(name, "")]).is_ok());
    }
}

#[test]
fn unknown_keys_are_warnings_with_file_line_and_nearest_key() {
    let world = World::new(
        Some("model = 'm'\nmax_jobs = 3\n\n[worktree]\nstup = 'make'\n[plan]\nverify = 'x'\n"),
        Some("setup = 'make'\n[codex]\n'a.b' = 1\n"),
    );
    let loaded = world.load();
    let found: Vec<_> = loaded
        .warnings
        .iter()
        .map(|w| {
            (w.path.starts_with(world.path("repo")), w.line, w.key.as_str(), w.nearest.as_deref())
        })
        .collect();
    assert_eq!(
        found,
        [
            (true, 2, "max_jobs", Some("max-jobs")),
            (true, 5, "worktree.stup", Some("worktree.setup")),
            (true, 6, "plan", None),
            (false, 1, "setup", Some("worktree.setup")),
            (false, 3, "codex.a.b", None),
        ]
    );
    let first = &loaded.warnings[0];
    let sentence =
        format!("{}:2: there is no key 'max_jobs', so it does nothing", first.path.display());
    assert_eq!(first.to_string(), sentence);
    assert_eq!(first.hint().as_deref(), Some("did you mean 'max-jobs'?"));
    assert_eq!(loaded.config.model.as_deref(), Some("m"));
}

#[test]
fn a_wrong_value_is_an_error_with_file_line_and_key() {
    for (text, start) in [
        ("\nmax-jobs = 'many'", ".cx/config.toml:2: 'max-jobs' is wrong: "),
        ("max-jobs = 0", ".cx/config.toml:1: 'max-jobs' is wrong: "),
        ("backend = 'gpt!'", ".cx/config.toml:1: 'backend' is wrong: "),
        (
            "timeout = 'ever'",
            ".cx/config.toml:1: 'timeout' is wrong: 'ever' is not a duration: write 90s, 10m, 1h30m \
             or a number of seconds, or none",
        ),
        ("grace = 'none'", ".cx/config.toml:1: 'grace' is wrong: 'none' is not a duration"),
        ("[worktree]\n\nsetup = ''", ".cx/config.toml:3: 'worktree.setup' is wrong: "),
        ("[worktree]\nsetup = []", ".cx/config.toml:2: 'worktree.setup' is wrong: "),
        (
            "[worktree]\ninclude = [\n 'a',\n 3 ]",
            ".cx/config.toml:4: 'worktree.include' is wrong: ",
        ),
        ("worktree = 'x'", ".cx/config.toml:1: 'worktree' is wrong: "),
        ("[codex]\nprogram = ''", ".cx/config.toml:2: 'codex.program' is empty"),
        ("[http]\ntoken-file = ''", ".cx/config.toml:2: 'http.token-file' is empty"),
        (
            "[http]\nurl = 'https://me:secret@a/'",
            ".cx/config.toml:2: 'http.url' is wrong: has a user or a password in it",
        ),
        (
            "[codex]\nmodel = '--x'",
            ".cx/config.toml:2: 'codex.model' is '--x', which is no name of",
        ),
        ("model = 'a'\nmodel = 'b'", ".cx/config.toml:2: is no valid TOML: "),
        ("a = 1\nb = = 2", ".cx/config.toml:2: is no valid TOML: "),
    ] {
        let found = problem(text);
        assert!(found.starts_with(start), "{text:?}: {found}");
        assert!(!found.contains('\n'), "{found}");
    }
    let world = World::new(None, None);
    fs::create_dir(world.path("config").join(USER_FILE)).expect("folder");
    assert!(matches!(world.load_with(&[]), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn commands_of_a_repository_are_claimed_and_can_be_withheld() {
    let world = World::new(
        Some(
            "backend = 'sh'\nmodel = 'r'\n[worktree]\nsetup = ['npm', 'ci']\n\
             [codex]\nprogram = 'bin/codex'\nargs = ['-x']\n\
             [merge]\nverify = 'make check'\nverify-timeout = '10m'\n",
        ),
        Some("[worktree]\nsetup = 'make'\n[codex]\nprogram = '~/bin/codex'\n"),
    );
    let mut loaded = world.load();
    let repository = Origin::Repository(world.path("repo").join(REPOSITORY_FILE));
    let setup = loaded.config.worktree.setup.clone().expect("a setup");
    assert_eq!(setup.value, Command::Argv(vec!["npm".into(), "ci".into()]));
    assert_eq!(setup.origin, repository);
    let program = loaded.config.codex.program.clone().expect("a program");
    assert_eq!(program.value, world.path("repo/bin/codex"));

    let claim = loaded.claim(&world.path("repo")).expect("resolves").expect("a claim");
    let shown: Vec<_> = claim.commands().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("backend", "\"sh\""),
            ("codex.args", "[\"-x\"]"),
            ("codex.program", "\"bin/codex\""),
            ("merge.verify", "\"make check\""),
            ("worktree.setup", "[\"npm\",\"ci\"]"),
        ]
    );

    let taken = loaded.withhold();
    assert_eq!(taken, ["backend", "codex.args", "codex.program", "merge.verify", "worktree.setup"]);
    let user = Origin::User(world.path("config").join(USER_FILE));
    let config = &loaded.config;
    assert_eq!(config.backend, BackendName::CODEX.into());
    assert_eq!(config.model.as_deref(), Some("r"));
    let make = Commanded { value: Command::Shell("make".into()), origin: user.clone() };
    assert_eq!(config.worktree.setup, Some(make));
    let program = Commanded { value: world.path("home/bin/codex"), origin: user };
    assert_eq!(config.codex.program, Some(program));
    assert_eq!(config.codex.args, None);
    let merge = Merge { verify: None, verify_timeout: Some(Duration::from_mins(10)) };
    assert_eq!(config.merge, merge);
    assert_eq!(loaded.claim(&world.path("repo")).expect("resolves"), None);
    assert_eq!(loaded.withhold(), [] as [String; 0]);
}

#[test]
fn a_token_goes_with_the_url_of_its_own_file() {
    let own = "[http]\nurl = 'https://own.example/'\ntoken-file = '~/token'\nstream = false\nprovider = 'p'";
    let repository = "[http]\nurl = 'http://theirs.example'\n";
    let world = World::new(Some(repository), Some(own));
    let mut loaded = world.load();
    let url = |loaded: &Loaded| loaded.config.http.url.clone().expect("a URL").value.to_string();
    assert_eq!(url(&loaded), "http://theirs.example");
    // Theirs has none, and mine is for mine.
    assert_eq!(loaded.config.http.token_file, None);
    assert!(loaded.config.http.is_silent);
    let claim = loaded.claim(&world.path("repo")).expect("resolves").expect("a claim");
    let claimed = [("http.url".to_owned(), "\"http://theirs.example\"".to_owned())];
    assert_eq!(claim.commands(), claimed);
    assert_eq!(loaded.withhold(), ["http.url"]);
    assert_eq!(url(&loaded), "https://own.example");
    assert_eq!(loaded.config.http.token_file, Some(world.path("home/token")));

    // A file of theirs is not sent to a server of mine.
    let world = World::new(Some("[http]\ntoken-file = 'x'\n"), Some(own));
    let mut loaded = world.load();
    assert_eq!(loaded.config.http.token_file, Some(world.path("home/token")));
    assert_eq!(loaded.withhold(), ["http.token-file"]);
}

#[test]
fn a_changed_command_is_no_longer_trusted_and_other_changes_do_not_matter() {
    let text = "[worktree]\nsetup = 'make'\n";
    let world = World::new(Some(text), None);
    let place = world.path("repo");
    let trust = Trust::open(&world.path("state"));
    let claim = || world.load().claim(&place).expect("resolves").expect("a claim");
    trust.trust(&claim()).expect("remembers");

    let file = place.join(REPOSITORY_FILE);
    fs::write(&file, format!("max-jobs = 3\n{text}# done\n")).expect("writes");
    assert!(trust.is_trusted(&claim()));
    fs::write(&file, text.replace("make", "make -j")).expect("writes");
    assert!(!trust.is_trusted(&claim()));
    // An argv of one word is not the script of that word.
    fs::write(&file, text.replace("'make'", "['make']")).expect("writes");
    assert!(!trust.is_trusted(&claim()));
}

#[test]
fn what_is_shown_for_trust_hides_nothing() {
    let world = World::new(Some(r#"worktree.setup = "a\u001b[2K\u202Eb \U000E0041 ä""#), None);
    let claim = world.load().claim(&world.path("repo")).expect("resolves").expect("a claim");
    let shown = &claim.commands()[0].1;
    assert_eq!(shown, r#""a\u001b[2K\u202eb \udb40\udc41 ä""#);
    let back: String = serde_json::from_str(shown).expect("JSON still");
    assert_eq!(back, "a\u{1b}[2K\u{202e}b \u{e0041} ä");
}

#[test]
fn a_persons_own_commands_need_no_trust() {
    let own = "backend = 'sh'\n[worktree]\nsetup = 'make'\n[codex]\nprogram = 'codex'";
    let world = World::new(Some("backend = 'codex'"), Some(own));
    let mut loaded = world.load();
    assert_eq!(loaded.claim(&world.path("repo")).expect("resolves"), None);
    let before = loaded.config.clone();
    assert_eq!(loaded.withhold(), [] as [String; 0]);
    assert_eq!(loaded.config, before);
    assert_eq!(before.codex.program.map(|program| program.value), Some("codex".into()));
}

#[test]
fn worktrees_lie_where_the_file_says() {
    let folder = |dir: &str, repository: &str| {
        let include = Vec::new();
        Worktree { dir: dir.to_owned(), setup: None, include }.folder(Path::new(repository))
    };
    for (dir, repository, expected) in [
        ("../{repo}.cx", "/src/app", "/src/app.cx"),
        ("../{repo}.cx", "/src/app.git", "/src/app.cx"),
        ("./.trees", "/src/app", "/src/app/.trees"),
        ("/var/trees/{repo}", "/src/app", "/var/trees/app"),
        ("../../t", "/src/app", "/t"),
        ("../{repo}.cx", "/src/.git", "/src/.git.cx"),
    ] {
        assert_eq!(folder(dir, repository), PathBuf::from(expected), "{dir}");
    }
}

#[test]
fn a_repository_cannot_send_worktrees_far_away() {
    for (dir, good) in [
        ("../{repo}.cx", true),
        ("trees", true),
        ("./a/b", true),
        ("../a/b", true),
        ("/tmp/x", false),
        ("../../x", false),
        ("a/../../x", false),
        ("~/x", false),
        ("..", false),
        (".git/x", false),
        ("a/.GIT", false),
        ("", false),
        ("{home}", false),
    ] {
        let world = World::new(Some(&format!("[worktree]\ndir = '{dir}'\n")), None);
        match world.load_with(&[]) {
            Ok(_) => assert!(good, "{dir}"),
            Err(error) => {
                let error = error.to_string();
                assert!(!good, "{error}");
                assert!(
                    error.contains(&format!("config.toml:2: 'worktree.dir' is '{dir}'")),
                    "{error}"
                );
            }
        }
    }
    let world = World::new(None, Some("[worktree]\ndir = '~/trees/{repo}'\n"));
    let dir = world.load().config.worktree.folder(Path::new("/src/app"));
    assert_eq!(dir, world.path("home/trees/app"));
}

#[test]
fn every_key_and_variable_is_documented_and_no_other() {
    let page = include_str!("../../docs/config.md");
    let documented: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    assert_eq!(documented, keys_of::<Layer>());

    let mut variables: Vec<&str> = page
        .split(|c: char| !c.is_ascii_uppercase() && c != '_')
        .filter(|word| word.starts_with("CX_") && word.len() > 3)
        // Set for a check or a worker, not read.
        .filter(|word| !["CX_MERGE", "CX_PORT", "CX_CACHE"].contains(word))
        .collect();
    let mut known = Overrides::NAMES;
    variables.sort_unstable();
    known.sort_unstable();
    assert_eq!(variables, known);
}

#[test]
fn the_documented_example_is_read_without_a_warning() {
    let page = include_str!("../../docs/config.md");
    let (_, example) = page.split_once("```toml\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let loaded = World::new(Some(example), None).load();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.codex.model.as_deref(), Some("gpt-5.1-codex"));
}

#[test]
fn planners_are_commands_or_models() {
    let world = World::new(
        Some(
            "[planner.a]\ncommand = 'repo'\n[planner.b]\nmodel = 'm'\n[planner.c]\nbackend = 'codex'",
        ),
        Some("[planner.a]\ncommand = ['own', 'x']\ntimeout = 3\n[planner.b]\ncommand = 'own b'"),
    );
    let mut loaded = world.load();
    let name = |planner: Option<&Planner>| match planner {
        Some(Planner::Command { command, timeout }) => {
            format!("{:?} {timeout:?} {}", command.value, command.origin.is_repository())
        }
        Some(Planner::Model { backend, model, .. }) => format!("{backend:?} {model:?}"),
        None => "none".to_owned(),
    };
    let all =
        |loaded: &Loaded| ["a", "b", "c", "d"].map(|one| name(loaded.config.planners.get(one)));
    assert_eq!(
        all(&loaded),
        ["Shell(\"repo\") None true", "None Some(\"m\")", "Some(codex) None", "none"]
    );
    let claim = loaded.claim(world.0.path()).expect("resolves").expect("wants something run");
    let claimed = [("planner.a.command".to_owned(), "\"repo\"".to_owned())];
    assert_eq!(claim.commands(), claimed);
    assert_eq!(loaded.withhold(), ["planner.a.command"]);
    // What was withheld makes way for the person's own of that name.
    assert_eq!(
        all(&loaded),
        [
            "Argv([\"own\", \"x\"]) Some(After(3s)) false",
            "None Some(\"m\")",
            "Some(codex) None",
            "none"
        ]
    );
}

#[test]
fn planners_that_cannot_be_asked_are_errors() {
    for (text, what) in [
        ("[planner.llm]\nmodel = 'm'", "'planner.llm' is a name that"),
        ("\n[planner.a]\n", "'planner.a' has neither a command nor"),
        ("[planner.a]\ncommand = 'x'\nmodel = 'm'", "'planner.a' has a command, and so neither"),
        ("[planner.a]\nbackend = 'sh'", "'planner.a' is on the backend sh"),
        ("[planner.a]\nmodel = '-m'", "'planner.a' has the model '-m'"),
        ("[planner.a]\ncommand = ''", "'planner.a.command' is wrong"),
    ] {
        let line = if text.starts_with('\n') || text.contains("= ''") { 2 } else { 1 };
        let said = problem(text);
        assert!(said.starts_with(&format!(".cx/config.toml:{line}: {what}")), "{said}");
    }
    let world = World::new(Some("[planner.a]\ncomand = 'x'\nmodel = 'm'"), None);
    assert_eq!(world.load().warnings[0].key, "planner.a.comand");
}
