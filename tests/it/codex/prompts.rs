//! What the model reads.

use super::Lab;
use crate::support::Script;

const PREAMBLE: &str = "\
CONTEXT: WORKER
ROLE: You are a sub-agent run by the ORCHESTRATOR. Do only the assigned task.
RULES: No extra scope, no other workers.
Your final output will be provided back to the ORCHESTRATOR.
";

/// Everything that a shell, an argv or a template could trip over.
const AWKWARD: &str =
    "-<b> \"quotes\" 'single' $HOME `id` $(id) \\n \\ {{x}} \u{1F980} \t%s\r\n\n  last \n\n";

impl Lab {
    /// The prompt of the only request.
    #[track_caller]
    fn prompt(&self) -> String {
        let mut prompts = self.server.prompts();
        assert_eq!(prompts.len(), 1);
        prompts.remove(0)
    }
}

#[test]
fn the_preamble_stands_at_the_top_word_for_word() {
    let lab = Lab::new();
    lab.run("races", &["Look for races"], 0);
    let prompt = lab.prompt();
    let rest = prompt.strip_prefix(PREAMBLE).expect("the preamble comes first");
    assert!(rest.starts_with("\nTASK:\nLook for races\n\nSCOPE:\n"), "{rest}");
    assert_eq!(lab.cx(&["prompt", "races"]).ok().stdout(), prompt);
}

#[test]
fn an_agent_and_its_context_come_after_the_task() {
    let lab = Lab::new();
    let words = ["-t", "reviewer", "--goal", "A safe cache", "--", "Review $HOME `x`"];
    lab.run("review", &words, 0);
    let prompt = lab.prompt();
    assert!(prompt.starts_with(PREAMBLE), "{prompt}");
    let at = |text: &str| prompt.find(text).unwrap_or_else(|| panic!("no {text:?}: {prompt}"));
    let [task, scope, goal, output] =
        ["\nReview $HOME `x`\n", "\nSCOPE:\n", "A safe cache", "OUTPUT"].map(at);
    assert!(task < scope && scope < goal && goal < output, "{prompt}");
}

#[test]
fn a_bundles_agent_has_its_own_words_around_the_task_and_is_told_its_autonomy() {
    let lab = Lab::new();
    let text = "id: critic\nruntime:\n  autonomy_level: 0.4\npolicy:\n  tools_allowlist: [Read]\nprompt:\n  \
                system: You are the Critic.\n  user_template: |\n    GOAL: {{goal}}\n    List risks.\n";
    lab.sandbox.write("../bundle/critic.yaml", text);
    let bundle = lab.sandbox.root().join("bundle").display().to_string();
    lab.run("critic", &["-t", "./critic", "--agents-dir", &bundle, "--", "Judge {{this}}"], 0);
    let prompt = lab.prompt();
    for part in [
        "\nTASK:\nGOAL: Judge {{this}}\nList risks.\n",
        "\nAUTONOMY:\n0.4 of 1. At 0, decide nothing",
        "\nYou are the Critic.\n",
    ] {
        assert!(prompt.contains(part), "no {part:?}: {prompt}");
    }
    let notes = lab.cx(&["show", "critic"]).ok().stdout();
    assert!(notes.contains("codex cannot be held to a list of tools"), "{notes}");
}

#[test]
fn a_bare_prompt_arrives_byte_for_byte() {
    let lab = Lab::new();
    lab.run("bare", &["--no-preamble", "--", AWKWARD], 0);
    assert_eq!(lab.prompt(), AWKWARD);
}

#[test]
fn long_prompts_arrive_byte_for_byte() {
    // codex takes 1,048,576 characters; these are more bytes than that.
    for (size, from_stdin) in [(200_000, false), (1_048_576, true)] {
        let lab = Lab::new();
        let filler = size - AWKWARD.chars().count();
        let prompt: String =
            AWKWARD.chars().chain("xyz\u{e9} ".chars().cycle().take(filler)).collect();
        assert_eq!(prompt.chars().count(), size);
        let words = ["spawn", "-n", "long", "--no-preamble"];
        if from_stdin {
            lab.sandbox.run_with_input(lab.sandbox.cx_command(words), prompt.as_str()).ok();
        } else {
            lab.sandbox.write("../prompt.txt", &prompt);
            lab.cx(&[&words[..], &["-F", "../prompt.txt"]].concat()).ok();
        }
        lab.cx(&["wait", "long"]).ok();
        assert!(lab.prompt() == prompt, "a prompt of {size} characters was changed");
    }
}

#[test]
fn a_long_task_keeps_its_bytes_below_the_preamble() {
    let lab = Lab::new();
    let task = format!("{AWKWARD}{}", "y".repeat(200_000));
    let words = ["spawn", "-n", "long", "-"];
    lab.sandbox.run_with_input(lab.sandbox.cx_command(words), task.as_str()).ok();
    lab.cx(&["wait", "long"]).ok();
    let prompt = lab.prompt();
    let begin = format!("{PREAMBLE}\nTASK:\n{task}\n\nSCOPE:\n");
    assert!(prompt.starts_with(&begin), "{}", &prompt[..400]);
}

#[test]
fn what_codex_cannot_take_is_refused_before_anything_starts() {
    let lab = Lab::new();
    let spawn = |prompt: Vec<u8>| {
        let command = lab.sandbox.cx_command(["spawn", "--no-preamble", "-"]);
        lab.sandbox.run_with_input(command, prompt).code(2).stderr()
    };
    let said = spawn("\u{e9}".repeat(1_048_577).into_bytes());
    assert!(said.contains("1048577 characters, and codex takes at most 1048576"), "{said}");
    let said = spawn(b"ab\xff".to_vec());
    assert!(said.contains("not valid UTF-8 (byte 2)"), "{said}");
    assert!(lab.sandbox.ledger().events().is_empty());
    assert!(lab.server.requests().is_empty());
}

#[test]
fn arguments_of_the_configuration_reach_codex() {
    let lab = Lab::new();
    let config = lab.sandbox.root().join("config/cx");
    std::fs::create_dir(&config).unwrap();
    let config = config.join("config.toml");
    std::fs::write(&config, "[codex]\nargs = [\"-c\", \"model_reasoning_effort=\\\"high\\\"\"]\n")
        .unwrap();
    lab.on("hard", Script::new().say("Done."));
    lab.run("hard", &["Think hard"], 0);
    let request = lab.server.requests().remove(0);
    assert_eq!(request["reasoning"]["effort"], "high", "{request}");
    std::fs::write(&config, "[codex]\nargs = [\"-s\", \"danger-full-access\"]\n").unwrap();
    let refused = lab.cx(&["spawn", "Whatever"]).code(2).stderr();
    assert!(refused.contains("the job's mode chooses the sandbox"), "{refused}");
}
