//! What a fresh worktree gets: ignored files, submodules, the setup command.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::Sandbox;

const SETUP: &str = "[worktree]\nsetup = \"echo prepared > prepared; echo log\"\n";

#[test]
fn ignored_files_come_along_by_worktreeinclude() {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "*.env\ncache/\n");
    sandbox.write(".worktreeinclude", "# what a worker needs\n*.env\n!secret.env\n/cache/a\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "ignore"]);
    sandbox.write("local.env", "A=1\n");
    sandbox.write("sub/other.env", "B=2\n");
    sandbox.write("secret.env", "C=3\n");
    sandbox.write("cache/a/x", "x\n");
    sandbox.write("cache/b/y", "y\n");
    fs::set_permissions(sandbox.repo().join("local.env"), fs::Permissions::from_mode(0o600))
        .unwrap();
    sandbox.written("w", "cat local.env sub/other.env cache/a/x; ls -l local.env | cut -c1-10; test ! -e secret.env -a ! -e cache/b; echo z > local.env");
    assert_eq!(sandbox.cx(["logs", "w"]).ok().stdout(), "A=1\nB=2\nx\n-rw-------\n");
    // A copy, and nothing of it is committed.
    assert_eq!(sandbox.read("local.env"), "A=1\n");
    assert_eq!(sandbox.job("w")["commits"], 0);
}

#[test]
fn setup_runs_only_when_it_was_trusted() {
    let sandbox = Sandbox::new();
    sandbox.write(".cx/config.toml", SETUP);
    let spawn = |extra: &[&str]| {
        let args = ["spawn", "-b", "sh", "-w"].iter().chain(extra).chain(&["cat prepared"]);
        sandbox.cx(args)
    };
    spawn(&["--require-setup"]).refused(2, "setup command is not trusted");
    let spawned = spawn(&["-n", "without"]).ok();
    assert!(
        spawned.stderr().contains("not trusted and was left out; `cx trust` shows it"),
        "{spawned}"
    );
    sandbox.cx(["wait", "without"]).code(1);
    let notes = sandbox.job("without")["notes"].to_string();
    assert!(notes.contains("not trusted"), "{notes}");

    let shown = sandbox.cx(["trust", "--show"]).ok().stdout();
    assert!(shown.contains("not trusted") && shown.contains("echo prepared > prepared"), "{shown}");
    sandbox.cx(["trust"]).ok();
    let spawned = spawn(&["-n", "with", "--require-setup"]).ok();
    assert_eq!(spawned.stderr(), "");
    sandbox.cx(["wait", "with"]).ok();
    assert_eq!(sandbox.cx(["logs", "with"]).ok().stdout(), "prepared\n");

    // Another command at the same place is another matter.
    sandbox.write(".cx/config.toml", SETUP.replace("log", "evil"));
    spawn(&["--require-setup"]).refused(2, "setup command is not trusted");
    sandbox.write(".cx/config.toml", SETUP);
    spawn(&["-n", "again", "--require-setup"]).ok();
    sandbox.cx(["wait", "again"]).ok();
    sandbox.cx(["trust", "--revoke"]).ok();
    spawn(&["--require-setup"]).refused(2, "setup command is not trusted");
}

#[test]
fn a_setup_of_ones_own_configuration_needs_no_trust() {
    let sandbox = Sandbox::new();
    let config = sandbox.root().join("config/cx");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.toml"), SETUP).unwrap();
    sandbox.spawn_sh(["-w", "-n", "w", "--require-setup", "cat prepared"]);
    sandbox.cx(["wait", "w"]).ok();
}

#[test]
fn what_setup_makes_is_no_work_until_the_worker_changes_it() {
    let sandbox = Sandbox::new();
    sandbox.write(".worktreeinclude", "/local.conf\n/touched.conf\n");
    sandbox.write("mixed/tracked", "1\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "include"]);
    for path in ["local.conf", "touched.conf"] {
        sandbox.write(path, "a\n");
    }
    let config = sandbox.root().join("config/cx");
    fs::create_dir_all(&config).unwrap();
    let setup = "mkdir -p mod/a mod/b; for n in $(seq 2000); do echo $n > mod/a/$n; done; \
                 echo b > mod/b/1; echo $CX_NAME > .env; echo m > mixed/made; echo s >> README.md";
    fs::write(config.join("config.toml"), format!("[worktree]\nsetup = '{setup}'\n")).unwrap();
    // Of equal size, at once: only its time tells.
    sandbox.written("w", "echo c > mod/b/1; echo n > mod/b/new; echo B > touched.conf; echo w > w");
    let changed = |range: &str| {
        let names = sandbox.git(["diff", "--name-only", range]);
        names.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let work = ["mod/b/1", "mod/b/new", "touched.conf", "w"];
    assert_eq!(changed("main...cx/w"), work);
    let tree = sandbox.cx(["path", "w"]).ok().stdout();
    let status = sandbox.git(["-C", tree.trim(), "status", "--porcelain"]);
    let left = [" M README.md", "?? .env", "?? local.conf", "?? mixed/made", "?? mod/a/"];
    assert_eq!(status.lines().collect::<Vec<_>>(), left);

    // A live one is compared without them, too.
    let gate = sandbox.gate("gate");
    sandbox.writer("v", &format!("echo v > w; {}", gate.pass()));
    gate.arrived();
    let said = sandbox.cx(["conflicts", "w", "v", "--json"]).code(1);
    assert!(!said.stdout().contains(".env") && !said.stdout().contains("mod/a"), "{said}");
    gate.open();
    sandbox.cx(["wait", "v"]).ok();
    assert_eq!(changed("main...cx/v"), ["w"]);

    // They keep nobody from cleaning.
    sandbox.sh("rm *.conf").ok();
    sandbox.cx(["merge", "w"]).ok();
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["clean", "w"]).ok();
    assert!(!fs::exists(tree.trim()).unwrap());
}

#[test]
fn a_setup_that_fails_keeps_the_worker_from_starting() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".cx/config.toml",
        "[worktree]\nsetup = [\"sh\", \"-c\", \"echo why >&2; exit 3\"]\n",
    );
    sandbox.cx(["trust"]).ok();
    sandbox.writer("w", "echo never");
    let waited = sandbox.cx(["wait", "w"]).code(1);
    assert!(
        waited.stderr().contains("[1] w not-started: the setup command failed (3)"),
        "{waited}"
    );
    let folder = sandbox.job("w")["folder"].as_str().unwrap().to_owned();
    assert_eq!(fs::read_to_string(format!("{folder}/setup.log")).unwrap(), "why\n");
    sandbox.cx(["logs", "w"]).refused(1, "its worker never started");
    // It can be taken away, and the name used again.
    sandbox.cx(["collect"]).code(1);
    sandbox.cx(["clean", "w"]).ok();
    assert!(!sandbox.root().join("repo.cx/w").exists());
}

#[test]
fn a_setup_can_be_killed() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let setup = format!("[worktree]\nsetup = \"{}\"\n", gate.pass());
    sandbox.write(".cx/config.toml", setup);
    sandbox.cx(["trust"]).ok();
    sandbox.writer("w", "echo never");
    gate.arrived();
    sandbox.cx(["kill", "w"]).ok();
    assert_eq!(sandbox.job("w")["status"], "killed");
}

#[test]
fn a_submodule_is_there_as_it_is_in_the_checkout() {
    let sandbox = Sandbox::new();
    let library = sandbox.root().join("library");
    let library = library.to_str().unwrap();
    sandbox.git(["init", "-q", "-b", "main", library]);
    sandbox.git(["-C", library, "commit", "-q", "--allow-empty", "-m", "library"]);
    sandbox.git([
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        library,
        "lib",
    ]);
    sandbox.git(["commit", "-qm", "submodule"]);
    sandbox.written("w", "ls -a lib; echo x > f");
    let job = sandbox.job("w");
    assert_eq!(job["files"], 1, "{job}");
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
}

#[test]
fn what_setup_changes_in_tracked_files_is_no_work_until_the_worker_changes_it_further() {
    let sandbox = Sandbox::new();
    sandbox.write("lock", "1\n");
    sandbox.write("gone", "gone\n");
    sandbox.write(
        ".cx/config.toml",
        "[worktree]\nsetup = \"echo $CX_NAME >> lock; rm gone; echo s > staged; git add staged\"\n",
    );
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "lock"]);
    sandbox.cx(["trust"]).ok();
    sandbox.written("a", "echo a > a");
    sandbox.written("idle", "test ! -e gone && cat lock");
    sandbox.written("further", "echo more >> lock");
    assert_eq!(sandbox.cx(["logs", "idle"]).ok().stdout(), "1\nidle\n");
    let changed = |name: &str| sandbox.git(["diff", "--name-only", "main", &format!("cx/{name}")]);
    assert_eq!(changed("a"), "a\nstaged");
    assert_eq!(changed("idle"), "staged");
    assert_eq!(changed("further"), "lock\nstaged");
    assert_eq!(sandbox.git(["show", "cx/further:lock"]), "1\nfurther\nmore");
    let diff = sandbox.cx(["diff", "--stat", "a"]).ok().stdout();
    assert!(!diff.contains("lock") && !diff.contains("gone"), "{diff}");
    // Nothing of it is missed.
    sandbox.cx(["merge"]).ok();
    sandbox.cx(["collect"]).ok();
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert_eq!(cleaned.matches("removed worktree, branch and files").count(), 3, "{cleaned}");
    assert!(sandbox.repo().join("gone").exists());
}
