//! The rule of thumb that makes tasks of a goal.

use super::{
    Member, Proposal,
    split::steps,
    work::{Work, work},
};
use crate::{
    job::{Mode, slug},
    plan::Task,
};

/// What comes after what writes, also where the goal has them side by side.
const LATER: [&str; 3] = ["tester", "reviewer", "verifier"];

/// Makes a plan of a goal: a task for each of its pieces, each after those of the
/// step before, and a review at the end where something is written and the goal
/// does not end in one. `suggest` says which of the team a text calls for, the
/// best first, and why. Empty where the goal says nothing.
pub fn decompose(
    goal: &str,
    team: &[Member],
    suggest: &dyn Fn(&str) -> Vec<(usize, String)>,
) -> Proposal {
    let goal = goal.trim();
    let mut maker = Maker { proposal: Proposal::new(goal), works: Vec::new(), team, suggest };
    let steps = steps(goal);
    let alone = steps.iter().map(Vec::len).sum::<usize>() == 1;
    let mut before: Vec<usize> = Vec::new();
    for pieces in &steps {
        let first = maker.works.len();
        for piece in pieces {
            let work = work(piece);
            let later = LATER.contains(&work.role);
            // What is written in this step by those that come before it.
            let beside: Vec<usize> = (first..maker.works.len())
                .filter(|at| later && maker.writes(*at) && !LATER.contains(&maker.works[*at].role))
                .collect();
            let needs = if beside.is_empty() { before.clone() } else { beside };
            let prompt = if alone {
                "{{goal}}".to_owned()
            } else {
                format!(
                    "{}\n\nThis is one part of the goal below. Others do the rest.\n\n\
                     GOAL:\n{{{{goal}}}}",
                    maker.proposal.plan.literal(piece)
                )
            };
            maker.add(piece, piece, work, &needs, prompt);
        }
        before = (first..maker.works.len()).collect();
    }
    let writers: Vec<usize> = (0..maker.works.len()).filter(|at| maker.writes(*at)).collect();
    let is_looked_at =
        maker.works.last().is_some_and(|work| ["reviewer", "verifier"].contains(&work.role));
    if !is_looked_at && !writers.is_empty() {
        let reviewer =
            Work { role: "reviewer", mode: Mode::Reader, verb: Some("review".to_owned()) };
        let prompt = "Review what was done for the goal below: what is missing, what is wrong, \
                      what breaks something else. The worst first.\n\nGOAL:\n{{goal}}";
        maker.add("review", "", reviewer, &writers, prompt.to_owned());
    }
    maker.proposal
}

/// A proposal in the making.
struct Maker<'a> {
    proposal: Proposal,
    /// For each task, what it asks for.
    works: Vec<Work>,
    team: &'a [Member],
    suggest: &'a dyn Fn(&str) -> Vec<(usize, String)>,
}

impl Maker<'_> {
    /// Whether a task changes files.
    fn writes(&self, at: usize) -> bool {
        self.works.get(at).is_some_and(|work| work.mode == Mode::Writer)
    }

    fn add(&mut self, title: &str, piece: &str, work: Work, needs: &[usize], prompt: String) {
        let (agent, mode, why) = pick(piece, &work, self.team, self.suggest);
        let tasks = &self.proposal.plan.tasks;
        let ids: Vec<String> =
            needs.iter().filter_map(|at| Some(tasks.get(*at)?.id.clone())).collect();
        let id = slug(title).untaken(|name| tasks.iter().any(|task| task.id == name)).to_string();
        self.proposal.why.insert(id.clone(), why);
        self.proposal.plan.tasks.push(Task {
            id,
            alias: agent,
            prompt,
            answers: ids.clone(),
            needs: ids,
            mode,
            ..Task::default()
        });
        self.works.push(work);
    }
}

/// The agent for a piece, the mode where the agent's own is another, and why.
fn pick(
    piece: &str,
    work: &Work,
    team: &[Member],
    suggest: &dyn Fn(&str) -> Vec<(usize, String)>,
) -> (Option<String>, Option<Mode>, String) {
    let asked = match &work.verb {
        Some(verb) => format!("'{verb}' goes to {}", work.role),
        None if work.role == "researcher" => "a question goes to researcher".to_owned(),
        None => format!("no verb was known in it, and then it goes to {}", work.role),
    };
    let suggested = suggest(piece)
        .into_iter()
        .filter_map(|(at, why)| Some((team.get(at)?, why)))
        .find(|(member, _)| member.mode == work.mode);
    if let Some((member, why)) = suggested {
        return (Some(member.id.clone()), None, why);
    }
    let is_role = |member: &&Member| {
        member.id == work.role || member.id.rsplit('/').next() == Some(work.role)
    };
    if let Some(member) = team.iter().find(|member| member.mode == work.mode && is_role(member)) {
        return (Some(member.id.clone()), None, asked);
    }
    if let Some(member) = team.iter().find(|member| member.mode == work.mode) {
        let why = format!("{asked}, and this is the first {} of those chosen", work.mode);
        return (Some(member.id.clone()), None, why);
    }
    match team.first() {
        Some(member) => {
            let why = format!("{asked}, and none of those chosen is a {}", work.mode);
            (Some(member.id.clone()), Some(work.mode), why)
        }
        None => (None, Some(work.mode), asked),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ROLES;
    use super::*;

    fn team() -> Vec<Member> {
        let mut team: Vec<Member> = ROLES
            .iter()
            .map(|(id, mode)| Member {
                id: (*id).to_owned(),
                description: String::new(),
                mode: *mode,
                why: String::new(),
            })
            .collect();
        team.push(Member {
            id: "backend-dev".into(),
            description: String::new(),
            mode: Mode::Writer,
            why: String::new(),
        });
        team
    }

    fn outline(goal: &str) -> Vec<String> {
        let suggest = |text: &str| {
            let found = [(0, "wrong mode".to_owned()), (8, "keyword 'server'".to_owned())];
            if text.contains("server") { found.to_vec() } else { Vec::new() }
        };
        let proposal = decompose(goal, &team(), &suggest);
        assert_eq!(proposal.why.len(), proposal.plan.tasks.len());
        proposal
            .plan
            .tasks
            .iter()
            .map(|task| {
                let agent = task.alias.as_deref().unwrap_or("-");
                format!("{} {agent} <- {}", task.id, task.needs.join(" "))
            })
            .collect()
    }

    #[test]
    fn steps_need_the_step_before() {
        assert_eq!(
            outline(
                "Design the API, then implement the server and write the docs; finally fix it."
            ),
            [
                "design-the-api architect <- ",
                "implement-the-server backend-dev <- design-the-api",
                "write-the-docs docs <- design-the-api",
                "fix-it coder <- implement-the-server write-the-docs",
                "review reviewer <- implement-the-server write-the-docs fix-it",
            ]
        );
    }

    #[test]
    fn tests_come_after_what_they_test() {
        assert_eq!(
            outline("Add a cache, add tests for the cache and document the flags"),
            [
                "add-a-cache coder <- ",
                "add-tests-for tester <- add-a-cache",
                "document-the-flags docs <- ",
                "review reviewer <- add-a-cache add-tests-for document-the-flags",
            ]
        );
    }

    #[test]
    fn one_piece_is_the_goal_as_it_is() {
        let proposal = decompose(" How does {{it}} work? ", &team(), &|_| Vec::new());
        assert_eq!(proposal.plan.tasks.len(), 1, "a reader's answer needs no review");
        assert_eq!(proposal.plan.tasks[0].prompt, "{{goal}}");
        assert_eq!(proposal.plan.vars["goal"], "How does {{it}} work?");
        assert_eq!(proposal.plan.tasks[0].alias.as_deref(), Some("researcher"));
    }

    #[test]
    fn a_goal_that_ends_in_a_review_gets_no_other() {
        assert_eq!(outline("Fix the bug, then review the change").len(), 2);
        assert_eq!(outline("").len(), 0);
    }

    #[test]
    fn ids_are_unique_and_a_small_team_does_all() {
        let goal = "1. Fix it\n2. Fix it\n3. Review\n4. Review it";
        let reader = Member {
            id: "me".into(),
            description: String::new(),
            mode: Mode::Reader,
            why: String::new(),
        };
        let proposal = decompose(goal, &[reader], &|_| Vec::new());
        let ids: Vec<&str> = proposal.plan.tasks.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids, ["fix-it", "fix-it-2", "review", "review-it"]);
        assert_eq!(proposal.plan.tasks[0].mode, Some(Mode::Writer));
        assert_eq!(proposal.plan.tasks[3].mode, None);
    }
}
