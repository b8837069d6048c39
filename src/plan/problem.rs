//! What is wrong with a plan: a sentence for people, a code for programs.

use std::fmt;

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, from 1; 0 where it is in no line.
    pub line: u64,
    /// What.
    pub kind: Kind,
}

/// What can be wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The file does not have the form of a plan: a sentence.
    Form(String),
    /// It has no tasks.
    Empty,
    /// A planner's answer that is no JSON, or has no tasks in it.
    NoJson,
    /// A planner would change a task that has begun.
    HasRun(String),
    /// A task without an id, or with one that cannot be: why.
    BadId(String, String),
    /// A second task of this id; the line of the first.
    Duplicate(String, u64),
    /// `task`, `need`, and the id that is nearly the same.
    UnknownNeed(String, String, Option<String>),
    /// Tasks that need each other, each with its line; the first needs the second,
    /// and the last the first.
    Cycle(Vec<(String, u64)>),
    /// The alias or agent, and why it cannot be used.
    UnknownAgent(String, String),
    /// The task is told nothing.
    NoPrompt(String),
    /// The task asks for the goal, as so many others do, and there is none.
    NoGoal(String, usize),
    /// `{{name}}` in the task has no value.
    Unset(String, String),
    /// What the task says about itself cannot be: the end of a sentence.
    Task(String, String),
    /// An argument that the plan asks for was not given: its placeholder, and help.
    MissingArgument(String, String),
    /// An argument's value cannot be: the name and the end of a sentence.
    BadArgument(String, String),
}

impl Kind {
    /// The code by which programs know it; planners are told it.
    pub fn code(&self) -> String {
        match self {
            Self::Form(_) => "bad_form".to_owned(),
            Self::Empty => "empty_plan".to_owned(),
            Self::NoJson => "no_json".to_owned(),
            Self::HasRun(id) => format!("task_has_run:{id}"),
            Self::BadId(id, _) if id.is_empty() => "missing_task_id".to_owned(),
            Self::BadId(id, _) => format!("bad_task_id:{id}"),
            Self::Duplicate(id, _) => format!("duplicate_id:{id}"),
            Self::UnknownNeed(_, need, _) => format!("unknown_dep:{need}"),
            Self::Cycle(_) => "cycle_detected".to_owned(),
            Self::UnknownAgent(agent, _) => format!("unknown_agent:{agent}"),
            Self::NoPrompt(id) => format!("empty_prompt:{id}"),
            Self::NoGoal(..) => "unset:goal".to_owned(),
            Self::Unset(_, name) => format!("unset:{name}"),
            Self::Task(id, _) => format!("bad_task:{id}"),
            Self::MissingArgument(name, _) => format!("missing_argument:{name}"),
            Self::BadArgument(name, _) => format!("bad_argument:{name}"),
        }
    }

    /// What helps, where it is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Form(_) | Self::Empty => {
                Some("`cx man plans` shows each form with an example".to_owned())
            }
            Self::UnknownNeed(.., Some(near)) => Some(format!("did you mean '{near}'?")),
            Self::NoGoal(..) => Some("say it after the plan, or with --var goal=...".to_owned()),
            Self::Unset(_, name) if name.starts_with("results.") => {
                Some("a task sees the answers of what it needs".to_owned())
            }
            Self::Unset(_, name) => Some(format!(
                "give it a value with --var {name}=..., or write {{{{{{{{{name}}}}}}}}} if it is to stay"
            )),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(what) => f.write_str(what),
            Self::Empty => f.write_str("the plan has no tasks"),
            Self::NoJson => f.write_str("the answer has no tasks as JSON"),
            Self::HasRun(id) => write!(f, "'{id}' has begun, and cannot be changed"),
            Self::BadId(id, _) if id.is_empty() => f.write_str("a task has no id"),
            Self::BadId(id, why) => write!(f, "'{id}' cannot be a task's id: it {why}"),
            Self::Duplicate(id, 0) => write!(f, "there are two tasks '{id}'"),
            Self::Duplicate(id, line) => {
                write!(f, "there are two tasks '{id}', the first in line {line}")
            }
            Self::UnknownNeed(task, need, _) => {
                write!(f, "'{task}' needs '{need}', and there is no such task")
            }
            Self::Cycle(links) => {
                f.write_str("tasks wait for each other: ")?;
                for (at, (id, line)) in links.iter().enumerate() {
                    let next = links.get(at + 1).or(links.first()).map_or("", |(id, _)| id);
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{id} needs {next}")?;
                    if *line > 0 {
                        write!(f, " (line {line})")?;
                    }
                }
                Ok(())
            }
            Self::UnknownAgent(_, why) => f.write_str(why),
            Self::NoPrompt(id) => write!(f, "'{id}' is told nothing: it has no prompt"),
            Self::NoGoal(task, 0) => write!(f, "'{task}' asks for the goal, and none was given"),
            Self::NoGoal(task, more) => {
                write!(f, "'{task}' and {more} more ask for the goal, and none was given")
            }
            Self::Unset(task, name) => {
                write!(f, "'{{{{{name}}}}}' in '{task}' has no value")
            }
            Self::Task(id, what) => write!(f, "'{id}' {what}"),
            Self::MissingArgument(name, help) if help.is_empty() => {
                write!(f, "{name} is missing")
            }
            Self::MissingArgument(name, help) => write!(f, "{name} is missing: {help}"),
            Self::BadArgument(name, what) => write!(f, "'{name}' {what}"),
        }
    }
}

/// The word of `known` that is nearly `wanted`.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wanted.to_ascii_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::osa_distance(&lower, &word.to_ascii_lowercase()), word))
        .filter(|(distance, _)| distance * 3 <= wanted.len().max(3))
        .min()
        .map(|(_, word)| word)
}
