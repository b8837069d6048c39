//! What codex is doing, in one short line.

use std::path::Path;

use super::super::text;
use super::event::{self, Event, Stage};

/// Longest line, in characters; listings cut it further.
const MAX: usize = 200;

/// The last thing in `tail` that is worth telling.
pub(in super::super) fn activity(tail: &[u8], root: Option<&Path>) -> Option<String> {
    text::lines_from_end(tail).find_map(|line| {
        let value = event::parse(line)?;
        let line = text::one_line(sentence(&Event::of(&value), root)?.as_bytes(), MAX);
        (!line.is_empty()).then_some(line)
    })
}

/// What an event says about what codex does.
pub(super) fn sentence(event: &Event<'_>, root: Option<&Path>) -> Option<String> {
    Some(match event {
        Event::TurnStarted | Event::Thinking => "thinking".to_owned(),
        Event::TurnFailed(message) | Event::Error(message) => super::stderr::unwrap(message),
        Event::Message(message) => message.lines().find(|line| !line.trim().is_empty())?.to_owned(),
        Event::CommandStarted { command } => format!("running {}", script(command)),
        Event::CommandEnded { command, exit: Some(0), .. } => format!("ran {}", script(command)),
        Event::CommandEnded { command, exit: Some(code), .. } => {
            format!("ran {} (exit {code})", script(command))
        }
        Event::CommandEnded { command, exit: None, .. } => {
            format!("could not run {}", script(command))
        }
        Event::Edit { paths, stage } => {
            let (first, others) = paths.split_first()?;
            let first = relative(first, root);
            let verb = match stage {
                Stage::Started => "editing",
                Stage::Done => "edited",
                Stage::Failed => "could not edit",
            };
            match others.len() {
                0 => format!("{verb} {first}"),
                n => format!("{verb} {first} and {n} more"),
            }
        }
        Event::Todo { done, total, next } => match next {
            Some(next) => format!("todo {done}/{total}: {next}"),
            None => format!("todo {done}/{total}"),
        },
        Event::Search { query, stage: Stage::Started } => format!("searching: {query}"),
        Event::Search { query, .. } => format!("searched: {query}"),
        Event::Tool { name, stage: Stage::Started } => format!("calling {name}"),
        Event::Tool { name, .. } => format!("called {name}"),
        Event::Thread(_) => "starting".to_owned(),
        Event::TurnCompleted { .. } | Event::Usage(_) | Event::Other => return None,
    })
}

fn relative<'a>(path: &'a str, root: Option<&Path>) -> &'a str {
    root.and_then(|root| Path::new(path).strip_prefix(root).ok())
        .and_then(Path::to_str)
        .unwrap_or(path)
}

/// What codex runs, without the shell around it: `/bin/bash -lc 'cargo test'`
/// gives `cargo test`. Of several lines the first.
pub(super) fn script(command: &str) -> String {
    let inner = command
        .split_once(" -lc ")
        .or_else(|| command.split_once(" -c "))
        .filter(|(shell, _)| shell.ends_with("sh") && !shell.contains(' '))
        .map_or_else(|| command.to_owned(), |(_, quoted)| unquote(quoted));
    inner.lines().find(|line| !line.trim().is_empty()).unwrap_or("").to_owned()
}

/// One shell word, without its quotes.
fn unquote(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    let mut quote = None;
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None | Some('"'), '\\') => plain.extend(chars.next()),
            (_, c) => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_lose_the_shell_around_them() {
        for (command, plain) in [
            ("/bin/bash -lc 'cargo test -p x'", "cargo test -p x"),
            ("/bin/bash -lc ls", "ls"),
            ("/usr/bin/zsh -lc \"printf \\\"it's\\\"\"", "printf \"it's\""),
            ("/bin/bash -lc 'a '\"'\"'b'", "a 'b"),
            ("bash -lc 'first\nsecond'", "first"),
            ("git log -c core.x=1 -c y", "git log -c core.x=1 -c y"),
            ("", ""),
        ] {
            assert_eq!(script(command), plain, "{command}");
        }
    }
}
