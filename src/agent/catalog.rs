//! All agents that there are.

use super::lookup::own;
use super::{Agent, AgentError, Places, Source};

/// All agents that there are, those of other tools included.
#[derive(Debug, Default)]
pub struct Catalog {
    entries: Vec<Entry>,
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
    /// The one that its plain name reaches in its place, where it is another.
    pub shadowed_by: Option<Source>,
}

impl Catalog {
    /// Reads all definitions. One that is broken is an entry with an error.
    ///
    /// # Errors
    /// [`AgentError::Unreadable`] when a folder is there and cannot be read,
    /// [`AgentError::NoBundle`] when one that was named holds no agents.
    pub fn load(places: &Places) -> Result<Self, AgentError> {
        let mut entries = own(places)?;
        // Stable: agents of one name stay in the order in which they count.
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut first: Option<(String, Source)> = None;
        for entry in &mut entries {
            match &first {
                Some((name, source)) if *name == entry.name => {
                    entry.shadowed_by = Some(source.clone());
                }
                _ => first = Some((entry.name.clone(), entry.source.clone())),
            }
        }
        Ok(Self { entries })
    }

    /// Every definition, by name and then in the order in which they count; also
    /// those that another one shadows, and those that are broken.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every agent that can be used: by its plain name, or by its qualified one.
    pub fn iter(&self) -> impl Iterator<Item = &Agent> {
        self.entries
            .iter()
            .filter(|entry| entry.shadowed_by.is_none() || !entry.source.is_own())
            .filter_map(|entry| entry.agent.as_ref().ok())
    }
}
