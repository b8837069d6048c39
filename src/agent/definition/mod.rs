//! What a definition says, whatever shape it has: a tree of keys with their lines,
//! and one table of what each key means.
//!
//! The shapes spell the same thing in several ways (`max-parallel`,
//! `runtime.max_parallel`, `runtime.concurrency.max_parallel_tasks`), and an alias
//! may use any of the spellings on any agent: a key that comes later takes the
//! place of what an earlier one said, maps are gone into, lists are replaced. So
//! laying an alias over an agent is the same as merging the two trees.
//!
//! A key that means nothing to this cx is kept, with its line.

mod keys;
mod node;

pub(super) use node::{Node, line_of, toml, yaml};

use keys::{Known, is_group, set};

use super::{Agent, ExtraKey};

/// A line of the file, from 1, and what is wrong there.
pub(super) type Problem = (u64, String);

/// Takes over what a tree says. `skip` are dotted keys that the shape has seen to
/// by itself; `first_line` is the line before the tree's first one.
pub(super) fn apply(
    agent: &mut Agent,
    tree: &Node,
    skip: &[&str],
    first_line: u64,
) -> Result<(), Problem> {
    let Node::Map(entries) = tree else { return Ok(()) };
    walk(agent, "", entries, &|path| skip.contains(&path), &|line| match line {
        0 => 0,
        line => line + first_line,
    })
}

fn walk(
    agent: &mut Agent,
    above: &str,
    entries: &[(String, u64, Node)],
    skip: &dyn Fn(&str) -> bool,
    in_file: &dyn Fn(u64) -> u64,
) -> Result<(), Problem> {
    for (key, line, node) in entries {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        if skip(&path) {
            continue;
        }
        let line = in_file(*line);
        let value = node.value();
        match set(agent, &path, &value).map_err(|problem| (line, problem))? {
            Known::Yes => {}
            // Honoured only in part: the rest of it is named.
            Known::InPart => agent.extra.push(ExtraKey { key: path, line, value }),
            Known::No => match node {
                Node::Map(inner) if is_group(&path) => walk(agent, &path, inner, skip, in_file)?,
                // What is empty asks for nothing.
                _ if node.says_nothing() => {}
                _ => agent.extra.push(ExtraKey { key: path, line, value }),
            },
        }
    }
    Ok(())
}
