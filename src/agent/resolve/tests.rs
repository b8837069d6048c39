//! Names, in the order in which they count.

use std::fs;
use std::num::NonZeroU64;
use std::path::Path;

use tempfile::TempDir;

use crate::agent::{Alias, Catalog, Source};
use crate::job::Mode;

use super::*;

/// A home, a checkout and a bundle in the shapes of codex-flow.
struct Ground(TempDir);

impl Ground {
    fn new() -> Self {
        let ground = Self(tempfile::tempdir().expect("folder"));
        for (path, id) in [
            ("analysis/code-analyzer.codex.yaml", "code-analyzer"),
            ("analysis/code-review/code-analyzer.codex.yaml", "code-analyzer"),
            ("core/reviewer.codex.yaml", "reviewer"),
            ("core/lonely.codex.yaml", "lonely"),
        ] {
            let text = format!(
                "agent:\n  id: {id}\n  description: of {path}\nruntime:\n  concurrency:\n    \
                 max_parallel_tasks: 2\n    queue_strategy: priority\n  autonomy_level: 0.5\n"
            );
            ground.put(&format!("bundle/{path}"), &text);
        }
        ground.put("bundle/planner.yaml", "id: planner\nprompt:\n  system: Plan.\n");
        ground
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("folders");
        fs::write(path, text).expect("file");
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    fn resolve(&self, name: &str, aliases: &[Alias], stock: bool) -> Result<Resolved, AgentError> {
        let (home, checkout, bundle) = (self.at("home"), self.at("checkout"), self.at("bundle"));
        let config = home.join(".config");
        let places = places(&home, &checkout, &config, stock.then_some(&bundle));
        resolve(name, &Lookup { places, aliases, stock_aliases: stock })
    }
}

fn places<'a>(
    home: &'a Path,
    checkout: &'a Path,
    config_home: &'a Path,
    bundle: Option<&'a std::path::PathBuf>,
) -> Places<'a> {
    Places {
        checkout: Some(checkout),
        config_home,
        home,
        agents_dir: bundle.map(std::path::PathBuf::as_path),
        codex_agents_dir: None,
    }
}

#[test]
fn an_id_that_two_have_names_both_and_the_qualified_name_works() {
    let ground = Ground::new();
    let error = ground.resolve("code-analyzer", &[], true).expect_err("two");
    let (one, two) = (
        ground.at("bundle/analysis/code-analyzer.codex.yaml"),
        ground.at("bundle/analysis/code-review/code-analyzer.codex.yaml"),
    );
    assert_eq!(
        error.to_string(),
        format!(
            "'code-analyzer' is the id of 2 agents: analysis/code-analyzer ({}) and \
             analysis/code-review/code-analyzer ({})",
            one.display(),
            two.display()
        )
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("say which: analysis/code-analyzer or analysis/code-review/code-analyzer")
    );
    for (name, source) in [
        ("analysis/code-analyzer", one),
        ("analysis/code-review/code-analyzer", two),
        ("./planner", ground.at("bundle/planner.yaml")),
        ("lonely", ground.at("bundle/core/lonely.codex.yaml")),
    ] {
        let found = ground.resolve(name, &[], true).expect(name);
        assert_eq!(found.agent.source, Source::Bundle(source));
        assert_eq!(found.alias, None);
    }
    for name in ["analysis/nobody", "../lonely", "/lonely", "core//lonely"] {
        assert!(ground.resolve(name, &[], true).is_err(), "{name}");
    }
}

#[test]
fn a_plain_name_is_cxs_own_first_and_a_built_in_alias_stands_before_the_built_in_agent() {
    let ground = Ground::new();
    let own = ground.resolve("reviewer", &[], false).expect("built in");
    assert_eq!((own.alias, own.agent.source), (None, Source::BuiltIn));

    let found = ground.resolve("reviewer", &[], true).expect("alias");
    assert_eq!(found.alias.as_deref(), Some("reviewer"));
    assert_eq!(found.agent.qualified, "analysis/code-review/code-analyzer");
    assert_eq!((found.agent.autonomy, found.limit), (Some(0.7), NonZeroU64::new(2)));
    let second = ground.resolve("reviewer2", &[], true).expect("alias");
    assert_eq!((second.agent.autonomy, second.pool.as_str()), (Some(0.9), "reviewer2"));

    // Its agent is not in this bundle.
    assert_eq!(
        ground.resolve("tester", &[], true).expect("built in").agent.source,
        Source::BuiltIn
    );
    // No agent of cx has this name, and one does its work.
    let stand_in = ground.resolve("validator", &[], true).expect("an agent of cx");
    assert_eq!(stand_in.agent.name, "verifier");
    assert_eq!(
        (stand_in.alias.as_deref(), stand_in.pool.as_str()),
        (Some("validator"), "validator")
    );
    assert_eq!(stand_in.stands_in_for.as_deref(), Some("testing/validation/production-validator"));
    let frontend = ground.resolve("frontend", &[], true).expect("an agent of cx");
    assert_eq!((frontend.agent.name.as_str(), frontend.agent.mode), ("coder", Mode::Writer));
    // But for what anybody else calls so.
    let planner = ground.resolve("planner", &[], true).expect("the bundle's");
    assert_eq!((planner.agent.qualified.as_str(), planner.alias), ("./planner", None));
    assert!(ground.resolve("validator", &[], false).is_err());

    let both = ground.resolve("cx/reviewer", &[], true).expect("built in");
    assert_eq!(both.agent.source, Source::BuiltIn);
    let other = ground.resolve("core/reviewer", &[], true).expect("bundle's");
    assert_eq!(other.agent.qualified, "core/reviewer");

    ground.put("checkout/.cx/agents/reviewer.md", "---\ndescription: mine\n---\nLook.\n");
    let mine = ground.resolve("reviewer", &[], true).expect("mine");
    assert_eq!((mine.alias, mine.agent.description.as_str()), (None, "mine"));
}

#[test]
fn an_alias_is_before_all_merges_deeply_and_has_a_limit_of_its_own() {
    let ground = Ground::new();
    let alias = Alias::parse(
        "reviewer=lonely:runtime.concurrency.max_parallel_tasks=5,mode=writer,model=gpt-5,scope=[\"a\",\"b\"]",
    )
    .expect("parses");
    let found = ground.resolve("reviewer", std::slice::from_ref(&alias), true).expect("alias");
    assert_eq!((found.pool.as_str(), found.limit), ("reviewer", NonZeroU64::new(5)));
    assert_eq!(found.agent.qualified, "core/lonely");
    assert_eq!((found.agent.mode, found.agent.autonomy), (Mode::Writer, Some(0.5)));
    assert_eq!(found.agent.scope, ["a", "b"]);
    assert_eq!(found.agent.description, "of core/lonely.codex.yaml");

    // An alias of its own name is of the agent, and one of an alias is refused.
    let own = Alias::parse("reviewer=reviewer:model=x").expect("parses");
    let found = ground.resolve("reviewer", &[own], false).expect("agent");
    assert_eq!((found.agent.source, found.agent.model.as_deref()), (Source::BuiltIn, Some("x")));
    let chain = [alias, Alias::parse("fast=reviewer9").expect("parses")];
    assert!(matches!(ground.resolve("fast", &chain, true), Err(AgentError::Unknown { .. })));
    let chain =
        [Alias::parse("one=lonely").expect("parses"), Alias::parse("two=one").expect("parses")];
    assert_eq!(
        ground.resolve("two", &chain, true).expect_err("chain").to_string(),
        "the alias 'two' (--alias): 'one' is an alias too, and an alias stands for an agent: write 'lonely'"
    );
    let wrong = Alias::parse("x=lonely:runtime.autonomy_level=7").expect("parses");
    assert_eq!(
        ground.resolve("x", &[wrong], true).expect_err("wrong").to_string(),
        "the alias 'x' (--alias): 'runtime.autonomy_level' has to be a number from 0 to 1"
    );
}

#[test]
fn agents_of_other_tools_are_found_by_name_and_the_checkouts_come_first() {
    let ground = Ground::new();
    let claude = "---\nname: helper\ndescription: of NAME\ntools: Read\n---\nHelp.\n";
    ground.put("checkout/.claude/agents/team/a.md", &claude.replace("NAME", "checkout"));
    ground.put("home/.claude/agents/helper.md", &claude.replace("NAME", "home"));
    let found = ground.resolve("helper", &[], true).expect("claude's");
    assert_eq!(found.agent.description, "of checkout");
    assert_eq!(found.pool, "claude/helper");

    let codex = "name = \"helper\"\ndescription = \"d\"\ndeveloper_instructions = \"x\"\n";
    ground.put("home/.codex/agents/h.toml", codex);
    let error = ground.resolve("helper", &[], true).expect_err("two");
    assert_eq!(error.hint().as_deref(), Some("say which: claude/helper or codex/helper"));
    let found = ground.resolve("codex/helper", &[], true).expect("codex's");
    assert_eq!(found.agent.source, Source::Codex(ground.at("home/.codex/agents/h.toml")));

    let (home, checkout) = (ground.at("home"), ground.at("checkout"));
    let config = home.join(".config");
    let bundle = ground.at("bundle");
    let catalog = Catalog::load(&places(&home, &checkout, &config, Some(&bundle))).expect("loads");
    let handles: Vec<&str> = catalog
        .usable()
        .filter(|(_, agent)| !agent.source.is_own())
        .map(|(handle, _)| handle)
        .collect();
    assert_eq!(
        handles,
        [
            "analysis/code-analyzer",
            "analysis/code-review/code-analyzer",
            "claude/helper",
            "codex/helper",
            "lonely",
            "planner",
            "core/reviewer",
        ]
    );
    let hidden: Vec<_> =
        catalog.entries().iter().filter(|entry| entry.hidden_by.is_some()).collect();
    assert_eq!(hidden.len(), 1);
    assert_eq!(hidden[0].source, Source::Claude(ground.at("home/.claude/agents/helper.md")));
}

#[test]
fn triggers_of_an_id_that_two_have_go_to_the_one_that_has_them() {
    let ground = Ground::new();
    ground.put(
        "bundle/analysis/code-review/code-analyzer.codex.yaml",
        "agent: {id: code-analyzer, description: d}\ntriggers:\n  keywords: [code review]\n",
    );
    ground.put(
        "bundle/triggers.json",
        r#"{"keywords": {"code review": ["code-analyzer"], "smell": ["code-analyzer"],
            "alone": ["lonely", "nobody"]},
            "regex": [{"pattern": "^see$", "priority": "high", "agents": ["lonely"]},
                      {"pattern": "^no$", "priority": "huge", "agents": ["lonely"]}],
            "file_patterns": {"**/*.rs": ["./planner"]}}"#,
    );
    ground.put(
        "bundle/index.json",
        "{\"agents\": [{\"id\": \"lonely\", \"domain\": \"core\", \"keywords\": [\"one\"]},\n\
         {\"id\": \"gone\", \"domain\": \"core\", \"subdomain\": \"x\"}]}",
    );
    let (home, checkout, bundle) = (ground.at("home"), ground.at("checkout"), ground.at("bundle"));
    let catalog = Catalog::load(&places(&home, &checkout, &home, Some(&bundle))).expect("loads");
    let of = |qualified: &str| {
        let found = catalog.iter().find(|agent| agent.qualified == qualified);
        found.expect(qualified).triggers.clone()
    };
    assert_eq!(of("analysis/code-analyzer").keywords, ["smell"]);
    assert_eq!(of("analysis/code-review/code-analyzer").keywords, ["code review", "smell"]);
    assert_eq!(of("core/lonely").keywords, ["one", "alone"]);
    assert_eq!(of("core/lonely").regex.len(), 1);
    assert_eq!(of("./planner").file_patterns, ["**/*.rs"]);
    let flaws: Vec<_> =
        catalog.flaws().iter().map(|flaw| (flaw.line, flaw.problem.as_str())).collect();
    assert_eq!(
        flaws,
        [
            (2, "lists 'core/x/gone', of which there is no file"),
            (2, "names 'nobody' for 'alone', and there is no such agent"),
            (
                4,
                "'triggers.regex' has to be a list of expressions, or of pattern and priority (low, medium, high)"
            ),
        ]
    );
}

#[test]
fn a_bundle_that_is_named_has_to_be_there() {
    let ground = Ground::new();
    let (home, nowhere) = (ground.at("home"), ground.at("nowhere"));
    let catalog = Catalog::load(&places(&home, &home, &home, Some(&nowhere)));
    let error = catalog.expect_err("nothing there").to_string();
    assert_eq!(
        error,
        format!("--agents-dir is {}, and there are no agents in it", nowhere.display())
    );

    // The usual places may be empty, or hold only what is Codex's.
    let codex = "name = \"x\"\ndescription = \"d\"\ndeveloper_instructions = \"x\"\n";
    ground.put("home/.codex/agents/x.toml", codex);
    ground.put("checkout/codex/agents/core/one.codex.yaml", "id: one\n");
    let checkout = ground.at("checkout");
    let catalog = Catalog::load(&places(&home, &checkout, &home, None)).expect("loads");
    assert_eq!(catalog.bundle(), Some(checkout.join("codex/agents").as_path()));
    ground.put("home/.codex/agents/core/two.codex.yaml", "id: two\n");
    let catalog = Catalog::load(&places(&home, &checkout, &home, None)).expect("loads");
    assert_eq!(catalog.bundle(), Some(home.join(".codex/agents").as_path()));
}
