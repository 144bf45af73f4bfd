//! The launcher: the first of the three processes.

use super::{Attempt, JailError, init, root, vm};
use crate::control::{self, Ids, Start, ToJail, ToServer};
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;

/// Stack of PID 1 until it runs the program, in bytes.
const INIT_STACK: usize = 2 << 20;

/// What PID 1 gets from the launcher.
pub(super) struct Handover<'a> {
    pub(super) start: &'a Start,
    /// The socket to the server.
    pub(super) control: BorrowedFd<'a>,
    /// The socket between server and runner.
    pub(super) runner: BorrowedFd<'a>,
    /// Where the program's way out is accepted.
    pub(super) egress: &'a UnixListener,
    /// Readable (a byte) once the identities are mapped; closed if that failed.
    pub(super) mapped: BorrowedFd<'a>,
}

pub(super) fn run() -> ExitCode {
    close_all_but_stdio();
    let control = std::io::stdin();
    let Ok(Some((ToJail::Start(start), _))) = control::receive::<ToJail>(&control) else {
        return ExitCode::FAILURE;
    };
    match launch(&start, control.as_fd()) {
        Ok(code) => code,
        Err(error) => {
            // The server is told; if it is gone too, nobody is left to tell.
            let _ = control::send(&control, &ToServer::Failed(error.failure()), &[]);
            ExitCode::FAILURE
        }
    }
}

fn launch(start: &Start, control: BorrowedFd<'_>) -> Result<ExitCode, JailError> {
    // The runner's socket gets number 3, the first that is free, and keeps it to the end.
    let runner = rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3)
        .attempt("duplicating the runner's socket")?;
    if let Some(machine) = &start.machine {
        return vm::launch(start, machine, control, runner);
    }
    let root = root::build(start)?;
    if start.guest.is_none() {
        root::enter()?;
    }
    control::send(control, &ToServer::Ready, &[]).attempt("telling the server")?;
    match control::receive::<ToJail>(control).attempt("waiting for the server")? {
        Some((ToJail::Go, _)) => {}
        // The server has no use for this launcher.
        _ => return Ok(ExitCode::SUCCESS),
    }
    let (mapped, map) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .attempt("making a pipe to PID 1")?;
    let handover = Handover {
        start,
        control,
        runner: runner.as_fd(),
        egress: &root.egress,
        mapped: mapped.as_fd(),
    };
    let pid = clone(Namespaces::All, || init::run(&handover))?;
    if start.guest.is_some() {
        // Only now: a file system that PID 1 mounts for gVisor can be had while the machine's own
        // is in sight.
        root::enter()?;
    }
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())
        .attempt("opening a descriptor of PID 1")?;
    // `runsc` wants to be user 0; the program's identity is its kernel's affair.
    let alone = if start.guest.is_some() { super::INIT_ID } else { super::PROGRAM_ID };
    write_maps(root.proc.as_fd(), pid, start.ids, alone)?;
    control::send(control, &ToServer::Cloned, &[pidfd.as_fd()]).attempt("telling the server")?;
    rustix::io::write(&map, b"1").attempt("releasing PID 1")?;
    drop((map, mapped, runner, root));
    await_end(pid)
}

/// All that is left to do is to wait for PID 1's end.
pub(super) fn await_end(pid: Pid) -> Result<ExitCode, JailError> {
    release_stdio();
    super::program::drop_capabilities()?;
    match waitpid(nix::unistd::Pid::from_raw(pid.as_raw_nonzero().get()), None) {
        Ok(WaitStatus::Exited(_, 0)) => Ok(ExitCode::SUCCESS),
        _ => Ok(ExitCode::FAILURE),
    }
}

/// Descriptors that the server's other children or the operator's shell may have left open.
pub(super) fn close_all_but_stdio() {
    // SAFETY: this runs before anything in this process owns a descriptor above 2.
    #[expect(unsafe_code, reason = "no crate wraps close_range(2)")]
    unsafe {
        nix::libc::close_range(3, nix::libc::c_uint::MAX, 0);
    }
}

/// Lets go of the sockets, so that the server sees the end of the jail and not of the launcher.
fn release_stdio() {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    if let Ok(null) = rustix::fs::open("/dev/null", flags, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// What PID 1 has of its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Namespaces {
    /// All that there are.
    All,
    /// All but users: PID 1 starts what makes a device, which only the server's own root may.
    Machine,
}

/// Starts PID 1 in namespaces of its own.
pub(super) fn clone(namespaces: Namespaces, body: impl FnMut() -> isize) -> Result<Pid, JailError> {
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    if let Namespaces::All = namespaces {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    let mut stack = vec![0_u8; INIT_STACK];
    let body = Box::new(body);
    // SAFETY: the child shares no memory with this process (no CLONE_VM), so it has its own copy
    // of everything that the closure borrows and of the stack that is freed here; this process
    // has one thread, so no lock is held by a thread that the child does not have.
    #[expect(unsafe_code, reason = "clone(2) with namespaces has no safe form")]
    let pid = unsafe {
        nix::sched::clone(body, &mut stack, flags, Some(nix::libc::SIGCHLD))
            .attempt("making the namespaces of the sandbox")?
    };
    Pid::from_raw(pid.as_raw()).ok_or_else(|| JailError {
        attempt: "making the namespaces of the sandbox".to_owned(),
        source: None,
    })
}

/// Writes the identities of PID 1's user namespace; `alone` is the one where there is only one.
fn write_maps(
    proc: BorrowedFd<'_>,
    pid: Pid,
    ids: Option<Ids>,
    alone: u32,
) -> Result<(), JailError> {
    let map = match ids {
        Some(ids) => {
            format!("{} {} 1\n{} {} 1\n", super::INIT_ID, ids.init, super::PROGRAM_ID, ids.program)
        }
        None => format!("{alone} 0 1\n"),
    };
    let directory = pid.as_raw_nonzero().get();
    write_proc(
        proc,
        &format!("{directory}/setgroups"),
        if ids.is_some() { "allow" } else { "deny" },
    )?;
    write_proc(proc, &format!("{directory}/gid_map"), &map)?;
    write_proc(proc, &format!("{directory}/uid_map"), &map)
}

/// Writes one file below `/proc`.
pub(super) fn write_proc(proc: BorrowedFd<'_>, path: &str, text: &str) -> Result<(), JailError> {
    let what = || format!("writing /proc/{path}");
    let file: OwnedFd =
        rustix::fs::openat(proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .attempt(what())?;
    rustix::io::write(&file, text.as_bytes()).attempt(what()).map(drop)
}

/// The kernel ends this process when its parent ends.
pub(super) fn die_with_parent() -> Result<(), JailError> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).attempt("tying PID 1 to the launcher")
}
