//! Empty folders that a backend's sandbox leaves in a writer's worktree.
//!
//! codex mounts something over `.git`, `.codex`, `.agents` and `.aws`, and makes them
//! where there are none. It takes them away again, unless it was ended first.
//! Whoever looks at the worktree would wonder whose they are.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders that were not there before the worker was.
pub(super) struct Litter(Vec<PathBuf>);

impl Litter {
    /// `names` in each of `folders`, as far as there is nothing of that name yet.
    pub(super) fn foresee(names: &[&str], folders: &[&Path]) -> Self {
        let all = folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
        Self(all.filter(|path| fs::symlink_metadata(path).is_err()).collect())
    }

    /// Removes those that are there now and empty, as far as they lie in `root`:
    /// a folder above them may have become a link to somewhere else.
    pub(super) fn remove(&self, root: &Path) {
        let Ok(root) = fs::canonicalize(root) else { return };
        for path in &self.0 {
            let inside = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
            if inside.is_some_and(|folder| folder.starts_with(&root)) {
                // Fails for what is no folder or not empty: that is work.
                let _ = fs::remove_dir(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_new_and_empty_folders_in_the_worktree_go() {
        let dir = tempfile::tempdir().expect("folder");
        let root = dir.path().join("tree");
        let sub = root.join("sub");
        let outside = dir.path().join("outside");
        for folder in [&sub, &outside, &root.join("old")] {
            fs::create_dir_all(folder).expect("folder");
        }
        let litter = Litter::foresee(&["old", "new", "full"], &[&root, &sub]);
        for path in ["new", "full/of/work", "sub/new"] {
            fs::create_dir_all(root.join(path)).expect("folder");
        }
        litter.remove(&root);
        assert!(root.join("old").exists() && root.join("full/of/work").exists());
        assert!(!root.join("new").exists() && !sub.join("new").exists());

        fs::remove_dir(&sub).expect("removed");
        symlink(&outside, &sub).expect("linked");
        fs::create_dir(outside.join("new")).expect("folder");
        litter.remove(&root);
        assert!(outside.join("new").exists());
    }
}
