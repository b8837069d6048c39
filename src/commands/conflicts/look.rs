//! One look at the writers: what each would bring, and which pairs collide.

use std::{collections::HashMap, path::Path};

use crate::{
    commands::{
        merge::start,
        session::{Session, git, label, seen},
    },
    failure::{Exit, Failure},
    git::{
        Head, Oid, Place, Repo, diff,
        merge::{Matrix, Pair},
        worktree,
    },
    job::{JobId, Mode},
    ledger::{Job, State},
    ui,
};

/// What was seen.
pub(super) struct Look {
    /// The branch that is compared with, or `HEAD`.
    pub(super) target: String,
    /// The writers.
    pub(super) jobs: Vec<Job>,
    /// The target's commit, then one for each writer.
    pub(super) tips: Vec<Oid>,
    /// The pairs whose paths meet, by their places in `tips`.
    pub(super) pairs: Vec<Pair>,
    /// Whether any of the writers asked about is not over; also one that has no
    /// worktree yet.
    pub(super) has_live: bool,
}

impl Look {
    /// The pairs that collide.
    pub(super) fn collisions(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(|pair| pair.clash.is_collision())
    }

    /// The writers with their commits.
    pub(super) fn writers(&self) -> impl Iterator<Item = (&Job, &Oid)> {
        self.jobs.iter().zip(self.tips.iter().skip(1))
    }

    /// The writer at a place in `tips`; none for the target.
    pub(super) fn job(&self, place: usize) -> Option<&Job> {
        self.jobs.get(place.checked_sub(1)?)
    }

    /// A writer's name; none for the target.
    pub(super) fn name(&self, place: usize) -> Option<&str> {
        self.job(place).map(|job| job.spec.name.as_str())
    }

    /// `[3] auth`, or the branch.
    pub(super) fn label(&self, place: usize) -> String {
        self.job(place).map_or_else(|| self.target.clone(), label)
    }

    /// 1 when something collides.
    pub(super) fn exit(&self) -> Exit {
        if self.collisions().next().is_some() { Exit::Failed } else { Exit::Success }
    }
}

/// Looks, and remembers what it need not look at again.
pub(super) struct Looker<'a> {
    pub(super) session: &'a Session,
    place: &'a Place,
    words: &'a [String],
    with: Option<&'a str>,
    matrix: Matrix,
    /// Live writers: what told that nothing had changed, and what they had then.
    seen: HashMap<JobId, (Vec<u8>, Oid)>,
}

impl<'a> Looker<'a> {
    pub(super) fn new(
        session: &'a Session,
        words: &'a [String],
        with: Option<&'a str>,
    ) -> Result<Self, Failure> {
        let place = session.repository("conflicts")?;
        let (matrix, seen) = (Matrix::default(), HashMap::new());
        Ok(Self { session, place, words, with, matrix, seen })
    }

    /// Looks now.
    pub(super) fn look(&mut self) -> Result<Look, Failure> {
        let repo = Repo::open(self.place);
        let (target, tip) = self.target(&repo)?;
        let wanted = self.wanted()?;
        let mut look = Look {
            target,
            jobs: Vec::new(),
            tips: vec![tip],
            pairs: Vec::new(),
            has_live: wanted.iter().any(Job::is_live),
        };
        let mut starts = vec![None];
        let history = if wanted.iter().any(|job| job.based.is_some()) {
            self.session.history()?
        } else {
            State::new()
        };
        for job in wanted {
            if let Some(tip) = self.tip(&repo, &job)? {
                starts.push(start(&repo, &look.tips[0], &history, &job)?);
                look.jobs.push(job);
                look.tips.push(tip);
            }
        }
        look.pairs = self.matrix.pairs(&repo, &look.tips, &starts).map_err(git)?;
        Ok(look)
    }

    fn target(&self, repo: &Repo) -> Result<(String, Oid), Failure> {
        if let Some(branch) = self.with {
            let tip = repo.branch_tip(branch).map_err(git)?;
            return match tip {
                Some(tip) => Ok((branch.to_owned(), tip)),
                None => Err(Failure::usage(format!("there is no branch '{branch}'"))
                    .hint("`git branch` lists them")),
            };
        }
        match repo.head().map_err(git)? {
            Head::Branch { name, oid } => Ok((name, oid)),
            Head::Detached(oid) => Ok(("HEAD".to_owned(), oid)),
            Head::Unborn(name) => Err(Failure::usage(format!(
                "branch '{name}' has no commits yet, so there is nothing to compare with"
            ))),
        }
    }

    fn wanted(&self) -> Result<Vec<Job>, Failure> {
        if self.words.is_empty() {
            let jobs = self.session.state()?.jobs.into_values();
            let is_writer = |job: &Job| job.spec.mode == Mode::Writer && self.session.in_run(job);
            let counts = |job: &Job| job.is_live() || job.is_unmerged() && job.succeeded();
            return Ok(jobs.filter(|job| is_writer(job) && counts(job)).collect());
        }
        let jobs = self.session.jobs_or_groups(self.words)?;
        for job in &jobs {
            if job.spec.mode == Mode::Reader {
                let label = label(job);
                return Err(Failure::usage(format!("{label} is a reader and changes nothing")));
            }
            if job.never_started() {
                let label = label(job);
                return Err(Failure::usage(format!("{label} never started and has no branch")));
            }
            if job.is_without_tree() {
                let label = label(job);
                return Err(Failure::usage(format!("{label} was cleaned, and its branch with it")));
            }
        }
        Ok(jobs)
    }

    /// What a writer would bring: its branch, or what lies in its worktree as
    /// long as it works. None before it has one, and when it cannot be looked at.
    fn tip(&mut self, repo: &Repo, job: &Job) -> Result<Option<Oid>, Failure> {
        let Some((tree, branch)) = job.spec.branch() else { return Ok(None) };
        if let Some(exited) = &job.exited {
            self.seen.remove(&job.job);
            // As `cx merge` does: what somebody has made of the branch counts.
            if let Some(now) = repo.branch_tip(branch).map_err(git)? {
                return Ok(Some(now));
            }
            let last = exited.tip.as_ref().unwrap_or(&tree.base);
            return Ok(repo.resolve_commit(last).ok());
        }
        if job.worktree.is_none() {
            return Ok(None);
        }
        let path = Path::new(&tree.path);
        // What git would go by there may be the worker's.
        let print =
            if job.spec.git { Vec::new() } else { worktree::fingerprint(path).unwrap_or_default() };
        if let Some((before, tip)) = self.seen.get(&job.job)
            && !print.is_empty()
            && *before == print
        {
            return Ok(Some(tip.clone()));
        }
        let there = seen(&self.session.store, self.place, job, &tree.path);
        match there.and_then(|there| diff::snapshot_commit(&there)) {
            Ok(tip) => {
                self.seen.insert(job.job, (print, tip.clone()));
                Ok(Some(tip))
            }
            Err(error) => {
                // It may have ended at this moment, and its worktree be gone.
                if self.session.fresh(job.job)?.is_live() {
                    ui::warn(format_args!("{} cannot be looked at: {error}", label(job)));
                }
                Ok(None)
            }
        }
    }
}
