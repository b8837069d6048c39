//! Repositories that are not all there: objects that lie elsewhere, files that
//! are not checked out, files that a filter stands in for.

use crate::support::Sandbox;

/// A clone without blobs and trees, of which only `docs/` is checked out.
fn partial_clone() -> Sandbox {
    let sandbox = Sandbox::without_repository();
    sandbox
        .sh("
        git init -q -b main ../origin
        cd ../origin
        mkdir -p docs src/deep
        for n in 1 2 3; do printf 'one\\ntwo\\nthree\\n' > docs/$n.md; done
        echo code > src/deep/main.c
        echo top > README
        git add .
        git commit -qm first
        git config uploadpack.allowFilter true
        git config uploadpack.allowAnySHA1InWant true
    ")
        .ok();
    let origin = format!("file://{}/origin", sandbox.root().display());
    sandbox.git(["init", "-q", "-b", "main"]);
    sandbox.git(["remote", "add", "origin", origin.as_str()]);
    sandbox.git(["fetch", "-q", "--filter=tree:0", "origin", "main"]);
    sandbox.git(["sparse-checkout", "set", "docs"]);
    sandbox.git(["checkout", "-q", "-B", "main", "FETCH_HEAD"]);
    sandbox
}

fn missing(sandbox: &Sandbox) -> usize {
    let objects = sandbox.git(["rev-list", "--objects", "--all", "--missing=print"]);
    objects.lines().filter(|line| line.starts_with('?')).count()
}

#[test]
fn a_partial_and_sparse_clone_is_worked_in_and_merged_into() {
    let sandbox = partial_clone();
    let absent = missing(&sandbox);
    assert!(absent > 0, "everything is there, so this tests nothing");
    sandbox.written("one", "test ! -e src && sed -i s/one/ONE/ docs/1.md && echo new > docs/4.md");
    sandbox.written("two", "sed -i s/three/THREE/ docs/1.md");
    sandbox.written("three", "sed -i s/one/eins/ docs/1.md");
    let seen = sandbox.cx(["conflicts", "--json"]).code(1).stdout();
    assert!(seen.contains("docs/1.md"), "{seen}");
    let merged = sandbox.cx(["merge", "--in-order"]).code(1);
    assert!(merged.stdout().contains("[3] three"), "{merged}");
    assert_eq!(sandbox.read("docs/1.md"), "ONE\ntwo\nTHREE\n");
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
    assert!(!sandbox.repo().join("src").exists(), "what is not checked out stays away");
    assert_eq!(sandbox.git(["show", "HEAD:src/deep/main.c"]), "code");
    sandbox.git(["fsck", "--connectivity-only"]);
    sandbox.cx(["apply", "--check", "three"]).code(1);
    sandbox.cx(["clean", "--discard", "three"]).ok();
    sandbox.cx(["clean"]).code(0);
}

/// A repository in which `*.bin` goes through a filter as large files do: what
/// git keeps is a pointer, what people see is the content.
fn filtered() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.git(["config", "filter.large.clean", "echo pointer && tr a-z n-za-m"]);
    sandbox.git(["config", "filter.large.smudge", "read -r _ && tr a-z n-za-m"]);
    sandbox.git(["config", "filter.large.required", "true"]);
    sandbox.write(".gitattributes", "*.bin filter=large -text\n");
    sandbox.write("a.bin", "the content\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "filtered"]);
    sandbox
}

#[test]
fn files_behind_a_filter_are_whole_for_workers_and_pointers_for_git() {
    let sandbox = filtered();
    assert!(sandbox.git(["show", "HEAD:a.bin"]).starts_with("pointer\n"));
    sandbox.written("w", "grep -q 'the content' a.bin && echo more >> a.bin && echo b > b.bin");
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.read("a.bin"), "the content\nmore\n");
    assert_eq!(sandbox.read("b.bin"), "b\n");
    for path in ["HEAD:a.bin", "HEAD:b.bin"] {
        assert!(sandbox.git(["show", path]).starts_with("pointer\n"), "{path}");
    }
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
}

#[test]
fn a_filter_that_fails_leaves_no_pointer_in_place_of_a_file() {
    let sandbox = filtered();
    sandbox.git(["config", "filter.large.smudge", "false"]);
    sandbox.spawn_sh(["-w", "-n", "w", "cat a.bin"]);
    sandbox.cx(["wait", "w"]).code(1);
    let job = sandbox.job("w");
    assert_eq!(job["status"], "not-started", "{job}");
    assert!(job["reason"].as_str().unwrap().contains("worktree could not be made"), "{job}");
}
