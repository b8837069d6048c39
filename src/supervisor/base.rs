//! Where a job's worktree starts that comes after writers: from the merge of its
//! own base and their work.
//!
//! Merged in memory by git's own merge, and written down as `based` before the
//! worktree is made, so that whoever recovers the job knows which commit its
//! branch may be at without being anybody's work. A crash before that leaves
//! objects for `git gc`.

use super::{Stop, Supervisor, SupervisorError};
use crate::{
    git::{
        CommitMessage, GitError, Oid, Place, Repo,
        merge::{self, Candidate, Conflict, Opponent, Refusal, Verdict},
    },
    job::JobId,
    ledger::{Based, Event, Job, Tree},
    process::crash,
};

/// A job whose work is needed.
struct Need {
    job: Job,
    tip: Oid,
}

impl Supervisor {
    /// Has the tree start from the work of the writers that the job comes after.
    /// `Ok(Err(stop))` says why it cannot.
    pub(super) fn settle_base(
        &mut self,
        place: &Place,
    ) -> Result<Result<(), Stop>, SupervisorError> {
        let Some(tree) = self.spec.tree.clone().filter(|_| !self.spec.after.is_empty()) else {
            return Ok(Ok(()));
        };
        let repo = Repo::open(place);
        let jobs = self.come_after()?;
        let needs = match needs(&repo, &tree, &jobs) {
            Ok(Ok(needs)) => needs,
            Ok(Err(reason)) => return Ok(Err(Stop::not_started(reason))),
            Err(error) => return Ok(Err(unmergeable(&error))),
        };
        if needs.is_empty() {
            return Ok(Ok(()));
        }
        let candidates: Vec<Candidate> = needs.iter().map(|need| self.candidate(need)).collect();
        let own = match Oid::new(&tree.base) {
            Ok(own) => own,
            Err(error) => return Ok(Err(unmergeable(&error))),
        };
        match merge::gather(&repo, &own, &candidates) {
            Ok(Ok((base, brought))) if base != own => self.start_from(&base, &needs, &brought),
            Ok(Ok(_)) => Ok(Ok(())),
            Ok(Err(refusal)) => self.refuse(&refusal, &needs),
            Err(error) => Ok(Err(unmergeable(&error))),
        }
    }

    /// The writers among the jobs that this one comes after, in that order.
    fn come_after(&self) -> Result<Vec<Job>, SupervisorError> {
        let mut state = self.store.state()?;
        // Those that ended long ago are not at hand.
        if self.spec.after.iter().any(|id| !state.jobs.contains_key(id)) {
            state = self.store.history()?;
        }
        let jobs = self.spec.after.iter().filter_map(|id| state.jobs.remove(id));
        Ok(jobs.filter(|job| job.spec.branch().is_some()).collect())
    }

    fn candidate(&self, need: &Need) -> Candidate {
        let spec = &need.job.spec;
        let branch = spec.branch().map_or(spec.name.as_str(), |(_, branch)| branch);
        let mut trailers = vec![
            ("Cx-Job".to_owned(), format!("{} {}", need.job.job.0, spec.name)),
            ("Cx-Backend".to_owned(), spec.backend.to_string()),
        ];
        trailers.extend(spec.agent.iter().map(|agent| ("Cx-Agent".to_owned(), agent.clone())));
        let message = CommitMessage {
            subject: format!("Merge branch '{branch}' for {}", self.spec.name),
            body: spec.title.clone(),
            trailers,
        };
        Candidate { key: spec.name.to_string(), tip: need.tip.clone(), start: None, message }
    }

    fn start_from(
        &mut self,
        base: &Oid,
        needs: &[Need],
        brought: &[usize],
    ) -> Result<Result<(), Stop>, SupervisorError> {
        let of: Vec<JobId> =
            brought.iter().filter_map(|at| Some(needs.get(*at)?.job.job)).collect();
        crash::point("gathered");
        self.append(&Event::Based(Based { base: base.to_string(), of }))?;
        crash::point("based");
        if let Some(tree) = &mut self.spec.tree {
            base.as_str().clone_into(&mut tree.base);
        }
        Ok(Ok(()))
    }

    /// Says who does not fit with whom, and what to do about it.
    fn refuse(
        &self,
        refusal: &Refusal,
        needs: &[Need],
    ) -> Result<Result<(), Stop>, SupervisorError> {
        let label = |key: &str| {
            let need = needs.iter().find(|need| need.job.spec.name.as_str() == key);
            need.map_or_else(|| key.to_owned(), |need| format!("{} {key}", need.job.job))
        };
        let who = label(&refusal.key);
        let reason = match &refusal.verdict {
            Verdict::Conflicts { paths, opponent } => {
                let with = match opponent {
                    Opponent::Target => "the commit that this job starts from".to_owned(),
                    Opponent::Candidates(keys) => {
                        format!(
                            "that of {}",
                            keys.iter().map(|key| label(key)).collect::<Vec<_>>().join(", ")
                        )
                    }
                };
                let (name, me) = (&refusal.key, &self.spec.name);
                let first = match opponent {
                    Opponent::Candidates(keys) => format!("cx merge {}, then ", keys.join(" ")),
                    Opponent::Target => String::new(),
                };
                self.note(format!(
                    "to have {me} start: {first}cx resolve {name}, cx merge, and spawn it again"
                ))?;
                format!(
                    "the work of {who}, which it comes after, conflicts with {with} in {}",
                    shown(paths)
                )
            }
            Verdict::Unrelated => format!(
                "the work of {who}, which it comes after, has no common history with the commit that this job starts from"
            ),
            _ => format!("git itself dies of merging the work of {who}, which it comes after"),
        };
        Ok(Err(Stop::not_started(reason)))
    }
}

/// What there is to merge, in the order in which it was asked for; or a sentence
/// that says what is missing.
fn needs(repo: &Repo, tree: &Tree, jobs: &[Job]) -> Result<Result<Vec<Need>, String>, GitError> {
    let own = super::oid(&tree.base)?;
    let mut needs = Vec::new();
    for job in jobs {
        let Some((theirs, branch)) = job.spec.branch() else { continue };
        let label = format!("{} {}", job.job, job.spec.name);
        let ended_at = job.exited.as_ref().and_then(|exited| exited.tip.as_deref());
        // As for `cx merge`: what somebody has made of the branch counts.
        let now = if job.tree_gone { None } else { repo.branch_tip(branch)? };
        let moved = now.as_ref().is_some_and(|now| Some(now.as_str()) != ended_at);
        // It may be in other commits, by a squash, or without what was out of its scope.
        if let (Some(merged), false) = (&job.merged, moved)
            && let Ok(commit) = repo.resolve_commit(&merged.commit)
            && repo.is_ancestor(&commit, &own)?
        {
            continue;
        }
        if let Some(kept) = job.kept.as_deref().filter(|_| job.tree_gone && job.merged.is_none()) {
            return Ok(Err(format!(
                "the work of {label}, which it comes after, was discarded; it is kept at {kept}"
            )));
        }
        let Some(tip) = now.map(|now| now.to_string()).or(ended_at.map(str::to_owned)) else {
            continue;
        };
        // Where it did nothing, the base it had is no work, unless that was others'.
        if tip == theirs.base && job.based.is_none() {
            continue;
        }
        match repo.resolve_commit(&tip) {
            Ok(tip) => needs.push(Need { job: job.clone(), tip }),
            Err(_) => {
                return Ok(Err(format!(
                    "the work of {label}, which it comes after, is gone: {branch} was deleted by hand, and its commits too"
                )));
            }
        }
    }
    Ok(Ok(needs))
}

fn unmergeable(error: &dyn std::fmt::Display) -> Stop {
    Stop::not_started(format!("the work of the jobs it comes after could not be merged: {error}"))
}

fn shown(paths: &[Conflict]) -> String {
    let names: Vec<String> = paths.iter().take(5).map(|c| c.path.display().to_string()).collect();
    match paths.len().saturating_sub(names.len()) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
