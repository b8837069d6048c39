//! The border between two phases: a reviser sees what has come back, and may change
//! what remains.
//!
//! A phase is what was ready when it began; in a plan of phases, all of one. What
//! becomes ready meanwhile waits for the border, where nothing of the run is live.
//!
//! # What a crash leaves
//! While somebody is asked, a run at its border: whoever goes on asks again. After
//! that a plan of a revision that the ledger does not know yet: whoever goes on
//! writes it down, and asks nobody until more has come back.

use std::{collections::BTreeSet, time::Instant};

use super::{Runner, failed};
use crate::{
    agent::Catalog,
    commands::{
        plan::{self, Who},
        roles,
        route::Directory,
        run::{
            answer::{answer, text},
            load::resolve,
            prompt::{FULL_ANSWERS, Filling},
            rehearse::look,
            stored::{Role, Stored},
        },
        session::store,
        spawn::Spawner,
    },
    failure::Failure,
    ledger::{Event, NO_JOB, Note, RevisedTask, RunRevised},
    plan::{
        State, TaskIx,
        propose::{Ask, Member, Request},
        revise::{self, Difference, Done},
    },
    process::crash,
    ui,
};

/// How many tasks a reviser may add to those that remain.
const MORE: usize = 24;

/// Which of what is ready may start before the border.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nobody is asked.
    All,
    /// These, and the members of these.
    Of(BTreeSet<String>),
    /// Those of the phases up to this one.
    Through(usize),
}

impl Runner<'_> {
    /// Settles what the phase is that begins with the runner, and writes down a
    /// revision that another has stored and not told.
    pub(super) fn begin_phase(&mut self, resumed: bool) -> Result<(), Failure> {
        let known = self.followed.state().runs.get(self.id).map_or(1, |run| run.spec.revision);
        if self.stored.revision > known {
            self.tell_revision()?;
        }
        let begun = self.begun();
        self.phase = if resumed && self.reviser.is_some() && begun != self.stored.seen {
            Phase::Of(begun)
        } else {
            self.next_phase()
        };
        Ok(())
    }

    /// Whether a task may start before the next border.
    pub(super) fn is_in_phase(&self, at: TaskIx) -> bool {
        let schedule = &self.book.schedule;
        let task = schedule.task(at);
        match &self.phase {
            Phase::All => true,
            Phase::Through(phase) => task.phase <= *phase,
            Phase::Of(ids) => {
                let group = schedule.group(at).map(|group| &schedule.task(group).id);
                ids.contains(&task.id) || group.is_some_and(|id| ids.contains(id))
            }
        }
    }

    /// Whether the phase is over. After the last one somebody is asked too, once: what
    /// has come back may call for more.
    pub(super) fn is_at_border(&self) -> bool {
        self.reviser.is_some()
            && self.stop.is_none()
            && self.live.is_empty()
            && self.again.is_empty()
            && !self.ready.iter().any(|at| self.is_in_phase(*at))
            && !(self.book.schedule.is_done() && self.begun() == self.stored.seen)
    }

    /// Asks the reviser, takes in what it changes, and begins the next phase.
    pub(super) fn cross_border(&mut self) -> Result<(), Failure> {
        let Some(who) = self.reviser.clone() else { return Ok(()) };
        let begun = self.begun();
        self.front.draw(self.session, &self.book, self.followed.state());
        let counts = self.book.counts();
        let done = counts.total() - counts.waiting;
        self.front.asking(&format!("{done} of {} tasks done", counts.total()));
        let answered = self.ask(who, &begun);
        // A Ctrl-C while somebody was asked is meant for the run.
        let roused = self.vigil.wait(Some(Instant::now())).map_err(|e| failed(&e))?;
        self.hear(&roused)?;
        if self.stop.is_some() {
            return Ok(());
        }
        match answered {
            Ok(Some(mut revised)) => {
                revised.seen = begun;
                self.take_in(revised)?;
            }
            Ok(None) => self.pass(begun)?,
            Err(failure) => {
                let text = format!("run {}: {failure}", self.id);
                self.front.warn(&failure);
                self.session.store.append(NO_JOB, &Event::Note(Note { text })).map_err(store)?;
                self.pass(begun)?;
            }
        }
        self.phase = self.next_phase();
        Ok(())
    }

    /// What is ready, or all of the phase that it belongs to.
    fn next_phase(&self) -> Phase {
        if self.reviser.is_none() {
            return Phase::All;
        }
        let schedule = &self.book.schedule;
        let ready = self.ready.iter().map(|at| schedule.task(*at));
        if self.stored.plan.phases.is_empty() {
            Phase::Of(ready.map(|task| task.id.clone()).collect())
        } else {
            Phase::Through(ready.map(|task| task.phase).min().unwrap_or_default())
        }
    }

    /// The tasks of the plan that were started, skipped or passed over.
    fn begun(&self) -> BTreeSet<String> {
        let schedule = &self.book.schedule;
        let has_begun = |at: TaskIx| {
            let runs = schedule.runs_of(at);
            !matches!(schedule.state(at), State::Waiting | State::Ready)
                || runs.iter().any(|run| !self.book.jobs_of(*run).is_empty())
        };
        let ids = self.stored.plan.tasks.iter().map(|task| &task.id);
        ids.filter(|id| schedule.find(id).is_some_and(has_begun)).cloned().collect()
    }

    /// Nothing is changed, and nobody need be asked again of the same.
    fn pass(&mut self, seen: BTreeSet<String>) -> Result<(), Failure> {
        self.stored.seen = seen;
        self.stored.write(&self.session.store.run(self.id))
    }

    /// The plan that the reviser wants, checked; none if it leaves it as it is.
    fn ask(&self, who: Who, begun: &BTreeSet<String>) -> Result<Option<Stored>, Failure> {
        let (session, settings) = (self.session, self.settings);
        let left = self.deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let who = match left {
            Some(left) => who.within(left),
            None => who,
        };
        let state = revise::state(&self.stored.plan, begun, &self.done(begun));
        let remaining = self.stored.plan.tasks.len().saturating_sub(begun.len());
        let plan = &self.stored.plan;
        let goal = [plan.vars.get("goal").unwrap_or(&plan.description), &plan.name];
        let team = self.team()?;
        let request = Request {
            ask: Ask::Revision,
            goal: goal.into_iter().find(|text| !text.is_empty()).map_or("", String::as_str),
            agents: &team,
            max_tasks: remaining + MORE,
            problem: None,
            state: Some(&state),
        };
        let read = |answer: &str| self.read(answer, begun, &team, remaining + MORE);
        self.front.aside(|| who.ask(session, settings, &request, &read))
    }

    /// An answer; what is wrong with it as codes and sentences.
    fn read(
        &self,
        answer: &str,
        begun: &BTreeSet<String>,
        team: &[Member],
        most: usize,
    ) -> Result<Option<Stored>, Vec<String>> {
        let old = &self.stored.plan;
        let offered = |name: &str| {
            let known = team.iter().any(|member| member.id == name);
            if known || old.tasks.iter().any(|task| task.alias.as_deref() == Some(name)) {
                return Ok(());
            }
            Err(format!("'{name}' is none of the agents that were given"))
        };
        let revised = revise::revise(old, begun, answer, &offered)
            .map_err(|wrong| wrong.iter().map(|one| one.kind.code()).collect::<Vec<_>>())?;
        let Some(plan) = revised else { return Ok(None) };
        let remaining = plan.tasks.len().saturating_sub(begun.len());
        if remaining > most {
            return Err(vec![format!("too_many_tasks:{remaining}")]);
        }
        let mut stored = self.stored.clone();
        stored.revision += 1;
        stored.difference = Difference::between(old, &plan);
        stored.plan = plan;
        let told = |failure: Failure| vec![failure.message];
        let aliases: BTreeSet<String> =
            stored.plan.tasks.iter().filter_map(|task| task.alias.clone()).collect();
        for alias in aliases {
            if !stored.roles.contains_key(&alias) {
                let resolved = resolve(&alias, (self.session, self.settings), &stored);
                stored.roles.insert(alias, Role::of(resolved.map_err(told)?));
            }
        }
        let looked = look(self.session, self.settings, &mut stored, Some(old)).map_err(told)?;
        if looked.wrong.is_empty() {
            looked.notes.iter().for_each(ui::warn);
            return Ok(Some(stored));
        }
        Err(looked.wrong.into_iter().map(|failure| failure.message).collect())
    }

    /// All agents that can be given a task in words, and the aliases of the plan.
    fn team(&self) -> Result<Vec<Member>, Failure> {
        let places = self.session.places(self.stored.agents_dir());
        let catalog = Catalog::load(&places).map_err(roles::failure)?;
        let mut team: Vec<Member> = Directory::new(&catalog)
            .iter()
            .filter_map(|(name, agent)| plan::member(name, agent, self.settings))
            .collect();
        let plan = &self.stored.plan;
        let aliases: BTreeSet<&String> =
            plan.aliases.keys().chain(self.stored.roles.keys()).collect();
        for alias in aliases {
            if !team.iter().any(|member| member.id == *alias) {
                let resolved = resolve(alias, (self.session, self.settings), &self.stored)?;
                team.extend(plan::member(alias, &resolved.agent, self.settings));
            }
        }
        Ok(team)
    }

    /// What has come back.
    fn done(&self, begun: &BTreeSet<String>) -> Vec<Done> {
        let (schedule, state) = (&self.book.schedule, self.followed.state());
        let said = |at: TaskIx| answer(self.session, state.jobs.get(&self.book.last_of(at)?)?);
        let filling = Filling { run: self.id, stored: &self.stored, schedule, answer: &said };
        let mut left = self.stored.answer_bytes() * FULL_ANSWERS;
        let ids = self.stored.plan.tasks.iter().map(|task| &task.id);
        let ended = ids.filter(|id| begun.contains(*id)).filter_map(|id| {
            let at = schedule.find(id).filter(|at| schedule.state(*at).is_ended())?;
            let why = |at: TaskIx| said(at).and_then(|answer| answer.failed);
            let answer = match schedule.state(at) {
                State::Skipped(why) => format!("skipped: {why}"),
                State::PassedOver(why) => format!("passed over: {why}"),
                State::Failed(None) => why(at).unwrap_or_else(|| "could not be started".to_owned()),
                State::Failed(Some(why)) => format!("{why}\n\n{}", filling.shown(at, &mut left)),
                _ => filling.shown(at, &mut left),
            };
            let ok = *schedule.state(at) == State::Succeeded;
            Some(Done { id: id.clone(), ok, answer })
        });
        ended.collect()
    }

    /// The plan is another one from here on.
    fn take_in(&mut self, revised: Stored) -> Result<(), Failure> {
        revised.write(&self.session.store.run(self.id))?;
        crash::point("run-revision-stored");
        self.stored = revised;
        self.tell_revision()?;
        crash::point("run-revised");
        let session = self.session;
        // What was skipped on the way here has been told, and is not told again.
        session.look(&mut self.followed)?;
        self.book.revise(&self.stored, self.followed.state(), &|job| text(session, job));
        let roles = self.stored.roles()?;
        self.spawner = Spawner::new(session, self.settings, roles, self.stored.base.clone());
        self.held.clear();
        let told = self.followed.state().runs.get(self.id).map(|run| run.skipped.clone());
        let told = told.unwrap_or_default();
        let schedule = &self.book.schedule;
        let mut skipped = self.book.entries();
        skipped.retain(|at| !told.contains_key(&schedule.task(*at).id));
        self.skip(skipped)?;
        self.ready = self.book.schedule.ready();
        self.front.revised(&self.stored.difference.to_string());
        Ok(())
    }

    fn tell_revision(&self) -> Result<(), Failure> {
        let Stored { plan, difference, revision, .. } = &self.stored;
        let is_new = |id: &String| difference.added.contains(id) || difference.changed.contains(id);
        let changed = plan.tasks.iter().filter(|task| is_new(&task.id)).map(|task| RevisedTask {
            id: task.id.clone(),
            agent: task.alias.clone(),
            mode: task.mode,
            model: task.model.clone(),
            needs: task.needs.clone(),
            prompt: plan.spoken(&task.prompt).to_owned(),
        });
        let event = RunRevised {
            run: self.id.to_owned(),
            revision: *revision,
            tasks: plan.tasks.len() as u64,
            why: difference.to_string(),
            changed: changed.collect(),
            left_out: difference.left_out.clone(),
        };
        self.session.store.append(NO_JOB, &Event::RunRevised(event)).map_err(store)
    }
}
