//! Trust in what a repository's own files want run, as direnv has it.
//!
//! What is trusted is a [`Claim`]: these commands, from this file, in this
//! repository. Any other word in a command, or the same in another place, is
//! another claim. Trust covers the words of a command, not the programs and
//! scripts that it calls.
//!
//! One file for each claim in `<state home>/cx/trust/`, named after its hash. The
//! name is what counts; what stands in it is for people. It is written beside and
//! renamed, so a crash leaves a claim trusted or not.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What a repository's own file wants run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    place: PathBuf,
    file: String,
    commands: Vec<(String, String)>,
}

impl Claim {
    /// The claim of a `file` (named from the checkout's root) in the repository
    /// whose common folder is `place`. A command is a key and its value as JSON,
    /// so that no two commands read alike; their order does not count.
    ///
    /// # Errors
    /// Where `place` cannot be resolved.
    pub fn new(
        place: &Path,
        file: impl Into<String>,
        mut commands: Vec<(String, String)>,
    ) -> io::Result<Self> {
        commands.sort();
        Ok(Self { place: fs::canonicalize(place)?, file: file.into(), commands })
    }

    /// The repository's common folder, without links.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The file, from the checkout's root.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Keys and their values as JSON, by key.
    pub fn commands(&self) -> &[(String, String)] {
        &self.commands
    }

    /// Its hash: SHA-256 over a version and every part with its length in front.
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"cx trust 1\n");
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.place.as_os_str().as_bytes());
        part(self.file.as_bytes());
        for (key, value) in &self.commands {
            part(key.as_bytes());
            part(value.as_bytes());
        }
        format!("{:x}", hash.finalize())
    }
}

/// What a person has trusted.
#[derive(Clone, Debug)]
pub struct Trust {
    folder: PathBuf,
}

/// Why trust cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The state folder does not let it be written.
    #[error("cannot remember trust in {}: {error}", path.display())]
    Remember {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The state folder does not let it be taken away.
    #[error("cannot take trust back, {} stays: {error}", path.display())]
    Revoke {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl TrustError {
    /// What helps, where this module knows it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Remember { .. } => None,
            Self::Revoke { path, .. } => Some(format!("`rm {}`", path.display())),
        }
    }
}

impl Trust {
    /// The trust kept below `state_home` (`~/.local/state`). Touches nothing yet.
    pub fn open(state_home: &Path) -> Self {
        Self { folder: state_home.join("cx/trust") }
    }

    /// Whether exactly this was trusted. What cannot be found out was not.
    pub fn is_trusted(&self, claim: &Claim) -> bool {
        fs::symlink_metadata(self.file(claim)).is_ok_and(|found| found.is_file())
    }

    /// Remembers `claim`. Folders that it makes are 0700, the file is 0600.
    ///
    /// # Errors
    /// [`TrustError::Remember`]; nothing is trusted then that was not before.
    pub fn trust(&self, claim: &Claim) -> Result<(), TrustError> {
        let path = self.file(claim);
        let failed = |error| TrustError::Remember { path: path.clone(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let commands: serde_json::Map<_, _> = claim
            .commands
            .iter()
            .map(|(key, value)| (key.clone(), serde_json::from_str(value).unwrap_or_default()))
            .collect();
        let place = claim.place.to_string_lossy();
        let note = serde_json::json!({
            "v": 1, "place": place, "file": claim.file, "commands": commands
        });
        // 0600 from its first moment.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(failed)?;
        writeln!(file, "{note:#}").map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Forgets `claim`; says whether it was trusted.
    ///
    /// # Errors
    /// [`TrustError::Revoke`]: it is still trusted.
    pub fn revoke(&self, claim: &Claim) -> Result<bool, TrustError> {
        let path = self.file(claim);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(false)
            }
            Err(error) => Err(TrustError::Revoke { path, error }),
        }
    }

    fn file(&self, claim: &Claim) -> PathBuf {
        self.folder.join(claim.digest())
    }
}

/// JSON with every character escaped that a terminal obeys or does not show: what
/// a person is asked to trust must not look like something else.
pub fn visible(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}')
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
            || matches!(c, '\u{e0000}'..='\u{e0fff}' | '\u{fe00}'..='\u{fe0f}');
        if hidden {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn claim(place: &Path, file: &str, commands: &[(&str, &str)]) -> Claim {
        let owned = commands.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Claim::new(place, file, owned).expect("place")
    }

    #[test]
    fn trust_is_in_these_words_from_this_file_in_this_place() {
        let root = tempfile::tempdir().expect("folder");
        let (here, there) = (root.path().join("a"), root.path().join("b"));
        fs::create_dir(&here).expect("folder");
        fs::create_dir(&there).expect("folder");
        let trust = Trust::open(&root.path().join("state"));
        let setup = [("worktree.setup", "\"make\"")];
        let trusted = claim(&here, ".cx/config.toml", &setup);

        assert!(!trust.is_trusted(&trusted));
        trust.trust(&trusted).expect("remembers");
        trust.trust(&trusted).expect("remembers again");
        assert!(trust.is_trusted(&trusted));

        for other in [
            claim(&there, ".cx/config.toml", &setup),
            claim(&here, ".cx/other.toml", &setup),
            claim(&here, ".cx/config.toml", &[("worktree.setup", "\"make all\"")]),
            claim(&here, ".cx/config.toml", &[("codex.program", "\"make\"")]),
            claim(&here, ".cx/config.toml", &[setup[0], ("codex.program", "\"x\"")]),
            claim(&here, ".cx/config.toml", &[("worktree.setup\"make\"", "")]),
            claim(&here, ".cx/config.toml", &[]),
        ] {
            assert!(!trust.is_trusted(&other), "{other:?}");
        }

        assert!(trust.revoke(&trusted).expect("forgets"));
        assert!(!trust.is_trusted(&trusted));
        assert!(!trust.revoke(&trusted).expect("was not there"));
    }

    #[test]
    fn a_link_to_the_place_is_the_place_and_order_does_not_count() {
        let root = tempfile::tempdir().expect("folder");
        let (real, link) = (root.path().join("real"), root.path().join("link"));
        fs::create_dir(&real).expect("folder");
        symlink(&real, &link).expect("link");
        let one = claim(&real, "f", &[("a", "1"), ("b", "2")]);
        assert_eq!(one, claim(&link, "f", &[("b", "2"), ("a", "1")]));
        assert!(Claim::new(&root.path().join("none"), "f", Vec::new()).is_err());
    }

    #[test]
    fn nobody_else_can_look_and_nothing_else_is_left() {
        let root = tempfile::tempdir().expect("folder");
        let trust = Trust::open(&root.path().join("state"));
        let claim = claim(root.path(), "f", &[("a", "[\"b\",\"c\"]")]);
        trust.trust(&claim).expect("remembers");

        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let files: Vec<_> = fs::read_dir(&trust.folder).expect("lists").flatten().collect();
        assert_eq!(files.len(), 1);
        assert_eq!(mode(&files[0].path()), 0o600);
        assert_eq!(mode(&trust.folder), 0o700);
        assert_eq!(mode(&root.path().join("state/cx")), 0o700);
        let note: serde_json::Value =
            serde_json::from_slice(&fs::read(files[0].path()).expect("reads")).expect("JSON");
        assert_eq!(note["commands"], serde_json::json!({"a": ["b", "c"]}));
    }

    #[test]
    fn a_state_folder_that_cannot_be_written_is_named() {
        let root = tempfile::tempdir().expect("folder");
        let file = root.path().join("state");
        fs::write(&file, "a file").expect("file");
        let trust = Trust::open(&file);
        let claim = claim(root.path(), "f", &[("a", "1")]);
        let error = trust.trust(&claim).expect_err("no folder").to_string();
        assert!(
            error.starts_with(&format!("cannot remember trust in {}", file.display())),
            "{error}"
        );
        assert!(!trust.is_trusted(&claim));
        assert!(!trust.revoke(&claim).expect("nothing there"));
    }
}
