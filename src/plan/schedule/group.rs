//! Groups: how they get their members, and how they end.

use super::{
    Node, Schedule, State, Step, TaskIx,
    items::{fill, items},
};
use crate::plan::Foreach;

impl Schedule {
    /// Gives a group its members; how it ends, if it gets none.
    pub(super) fn grow(&mut self, group: TaskIx, step: &mut Step) -> Result<(), State> {
        let node = &self.nodes[group.0];
        let found = match &node.task.foreach {
            Some(Foreach::Values(values)) => values.clone(),
            Some(Foreach::Answer { of, max }) => {
                let runs = self.find(of).map(|need| self.runs_of(need)).unwrap_or_default();
                let found: Vec<String> =
                    runs.iter().flat_map(|run| items(&self.nodes[run.0].answer)).collect();
                if found.len() as u64 > u64::from(max.get()) {
                    let why = format!(
                        "the answer of '{of}' has {} items, and its 'max' allows {max}",
                        found.len()
                    );
                    return Err(State::Failed(Some(why)));
                }
                found
            }
            // Of a plan that was not bound.
            Some(Foreach::List(_)) | None => Vec::new(),
        };
        if found.is_empty() {
            return Err(State::PassedOver("there is nothing to do it for".to_owned()));
        }
        let (mut task, place, keeps_answer) = (node.task.clone(), node.order.0, node.keeps_answer);
        let needs = node.needs.clone();
        // The group has answered for both.
        (task.foreach, task.when) = (None, None);
        let base = task.id.clone();
        let mut members = Vec::with_capacity(found.len());
        for (number, item) in (1..).zip(found) {
            let member = TaskIx(self.nodes.len());
            task.id = format!("{base}-{number}");
            self.by_id.insert(task.id.clone(), member);
            let mut task = task.clone();
            fill(&mut task, &self.vars, Some(&item));
            self.nodes.push(Node {
                item: Some(item),
                group: Some(group),
                needs: needs.clone(),
                keeps_answer,
                state: State::Ready,
                ..Node::new(task, (place, number))
            });
            members.push(member);
        }
        step.ready.extend(&members);
        step.grown.push(group);
        let node = &mut self.nodes[group.0];
        (node.open, node.state, node.members) = (members.len(), State::Running, members);
        Ok(())
    }

    /// How a group has ended whose members have.
    pub(super) fn sum(&self, group: TaskIx) -> State {
        let members = self.members(group);
        let count = |is: fn(&State) -> bool| {
            members.iter().filter(|member| is(self.state(**member))).count()
        };
        let failed = count(|state| matches!(state, State::Failed(_)));
        let skipped = count(|state| matches!(state, State::Skipped(_)));
        match (failed, skipped, members.len()) {
            (0, 0, _) => State::Succeeded,
            (0, some, all) => State::Skipped(format!("{some} of {all} were skipped")),
            (some, _, all) => State::Failed(Some(format!("{some} of {all} failed"))),
        }
    }
}
