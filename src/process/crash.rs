//! Crash points: places at which a test has a process die by `kill -9`.
//!
//! Only debug builds have them. `CX_CRASH_AT=NAME` names the point.

/// Dies here, as if by `kill -9`, when a test asked for it by this name.
#[inline]
pub fn point(name: &str) {
    #[cfg(debug_assertions)]
    if std::env::var_os("CX_CRASH_AT").is_some_and(|at| at == name) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}
