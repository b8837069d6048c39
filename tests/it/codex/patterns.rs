//! `cx run review` on the real codex: lenses go out, and what came back goes into
//! one list.

use super::Lab;
use crate::support::Script;

#[test]
fn a_review_goes_through_its_lenses_and_its_synthesis_gets_the_answers() {
    let lab = Lab::new();
    // The list is made of prompts that have all of this, so it is looked for first.
    lab.on("Make one list of", Script::new().say("1. The lock is taken too late."));
    lab.on("Security: what can someone", Script::new().say("SECURITY-FINDING: a token is logged"));
    lab.on("Risks and failure modes", Script::new().say("RISKS-FINDING: no timeout"));
    let run = ["run", "review", "src/auth", "--lenses", "security,risks", "--json"];
    let summary = lab.cx(&run).ok().json();
    let reviewer = &summary["resultsByAlias"]["reviewer"];
    assert_eq!((&summary["outcome"], &reviewer["ok"]), (&"succeeded".into(), &3.into()));
    assert!(summary["usage"]["input"].as_u64().unwrap() > 0, "{summary}");

    let requests: Vec<String> =
        lab.server.requests().iter().map(|request| request["input"].to_string()).collect();
    assert_eq!(requests.len(), 3);
    let (lists, looks): (Vec<_>, Vec<_>) =
        requests.iter().partition(|request| request.contains("Make one list of"));
    // Each lens is somebody's, and nobody has two.
    for lens in ["Security: what can someone", "Risks and failure modes"] {
        let with = looks.iter().filter(|look| look.contains(lens)).count();
        assert_eq!(with, 1, "{lens}");
    }
    assert!(looks.iter().all(|look| look.contains("Review src/auth")));
    let [list] = lists.as_slice() else { panic!("{requests:?}") };
    for finding in ["SECURITY-FINDING: a token is logged", "RISKS-FINDING: no timeout"] {
        assert!(list.contains(finding), "{list}");
    }
    let said = lab.cx(&["collect", "list", "--format", "{message}"]).ok().stdout();
    assert_eq!(said, "1. The lock is taken too late.\n");
    for job in ["look-1", "look-2", "list"] {
        assert_eq!(lab.show(job)["mode"], "reader", "{job}");
    }
}

#[test]
fn a_lens_whose_model_fails_fails_the_review_and_names_it() {
    let lab = Lab::new();
    lab.on("Security: what can someone", Script::new().status(400));
    lab.on("Risks and failure modes", Script::new().say("RISKS-FINDING: no timeout"));
    let output = lab.cx(&["run", "review", "src/auth", "--lenses", "security,risks"]).code(1);
    let said = output.stderr();
    assert!(said.contains("list is skipped: needs 'look', which failed"), "{output}");
    assert!(said.contains("run review failed: 1 of 3 tasks failed, and 1 was not run"), "{output}");
    assert_eq!(lab.server.requests().len(), 2);
}
