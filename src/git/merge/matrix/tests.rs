use super::*;
use crate::git::merge::tree::merge;
use crate::git::testing::Fixture;

/// Every pair of the tips, merged by a `git merge-tree` of its own.
fn by_git(fixture: &Fixture, tips: &[Oid]) -> Vec<(usize, usize, Vec<Conflict>)> {
    let mut all = Vec::new();
    for a in 0..tips.len() {
        for b in a + 1..tips.len() {
            match merge(fixture.place().git(), None, &tips[a], &tips[b]) {
                Ok(merged) => all.extend(merged.conflicts().map(|paths| (a, b, paths))),
                Err(error) => assert!(error.to_string().contains("unrelated"), "{error}"),
            }
        }
    }
    all
}

fn collisions(pairs: &[Pair]) -> Vec<(usize, usize, Vec<Conflict>)> {
    let paths = |pair: &Pair| match &pair.clash {
        Clash::Conflicts(paths) => Some((pair.a, pair.b, paths.clone())),
        _ => None,
    };
    pairs.iter().filter_map(paths).collect()
}

/// A commit on a branch of its own, made by `change` on top of `base`.
fn branch(fixture: &Fixture, base: &str, change: impl FnOnce(&Fixture)) -> Oid {
    fixture.git(&["checkout", "-q", "--detach", base]);
    change(fixture);
    fixture.commit("change")
}

fn remove(fixture: &Fixture, path: &str) {
    fixture.git(&["rm", "-q", "-r", path]);
}

fn rename(fixture: &Fixture, from: &str, to: &str) {
    let parent = fixture.root().join(to);
    std::fs::create_dir_all(parent.parent().unwrap()).unwrap();
    fixture.git(&["mv", from, to]);
}

#[test]
fn only_what_meets_is_merged_and_every_kind_of_collision_is_found() {
    let fixture = Fixture::new();
    fixture.write("a/x", "1\n2\n3\n4\n");
    fixture.write("a/y", "5\n6\n7\n8\n");
    fixture.write("b/z", "9\n");
    let trunk = fixture.commit("more");
    let main = "main";
    let tips = vec![
        trunk,
        /* 1 */ branch(&fixture, main, |f| f.write("README", "one\n")),
        /* 2 */ branch(&fixture, main, |f| f.write("README", "two\n")),
        /* 3 */ branch(&fixture, main, |f| remove(f, "README")),
        /* 4 */ branch(&fixture, main, |f| f.write("new", "file\n")),
        /* 5 */ branch(&fixture, main, |f| f.write("new/deep", "folder\n")),
        /* 6: the folder moves */ branch(&fixture, main, |f| rename(f, "a", "c/d")),
        /* 7: into the folder */ branch(&fixture, main, |f| f.write("a/w", "added\n")),
        /* 8: both ends */ branch(&fixture, main, |f| rename(f, "b/z", "b/one")),
        /* 9 */ branch(&fixture, main, |f| rename(f, "b/z", "b/two")),
        /* 10: far from all */ branch(&fixture, main, |f| f.write("far", "\n")),
        /* 11: the same file, elsewhere in it */
        branch(&fixture, main, |f| f.write("src/lib", "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")),
        /* 12 */
        branch(&fixture, main, |f| f.write("src/lib", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n")),
    ];
    let pairs = Matrix::default().pairs(&fixture.repo(), &tips, &[]).unwrap();
    let expected = by_git(&fixture, &tips);
    assert_eq!(collisions(&pairs), expected);
    let met: Vec<_> = pairs.iter().map(|pair| (pair.a, pair.b)).collect();
    assert_eq!(met, [(1, 2), (1, 3), (2, 3), (4, 5), (6, 7), (8, 9), (11, 12)]);
    assert_eq!(expected.len(), 6);
    assert_eq!(pairs.last().map(|pair| &pair.clash), Some(&Clash::Clean));
}

#[test]
fn branches_that_left_the_trunk_elsewhere_or_share_commits_are_compared_by_their_ancestor() {
    let fixture = Fixture::new();
    let old = fixture.oid("HEAD");
    fixture.write("moved", "on\n");
    fixture.commit("the trunk goes on");
    let stacked = branch(&fixture, "main", |f| f.write("README", "base of two\n"));
    let tips = vec![
        fixture.oid("main"),
        branch(&fixture, old.as_str(), |f| f.write("moved", "elsewhere\n")),
        branch(&fixture, "main", |f| f.write("other", "\n")),
        branch(&fixture, stacked.as_str(), |f| f.write("README", "hello\n")),
        branch(&fixture, stacked.as_str(), |f| f.write("README", "more\n")),
        old,
    ];
    let pairs = Matrix::default().pairs(&fixture.repo(), &tips, &[]).unwrap();
    assert_eq!(collisions(&pairs), by_git(&fixture, &tips));
    let met: Vec<_> = pairs.iter().map(|pair| (pair.a, pair.b)).collect();
    // The old one meets all that have the trunk's change; two reverts meet.
    assert_eq!(met, [(0, 1), (1, 2), (1, 3), (1, 4), (3, 4)]);
}

#[test]
fn unrelated_and_criss_cross_histories_are_told() {
    let fixture = Fixture::new();
    let main = fixture.oid("main");
    let one = branch(&fixture, "main", |f| f.write("README", "one\n"));
    let two = branch(&fixture, "main", |f| f.write("src/lib", "two\n"));
    let merged = |ours: &Oid, theirs: &Oid| {
        fixture.git(&["checkout", "-q", "--detach", ours.as_str()]);
        fixture.git(&["merge", "-q", "--no-ff", "-m", "cross", theirs.as_str()]);
        fixture.oid("HEAD")
    };
    let left = merged(&one, &two);
    let right = merged(&two, &one);
    let left = branch(&fixture, left.as_str(), |f| f.write("README", "left\n"));
    let right = branch(&fixture, right.as_str(), |f| f.write("README", "right\n"));
    fixture.git(&["checkout", "-q", "--orphan", "alone"]);
    let alone = fixture.commit("alone");
    let tips = vec![main, left, right, alone];
    for repo in [fixture.repo(), Repo::open_with_git(&fixture.place())] {
        let pairs = Matrix::default().pairs(&repo, &tips, &[]).unwrap();
        assert_eq!(collisions(&pairs), by_git(&fixture, &tips));
        let clashes: Vec<_> =
            pairs.iter().map(|pair| (pair.a, pair.b, pair.clash == Clash::Unrelated)).collect();
        assert_eq!(clashes, [(0, 3, true), (1, 2, false), (1, 3, true), (2, 3, true)]);
    }
}

#[test]
fn many_branches_and_paths_with_odd_names() {
    let fixture = Fixture::new();
    let tips: Vec<Oid> = std::iter::once(fixture.oid("main"))
        .chain((0..70).map(|n| {
            branch(&fixture, "main", |f| f.write(&format!("dir\n{}/a b\t", n % 35), &n.to_string()))
        }))
        .collect();
    let pairs = Matrix::default().pairs(&fixture.repo(), &tips, &[]).unwrap();
    let expected: Vec<_> = (1..=35).map(|n| (n, n + 35)).collect();
    assert_eq!(pairs.iter().map(|pair| (pair.a, pair.b)).collect::<Vec<_>>(), expected);
    assert!(pairs.iter().all(|pair| pair.clash.is_collision()));
    assert_eq!(Matrix::default().pairs(&fixture.repo(), &[], &[]).unwrap(), []);
}
