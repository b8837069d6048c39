//! Whether a plan can run, said of all of it at once and before anything starts.

use std::collections::{HashMap, HashSet};

use super::{Foreach, Kind, Plan, Problem, Task, nearest, when::When};
use crate::job::{JobName, Mode, Template};

/// Names that have a value as soon as there is a job: its name and id, words that
/// say what it is about, its session and its run.
const WORKER_NAMES: [&str; 5] = ["worker_name", "worker_id", "task_keywords", "session_id", "run"];

/// How the tasks of a plan that can run hang together. Tasks are counted as
/// [`Plan::tasks`] has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// For each task, those it needs.
    pub needs: Vec<Vec<usize>>,
    /// What can run at once, were there no limits: each task in the first wave in
    /// which all that it needs is over.
    pub waves: Vec<Vec<usize>>,
}

/// Checks a plan whose arguments are [bound](Plan::bind). `agent` knows whether
/// an alias or agent can be used, and is asked once for each.
///
/// # Errors
/// All that is wrong, in the order of the file.
pub fn check(
    plan: &Plan,
    agent: &dyn Fn(&str) -> Result<(), String>,
) -> Result<Graph, Vec<Problem>> {
    let mut checker = Checker::new(plan);
    checker.ids();
    checker.agents(agent);
    let needs = checker.needs();
    let waves = checker.waves(&needs);
    for at in 0..plan.tasks.len() {
        checker.task(at, &needs);
    }
    if let [first, more @ ..] = checker.without_goal.as_slice() {
        let (task, more) = (&plan.tasks[*first], more.len());
        checker.problem(task, Kind::NoGoal(task.id.clone(), more));
    }
    let mut problems = checker.problems;
    if plan.tasks.is_empty() {
        problems.push(Problem { line: 0, kind: Kind::Empty });
    }
    if problems.is_empty() {
        return Ok(Graph { needs, waves });
    }
    problems.sort_by_key(|problem| problem.line);
    Err(problems)
}

struct Checker<'a> {
    plan: &'a Plan,
    by_id: HashMap<&'a str, usize>,
    problems: Vec<Problem>,
    /// Tasks that ask for a goal that nobody gave.
    without_goal: Vec<usize>,
}

impl<'a> Checker<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut by_id = HashMap::with_capacity(plan.tasks.len());
        for (at, task) in plan.tasks.iter().enumerate() {
            by_id.entry(task.id.as_str()).or_insert(at);
        }
        Self { plan, by_id, problems: Vec::new(), without_goal: Vec::new() }
    }

    fn problem(&mut self, task: &Task, kind: Kind) {
        self.problems.push(Problem { line: task.line, kind });
    }

    fn ids(&mut self) {
        for (at, task) in self.plan.tasks.iter().enumerate() {
            if let Err(error) = JobName::new(&task.id) {
                self.problem(task, Kind::BadId(task.id.clone(), error.to_string()));
                continue;
            }
            if let Some(first) = self.by_id.get(task.id.as_str()).filter(|first| **first != at) {
                let line = self.plan.tasks[*first].line;
                self.problem(task, Kind::Duplicate(task.id.clone(), line));
            }
            self.members(task);
        }
    }

    /// The ids that a `foreach` will make must be free.
    fn members(&mut self, task: &Task) {
        let most = match &task.foreach {
            Some(Foreach::Values(values)) => values.len() as u64,
            Some(Foreach::Answer { max, .. }) => u64::from(max.get()),
            _ => return,
        };
        if most == 0 {
            let what = "is repeated over nothing: 'foreach' has no values";
            self.problem(task, Kind::Task(task.id.clone(), what.to_owned()));
        }
        let taken = (1..=most).find_map(|number| {
            let id = format!("{}-{number}", task.id);
            self.by_id.get(id.as_str()).map(|other| (id, self.plan.tasks[*other].line))
        });
        if let Some((id, line)) = taken {
            self.problem(task, Kind::Duplicate(id, line));
        }
    }

    fn agents(&mut self, agent: &dyn Fn(&str) -> Result<(), String>) {
        let mut asked: HashSet<&str> = HashSet::new();
        for task in &self.plan.tasks {
            if let Some(alias) = &task.alias
                && asked.insert(alias)
                && let Err(why) = agent(alias)
            {
                self.problem(task, Kind::UnknownAgent(alias.clone(), why));
            }
        }
    }

    /// For each task those it needs that are there, each once.
    fn needs(&mut self) -> Vec<Vec<usize>> {
        let mut all = Vec::with_capacity(self.plan.tasks.len());
        for task in &self.plan.tasks {
            let mut needs = Vec::with_capacity(task.needs.len());
            for need in &task.needs {
                if let Some(at) = self.by_id.get(need.as_str()) {
                    needs.push(*at);
                } else {
                    let known = self.plan.tasks.iter().map(|task| task.id.as_str());
                    let near = nearest(need, known).map(str::to_owned);
                    self.problem(task, Kind::UnknownNeed(task.id.clone(), need.clone(), near));
                }
            }
            needs.sort_unstable();
            needs.dedup();
            all.push(needs);
        }
        all
    }

    /// The waves; what is in none is in a cycle or behind one, and one cycle of
    /// each knot is named.
    fn waves(&mut self, needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
        let mut dependants: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
        let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
        for (at, needs) in needs.iter().enumerate() {
            for need in needs {
                dependants[*need].push(at);
            }
        }
        let mut waves = Vec::new();
        let mut wave: Vec<usize> = (0..needs.len()).filter(|at| open[*at] == 0).collect();
        let mut placed = vec![false; needs.len()];
        while !wave.is_empty() {
            let mut next = Vec::new();
            for at in &wave {
                placed[*at] = true;
                for dependant in &dependants[*at] {
                    open[*dependant] -= 1;
                    if open[*dependant] == 0 {
                        next.push(*dependant);
                    }
                }
            }
            next.sort_unstable();
            waves.push(std::mem::replace(&mut wave, next));
        }
        let mut seen = placed.clone();
        for start in 0..needs.len() {
            // Each need of what is not placed that is itself not placed leads on;
            // where it comes back to this walk, it is a cycle.
            let mut walk: Vec<usize> = Vec::new();
            let mut place: HashMap<usize, usize> = HashMap::new();
            let mut at = start;
            while !seen[at] {
                if let Some(from) = place.get(&at) {
                    self.cycle(&walk[*from..]);
                    break;
                }
                place.insert(at, walk.len());
                walk.push(at);
                match needs[at].iter().find(|need| !placed[**need]) {
                    Some(need) => at = *need,
                    None => break,
                }
            }
            for at in walk {
                seen[at] = true;
            }
        }
        waves
    }

    fn cycle(&mut self, tasks: &[usize]) {
        // From the task that the file has first.
        let first = tasks.iter().enumerate().min_by_key(|(_, at)| **at).map_or(0, |(at, _)| at);
        let (before, from) = tasks.split_at(first);
        let links = from.iter().chain(before).map(|at| {
            let task = &self.plan.tasks[*at];
            (task.id.clone(), task.line)
        });
        let links: Vec<_> = links.collect();
        let line = links.first().map_or(0, |(_, line)| *line);
        self.problems.push(Problem { line, kind: Kind::Cycle(links) });
    }

    /// What one task says about itself.
    fn task(&mut self, at: usize, needs: &[Vec<usize>]) {
        let task = &self.plan.tasks[at];
        for what in contradictions(task) {
            self.problem(task, Kind::Task(task.id.clone(), what));
        }
        if task.argv.is_empty() && task.prompt.trim().is_empty() {
            self.problem(task, Kind::NoPrompt(task.id.clone()));
        }
        let mut before: Option<HashSet<usize>> = None;
        let mut is_before = |id: &str| {
            // A need that is not there has been named.
            let Some(other) = self.by_id.get(id) else { return task.needs.iter().any(|n| n == id) };
            needs[at].binary_search(other).is_ok()
                || before.get_or_insert_with(|| Self::before(at, needs)).contains(other)
        };
        let mut problems = Vec::new();
        let mut asks_goal = false;
        let texts = std::iter::once(&task.prompt).chain(&task.argv);
        for name in texts.flat_map(|text| names(text)) {
            let known = match (name, name.strip_prefix("results.")) {
                (_, Some(id)) => is_before(id),
                ("item", _) => task.foreach.is_some() || self.plan.vars.contains_key("item"),
                ("files", _) => !task.files.is_empty() || self.plan.vars.contains_key("files"),
                _ => WORKER_NAMES.contains(&name) || self.plan.vars.contains_key(name),
            };
            let kind = Kind::Unset(task.id.clone(), name.to_owned());
            if !known && name == "goal" {
                asks_goal = true;
            } else if !known && !problems.contains(&kind) {
                problems.push(kind);
            }
        }
        for text in task.scope.iter().chain(&task.files) {
            for name in names(text) {
                let is_item = name == "item" && task.foreach.is_some();
                let kind = Kind::Unset(task.id.clone(), name.to_owned());
                if !is_item && !self.plan.vars.contains_key(name) && !problems.contains(&kind) {
                    problems.push(kind);
                }
            }
        }
        for id in task.answers.iter().filter(|id| !is_before(id)) {
            let what = format!("is to see the answer of '{id}', which it does not need");
            problems.push(Kind::Task(task.id.clone(), what));
        }
        if asks_goal {
            self.without_goal.push(at);
        }
        for kind in problems {
            self.problem(task, kind);
        }
    }

    /// All that is over before a task starts.
    fn before(at: usize, needs: &[Vec<usize>]) -> HashSet<usize> {
        let mut before = HashSet::new();
        let mut open = needs[at].clone();
        while let Some(at) = open.pop() {
            if before.insert(at) {
                open.extend(&needs[at]);
            }
        }
        before
    }
}

/// The names in a template.
fn names(text: &str) -> Vec<&str> {
    Template::parse(text).names().map(|(name, _)| name).collect()
}

/// What in a task cannot be together, or cannot be: ends of sentences.
fn contradictions(task: &Task) -> Vec<String> {
    let mut found = Vec::new();
    let needs = |id: &str| task.needs.iter().any(|need| need == id);
    if !task.argv.is_empty() {
        if !task.prompt.trim().is_empty() {
            found.push("has both a prompt and an argv".to_owned());
        }
        if !task.backend.is_some_and(|backend| backend.is_shell()) {
            found.push("has an argv, which only the backend sh takes".to_owned());
        }
    }
    if task.mode == Some(Mode::Reader) {
        if !task.scope.is_empty() {
            found.push("is a reader, and has a scope for what it may write".to_owned());
        }
        if task.base.is_some() {
            found.push("is a reader, and has a base, which is for writers".to_owned());
        }
    }
    if let Some(Foreach::Answer { of, .. }) = &task.foreach
        && !needs(of)
    {
        found.push(format!("is repeated over the answer of '{of}', which it does not need"));
    }
    if let Some(when) = &task.when {
        match When::parse(when) {
            Err(error) => found.push(format!("has a 'when' that {error}")),
            Ok(when) => {
                let mut named: Vec<&str> = when.needs();
                named.sort_unstable();
                named.dedup();
                let strange = named.into_iter().filter(|id| !needs(id));
                found.extend(
                    strange
                        .map(|id| format!("asks in 'when' about '{id}', which it does not need")),
                );
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
