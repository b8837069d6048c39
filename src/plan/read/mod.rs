//! From a file to a [`Plan`]: one module for each form that people have.
//!
//! The form is told by what is in the file. What a foreign form says and cx does
//! not do is named in [`Plan::notes`]; in cx's own form a key that is not known is
//! an error, since it is most likely a slip.

mod own;
mod phases;
mod pipeline;
mod task_map;

mod value;
mod workers;

use std::path::Path;

use super::{Kind, Plan, Problem};
use crate::{
    document::{self, Node, Syntax},
    job::slug,
};

impl Plan {
    /// Reads a plan of any form. `name` is the file's, or `-`: a plan that has no name
    /// is called after it.
    ///
    /// # Errors
    /// All that is wrong with what is in the file, each a [`Kind::Form`] with its line;
    /// of one that is no JSON, YAML or TOML the first. Whether the plan can run is for
    /// [`check`](super::check) to say.
    pub fn read(bytes: &[u8], name: &str) -> Result<Self, Vec<Problem>> {
        let problem = |(line, what)| Problem { line, kind: Kind::Form(what) };
        let error = |one| vec![problem(one)];
        let text = std::str::from_utf8(bytes).map_err(|invalid| {
            let before = bytes.get(..invalid.valid_up_to()).unwrap_or_default();
            let line = before.iter().fold(1, |line, byte| line + u64::from(*byte == b'\n'));
            error((line, "this is not valid UTF-8".to_owned()))
        })?;
        let (syntax, tree) = document::read("plan", text, name).map_err(error)?;
        let (form, read): (_, fn(&Node, &mut value::Wrong) -> _) = match Form::of(&tree, syntax) {
            Form::Pipeline => ("pipeline", pipeline::read),
            Form::Workers => ("workers", workers::read),
            Form::Phases => ("phases", phases::read),
            Form::Own => ("own", own::read),
            Form::TaskMap => ("task-map", task_map::read),
        };
        let mut wrong = value::Wrong::default();
        let mut plan: Self = read(&tree, &mut wrong);
        let wrong = wrong.into_problems();
        if !wrong.is_empty() {
            return Err(wrong.into_iter().map(problem).collect());
        }
        form.clone_into(&mut plan.form);
        if plan.name.is_empty() {
            let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str());
            plan.name = slug(stem.filter(|stem| *stem != "-").unwrap_or("plan")).to_string();
        }
        Ok(plan)
    }
}

/// The forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Pipeline,
    Workers,
    Phases,
    Own,
    TaskMap,
}

impl Form {
    fn of(tree: &Node, syntax: Syntax) -> Self {
        if tree.list().is_some() {
            return Self::Workers;
        }
        let is_list = |key| tree.of(key).is_some_and(|node| node.list().is_some());
        // An alias may have any name, also `workers`; what it has are tasks.
        let has_tables = |key| {
            let items = tree.of(key).and_then(Node::list);
            items.is_some_and(|items| items.iter().any(|item| item.map().is_some()))
        };
        if tree.of("steps").is_some() && syntax != Syntax::Toml {
            Self::Pipeline
        } else if has_tables("phases") {
            Self::Phases
        } else if has_tables("workers") {
            Self::Workers
        } else if syntax == Syntax::Toml
            || tree.of("tasks").is_some_and(|tasks| tasks.map().is_some())
            || has_tables("tasks")
            || own::KEYS.iter().any(|key| tree.of(key).is_some() && !is_list(key))
        {
            Self::Own
        } else {
            Self::TaskMap
        }
    }
}

#[cfg(test)]
mod tests;
