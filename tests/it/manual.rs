//! What is made from the command line: the manual pages, `docs/cli.md`, `completions/`.

use std::fs;
use std::path::Path;

use crate::support::{Sandbox, Terminal};

#[test]
fn generated_files_are_up_to_date() {
    let sandbox = Sandbox::without_repository();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = sandbox.cx_command(["__generate", "--check"]);
    command.arg(root);
    sandbox.run(command).ok();
}

#[test]
fn a_generated_file_that_is_not_is_named_and_written() {
    let sandbox = Sandbox::without_repository();
    sandbox.cx(["__generate"]).code(2);
    sandbox.write("Cargo.toml", "");
    let output = sandbox.cx(["__generate", "--check"]).code(1);
    for name in ["completions/cx.bash", "completions/_cx", "completions/cx.fish", "docs/cli.md"] {
        assert!(output.stderr().contains(&format!("{name} is out of date")), "{output}");
        assert!(!sandbox.repo().join(name).exists());
    }
    sandbox.cx(["__generate"]).ok();
    assert_eq!(sandbox.cx(["__generate", "--check"]).ok().stderr(), "");
    sandbox.write("docs/cli.md", "# Old\n");
    let output = sandbox.cx(["__generate", "--check"]).code(1);
    assert!(output.stderr().contains("docs/cli.md is out of date"), "{output}");
    assert!(!output.stderr().contains("completions"), "{output}");
}

#[test]
fn the_manual_of_every_verb_is_there() {
    let sandbox = Sandbox::without_repository();
    sandbox.cx(["man", "--dir", "pages"]).ok();
    let help = sandbox.cx(["--help"]).ok().stdout();
    let verbs = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let verbs = verbs.lines().filter_map(|line| line.strip_prefix("  "));
    let mut names: Vec<String> = verbs
        .filter(|line| !line.starts_with(' ') && !line.starts_with("help "))
        .map(|line| format!("cx-{}.1", line.split(' ').next().unwrap()))
        .collect();
    assert!(names.len() > 15, "{help}");
    names.push("cx.1".to_owned());
    for name in names {
        let page = sandbox.read(Path::new("pages").join(&name));
        assert!(page.contains(".SH NAME") && page.contains(".SH \"SYNOPSIS\""), "{name}: {page}");
    }
    let hidden = fs::read_dir(sandbox.repo().join("pages")).unwrap().flatten();
    assert!(hidden.into_iter().all(|entry| !entry.file_name().to_string_lossy().contains("__")));
    assert_eq!(sandbox.cx(["man", "spawn"]).ok().stdout(), sandbox.read("pages/cx-spawn.1"));
    assert_eq!(sandbox.cx(["man"]).ok().stdout(), sandbox.read("pages/cx.1"));
    let output = sandbox.cx(["man", "spwan"]).code(2);
    assert!(output.stderr().contains("no such verb: spwan"), "{output}");
}

#[test]
fn man_shows_the_page_on_a_terminal() {
    let sandbox = Sandbox::without_repository();
    sandbox.script_tool("man", "echo \"man $1\"; grep -c '^.SH' \"$2\"; exit 0");
    let (code, screen) = Terminal::start(&sandbox, "cx", ["man", "wait"]).finish();
    assert_eq!(code, Some(0));
    assert!(screen.starts_with("man -l\n"), "{screen}");
    assert!(!fs::read_dir(sandbox.root().join("tmp")).unwrap().any(|entry| entry.is_ok()));
}

#[test]
fn the_references_are_part_of_the_program() {
    let sandbox = Sandbox::without_repository();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut size = 0;
    for name in ["plans", "agents", "config", "ledger"] {
        let text = fs::read_to_string(docs.join(format!("{name}.md"))).unwrap();
        assert_eq!(sandbox.cx(["man", name]).ok().stdout(), text, "{name}");
        size += text.len();
    }
    assert!(size < 100_000, "they are carried by every binary: {size} bytes");
    sandbox.script_tool("less", "read -r line < \"$1\"; echo \"less $line\"");
    let (code, screen) = Terminal::start(&sandbox, "cx", ["man", "plans"]).finish();
    assert_eq!(code, Some(0));
    assert_eq!(screen.trim_end(), "less # Plans");
    sandbox.cx(["man", "plan"]).ok();
}

/// What clap refuses is said as everything else is.
#[test]
fn a_wrong_command_line_is_one_sentence_and_one_hint() {
    let sandbox = Sandbox::new();
    for (args, sentence, hint) in [
        (&["spawn", "--bogus"][..], "unexpected argument '--bogus' found", "use '-- --bogus'"),
        (&["show"], "required arguments were not provided: <JOB>", "`cx show --help`"),
        (&["spawn", "--max-jobs", "0", "x"], "invalid value '0' for '--max-jobs <N>'", "--help"),
        (&["merge", "--rebase", "--squash"], "cannot be used with", "`cx merge --help`"),
        (&["spwan"], "unrecognized subcommand 'spwan'", "'spawn'"),
    ] {
        let refused = sandbox.cx(args).refused(2, sentence);
        assert!(
            refused.stderr().lines().nth(1).is_some_and(|line| line.contains(hint)),
            "{refused}"
        );
    }
    // Without a verb, help; asked for, on stdout.
    sandbox.cx(["spawn", "--help"]).ok();
    assert!(sandbox.cx([""; 0]).code(2).stderr().contains("Usage: cx"));
}
