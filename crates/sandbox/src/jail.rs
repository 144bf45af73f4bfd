//! The inside of a jail: what happens between the launcher's first instruction and the program's.
//!
//! Three processes, each with less than the one before:
//! - the **launcher** is the server's child. It builds the root that the jail will see, in a
//!   mount namespace of its own, and lets go of the machine's root;
//! - **PID 1** has every namespace of its own. It adds the temporary disk and the program's
//!   files, reaps orphans, and ends, with everything in the jail, when the server's end of the
//!   control socket closes, whatever the reason;
//! - the **program** (the runtime with the runner) has no capability, no new privileges, a Landlock
//!   ruleset and a seccomp filter before its first instruction.
//!
//! For the tier `gvisor` the third process is `runsc`, and the program runs on the kernel that it
//! brings: see the module `gvisor`. For the tier `vm` it is Firecracker, and the kernel is that of an
//! image: see the module `vm`.

mod code;
mod gvisor;
mod init;
mod launcher;
mod machine;
mod process;
mod program;
mod root;
mod seccomp;
mod vm;

use crate::control::Failure;
use rustix::io::Errno;
use std::process::ExitCode;

pub(crate) use code::is_plain;
pub(crate) use machine::MODULES;
pub(crate) use program::landlock_is_here;

/// The user and group of PID 1 inside the jail, where it has one of its own.
const INIT_ID: u32 = 0;
/// The user and group of the program inside the jail.
const PROGRAM_ID: u32 = 1000;
/// Where the program's files are.
pub(crate) const CODE: &str = "/code";
/// The temporary disk.
pub(crate) const TMP: &str = "/tmp";
/// Where the program finds the way out.
pub(crate) const EGRESS_SOCKET: &str = "/run/egress.sock";
/// Where the runner is.
pub(crate) const RUNNER: &str = "/runner";
/// Where the launcher's own program is under gVisor, as PID 1.
pub(crate) const GUEST_INIT: &str = "/runner/init";
/// The last argument of the launcher's own program where it is PID 1 under gVisor.
pub(crate) const GUEST: &str = "guest";
/// The same, where it is the first program of a virtual machine,
pub(crate) const BOOT: &str = "boot";
/// and where it is PID 1 of one that has booted.
const MACHINE: &str = "machine";

/// A step of making a jail that failed.
#[derive(Debug, thiserror::Error)]
#[error("{attempt}")]
struct JailError {
    attempt: String,
    #[source]
    source: Option<Errno>,
}

impl JailError {
    /// What failed, where, and why, for whoever reads what is printed.
    fn told(&self, place: &str) -> String {
        let source = self.source.map(|source| format!(": {source}")).unwrap_or_default();
        format!("{} {place}{source}", self.attempt)
    }

    fn failure(&self) -> Failure {
        let errno = self.source.map_or(0, Errno::raw_os_error);
        Failure { attempt: self.attempt.clone(), errno }
    }
}

/// Names what was attempted.
trait Attempt<T> {
    fn attempt(self, what: impl Into<String>) -> Result<T, JailError>;
}

impl<T> Attempt<T> for Result<T, Errno> {
    fn attempt(self, what: impl Into<String>) -> Result<T, JailError> {
        self.map_err(|source| JailError { attempt: what.into(), source: Some(source) })
    }
}

impl<T> Attempt<T> for Result<T, nix::errno::Errno> {
    fn attempt(self, what: impl Into<String>) -> Result<T, JailError> {
        self.map_err(|source| JailError {
            attempt: what.into(),
            source: Errno::from_io_error(&source.into()),
        })
    }
}

impl<T> Attempt<T> for std::io::Result<T> {
    fn attempt(self, what: impl Into<String>) -> Result<T, JailError> {
        self.map_err(|source| JailError {
            attempt: what.into(),
            source: Errno::from_io_error(&source),
        })
    }
}

/// The body of the jail launcher: call it first thing in `main`, before any thread exists.
///
/// It expects the control socket as standard input and the runner's socket as standard output,
/// as [`crate::Pool`] starts it, and does not return before the jail has ended.
pub fn jail_main() -> ExitCode {
    match std::env::args_os().next_back() {
        Some(last) if last == GUEST => gvisor::guest_main(),
        Some(last) if last == BOOT => machine::boot_main(),
        Some(last) if last == MACHINE => machine::live_main(),
        _ => launcher::run(),
    }
}

/// Whether the filter compiles for this machine's architecture, for the probe.
pub(crate) fn filters_compile() -> Result<(), String> {
    seccomp::compile().map(drop)
}
