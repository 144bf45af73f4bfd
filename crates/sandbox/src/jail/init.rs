//! PID 1 of a jail.

use super::launcher::{Handover, die_with_parent};
use super::{Attempt, CODE, INIT_ID, JailError, TMP, code, gvisor, process, program};
use crate::control::{self, Start, ToJail, ToServer};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::mount::MountFlags;
use rustix::pipe::PipeFlags;
use std::path::PathBuf;

/// The body of PID 1; its end is the end of everything in the jail.
pub(super) fn run(handover: &Handover<'_>) -> isize {
    match live(handover) {
        Ok(()) => 0,
        Err(error) => {
            // The server is told; if it is gone too, nobody is left to tell.
            let _ = control::send(handover.control, &ToServer::Failed(error.failure()), &[]);
            1
        }
    }
}

fn live(handover: &Handover<'_>) -> Result<(), JailError> {
    close_all_but(&[handover.control, handover.runner, handover.egress.as_fd(), handover.mapped]);
    let mut byte = [0_u8; 1];
    let mapped =
        rustix::io::read(handover.mapped, &mut byte).attempt("waiting for the launcher")?;
    if mapped == 0 {
        return Ok(()); // the launcher has failed and said so
    }
    // Standard error is the server's: not even PID 1 needs it from here on.
    process::silence()?;
    if handover.start.ids.is_some() {
        process::take_identity(INIT_ID)?;
    }
    die_with_parent()?; // after the identity: changing it clears the tie
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .attempt("hiding PID 1's memory")?;
    rustix::system::sethostname(b"sandbox").attempt("naming the sandbox")?;
    let code = if handover.start.guest.is_some() {
        gvisor::enter()?
    } else {
        mount_tmp(handover.start.launch.disk_bytes)?;
        PathBuf::from(CODE)
    };
    code::mount(&code)?;

    let (stdout, stdout_inside) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).attempt("making standard output")?;
    let (stderr, stderr_inside) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).attempt("making standard error")?;

    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    children.thread_block().attempt("blocking SIGCHLD")?;
    let signals = SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .attempt("receiving SIGCHLD")?;

    let streams = program::Streams {
        runner: handover.runner,
        stdout: stdout_inside.as_fd(),
        stderr: stderr_inside.as_fd(),
    };
    let child = begin(handover.start, &streams)?;
    let up = ToServer::Up { missing: child.missing };
    let fds = [handover.egress.as_fd(), stdout.as_fd(), stderr.as_fd()];
    control::send(handover.control, &up, &fds).attempt("telling the server")?;
    drop((stdout, stderr, stdout_inside, stderr_inside));
    // What only the server and the program should hold from here on.
    close_all_but(&[handover.control, signals.as_fd()]);
    let program = Program { pid: child.pid, code, is_guest: handover.start.guest.is_some() };
    attend(handover.control, &signals, &program)
}

/// A process's exit code, or the signal that killed it.
pub(super) type End = (Option<i32>, Option<i32>);

/// What PID 1 looks after.
struct Program {
    pid: Pid,
    /// Where its files belong, as PID 1 sees it.
    code: PathBuf,
    /// Whether it is gVisor.
    is_guest: bool,
}

/// Starts the program, or gVisor with the program in it.
fn begin(start: &Start, streams: &program::Streams<'_>) -> Result<program::Child, JailError> {
    if start.guest.is_some() {
        return gvisor::start(streams);
    }
    let kernel = program::Kernel::Machine { binds: &start.binds, own_id: start.ids.is_some() };
    program::start(&start.launch, kernel, streams)
}

/// Serves until the server closes the control socket or the program ends.
fn attend(control: BorrowedFd<'_>, signals: &SignalFd, program: &Program) -> Result<(), JailError> {
    loop {
        let mut ready = [
            PollFd::from_borrowed_fd(control, PollFlags::IN),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
        ];
        match rustix::event::poll(&mut ready, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.attempt("waiting for events")?,
        };
        let [from_server, from_children] = ready.map(|fd| !fd.revents().is_empty());
        if from_server {
            match control::receive::<ToJail>(control).attempt("hearing the server")? {
                Some((ToJail::Load, archive)) => {
                    code::load(&program.code, archive)?;
                    drop_capabilities()?;
                    control::send(control, &ToServer::Loaded, &[]).attempt("telling the server")?;
                }
                Some(_) => {}
                None => return Ok(()),
            }
        }
        if from_children {
            while let Ok(Some(_)) = signals.read_signal() {}
            if let Some(end) = reap(program.pid, Some(WaitPidFlag::WNOHANG)) {
                let (code, signal) = if program.is_guest { end_of(end) } else { end };
                let ended = ToServer::Ended { code, signal };
                return control::send(control, &ended, &[]).attempt("telling the server");
            }
        }
    }
}

/// Collects whatever has ended; how the program has, if it has. With `WNOHANG` it does not wait.
pub(super) fn reap(program: Pid, how: Option<WaitPidFlag>) -> Option<End> {
    loop {
        match waitpid(None, how) {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => {
                return Some((Some(code), None));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => {
                #[expect(clippy::as_conversions, reason = "a signal is its number")]
                let signal = signal as i32;
                return Some((None, Some(signal)));
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// What a shell says of a process that was ended by signal n: 128 and n more.
const SIGNALLED: i32 = 128;
/// The last signal of signal(7).
const LAST_SIGNAL: i32 = 64;

/// The exit code of a process that stands for one that has ended so,
pub(super) fn status(end: End) -> i32 {
    match end {
        (Some(code), _) => code,
        (None, signal) => SIGNALLED + signal.unwrap_or(0),
    }
}

/// and how the other has ended, from that.
pub(super) fn end_of(end: End) -> End {
    match end {
        (Some(code), _) if (SIGNALLED + 1..=SIGNALLED + LAST_SIGNAL).contains(&code) => {
            (None, Some(code - SIGNALLED))
        }
        other => other,
    }
}

/// Closes what PID 1 does not need, standard streams aside.
pub(super) fn close_all_but(keep: &[BorrowedFd<'_>]) {
    let mut keep: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(fd.as_raw_fd()).ok())
        .filter(|fd| *fd > 2)
        .collect();
    keep.sort_unstable();
    let mut first = 3;
    for kept in keep.into_iter().chain([nix::libc::c_uint::MAX]) {
        if kept > first {
            // SAFETY: the descriptors' owners are in the launcher's stack frames, of which this
            // process has a copy that it never returns to; the caller uses only those that stay.
            #[expect(unsafe_code, reason = "no crate wraps close_range(2)")]
            unsafe {
                nix::libc::close_range(first, kept - 1, 0);
            }
        }
        first = kept.saturating_add(1);
    }
}

fn mount_tmp(bytes: u64) -> Result<(), JailError> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let options = format!("size={bytes},nr_inodes=16384,mode=1777");
    let options = std::ffi::CString::new(options).unwrap_or_default();
    rustix::mount::mount("tmpfs", TMP, "tmpfs", flags, Some(options.as_c_str()))
        .attempt("mounting /tmp")
}

/// PID 1 needs none once the files are in place.
pub(super) fn drop_capabilities() -> Result<(), JailError> {
    program::drop_capabilities()?;
    rustix::thread::set_no_new_privs(true).attempt("setting no_new_privs")
}
