//! The backends that there are: those that are part of cx, those that the
//! configuration defines, and the ready ones. The nearest definition counts whole.

use std::path::PathBuf;

use crate::{
    backend::{self, Backend, Family},
    config::BackendTable,
    failure::Failure,
    job::BackendName,
};

/// Where a backend is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Whence {
    /// It is part of cx.
    BuiltIn,
    /// A definition that comes with cx.
    Ready,
    /// A file, and the line there.
    File(PathBuf, u64),
}

/// The definitions of the configuration.
#[derive(Debug, Default)]
pub(in crate::commands) struct Catalog {
    /// The nearest file's first.
    defined: Vec<(Backend, Whence)>,
}

impl Catalog {
    /// Reads the definitions; `notes` gets the keys in them that do nothing.
    pub(in crate::commands) fn read(
        tables: &[BackendTable],
        notes: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        let mut defined = Vec::new();
        for table in tables {
            let file = table.origin.path().display();
            let definition =
                backend::define(&table.name, &table.node).map_err(|(line, problem)| {
                    Failure::usage(format!("{file}:{line}: {problem}; nothing was started"))
                        .hint("`cx man backends` lists every key")
                })?;
            notes.extend(definition.unknown.iter().map(|unknown| {
                let near = unknown.nearest.as_ref();
                let near =
                    near.map(|near| format!(" (did you mean '{near}'?)")).unwrap_or_default();
                format!(
                    "{file}:{}: there is no key '{}', so it does nothing{near}",
                    unknown.line, unknown.key
                )
            }));
            let mut command = definition.command;
            if let Some(program) = command.argv.first_mut() {
                *program = table.located(program).to_string_lossy().into_owned();
            }
            let family = Family::Command(Box::new(command));
            let whence = Whence::File(table.origin.path().to_owned(), table.name.line);
            defined.push((Backend { name: definition.name, family }, whence));
        }
        Ok(Self { defined })
    }

    /// What a name stands for, and where that is said.
    pub(in crate::commands) fn find(&self, name: BackendName) -> Option<(Backend, Whence)> {
        if let Some(backend) = Backend::built_in(name) {
            return Some((backend, Whence::BuiltIn));
        }
        let defined = self.defined.iter().find(|(backend, _)| backend.name == name);
        defined.cloned().or_else(|| Some((backend::ready(name)?, Whence::Ready)))
    }

    /// Whether the configuration defines it.
    pub(in crate::commands) fn is_defined(&self, name: BackendName) -> bool {
        self.defined.iter().any(|(backend, _)| backend.name == name)
    }

    /// Every name, in the order in which they are listed.
    pub(in crate::commands) fn names(&self) -> Vec<BackendName> {
        let mut names = BackendName::BUILT_IN.to_vec();
        let defined = self.defined.iter().map(|(backend, _)| backend.name);
        for name in defined.chain(backend::ready_names()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}
