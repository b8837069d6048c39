//! `cx skill`

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::session::{Session, refuse_in_worker};
use crate::{
    failure::{Exit, Failure},
    ui,
};

/// What an orchestrating agent has to know, as the file that people can read.
const SKILL: &str = include_str!("../../skill/SKILL.md");

/// Around the block in an `AGENTS.md`, which is otherwise the person's.
const BEGIN: &str = "<!-- cx skill: begin -->\n";
const END: &str = "<!-- cx skill: end -->\n";

/// Teach an agent to work with cx: print or install a skill
///
/// The skill says when to spawn readers and writers, what to tell them, how to wait without
/// polling, to collect little and to merge last. A file that is there and says something else
/// is not replaced without --force.
#[derive(Debug, Args)]
pub struct SkillArgs {
    /// Write it; without this word it is printed
    #[arg(value_name = "install")]
    action: Option<Action>,

    /// For whom: codex (.agents/skills/cx), claude (.claude/skills/cx), or anybody who reads AGENTS.md
    #[arg(long = "for", value_name = "WHOM", default_value = "codex")]
    whom: Whom,

    /// For all repositories: in ~/.codex or ~/.claude
    #[arg(long)]
    user: bool,

    /// Only print it
    #[arg(long)]
    print: bool,

    /// Only say whether it is installed and current: exit code 1 if not
    #[arg(long, conflicts_with = "print")]
    check: bool,

    /// Replace what is there, also where somebody has changed it
    #[arg(long, conflicts_with_all = ["print", "check"])]
    force: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// Write it
    Install,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Whom {
    /// A skill of codex
    Codex,
    /// A skill of claude
    Claude,
    /// A block in AGENTS.md
    AgentsMd,
}

/// Runs the verb.
pub fn run(args: &SkillArgs) -> Result<Exit, Failure> {
    if args.print || (args.action.is_none() && !args.check) {
        let mut out = ui::out();
        out.bytes(text(args.whom).as_bytes())?;
        out.finish()?;
        return Ok(Exit::Success);
    }
    let path = path(args)?;
    let found = match fs::read_to_string(&path) {
        Ok(found) => Some(found),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => {
            return Err(Failure::usage(format!("cannot read {}: {e}", path.display())));
        }
    };
    let standing = Standing::of(args.whom, found.as_deref());
    if args.check {
        let (word, exit) = match standing {
            Standing::Current => ("current", Exit::Success),
            Standing::Other => ("another version", Exit::Failed),
            Standing::Absent => ("not installed", Exit::Failed),
        };
        let mut out = ui::out();
        out.line(format_args!("{}: {word}", path.display()))?;
        out.finish()?;
        return Ok(exit);
    }
    refuse_in_worker("install a skill")?;
    match standing {
        Standing::Current => {
            ui::note(format_args!("{} is current", path.display()));
            return Ok(Exit::Success);
        }
        Standing::Other if !args.force => {
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "{} says something else than this cx would; nothing was changed",
                    path.display()
                ),
            )
            .hint("compare it with `cx skill --print`; --force replaces it"));
        }
        Standing::Other => ui::note(format_args!("replaced what was in {}", path.display())),
        Standing::Absent => ui::note(format_args!("wrote {}", path.display())),
    }
    let whole = whole(args.whom, found.as_deref().unwrap_or_default());
    write(&path, &whole).map_err(|e| {
        Failure::internal(format!("cannot write {}: {e}; what was there is kept", path.display()))
    })?;
    Ok(Exit::Success)
}

/// What is to be found in the file, for whom it is.
fn text(whom: Whom) -> String {
    match whom {
        Whom::Codex | Whom::Claude => SKILL.to_owned(),
        // The head is for programs that look skills up by it.
        Whom::AgentsMd => {
            let body = SKILL.splitn(3, "---\n").nth(2).unwrap_or(SKILL);
            format!("{BEGIN}{body}{END}")
        }
    }
}

/// How the file stands to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Absent,
    Current,
    /// An older one, or one that somebody has changed.
    Other,
}

impl Standing {
    fn of(whom: Whom, found: Option<&str>) -> Self {
        let found = match (whom, found) {
            (Whom::AgentsMd, Some(found)) => block(found).map(|(_, block, _)| block),
            (_, found) => found,
        };
        match found {
            None => Self::Absent,
            Some(found) if found == text(whom) => Self::Current,
            Some(_) => Self::Other,
        }
    }
}

/// Our block in an `AGENTS.md`, and what stands before and after it.
fn block(text: &str) -> Option<(&str, &str, &str)> {
    let from = text.find(BEGIN)?;
    let to = from + text.get(from..)?.find(END)? + END.len();
    Some((&text[..from], &text[from..to], &text[to..]))
}

/// The file as it is to be: of an `AGENTS.md` all that is not ours stays.
fn whole(whom: Whom, found: &str) -> String {
    let ours = text(whom);
    if whom != Whom::AgentsMd {
        return ours;
    }
    match block(found) {
        Some((before, _, after)) => format!("{before}{ours}{after}"),
        None if found.is_empty() => ours,
        None => format!("{}\n\n{ours}", found.trim_end()),
    }
}

/// Where it belongs.
fn path(args: &SkillArgs) -> Result<PathBuf, Failure> {
    let session = Session::open()?;
    let (user, own) = match args.whom {
        Whom::Codex => (".codex", "skills/cx/SKILL.md"),
        Whom::Claude => (".claude", "skills/cx/SKILL.md"),
        Whom::AgentsMd => (".codex", "AGENTS.md"),
    };
    if args.user {
        let variable = if user == ".codex" { "CODEX_HOME" } else { "CLAUDE_CONFIG_DIR" };
        let set = std::env::var_os(variable).filter(|value| !value.is_empty());
        let folder = set.map_or_else(|| session.roots.home.join(user), PathBuf::from);
        return Ok(folder.join(own));
    }
    let top = session.top();
    Ok(match args.whom {
        Whom::Codex => top.join(".agents").join(own),
        Whom::Claude => top.join(".claude").join(own),
        Whom::AgentsMd => top.join(own),
    })
}

/// In one step, so that a crash leaves the old file or the new one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let rights = fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(rights).tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_agents_md_only_our_block_is_replaced() {
        let whom = Whom::AgentsMd;
        let first = whole(whom, "# House rules\n");
        assert!(
            first.starts_with("# House rules\n\n<!-- cx skill: begin -->\n# Working"),
            "{first}"
        );
        assert_eq!(Standing::of(whom, Some(&first)), Standing::Current);
        let changed = first.replace("Merge last", "Merge first") + "more\n";
        assert_eq!(Standing::of(whom, Some(&changed)), Standing::Other);
        assert_eq!(whole(whom, &changed), format!("{first}more\n"));
        assert_eq!(Standing::of(whom, Some("# House rules\n")), Standing::Absent);
        assert_eq!(Standing::of(whom, None), Standing::Absent);
    }

    #[test]
    fn the_skill_is_short_and_begins_as_skills_do() {
        assert!(SKILL.starts_with("---\nname: cx\ndescription: "));
        assert!(SKILL.len() < 4000, "{} bytes", SKILL.len());
        assert!(!text(Whom::AgentsMd).contains("description:"));
    }
}
