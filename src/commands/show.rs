//! `cx show`

use clap::Args;

use super::{
    session::{Session, label},
    view::{self, JobView},
};
use crate::{
    failure::{Exit, Failure},
    ledger::Phase,
    ui::{self, Align, Table},
};

/// Everything about one job
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The job
    #[arg(required = true, value_name = "JOB", add = super::candidates::any_job())]
    job: Vec<String>,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &ShowArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let job = session.job(&args.job)?;
    let mut view = JobView::new(&job, &session.store);
    if job.phase == Phase::Queued {
        view = view.queued(&job, &session.state()?.waits());
    }
    let mut out = ui::out();
    if args.json {
        out.json(&view)?;
        out.finish()?;
        return Ok(Exit::Success);
    }
    let mut table = Table::new(&[Align::Left, Align::Left]);
    let mut row = |key: &str, value: String| {
        if !value.is_empty() {
            table.row(vec![key.to_owned(), value]);
        }
    };
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    row("job", label(&job));
    row("status", view::status_in_full(&job));
    row("reason", view.reason.map(ui::clean).unwrap_or_default());
    row("doing", view.activity.as_deref().map(ui::clean).unwrap_or_default());
    row("mode", view.mode.to_string());
    row("agent", text(view.agent));
    row("alias", text(view.alias));
    row("backend", format!("{} ({})", view.backend, job.spec.program));
    for fell in view.fell_over {
        row("instead of", ui::clean(&format!("{}, which {}", fell.from, fell.reason)));
    }
    if let Some(url) = view.url {
        row("server", url.to_owned());
    }
    row("model", text(view.model));
    row("run", text(view.run));
    row("task", ui::clean(view.title));
    row("took", ui::short(view::elapsed(&job)));
    row("spawned", ui::clock(view.spawned_at));
    row("running", view.running_at.map(ui::clock).unwrap_or_default());
    row("ended", view.ended_at.map(ui::clock).unwrap_or_default());
    row("supervisor", process(view.supervisor));
    row("worker", process(view.worker));
    row("folder", view.cwd.to_owned());
    row("worktree", text(view.worktree));
    row(
        "made by",
        job.worktree
            .as_ref()
            .map(|w| {
                let why = w.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                format!("{} in {} ms{why}", w.engine, w.took_ms)
            })
            .unwrap_or_default(),
    );
    row("branch", text(view.branch));
    row("base", base(&view));
    row("tip", text(view.tip));
    if view.commits > 0 {
        row(
            "changes",
            format!("{}, {}", ui::plural(view.commits, "commit"), ui::plural(view.files, "file")),
        );
    }
    row("scope", view.scope.join(" "));
    row("after", view.after.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    let limit = |ms: Option<u64>| {
        ms.map(|ms| ui::short(std::time::Duration::from_millis(ms))).unwrap_or_default()
    };
    row("timeout", limit(job.spec.timeout_ms));
    row("silence", limit(job.spec.silence_ms));
    if let Some(usage) = view.usage {
        row(
            "tokens",
            format!("{} in ({} cached), {} out", usage.input, usage.cached, usage.output),
        );
        row("cost", usage.cost_usd.map(|cost| cost.to_string()).unwrap_or_default());
    }
    row("thread", text(view.thread));
    row("resumes", view.resumes.map(|job| job.to_string()).unwrap_or_default());
    row("does again", view.repeats.map(|job| job.to_string()).unwrap_or_default());
    row("tried again", view.tried_again.map(|job| format!("as {job}")).unwrap_or_default());
    row("went on", view.went_on.map(|job| format!("as {job}")).unwrap_or_default());
    row("left", view::left_behind(&job).unwrap_or_default());
    row("checkpoint", view::checkpoint_hint(&job).unwrap_or_default());
    for note in view.notes {
        row("note", ui::clean(note));
    }
    row("collected", if view.collected { "yes".to_owned() } else { String::new() });
    row("merged", view.merged_into.map(|into| format!("into {into}")).unwrap_or_default());
    row("kept at", text(view.kept));
    row("cleaned", cleaned(&view, job.worktree.is_some()).to_owned());
    if !view.files_gone {
        row("files", view.folder.clone());
    }
    for line in table.lines(None, &[]) {
        out.line(line)?;
    }
    out.finish()?;
    Ok(Exit::Success)
}

/// The commit that its worktree starts from, and whose work is in that.
fn base(view: &JobView<'_>) -> String {
    let base = view.base.unwrap_or_default();
    if view.with_work_of.is_empty() {
        return base.to_owned();
    }
    let of: Vec<String> = view.with_work_of.iter().map(ToString::to_string).collect();
    format!("{base}, with the work of {}", of.join(" "))
}

/// What was removed of it; a worktree only where there was one.
fn cleaned(view: &JobView<'_>, had_tree: bool) -> &'static str {
    match (view.tree_gone && had_tree, view.files_gone) {
        (true, true) => "worktree, branch and files",
        (true, false) => "worktree and branch",
        (false, true) => "files",
        (false, false) => "",
    }
}

fn process(process: Option<crate::job::ProcessRef>) -> String {
    process.map(|p| format!("pid {}", p.pid)).unwrap_or_default()
}
