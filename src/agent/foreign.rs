//! The agents of other tools, where they lie: one bundle, Claude Code's, Codex's.
//!
//! In a bundle an agent is what its path says: `DOMAIN/[SUBDOMAIN/]ID.codex.yaml`.
//! Claude Code's and Codex's are what their files call themselves; of two with one
//! name the checkout's comes before the person's, as with these tools themselves.

use std::fs;
use std::path::{Path, PathBuf};

use super::places::{entries, is_absent};
use super::{Agent, AgentError, Entry, Places, Source, format};

/// The bundle that counts, and its files.
#[derive(Debug)]
pub(super) struct Bundle {
    /// The folder.
    pub(super) root: PathBuf,
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    id: String,
    qualified: String,
    path: PathBuf,
}

/// How deep a bundle and the folders of other tools are looked through.
const DEPTH: u32 = 4;

impl Bundle {
    /// The first that there is of `--agents-dir`, `$CODEX_AGENTS_DIR`,
    /// `~/.codex/agents`, and `codex/agents` of the checkout. One that somebody
    /// has named has to be there.
    pub(super) fn find(places: &Places) -> Result<Option<Self>, AgentError> {
        let named = places.agents_dir.map(|path| ("--agents-dir", path));
        let named = named.or(places.codex_agents_dir.map(|path| ("CODEX_AGENTS_DIR", path)));
        if let Some((from, path)) = named {
            return match Self::at(path.to_owned())? {
                Some(bundle) => Ok(Some(bundle)),
                None => Err(AgentError::NoBundle { from, path: path.to_owned() }),
            };
        }
        let usual = [
            Some(places.home.join(".codex/agents")),
            places.checkout.map(|root| root.join("codex/agents")),
        ];
        for path in usual.into_iter().flatten() {
            if let Some(bundle) = Self::at(path)? {
                return Ok(Some(bundle));
            }
        }
        Ok(None)
    }

    fn at(root: PathBuf) -> Result<Option<Self>, AgentError> {
        let mut paths = Vec::new();
        walk(&root, &["yaml", "yml"], DEPTH, &mut paths)?;
        let files: Vec<File> = paths.into_iter().filter_map(|path| File::of(&root, path)).collect();
        let there = !files.is_empty() || root.join("index.json").is_file();
        Ok(there.then_some(Self { root, files }))
    }

    /// Every agent in it.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.files.iter().map(File::entry).collect()
    }

    /// Those with this id, or with this qualified name.
    pub(super) fn named(&self, name: &str) -> Vec<Entry> {
        let found = |file: &&File| file.id == name || file.qualified == name;
        self.files.iter().filter(found).map(File::entry).collect()
    }

    /// Whether it has an agent of this qualified name.
    pub(super) fn has(&self, qualified: &str) -> bool {
        self.files.iter().any(|file| file.qualified == qualified)
    }

    /// Ids, or qualified names where two have the id.
    fn names(&self) -> impl Iterator<Item = String> {
        self.files.iter().map(|file| {
            let is_alone = self.files.iter().filter(|other| other.id == file.id).count() == 1;
            if is_alone { file.id.clone() } else { file.qualified.clone() }
        })
    }
}

impl File {
    fn of(root: &Path, path: PathBuf) -> Option<Self> {
        let inside = path.strip_prefix(root).ok()?.to_str()?;
        let bare = inside.strip_suffix(".yaml").or_else(|| inside.strip_suffix(".yml"))?;
        let bare = bare.strip_suffix(".codex").unwrap_or(bare).to_owned();
        Some(match bare.rsplit_once('/') {
            Some((_, id)) => Self { id: id.to_owned(), qualified: bare, path },
            None => Self { qualified: format!("./{bare}"), id: bare, path },
        })
    }

    fn entry(&self) -> Entry {
        let source = Source::Bundle(self.path.clone());
        let agent = match fs::read(&self.path) {
            Ok(bytes) => format::bundle::parse(&self.id, &self.qualified, &bytes, source.clone()),
            Err(error) => Err(AgentError::Unreadable { path: self.path.clone(), error }),
        };
        Entry::new(self.id.clone(), self.qualified.clone(), source, agent)
    }
}

/// Makes a source of a file.
type Place = fn(PathBuf) -> Source;

/// Reads one file of another tool.
type Parse = fn(&str, &[u8], Source) -> Result<Agent, AgentError>;

/// The agents of Claude Code and of Codex.
pub(super) fn others(places: &Places) -> Result<Vec<Entry>, AgentError> {
    let mut all = family(places, ".claude/agents", "md", Source::Claude, format::claude::parse)?;
    all.extend(family(places, ".codex/agents", "toml", Source::Codex, format::codex::parse)?);
    Ok(all)
}

fn family(
    places: &Places,
    folder: &str,
    ending: &str,
    source: Place,
    parse: Parse,
) -> Result<Vec<Entry>, AgentError> {
    let mut all: Vec<Entry> = Vec::new();
    // Where the checkout is the home itself, it is one folder.
    let checkout = places.checkout.filter(|root| *root != places.home);
    for root in [checkout, Some(places.home)].into_iter().flatten() {
        let before = all.len();
        let mut paths = Vec::new();
        walk(&root.join(folder), &[ending], DEPTH, &mut paths)?;
        for path in paths {
            let Some(mut entry) = other_entry(&path, source, parse) else { continue };
            let nearer = all.get(..before).unwrap_or_default();
            entry.hidden_by = nearer
                .iter()
                .find(|other| other.name == entry.name)
                .map(|other| other.source.clone());
            all.push(entry);
        }
    }
    Ok(all)
}

/// One file of Claude Code or Codex; a README is none.
fn other_entry(path: &Path, source: Place, parse: Parse) -> Option<Entry> {
    let stem = path.file_stem()?.to_str()?;
    if stem.eq_ignore_ascii_case("readme") {
        return None;
    }
    let place = source(path.to_owned());
    let agent = match fs::read(path) {
        Ok(bytes) => parse(stem, &bytes, place.clone()),
        Err(error) => Err(AgentError::Unreadable { path: path.to_owned(), error }),
    };
    let name = agent.as_ref().map_or(stem, |agent| agent.name.as_str()).to_owned();
    let qualified = format!("{}/{name}", place.kind());
    Some(Entry::new(name, qualified, place, agent))
}

/// Reads one file by its ending: of a bundle, of Codex, or Markdown, which is Claude
/// Code's where it lies below `.claude/`, else cx's own.
///
/// # Errors
/// Those of [`AgentError`].
pub fn read_file(path: &Path) -> Result<Agent, AgentError> {
    let bytes =
        fs::read(path).map_err(|error| AgentError::Unreadable { path: path.to_owned(), error })?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let at = path.to_owned();
    match path.extension().and_then(|ending| ending.to_str()).unwrap_or_default() {
        "yaml" | "yml" => {
            let id = stem.strip_suffix(".codex").unwrap_or(stem);
            format::bundle::parse(id, id, &bytes, Source::Bundle(at))
        }
        "toml" => format::codex::parse(stem, &bytes, Source::Codex(at)),
        _ if path.components().any(|part| part.as_os_str() == ".claude") => {
            format::claude::parse(stem, &bytes, Source::Claude(at))
        }
        _ => format::markdown::parse(stem, &bytes, Source::User(at)),
    }
}

/// Reads a folder of another tool's agents, whichever tool that is: everything in it
/// that has the shape of one.
///
/// # Errors
/// [`AgentError::Unreadable`], [`AgentError::NoBundle`] where there is none.
pub fn read_folder(root: &Path) -> Result<Vec<Entry>, AgentError> {
    let mut all = Bundle::at(root.to_owned())?.map(|bundle| bundle.entries()).unwrap_or_default();
    super::registry::lay(root, &mut all);
    if all.is_empty() {
        let shapes: [(&str, Place, Parse); 2] = [
            ("md", Source::Claude, format::claude::parse),
            ("toml", Source::Codex, format::codex::parse),
        ];
        for (ending, source, parse) in shapes {
            let mut paths = Vec::new();
            walk(root, &[ending], DEPTH, &mut paths)?;
            all.extend(paths.iter().filter_map(|path| other_entry(path, source, parse)));
        }
    }
    if all.is_empty() {
        return Err(AgentError::NoBundle { from: "the folder", path: root.to_owned() });
    }
    Ok(all)
}

/// Every agent of another tool.
pub(super) fn all(places: &Places) -> Result<(Option<Bundle>, Vec<Entry>), AgentError> {
    let bundle = Bundle::find(places)?;
    let mut entries = bundle.as_ref().map(Bundle::entries).unwrap_or_default();
    entries.extend(others(places)?);
    Ok((bundle, entries))
}

/// Those that a name reaches: an id, or a qualified name.
pub(super) fn named(name: &str, places: &Places) -> Result<Vec<Entry>, AgentError> {
    let mut found = match Bundle::find(places)? {
        Some(bundle) => bundle.named(name),
        None => Vec::new(),
    };
    found.extend(others(places)?.into_iter().filter(|entry| {
        entry.hidden_by.is_none() && (entry.name == name || entry.qualified == name)
    }));
    Ok(found)
}

/// Names for completions and suggestions, by the files' names alone.
pub(super) fn names(places: &Places) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(Some(bundle)) = Bundle::find(places) {
        names.extend(bundle.names());
    }
    for (folder, ending) in [(".claude/agents", "md"), (".codex/agents", "toml")] {
        for root in [places.checkout, Some(places.home)].into_iter().flatten() {
            let mut paths = Vec::new();
            let _ = walk(&root.join(folder), &[ending], DEPTH, &mut paths);
            names.extend(
                paths.iter().filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)),
            );
        }
    }
    names
}

/// The files below a folder with one of these endings, by name; hidden ones are
/// passed over.
fn walk(
    folder: &Path,
    endings: &[&str],
    depth: u32,
    found: &mut Vec<PathBuf>,
) -> Result<(), AgentError> {
    for entry in entries(folder)? {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // A link that leads nowhere.
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(AgentError::Unreadable { path, error }),
        };
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if metadata.is_dir() {
            if depth > 1 {
                walk(&path, endings, depth - 1, found)?;
            }
        } else if endings.contains(&ending) {
            found.push(path);
        }
    }
    Ok(())
}
