//! What a planner is asked, and how its answer is read.
//!
//! A command gets a [`Request`] as JSON on stdin and answers with JSON on stdout;
//! a model gets the same in words ([`Request::prompt`]) and a JSON schema
//! ([`Ask::schema`]).

use serde::Serialize;
use serde_json::{Value, json};

use super::{Member, Proposal};
use crate::{job::Mode, plan::Task};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Which agents: `{"agents":[{"id","reason"}]}`.
    Agents,
    /// Which tasks: `{"tasks":[{"id","agent","prompt","needs"}]}`.
    Tasks,
    /// The tasks that remain of a plan that runs: the same.
    Revision,
}

/// What a planner is asked. The keys are an interface (`docs/plans.md`).
#[derive(Clone, Debug, Serialize)]
pub struct Request<'a> {
    /// What is asked.
    pub ask: Ask,
    /// What is to be reached.
    pub goal: &'a str,
    /// Whom it can choose from.
    #[serde(serialize_with = "lines")]
    pub agents: &'a [Member],
    /// The most tasks, or agents.
    pub max_tasks: usize,
    /// What was wrong with its first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<&'a str>,
    /// Of a plan that runs: `plan`, `done`, `remaining`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub state: Option<&'a Value>,
}

/// What a planner hears of an agent.
fn lines<S: serde::Serializer>(agents: &&[Member], serializer: S) -> Result<S::Ok, S::Error> {
    let line = |agent: &Member| json!({ "id": agent.id, "description": agent.description, "mode": agent.mode });
    serializer.collect_seq(agents.iter().map(line))
}

impl Ask {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Tasks => "tasks",
            Self::Revision => "revision",
        }
    }

    /// The JSON schema of the answer, as strict as services want it.
    pub fn schema(self) -> Value {
        let object = |fields: Value| {
            let names: Vec<&String> =
                fields.as_object().map(|all| all.keys().collect()).unwrap_or_default();
            json!({
                "type": "object", "required": names, "additionalProperties": false, "properties": fields
            })
        };
        let text = json!({ "type": "string" });
        match self {
            Self::Agents => {
                let item = object(json!({ "id": text, "reason": text }));
                object(json!({ "agents": { "type": "array", "items": item } }))
            }
            Self::Tasks | Self::Revision => {
                let needs = json!({ "type": "array", "items": text });
                let item = object(json!({
                    "id": text, "agent": text, "prompt": text, "needs": needs
                }));
                object(json!({ "tasks": { "type": "array", "items": item } }))
            }
        }
    }
}

impl Request<'_> {
    /// The request in words, for a model. Its data stand in it as JSON.
    pub fn prompt(&self) -> String {
        let what = match self.ask {
            Ask::Agents => {
                "Choose the agents that are needed to reach the goal, and as few as will do. Answer \
                 with {\"agents\":[{\"id\":...,\"reason\":...}]}."
            }
            Ask::Tasks => {
                "Cut the goal into tasks for these agents. Look into the repository first, as far as \
                 the cut depends on it. Each task is done by a worker of its own, which sees nothing \
                 but its prompt, the answers of the tasks that it needs, and the files. Readers \
                 cannot change files. A task that builds on another names it in \"needs\"; all \
                 others run at the same time, so two writers should not touch the same \
                 files. Answer with {\"tasks\":[{\"id\":...,\"agent\":...,\"prompt\":...,\"needs\":[...]}]}."
            }
            Ask::Revision => {
                "A plan is being worked through: \"done\" has what came back. Decide what remains to be \
                 done. Answer with {\"tasks\":[{\"id\":...,\"agent\":...,\"prompt\":...,\"needs\":[...]}]}, \
                 where the list takes the place of \"remaining\": repeat what is to stay, leave out what is \
                 to go, add what is missing. \"needs\" may name what is done."
            }
        };
        let rules = "Ids consist of letters, digits, '.', '_' and '-'. Name only agents of the list. \
                     Answer with the JSON object alone, without a word around it.";
        let problem = self
            .problem
            .map(|problem| format!("\n\nYour last answer was refused: {problem}"))
            .unwrap_or_default();
        let data = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{what}\n\n{rules}{problem}\n\nREQUEST:\n{data}\n")
    }
}

/// The JSON in an answer: all of it, or what stands in a ```` ```json ```` fence,
/// or from the first brace to the last.
pub fn find_json(answer: &str) -> Option<Value> {
    let whole =
        |text: &str| serde_json::from_str::<Value>(text.trim()).ok().filter(|it| !it.is_string());
    let fenced = || {
        let mut rest = answer;
        while let Some((_, after)) = rest.split_once("```") {
            let (info, body) = after.split_once('\n')?;
            let (inner, next) = body.split_once("```")?;
            let found = matches!(info.trim(), "" | "json" | "JSON" | "jsonc").then(|| whole(inner));
            if let Some(Some(found)) = found {
                return Some(found);
            }
            rest = next;
        }
        None
    };
    let braces = || {
        let (from, to) = (answer.find('{')?, answer.rfind('}')?);
        whole(answer.get(from..=to)?)
    };
    whole(answer).or_else(fenced).or_else(braces)
}

/// The agents that an answer chooses, each once, in its order.
///
/// # Errors
/// One code for each thing that is wrong: `no_json`, `empty_plan`,
/// `unknown_agent:ID`.
pub fn members(answer: &str, all: &[Member]) -> Result<Vec<Member>, Vec<String>> {
    let value = find_json(answer).ok_or_else(|| vec!["no_json".to_owned()])?;
    let listed = value.get("agents").unwrap_or(&value).as_array();
    let (mut chosen, mut problems): (Vec<Member>, _) = (Vec::new(), Vec::new());
    for item in listed.into_iter().flatten() {
        let id = item.as_str().or_else(|| item.get("id")?.as_str()).unwrap_or_default();
        let Some(member) = all.iter().find(|member| member.id == id) else {
            problems.push(format!("unknown_agent:{id}"));
            continue;
        };
        let reason = item.get("reason").and_then(Value::as_str).map(one_line);
        if !chosen.iter().any(|known| known.id == id) {
            let why = reason.unwrap_or_else(|| member.why.clone());
            chosen.push(Member { why, ..member.clone() });
        }
    }
    if chosen.is_empty() && problems.is_empty() {
        problems.push("empty_plan".to_owned());
    }
    if problems.is_empty() { Ok(chosen) } else { Err(problems) }
}

/// The plan that an answer proposes. Its ids, needs and agents are as the answer
/// has them: an id that is missing is empty.
///
/// # Errors
/// `no_json` or `empty_plan`, and what cannot stand in a plan at all:
/// `not_a_task`, `empty_prompt:ID`, `too_many_tasks:N`.
pub fn tasks(
    answer: &str,
    goal: &str,
    team: &[Member],
    max: usize,
) -> Result<Proposal, Vec<String>> {
    let value = find_json(answer).ok_or_else(|| vec!["no_json".to_owned()])?;
    let listed = value.get("tasks").unwrap_or(&value).as_array();
    let listed = listed.filter(|tasks| !tasks.is_empty());
    let listed = listed.ok_or_else(|| vec!["empty_plan".to_owned()])?;
    let mut problems = Vec::new();
    if listed.len() > max {
        problems.push(format!("too_many_tasks:{}", listed.len()));
    }
    let mut proposal = Proposal::new(goal);
    for item in listed {
        let Some(object) = item.as_object() else {
            problems.push("not_a_task".to_owned());
            continue;
        };
        let text = |key: &str| match object.get(key) {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let (id, agent) = (named(&text("id")), text("agent"));
        let prompt = object.get("prompt").and_then(Value::as_str).unwrap_or_default();
        if prompt.trim().is_empty() {
            problems.push(format!("empty_prompt:{id}"));
        }
        let mode = match text("mode").as_str() {
            "reader" => Some(Mode::Reader),
            "writer" => Some(Mode::Writer),
            _ => None,
        };
        let why = object.get("reason").and_then(Value::as_str).map(one_line);
        let why = why.or_else(|| {
            let member = team.iter().find(|member| member.id == agent)?;
            (!member.why.is_empty()).then(|| member.why.clone())
        });
        if let Some(why) = why {
            proposal.why.insert(id.clone(), why);
        }
        let needs = needs(object.get("needs"));
        let prompt = proposal.plan.literal(prompt);
        proposal.plan.tasks.push(Task {
            id,
            alias: (!agent.is_empty()).then_some(agent),
            prompt,
            answers: needs.clone(),
            needs,
            mode,
            ..Task::default()
        });
    }
    if problems.is_empty() { Ok(proposal) } else { Err(problems) }
}

/// An id as a task can have it: models like to count, and a number is a job's.
fn named(id: &str) -> String {
    let counts = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    if counts { format!("task-{id}") } else { id.to_owned() }
}

/// Ids that a task needs: a list, or one alone; each once.
pub(in crate::plan) fn needs(value: Option<&Value>) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let one = |value: &Value| match value {
        Value::String(id) => Some(id.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let listed = match value {
        Some(Value::Array(items)) => items.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    };
    for id in listed.into_iter().filter(|id| !id.is_empty()).map(|id| named(&id)) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// A text of somebody else's as one line of a comment.
fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team() -> Vec<Member> {
        [("coder", Mode::Writer), ("reviewer", Mode::Reader)]
            .map(|(id, mode)| Member {
                id: id.into(),
                description: "d".into(),
                mode,
                why: "w".into(),
            })
            .to_vec()
    }

    #[test]
    fn json_is_found_where_models_put_it() {
        let wanted = json!({"tasks": []});
        for answer in [
            " {\"tasks\": []}\n",
            "Here it is:\n```json\n{\"tasks\": []}\n```\nDone.",
            "```sh\nls {}\n```\n```\n{\"tasks\": []}\n```",
            "The plan is {\"tasks\": []}, I think.",
        ] {
            assert_eq!(find_json(answer).as_ref(), Some(&wanted), "{answer}");
        }
        for answer in ["", "no", "{", "```json\n{\n```", "\"no\""] {
            assert_eq!(find_json(answer), None, "{answer}");
        }
        assert_eq!(find_json("null"), Some(Value::Null));
    }

    #[test]
    fn a_request_says_all_and_no_more() {
        let team = team();
        let mut request = Request {
            ask: Ask::Tasks,
            goal: "g",
            agents: &team,
            max_tasks: 3,
            problem: None,
            state: None,
        };
        let agents = json!([
            {"id": "coder", "description": "d", "mode": "writer"},
            {"id": "reviewer", "description": "d", "mode": "reader"},
        ]);
        assert_eq!(
            serde_json::to_value(&request).expect("serializes"),
            json!({"ask": "tasks", "goal": "g", "agents": agents, "max_tasks": 3})
        );
        assert!(!request.prompt().contains("refused"));
        request.problem = Some("unknown_agent:x");
        assert!(request.prompt().contains("refused: unknown_agent:x"));
        let state = json!({"done": [1]});
        request.state = Some(&state);
        assert_eq!(serde_json::to_value(&request).expect("serializes")["done"], json!([1]));
    }

    #[test]
    fn schemas_want_every_key() {
        let schema = Ask::Tasks.schema();
        let item = &schema["properties"]["tasks"]["items"];
        assert_eq!(item["required"], json!(["id", "agent", "prompt", "needs"]));
        assert_eq!(item["additionalProperties"], false);
        assert_eq!(Ask::Agents.schema()["required"], json!(["agents"]));
    }

    #[test]
    fn tasks_are_read_as_they_are() {
        let answer = json!({"tasks": [
            {"id": "a", "agent": "coder", "prompt": "Do {{x}}", "needs": [], "argv": ["rm"]},
            {"id": 2, "agent": "reviewer", "prompt": "Look", "needs": ["a", "a"], "mode": "reader",
             "reason": "two\nlines"},
            {"prompt": "p", "needs": "a"},
        ]});
        let proposal = tasks(&answer.to_string(), "The goal", &team(), 3).expect("reads");
        let [a, b, c] = proposal.plan.tasks.as_slice() else { panic!("{proposal:?}") };
        assert_eq!((a.prompt.as_str(), a.argv.len()), ("{{text_2}}", 0));
        assert_eq!(
            (b.id.as_str(), b.needs.clone(), b.mode),
            ("task-2", vec!["a".into()], Some(Mode::Reader))
        );
        assert_eq!((c.id.as_str(), c.alias.as_deref(), c.needs.len()), ("", None, 1));
        assert_eq!(proposal.why["task-2"], "two lines");
        assert_eq!(proposal.why["a"], "w");
    }

    #[test]
    fn what_cannot_be_a_plan_is_named() {
        let codes = |answer: &str| tasks(answer, "g", &team(), 2).expect_err("wrong");
        assert_eq!(codes("I cannot"), ["no_json"]);
        assert_eq!(codes("{\"tasks\":[]}"), ["empty_plan"]);
        assert_eq!(codes("{\"plan\":1}"), ["empty_plan"]);
        assert_eq!(
            codes("[1,{\"id\":\"a\"},{\"id\":\"b\",\"prompt\":\"p\"}]"),
            ["too_many_tasks:3", "not_a_task", "empty_prompt:a"]
        );
    }

    #[test]
    fn a_selection_names_who_there_is() {
        let chosen =
            members("{\"agents\":[\"reviewer\",{\"id\":\"coder\",\"reason\":\"r\"}]}", &team());
        let chosen: Vec<_> = chosen.expect("reads").into_iter().map(|m| (m.id, m.why)).collect();
        assert_eq!(chosen, [("reviewer".into(), "w".into()), ("coder".into(), "r".into())]);
        assert_eq!(members("{\"agents\":[\"x\"]}", &team()), Err(vec!["unknown_agent:x".into()]));
        assert_eq!(members("{}", &team()), Err(vec!["empty_plan".into()]));
    }
}
