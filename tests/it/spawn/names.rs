//! Names, and the job specs that are made of them.

use std::fs;

use crate::support::Sandbox;

#[test]
fn the_spec_alone_is_on_stdout() {
    let sandbox = Sandbox::new();
    let output = sandbox.cx(["spawn", "-b", "sh", "-n", "auth", "true"]).ok();
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("[1] auth\n", ""));
    let json = sandbox.cx(["spawn", "-b", "sh", "-w", "--json", "-n", "docs", "true"]).ok().json();
    assert_eq!((json["job"].as_u64(), json["name"].as_str()), (Some(2), Some("docs")));
    assert_eq!((json["mode"].as_str(), json["branch"].as_str()), (Some("writer"), Some("cx/docs")));
    sandbox.cx(["wait"]).ok();
}

/// `id=$(cx spawn ...)` is what a script does; unquoted is what people do.
#[test]
fn what_spawn_prints_names_the_job_quoted_or_not() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let script = format!(
        "set -e
        id=$(cx spawn -b sh -n auth \"echo first\")
        cx wait \"$id\"; cx wait $id
        cx logs \"$id\"; cx logs $id
        cx prompt $id >/dev/null; cx show $id >/dev/null; cx path $id >/dev/null
        cx collect --format '{{job}} {{message}}' $id
        # A later job of the same name must not be meant by the older spec.
        new=$(cx spawn -b sh -n auth \"echo second\")
        cx wait $new
        cx collect --format '{{job}} {{message}}' $id
        cx collect --format '{{job}} {{message}}' $new
        cx collect --format '{{job}} {{message}}' $id $new
        id=$(cx spawn -b sh -n long \"{}\")
        cx kill $id",
        gate.pass()
    );
    let output = sandbox.sh(&script).ok().stdout();
    assert_eq!(output, "first\nfirst\n1 first\n1 first\n2 second\n1 first\n2 second\n");
}

#[test]
fn a_chosen_name_that_is_taken_is_refused_and_one_of_cx_gets_a_suffix() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("auth", &gate.pass());
    let refused = sandbox.cx(["spawn", "-b", "sh", "-n", "auth", "true"]);
    refused.refused(2, "the name 'auth' is in use by [1] auth");
    assert_eq!(sandbox.spawn_sh(["-w", "true"]), "[2] true");
    assert_eq!(sandbox.spawn_sh(["true"]), "[3] true-2");
    gate.open();
    sandbox.cx(["wait"]).ok();
    // A reader's name is free when it is over, a writer's when it was cleaned.
    assert_eq!(sandbox.spawn_sh(["-n", "auth", "true"]), "[4] auth");
    let refused = sandbox.cx(["spawn", "-b", "sh", "-n", "true", "true"]);
    refused.refused(2, "in use by [2] true");
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["clean"]).ok();
    assert_eq!(sandbox.spawn_sh(["-w", "-n", "true", "true"]), "[5] true");
    sandbox.cx(["wait"]).ok();
}

/// A script with names in it runs more than once.
#[test]
fn a_name_is_free_again_when_nothing_is_left_to_do_for_its_job() {
    let sandbox = Sandbox::new();
    let script =
        "cx spawn -b sh -w -n auth 'echo x >> f' && cx wait && cx collect >&2 && cx merge >&2";
    for (number, said) in
        [(1, ""), (2, "its name is wanted again: [1] auth removed worktree, branch")]
    {
        let output = sandbox.sh(script).ok();
        assert_eq!(output.stdout(), format!("[{number}] auth\n"));
        assert!(output.stderr().contains(said), "{output}");
    }
    // What is still to be merged keeps its name, and what git says counts.
    sandbox.git(["reset", "-q", "--hard", "HEAD~1"]);
    let refused = sandbox.cx(["spawn", "-b", "sh", "-w", "-n", "auth", "true"]);
    refused.refused(2, "the name 'auth' is in use by [2] auth");
    assert_eq!(sandbox.git(["branch", "--list", "cx/auth"]).trim(), "+ cx/auth");
}

#[test]
fn a_spec_of_another_repository_is_nobodys() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("mine", &gate.pass());
    let refused = sandbox.cx(["kill", "[1] other"]).code(127).stderr();
    assert!(refused.contains("no such job: [1] other; job %1 here is called mine"), "{refused}");
    gate.open();
    sandbox.cx(["wait", "[1] mine"]).ok();
}

#[test]
fn a_branch_that_leaves_no_room_for_others_is_named_before_anything_starts() {
    let sandbox = Sandbox::new();
    sandbox.git(["branch", "cx/foo/bar"]);
    let spawn = |args: &[&str]| sandbox.cx(["spawn", "-b", "sh", "-w"].iter().chain(args));
    let below =
        spawn(&["-n", "foo", "true"]).refused(2, "branch cx/foo/bar is in the way of cx/foo");
    sandbox.assert_nothing_started(&below);
    sandbox.git(["branch", "-D", "cx/foo/bar"]);
    sandbox.git(["branch", "cx"]);
    for args in [&["true"][..], &["-n", "foo", "true"]] {
        let refused = spawn(args).refused(2, "there is a branch called 'cx'");
        sandbox.assert_nothing_started(&refused);
    }
}

/// No ledger knows these names, and yet they are in use.
#[test]
fn a_branch_or_folder_of_somebody_else_is_not_taken_over() {
    let sandbox = Sandbox::new();
    sandbox.git(["branch", "cx/mine"]);
    fs::create_dir_all(sandbox.root().join("repo.cx/there")).unwrap();
    let spawn = |name| sandbox.cx(["spawn", "-b", "sh", "-w", "-n", name, "true"]);
    let branch = spawn("mine").refused(2, "branch cx/mine exists already");
    sandbox.assert_nothing_started(&branch);
    sandbox.assert_nothing_started(&spawn("there").refused(2, "repo.cx/there exists already"));
    assert_eq!(sandbox.spawn_sh(["-w", "there"]), "[1] there-2");
    sandbox.cx(["wait", "1"]).code(127);
}

#[test]
fn the_longest_name_works_and_one_more_does_not() {
    let sandbox = Sandbox::new();
    let name = "n".repeat(64);
    assert_eq!(sandbox.spawn_sh(["-w", "-n", &name, "true"]), format!("[1] {name}"));
    sandbox.cx(["wait", &name]).ok();
    sandbox.cx(["spawn", "-b", "sh", "-n", &"n".repeat(65), "true"]).refused(2, "longer than 64");
}

#[test]
fn names_are_made_from_the_prompt() {
    let sandbox = Sandbox::new();
    for (args, name) in [
        (&["--", "ls", "-l", "README.md"][..], "ls-readme-md"),
        (&["echo hello && true"], "echo-hello-true"),
        (&["-t", "scout", "true"], "scout"),
    ] {
        let printed = sandbox.spawn_sh(args.iter().copied());
        assert!(printed.ends_with(&format!("] {name}")), "{printed}");
    }
    sandbox.cx(["wait"]).ok();
    // Nothing in it that could be a name.
    let printed = sandbox.spawn_sh([": '\u{1f980}'"]);
    assert!(printed.starts_with("[4] ") && printed.is_ascii() && printed.len() > 4, "{printed}");
    sandbox.cx(["wait"]).ok();
}

#[test]
fn of_two_spawns_with_one_name_at_once_one_wins() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    for round in 0..5 {
        let name = format!("same{round}");
        let spawn = || {
            sandbox.start(sandbox.cx_command([
                "spawn",
                "-b",
                "sh",
                "-w",
                "-n",
                &name,
                &gate.pass(),
            ]))
        };
        let outputs = [spawn(), spawn(), spawn()].map(crate::support::Running::finish);
        let won = outputs.iter().filter(|output| !output.stdout().is_empty()).count();
        assert_eq!(won, 1, "{}{}{}", outputs[0], outputs[1], outputs[2]);
        for output in outputs {
            if output.stdout().is_empty() {
                output.refused(2, "is in use by");
            }
        }
    }
    gate.open();
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.lines(["jobs"]).len(), 5);
}
