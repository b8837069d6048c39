//! What the matrix of `cx conflicts` costs: 64 branches of 20 files each, one
//! pair in ten on a common path, against a `git merge-tree` for every pair.
//!
//! `cargo bench --bench matrix [FILES]`. The bound is 0.03. Beside the time it says
//! what of a processor both have used, which a busy machine changes less.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

mod shared;
#[path = "shared/ticks.rs"]
mod ticks;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use cx::git::merge::Matrix;
use cx::git::{Oid, Place, Repo};
use shared::{git, median};
use ticks::ticks;

const BRANCHES: usize = 64;
const OWN: usize = 20;
const ROUNDS: usize = 5;

fn main() {
    let files = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(10_000);
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    git(root, &["init", "-q", "-b", "main"]);
    import(root, files);
    let tip = |name: &str| Oid::new(&git(root, &["rev-parse", name])).unwrap();
    let tips: Vec<Oid> =
        std::iter::once(tip("main")).chain((0..BRANCHES).map(|n| tip(&format!("b{n}")))).collect();
    let place = Place::discover(root).unwrap().unwrap();
    let mut pairs = 0;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut used = [0_u64; 2];
    // The first merges store what later ones find.
    Matrix::default().pairs(&Repo::open(&place), &tips, &[]).unwrap();
    for _ in 0..ROUNDS {
        let before = ticks();
        let begun = Instant::now();
        let found = Matrix::default().pairs(&Repo::open(&place), &tips, &[]).unwrap();
        ours.push(begun.elapsed());
        let between = ticks();
        used[0] += between - before;
        pairs = found.iter().filter(|pair| pair.clash.is_collision()).count();
        let begun = Instant::now();
        let mut conflicts = 0;
        for a in 1..tips.len() {
            for b in a + 1..tips.len() {
                let ids = [tips[a].as_str(), tips[b].as_str()];
                let mut merge = Command::new("git");
                merge.current_dir(root).args(["merge-tree", "--write-tree"]).args(ids);
                conflicts += usize::from(!merge.output().unwrap().status.success());
            }
        }
        theirs.push(begun.elapsed());
        used[1] += ticks() - between;
        assert_eq!(conflicts, pairs);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let all = BRANCHES * (BRANCHES - 1) / 2;
    println!("{files} files, {BRANCHES} branches: {pairs} of {all} pairs collide");
    println!("every pair {theirs:.1?}, matrix {ours:.1?}");
    println!("ratio {:.4}", ours.as_secs_f64() / theirs.as_secs_f64());
    println!("processor time: {} of {} ticks", used[0], used[1]);
}

/// All commits in one `git fast-import`. Every path is written by few branches, so
/// that one pair in ten has one in common.
fn import(root: &Path, files: usize) {
    let path = |n: usize| format!("d{}/e{}/f{n}.txt", n % 50, n % 7);
    let mut stream = String::from("commit refs/heads/main\ncommitter a <a@b> 0 +0000\ndata 1\nm\n");
    let change = |stream: &mut String, n: usize, text: &str| {
        let _ = write!(stream, "M 100644 inline {}\ndata {}\n{text}\n", path(n), text.len());
    };
    for n in 0..files {
        change(&mut stream, n, "one\ntwo\nthree\n");
    }
    // The groups: seven branches on one path make 21 of 2016 pairs; ten such
    // paths with other members each make about one in ten.
    for branch in 0..BRANCHES {
        let head = "committer a <a@b> 0 +0000\ndata 1\nb\nfrom refs/heads/main\n";
        let _ = write!(stream, "commit refs/heads/b{branch}\n{head}");
        for own in 0..OWN {
            change(&mut stream, 100 + branch * OWN + own, "changed\n");
        }
        for group in 0..10 {
            if (branch * (2 * group + 1) + group) % BRANCHES < 7 {
                change(&mut stream, group, &format!("branch {branch}\n"));
            }
        }
    }
    let mut import = Command::new("git");
    import.current_dir(root).args(["fast-import", "--quiet"]).stdin(Stdio::piped());
    let mut child = import.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    git(root, &["reset", "-q", "--mixed"]);
    fs::write(root.join(".git/info/exclude"), "*\n").unwrap();
}
