//! `cx agents show`

use serde::Serialize;
use serde_json::{Value, json};

use super::ShowArgs;
use crate::{
    agent::{self, Agent, Alias, Resolved, tools},
    commands::{
        roles::{Roles, catalog, failure},
        session::Session,
        settings::Settings,
    },
    failure::{Exit, Failure},
    job::{BackendChoice, BackendName},
    ui,
};

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    qualified: &'a str,
    alias: Option<&'a str>,
    kind: &'static str,
    source: String,
    description: &'a str,
    mode: String,
    mode_because: &'a str,
    backend: Option<BackendChoice>,
    model: Option<&'a str>,
    timeout_ms: Option<u128>,
    silence_ms: Option<u128>,
    scope: &'a [String],
    tools: Value,
    max_parallel_tasks: Option<u64>,
    retries: Option<u32>,
    autonomy: Option<f64>,
    hooks: Value,
    template: Option<&'a str>,
    triggers: Value,
    sharing: Value,
    not_honoured: Vec<Value>,
    body: &'a str,
}

pub(super) fn run(session: &Session, args: &ShowArgs) -> Result<Exit, Failure> {
    let settings = Settings::load(session)?;
    let roles = Roles::new(session, &settings, &[], Vec::new(), &args.agents_dir, false)?;
    let lookup = roles.lookup();
    let alias = agent::alias_of(&args.agent, &lookup).map_err(failure)?;
    let name = alias.as_ref().map_or(args.agent.as_str(), |alias| &alias.agent);
    if !args.json {
        // Its file, also where it is broken.
        let (_, bytes) = agent::definition(name, &lookup.places).map_err(failure)?;
        let mut out = ui::out();
        out.bytes(&bytes)?;
        out.finish()?;
    }
    let mut found = agent::resolve(&args.agent, &lookup).map_err(failure)?;
    with_triggers(&mut found, session, args)?;
    if args.json {
        let mut out = ui::out();
        out.json(&shown(&found))?;
        out.finish()?;
        return Ok(Exit::Success);
    }
    narrate(&found, alias.as_ref());
    if alias.is_none()
        && let Some(stock) = stock(&args.agent, session, &roles, args)?
    {
        ui::note(format_args!(
            "in plans and with --agents-dir, '{}' is the alias of {}; cx/{} is this agent there too",
            stock.name, stock.agent, stock.name
        ));
    }
    Ok(Exit::Success)
}

/// Those that `triggers.json` and `index.json` add, as routing has them.
fn with_triggers(found: &mut Resolved, session: &Session, args: &ShowArgs) -> Result<(), Failure> {
    if found.agent.source.is_own() {
        return Ok(());
    }
    let catalog = catalog(session, args.agents_dir.path())?;
    let same = catalog.iter().find(|agent| agent.source == found.agent.source);
    if let Some(same) = same {
        found.agent.triggers.clone_from(&same.triggers);
    }
    Ok(())
}

/// The built-in alias that this name is elsewhere.
fn stock(
    name: &str,
    session: &Session,
    roles: &Roles<'_>,
    args: &ShowArgs,
) -> Result<Option<Alias>, Failure> {
    if !Alias::stock().any(|alias| alias.name == name) {
        return Ok(None);
    }
    let catalog = catalog(session, args.agents_dir.path())?;
    let aliases = super::list::aliases(roles, &catalog);
    Ok(aliases.into_iter().find(|(alias, counts)| alias.name == name && !counts).map(|(a, _)| a))
}

fn shown(found: &Resolved) -> Shown<'_> {
    let agent = &found.agent;
    let regex = agent.triggers.regex.iter();
    Shown {
        name: &agent.name,
        qualified: &agent.qualified,
        alias: found.alias.as_deref(),
        kind: agent.source.kind(),
        source: agent.source.to_string(),
        description: &agent.description,
        mode: agent.mode.to_string(),
        mode_because: agent.why_mode(),
        backend: agent.backend,
        model: agent.model.as_deref(),
        timeout_ms: agent.timeout.map(|timeout| timeout.as_millis()),
        silence_ms: agent.silence.map(|silence| silence.as_millis()),
        scope: &agent.scope,
        tools: json!({ "allowed": agent.tools.allowed, "restricted": agent.tools.restricted }),
        max_parallel_tasks: found.limit.map(std::num::NonZeroU64::get),
        retries: agent.retries,
        autonomy: agent.autonomy,
        hooks: json!({
            "pre_task": agent.hooks.pre_task,
            "post_task": agent.hooks.post_task,
            "failure": agent.hooks.failure,
        }),
        template: agent.template.as_deref(),
        triggers: json!({
            "keywords": agent.triggers.keywords,
            "regex": regex
                .map(|one| json!({ "pattern": one.pattern, "priority": one.priority.as_str() }))
                .collect::<Vec<_>>(),
            "file_patterns": agent.triggers.file_patterns,
        }),
        sharing: json!({ "share_with": agent.sharing.share_with, "redact": agent.sharing.redact }),
        not_honoured: agent
            .extra
            .iter()
            .map(|extra| json!({ "key": extra.key, "line": extra.line, "value": extra.value }))
            .collect(),
        body: &agent.body,
    }
}

/// What is understood of it, beside its file.
fn narrate(found: &Resolved, alias: Option<&Alias>) {
    let agent = &found.agent;
    if let Some(alias) = alias {
        let origin = &alias.origin;
        ui::note(format_args!(
            "'{}' is an alias of {} ({origin}), with {} laid over this file",
            alias.name, agent.qualified, alias.overrides
        ));
    } else if !agent.source.is_own() {
        ui::note(format_args!("{}: {}", agent.qualified, agent.source));
    }
    ui::note(format_args!("a {}, because {}", agent.mode, agent.why_mode()));
    for line in also(agent) {
        ui::note(line);
    }
    for extra in &agent.extra {
        match extra.line {
            0 => ui::warn(format_args!("the alias sets '{}', which is not honoured", extra.key)),
            line => ui::warn(format_args!("line {line}: '{}' is not honoured", extra.key)),
        }
    }
}

/// What is honoured in a way that one may not expect.
fn also(agent: &Agent) -> Vec<String> {
    let mut lines = Vec::new();
    if !agent.hooks.is_empty() {
        lines.push("its hooks run with --hooks only".to_owned());
    }
    if let Some(retries) = agent.retries {
        lines.push(format!("retries: {retries}, in plans; `cx spawn` starts a job once"));
    }
    let backend = agent.backend.unwrap_or_else(|| BackendName::CODEX.into());
    lines.extend(tools::unenforced(backend.first(), &agent.tools));
    lines
}
