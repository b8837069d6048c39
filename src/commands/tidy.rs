//! What nobody waits for: deleting worktrees that were renamed away, and looking at those
//! that were given to the pool.
//!
//! Whoever gives something up writes an order into `tidy/` of the state folder and
//! starts the hidden verb `__tidy`, unless somebody is at it: there is one such process for a
//! repository at a time, which holds `tidy.lock` and works off all orders, also those that come
//! meanwhile. An order is removed when it is done. So a crash leaves orders, and the next
//! command that looks (`cx clean`, `cx jobs -a`, `cx du`, `cx spawn` of a writer) starts the process
//! again; everything in an order can be done twice.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::{clean::tree_folders, session::Session, settings::Settings};
use crate::{
    config::Pool,
    failure::Failure,
    git::{
        GitError, Place,
        worktree::{self, pool},
    },
    ledger::Store,
    process::{crash, start, tidy},
    ui,
};

/// What one command has given up.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    /// A folder of the repository.
    repository: PathBuf,
    /// Folders with worktrees, and with what was given up beside them.
    folders: BTreeSet<PathBuf>,
    /// Those of them that go once they are empty.
    own: BTreeSet<PathBuf>,
    rules: pool::Rules,
}

/// What a command gives up as it goes.
pub(super) struct Tidying<'a> {
    session: &'a Session,
    pub(super) rules: pool::Rules,
    folders: BTreeSet<PathBuf>,
}

impl<'a> Tidying<'a> {
    pub(super) fn new(session: &'a Session) -> Self {
        // What is wrong with the files must keep nobody from making room.
        let rules = match Settings::load(session) {
            Ok(settings) => rules(&settings.config.pool),
            Err(_) => pool::Rules::nothing(),
        };
        Self { session, rules, folders: BTreeSet::new() }
    }

    /// Something was given up in `folder`.
    pub(super) fn note(&mut self, folder: &Path) {
        self.folders.insert(folder.to_owned());
    }

    /// Has it done, and what an earlier command has left. `own` are the folders that go once they are
    /// empty.
    pub(super) fn begin(self, own: &BTreeSet<PathBuf>) -> Result<(), Failure> {
        let Some(place) = &self.session.place else { return Ok(()) };
        if !self.folders.is_empty() {
            let order = Order {
                repository: place.common_dir.clone(),
                own: own.intersection(&self.folders).cloned().collect(),
                folders: self.folders,
                rules: self.rules,
            };
            write_order(&self.session.store, &order).map_err(|e| {
                let folder = self.session.store.tidy_dir();
                Failure::internal(format!("cannot write in {}: {e}", folder.display()))
            })?;
        }
        crash::point("tidy-ordered");
        go_on(&self.session.store)
    }
}

/// Goes on with what an earlier command has left, if there is something.
pub(super) fn go_on(store: &Store) -> Result<(), Failure> {
    let started = tidy::start(store.dir());
    started.map_err(|e| Failure::internal(format!("cannot start to tidy up: {e}"))).map(drop)
}

/// Goes on with what is left, and says what that is.
pub(super) fn note(session: &Session) -> Result<(), Failure> {
    go_on(&session.store)?;
    if !tidy::is_under_way(session.store.dir()) {
        return Ok(());
    }
    let Some(place) = &session.place else { return Ok(()) };
    let (mut waiting, mut trash) = (0, 0);
    for folder in tree_folders(session)? {
        waiting += pool::look(place, &folder).1.len() as u64;
        trash += worktree::trash_beside(&folder.join("any")).len() as u64;
    }
    let parts = [(trash, "deleted"), (waiting, "cleaned for the pool")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, done)| {
            let is = if *count == 1 { "is" } else { "are" };
            format!("{} {is} being {done}", ui::plural(*count, "worktree"))
        })
        .collect();
    if !parts.is_empty() {
        ui::note(format_args!("in the background {}", parts.join(", ")));
    }
    Ok(())
}

/// What the configuration says of the pool.
pub(super) fn rules(pool: &Pool) -> pool::Rules {
    pool::Rules {
        max: pool.max,
        age: pool.age,
        bytes: pool.bytes,
        min_files: pool.min_files,
        keep: pool.keep.clone(),
    }
}

fn write_order(store: &Store, order: &Order) -> io::Result<()> {
    let folder = store.tidy_dir();
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let name = format!("{}-{}", now.as_nanos(), std::process::id());
    // Under its name it is whole.
    let mut new = tempfile::Builder::new().prefix(".").tempfile_in(&folder)?;
    new.write_all(&serde_json::to_vec(order)?)?;
    new.persist(folder.join(name)).map_err(|error| error.error)?;
    Ok(())
}

/// The hidden verb; `args` is the state folder. Its stdin is the lock.
pub fn main(args: &[OsString]) -> ExitCode {
    let ([state], Ok(lock)) = (args, start::enter_tidier()) else { return ExitCode::FAILURE };
    let store = Store::new(PathBuf::from(state));
    let mut lock = fs::File::from(lock);
    loop {
        for order in tidy::orders(store.dir()) {
            let done = fs::read(&order).map(|bytes| serde_json::from_slice(&bytes));
            match done {
                Ok(Ok(read)) => {
                    carry_out(&store, &read);
                }
                Ok(Err(error)) => complain(&store, &format_args!("{}: {error}", order.display())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => complain(&store, &format_args!("{}: {error}", order.display())),
            }
            // What could not be done is named by `cx doctor`, and tried by the next `cx clean`.
            let _ = fs::remove_file(&order);
        }
        let _ = lock.unlock();
        // An order that came before the lock was free found somebody at it.
        match tidy::claim(store.dir()) {
            Ok(Some(again)) => lock = again,
            _ => return ExitCode::SUCCESS,
        }
    }
}

fn carry_out(store: &Store, order: &Order) {
    let place = match Place::discover(&order.repository) {
        Ok(Some(place)) => place,
        Ok(None) => return,
        Err(error) => return complain(store, &error),
    };
    for folder in &order.folders {
        if let Err(error) = tidy_folder(store, &place, folder, &order.rules) {
            complain(store, &error);
        }
        pool::tidy_folder(folder);
        if order.own.contains(folder)
            && let Err(error) = worktree::remove_empty(folder, &store.worktree_lock())
        {
            complain(store, &error);
        }
    }
}

fn tidy_folder(
    store: &Store,
    place: &Place,
    folder: &Path,
    rules: &pool::Rules,
) -> Result<(), GitError> {
    let lock = store.worktree_lock();
    let step = |step: pool::Step| crash::point(step.name());
    for tree in pool::waiting(place, folder, &lock)? {
        if rules.max == 0 {
            pool::drop_waiting(place, &tree, &lock)?;
            continue;
        }
        match pool::admit(place, &tree, rules, &lock, &step) {
            Ok(pool::Admitted::Kept) => {}
            Ok(pool::Admitted::Removed(why, _)) => {
                complain(store, &format_args!("a worktree is not used again: {why}"));
            }
            Err(error) => complain(store, &error),
        }
    }
    let (pooled, _) = pool::look(place, folder);
    for tree in pool::beyond(&pooled, rules) {
        pool::drop_tree(place, tree, &lock)?;
    }
    for trash in worktree::trash_beside(&folder.join("any")) {
        crash::point("tidy-deleting");
        if let Err(error) = worktree::delete(&trash) {
            complain(store, &error);
        }
    }
    Ok(())
}

/// Writes down what went wrong. There is nobody to tell.
fn complain(store: &Store, what: &dyn std::fmt::Display) {
    let log = store.dir().join("tidy.log");
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(log);
    if let Ok(mut file) = file {
        let _ = writeln!(file, "{} {what}", jiff::Timestamp::now());
    }
}
