//! Whether git would write the content of a commit as it stands in its objects, or
//! would do something to it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::listing::Listing;
use crate::git::settings::{Settings, boolean};
use crate::git::{Git, GitError, Place, Repo};

/// What attributes do to the content of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::git) enum Attributes {
    /// Nothing.
    Idle,
    /// Git has to be asked for each path.
    Asked,
}

/// Attributes of a path by which git writes something else than what the object has.
const ASKED: [&str; 4] = ["filter", "ident", "eol", "working-tree-encoding"];

/// Settings that decide what a checkout holds or looks like, each with what it means
/// here. They are rare, and left to git.
const UNUSUAL: [(&str, bool, &str); 12] = [
    ("core.sparsecheckout", true, "the checkout is sparse"),
    ("core.symlinks", false, "core.symlinks is off"),
    ("core.filemode", false, "core.fileMode is off"),
    ("core.ignorecase", true, "core.ignoreCase is on"),
    ("core.precomposeunicode", true, "core.precomposeUnicode is on"),
    ("core.protecthfs", true, "core.protectHFS is on"),
    ("core.protectntfs", false, "core.protectNTFS is off"),
    ("core.splitindex", true, "core.splitIndex is on"),
    ("index.sparse", true, "index.sparse is on"),
    ("core.fscache", true, "core.fscache is on"),
    ("submodule.recurse", true, "submodule.recurse is on"),
    ("core.bare", true, "there is no checkout to copy from"),
];

/// Why a worktree of this repository is left to git, whichever commit it is to hold.
pub(in crate::git) fn unusual(repo: &Repo, settings: &Settings) -> Option<String> {
    if !repo.is_in_process() {
        return Some("only git can read this repository".to_owned());
    }
    for (key, unusual, why) in UNUSUAL {
        let set = settings.all().filter(|(set, _)| *set == key).last();
        // What is no boolean is for git to complain of.
        if set.is_some_and(|(_, value)| boolean(value) != Some(!unusual)) {
            return Some(why.to_owned());
        }
    }
    let text = |key| settings.text(key).unwrap_or_default().to_ascii_lowercase();
    let autocrlf = settings.all().filter(|(key, _)| *key == "core.autocrlf").last();
    if let Some((_, value)) = autocrlf
        && boolean(value) != Some(false)
        && text("core.autocrlf") != "input"
    {
        return Some("core.autocrlf writes other line ends".to_owned());
    }
    if !matches!(text("core.eol").as_str(), "" | "lf" | "native") {
        return Some("core.eol writes other line ends".to_owned());
    }
    if !matches!(text("core.sharedrepository").as_str(), "" | "umask" | "false" | "0") {
        return Some("core.sharedRepository is set".to_owned());
    }
    for key in ["core.worktree", "attr.tree", "extensions.partialclone"] {
        if settings.has(key) {
            return Some(format!("{key} is set"));
        }
    }
    if std::env::var_os("GIT_ATTR_SOURCE").is_some() {
        return Some("GIT_ATTR_SOURCE is set".to_owned());
    }
    replaces(&repo.place().common_dir).then(|| "objects are replaced (git replace)".to_owned())
}

/// Whether `git replace` has put one object in the place of another.
fn replaces(common_dir: &Path) -> bool {
    let loose = std::fs::read_dir(common_dir.join("refs/replace"));
    let packed = std::fs::read(common_dir.join("packed-refs")).unwrap_or_default();
    let name = b" refs/replace/";
    loose.is_ok_and(|mut entries| entries.next().is_some())
        || packed.windows(name.len()).any(|window| window == name)
}

/// Whether any attribute that counts in a worktree with this content may change the
/// content of a file.
///
/// # Errors
/// A clause that says why that is left to git.
pub(in crate::git) fn attributes(
    repo: &Repo,
    settings: &Settings,
    listing: &Listing,
) -> Result<Attributes, String> {
    let lib = repo.lib().ok_or("only git can read this repository")?;
    let unread = |_| "attributes of its base cannot be read".to_owned();
    for wanted in &listing.wanted {
        if listing.split(wanted).1 != b".gitattributes" {
            continue;
        }
        if wanted.mode == super::listing::LINK {
            return Err("a link stands in the place of .gitattributes".to_owned());
        }
        let blob = git2::Oid::from_bytes(&wanted.id).and_then(|id| lib.find_blob(id));
        if may_change(blob.map_err(unread)?.content()) {
            return Ok(Attributes::Asked);
        }
    }
    for file in elsewhere(repo.place(), settings) {
        match std::fs::read(&file) {
            Ok(bytes) if !may_change(&bytes) => {}
            // Not where `~` or something like it stands for another folder.
            Err(error) if error.kind() == ErrorKind::NotFound && file.is_absolute() => {}
            _ => return Ok(Attributes::Asked),
        }
    }
    Ok(Attributes::Idle)
}

/// Where attributes stand besides the worktree itself. A path that is not absolute is
/// one that git alone can tell.
fn elsewhere(place: &Place, settings: &Settings) -> Vec<PathBuf> {
    let mut files = vec![place.common_dir.join("info/attributes")];
    // git 2.43 and newer say it; nobody builds an older one for elsewhere.
    let system = place.git().args(["var", "GIT_ATTR_SYSTEM"]).read();
    match system.map(|output| output.text()) {
        Ok(path) if !path.is_empty() => files.push(path.into()),
        _ => files.extend(["/etc/gitattributes", "/usr/local/etc/gitattributes"].map(Into::into)),
    }
    let folder = |key| std::env::var_os(key).map(PathBuf::from);
    if let Some(path) = settings.path("core.attributesfile") {
        let below = path.strip_prefix("~").ok().zip(folder("HOME"));
        files.push(below.map_or(path.clone(), |(below, home)| home.join(below)));
    } else {
        let config = folder("XDG_CONFIG_HOME").filter(|path| !path.as_os_str().is_empty());
        let config = config.or_else(|| Some(folder("HOME")?.join(".config")));
        files.extend(config.map(|config| config.join("git/attributes")));
    }
    files
}

/// Whether a file of attributes has a word that may have git write something else than
/// the object has. Where lines end with a line feed, as they do on this system, that
/// leaves out `text`, `-text`, `eol=lf` and the like.
fn may_change(attributes: &[u8]) -> bool {
    let lines = attributes.split(|byte| *byte == b'\n');
    let words = lines.flat_map(|line| line.split(u8::is_ascii_whitespace));
    words.into_iter().any(|word| {
        let is = |name: &[u8]| word == name || word.strip_prefix(name).is_some_and(is_value);
        is(b"filter")
            || is(b"ident")
            || is(b"working-tree-encoding")
            || (is(b"eol") && word != b"eol=lf")
    })
}

fn is_value(rest: &[u8]) -> bool {
    rest.first() == Some(&b'=')
}

/// The paths of `listing`, by number, whose content git writes in another way than it
/// stands in the object. `git` makes a command that sees the attributes of the commit in
/// its index.
pub(in crate::git) fn changed_by_attributes(
    git: Git,
    settings: &Settings,
    listing: &Listing,
) -> Result<Vec<usize>, GitError> {
    let mut paths = Vec::new();
    for wanted in &listing.wanted {
        paths.extend_from_slice(listing.path(wanted));
        paths.push(0);
    }
    let git = git.args(["check-attr", "--cached", "-z", "--stdin"]).args(ASKED);
    let output = git.stdin(paths).run()?;
    let fields: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
    let (records, _) = fields.as_chunks::<3>();
    let mut found = Vec::new();
    for (at, answers) in records.chunks(ASKED.len()).enumerate() {
        if answers.iter().any(|[_, name, value]| changes(settings, name, value)) {
            found.push(at);
        }
    }
    if records.len() != listing.wanted.len() * ASKED.len() {
        return Err(GitError::Answer("git check-attr".to_owned()));
    }
    Ok(found)
}

fn changes(settings: &Settings, name: &[u8], value: &[u8]) -> bool {
    if matches!(value, b"unspecified" | b"unset") {
        return false;
    }
    match name {
        b"filter" => {
            // A filter that nobody has configured does nothing.
            let driver = String::from_utf8_lossy(value);
            let about = |key: &str| {
                let key = key.strip_prefix("filter.").and_then(|key| key.rsplit_once('.'));
                key.is_some_and(|(name, _)| name == driver)
            };
            settings.all().any(|(key, _)| about(key))
        }
        b"eol" => value != b"lf",
        _ => true,
    }
}
