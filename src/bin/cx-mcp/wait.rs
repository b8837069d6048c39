//! `wait`: the one tool that takes long.
//!
//! Clients give a call up after a while, mostly a minute. So this ends before, and says
//! that the jobs go on; and who asks for progress is told of it, which some clients take
//! as a sign of life. Nothing is asked again and again for the waiting itself: `cx wait`
//! sleeps on the jobs' locks.

use std::time::Duration;

use rmcp::{
    Peer, RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
};
use serde_json::Value;

use crate::{
    arguments::{Arguments, Refusal, Words},
    child::Cx,
    tool::Answer,
};

/// How long, unless the client says: the protocol's own clients give up after 60 s.
const SECONDS: u64 = 45;

/// The longest that a client may ask for.
const SECONDS_MAX: u64 = 6 * 3600;

/// How often progress is told.
const EVERY: Duration = Duration::from_secs(5);

/// Whom progress is told.
pub(crate) struct Listener {
    pub(crate) peer: Peer<RoleServer>,
    pub(crate) token: ProgressToken,
}

pub(crate) async fn wait(
    cx: &Cx,
    said: Arguments<'_>,
    listener: Option<Listener>,
) -> Result<Answer, Refusal> {
    let jobs = said.texts("jobs")?;
    let seconds = said.number("seconds")?.unwrap_or(SECONDS).clamp(1, SECONDS_MAX);
    let mut words = Words::of(&["wait"]);
    words.option("timeout", Some(&format!("{seconds}s")));
    let any = said.flag("any")? == Some(true);
    if any {
        words.own("--any");
    }
    let words = words.behind(&jobs);
    let ran = {
        let waiting = cx.run(&words, None);
        tokio::pin!(waiting);
        // The first one comes at once.
        let (mut told, mut pause) = (0.0, Duration::ZERO);
        loop {
            tokio::select! {
                ran = &mut waiting => break ran,
                () = tokio::time::sleep(pause), if listener.is_some() => {
                    if let Some(listener) = &listener {
                        told += 1.0;
                        tell(cx, listener, told).await;
                    }
                    pause = EVERY;
                }
            }
        }
    };
    let ran = match ran {
        Ok(ran) => ran,
        Err(error) => return Err(Answer::refused(format!("cannot run cx: {error}"))),
    };
    let mut answer = ran.answer("all succeeded; `collect` gives their results");
    if !ran.is_error() && ran.code == Some(124) {
        answer.text.push_str("\nthey go on; call wait again");
    }
    Ok(answer)
}

/// Says how many are live, and what they do. The number only grows: that is what clients
/// look at.
async fn tell(cx: &Cx, listener: &Listener, told: f64) {
    let Ok(ran) = cx.run(&Words::of(&["jobs", "--json"]).behind(&[]), None).await else { return };
    let jobs: Vec<Value> = serde_json::from_str(&ran.out).unwrap_or_default();
    let live: Vec<String> = jobs
        .iter()
        .filter(|job| job["live"] == true)
        .map(|job| {
            let name = job["name"].as_str().unwrap_or_default();
            match job["activity"].as_str() {
                Some(activity) => format!("{name}: {activity}"),
                None => name.to_owned(),
            }
        })
        .collect();
    let mut progress = ProgressNotificationParam::new(listener.token.clone(), told);
    progress.message = Some(format!("{} live; {}", live.len(), live.join("; ")));
    let _ = listener.peer.notify_progress(progress).await;
}
