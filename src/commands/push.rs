//! `cx push`

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use serde::Deserialize;

use super::{
    branch::branch_now,
    collect::message_file,
    session::{Session, git, label, refuse_in_worker},
};
use crate::{
    backend::program,
    failure::{Exit, Failure},
    git::{
        self, Oid, Place, Repo,
        push::{self, Push},
    },
    ledger::Job,
    process::run::{Question, with_input},
    ui,
};

/// Push writers' branches to a remote, and open pull requests
///
/// A branch over there is overwritten only where it is what cx has pushed of the
/// same job before. Git runs as you would run it, with your hooks and credentials.
#[derive(Debug, Args)]
pub struct PushArgs {
    /// Where to
    #[arg(long, value_name = "REMOTE", default_value = "origin")]
    remote: String,

    /// Open a pull request for each that has none, with the job's final message as its body; needs gh
    #[arg(long)]
    pr: bool,

    /// The jobs
    #[arg(required = true, value_name = "JOB", add = super::candidates::writer())]
    jobs: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &PushArgs) -> Result<Exit, Failure> {
    refuse_in_worker("push")?;
    let session = Session::open()?;
    let place = session.repository("push")?;
    let jobs = session.jobs(&args.jobs)?;
    let repo = Repo::open(place);
    let remotes = push::remotes(place).map_err(git)?;
    if !remotes.contains(&args.remote) {
        let failure = format!("there is no remote '{}'; nothing was pushed", args.remote);
        return Err(Failure::usage(failure).hint(match remotes.as_slice() {
            [] => format!("git remote add {} URL", args.remote),
            some => format!("one of: {}", some.join(", ")),
        }));
    }
    let gh = if args.pr { Some(find_gh()?) } else { None };
    let tips = jobs.iter().map(|job| tip(&repo, job)).collect::<Result<Vec<_>, _>>()?;

    let mut out = ui::out();
    let mut all_well = true;
    for (job, (branch, tip)) in jobs.iter().zip(&tips) {
        let key = key(job);
        let what = Push { remote: &args.remote, branch, tip, key: &key };
        if !push::push(place, &what).map_err(git)? {
            all_well = false;
            ui::warn(format_args!("{} was not pushed: git said no", label(job)));
            continue;
        }
        out.line(format_args!("{} pushed to {} as {branch}", label(job), args.remote))?;
        out.flush()?;
        let Some(gh) = &gh else { continue };
        if let Some(url) = existing(place, gh, branch) {
            ui::note(format_args!(
                "{branch} has a pull request already, which shows what was pushed; its text was left as it is"
            ));
            out.line(url)?;
            out.flush()?;
        } else if !open(&session, place, gh, job, branch, tip)? {
            all_well = false;
            ui::warn(format_args!("no pull request was opened for {}", label(job)));
        }
    }
    out.finish()?;
    Ok(if all_well { Exit::Success } else { Exit::Failed })
}

/// What the note of a push is kept under.
pub(super) fn key(job: &Job) -> String {
    format!("{}-{}", job.job.0, job.spec.name)
}

/// The branch and the commit to be pushed; all is checked before anything goes out.
fn tip(repo: &Repo, job: &Job) -> Result<(String, Oid), Failure> {
    let Some((tree, branch)) = job.spec.branch() else {
        return Err(Failure::usage(format!("{} is a reader and has no branch", label(job))));
    };
    let name = &job.spec.name;
    if job.is_live() {
        let failure = Failure::usage(format!("{} is not over yet; nothing was pushed", label(job)));
        return Err(failure.hint(format!("cx wait {name} && cx push {name}")));
    }
    let failed = |why: String| Failure::new(Exit::Failed, format!("{why}; nothing was pushed"));
    let tip = branch_now(repo, job)?.map_err(failed)?;
    if tip.as_str() == tree.base {
        return Err(failed(format!("{} has no commits", label(job))));
    }
    Ok((branch.to_owned(), tip))
}

fn find_gh() -> Result<PathBuf, Failure> {
    let path = env::var_os("PATH").unwrap_or_default();
    program::locate_word("gh".as_ref(), &path).map_err(|error| {
        let exit = if error.exit_code() == 126 { Exit::NotExecutable } else { Exit::NotFound };
        Failure::new(exit, "pull requests need gh, which was not found; nothing was pushed")
            .hint("install it (https://cli.github.com) and log in: gh auth login")
    })
}

/// One that gh knows of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequest {
    url: String,
    /// From a fork, whose branch may have the same name.
    is_cross_repository: bool,
}

/// The address of a branch's open pull request, if it has one already. Where gh
/// does not tell, the attempt to open one will say why.
fn existing(place: &Place, gh: &Path, branch: &str) -> Option<String> {
    let args = ["pr", "list", "--head", branch, "--state", "open"];
    let fields = ["--json", "url,isCrossRepository"];
    let question = Question {
        program: gh,
        args: args.iter().chain(&fields).map(OsString::from).collect(),
        dir: place.folder().to_owned(),
        env_remove: git::SCRUBBED,
        limit: Duration::from_mins(1),
    };
    let answer = question.ask().ok()??;
    let found: Vec<PullRequest> = serde_json::from_slice(&answer.stdout).ok()?;
    found.into_iter().find(|one| !one.is_cross_repository).map(|one| one.url)
}

/// Opens a pull request; gh prints its address. The body goes in as a file.
fn open(
    session: &Session,
    place: &Place,
    gh: &Path,
    job: &Job,
    branch: &str,
    tip: &Oid,
) -> Result<bool, Failure> {
    let subject = place.git().args(["log", "-1", "--format=%s"]).arg(tip).read().map_err(git)?;
    let args = ["pr", "create", "--head", branch, "--title", &subject.text(), "--body-file", "-"];
    let args: Vec<OsString> = args.map(OsString::from).into();
    let body = message_file(session, job);
    let body = body.is_file().then_some(body);
    let code = with_input(gh, &args, place.folder(), git::SCRUBBED, body.as_deref())
        .map_err(|e| Failure::internal(format!("cannot run {}: {e}", gh.display())))?;
    Ok(code == Some(0))
}
