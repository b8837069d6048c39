//! What an orchestrator may do: start jobs, watch them, take their results, merge.
//!
//! Its client may sit in a sandbox, and this does not. So nothing here runs a command of
//! the client's: a shell as the worker only where the person who started the server has
//! said so, no check and no hook of a merge but what the person has configured and trusted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    arguments::{Arguments, Refusal, Words},
    child::{Cx, cut},
    memory,
    tool::{Answer, Argument, Description, Effect, Kind, flag, number, text, texts},
};

/// How much of all final messages together `collect` gives, unless it is told.
const DIGEST: u64 = 4000;

/// How much of a diff.
const DIFF_MAX: usize = 12_000;

const JOBS: Argument = texts("jobs", "names or numbers");

/// Besides those of the memory.
pub(crate) const TOOLS: [Description; 9] = [
    Description {
        name: "spawn",
        says: "Start a worker in the background and return its job at once. A reader looks at the checkout; a writer works in a git worktree and on a branch of its own",
        effect: Effect::Changes,
        takes: &[
            text("task", "all that the worker is told: it knows nothing of this conversation"),
            text("name", "short; also the branch's"),
            text("agent", "the role, such as coder, reviewer, scout, tester"),
            Argument {
                name: "mode",
                kind: Kind::OneOf(&["reader", "writer"]),
                says: "default: the agent's, else reader",
            },
            texts("scope", "pathspecs that a writer may touch"),
            texts("after", "start once these jobs have succeeded, with their work"),
            text("context_from", "a job that is over, whose answer the worker is given"),
            number("recall", "give it the K entries of the memory that fit the task best"),
            text("base", "where a writer's branch starts; default HEAD"),
            text("backend", "codex, claude, ...; default: the configured one"),
            text("model", ""),
            text("timeout", "90s, 10m"),
            number("count", "so many writers on the same task"),
        ],
        needs: &["task"],
    },
    Description {
        name: "jobs",
        says: "The open jobs, a line for each: number, name, status, what it does",
        effect: Effect::Looks,
        takes: &[],
        needs: &[],
    },
    Description {
        name: "wait",
        says: "Wait until jobs are over, or the time is up; call it again then. Never poll `jobs` instead",
        effect: Effect::Looks,
        takes: &[
            texts("jobs", "default: all"),
            flag("any", "until one of them is over"),
            number(
                "seconds",
                "default 45; more only if your client's time limit for tools is longer",
            ),
        ],
        needs: &[],
    },
    Description {
        name: "collect",
        says: "The results of finished jobs, cut fairly to a size; each once, unless named",
        effect: Effect::Changes,
        takes: &[JOBS, number("bytes", "of all messages together; default 4000")],
        needs: &[],
    },
    Description {
        name: "diff",
        says: "What a writer changed: files and counts, or with `patch` the patch itself",
        effect: Effect::Looks,
        takes: &[text("job", ""), flag("patch", "")],
        needs: &["job"],
    },
    Description {
        name: "conflicts",
        says: "Which writers would conflict with each other or with the branch",
        effect: Effect::Looks,
        takes: &[],
        needs: &[],
    },
    Description {
        name: "merge",
        says: "Say what merging finished writers would do; with `land` do it. What conflicts is held back and named",
        effect: Effect::Changes,
        takes: &[
            texts("jobs", "default: all finished writers"),
            flag("land", "default false: only look"),
        ],
        needs: &[],
    },
    Description {
        name: "kill",
        says: "End jobs; what a writer has done is kept on its branch",
        effect: Effect::Ends,
        takes: &[JOBS],
        needs: &["jobs"],
    },
    Description {
        name: "swarm_init",
        says: "Limit how many jobs run at once (maxAgents). Optional: spawn needs nothing before it",
        effect: Effect::Changes,
        takes: &[text("topology", ""), number("maxAgents", ""), text("strategy", "")],
        needs: &[],
    },
];

/// What is kept between calls.
#[derive(Debug)]
pub(crate) struct Orchestrator {
    /// Whether a shell may be the worker.
    pub(crate) allow_sh: bool,
    /// `maxAgents`; 0 is no limit.
    pub(crate) max_jobs: AtomicU64,
}

impl Orchestrator {
    /// Answers one of them, or one of the memory's. `wait` is answered elsewhere.
    pub(crate) async fn call(
        &self,
        cx: &Cx,
        tool: &str,
        said: Arguments<'_>,
    ) -> Result<Answer, Refusal> {
        match tool {
            "spawn" => self.spawn(cx, said).await,
            "jobs" => Ok(cx
                .answer(&Words::of(&["jobs", "--brief"]).behind(&[]), None, "no open jobs")
                .await),
            "collect" => {
                let bytes = said.number("bytes")?.unwrap_or(DIGEST).to_string();
                let mut words = Words::of(&["collect"]);
                words.option("digest", Some(&bytes));
                Ok(cx.answer(&words.behind(&said.texts("jobs")?), None, "nothing to collect").await)
            }
            "diff" => {
                let job = said.needed("job")?;
                let mut words = Words::of(&["diff"]);
                if said.flag("patch")? != Some(true) {
                    words.own("--stat");
                }
                let mut answer = cx.answer(&words.behind(&[job]), None, "no changes").await;
                answer.text = cut(&answer.text, DIFF_MAX);
                Ok(answer)
            }
            "conflicts" => {
                Ok(cx.answer(&Words::of(&["conflicts"]).behind(&[]), None, "no conflicts").await)
            }
            "merge" => {
                let land = said.flag("land")? == Some(true);
                // Hooks may lie where the client can write.
                let words = Words::of(&["merge", if land { "--no-hooks" } else { "--dry-run" }]);
                Ok(cx.answer(&words.behind(&said.texts("jobs")?), None, "nothing to merge").await)
            }
            "kill" => {
                let jobs = said.texts("jobs")?;
                if jobs.is_empty() {
                    return Err(Answer::refused(
                        "'jobs' has to name the jobs to end; nothing was done",
                    ));
                }
                Ok(cx.answer(&Words::of(&["kill"]).behind(&jobs), None, "asked to end").await)
            }
            "swarm_init" => Ok(self.limit(said.number("maxAgents")?)),
            _ => memory::call(cx, tool, said).await,
        }
    }

    async fn spawn(&self, cx: &Cx, said: Arguments<'_>) -> Result<Answer, Refusal> {
        let task = said.needed("task")?;
        let mut words = Words::of(&["spawn"]);
        if !self.allow_sh {
            words.own("--no-sh");
        }
        match said.text("mode")? {
            None => {}
            Some("reader") => words.own("--read"),
            Some("writer") => words.own("--write"),
            Some(other) => {
                let sentence = format!(
                    "'mode' has to be reader or writer, not '{other}'; nothing was started"
                );
                return Err(Answer::refused(sentence));
            }
        }
        for (option, argument) in [
            ("name", "name"),
            ("agent", "agent"),
            ("base", "base"),
            ("backend", "backend"),
            ("model", "model"),
            ("timeout", "timeout"),
            ("context-from", "context_from"),
        ] {
            words.option(option, said.text(argument)?);
        }
        for (option, argument) in [("scope", "scope"), ("after", "after")] {
            for one in said.texts(argument)? {
                words.option(option, Some(one));
            }
        }
        for (option, argument) in [("count", "count"), ("recall", "recall")] {
            let number = said.number(argument)?.filter(|number| *number > 0);
            words.option(option, number.map(|number| number.to_string()).as_deref());
        }
        let most = self.max_jobs.load(Ordering::Relaxed);
        if most > 0 {
            words.option("max-jobs", Some(&most.to_string()));
        }
        Ok(cx.answer(&words.behind(&["-"]), Some(task), "started").await)
    }

    fn limit(&self, most: Option<u64>) -> Answer {
        let Some(most) = most.filter(|most| *most > 0) else {
            return Answer::said("ready: spawn starts workers, wait waits for them");
        };
        self.max_jobs.store(most, Ordering::Relaxed);
        Answer::said(format!("ready: at most {most} jobs that are spawned from now on run at once"))
    }
}
