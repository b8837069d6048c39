//! `cx init` in real shells: completions, `cx cd`, the prompt segment.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::{Gate, Output, Sandbox, Terminal};

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// A sandbox with the shells and a few jobs: `fin` is a writer with work to
/// merge, `idle` one without, `look` a reader, `bad` one that failed, and `busy`
/// a reader that runs until the gate opens.
fn town() -> (Sandbox, Gate) {
    let mut sandbox = Sandbox::new();
    for tool in ["zsh", "fish", "expr"] {
        sandbox.add_tool(tool);
    }
    sandbox.set("ZDOTDIR", sandbox.root().join("home"));
    sandbox.git(["branch", "feature/x"]);
    let spawn = |name: &str, mode: &str, script: &str| {
        sandbox.cx(["spawn", "-b", "sh", "-n", name, mode, "--", script]).ok();
    };
    let gate = sandbox.gate("busy");
    spawn("fin", "--write", "echo new > new");
    spawn("idle", "--write", "true");
    spawn("look", "--read", "echo seen");
    spawn("bad", "--read", "exit 3");
    sandbox.cx(["wait"]).code(1);
    spawn("busy", "--read", &gate.pass());
    gate.arrived();
    // The worker may be faster than the event that says so.
    sandbox.until(5, "running");
    (sandbox, gate)
}

fn done(sandbox: &Sandbox, gate: &Gate) {
    gate.open();
    sandbox.cx(["wait", "busy"]).ok();
}

/// A shell on a terminal that has run `cx init` as its documentation says.
fn interactive(sandbox: &Sandbox, shell: &str) -> Terminal {
    let write = |path: &str, text: &str| {
        let path = sandbox.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let terminal = match shell {
        "bash" => {
            write("home/.bashrc", "eval \"$(cx init bash)\"\nPS1='\\W ${cx_segment} ready> '\n");
            Terminal::start(sandbox, "bash", ["-i"])
        }
        "zsh" => {
            // compinit comes last, as it does for many.
            let rc = "eval \"$(cx init zsh)\"\nautoload -Uz compinit; compinit -u -D\n\
                      setopt prompt_subst\nPROMPT='%1~ ${cx_segment} ready> '\n";
            write("home/.zshrc", rc);
            Terminal::start(sandbox, "zsh", ["-d", "-i"])
        }
        _ => {
            let rc = "cx init fish | source\nset -g fish_greeting\n\
                      function fish_prompt\n echo (path basename $PWD) (cx_segment) 'ready> '\nend\n";
            write("config/fish/config.fish", rc);
            Terminal::start(sandbox, "fish", ["-i"])
        }
    };
    terminal.wait_for("ready>");
    terminal
}

/// What a shell with `cx init` done says to a script; it must not complain.
#[track_caller]
fn script(sandbox: &Sandbox, shell: &str, body: &str) -> String {
    let output = run_script(sandbox, shell, body);
    assert_eq!(output.stderr(), "", "{output}");
    output.stdout()
}

#[track_caller]
fn run_script(sandbox: &Sandbox, shell: &str, body: &str) -> Output {
    let init = match shell {
        "fish" => "cx init fish | source".to_owned(),
        shell => format!("eval \"$(cx init {shell})\""),
    };
    let mut command = sandbox.command(shell);
    if shell == "zsh" {
        command.arg("-f");
    }
    command.arg("-c").arg(format!("{init}\n{body}"));
    sandbox.run(command).ok()
}

#[test]
fn tab_completes_what_there_is_in_every_shell() {
    let (sandbox, gate) = town();
    for shell in SHELLS {
        let terminal = interactive(&sandbox, shell);
        for (typed, completed) in [
            // The only finished writer with commits, the only live job.
            ("cx merge ", "cx merge fin"),
            ("cx kill ", "cx kill busy"),
            ("cx wait lo", "cx wait look"),
            ("cx kill -s QU", "cx kill -s QUIT"),
            ("cx cd id", "cx cd idle"),
            ("cx spawn -t rev", "cx spawn -t reviewer"),
            ("cx spawn --base fea", "cx spawn --base feature/x"),
            ("cx compl", "cx completions"),
            ("cx run rese", "cx run research"),
            ("cx run --show opt", "cx run --show options"),
        ] {
            terminal.send(typed);
            terminal.send("\t");
            terminal.wait_for(completed);
            // Ctrl-U takes the line away.
            terminal.send("\x15");
        }
        terminal.send("exit\r");
        terminal.finish();
    }
    done(&sandbox, &gate);
}

/// What bash and fish offer, without a terminal.
#[test]
fn what_is_offered_is_all_that_fits() {
    let (sandbox, gate) = town();
    let bash = |words: &[&str]| {
        let body = format!(
            "hook=$(complete -p cx); hook=${{hook##*-F }}; hook=${{hook%% *}}\n\
             COMP_WORDS=({}); COMP_CWORD={}; COMP_TYPE=9\n\
             $hook cx \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1
        );
        script(&sandbox, "bash", &body).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let fish = |words: &[&str]| {
        let body = format!("complete -C '{}'", words.join(" "));
        let offered = script(&sandbox, "fish", &body);
        offered
            .lines()
            .filter_map(|line| line.split('\t').next())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for (words, expected) in [
        (["cx", "wait", ""].as_slice(), ["busy", "bad", "look", "idle", "fin"].as_slice()),
        (&["cx", "collect", ""], &["bad", "look", "idle", "fin"]),
        (&["cx", "collect", "%"], &["%4", "%3", "%2", "%1"]),
        (&["cx", "merge", ""], &["fin"]),
        (&["cx", "diff", ""], &["idle", "fin"]),
        (&["cx", "kill", ""], &["busy"]),
        (&["cx", "spawn", "--base", ""], &["cx/fin", "cx/idle", "feature/x", "main"]),
        (&["cx", "spawn", "-b", "c"], &["codex", "claude", "copilot", "cursor-agent"]),
    ] {
        assert_eq!(bash(words), expected, "bash: {words:?}");
        assert_eq!(fish(words), expected, "fish: {words:?}");
    }
    let agents = fish(&["cx", "spawn", "-t", ""]);
    assert!(agents.contains(&"reviewer".to_owned()), "{agents:?}");
    assert_eq!(agents, bash(&["cx", "spawn", "-t", ""]));
    // fish shows what stands behind a name.
    let said = script(&sandbox, "fish", "complete -C 'cx wait ba'");
    assert_eq!(said, "bad\tfailed · exit 3\n");
    done(&sandbox, &gate);
}

#[test]
fn options_are_offered_after_a_dash_or_where_nothing_else_is() {
    let sandbox = Sandbox::new();
    sandbox.add_tool("fish");
    let first = |line: &str| {
        let said = script(&sandbox, "fish", &format!("complete -C '{line}'"));
        said.split('\t').next().unwrap().to_owned()
    };
    assert_eq!(first("cx merge --da"), "");
    assert_eq!(first("cx merge --dr"), "--dry-run");
    // No job is there.
    assert!(first("cx merge ").starts_with('-'));
    assert_eq!(first("cx "), "spawn");
}

#[test]
fn zsh_loads_the_committed_file_when_it_first_needs_it() {
    let (sandbox, gate) = town();
    let functions = sandbox.root().join("functions");
    fs::create_dir(&functions).unwrap();
    let text = sandbox.cx(["completions", "zsh"]).ok();
    fs::write(functions.join("_cx"), text.stdout_bytes()).unwrap();
    let rc = format!(
        "fpath=('{}' $fpath)\nautoload -Uz compinit; compinit -u -D\nPROMPT='ready> '\n",
        functions.display()
    );
    fs::write(sandbox.root().join("home/.zshrc"), rc).unwrap();
    let terminal = Terminal::start(&sandbox, "zsh", ["-d", "-i"]);
    terminal.wait_for("ready>");
    terminal.send("cx merge \t");
    terminal.wait_for("cx merge fin");
    terminal.send("\x15exit\r");
    terminal.finish();
    done(&sandbox, &gate);
}

#[test]
fn cx_cd_changes_the_folder_and_all_else_passes_through() {
    let (sandbox, gate) = town();
    let tree = sandbox.cx(["path", "fin"]).ok().stdout();
    for shell in SHELLS {
        let status = if shell == "fish" { "$status" } else { "$?" };
        assert_eq!(script(&sandbox, shell, "cx cd fin\npwd -P"), tree, "{shell}");
        // What `cx spawn` prints names a job too, as one word or two.
        assert_eq!(script(&sandbox, shell, "cx cd '[1] fin'; pwd -P"), tree, "{shell}");
        let body = format!(
            "cx wait 'bad' 2>/dev/null; echo {status}; cx path 'a b' 2>/dev/null; echo {status}"
        );
        assert_eq!(script(&sandbox, shell, &body), "3\n127\n", "{shell}");
        // Where there is no such job one stays where one is, and it says so.
        let body = format!("cx cd nobody; echo {status}; pwd -P");
        let output = run_script(&sandbox, shell, &body);
        assert_eq!(output.stdout(), format!("127\n{}\n", sandbox.repo().display()), "{output}");
        assert!(output.stderr().contains("no such job: nobody"), "{output}");
        let help = script(&sandbox, shell, "cx cd --help");
        assert!(help.contains("Usage: cx cd"), "{shell}: {help}");
    }
    let output = sandbox.cx(["cd", "fin"]).code(2);
    assert!(output.stderr().contains("cx init bash"), "{output}");
    done(&sandbox, &gate);
}

/// Replaces `cx` by one that writes down each time that it is started.
fn count_starts(sandbox: &Sandbox) -> impl Fn() -> Vec<String> {
    let log = sandbox.root().join("starts");
    fs::remove_file(sandbox.root().join("bin/cx")).unwrap();
    sandbox.script_tool(
        "cx",
        &format!("echo \"$1\" >> '{}'\nexec '{}' \"$@\"", log.display(), env!("CARGO_BIN_EXE_cx")),
    );
    move || {
        let starts = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(&log);
        starts.lines().filter(|verb| *verb != "init").map(str::to_owned).collect()
    }
}

/// As if nothing had happened for so many seconds.
fn age(sandbox: &Sandbox, seconds: u64) {
    let ledger = File::options().append(true).open(sandbox.repo().join(".git/cx/ledger.jsonl"));
    ledger.unwrap().set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

/// Says the segment and what it cost: the page faults of all children that the
/// shell has had (field 11 of its `stat`), which grow with each child.
fn segment_and_children(shell: &str) -> &'static str {
    match shell {
        "bash" => {
            "say() { read -ra a < /proc/$$/stat; __cx_set_segment; read -ra b < /proc/$$/stat\n\
             if ((a[10] == b[10])); then echo \"$cx_segment, no child\"; else echo \"$cx_segment\"; fi; }"
        }
        "zsh" => {
            "say() { read -rA a < /proc/$$/stat; __cx_set_segment; read -rA b < /proc/$$/stat\n\
             if ((a[11] == b[11])); then echo \"$cx_segment, no child\"; else echo \"$cx_segment\"; fi; }"
        }
        _ => {
            "function say\n read -d ' ' -a a < /proc/$fish_pid/stat; cx_segment | read -l text; or set -l text ''\n\
             read -d ' ' -a b < /proc/$fish_pid/stat\n\
             if test $a[11] = $b[11]; echo \"$text, no child\"; else; echo \"$text\"; end; end"
        }
    }
}

#[test]
fn a_prompt_starts_nothing_when_nothing_has_happened() {
    let (sandbox, gate) = town();
    let starts = count_starts(&sandbox);
    let _ = starts();
    for shell in SHELLS {
        age(&sandbox, 60);
        let _ = fs::remove_file(sandbox.repo().join(".git/cx/segment"));
        let say = segment_and_children(shell);
        let body = format!("{say}\nsay\nsay\nsay");
        assert_eq!(
            script(&sandbox, shell, &body),
            "cx:1+3!1\ncx:1+3!1, no child\ncx:1+3!1, no child\n",
            "{shell}"
        );
        assert_eq!(starts(), ["__segment"], "{shell}");
        // Another shell need not start it either.
        assert_eq!(script(&sandbox, shell, &format!("{say}\nsay")), "cx:1+3!1, no child\n");
        assert_eq!(starts(), [""; 0], "{shell}");
    }
    // What happens is seen at once, and costs one start.
    sandbox.cx(["collect", "look"]).ok();
    age(&sandbox, 30);
    let _ = starts();
    for shell in SHELLS {
        let body = format!("{}\nsay", segment_and_children(shell));
        assert!(script(&sandbox, shell, &body).starts_with("cx:1+2!1"), "{shell}");
    }
    assert_eq!(starts(), ["__segment"]);
    done(&sandbox, &gate);
}

#[test]
fn an_event_makes_the_next_prompt_look_again() {
    let (sandbox, gate) = town();
    for shell in SHELLS {
        let body = format!(
            "{}\nsay\ncx spawn -b sh -n extra-{shell} --read -- true > /dev/null\n\
             cx wait extra-{shell}; say",
            segment_and_children(shell)
        );
        let said = script(&sandbox, shell, &body);
        let [before, after] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
        let done = |text: &str| {
            let count = text.split('+').nth(1).unwrap().split('!').next().unwrap();
            count.parse::<u32>().unwrap()
        };
        assert_eq!(done(after), done(before) + 1, "{shell}: {said}");
    }
    done(&sandbox, &gate);
}

#[test]
fn the_segment_is_found_from_wherever_the_repository_is() {
    let (sandbox, gate) = town();
    fs::create_dir_all(sandbox.repo().join("deep/er")).unwrap();
    let link = sandbox.root().join("link");
    symlink(sandbox.repo().join("deep/er"), &link).unwrap();
    let tree = sandbox.cx(["path", "fin"]).ok().stdout();
    let plain = sandbox.root().join("plain");
    fs::create_dir(&plain).unwrap();
    sandbox.git(["clone", "--quiet", "--bare", ".", "../bare.git"]);
    for shell in SHELLS {
        let places =
            ["deep/er", link.to_str().unwrap(), tree.trim(), ".git", plain.to_str().unwrap()];
        let show = if shell == "fish" {
            "echo \"[$(cx_segment)]\""
        } else {
            "__cx_set_segment; echo \"[$cx_segment]\""
        };
        let show_in = |place| format!("cd '{}'; cd '{place}'; {show}", sandbox.repo().display());
        let body =
            places.into_iter().chain(["../bare.git"]).map(show_in).collect::<Vec<_>>().join("\n");
        assert_eq!(
            script(&sandbox, shell, &body),
            "[cx:1+3!1]\n[cx:1+3!1]\n[cx:1+3!1]\n[cx:1+3!1]\n[]\n[]\n",
            "{shell}"
        );
    }
    done(&sandbox, &gate);
}

#[test]
fn a_segment_that_came_with_a_repository_cannot_say_what_it_likes() {
    let (sandbox, gate) = town();
    let segment = sandbox.repo().join(".git/cx/segment");
    let put = |text: &str| {
        let _ = fs::remove_file(&segment);
        age(&sandbox, 60);
        fs::write(&segment, text).unwrap();
    };
    for shell in SHELLS {
        let show =
            if shell == "fish" { "cx_segment" } else { "__cx_set_segment; echo $cx_segment" };
        for text in ["cx:$(touch ../pwned)\n", "cx:%F{red}\n", "cx:1\u{1b}[2J\n", "hello\n", ""] {
            put(text);
            let said = script(&sandbox, shell, show);
            assert_eq!(said.trim(), "", "{shell}: {text:?}");
        }
        // A pipe in its place would hold up the prompt for ever.
        fs::remove_file(&segment).unwrap();
        sandbox.sh(&format!("mkfifo '{}'", segment.display())).ok();
        script(&sandbox, shell, show);
    }
    assert!(!sandbox.root().join("pwned").exists());
    done(&sandbox, &gate);
}

#[test]
fn a_prompt_leaves_the_exit_code_alone() {
    let (sandbox, gate) = town();
    assert_eq!(script(&sandbox, "bash", "false; __cx_set_segment; echo $?"), "1\n");
    assert_eq!(script(&sandbox, "fish", "false; cx_segment >/dev/null; echo $status"), "1\n");
    done(&sandbox, &gate);
}

#[test]
fn prompts_show_the_segment_and_cd_moves_them() {
    let (sandbox, gate) = town();
    for shell in SHELLS {
        let terminal = interactive(&sandbox, shell);
        terminal.wait_for("repo cx:1+3!1 ready>");
        terminal.send("cx cd fin\r");
        terminal.wait_for("fin cx:1+3!1 ready>");
        terminal.send("exit\r");
        terminal.finish();
    }
    done(&sandbox, &gate);
}

#[test]
fn init_prints_the_files_as_they_are() {
    let sandbox = Sandbox::without_repository();
    for shell in SHELLS {
        let said = sandbox.cx(["init", shell]).ok().stdout();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("shell").join(format!("cx.{shell}"));
        assert!(said.starts_with(&fs::read_to_string(path).unwrap()), "{shell}");
    }
    sandbox.cx(["init", "tcsh"]).code(2);
}
