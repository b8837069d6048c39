//! Files and links of a new worktree, taken from another checkout.
//!
//! What is taken is known to be right, not thought to be: the bytes that were written
//! are hashed as git hashes them, and have to give the id that is wanted. So it does not
//! matter what the other checkout is a checkout of, whether somebody changes it
//! meanwhile, or what its index says. Times are kept; blocks are shared where the
//! file system can do that, and the file is worth it.
//!
//! Only the new worktree is written. It is nobody else's yet, and no link is made in it
//! before all files are there, so nothing is ever written through one.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::{io, thread};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;
use sha1::{Digest, Sha1};

use super::index::Seen;
use super::listing::{Id, LINK, Listing, PROGRAM, Wanted};

/// Larger files are read and written in pieces of so many bytes.
const PIECE: usize = 1 << 20;

/// From so many bytes on a file shares its blocks with the one that it is taken from,
/// if it can. Smaller ones are written faster than they are shared.
const WORTH_SHARING: u64 = 64 << 10;

/// How many files one thread takes at a time, all of one folder.
const TAKEN: usize = 256;

/// What was taken.
#[derive(Debug)]
pub(in crate::git) struct Brought {
    /// For each that was wanted what it looks like now; none where it was not taken.
    pub(in crate::git) seen: Vec<Option<Seen>>,
    /// Whether blocks are shared with the other checkout.
    pub(in crate::git) is_shared: bool,
}

/// Brings from `source` into `tree` what of `listing` is there as it is wanted, but for
/// those that `leave` names by number (sorted). `tree` has none of it yet.
///
/// # Errors
/// Where `tree` cannot be written. What of it was written by then stays.
pub(in crate::git) fn bring(
    listing: &Listing,
    leave: &[usize],
    source: BorrowedFd<'_>,
    tree: BorrowedFd<'_>,
) -> io::Result<Brought> {
    let portions = portions(listing);
    let next = AtomicUsize::new(0);
    let run = Run { listing, leave, source, tree, sharing: Sharing::default() };
    let threads = thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let mut seen = vec![None; listing.wanted.len()];
    // Links come last; see the head.
    let has_links = listing.wanted.iter().any(|wanted| wanted.mode == LINK);
    for links in [false, true].into_iter().take(1 + usize::from(has_links)) {
        next.store(0, Relaxed);
        let done: Vec<io::Result<Vec<(usize, Seen)>>> = thread::scope(|scope| {
            let work = || {
                let mut hand = Hand { run: &run, piece: Vec::new(), done: Vec::new() };
                while let Some(portion) = portions.get(next.fetch_add(1, Relaxed)) {
                    hand.portion(portion.clone(), links)?;
                }
                Ok(hand.done)
            };
            let threads: Vec<_> = (0..threads)
                .map(|_| thread::Builder::new().spawn_scoped(scope, work))
                .collect::<io::Result<_>>()?;
            let failed = |_| Err(io::Error::other("a thread has failed"));
            Ok::<_, io::Error>(
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(failed)).collect(),
            )
        })?;
        for done in done {
            for (at, what) in done? {
                if let Some(slot) = seen.get_mut(at) {
                    *slot = Some(what);
                }
            }
        }
    }
    Ok(Brought { seen, is_shared: run.sharing.was_done.load(Relaxed) })
}

/// What `path` in `tree` looks like.
pub(in crate::git) fn look(tree: BorrowedFd<'_>, path: &[u8]) -> io::Result<Seen> {
    Ok(Seen::of(&sys::statat(tree, path, AtFlags::SYMLINK_NOFOLLOW)?))
}

/// Runs of one folder, in order.
fn portions(listing: &Listing) -> Vec<Range<usize>> {
    let mut portions: Vec<Range<usize>> = Vec::new();
    for (at, wanted) in listing.wanted.iter().enumerate() {
        let folder = listing.split(wanted).0;
        match portions.last_mut() {
            Some(last)
                if last.len() < TAKEN
                    && listing.wanted.get(last.start).map(|first| listing.split(first).0)
                        == Some(folder) =>
            {
                last.end = at + 1;
            }
            _ => portions.push(at..at + 1),
        }
    }
    portions
}

/// What all threads share.
struct Run<'a> {
    listing: &'a Listing,
    leave: &'a [usize],
    source: BorrowedFd<'a>,
    tree: BorrowedFd<'a>,
    sharing: Sharing,
}

/// Whether blocks can be shared between the two, as far as was tried.
#[derive(Default)]
struct Sharing {
    /// 0: not tried. 1: they can. 2: they cannot.
    can: AtomicU8,
    was_done: AtomicBool,
}

impl Sharing {
    /// Makes `to` share all blocks of `from`.
    fn share(&self, from: &OwnedFd, to: &OwnedFd) -> bool {
        if self.can.load(Relaxed) == 2 {
            return false;
        }
        let shared = sys::ioctl_ficlone(to, from).is_ok();
        if shared {
            self.can.store(1, Relaxed);
            self.was_done.store(true, Relaxed);
        } else if self.can.load(Relaxed) == 0 {
            self.can.store(2, Relaxed);
        }
        shared
    }
}

/// One thread.
struct Hand<'a> {
    run: &'a Run<'a>,
    piece: Vec<u8>,
    done: Vec<(usize, Seen)>,
}

impl Hand<'_> {
    /// Brings the links or the files of one run.
    fn portion(&mut self, portion: Range<usize>, links: bool) -> io::Result<()> {
        let Run { listing, leave, source, tree, .. } = *self.run;
        let mut folders: Option<(OwnedFd, OwnedFd)> = None;
        for at in portion {
            let Some(wanted) = listing.wanted.get(at) else { continue };
            if (wanted.mode == LINK) != links || leave.binary_search(&at).is_ok() {
                continue;
            }
            let (folder, name) = listing.split(wanted);
            let (from, to) = if let Some(both) = &folders {
                both
            } else {
                let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
                let here: &[u8] = if folder.is_empty() { b"." } else { folder };
                let Ok(from) = sys::openat(source, here, flags, Mode::empty()) else {
                    return Ok(());
                };
                make_folder(tree, folder)?;
                let to = sys::openat(tree, here, flags | OFlags::NOFOLLOW, Mode::empty())?;
                folders.insert((from, to))
            };
            let seen = if links {
                bring_link(from.as_fd(), to.as_fd(), name, &wanted.id)?
            } else {
                self.bring_file(from.as_fd(), to.as_fd(), name, wanted)?
            };
            self.done.extend(seen.map(|seen| (at, seen)));
        }
        Ok(())
    }

    /// None where the source has not this content; then it is not in the tree either.
    fn bring_file(
        &mut self,
        source: BorrowedFd<'_>,
        tree: BorrowedFd<'_>,
        name: &[u8],
        wanted: &Wanted,
    ) -> io::Result<Option<Seen>> {
        let Some((from, stat)) = open_source(source, name) else { return Ok(None) };
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let sharing = &self.run.sharing;
        if size >= WORTH_SHARING && sharing.can.load(Relaxed) != 2 {
            let to = create(tree, name, wanted)?;
            if sharing.share(&from, &to) {
                // The copy is read, which nobody changes any more.
                let reader =
                    sys::openat(tree, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                let size = u64::try_from(sys::fstat(&reader)?.st_size).unwrap_or_default();
                let is_it = self.pour(&reader, None, size)? == Some(wanted.id);
                return finish(tree, name, &to, &stat, is_it);
            }
            return self.pour_file(&from, tree, name, &to, &stat, wanted);
        }
        if size >= PIECE as u64 {
            let to = create(tree, name, wanted)?;
            return self.pour_file(&from, tree, name, &to, &stat, wanted);
        }
        // Known before anything is written.
        self.piece.clear();
        let Ok(()) = read_all(&from, &mut self.piece, size) else { return Ok(None) };
        if Id::from(hasher(self.piece.len() as u64).chain_update(&self.piece).finalize())
            != wanted.id
        {
            return Ok(None);
        }
        let to = create(tree, name, wanted)?;
        write_all(&to, &self.piece)?;
        finish(tree, name, &to, &stat, true)
    }

    fn pour_file(
        &mut self,
        from: &OwnedFd,
        tree: BorrowedFd<'_>,
        name: &[u8],
        to: &OwnedFd,
        stat: &Stat,
        wanted: &Wanted,
    ) -> io::Result<Option<Seen>> {
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let is_it = self.pour(from, Some(to), size)? == Some(wanted.id);
        finish(tree, name, to, stat, is_it)
    }

    /// Reads a file of this size to its end, and writes it to `to`. Says what git would
    /// call it; none where it cannot be read or is not of that size.
    fn pour(&mut self, from: &OwnedFd, to: Option<&OwnedFd>, size: u64) -> io::Result<Option<Id>> {
        let mut hasher = hasher(size);
        let mut left = size;
        self.piece.resize(PIECE, 0);
        loop {
            let read = match rustix::io::read(from, &mut self.piece) {
                Err(Errno::INTR) => continue,
                Err(_) => return Ok(None),
                Ok(0) => break,
                Ok(read) => read,
            };
            let piece = self.piece.get(..read).unwrap_or_default();
            let Some(rest) = left.checked_sub(read as u64) else { return Ok(None) };
            left = rest;
            hasher.update(piece);
            if let Some(to) = to {
                write_all(to, piece)?;
            }
        }
        Ok((left == 0).then(|| hasher.finalize().into()))
    }
}

/// Gives a written file its time, or takes it away where `is_it` is not what was wanted.
fn finish(
    tree: BorrowedFd<'_>,
    name: &[u8],
    to: &OwnedFd,
    source: &Stat,
    is_it: bool,
) -> io::Result<Option<Seen>> {
    if !is_it {
        sys::unlinkat(tree, name, AtFlags::empty())?;
        return Ok(None);
    }
    sys::futimens(to, &times(source))?;
    Ok(Some(Seen::of(&sys::fstat(to)?)))
}

fn bring_link(
    source: BorrowedFd<'_>,
    tree: BorrowedFd<'_>,
    name: &[u8],
    id: &Id,
) -> io::Result<Option<Seen>> {
    let Ok(stat) = sys::statat(source, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(None) };
    let Ok(target) = sys::readlinkat(source, name, Vec::new()) else { return Ok(None) };
    let target = target.as_bytes();
    if Id::from(hasher(target.len() as u64).chain_update(target).finalize()) != *id {
        return Ok(None);
    }
    sys::symlinkat(target, tree, name)?;
    sys::utimensat(tree, name, &times(&stat), AtFlags::SYMLINK_NOFOLLOW)?;
    look(tree, name).map(Some)
}

/// A plain file to read, and what it looks like; none where there is none.
fn open_source(folder: BorrowedFd<'_>, name: &[u8]) -> Option<(OwnedFd, Stat)> {
    // A pipe must not be waited for, and reading leaves no trace where that can be had.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match sys::openat(folder, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => sys::openat(folder, name, flags, Mode::empty()),
        opened => opened,
    };
    let file = file.ok()?;
    let stat = sys::fstat(&file).ok()?;
    (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some((file, stat))
}

/// As git makes it: what the umask leaves of all rights.
fn create(folder: BorrowedFd<'_>, name: &[u8], wanted: &Wanted) -> io::Result<OwnedFd> {
    let mode = if wanted.mode == PROGRAM { 0o777 } else { 0o666 };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(sys::openat(folder, name, flags, Mode::from_raw_mode(mode))?)
}

/// Makes a folder and those above it, where they are not there.
fn make_folder(tree: BorrowedFd<'_>, folder: &[u8]) -> io::Result<()> {
    if folder.is_empty() {
        return Ok(());
    }
    match sys::mkdirat(tree, folder, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => return Ok(()),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let above = folder.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    make_folder(tree, folder.get(..above).unwrap_or_default())?;
    match sys::mkdirat(tree, folder, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What git hashes before the content of a file.
fn hasher(size: u64) -> Sha1 {
    Sha1::new_with_prefix(format!("blob {size}\0"))
}

/// Reads a file of about this size to its end.
fn read_all(file: &OwnedFd, into: &mut Vec<u8>, size: u64) -> io::Result<()> {
    let mut end = 0;
    loop {
        // One more than there should be, to see the end.
        let room = usize::try_from(size).unwrap_or(PIECE).max(end) + 1;
        into.resize(room, 0);
        match rustix::io::read(file, into.get_mut(end..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => end += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    into.truncate(end);
    Ok(())
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[expect(clippy::cast_possible_wrap, reason = "nanoseconds are fewer than a thousand million")]
fn times(stat: &Stat) -> Timestamps {
    let (seconds, nanoseconds) = (stat.st_mtime, stat.st_mtime_nsec as i64);
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    Timestamps { last_access: time, last_modification: time }
}
