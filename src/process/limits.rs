//! How many files a process may have open.

use std::io;

use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
};

/// What a process has open besides what it counts.
const BESIDES: u64 = 64;

/// So few are allowed everywhere, and not worth asking about.
const FEW: usize = 32;

/// Makes sure that `count` files can be open at once, and some more: raises the limit
/// as far as that takes and the system lets us. What we start has it too, so it is
/// raised no further.
pub(super) fn allow_open(count: usize) -> io::Result<()> {
    if count <= FEW {
        return Ok(());
    }
    let wanted = (count as u64).saturating_add(BESIDES);
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if wanted <= now {
        return Ok(());
    }
    if wanted > most {
        return Err(Errno::EMFILE.into());
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted.saturating_mul(2).min(most), most)?;
    Ok(())
}

/// Whether it is an error because too many files are open, or too many threads run.
pub(super) fn is_met(error: &io::Error) -> bool {
    [Errno::EMFILE, Errno::ENFILE, Errno::EAGAIN]
        .iter()
        .any(|limit| error.raw_os_error() == Some(*limit as i32))
}
