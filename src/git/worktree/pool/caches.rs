//! Caches that stay in a tree of the pool: folders that builds fill, and that git ignores.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path};

use super::Rules;

/// Caches by the file that lies beside them. None of them minds that the tree is
/// renamed; what holds absolute paths of itself (a Python `.venv`, CMake's `build`) is no
/// cache for another folder.
const BY_PROJECT: [(&str, &[&str]); 10] = [
    ("Cargo.toml", &["target"]),
    ("package.json", &["node_modules"]),
    ("pom.xml", &["target"]),
    ("build.gradle", &[".gradle", "build"]),
    ("build.gradle.kts", &[".gradle", "build"]),
    ("mix.exs", &["_build", "deps"]),
    ("composer.json", &["vendor"]),
    ("build.zig", &[".zig-cache"]),
    ("pyproject.toml", &[".mypy_cache", ".ruff_cache"]),
    ("setup.py", &[".mypy_cache", ".ruff_cache"]),
];

/// Which folders are caches.
pub(super) enum Names<'a> {
    /// Those of these names or paths.
    Said(&'a [String]),
    /// By kind of project.
    Known,
}

impl<'a> Names<'a> {
    pub(super) fn of(rules: &'a Rules) -> Self {
        rules.keep.as_deref().map_or(Self::Known, Self::Said)
    }

    /// Whether the folder `path` (relative) of `tree` has the name of a cache.
    pub(super) fn has(&self, tree: &Path, path: &Path) -> bool {
        let Some(name) = path.file_name() else { return false };
        match self {
            Self::Said(names) => names.iter().any(|said| {
                let said = said.trim_end_matches('/');
                match said.strip_prefix("./").or(said.strip_prefix('/')) {
                    Some(rest) => path == Path::new(rest),
                    None if said.contains('/') => path == Path::new(said),
                    None => name == said,
                }
            }),
            Self::Known => BY_PROJECT.iter().any(|(mark, names)| {
                names.iter().any(|known| name == *known)
                    && tree.join(path).with_file_name(mark).is_file()
            }),
        }
    }

    /// Whether there is one at the root, or where it was said to be.
    pub(super) fn any_at_root(&self, tree: &Path) -> bool {
        let is_one = |name: &str| {
            let name = Path::new(name.trim_start_matches('/'));
            is_folder(&tree.join(name)) && self.has(tree, name)
        };
        match self {
            Self::Said(names) => names.iter().any(|name| is_one(name)),
            Self::Known => BY_PROJECT.iter().flat_map(|(_, names)| *names).any(|name| is_one(name)),
        }
    }
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// What the cache at `path` (relative) of `tree` takes on disk; none where it may not be handed on:
/// where something in it leads out of the tree, is somebody else's, or is no file.
pub(super) fn size(tree: &Path, path: &Path, owner: u32) -> io::Result<Option<u64>> {
    let mut bytes = 0;
    let mut pending = vec![path.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(tree.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let meta = entry.metadata()?;
            let kind = meta.file_type();
            let is_strange = kind.is_fifo()
                || kind.is_socket()
                || kind.is_block_device()
                || kind.is_char_device()
                || meta.uid() != owner
                || (kind.is_file() && meta.mode() & 0o6000 != 0);
            if is_strange || (kind.is_symlink() && leads_out(&path, &fs::read_link(entry.path())?))
            {
                return Ok(None);
            }
            if kind.is_dir() {
                bytes += meta.blocks() * 512;
                pending.push(path);
            } else {
                // A file of several names counts once, about.
                bytes += meta.blocks() * 512 / meta.nlink().max(1);
            }
        }
    }
    Ok(Some(bytes))
}

/// Whether a link at `path` (relative to the tree) to `target` may lead out of the tree.
fn leads_out(path: &Path, target: &Path) -> bool {
    let mut above = path.components().count().saturating_sub(1);
    let mut is_below = false;
    for part in target.components() {
        match part {
            Component::Normal(_) => is_below = true,
            Component::CurDir => {}
            // Up from what is a link itself could be anywhere.
            Component::ParentDir if above > 0 && !is_below => above -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_out_or_not() {
        let out = |path: &str, target: &str| leads_out(Path::new(path), Path::new(target));
        assert!(!out("node_modules/.bin/tsc", "../typescript/bin/tsc"));
        assert!(!out("target/a", "../src/lib.rs"));
        assert!(out("target/a", "../../other/x"));
        assert!(out("target/a", "/etc/passwd"));
        assert!(out("target/a", "b/../../c"), "b may be a link");
    }

    #[test]
    fn names_are_of_folders_anywhere_and_paths_are_from_the_root() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir_all(tree.path().join("web")).unwrap();
        fs::write(tree.path().join("web/package.json"), "{}").unwrap();
        let said = ["out".to_owned(), "a/cache/".to_owned(), "/top".to_owned()];
        let has = |names: &Names, path: &str| names.has(tree.path(), Path::new(path));
        let names = Names::Said(&said);
        assert!(has(&names, "out") && has(&names, "deep/out") && has(&names, "a/cache"));
        assert!(has(&names, "top") && !has(&names, "deep/top") && !has(&names, "b/a/cache"));
        assert!(has(&Names::Known, "web/node_modules") && !has(&Names::Known, "node_modules"));
    }
}
