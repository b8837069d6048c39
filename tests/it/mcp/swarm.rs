//! The swarm of `docs/swarm.sh`, with the real codex.

use std::path::Path;

use crate::support::{CodexHome, ModelServer, Sandbox, Script};

#[test]
fn the_swarm_of_the_docs_runs() {
    let text = include_str!("../../../docs/swarm.sh");
    assert!(text.lines().count() < 15, "{text}");
    let mut sandbox = Sandbox::new();
    let server = ModelServer::start();
    let _home = CodexHome::new(&mut sandbox, &server);
    server.on("Design this", Script::new().say("a bucket for each client"));
    server.on(
        "Implement this",
        Script::new().write("limit.py", "BUCKETS = {}\n").say("done: limit.py"),
    );
    server
        .on("Write tests", Script::new().write("test_limit.py", "import limit\n").say("one test"));
    server.on("Document this", Script::new().write("LIMIT.md", "# Limit\n").say("one page"));
    let mut swarm = sandbox.command("sh");
    swarm.arg("-e").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/swarm.sh"));
    swarm.arg("Add a rate limit");
    let said = sandbox.run(swarm).ok();
    let stdout = said.stdout();
    for key in ["result-design", "result-code", "result-tests", "result-manual"] {
        assert!(stdout.contains(key), "{said}");
    }
    for answer in ["a bucket for each client", "done: limit.py", "one test", "one page"] {
        assert!(stdout.contains(answer), "{said}");
    }
    for name in ["code", "tests", "manual"] {
        assert!(stdout.contains(&format!("{name} would merge into main")), "{said}");
    }
    // The design came to all that follow, and the code to those after it.
    let prompts = server.prompts();
    let with_design = prompts.iter().filter(|prompt| prompt.contains("a bucket for each client"));
    assert_eq!(with_design.count(), 6, "{prompts:?}");
    assert!(sandbox.root().join("repo.cx/tests/limit.py").exists());
    assert_eq!(
        sandbox.cx(["memory", "get", "-n", "swarm", "task", "--value-only"]).ok().stdout(),
        "Add a rate limit"
    );
}
