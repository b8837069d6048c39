//! What of a plan can run now: a state machine without clocks, files or jobs.
//!
//! Whoever runs the plan asks [`Schedule::ready`], says [`Schedule::start`] when
//! a task has become a job and [`Schedule::on_end`] when it is over. To go on
//! with a run after a crash, the same is said again of what has ended.
//!
//! A task with `foreach` becomes a group: it never runs itself, and its members
//! `ID-1`, `ID-2`, ... do. Whoever needs the group needs all of them.
//!
//! Kept true: nothing is ready before all that it needs has ended; everything
//! ends exactly once; the order is the file's.

mod group;
mod items;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
};

use super::{
    Foreach, Plan, Task,
    when::{Ending, When},
};
use items::fill;

/// A task of a schedule. Numbers stay as they are: members that are known only
/// later get later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskIx(usize);

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Something that it needs has not ended.
    Waiting,
    /// It can be started.
    Ready,
    /// It was started; a group, that it has got its members.
    Running,
    /// It is over: it ran, and all is well.
    Succeeded,
    /// It is over: it ran, and failed; of a group, why.
    Failed(Option<String>),
    /// It will not run, and what needs it will not either; the reason reads as the
    /// end of "skipped: ".
    Skipped(String),
    /// It will not run because its `when` does not hold. What needs it runs.
    PassedOver(String),
}

impl State {
    /// Whether it is over, one way or another.
    pub fn is_ended(&self) -> bool {
        !matches!(self, Self::Waiting | Self::Ready | Self::Running)
    }

    fn ending(&self) -> Ending {
        match self {
            Self::Succeeded => Ending::Succeeded,
            Self::Failed(_) => Ending::Failed,
            _ => Ending::Skipped,
        }
    }
}

/// How a task that was started, or was not to be, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It succeeded, and this is its answer.
    Succeeded {
        /// All of it, not cut.
        answer: String,
    },
    /// It failed for good.
    Failed,
    /// It will not be started; why reads as the end of "skipped: ".
    Skipped(String),
}

/// What an end has brought about, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What can be started now and could not before.
    pub ready: Vec<TaskIx>,
    /// What will not run, skipped or passed over; why says its [`State`].
    pub skipped: Vec<TaskIx>,
    /// Groups that have got their members.
    pub grown: Vec<TaskIx>,
    /// Groups that have succeeded or failed, some without having grown.
    pub ended: Vec<TaskIx>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Schedule {
    nodes: Vec<Node>,
    by_id: HashMap<String, TaskIx>,
    /// For templates in what a member is not told, but is: its scope and files.
    vars: BTreeMap<String, String>,
    /// What is over, for [`Schedule::is_done`].
    ended: usize,
    /// Why nothing more is started, once the run stops.
    stopped: Option<String>,
}

#[derive(Clone, Debug)]
struct Node {
    task: Task,
    /// Place in the file, then among the members of a group.
    order: (usize, usize),
    /// `{{item}}`.
    item: Option<String>,
    group: Option<TaskIx>,
    /// Of a group that has grown.
    members: Vec<TaskIx>,
    is_group: bool,
    needs: Vec<TaskIx>,
    dependants: Vec<TaskIx>,
    /// How many of its needs are not over; of a group that has grown, members.
    open: usize,
    when: Option<When>,
    /// Kept only where a condition or a `foreach` will look at it.
    answer: String,
    keeps_answer: bool,
    state: State,
}

impl Schedule {
    /// The tasks of a plan that [`check`](super::check) has let pass. Of another
    /// one, needs that are not there count as none, and a condition that cannot be
    /// read never holds.
    pub fn new(plan: &Plan) -> Self {
        let mut schedule = Self {
            nodes: Vec::with_capacity(plan.tasks.len()),
            by_id: HashMap::new(),
            vars: plan.vars.clone(),
            ended: 0,
            stopped: None,
        };
        for (at, task) in plan.tasks.iter().enumerate() {
            schedule.by_id.insert(task.id.clone(), TaskIx(at));
            let mut task = task.clone();
            if task.foreach.is_none() {
                fill(&mut task, &plan.vars, None);
            }
            schedule.nodes.push(Node::new(task, (at, 0)));
        }
        for at in 0..plan.tasks.len() {
            schedule.link(TaskIx(at));
        }
        let mut step = Step::default();
        for at in 0..plan.tasks.len() {
            if let Some(state) = schedule.decide(TaskIx(at), None, &mut step) {
                schedule.finish([(TaskIx(at), state)].into(), &mut step);
            }
        }
        schedule
    }

    /// What can be started, in the order of the file.
    pub fn ready(&self) -> Vec<TaskIx> {
        let mut ready: Vec<TaskIx> =
            self.tasks().filter(|task| *self.state(*task) == State::Ready).collect();
        self.sort(&mut ready);
        ready
    }

    /// Says that a ready task has become a job.
    pub fn start(&mut self, task: TaskIx) {
        if let Some(node) = self.nodes.get_mut(task.0)
            && node.state == State::Ready
        {
            node.state = State::Running;
        }
    }

    /// Says how a task ended, started or not, and tells what follows. Of what is
    /// over already, of a group, and of what is not ready, nothing follows.
    pub fn on_end(&mut self, task: TaskIx, end: End) -> Step {
        let mut step = Step::default();
        let Some(node) = self.nodes.get_mut(task.0) else { return step };
        if node.is_group || !matches!(node.state, State::Ready | State::Running) {
            return step;
        }
        let state = match end {
            End::Succeeded { answer } => {
                if node.keeps_answer {
                    node.answer = answer;
                }
                State::Succeeded
            }
            End::Failed => State::Failed(None),
            End::Skipped(why) => State::Skipped(why),
        };
        self.finish([(task, state)].into(), &mut step);
        step.skipped.retain(|skipped| *skipped != task);
        self.sorted(step)
    }

    /// Skips all that was not started, for one reason: the run stops. What runs
    /// goes on, and its end is still to be told.
    pub fn stop(&mut self, why: &str) -> Step {
        self.stopped = Some(why.to_owned());
        let mut step = Step::default();
        let open = |task: &TaskIx| matches!(self.state(*task), State::Waiting | State::Ready);
        let skipped = || State::Skipped(why.to_owned());
        let queue = (0..self.nodes.len()).map(TaskIx).filter(open).map(|task| (task, skipped()));
        let queue = queue.collect();
        self.finish(queue, &mut step);
        self.sorted(step)
    }

    /// Whether everything is over.
    pub fn is_done(&self) -> bool {
        self.ended == self.nodes.len()
    }

    /// All that can run, in the order of the file: members, not their groups.
    pub fn tasks(&self) -> impl Iterator<Item = TaskIx> + '_ {
        let mut all: Vec<TaskIx> =
            (0..self.nodes.len()).map(TaskIx).filter(|task| !self.is_group(*task)).collect();
        self.sort(&mut all);
        all.into_iter()
    }

    /// All groups, in the order of the file.
    pub fn groups(&self) -> impl Iterator<Item = TaskIx> + '_ {
        (0..self.nodes.len()).map(TaskIx).filter(|task| self.is_group(*task))
    }

    /// The task or group with this id.
    pub fn find(&self, id: &str) -> Option<TaskIx> {
        self.by_id.get(id).copied()
    }

    /// The task as it is to run: of a member, with its own id and without
    /// `foreach`; templates in its scope and files are filled in.
    ///
    /// # Panics
    /// Where `task` is of another schedule.
    pub fn task(&self, task: TaskIx) -> &Task {
        &self.nodes[task.0].task
    }

    /// How far it is.
    ///
    /// # Panics
    /// Where `task` is of another schedule.
    pub fn state(&self, task: TaskIx) -> &State {
        &self.nodes[task.0].state
    }

    /// The value of `{{item}}`, for a member of a group.
    pub fn item(&self, task: TaskIx) -> Option<&str> {
        self.nodes.get(task.0).and_then(|node| node.item.as_deref())
    }

    /// The group it is a member of.
    pub fn group(&self, task: TaskIx) -> Option<TaskIx> {
        self.nodes.get(task.0).and_then(|node| node.group)
    }

    /// Whether it is a group, which never runs itself.
    pub fn is_group(&self, task: TaskIx) -> bool {
        self.nodes.get(task.0).is_some_and(|node| node.is_group)
    }

    /// The members of a group, in their order; none before it has grown.
    pub fn members(&self, group: TaskIx) -> &[TaskIx] {
        self.nodes.get(group.0).map_or(&[], |node| &node.members)
    }

    /// What it needs, as the file has it: tasks and groups.
    pub fn needs(&self, task: TaskIx) -> &[TaskIx] {
        self.nodes.get(task.0).map_or(&[], |node| &node.needs)
    }

    /// What it waits for: those of its needs that have not ended.
    pub fn waits_for(&self, task: TaskIx) -> Vec<TaskIx> {
        let open = |need: &&TaskIx| !self.state(**need).is_ended();
        self.needs(task).iter().filter(open).copied().collect()
    }

    /// The tasks behind an id: itself, or the members of a group.
    pub fn runs_of(&self, task: TaskIx) -> Vec<TaskIx> {
        if self.is_group(task) { self.members(task).to_vec() } else { vec![task] }
    }

    /// Finds the needs of a task that has just been added.
    fn link(&mut self, task: TaskIx) {
        let node = &self.nodes[task.0];
        let mut needs: Vec<TaskIx> = Vec::new();
        for need in &node.task.needs {
            if let Some(need) = self.find(need)
                && !needs.contains(&need)
            {
                needs.push(need);
            }
        }
        let when = node.when.as_ref();
        let mut reads: BTreeSet<String> =
            when.map(When::reads).unwrap_or_default().into_iter().map(str::to_owned).collect();
        if let Some(Foreach::Answer { of, .. }) = &node.task.foreach {
            reads.insert(of.clone());
        }
        for read in reads {
            if let Some(need) = self.find(&read) {
                self.nodes[need.0].keeps_answer = true;
            }
        }
        for need in &needs {
            self.nodes[need.0].dependants.push(task);
        }
        let open = needs.iter().filter(|need| !self.state(**need).is_ended()).count();
        let node = &mut self.nodes[task.0];
        (node.needs, node.open) = (needs, open);
    }

    /// Looks whether a waiting task can run now, after a need of it has ended; how it
    /// ends, if it cannot. Only that need is new, and a task may have thousands.
    fn decide(&mut self, task: TaskIx, need: Option<TaskIx>, step: &mut Step) -> Option<State> {
        let node = &self.nodes[task.0];
        if node.state != State::Waiting {
            return None;
        }
        let hindrance = || need.and_then(|need| self.hindrance(node, need));
        if let Some(why) = self.stopped.clone().or_else(hindrance) {
            return Some(State::Skipped(why));
        }
        if node.open > 0 {
            return None;
        }
        if let Some(why) = self.passed_over(node) {
            return Some(State::PassedOver(why));
        }
        if node.is_group {
            return self.grow(task, step).err();
        }
        self.nodes[task.0].state = State::Ready;
        step.ready.push(task);
        None
    }

    /// Why a need that has ended makes it impossible, if it does. One that is named
    /// in `when` does not: the condition decides.
    fn hindrance(&self, node: &Node, need: TaskIx) -> Option<String> {
        let need = &self.nodes[need.0];
        let id = &need.task.id;
        let what = match need.state {
            State::Failed(_) => "failed",
            State::Skipped(_) => "was skipped",
            _ => return None,
        };
        let named = node.when.as_ref().is_some_and(|when| when.needs().contains(&id.as_str()));
        (!named).then(|| format!("needs '{id}', which {what}"))
    }

    /// Why its own condition does not let it run, if it does not.
    fn passed_over(&self, node: &Node) -> Option<String> {
        let condition = node.task.when.as_ref()?;
        let holds = node.when.as_ref().is_some_and(|when| {
            when.holds(&|need| match self.find(need) {
                Some(need) => (self.state(need).ending(), self.answer(need)),
                None => (Ending::Skipped, Cow::Borrowed("")),
            })
        });
        (!holds).then(|| format!("what its 'when' says does not hold: {condition}"))
    }

    /// What a task answered; of a group, what its members did, in their order.
    fn answer(&self, task: TaskIx) -> Cow<'_, str> {
        match self.members(task) {
            [] => Cow::Borrowed(&self.nodes[task.0].answer),
            members => {
                let answers = members.iter().map(|member| self.nodes[member.0].answer.as_str());
                Cow::Owned(answers.collect::<Vec<_>>().join("\n"))
            }
        }
    }

    /// Writes down ends and looks at what waited for them, and so on. Not by
    /// recursion: a chain of needs can be as long as a plan.
    fn finish(&mut self, mut queue: VecDeque<(TaskIx, State)>, step: &mut Step) {
        while let Some((task, state)) = queue.pop_front() {
            let node = &mut self.nodes[task.0];
            if node.state.is_ended() {
                continue;
            }
            if matches!(state, State::Skipped(_) | State::PassedOver(_)) {
                step.skipped.push(task);
            } else if node.is_group {
                step.ended.push(task);
            }
            node.state = state;
            self.ended += 1;
            let (group, dependants) = (node.group, node.dependants.clone());
            if let Some(group) = group {
                let node = &mut self.nodes[group.0];
                node.open = node.open.saturating_sub(1);
                if node.open == 0 {
                    queue.push_back((group, self.sum(group)));
                }
            }
            for dependant in dependants {
                let node = &mut self.nodes[dependant.0];
                node.open = node.open.saturating_sub(1);
                if let Some(state) = self.decide(dependant, Some(task), step) {
                    queue.push_back((dependant, state));
                }
            }
        }
        // What became ready on the way may have been stopped at the end of it.
        step.ready.retain(|task| self.nodes[task.0].state == State::Ready);
    }

    fn sort(&self, tasks: &mut [TaskIx]) {
        tasks.sort_by_key(|task| self.nodes[task.0].order);
    }

    fn sorted(&self, mut step: Step) -> Step {
        for tasks in [&mut step.ready, &mut step.skipped, &mut step.grown, &mut step.ended] {
            self.sort(tasks);
        }
        step
    }
}

impl Node {
    fn new(task: Task, order: (usize, usize)) -> Self {
        Self {
            is_group: task.foreach.is_some(),
            when: task.when.as_deref().and_then(|when| When::parse(when).ok()),
            task,
            order,
            item: None,
            group: None,
            members: Vec::new(),
            needs: Vec::new(),
            dependants: Vec::new(),
            open: 0,
            answer: String::new(),
            keeps_answer: false,
            state: State::Waiting,
        }
    }
}

#[cfg(test)]
mod tests;
