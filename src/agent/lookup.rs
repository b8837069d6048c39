//! Where agents are looked for, and in which order.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use super::places::{entries, is_absent};
use super::{Agent, AgentError, Entry, Places, Source, builtin, foreign, format};

/// A file as it is: where it lies and its bytes.
type Definition = (Source, Cow<'static, [u8]>);

/// Finds the agent `name`. A plain name is that of the repository's own, the
/// person's own or the built-in agent, or else the id of one of another tool; a
/// qualified name is that of one agent. A broken file is an error; it never makes
/// way for the next one.
///
/// # Errors
/// Those of [`AgentError`]; an unknown name comes with the nearest ones.
pub fn find(name: &str, places: &Places) -> Result<Agent, AgentError> {
    if let Some(own) = own_definition(name, places)? {
        return format::markdown::parse(bare(name), &own.1, own.0);
    }
    foreign_entry(name, places)?.agent
}

/// The file that [`find`] would read, as it is: where it lies and its bytes.
///
/// # Errors
/// Those of [`find`], except that one of cx's own files may say anything.
pub fn definition(name: &str, places: &Places) -> Result<Definition, AgentError> {
    if let Some(own) = own_definition(name, places)? {
        return Ok(own);
    }
    let entry = foreign_entry(name, places)?;
    let path = entry.source.path().unwrap_or(Path::new("")).to_owned();
    match fs::read(&path) {
        Ok(bytes) => Ok((entry.source, Cow::Owned(bytes))),
        Err(error) => Err(AgentError::Unreadable { path, error }),
    }
}

/// All that a name may mean: one, or several of other tools with the same id.
///
/// # Errors
/// Those of [`find`], except that an id may be that of several.
pub fn candidates(name: &str, places: &Places) -> Result<Vec<Agent>, AgentError> {
    match find(name, places) {
        Ok(agent) => Ok(vec![agent]),
        Err(AgentError::Ambiguous { .. }) => {
            foreign::named(name, places)?.into_iter().map(|entry| entry.agent).collect()
        }
        Err(error) => Err(error),
    }
}

/// `reviewer` of `cx/reviewer`.
fn bare(name: &str) -> &str {
    name.strip_prefix("cx/").unwrap_or(name)
}

/// The definition of one of cx's own agents, if there is one of this name.
fn own_definition(name: &str, places: &Places) -> Result<Option<Definition>, AgentError> {
    let name = bare(name);
    if !is_name(name) {
        return Ok(None);
    }
    let in_file = file_definition(name, places)?;
    let built_in = || Some((Source::BuiltIn, Cow::Borrowed(builtin::text(name)?.as_bytes())));
    Ok(in_file.or_else(built_in))
}

/// The repository's or the person's own file of this name.
pub(super) fn file_definition(
    name: &str,
    places: &Places,
) -> Result<Option<Definition>, AgentError> {
    let file = format!("{name}.md");
    for (folder, source) in places.own() {
        let path = folder.join(&file);
        match fs::read(&path) {
            Ok(bytes) => return Ok(Some((source(path), Cow::Owned(bytes)))),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(AgentError::Unreadable { path, error }),
        }
    }
    Ok(None)
}

/// The one agent of another tool that a name means.
fn foreign_entry(name: &str, places: &Places) -> Result<Entry, AgentError> {
    let mut found = foreign::named(name, places)?;
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(one), false) => {
            found.push(one);
            let places = found.into_iter().map(|entry| (entry.qualified, entry.source)).collect();
            Err(AgentError::Ambiguous { name: name.to_owned(), places })
        }
        (None, _) if name.strip_prefix("./").unwrap_or(name).split('/').all(is_name) => {
            Err(AgentError::Unknown { name: name.to_owned(), nearest: nearest(name, places) })
        }
        (None, _) => Err(AgentError::BadName(name.to_owned())),
    }
}

/// The names of all agents, each once, in alphabetical order: those of which two
/// have the id are qualified. Opens no agent.
///
/// # Errors
/// [`AgentError::Unreadable`] when one of cx's own folders is there and cannot be
/// read.
pub fn names(places: &Places) -> Result<Vec<String>, AgentError> {
    let mut names: Vec<String> = builtin::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    for (folder, _) in places.own() {
        names.extend(names_in(&folder)?);
    }
    names.extend(foreign::names(places));
    names.sort();
    names.dedup();
    Ok(names)
}

/// Every definition in cx's own three places, in the order in which they count.
pub(super) fn own(places: &Places) -> Result<Vec<Entry>, AgentError> {
    let mut all = Vec::new();
    let entry = |name: &str, source: Source, agent| {
        Entry::new(name.to_owned(), format!("cx/{name}"), source, agent)
    };
    for (folder, source) in places.own() {
        for name in names_in(&folder)? {
            let path = folder.join(format!("{name}.md"));
            let source = source(path.clone());
            let agent = match fs::read(&path) {
                Ok(bytes) => format::markdown::parse(&name, &bytes, source.clone()),
                Err(error) => Err(AgentError::Unreadable { path, error }),
            };
            all.push(entry(&name, source, agent));
        }
    }
    for (name, text) in builtin::ALL {
        let agent = format::markdown::parse(name, text.as_bytes(), Source::BuiltIn);
        all.push(entry(name, Source::BuiltIn, agent));
    }
    Ok(all)
}

/// The names of the agents in one folder. Other files are not agents, and neither
/// is a README.
fn names_in(folder: &Path) -> Result<Vec<String>, AgentError> {
    let mut names = Vec::new();
    for entry in entries(folder)? {
        if let Some(name) = entry.file_name().to_str().and_then(|file| file.strip_suffix(".md"))
            && is_name(name)
            && !name.eq_ignore_ascii_case("readme")
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Whether an agent of this name is part of cx.
pub fn is_built_in(name: &str) -> bool {
    builtin::text(name).is_some()
}

/// Whether `name` can be an agent's. It becomes part of a path, so `/` and a
/// leading `.` are out.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Up to three names that are nearly `name`, the nearest first.
fn nearest(name: &str, places: &Places) -> Vec<String> {
    let wanted = name.to_ascii_lowercase();
    let mut near: Vec<(usize, String)> = names(places)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|known| {
            let lower = known.to_ascii_lowercase();
            let distance = strsim::osa_distance(&wanted, &lower);
            // `review` is five edits away from nothing, and plainly `reviewer`.
            let begins = wanted.len() > 1
                && (lower.starts_with(&wanted) || wanted.starts_with(lower.as_str()));
            (begins || distance * 3 <= wanted.len().max(3)).then_some((distance, known))
        })
        .collect();
    near.sort();
    near.truncate(3);
    near.into_iter().map(|(_, known)| known).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::agent::Catalog;

    use super::*;

    /// Where nothing is but what these two folders have.
    fn places<'a>(checkout: Option<&'a Path>, config_home: &'a Path) -> Places<'a> {
        Places {
            checkout,
            config_home,
            home: config_home,
            agents_dir: None,
            codex_agents_dir: None,
        }
    }

    const OWN: &str = "---\ndescription: of my own\n---\nDo it.\n";

    fn put(root: &Path, file: &str, text: &str) -> PathBuf {
        let path = root.join(file);
        fs::create_dir_all(path.parent().expect("parent")).expect("folders");
        fs::write(&path, text).expect("file");
        path
    }

    #[test]
    fn the_first_of_repository_user_and_built_in_wins() {
        let root = tempfile::tempdir().expect("folder");
        let (checkout, config) = (root.path().join("repo"), root.path().join("config"));
        let folders = places(Some(&checkout), &config);
        assert_eq!(find("coder", &folders).expect("built in").source, Source::BuiltIn);

        let user = put(&config, "cx/agents/coder.md", OWN);
        let found = find("coder", &folders).expect("user's");
        assert_eq!(
            (found.source, found.description.as_str()),
            (Source::User(user.clone()), "of my own")
        );

        let own = put(&checkout, ".cx/agents/coder.md", OWN);
        assert_eq!(find("coder", &folders).expect("own").source, Source::Repository(own));

        let outside = Places { checkout: None, ..folders };
        assert_eq!(find("coder", &outside).expect("user's").source, Source::User(user));
    }

    #[test]
    fn one_lookup_is_not_hurt_by_other_agents_and_a_broken_one_is_not_passed_over() {
        let root = tempfile::tempdir().expect("folder");
        let folders = places(Some(root.path()), root.path());
        let broken = put(root.path(), ".cx/agents/scout.md", "---\nmode: [\n---\n");
        assert!(find("coder", &folders).is_ok());
        let (source, bytes) = definition("scout", &folders).expect("its file");
        assert_eq!(source.path(), Some(broken.as_path()));
        assert_eq!(bytes.as_ref(), b"---\nmode: [\n---\n");
        let error = find("scout", &folders).expect_err("broken").to_string();
        assert!(error.starts_with(&format!("{}:", broken.display())), "{error}");
        // A folder of that name is no agent either.
        fs::create_dir(root.path().join(".cx/agents/docs.md")).expect("folder");
        assert!(matches!(find("docs", &folders), Err(AgentError::Unreadable { .. })));
    }

    #[test]
    fn a_listing_has_all_of_them_and_says_who_is_shadowed() {
        let root = tempfile::tempdir().expect("folder");
        let (checkout, config) = (root.path().join("repo"), root.path().join("config"));
        let folders = places(Some(&checkout), &config);
        let own = put(&checkout, ".cx/agents/coder.md", OWN);
        let user = put(&config, "cx/agents/coder.md", OWN);
        put(&config, "cx/agents/zebra.md", "no front matter");
        put(&config, "cx/agents/notes.txt", "not an agent");
        put(&config, "cx/agents/README.md", "not an agent");

        let listed = Catalog::load(&folders).expect("lists");
        let coders: Vec<_> = listed
            .entries()
            .iter()
            .filter(|entry| entry.name == "coder")
            .map(|entry| (entry.source.clone(), entry.shadowed_by.clone()))
            .collect();
        let own = Source::Repository(own);
        assert_eq!(
            coders,
            [
                (own.clone(), None),
                (Source::User(user), Some(own.clone())),
                (Source::BuiltIn, Some(own)),
            ]
        );
        assert_eq!(listed.entries().len(), builtin::ALL.len() + 3);
        let last = listed.entries().last().expect("zebra");
        assert!(last.name == "zebra" && last.agent.is_err());
        assert_eq!(names(&folders).expect("names").len(), builtin::ALL.len() + 1);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let root = tempfile::tempdir().expect("folder");
        let folders = places(None, root.path());
        put(root.path(), "cx/agents/auditor.md", "never parsed");
        for (wrong, nearest) in [
            ("review", vec!["reviewer"]),
            ("Coder", vec!["coder"]),
            ("aduitor", vec!["auditor"]),
            ("xylophone", vec![]),
        ] {
            match find(wrong, &folders) {
                Err(AgentError::Unknown { nearest: found, .. }) => {
                    assert_eq!(found, nearest, "{wrong}");
                }
                other => panic!("{wrong}: {other:?}"),
            }
        }
        let error = find("review", &folders).expect_err("unknown");
        assert_eq!(error.to_string(), "there is no agent 'review'");
        assert_eq!(
            error.hint().as_deref(),
            Some("did you mean 'reviewer'? `cx agents list` shows all")
        );
    }

    #[test]
    fn a_name_is_never_a_path() {
        let root = tempfile::tempdir().expect("folder");
        put(root.path(), "cx/secret.md", OWN);
        let folders = places(None, root.path());
        assert!(matches!(find("a/b", &folders), Err(AgentError::Unknown { .. })));
        for name in
            ["../secret", "", ".hidden", "a//b", "/secret", "cx/../secret", "-t", "a b", "ä"]
        {
            assert!(matches!(find(name, &folders), Err(AgentError::BadName(_))), "{name}");
        }
    }
}
