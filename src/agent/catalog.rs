//! All agents that there are.

use std::path::Path;

use super::lookup::own;
use super::registry::{Flaw, lay};
use super::{Agent, AgentError, Places, Source, foreign};

/// All agents that there are, those of other tools included.
#[derive(Debug, Default)]
pub struct Catalog {
    entries: Vec<Entry>,
    bundle: Option<std::path::PathBuf>,
    flaws: Vec<Flaw>,
}

/// One definition.
#[derive(Debug)]
pub struct Entry {
    /// The id.
    pub name: String,
    /// The name that is its own even where two have the same id.
    pub qualified: String,
    /// Where it lies.
    pub source: Source,
    /// The agent, or what is wrong with its file.
    pub agent: Result<Agent, AgentError>,
    /// The one that its plain name reaches in its place, where one comes first.
    pub shadowed_by: Option<Source>,
    /// The one in whose place nothing reaches it: of the same name, from the same
    /// tool, and nearer.
    pub hidden_by: Option<Source>,
    /// Others of this id where none comes first: the plain name is an error.
    pub rivals: Vec<(String, Source)>,
}

impl Entry {
    pub(super) fn new(
        name: String,
        qualified: String,
        source: Source,
        agent: Result<Agent, AgentError>,
    ) -> Self {
        Self {
            name,
            qualified,
            source,
            agent,
            shadowed_by: None,
            hidden_by: None,
            rivals: Vec::new(),
        }
    }

    /// The name that reaches it: the plain one where that does.
    pub fn handle(&self) -> &str {
        let plain = self.shadowed_by.is_none() && self.rivals.is_empty();
        if plain { &self.name } else { &self.qualified }
    }

    /// Whether no name reaches it.
    pub fn is_hidden(&self) -> bool {
        self.hidden_by.is_some() || (self.source.is_own() && self.shadowed_by.is_some())
    }
}

impl Catalog {
    /// Reads all definitions. One that is broken is an entry with an error.
    ///
    /// # Errors
    /// [`AgentError::Unreadable`] when a folder is there and cannot be read,
    /// [`AgentError::NoBundle`] when one that was named holds no agents.
    pub fn load(places: &Places) -> Result<Self, AgentError> {
        let mut entries = own(places)?;
        let (bundle, foreign) = foreign::all(places)?;
        entries.extend(foreign);
        let bundle = bundle.map(|bundle| bundle.root);
        let flaws = bundle.as_deref().map(|root| lay(root, &mut entries)).unwrap_or_default();
        // Stable: agents of one name stay in the order in which they count.
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for same in entries.chunk_by_mut(|a, b| a.name == b.name) {
            rank(same);
        }
        Ok(Self { entries, bundle, flaws })
    }

    /// Every definition, by name and then in the order in which they count; also
    /// those that another one shadows, and those that are broken.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every agent that some name reaches.
    pub fn iter(&self) -> impl Iterator<Item = &Agent> {
        self.usable().map(|(_, agent)| agent)
    }

    /// The same, each with the name that reaches it.
    pub fn usable(&self) -> impl Iterator<Item = (&str, &Agent)> {
        self.entries
            .iter()
            .filter(|entry| !entry.is_hidden())
            .filter_map(|entry| Some((entry.handle(), entry.agent.as_ref().ok()?)))
    }

    /// The bundle that counts.
    pub fn bundle(&self) -> Option<&Path> {
        self.bundle.as_deref()
    }

    /// What is wrong with files beside the definitions.
    pub fn flaws(&self) -> &[Flaw] {
        &self.flaws
    }
}

/// Says of definitions of one name which comes first, or that none does.
fn rank(same: &mut [Entry]) {
    let places: Vec<(String, Source, bool)> = same
        .iter()
        .map(|entry| (entry.qualified.clone(), entry.source.clone(), entry.hidden_by.is_some()))
        .collect();
    let own = places.iter().find(|(_, source, _)| source.is_own()).map(|(_, source, _)| source);
    for entry in same {
        if let Some(first) = own {
            entry.shadowed_by = (*first != entry.source).then(|| first.clone());
        } else if let Some(first) = &entry.hidden_by {
            entry.shadowed_by = Some(first.clone());
        } else {
            entry.rivals = places
                .iter()
                .filter(|(_, source, hidden)| *source != entry.source && !hidden)
                .map(|(qualified, source, _)| (qualified.clone(), source.clone()))
                .collect();
        }
    }
}
