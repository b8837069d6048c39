//! Commit objects, written in process where that is sure to give what
//! `git commit-tree` would: a child for each costs more than the merge itself.

use std::env;

use super::commit_tree;
use crate::git::repo::{lib_oid, oid_of};
use crate::git::{Git, GitError, Oid, Repo};

/// Settings under which git writes objects in another way than `git2` does.
const OTHERWISE: &[&str] =
    &["core.sharedrepository", "core.fsync", "core.fsyncmethod", "core.fsyncobjectfiles"];

/// Writes commits as the user, all with the time at which it was made: the same
/// commit written twice is one object.
pub(in crate::git) struct Pen<'a> {
    repo: &'a Repo,
    /// Author and committer; none where git is to write.
    people: Option<(git2::Signature<'static>, git2::Signature<'static>)>,
}

impl<'a> Pen<'a> {
    pub(in crate::git) fn new(repo: &'a Repo) -> Result<Self, GitError> {
        Ok(Self { repo, people: people(repo)? })
    }

    /// Whether no child is needed.
    pub(in crate::git) fn is_in_process(&self) -> bool {
        self.people.is_some()
    }

    /// Makes a commit object; no ref moves.
    pub(in crate::git) fn commit(
        &self,
        tree: &Oid,
        parents: &[&Oid],
        message: &str,
    ) -> Result<Oid, GitError> {
        match self.in_process(tree, parents, message) {
            Some(oid) => Ok(oid),
            // Git has the last word, and the better one where something is wrong.
            None => commit_tree(self.git(), tree, parents, message, false),
        }
    }

    fn in_process(&self, tree: &Oid, parents: &[&Oid], message: &str) -> Option<Oid> {
        let (author, committer) = self.people.as_ref()?;
        let lib = self.repo.lib()?;
        let tree = lib.find_tree(lib_oid(tree).ok()?).ok()?;
        let find = |oid: &&Oid| lib.find_commit(lib_oid(oid).ok()?).ok();
        let parents: Vec<git2::Commit<'_>> = parents.iter().map(find).collect::<Option<_>>()?;
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        oid_of(lib.commit(None, author, committer, message, &tree, &parents).ok()?).ok()
    }

    fn git(&self) -> Git {
        self.repo.place().git()
    }
}

/// The user as author and as committer, at this moment. None where only git can tell.
fn people(
    repo: &Repo,
) -> Result<Option<(git2::Signature<'static>, git2::Signature<'static>)>, GitError> {
    let settings = repo.settings()?;
    if repo.lib().is_none() || OTHERWISE.iter().any(|key| settings.has(key)) {
        return Ok(None);
    }
    let person = |role: &str| {
        // Git takes an empty one for none.
        let date = env::var_os(format!("GIT_{role}_DATE")).filter(|date| !date.is_empty());
        let said = |what: &str| {
            let section = role.to_ascii_lowercase();
            let key = what.to_ascii_lowercase();
            if let Some(said) = env::var_os(format!("GIT_{role}_{what}")) {
                return said.into_string().ok();
            }
            let (own, user) = (format!("{section}.{key}"), format!("user.{key}"));
            settings.text(if settings.has(&own) { &own } else { &user }).map(str::to_owned)
        };
        let (name, email) = (said("NAME")?, said("EMAIL")?);
        if !(is_plain(&name) && is_plain(&email)) {
            return None;
        }
        match date {
            None => git2::Signature::now(&name, &email).ok(),
            Some(date) => git2::Signature::new(&name, &email, &raw_date(date.to_str()?)?).ok(),
        }
    };
    Ok(person("AUTHOR").zip(person("COMMITTER")))
}

/// `@SECONDS +HHMM`. The other forms of a date are many, and git's to read.
fn raw_date(text: &str) -> Option<git2::Time> {
    let (seconds, zone) = text.strip_prefix('@')?.split_once(' ')?;
    let digits = zone.strip_prefix(['+', '-'])?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(seconds) || !is_number(digits) || digits.len() != 4 {
        return None;
    }
    let zone: i32 = zone.parse().ok()?;
    Some(git2::Time::new(seconds.parse().ok()?, zone / 100 * 60 + zone % 100))
}

/// Whether git would take a name or an address as it stands.
fn is_plain(text: &str) -> bool {
    let crud = |c: char| c <= ' ' || ".,:;<>\"\\'".contains(c);
    !text.is_empty()
        && !text.starts_with(crud)
        && !text.ends_with(crud)
        && !text.contains(|c: char| c.is_control() || c == '<' || c == '>')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Fixture;

    #[test]
    fn what_it_writes_is_what_git_writes() {
        let fixture = Fixture::new();
        fixture.git(&["config", "author.name", "Grace Höpper"]);
        fixture.git(&["config", "committer.email", "c@example.org"]);
        let repo = fixture.repo();
        let pen = Pen::new(&repo).unwrap();
        assert!(pen.is_in_process());
        let (head, tree) = (fixture.oid("HEAD"), fixture.oid("HEAD^{tree}"));
        for message in ["One line\n", "Süß\n\nA body.\n\nCx-Job: 1 a\n", "no line end", "\n x\n\n"]
        {
            let made = pen.commit(&tree, &[&head, &head], message).unwrap();
            let made_once = pen.commit(&tree, &[&head], message).unwrap();
            assert_ne!(made, made_once);
            let (_, committer) = pen.people.as_ref().unwrap();
            let date = format!("@{} {:+05}", committer.when().seconds(), offset(committer));
            let git = fixture.place().git().env("GIT_AUTHOR_DATE", &date);
            let git = git.env("GIT_COMMITTER_DATE", &date);
            assert_eq!(commit_tree(git, &tree, &[&head], message, false).unwrap(), made_once);
        }
    }

    /// `+0130` as a number.
    fn offset(who: &git2::Signature<'_>) -> i32 {
        let minutes = who.when().offset_minutes();
        minutes / 60 * 100 + minutes % 60
    }

    #[test]
    fn dates_are_read_in_one_form() {
        let read = |text| raw_date(text).map(|time| (time.seconds(), time.offset_minutes()));
        assert_eq!(read("@1767323045 +0000"), Some((1_767_323_045, 0)));
        assert_eq!(read("@5 -0130"), Some((5, -90)));
        for other in
            ["", "@5", "5 +0000", "@-5 +0000", "@5 +00:00", "@5 +000", "2026-01-02T03:04:05Z"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn where_only_git_can_tell_git_writes() {
        let fixture = Fixture::new();
        let in_process = || Pen::new(&fixture.repo()).unwrap().is_in_process();
        assert!(in_process());
        for (key, odd, usual) in [
            ("user.name", " Ada, ", "Ada"),
            ("user.email", "", "ada@example.org"),
            ("core.sharedRepository", "group", ""),
        ] {
            fixture.git(&["config", key, odd]);
            assert!(!in_process(), "{key}");
            let repo = fixture.repo();
            let tree = fixture.oid("HEAD^{tree}");
            let made = Pen::new(&repo).unwrap().commit(&tree, &[], "x\n");
            assert!(
                made.is_ok_and(|oid| fixture.git(&["cat-file", "-t", oid.as_str()]) == "commit")
            );
            if usual.is_empty() {
                fixture.git(&["config", "--unset", key]);
            } else {
                fixture.git(&["config", key, usual]);
            }
        }
        assert!(!Pen::new(&Repo::open_with_git(&fixture.place())).unwrap().is_in_process());
    }
}
