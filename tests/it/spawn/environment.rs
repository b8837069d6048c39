//! What the worker has around it.

use crate::support::Sandbox;

#[test]
fn the_worker_knows_its_job_and_has_a_folder_for_scraps() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CX_RUN", "nightly");
    sandbox.reader("who", "echo $CX_JOB $CX_NAME $CX_RUN $CX_JOB_ID; echo $TMPDIR; echo x > $TMPDIR/f && cat $TMPDIR/f");
    sandbox.cx(["wait", "who"]).ok();
    let job = sandbox.job("who");
    let said = sandbox.cx(["logs", "who"]).ok().stdout();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("1 who nightly {}", job["id"].as_str().unwrap()));
    assert_eq!(lines[1], format!("{}/tmp", job["folder"].as_str().unwrap()));
    assert_eq!(lines[2], "x");
    assert_eq!(job["run"], "nightly");
}

/// A git hook has these set, and `cx` may well be called by one.
#[test]
fn variables_that_name_another_repository_do_not_reach_cx_or_the_worker() {
    let mut sandbox = Sandbox::new();
    let other = sandbox.root().join("other");
    sandbox.git(["init", "-q", other.to_str().unwrap()]);
    sandbox.set("GIT_DIR", other.join(".git"));
    sandbox.set("GIT_WORK_TREE", &other);
    sandbox.set("GIT_INDEX_FILE", other.join("index"));
    sandbox.set("GIT_PREFIX", "sub/");
    sandbox.written("w", "env | grep -c '^GIT_\\(DIR\\|WORK_TREE\\|INDEX_FILE\\|PREFIX\\)='; echo x > f; git rev-parse --show-toplevel");
    let said = sandbox.cx(["logs", "w"]).ok().stdout();
    assert_eq!(sandbox.redact(&said), "0\n[ROOT]/repo.cx/w\n");
    assert_eq!(sandbox.job("w")["files"], 1);
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.read("f"), "x\n");
    assert!(!other.join("index").exists());
}

#[test]
fn a_worker_is_not_at_the_terminal_of_its_spawner() {
    let sandbox = Sandbox::new();
    sandbox.reader("tty", "test -t 0 || test -t 1 || test -t 2 || : < /dev/tty");
    sandbox.cx(["wait", "tty"]).code(2);
}

#[test]
fn a_worker_starts_with_ordinary_signals() {
    let sandbox = Sandbox::new();
    // As under `nohup`, and in a script that wants no Ctrl-C.
    let spawn = "trap '' HUP INT; cx spawn -b sh \"grep -E '^Sig(Blk|Ign)' /proc/self/status\"";
    sandbox.sh(spawn).ok();
    sandbox.cx(["wait"]).ok();
    let said = sandbox.cx(["logs", "1"]).ok().stdout();
    for line in said.lines() {
        let mask = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
        // 32 and 33 are the C library's own.
        assert_eq!(mask & 0x7fff_ffff, 0, "{said}");
    }
    assert_eq!(said.lines().count(), 2);
}

/// A script that keeps a pipe as descriptor 3 must not wait for the job's end.
#[test]
fn neither_supervisor_nor_worker_holds_what_the_spawner_had_open() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let script =
        format!("exec 3>&1 >/dev/null; cx spawn -b sh '{}'", gate.pass().replace('\'', "\""));
    // `finish` fails where something still holds stdout.
    sandbox.sh(&script).ok();
    gate.arrived();
    gate.open();
    sandbox.cx(["wait"]).ok();
}
