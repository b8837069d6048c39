//! What a worktree of the pool costs, against `git worktree add`; what giving one up costs, against
//! `rm -rf`; and what a cache that stayed warm saves.
//!
//! `cargo bench --bench pool [FILES]`, or `-- warm`. The bounds, of 100,000 files: the same commit
//! 0.005, 50 files differ 0.04, the prompt back after `cx spawn --write` 0.005 of `git worktree add`;
//! removal 0.05 of `rm -rf`. Rounds are interleaved; medians.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

mod shared;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cx::git::worktree::{self, NewWorktree, pool};
use cx::git::{Oid, Place};
use shared::{git, median};

const ROUNDS: usize = 5;

const RULES: pool::Rules =
    pool::Rules { max: 8, age: Duration::from_hours(1), bytes: u64::MAX, min_files: 0, keep: None };

fn main() {
    if std::env::args().any(|arg| arg == "warm") {
        return warm();
    }
    let files = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(10_000);
    let ground = Ground::new(files);
    println!("{files} files, of which 50 differ between the two commits");
    let made = ground.make();
    ground.give_up(made);
}

struct Ground {
    temp: tempfile::TempDir,
    place: Place,
    main: Oid,
    next: Oid,
}

impl Ground {
    fn new(files: usize) -> Self {
        let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let root = temp.path().join("repo");
        repository(&root);
        import(&root, files);
        let tip = |name: &str| Oid::new(&git(&root, &["rev-parse", name])).unwrap();
        let place = Place::discover(&root).unwrap().unwrap();
        Self { main: tip("main"), next: tip("next"), place, temp }
    }

    fn root(&self) -> PathBuf {
        self.temp.path().join("repo")
    }

    fn trees(&self) -> PathBuf {
        fs::canonicalize(self.temp.path()).unwrap().join("repo.cx")
    }

    fn lock(&self) -> PathBuf {
        self.temp.path().join("lock")
    }

    fn add(&self, name: &str) -> (PathBuf, Duration) {
        let path = self.trees().join(name);
        let begun = Instant::now();
        let (at, main) = (path.to_str().unwrap(), self.main.as_str());
        git(&self.root(), &["worktree", "add", "-q", "--detach", at, main]);
        (path, begun.elapsed())
    }

    /// Gives a tree to the pool, and has it looked at there.
    fn put(&self, tree: &Path) {
        let (lock, step) = (self.lock(), |_| {});
        let given = pool::give(&self.place, tree, &lock, &step).unwrap().unwrap();
        let admitted = pool::admit(&self.place, &given, &RULES, &lock, &step).unwrap();
        assert_eq!(admitted, pool::Admitted::Kept);
    }

    fn take(&self, name: &str, base: &Oid) -> (PathBuf, Duration) {
        let (path, branch) = (self.trees().join(name), format!("cx/{name}"));
        let new = NewWorktree { path: &path, branch: Some(&branch), base };
        let begun = Instant::now();
        pool::recycle(&self.place, &new, &self.lock(), &|_| {}).unwrap().unwrap();
        let took = begun.elapsed();
        git(&path, &["checkout", "-q", "--detach"]);
        git(&self.root(), &["branch", "-q", "-D", &branch]);
        (path, took)
    }

    fn cx(&self, args: &[&str]) -> Duration {
        let mut cx = Command::new(env!("CARGO_BIN_EXE_cx"));
        cx.current_dir(self.root()).args(args).stdout(Stdio::null());
        let begun = Instant::now();
        let status = cx.status().unwrap();
        let took = begun.elapsed();
        assert!(status.success(), "{args:?}");
        took
    }

    /// Waits for what is done in the background.
    fn tidied(&self) {
        File::open(self.root().join(".git/cx/tidy.lock")).unwrap().lock_shared().unwrap();
    }

    /// Worktrees, and what they cost to make.
    fn make(&self) -> Vec<PathBuf> {
        let [mut added, mut same, mut other, mut prompt] = [const { Vec::new() }; 4];
        let mut all = Vec::new();
        let (mut tree, _) = self.add("first");
        for n in 0..ROUNDS {
            let (path, took) = self.add(&format!("fresh-{n}"));
            all.push(path);
            added.push(took);
            self.put(&tree);
            let (path, took) = self.take(&format!("same-{n}"), &self.main);
            same.push(took);
            self.put(&path);
            let (path, took) = self.take(&format!("other-{n}"), &self.next);
            other.push(took);
            // It waits where the checkout is.
            self.put(&path);
            let name = format!("job-{n}");
            prompt.push(self.cx(&["spawn", "-w", "-b", "sh", "-n", &name, "true"]));
            self.cx(&["wait", &name]);
            tree = self.trees().join(&name);
            git(&tree, &["checkout", "-q", "--detach"]);
        }
        let added = median(added);
        println!("git worktree add             {added:9.1?}");
        row("recycled, same commit", median(same), added);
        row("recycled, 50 files differ", median(other), added);
        row("prompt back after cx spawn", median(prompt), added);
        all
    }

    /// Takes them away again, in turns.
    fn give_up(&self, trees: Vec<PathBuf>) {
        let [mut rm, mut away, mut clean] = [const { Vec::new() }; 3];
        for (n, tree) in trees.into_iter().enumerate() {
            let job = format!("gone-{n}");
            self.cx(&["spawn", "-w", "-b", "sh", "-n", &job, "true"]);
            self.cx(&["wait", &job]);
            self.cx(&["collect", &job]);
            clean.push(self.cx(&["clean", &job]));
            self.tidied();
            let begun = Instant::now();
            let trash = worktree::remove(&self.place, &tree, &self.lock()).unwrap().unwrap();
            away.push(begun.elapsed());
            let begun = Instant::now();
            assert!(Command::new("rm").arg("-rf").arg(&trash).status().unwrap().success());
            rm.push(begun.elapsed());
        }
        let rm = median(rm);
        println!("rm -rf                       {rm:9.1?}");
        row("renamed away, entry removed", median(away), rm);
        row("all of cx clean JOB", median(clean), rm);
    }
}

fn row(what: &str, took: Duration, of: Duration) {
    println!("{what:28} {took:9.1?}  {:.4}", took.as_secs_f64() / of.as_secs_f64());
}

/// `cargo build` in a fresh worktree, and in one whose `target` came from the pool.
fn warm() {
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let root = temp.path().join("repo");
    repository(&root);
    project(&root, 12);
    git(&root, &["add", "-A"]);
    git(&root, &["commit", "-q", "-m", "project"]);
    let main = Oid::new(&git(&root, &["rev-parse", "main"])).unwrap();
    fs::write(root.join("c3/src/lib.rs"), source(3, 41)).unwrap();
    git(&root, &["commit", "-q", "-am", "one crate changes"]);
    let next = Oid::new(&git(&root, &["rev-parse", "main"])).unwrap();
    let place = Place::discover(&root).unwrap().unwrap();
    let ground = Ground { temp, place, main, next };
    let [mut cold, mut same, mut other] = [const { Vec::new() }; 3];
    for n in 0..3 {
        let (tree, _) = ground.add(&format!("cold-{n}"));
        cold.push(build(&tree));
        ground.put(&tree);
        // It waits at the checkout's commit, by which one crate differs from what was built.
        let (tree, _) = ground.take(&format!("other-{n}"), &ground.next);
        other.push(build(&tree));
        ground.put(&tree);
        let (tree, _) = ground.take(&format!("same-{n}"), &ground.next);
        same.push(build(&tree));
        fs::remove_dir_all(&tree).unwrap();
        git(&root, &["worktree", "prune"]);
    }
    assert_ne!(ground.main, ground.next);
    let cold = median(cold);
    println!("cargo build, fresh worktree  {cold:9.1?}");
    row("recycled, one crate differs", median(other), cold);
    row("recycled, same commit", median(same), cold);
}

fn build(tree: &Path) -> Duration {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(tree).args(["build", "--quiet", "--offline", "--workspace"]);
    cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    let begun = Instant::now();
    assert!(cargo.status().unwrap().success());
    begun.elapsed()
}

/// A workspace of so many crates, the last of which needs all others.
fn project(root: &Path, crates: usize) {
    let members: Vec<String> = (0..crates).map(|n| format!("\"c{n}\"")).collect();
    let members = members.join(", ");
    fs::write(
        root.join("Cargo.toml"),
        format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n"),
    )
    .unwrap();
    fs::write(root.join(".gitignore"), "/target\nCargo.lock\n").unwrap();
    for n in 0..crates {
        let folder = root.join(format!("c{n}"));
        fs::create_dir_all(folder.join("src")).unwrap();
        let mut manifest = format!(
            "[package]\nname = \"c{n}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n"
        );
        if n + 1 == crates {
            for other in 0..n {
                let _ = writeln!(manifest, "c{other} = {{ path = \"../c{other}\" }}");
            }
        }
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        fs::write(folder.join("src/lib.rs"), source(n, 40)).unwrap();
    }
}

fn source(n: usize, functions: usize) -> String {
    let mut text = String::from("use std::collections::BTreeMap;\n");
    for f in 0..functions {
        let _ = writeln!(
            text,
            "pub fn f{f}(x: &str) -> BTreeMap<String, Vec<u{}>> {{\n    \
             x.split(',').map(|w| (format!(\"{n}{f}{{w}}\"), w.bytes().map(Into::into).collect())).collect()\n}}",
            [16, 32, 64][f % 3]
        );
    }
    text
}

fn repository(root: &Path) {
    fs::create_dir(root).unwrap();
    git(root, &["init", "-q", "-b", "main"]);
    git(root, &["config", "user.name", "a"]);
    git(root, &["config", "user.email", "a@b"]);
}

/// Two commits, by one `git fast-import`.
fn import(root: &Path, files: usize) {
    let path = |n: usize| format!("d{}/e{}/f{n}.txt", n / 2000, n / 100);
    let head = |name: &str, more: &str| {
        format!("commit refs/heads/{name}\ncommitter a <a@b> 1700000000 +0000\ndata 1\nm\n{more}")
    };
    let mut stream = head("main", "");
    let change = |stream: &mut String, n: usize, text: &str| {
        let _ = write!(stream, "M 100644 inline {}\ndata {}\n{text}\n", path(n), text.len());
    };
    for n in 0..files {
        change(&mut stream, n, &format!("line {n} of some file\n").repeat(25));
    }
    stream.push_str(&head("next", "from refs/heads/main\n"));
    for n in (0..files).step_by((files / 50).max(1)) {
        change(&mut stream, n, "changed\n");
    }
    let mut import = Command::new("git");
    import.current_dir(root).args(["fast-import", "--quiet"]).stdin(Stdio::piped());
    let mut child = import.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    git(root, &["reset", "-q", "--hard"]);
}
