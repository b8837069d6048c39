use super::*;
use crate::git::testing::Fixture;

fn outside_of(
    fixture: &Fixture,
    prefix: &str,
    specs: &[&str],
    from: &Oid,
    to: &Oid,
) -> Vec<String> {
    let specs: Vec<String> = specs.iter().map(|spec| (*spec).to_owned()).collect();
    let scope = Scope { prefix: Path::new(prefix), specs: &specs };
    let paths = outside(&fixture.place(), from, to, scope).unwrap();
    paths.iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn pathspecs_mean_what_they_mean_to_git() {
    let fixture = Fixture::new();
    fixture.write("docs/guide.md", "one\ntwo\nthree\n");
    let from = fixture.commit("base");
    fixture.git(&["mv", "docs/guide.md", "src/guide.md"]);
    fixture.write("src/deep/new.rs", "x\n");
    fixture.write("odd\tname", "x\n");
    let to = fixture.commit("change");
    let of = |prefix: &str, specs: &[&str]| outside_of(&fixture, prefix, specs, &from, &to);
    // A rename counts with both sides.
    assert_eq!(of("", &["src"]), ["docs/guide.md", "odd\tname"]);
    assert_eq!(of("", &["src", "docs/"]), ["odd\tname"]);
    assert_eq!(of("", &["*.md"]), ["odd\tname", "src/deep/new.rs"]);
    assert_eq!(of("", &[":(glob)src/*"]), ["docs/guide.md", "odd\tname", "src/deep/new.rs"]);
    assert_eq!(of("", &[".", ":!src/deep"]), ["src/deep/new.rs"]);
    // Relative to where it was given, also where that folder is gone.
    assert_eq!(of("docs", &["guide.md"]), ["odd\tname", "src/deep/new.rs", "src/guide.md"]);
    assert_eq!(of("src/deep", &[":/"]), [""; 0]);
    assert_eq!(of("gone", &["../odd*"]), ["docs/guide.md", "src/deep/new.rs", "src/guide.md"]);
    assert_eq!(of("", &[]), [""; 0]);
    let bad = ["../elsewhere".to_owned()];
    let scope = Scope { prefix: Path::new(""), specs: &bad };
    assert!(outside(&fixture.place(), &from, &to, scope).is_err());
    let md = ["*.md".to_owned()];
    let scope = Scope { prefix: Path::new(""), specs: &md };
    assert_eq!(files(&fixture.place(), &to, scope).unwrap(), [PathBuf::from("src/guide.md")]);
}

#[test]
fn commits_come_again_without_what_is_outside() {
    let fixture = Fixture::new();
    fixture.write("out/old", "old\n");
    let from = fixture.commit("base");
    fixture.write("in", "1\n");
    fixture.write("out/old", "changed\n");
    fixture.commit("first\n\nKey: value");
    fixture.write("out/new", "x\n");
    fixture.commit("only outside");
    fixture.write("in", "2\n");
    let tip = fixture.commit("third\n\nKey: value");
    let repo = fixture.repo();
    let paths = [PathBuf::from("out/new"), PathBuf::from("out/old")];
    let trimmed = without(&repo, &from, &tip, &paths).unwrap().unwrap();
    let log = |rev: &str| fixture.git(&["log", "-1", "--format=%an %ad%n%B", rev]);
    let range = format!("{from}..{trimmed}");
    assert_eq!(fixture.git(&["log", "--format=%s", &range]), "third\nfirst");
    assert_eq!(
        log(trimmed.as_str()).trim_end(),
        format!("{}\nCx-Dropped: out/new\nCx-Dropped: out/old", log(tip.as_str()).trim_end())
    );
    let diff = fixture.git(&["diff", "--name-only", from.as_str(), trimmed.as_str()]);
    assert_eq!(diff, "in");
    // Nothing is left, and a history that is no line.
    let all = ["in", "out/new", "out/old"].map(PathBuf::from);
    assert_eq!(without(&repo, &from, &tip, &all).unwrap(), None);
    fixture.git(&["checkout", "-q", "-b", "side", from.as_str()]);
    fixture.write("side", "x\n");
    fixture.commit("side");
    fixture.git(&["merge", "-q", "--no-edit", tip.as_str()]);
    let merged = fixture.oid("HEAD");
    let one = without(&repo, &from, &merged, &paths).unwrap().unwrap();
    assert_eq!(fixture.git(&["rev-list", "--count", &format!("{from}..{one}")]), "1");
    let diff = fixture.git(&["diff", "--name-only", from.as_str(), one.as_str()]);
    assert_eq!(diff, "in\nside");
}

#[test]
fn what_is_a_branchs_own() {
    let fixture = Fixture::new();
    let first = fixture.oid("HEAD");
    fixture.git(&["checkout", "-q", "-b", "feature"]);
    fixture.write("feature", "x\n");
    let feature = fixture.commit("feature");
    fixture.write("job", "x\n");
    let job = fixture.commit("job");
    let repo = fixture.repo();
    let of = |base: &Oid, tip: &Oid| origin(&repo, base, tip, &fixture.oid("main")).unwrap();
    // Started from a branch that the target has not.
    assert_eq!(of(&feature, &job), Some(feature.clone()));
    // The target came into it later.
    fixture.git(&["checkout", "-q", "main"]);
    fixture.write("main", "x\n");
    let main = fixture.commit("main");
    fixture.git(&["checkout", "-q", "-b", "work", first.as_str()]);
    fixture.write("work", "x\n");
    fixture.commit("work");
    fixture.git(&["merge", "-q", "--no-edit", "main"]);
    assert_eq!(of(&first, &fixture.oid("HEAD")), Some(main));
}
