//! Random histories: whatever a plan says, `git merge` says too.
//!
//! Each case is a base, a target and up to four branches, imported in one go;
//! what the plan decided in memory is compared with what git does in a scratch
//! checkout, step by step. `PROPTEST_CASES` asks for more; a seed that failed is
//! kept by proptest and tried again first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::git::Place;
use crate::git::merge::tree::merge;

/// What lies at a path: mode, and content or object id.
type Files = BTreeMap<String, (&'static str, String)>;

#[derive(Clone, Debug)]
enum Op {
    Edit { file: usize, line: usize, word: u8 },
    Add { name: usize, word: u8 },
    Delete { file: usize },
    Rename { file: usize, name: usize },
    Copy { file: usize, name: usize },
    RenameFolder { from: usize, to: usize },
    Mode { file: usize },
    Link { file: usize, word: u8 },
    Submodule { name: usize, word: u8 },
    Attributes { rule: usize },
}

const FOLDERS: &[&str] = &["src", "lib", "src/deep", "new", "lib/in", ""];
const NAMES: &[&str] = &[
    "a.txt",
    "src/a.txt",
    "src/deep/x.txt",
    "lib/in/a.txt",
    "lib",
    "src/deep",
    "new/a.u",
    "new",
    "b.u",
    "lib/b.u",
    "c.b",
    "src/c.b",
    "d.s",
    "new/d.s",
    "src/z.txt",
    "lib/z.txt",
];
const RULES: &[&str] = &["", "*.txt merge=union\n", "*.u -merge\n", "src/** merge=sorted\n"];

fn op() -> impl Strategy<Value = Op> {
    let (file, name, word) = (0..24_usize, 0..NAMES.len(), 0..3_u8);
    let folder = 0..FOLDERS.len();
    prop_oneof![
        6 => (file.clone(), 0..12_usize, word.clone())
            .prop_map(|(file, line, word)| Op::Edit { file, line, word }),
        2 => (name.clone(), word.clone()).prop_map(|(name, word)| Op::Add { name, word }),
        2 => file.clone().prop_map(|file| Op::Delete { file }),
        3 => (file.clone(), name.clone()).prop_map(|(file, name)| Op::Rename { file, name }),
        1 => (file.clone(), name.clone()).prop_map(|(file, name)| Op::Copy { file, name }),
        3 => (folder.clone(), folder).prop_map(|(from, to)| Op::RenameFolder { from, to }),
        1 => file.clone().prop_map(|file| Op::Mode { file }),
        1 => (file, word.clone()).prop_map(|(file, word)| Op::Link { file, word }),
        1 => (name, word).prop_map(|(name, word)| Op::Submodule { name, word }),
        1 => (0..RULES.len()).prop_map(|rule| Op::Attributes { rule }),
    ]
}

/// A branch: what it does before and after it crosses with the target, if it does.
#[derive(Clone, Debug)]
struct Line {
    first: Vec<Op>,
    second: Vec<Op>,
    crosses: bool,
}

#[derive(Clone, Debug)]
struct History {
    target: Line,
    branches: Vec<Line>,
    /// `merge.directoryRenames`.
    folders: &'static str,
    style: Style,
}

fn line(crosses: impl Strategy<Value = bool>) -> impl Strategy<Value = Line> {
    let ops = |n| prop::collection::vec(op(), n);
    (ops(1..4), ops(0..3), crosses).prop_map(|(first, second, crosses)| Line {
        first,
        second,
        crosses,
    })
}

fn history() -> impl Strategy<Value = History> {
    let crosses = prop_oneof![4 => Just(false), 1 => Just(true)];
    let style = prop_oneof![
        3 => Just(Style::Merge), 3 => Just(Style::NoFf), 1 => Just(Style::Squash),
        2 => Just(Style::Rebase), 1 => Just(Style::FfOnly),
    ];
    let folders = prop_oneof![2 => Just("conflict"), 1 => Just("true"), 1 => Just("false")];
    (line(Just(false)), prop::collection::vec(line(crosses), 1..=4), folders, style)
        .prop_map(|(target, branches, folders, style)| History { target, branches, folders, style })
}

fn base() -> Files {
    let mut files = Files::new();
    files.insert(
        ".gitattributes".to_owned(),
        ("100644", "*.u merge=union\n*.b binary\n*.s merge=sorted\n".to_owned()),
    );
    for path in [
        "a.txt",
        "b.u",
        "c.b",
        "d.s",
        "src/one.txt",
        "src/two.txt",
        "src/b.u",
        "src/deep/x.txt",
        "src/deep/y.txt",
        "lib/p.txt",
        "lib/q.txt",
        "lib/in/r.txt",
    ] {
        let lines: String = (0..12).fold(String::new(), |mut text, n| {
            let _ = writeln!(text, "{path} {n}");
            text
        });
        files.insert(path.to_owned(), ("100644", lines));
    }
    files
}

fn put(files: &mut Files, path: &str, entry: (&'static str, String)) {
    // A file cannot lie in a file, nor where a folder is.
    files.retain(|other, _| {
        !other.starts_with(&format!("{path}/")) && !path.starts_with(&format!("{other}/"))
    });
    files.insert(path.to_owned(), entry);
}

fn apply(files: &mut Files, op: &Op) {
    let nth = |files: &Files, at: usize| files.keys().nth(at % files.len().max(1)).cloned();
    match *op {
        Op::Edit { file, line, word } => {
            if let Some(path) = nth(files, file)
                && let Some((mode, text)) = files.get_mut(&path)
                && *mode != "160000"
                && *mode != "120000"
                && path != ".gitattributes"
            {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                let count = lines.len().max(1);
                match lines.get_mut(line % count) {
                    Some(line) => *line = format!("word {word}"),
                    None => lines.push(format!("word {word}")),
                }
                *text = lines.join("\n") + "\n";
            }
        }
        Op::Add { name, word } => {
            put(files, NAMES[name], ("100644", format!("new {word}\n").repeat(4)));
        }
        Op::Delete { file } => {
            if let Some(path) = nth(files, file) {
                files.remove(&path);
            }
        }
        Op::Rename { file, name } => {
            if let Some(path) = nth(files, file)
                && let Some(entry) = files.remove(&path)
            {
                put(files, NAMES[name], entry);
            }
        }
        Op::Copy { file, name } => {
            if let Some(entry) = nth(files, file).and_then(|path| files.get(&path).cloned()) {
                put(files, NAMES[name], entry);
            }
        }
        Op::RenameFolder { from, to } => {
            let prefix = |at: usize| match FOLDERS[at] {
                "" => String::new(),
                folder => format!("{folder}/"),
            };
            let (from, to) = (prefix(from), prefix(to));
            let moved: Vec<String> =
                files.keys().filter(|path| path.starts_with(&from)).cloned().collect();
            let moved: Vec<_> =
                moved.into_iter().filter_map(|path| files.remove_entry(&path)).collect();
            for (path, entry) in moved {
                put(files, &format!("{to}{}", &path[from.len()..]), entry);
            }
        }
        Op::Mode { file } => {
            if let Some(path) = nth(files, file)
                && let Some((mode, _)) = files.get_mut(&path)
                && *mode == "100644"
            {
                *mode = "100755";
            }
        }
        Op::Link { file, word } => {
            if let Some(path) = nth(files, file) {
                files.insert(path, ("120000", format!("to/{word}")));
            }
        }
        Op::Submodule { name, word } => {
            put(files, NAMES[name], ("160000", format!("{:040x}", u32::from(word) + 1)));
        }
        Op::Attributes { rule } => {
            let (_, text) = base().remove(".gitattributes").unwrap();
            put(files, ".gitattributes", ("100644", text + RULES[rule]));
        }
    }
}

/// A stream for `git fast-import`.
#[derive(Default)]
struct Import {
    stream: String,
    marks: usize,
}

impl Import {
    fn commit(&mut self, branch: &str, parents: &[usize], files: &Files) -> usize {
        self.marks += 1;
        let (mark, out) = (self.marks, &mut self.stream);
        let _ = writeln!(out, "commit refs/heads/{branch}\nmark :{mark}");
        let _ = writeln!(out, "committer Ada <ada@example.org> {} +0000", 1_700_000_000 + mark);
        let message = format!("commit {mark}");
        let _ = writeln!(out, "data {}\n{message}", message.len());
        for (at, parent) in parents.iter().enumerate() {
            let _ = writeln!(out, "{} :{parent}", if at == 0 { "from" } else { "merge" });
        }
        out.push_str("deleteall\n");
        for (path, (mode, content)) in files {
            if *mode == "160000" {
                let _ = writeln!(out, "M {mode} {content} {path}");
            } else {
                let _ = writeln!(out, "M {mode} inline {path}\ndata {}\n{content}", content.len());
            }
        }
        mark
    }
}

/// Makes the history. The target is `main`, the branches are `b0`, `b1`, ...
fn import(history: &History) -> Fixture {
    let fixture = Fixture::bare_of_commits();
    let config = "[user]\nname=Ada\nemail=ada@example.org\n[merge \"sorted\"]\ndriver=sort -u -o %A %A %B\n\
                  [advice]\nsubmoduleMergeConflict=false\n[gc]\nauto=0\n[maintenance]\nauto=false\n";
    let folders = format!("[merge]\ndirectoryRenames={}\n", history.folders);
    let path = fixture.root().join(".git/config");
    let old = fs::read_to_string(&path).unwrap();
    fs::write(&path, old + config + &folders).unwrap();

    let mut import = Import::default();
    let start = base();
    let root = import.commit("main", &[], &start);
    let step =
        |import: &mut Import, branch: &str, parents: &[usize], files: &mut Files, ops: &[Op]| {
            for op in ops {
                apply(files, op);
            }
            import.commit(branch, parents, files)
        };
    let mut main = start.clone();
    let main_first = step(&mut import, "main", &[root], &mut main, &history.target.first);
    let mut main_tip = main_first;
    for (n, line) in history.branches.iter().enumerate() {
        let branch = format!("b{n}");
        let mut files = start.clone();
        let mut tip = step(&mut import, &branch, &[root], &mut files, &line.first);
        if line.crosses {
            // Each takes the other in and keeps its own files: two best ancestors.
            let own = tip;
            tip = step(&mut import, &branch, &[own, main_first], &mut files, &line.second);
            main_tip = import.commit("main", &[main_tip, own], &main);
        } else if !line.second.is_empty() {
            step(&mut import, &branch, &[tip], &mut files, &line.second);
            continue;
        }
        step(&mut import, &branch, &[tip], &mut files, &[]);
    }
    step(&mut import, "main", &[main_tip], &mut main, &history.target.second);
    let stream = import.stream;
    let git = Git::at(&fixture.root());
    git.args(["fast-import", "--quiet", "--force"]).stdin(stream).run().unwrap();
    fixture
}

/// A checkout for git itself.
struct Scratch {
    place: Place,
}

impl Scratch {
    fn of(fixture: &Fixture) -> Self {
        let path = fixture.beside("scratch");
        fixture.git(&["worktree", "add", "-q", "--detach", path.to_str().unwrap(), "main"]);
        Self { place: Place::discover(&path).unwrap().unwrap() }
    }

    fn git(&self, args: &[&str]) -> crate::git::command::Output {
        self.place.git().args(args).output().unwrap()
    }

    fn at(&self, commit: &Oid) {
        // Left by a git that died.
        let _ = fs::remove_file(self.place.git_dir.join("index.lock"));
        for abort in ["merge", "rebase"] {
            self.git(&[abort, "--abort"]);
        }
        self.git(&["reset", "-q", "--hard"]).success().unwrap();
        self.git(&["clean", "-q", "-ffdx"]).success().unwrap();
        self.git(&["checkout", "-q", "-f", "--detach", commit.as_str()]).success().unwrap();
    }

    fn tree(&self) -> Oid {
        self.git(&["rev-parse", "HEAD^{tree}"]).oid().unwrap()
    }

    /// The paths that an index with conflicts names.
    fn unmerged(&self) -> BTreeSet<String> {
        let listed = self.git(&["diff", "-z", "--name-only", "--diff-filter=U"]).text();
        // What git moved aside, to PATH~HEAD, is about PATH.
        let paths = listed.split('\0').filter_map(|path| path.split('~').next());
        paths.filter(|path| !path.is_empty()).map(str::to_owned).collect()
    }

    /// What git makes of bringing `tip` into `current`.
    fn merge(&self, current: &Oid, tip: &Oid, style: Style) -> Said {
        self.at(current);
        let output = match style {
            Style::Merge => self.git(&["merge", "-q", "--no-edit", tip.as_str()]),
            Style::NoFf => self.git(&["merge", "-q", "--no-ff", "--no-edit", tip.as_str()]),
            Style::FfOnly => self.git(&["merge", "-q", "--ff-only", tip.as_str()]),
            Style::Squash => {
                let output = self.git(&["merge", "-q", "--squash", tip.as_str()]);
                if output.code() == 0 {
                    self.git(&["commit", "-q", "--allow-empty", "-m", "x"]).success().unwrap();
                }
                output
            }
            Style::Rebase => {
                let onto = ["rebase", "--reapply-cherry-picks", "--empty=drop", "--onto"];
                let args = [&onto[..], &[current.as_str(), current.as_str(), tip.as_str()]];
                self.git(&args.concat())
            }
        };
        if output.code() == 0 {
            return Said::Clean(self.tree());
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &output.stderr;
        Said::Not { unmerged: self.unmerged(), text }
    }
}

enum Said {
    Clean(Oid),
    Not { unmerged: BTreeSet<String>, text: String },
}

/// That git says the same of one step. Gives the commit to go on from.
fn same(
    fixture: &Fixture,
    scratch: &Scratch,
    current: &Oid,
    tip: &Oid,
    style: Style,
    verdict: &Verdict,
) -> Result<Oid, TestCaseError> {
    let tree = |commit: &Oid| fixture.repo().tree_of(commit).unwrap();
    let said = scratch.merge(current, tip, style);
    match (verdict, said) {
        (Verdict::Landed { commit }, Said::Clean(theirs)) => {
            prop_assert_eq!(tree(commit), theirs, "another tree");
            return Ok(commit.clone());
        }
        (Verdict::NoChanges | Verdict::AlreadyContained, Said::Clean(theirs)) => {
            prop_assert_eq!(tree(current), theirs, "changes where the plan has none");
        }
        (Verdict::NotForward, Said::Not { text, .. }) if style == Style::FfOnly => {
            prop_assert!(text.contains("fast-forward"), "{}", text);
        }
        // Then git dies in the checkout as well.
        (Verdict::GitDied { .. }, Said::Not { text, .. }) => {
            prop_assert!(text.contains("Assertion"), "{}", text);
        }
        // It finds the conflicts, and dies of putting them into a checkout.
        (Verdict::Conflicts { .. }, Said::Not { text, .. }) if text.contains("BUG: merge-ort") => {}
        (Verdict::Conflicts { paths, .. }, Said::Not { unmerged, text }) => {
            let ours: BTreeSet<String> =
                paths.iter().map(|c| c.path.to_str().unwrap().to_owned()).collect();
            prop_assert!(unmerged.is_subset(&ours), "{:?} not in {:?}\n{}", unmerged, ours, text);
            // Beyond the index: what a message is about, as a rename's source.
            for path in ours.difference(&unmerged) {
                prop_assert!(text.contains(path.as_str()), "{} is not in\n{}", path, text);
            }
            prop_assert!(text.contains("CONFLICT"), "{}", text);
        }
        (verdict, Said::Clean(_)) => prop_assert!(false, "git merges it: {:?}", verdict),
        (verdict, Said::Not { text, .. }) => {
            prop_assert!(false, "git does not merge it: {:?}\n{}", verdict, text);
        }
    }
    Ok(current.clone())
}

fn check(history: &History) -> Result<(), TestCaseError> {
    let fixture = import(history);
    let scratch = Scratch::of(&fixture);
    let target = fixture.oid("main");
    let names: Vec<String> = (0..history.branches.len()).map(|n| format!("b{n}")).collect();
    let candidates: Vec<Candidate> =
        names.iter().map(|name| candidate(name, fixture.oid(name))).collect();
    let style = history.style;

    // One after the other, as given: every verdict is git's.
    let plan = plan(&fixture.repo(), &target, &candidates, style, Order::AsGiven).unwrap();
    let mut current = target.clone();
    for (candidate, entry) in candidates.iter().zip(&plan.entries) {
        // A rebase of merges is held back by a rule of our own.
        let range = format!("{current}..{}", candidate.tip);
        let merges = fixture.git(&["rev-list", "--merges", "--count", &range]) != "0";
        if style == Style::Rebase && merges {
            if let Verdict::Landed { commit } = &entry.verdict {
                current = commit.clone();
            }
            continue;
        }
        current = same(&fixture, &scratch, &current, &candidate.tip, style, &entry.verdict)?;
    }
    prop_assert_eq!(&current, &plan.result);

    // As many as can be: what lands does so for git too, in that order.
    let most = super::plan(&fixture.repo(), &target, &candidates, style, Order::Most).unwrap();
    if style != Style::Rebase {
        let mut current = target.clone();
        for at in &most.landed {
            let tip = &candidates[*at].tip;
            current = same(&fixture, &scratch, &current, tip, style, &most.entries[*at].verdict)?;
        }
        prop_assert_eq!(&current, &most.result);
    }

    // Whoever is said not to collide does not.
    let mut tips: Vec<&Oid> = candidates.iter().map(|candidate| &candidate.tip).collect();
    tips.push(&target);
    let n = tips.len();
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
    let (found, effort) = collisions(&fixture.repo(), &tips, &pairs).unwrap();
    prop_assert!(effort.pairs == pairs.len() && effort.merges <= pairs.len());
    for (a, b) in pairs {
        let merged = merge(fixture.place().git(), None, tips[a], tips[b]).unwrap();
        let said = found.iter().find(|c| (c.first, c.second) == (a, b)).map(|c| c.paths.clone());
        let real = merged.conflicts();
        prop_assert_eq!(said.is_some(), real.is_some(), "{:?} {:?}", (a, b), real);
    }
    Ok(())
}

proptest! {
    // Each case starts some sixty gits; PROPTEST_CASES asks for more.
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(12),
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_a_plan_decides_is_what_git_decides(history in history()) {
        check(&history)?;
    }
}
