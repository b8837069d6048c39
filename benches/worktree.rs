//! What a fresh worktree costs, against `git worktree add`; the first `git status` in
//! each; and eight at once against eight `git worktree add`, one after the other.
//!
//! `scripts/bench worktree [FILES]`. Beside the time it says what of a processor both
//! have used, which a busy machine changes less. The folder for temporary files (`TMPDIR`) has to be
//! on the disk that is meant: in memory all of this is another matter. Trees are deleted
//! when all is measured, since making files is slow where others have just gone.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

mod shared;
#[path = "shared/ticks.rs"]
mod ticks;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cx::git::worktree::{self, NewWorktree};
use cx::git::{Oid, Place};
use shared::{git, median};
use ticks::ticks;

const AT_ONCE: usize = 8;

fn main() {
    let files = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(10_000);
    let rounds = if files > 20_000 { 3 } else { 5 };
    let temp = tempfile::tempdir().unwrap();
    let ground = Ground::new(temp.path(), files);
    let [mut ours, mut theirs, mut first, mut first_of_git] = [const { Vec::new() }; 4];
    let mut used = [0_u64; 2];
    let mut engine = String::new();
    for round in 0..rounds {
        // Whoever comes second finds more in memory, and more to be written out.
        for turn in 0..2 {
            settle();
            let is_ours = (round + turn) % 2 == 0;
            let path = ground.path(&format!("{}{round}", if is_ours { "cx" } else { "git" }));
            let (begun, before) = (Instant::now(), ticks());
            if is_ours {
                engine = ground.make(&path);
            } else {
                ground.add(&path);
            }
            let made = begun.elapsed();
            used[usize::from(!is_ours)] += ticks() - before;
            let begun = Instant::now();
            assert_eq!(git(&path, &["status", "--porcelain"]), "");
            let looked = begun.elapsed();
            let (made_in, looked_in) =
                if is_ours { (&mut ours, &mut first) } else { (&mut theirs, &mut first_of_git) };
            made_in.push(made);
            looked_in.push(looked);
        }
    }
    println!("{files} files, by {engine}");
    tell("fresh worktree", &ours, "git worktree add", &theirs);
    println!("processor time: {} of {} ticks", used[0], used[1]);
    tell("first status", &first, "in git's own", &first_of_git);
    if files > 20_000 {
        return;
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..3 {
        settle();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for n in 0..AT_ONCE {
                let path = ground.path(&format!("cx{round}-{n}"));
                let ground = &ground;
                scope.spawn(move || ground.make(&path));
            }
        });
        ours.push(begun.elapsed());
        settle();
        let begun = Instant::now();
        for n in 0..AT_ONCE {
            ground.add(&ground.path(&format!("git{round}-{n}")));
        }
        theirs.push(begun.elapsed());
    }
    tell("eight at once", &ours, "one after the other", &theirs);
}

struct Ground {
    folder: PathBuf,
    place: Place,
    base: Oid,
}

impl Ground {
    fn new(folder: &Path, files: usize) -> Self {
        let root = folder.join("repo");
        std::fs::create_dir(&root).unwrap();
        git(&root, &["init", "-q", "-b", "main"]);
        import(&root, files);
        let base = Oid::new(&git(&root, &["rev-parse", "HEAD"])).unwrap();
        let place = Place::discover(&root).unwrap().unwrap();
        Self { folder: folder.to_owned(), place, base }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join("trees").join(name)
    }

    fn make(&self, path: &Path) -> String {
        let branch = format!("cx/{}", path.file_name().unwrap().display());
        let new = NewWorktree { path, branch: Some(&branch), base: &self.base };
        let lock = self.folder.join("lock");
        let made = worktree::create(&self.place, &new, &lock).unwrap();
        format!("{} {}", made.taken.engine, made.taken.why().unwrap_or_default())
    }

    fn add(&self, path: &Path) {
        let branch = format!("git/{}", path.file_name().unwrap().display());
        let name = path.to_str().unwrap();
        git(self.place.folder(), &["worktree", "add", "--no-track", "-b", &branch, name]);
    }
}

/// Has the system write out what it holds back, so that nobody pays for others.
fn settle() {
    assert!(Command::new("sync").status().unwrap().success());
}

fn tell(what: &str, ours: &[Duration], against: &str, theirs: &[Duration]) {
    let (one, other) = (median(ours.to_vec()), median(theirs.to_vec()));
    let ratio = one.as_secs_f64() / other.as_secs_f64();
    println!("{what}: {one:.1?}, {against}: {other:.1?}, ratio {ratio:.3}");
    println!("    each: {ours:.0?} against {theirs:.0?}");
}

/// Source files of 200 bytes to 20 KB, 3 KB in the mean, fifty in a folder.
fn import(root: &Path, files: usize) {
    let mut import = Command::new("git");
    import.current_dir(root).args(["fast-import", "--quiet"]).stdin(Stdio::piped());
    let mut child = import.spawn().unwrap();
    let mut stream = std::io::BufWriter::new(child.stdin.take().unwrap());
    let head = "commit refs/heads/main\ncommitter a <a@b> 0 +0000\ndata 1\nm\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut text = String::new();
    for n in 0..files {
        text.clear();
        let size = 200 + (n * 7919 % 1000).pow(3) / 50_000;
        while text.len() < size {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let (a, b) = (random >> 60, random >> 40);
            let _ = writeln!(text, "    let value_{a} = self.compute({b}, &context)?;");
        }
        let path = format!("src/d{}/e{}/f{n}.rs", n / 1000, n / 50 % 20);
        write!(stream, "M 100644 inline {path}\ndata {}\n{text}\n", text.len()).unwrap();
    }
    drop(stream);
    assert!(child.wait().unwrap().success());
    git(root, &["reset", "-q", "--hard"]);
}
