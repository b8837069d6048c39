//! How the person's git is configured to merge into a branch: `merge.ff`,
//! `merge.verifySignatures`, `commit.gpgSign`, `commit.cleanup`, and
//! `branch.NAME.mergeOptions`, which counts more, as it does for `git merge`.

use super::{MergeError, Style};
use crate::git::settings::boolean;
use crate::git::{GitError, Oid, Place, Repo};

/// What git is configured to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Where it says something about that.
    pub style: Option<Style>,
    /// Whether commits are signed.
    pub sign: bool,
    /// Whether only branches whose last commit has a good signature are merged.
    pub verify_signatures: bool,
    /// Not to run the hooks that can say no.
    pub no_verify: bool,
    /// What becomes of messages.
    pub cleanup: Cleanup,
}

/// `commit.cleanup`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cleanup {
    /// Comments go where a person has edited the message, blank lines always.
    #[default]
    Default,
    /// Comments go always.
    Strip,
    /// Comments stay.
    Whitespace,
    /// All stays as it is.
    Verbatim,
    /// All below a line with scissors goes where a person has edited the message.
    Scissors,
}

impl Wishes {
    /// Reads what is configured for merges into `branch`.
    ///
    /// # Errors
    /// Where it asks for what would give another result than [`super::plan()`].
    pub fn read(repo: &Repo, branch: &str) -> Result<Self, MergeError> {
        let mut wishes = Self::default();
        let mut options = None;
        let own = format!("branch.{branch}.mergeoptions");
        for (key, value) in repo.settings()?.all() {
            let value = value.map(String::from_utf8_lossy);
            let value = value.as_deref();
            match key {
                "merge.ff" if value == Some("only") => wishes.style = Some(Style::FfOnly),
                "merge.ff" if is_true(key, value)? => wishes.style = Some(Style::Merge),
                "merge.ff" => wishes.style = Some(Style::NoFf),
                "merge.verifysignatures" => wishes.verify_signatures = is_true(key, value)?,
                "commit.gpgsign" => wishes.sign = is_true(key, value)?,
                "commit.cleanup" => wishes.cleanup = Cleanup::parse(value.unwrap_or_default())?,
                _ if key == own => options = value.map(str::to_owned),
                _ => {}
            }
        }
        for option in options.unwrap_or_default().split_whitespace() {
            wishes.option(option, branch)?;
        }
        Ok(wishes)
    }

    /// One of `branch.NAME.mergeOptions`.
    fn option(&mut self, option: &str, branch: &str) -> Result<(), MergeError> {
        match option {
            "--ff" => self.style = Some(Style::Merge),
            "--no-ff" => self.style = Some(Style::NoFf),
            "--ff-only" => self.style = Some(Style::FfOnly),
            "--squash" => self.style = Some(Style::Squash),
            "--no-squash" => self.style = self.style.filter(|style| *style != Style::Squash),
            "--gpg-sign" | "-S" => self.sign = true,
            "--no-gpg-sign" => self.sign = false,
            "--verify-signatures" => self.verify_signatures = true,
            "--no-verify-signatures" => self.verify_signatures = false,
            "--verify" => self.no_verify = false,
            "--no-verify" => self.no_verify = true,
            // What git shows, and what the command line of cx says.
            "--stat"
            | "--no-stat"
            | "-n"
            | "--compact-summary"
            | "--summary"
            | "--no-summary"
            | "-q"
            | "--quiet"
            | "-v"
            | "--verbose"
            | "--progress"
            | "--no-progress"
            | "-e"
            | "--edit"
            | "--no-edit"
            | "--commit"
            | "--autostash"
            | "--no-autostash"
            | "--no-log"
            | "--no-signoff"
            | "--rerere-autoupdate"
            | "--no-rerere-autoupdate"
            | "--overwrite-ignore" => {}
            _ if option.starts_with("--cleanup=") => {
                self.cleanup = Cleanup::parse(&option["--cleanup=".len()..])?;
            }
            _ => {
                return Err(MergeError::Configured {
                    key: format!("branch.{branch}.mergeOptions"),
                    value: option.to_owned(),
                });
            }
        }
        Ok(())
    }
}

impl Cleanup {
    fn parse(value: &str) -> Result<Self, MergeError> {
        Ok(match value {
            "default" => Self::Default,
            "strip" => Self::Strip,
            "whitespace" => Self::Whitespace,
            "verbatim" => Self::Verbatim,
            "scissors" => Self::Scissors,
            _ => return Err(configured("commit.cleanup", value)),
        })
    }
}

/// A boolean as git reads it.
fn is_true(key: &str, value: Option<&str>) -> Result<bool, MergeError> {
    boolean(value.map(str::as_bytes)).ok_or_else(|| configured(key, value.unwrap_or_default()))
}

fn configured(key: &str, value: &str) -> MergeError {
    MergeError::Configured { key: key.to_owned(), value: value.to_owned() }
}

/// Whether git finds a good signature on a commit, by the person's trust.
pub fn is_signed(place: &Place, commit: &Oid) -> Result<bool, GitError> {
    Ok(place.git().arg("verify-commit").arg(commit).output()?.code() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Fixture;

    fn read(fixture: &Fixture) -> Result<Wishes, MergeError> {
        Wishes::read(&fixture.repo(), "main")
    }

    #[test]
    fn a_branch_of_its_own_counts_more_than_merge_ff() {
        let fixture = Fixture::new();
        assert_eq!(read(&fixture).unwrap(), Wishes::default());
        for (ff, style) in [
            ("only", Style::FfOnly),
            ("false", Style::NoFf),
            ("0", Style::NoFf),
            ("true", Style::Merge),
        ] {
            fixture.git(&["config", "merge.ff", ff]);
            assert_eq!(read(&fixture).unwrap().style, Some(style), "{ff}");
        }
        fixture.git(&["config", "branch.main.mergeOptions", "--no-ff -S  --no-verify --stat"]);
        let wishes = read(&fixture).unwrap();
        assert_eq!((wishes.style, wishes.sign, wishes.no_verify), (Some(Style::NoFf), true, true));
        fixture.git(&["config", "branch.other.mergeOptions", "--squash"]);
        assert_eq!(read(&fixture).unwrap(), wishes);
        fixture.git(&["config", "branch.main.mergeOptions", "--squash --cleanup=strip"]);
        let wishes = read(&fixture).unwrap();
        assert_eq!((wishes.style, wishes.cleanup), (Some(Style::Squash), Cleanup::Strip));
    }

    #[test]
    fn what_cannot_be_done_as_asked_is_refused() {
        let fixture = Fixture::new();
        for (key, value, named) in [
            ("branch.main.mergeOptions", "--no-ff -X theirs", "'-X'"),
            ("branch.main.mergeOptions", "--strategy=ours", "'--strategy=ours'"),
            ("commit.cleanup", "tidy", "'tidy'"),
            ("merge.verifySignatures", "perhaps", "'perhaps'"),
        ] {
            fixture.git(&["config", key, value]);
            let error = read(&fixture).unwrap_err().to_string();
            assert!(error.contains(named) && error.to_lowercase().contains(&key.to_lowercase()));
            fixture.git(&["config", "--unset", key]);
        }
    }
}
