//! What is made without git, compared with what `git worktree add` makes of the same.
//!
//! `PROPTEST_CASES=2000 cargo test --lib fill` tries more than the few of every run.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::super::{Engine, Made, NewWorktree, create};
use crate::git::testing::{Fixture, git};
use crate::git::{Git, Oid};

const PATHS: [&[u8]; 22] = [
    b"a",
    b"a-b",
    b"a.b",
    b"a/b",
    b"b.txt",
    b"c.txt",
    b"src/lib.rs",
    b"src/main.rs",
    b"src/deep/er/x.txt",
    b"src/deep/y.bin",
    b"CASE",
    b"case",
    b"Case/x.rs",
    b"\xc3\xbcn\xc3\xaf/c\xc3\xb6de.txt",
    b"u\xcc\x88n.txt",
    b"\xff\xfe raw",
    b"sp ace/qu\"ote",
    b"new\nline\t",
    b"-dash",
    b":(top)colon",
    b".gitignore",
    b"github",
];

#[derive(Clone, Debug)]
enum Content {
    Text(&'static str),
    /// So many bytes, with every byte in it.
    Large(usize),
    Program,
    Link(&'static str),
}

#[derive(Clone, Copy, Debug)]
enum Disturbance {
    None,
    SameSize,
    Longer,
    CarriageReturns,
    Gone,
    Mode,
    Link,
    Pipe,
    Touched,
    Staged,
    Unreadable,
}

#[derive(Clone, Debug)]
struct Case {
    /// Of two commits, one after the other.
    files: [Vec<(usize, Content)>; 2],
    attributes: Vec<&'static str>,
    deep_attributes: Option<&'static str>,
    info_attributes: Option<&'static str>,
    config: Vec<(&'static str, &'static str)>,
    disturbed: Vec<(usize, Disturbance)>,
    has_submodule: bool,
    is_sparse: bool,
    of_first: bool,
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "",
            "text\n",
            "line\nline\n",
            "dos\r\nlines\r\n",
            "mixed\r\nlines\n",
            "$Id$ and more\n",
            "$Id: 0123 $\n",
            "caf\u{e9}\n",
            "no end",
            "nul\0nul\r\n",
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        ])
        .prop_map(Content::Text),
        1 => prop::sample::select(vec![4096, 70_000, (1 << 20) + 3]).prop_map(Content::Large),
        1 => Just(Content::Program),
        1 => prop::sample::select(vec!["a", "../up", "/nonexistent", "src", "\u{fc}"])
            .prop_map(Content::Link),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    use Disturbance::{
        CarriageReturns, Gone, Link, Longer, Mode, None, Pipe, SameSize, Staged, Touched,
        Unreadable,
    };
    let files = || prop::collection::vec((0..PATHS.len(), content()), 1..14);
    let attributes = prop::sample::subsequence(
        vec![
            "* text=auto",
            "*.txt text eol=crlf",
            "*.rs ident",
            "src/** filter=rot",
            "a-b filter=unknown",
            "*.bin -text",
            "c.txt working-tree-encoding=UTF-16LE",
            "*.txt eol=lf",
            "[attr]mine filter=rot",
            "a mine",
        ],
        0..4,
    );
    let settings = prop::sample::subsequence(
        vec![
            ("core.autocrlf", "input"),
            ("core.autocrlf", "true"),
            ("core.eol", "crlf"),
            ("core.ignoreCase", "true"),
            ("index.version", "4"),
            ("index.skipHash", "true"),
            ("core.untrackedCache", "true"),
            ("core.splitIndex", "true"),
            ("core.sharedRepository", "group"),
        ],
        0..2,
    );
    let disturbance = prop::sample::select(vec![
        None,
        SameSize,
        Longer,
        CarriageReturns,
        Gone,
        Mode,
        Link,
        Pipe,
        Touched,
        Staged,
        Unreadable,
    ]);
    let disturbed = prop::collection::vec((0..PATHS.len(), disturbance), 0..5);
    let line = |line| prop::option::weighted(0.15, Just(line));
    let seldom = || prop::bool::weighted(0.05);
    (
        [files(), files()],
        prop_oneof![Just(Vec::new()), attributes],
        (line("*.rs filter=rot"), line("b.txt ident")),
        prop_oneof![2 => Just(Vec::new()), 1 => settings],
        disturbed,
        (seldom(), seldom(), prop::bool::ANY),
    )
        .prop_map(|(files, attributes, (deep, info), config, disturbed, flags)| Case {
            files,
            attributes,
            deep_attributes: deep,
            info_attributes: info,
            config,
            disturbed,
            has_submodule: flags.0,
            is_sparse: flags.1,
            of_first: flags.2,
        })
}

fn path(number: usize) -> &'static Path {
    Path::new(OsStr::from_bytes(PATHS[number]))
}

fn put(root: &Path, path: &Path, content: &Content) {
    let path = root.join(path);
    // A file may be in the way of a folder, or the other way round.
    if fs::create_dir_all(path.parent().unwrap()).is_err() || path.is_dir() {
        return;
    }
    let _ = fs::remove_file(&path);
    match content {
        Content::Text(text) => fs::write(path, text).unwrap(),
        Content::Large(len) => {
            let byte = |n: usize| u8::try_from((n * 31 + n / 256) % 256).unwrap();
            fs::write(path, (0..*len).map(byte).collect::<Vec<u8>>()).unwrap();
        }
        Content::Program => {
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Content::Link(to) => symlink(to, path).unwrap(),
    }
}

fn disturb(fixture: &Fixture, path: &Path, how: Disturbance) {
    let whole = fixture.root().join(path);
    let Ok(meta) = fs::symlink_metadata(&whole) else { return };
    if !meta.is_file() {
        return;
    }
    let was = fs::read(&whole).unwrap();
    let write = |bytes: &[u8]| fs::write(&whole, bytes).unwrap();
    match how {
        Disturbance::None => {}
        Disturbance::SameSize => write(&vec![b'x'; was.len()]),
        Disturbance::Longer => write(&[&was[..], b"more\n"].concat()),
        // To git it may be the same file; what git writes it is not.
        Disturbance::CarriageReturns => {
            let text = String::from_utf8_lossy(&was).replace("\r\n", "\n").replace('\n', "\r\n");
            write(text.as_bytes());
            let _ = Git::at(&fixture.root()).args(["add", "-u"]).output();
        }
        Disturbance::Gone => fs::remove_file(&whole).unwrap(),
        Disturbance::Mode => {
            let mode = meta.permissions().mode() ^ 0o111;
            fs::set_permissions(&whole, fs::Permissions::from_mode(mode)).unwrap();
        }
        Disturbance::Link => {
            fs::remove_file(&whole).unwrap();
            symlink("elsewhere", &whole).unwrap();
        }
        Disturbance::Pipe => {
            fs::remove_file(&whole).unwrap();
            let made = std::process::Command::new("mkfifo").arg(&whole).status().unwrap();
            assert!(made.success());
        }
        Disturbance::Touched => {
            let file = fs::File::options().append(true).open(&whole).unwrap();
            file.set_modified(std::time::SystemTime::now()).unwrap();
        }
        Disturbance::Staged => {
            write(b"staged\n");
            let _ = Git::at(&fixture.root()).args(["add", "-u"]).output();
        }
        Disturbance::Unreadable => {
            fs::set_permissions(&whole, fs::Permissions::from_mode(0o000)).unwrap();
        }
    }
}

/// Mode and content of all that lies in a folder, and what the system says of it.
fn content_of(root: &Path, with_times: bool) -> BTreeMap<PathBuf, (u32, Vec<u8>, Vec<i64>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            let meta = fs::symlink_metadata(&path).unwrap();
            if name == Path::new(".git") {
                continue;
            }
            let bytes = if meta.is_dir() {
                // Submodules come along, which is more than git does.
                if name != Path::new("module") {
                    folders.push(path.clone());
                }
                Vec::new()
            } else if meta.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if meta.is_file() && meta.mode() & 0o400 != 0 {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
            let times = if with_times { times.to_vec() } else { Vec::new() };
            found.insert(name, (meta.mode(), bytes, times));
        }
    }
    found
}

/// Makes the same worktree twice and compares all that can be seen of them.
fn same_as_gits(fixture: &Fixture, base: &Oid) -> Result<Made, TestCaseError> {
    let theirs = fixture.beside("theirs");
    let args = ["worktree", "add", "-q", "--detach", theirs.to_str().unwrap(), base.as_str()];
    let by_git = Git::at(&fixture.root()).args(args).run();
    let ours = fixture.beside("ours");
    let index = || {
        let path = fixture.root().join(".git/index");
        (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap())
    };
    let before = (content_of(&fixture.root(), true), index());
    let new = NewWorktree { path: &ours, branch: Some("cx/ours"), base };
    let made = create(&fixture.place(), &new, &fixture.lock());
    prop_assert!((content_of(&fixture.root(), true), index()) == before, "the source was written");
    let made = match (made, by_git) {
        (Ok(made), Ok(_)) => made,
        // What git refuses, nobody makes.
        (Err(_), Err(_)) => return Err(TestCaseError::reject("git refuses it")),
        (made, by_git) => {
            return Err(TestCaseError::fail(format!("{made:?}, but git: {:?}", by_git.err())));
        }
    };
    prop_assert_eq!(content_of(&ours, false), content_of(&theirs, false), "{:?}", &made);
    let asked = |tree: &Path, args: &[&str]| {
        let output = Git::at(tree).args(args).read();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap()
    };
    // What the index says of each file is what is there, without a look at any content. Only
    // what was committed as its filter or its line ends would not have it, and was written
    // in the same moment, has git look: so it is chance in a tree that was just made.
    let early = [&["diff-files", "--name-only", "-z"][..], &["diff", "--name-only", "-z"]];
    let early = early.map(|args| asked(&ours, args));
    for path in content_of(&ours, false).into_keys() {
        for tree in [&ours, &theirs] {
            if let Ok(file) = fs::File::open(tree.join(&path)) {
                file.set_modified(std::time::UNIX_EPOCH).unwrap();
            }
        }
    }
    let changed = asked(&theirs, &["diff", "--name-only", "-z"]);
    let changed: Vec<&str> = changed.split('\0').collect();
    for name in early.iter().flat_map(|names| names.split('\0')) {
        prop_assert!(changed.contains(&name), "{} is not clean: {:?}", name, &made);
    }
    for args in [
        &["status", "--porcelain", "-z"][..],
        &["ls-files", "-s", "-z", "-t", "-v"],
        &["ls-files", "-z", "--eol"],
        &["write-tree"],
        &["diff", "--raw", "HEAD"],
    ] {
        prop_assert_eq!(asked(&ours, args), asked(&theirs, args), "{:?}", args);
    }
    let sizes = |tree: &Path| {
        let all = asked(tree, &["ls-files", "--debug"]);
        let kept = all.lines().filter(|line| !line.contains("time:") && !line.contains("ino:"));
        // What these flags say of an entry, `-t` and `-v` have said; others are git's own business.
        let kept = kept.map(|line| line.split("flags:").next().unwrap());
        let kept = kept.map(|line| line.split("gid").last().unwrap().to_owned());
        kept.collect::<Vec<String>>()
    };
    for tree in [&ours, &theirs] {
        let _ = Git::at(tree).args(["update-index", "-q", "--really-refresh"]).output();
    }
    prop_assert_eq!(sizes(&ours), sizes(&theirs));
    let fsck = Git::at(&ours).args(["fsck", "--no-dangling"]).output().unwrap();
    prop_assert!(fsck.code() == 0, "{}", fsck.stderr);
    let admin = fs::read_dir(fixture.root().join(".git/worktrees/ours")).unwrap();
    let names: BTreeSet<_> = admin.map(|entry| entry.unwrap().file_name()).collect();
    let left: Vec<_> = names
        .iter()
        .filter(|name| {
            let name = name.to_str().unwrap();
            name == "locked" || name.starts_with("cx-") || name.contains(".lock")
        })
        .collect();
    prop_assert!(left.is_empty(), "{:?}", left);
    Ok(made)
}

fn build(case: &Case) -> (Fixture, Oid) {
    let fixture = Fixture::new();
    let root = fixture.root();
    for (driver, key) in [("smudge", "tr a-y b-z"), ("clean", "tr b-z a-y")] {
        fixture.git(&["config", &format!("filter.rot.{driver}"), key]);
    }
    if case.has_submodule {
        let other = fixture.beside("other");
        git(&root, &["clone", "-q", ".", other.to_str().unwrap()]);
        let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
        git(&root, &[&add[..], &[other.to_str().unwrap(), "module"]].concat());
    }
    let mut bases = Vec::new();
    for files in &case.files {
        for (number, content) in files {
            put(&root, path(*number), content);
        }
        // What its attributes keep from being added stays as it is, and is dirty.
        let _ = Git::at(&root).args(["add", "-A", "--ignore-errors"]).output();
        fixture.git(&["commit", "-q", "--allow-empty", "-m", "files"]);
        bases.push(fixture.oid("HEAD"));
        // The second one comes with attributes: files of the first were written without.
        if !case.attributes.is_empty() {
            fs::write(root.join(".gitattributes"), case.attributes.join("\n")).unwrap();
        }
        if let Some(line) = case.deep_attributes
            && root.join("src").is_dir()
        {
            fs::write(root.join("src/.gitattributes"), line).unwrap();
        }
    }
    if let Some(line) = case.info_attributes {
        fs::create_dir_all(root.join(".git/info")).unwrap();
        fs::write(root.join(".git/info/attributes"), line).unwrap();
    }
    for (key, value) in &case.config {
        fixture.git(&["config", key, value]);
    }
    fixture.git(&["status"]);
    if case.is_sparse {
        fixture.git(&["sparse-checkout", "set", "src"]);
    }
    for (number, how) in &case.disturbed {
        disturb(&fixture, path(*number), *how);
    }
    let base = bases[usize::from(!case.of_first)].clone();
    (fixture, base)
}

#[test]
fn any_worktree_is_as_git_makes_it() {
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    // The same cases in each run; more of them find more.
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let taken = RefCell::new(Vec::new());
    let done = runner.run(&case(), |case| {
        let (fixture, base) = build(&case);
        taken.borrow_mut().push(same_as_gits(&fixture, &base)?.taken);
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
    let taken = taken.into_inner();
    let by_git = taken.iter().filter(|taken| taken.engine == Engine::Git).count();
    assert!(by_git > 0 && by_git * 2 < taken.len(), "{by_git} of {}: {taken:?}", taken.len());
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

#[test]
fn a_checkout_that_changes_while_it_is_copied_does_no_harm() {
    let fixture = Fixture::new();
    for n in 0..400 {
        fixture.write(&format!("d{}/f{n}", n % 7), &format!("content {n}\n").repeat(n));
    }
    let base = fixture.commit("many");
    let theirs = fixture.beside("theirs");
    git(&fixture.root(), &["worktree", "add", "-q", "--detach", theirs.to_str().unwrap()]);
    let wanted = content_of(&theirs, false);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in (0..).take_while(|_| !is_over.load(Relaxed)) {
                let n = round * 37 % 400;
                let path = fixture.root().join(format!("d{}/f{n}", n % 7));
                match round % 5 {
                    0 => drop(fs::remove_file(path)),
                    1 => drop(fs::write(path, "")),
                    2 => drop(fs::create_dir(path)),
                    _ => drop(fs::write(path, format!("contents{n}\n").repeat(n))),
                }
            }
        });
        for n in 0..4 {
            let path = fixture.beside(&format!("ours{n}"));
            let new = NewWorktree { path: &path, branch: None, base: &base };
            let made = create(&fixture.place(), &new, &fixture.lock());
            let same = made.as_ref().is_ok_and(|_| content_of(&path, false) == wanted);
            if n == 3 || !same {
                is_over.store(true, Relaxed);
            }
            assert!(same, "{made:?}");
            assert_eq!(made.unwrap().taken.engine, Engine::Copied);
            assert_eq!(git(&path, &["status", "--porcelain"]), "");
        }
    });
}
