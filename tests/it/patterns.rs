//! `cx run PATTERN` to its end, on a scripted codex that answers by what it is told.

use crate::support::Sandbox;

/// Says of each task what it was told, as one that has to list things lists two,
/// and as a writer writes a line where it stands.
const CODEX: &str = r#"
out= prev=
for arg; do
  if [ "$prev" = -o ]; then out=$arg; fi
  prev=$arg
done
prompt=$(cat)
# What cx asks codex before and after a job has no prompt.
if [ -z "$prompt" ]; then exit 0; fi
case $prompt in
  *"JSON array of the paths"*) text='["src", "docs"]' ;;
  *"JSON array of the questions"*) text='["Why so?", "Since when?"]' ;;
  *"NOTHING TO FIX"*) text=${FINDINGS:-"src/a is wrong"} ;;
  *"Your section is "*)
    section=${prompt##*Your section is }
    section=${section%%:*}
    echo "$section" >> "$section/a"
    text="wrote in $section" ;;
  *"Mend what a review"*|*"what a scout has found"*)
    echo mended >> src/a
    text="mended src/a" ;;
  *"You stand on a tree"*) text="VERDICT: holds, with $(tail -n 1 src/a)" ;;
  *"Take this lens"*) lens=${prompt##*to others:?}; text="found by ${lens%%:*}" ;;
  *) text="answered" ;;
esac
printf '%s\n' "$prompt" > "$CX_TEST_SEEN/$CX_NAME"
printf '%s' "$text" > "$out"
quoted=$(printf '%s' "$text" | sed 's/"/\\"/g')
echo '{"type":"thread.started","thread_id":"t"}'
printf '{"type":"item.completed","item":{"id":"i","type":"agent_message","text":"%s"}}\n' "$quoted"
echo '{"type":"turn.completed","usage":{"input_tokens":10,"cached_input_tokens":0,"output_tokens":2}}'
"#;

fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let seen = sandbox.root().join("seen");
    std::fs::create_dir(&seen).unwrap();
    sandbox.set("CX_TEST_SEEN", seen);
    sandbox.script_tool("codex", CODEX);
    for folder in ["src", "docs"] {
        sandbox.write(format!("{folder}/a"), "first\n");
    }
    sandbox.git(["add", "--all"]);
    sandbox.git(["commit", "--quiet", "--message=Two folders"]);
    sandbox
}

/// What the job was told.
fn told(sandbox: &Sandbox, job: &str) -> String {
    std::fs::read_to_string(sandbox.root().join("seen").join(job)).unwrap()
}

fn answer(sandbox: &Sandbox, job: &str) -> String {
    sandbox.cx(["collect", "--format", "{message}", job]).ok().stdout().trim_end().to_owned()
}

#[test]
fn review_looks_through_each_lens_and_lists_what_all_have_found() {
    let sandbox = sandbox();
    let summary =
        sandbox.cx(["run", "review", "src", "--lenses", "security,risks", "--json"]).ok().json();
    assert_eq!((&summary["kind"], &summary["totalTasks"]), (&"summary".into(), &3.into()));
    assert_eq!(summary["resultsByAlias"]["reviewer"]["ok"], 3);
    assert!(told(&sandbox, "look-1").contains("\nSecurity: what can someone do"));
    assert!(told(&sandbox, "look-2").contains("\nRisks and failure modes: "));
    let list = told(&sandbox, "list");
    let (first, second) = (list.find("found by Security"), list.find("found by Risks"));
    assert!(first.is_some() && first < second, "{list}");
    assert!(!list.contains("{{"), "{list}");
}

#[test]
fn fix_mends_what_was_found_and_verifies_on_the_writers_work() {
    let sandbox = sandbox();
    sandbox.cx(["run", "fix", "src"]).ok();
    assert!(told(&sandbox, "fix").contains("src/a is wrong"));
    assert!(told(&sandbox, "verify").contains("mended src/a"));
    assert_eq!(answer(&sandbox, "verify"), "VERDICT: holds, with mended");
    // The checkout has it once it is merged.
    assert_eq!(sandbox.read("src/a"), "first\n");
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.read("src/a"), "first\nmended\n");
}

#[test]
fn fix_passes_over_what_needs_no_change() {
    let mut sandbox = sandbox();
    sandbox.set("FINDINGS", "NOTHING TO FIX");
    let output = sandbox.cx(["run", "fix", "src", "--verbose"]).ok();
    assert!(output.stderr().contains("fix is passed over"), "{output}");
    assert!(output.stderr().contains("verify is passed over"), "{output}");
    assert_eq!(sandbox.lines(["jobs", "-a"]).len(), 1);
}

#[test]
fn scout_tells_the_implementer_and_the_verifier() {
    let sandbox = sandbox();
    sandbox.cx(["run", "scout", "Do", "it"]).ok();
    assert!(told(&sandbox, "scout").contains("going to do this: Do it"));
    assert!(told(&sandbox, "act").contains("what a scout has found:\nanswered"));
    assert_eq!(answer(&sandbox, "verify"), "VERDICT: holds, with mended");
}

#[test]
fn split_gives_each_section_a_writer_with_its_scope() {
    let sandbox = sandbox();
    sandbox.cx(["run", "split", "Write"]).ok();
    for (job, section) in [("work-1", "src"), ("work-2", "docs")] {
        assert_eq!(answer(&sandbox, job), format!("wrote in {section}"));
        let shown = sandbox.cx(["show", "--json", job]).ok().json();
        assert_eq!(shown["scope"], serde_json::json!([section]), "{shown}");
    }
    sandbox.cx(["merge"]).ok();
    assert_eq!(
        (sandbox.read("src/a"), sandbox.read("docs/a")),
        ("first\nsrc\n".into(), "first\ndocs\n".into())
    );
}

#[test]
fn research_asks_each_question_and_briefs() {
    let sandbox = sandbox();
    sandbox.cx(["run", "research", "Whether"]).ok();
    assert!(told(&sandbox, "find-1").contains("Why so?"));
    assert!(told(&sandbox, "find-2").contains("Since when?"));
    let brief = told(&sandbox, "brief");
    assert!(brief.contains("Why so?") && brief.contains("answered"), "{brief}");
}

#[test]
fn options_are_proposed_from_each_angle_and_one_is_chosen() {
    let sandbox = sandbox();
    sandbox.cx(["run", "options", "Whether", "--var", "angles=bold,safe"]).ok();
    assert!(told(&sandbox, "propose-1").contains("questions what everybody takes for granted"));
    assert!(told(&sandbox, "propose-2").contains("risks least"));
    assert!(told(&sandbox, "choose").contains("risks least"));
}
