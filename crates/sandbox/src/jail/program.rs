//! The third process: everything is taken from it, then it becomes the program.
//!
//! Under gVisor the same is done a second time, inside, for the real program: its kernel takes the
//! same calls, except for those that it does not have.

use super::{Attempt, JailError, PROGRAM_ID, TMP, process, seccomp};
use crate::control::{Bind, Launch, Purpose};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::SigSet;
use nix::unistd::{ForkResult, Pid};
use rustix::fd::BorrowedFd;
use rustix::io::FdFlags;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};
use std::ffi::CString;

/// Open files of one process.
const OPEN_FILES: u64 = 1024;

/// Whose kernel the program runs on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kernel<'a> {
    /// The machine's. The program may execute what these say.
    Machine {
        /// What of the machine is shown to it.
        binds: &'a [Bind],
        /// Whether it has an identity of its own.
        own_id: bool,
    },
    /// gVisor's, which has neither Landlock nor secure bits.
    Guest,
}

/// What the program may hold open, beside `/dev/null` as its standard input.
pub(super) struct Streams<'a> {
    /// Number 3.
    pub(super) runner: BorrowedFd<'a>,
    /// Number 1.
    pub(super) stdout: BorrowedFd<'a>,
    /// Number 2.
    pub(super) stderr: BorrowedFd<'a>,
}

/// The program, started.
pub(super) struct Child {
    pub(super) pid: Pid,
    /// Controls that this kernel does not have.
    pub(super) missing: Vec<String>,
}

/// Forks and runs the program.
pub(super) fn start(
    launch: &Launch,
    kernel: Kernel<'_>,
    streams: &Streams<'_>,
) -> Result<Child, JailError> {
    let filters = seccomp::compile().map_err(|why| JailError {
        attempt: format!("compiling the filter: {why}"),
        source: None,
    })?;
    let missing = if landlock_is_here() { Vec::new() } else { vec!["landlock".to_owned()] };
    let become_it = || become_program(launch, kernel, streams, &filters);
    let pid = spawn(&launch.command, &launch.environment, become_it)?;
    Ok(Child { pid, missing })
}

/// Forks and runs a program, after what `prepare` does to the new process.
pub(super) fn spawn(
    command: &[String],
    environment: &[String],
    prepare: impl FnOnce() -> Result<(), JailError>,
) -> Result<Pid, JailError> {
    let text = |text: &String| CString::new(text.as_str()).unwrap_or_default();
    let command: Vec<CString> = command.iter().map(text).collect();
    let environment: Vec<CString> = environment.iter().map(text).collect();
    // A pipe that closes when the program runs, or tells why it does not.
    let (failure, tell) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .attempt("making a pipe to the program")?;

    // SAFETY: PID 1 has one thread, so the child has every lock in the state it expects.
    #[expect(unsafe_code, reason = "fork(2) has no safe form")]
    let forked = unsafe { nix::unistd::fork() }.attempt("starting a process")?;
    match forked {
        ForkResult::Parent { child } => {
            drop(tell);
            let mut told = [0_u8; 512];
            let count = rustix::io::read(&failure, &mut told).attempt("starting the program")?;
            if count == 0 {
                return Ok(child);
            }
            let told: crate::control::Failure =
                serde_json::from_slice(told.get(..count).unwrap_or_default()).map_err(|_| {
                    JailError { attempt: "starting the program".to_owned(), source: None }
                })?;
            Err(JailError {
                attempt: told.attempt,
                source: (told.errno != 0).then(|| rustix::io::Errno::from_raw_os_error(told.errno)),
            })
        }
        ForkResult::Child => {
            let error = match prepare() {
                Ok(()) => exec(&command, &environment),
                Err(error) => error,
            };
            let text = serde_json::to_vec(&error.failure()).unwrap_or_default();
            let _ = rustix::io::write(&tell, &text);
            // `exit` and not a return: the rest of this stack is PID 1's.
            std::process::exit(1)
        }
    }
}

fn exec(command: &[CString], environment: &[CString]) -> JailError {
    let Some(program) = command.first() else {
        return JailError { attempt: "running nothing".to_owned(), source: None };
    };
    let attempt = format!("running {}", program.to_string_lossy());
    match nix::unistd::execve(program, command, environment) {
        Ok(never) => match never {},
        Err(source) => {
            JailError { attempt, source: rustix::io::Errno::from_io_error(&source.into()) }
        }
    }
}

fn become_program(
    launch: &Launch,
    kernel: Kernel<'_>,
    streams: &Streams<'_>,
    filters: &seccomp::Filters,
) -> Result<(), JailError> {
    start_anew()?;
    rustix::process::chdir("/code").attempt("entering /code")?;
    take_streams(streams, kernel)?;
    limit(launch, kernel)?;

    drop_bounding_set(kernel)?;
    if matches!(kernel, Kernel::Guest | Kernel::Machine { own_id: true, .. }) {
        process::take_identity(PROGRAM_ID)?;
    }
    drop_capabilities()?;
    rustix::thread::set_no_new_privs(true).attempt("setting no_new_privs")?;
    if let Kernel::Machine { binds, .. } = kernel {
        confine_files(binds)?;
    }
    filters.install()
}

/// A session of its own, without the signals that PID 1 has blocked.
pub(super) fn start_anew() -> Result<(), JailError> {
    // Not rustix's, which takes the answer for a process id: gVisor's is 0.
    nix::unistd::setsid().attempt("starting a session")?;
    SigSet::empty().thread_set_mask().attempt("unblocking signals")
}

/// Numbers 0 to 3 and nothing above.
fn take_streams(streams: &Streams<'_>, kernel: Kernel<'_>) -> Result<(), JailError> {
    let null = process::open_null(rustix::fs::OFlags::RDONLY)?;
    process::set_standard_streams(&null, streams.stdout, streams.stderr)?;
    if let Kernel::Machine { .. } = kernel {
        close_from(4)?;
    } // gVisor cannot mark them, and PID 1 there has none that is not marked
    rustix::io::fcntl_setfd(streams.runner, FdFlags::empty()).attempt("keeping the runner's socket")
}

/// Marks every descriptor from this one on to close when the program runs.
pub(super) fn close_from(first: u32) -> Result<(), JailError> {
    // SAFETY: descriptors are marked, not closed: whoever owns one still does.
    #[expect(unsafe_code, reason = "no crate wraps close_range(2)")]
    let result = unsafe {
        let mark = nix::libc::c_int::try_from(nix::libc::CLOSE_RANGE_CLOEXEC).unwrap_or(4);
        nix::libc::close_range(first, nix::libc::c_uint::MAX, mark)
    };
    nix::errno::Errno::result(result).attempt("closing descriptors").map(drop)
}

fn limit(launch: &Launch, kernel: Kernel<'_>) -> Result<(), JailError> {
    let limits = [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, OPEN_FILES),
        (Resource::RLIMIT_NPROC, launch.processes),
        (Resource::RLIMIT_FSIZE, launch.disk_bytes),
        (Resource::RLIMIT_MEMLOCK, 0),
    ];
    // gVisor has neither message queues nor priorities of the machine's to give, nor limits of them.
    let of_machine = [Resource::RLIMIT_MSGQUEUE, Resource::RLIMIT_RTPRIO, Resource::RLIMIT_NICE]
        .map(|one| (one, 0));
    let of_machine =
        if matches!(kernel, Kernel::Machine { .. }) { of_machine.as_slice() } else { &[] };
    let data = launch.data_bytes.map(|bytes| (Resource::RLIMIT_DATA, bytes));
    for (resource, value) in limits.into_iter().chain(of_machine.iter().copied()).chain(data) {
        setrlimit(resource, value, value).attempt(format!("setting {resource:?}"))?;
    }
    Ok(())
}

/// No program, whatever its file says, can get a capability again.
fn drop_bounding_set(kernel: Kernel<'_>) -> Result<(), JailError> {
    for capability in CapabilitySet::all().iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // A capability that this kernel does not know.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error).attempt("dropping the bounding set"),
        }
    }
    if matches!(kernel, Kernel::Guest) {
        return Ok(());
    }
    let locked = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    rustix::thread::set_capabilities_secure_bits(locked).attempt("locking the secure bits")
}

/// Every capability, now.
pub(super) fn drop_capabilities() -> Result<(), JailError> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    match rustix::thread::clear_ambient_capability_set() {
        // A kernel that knows none, such as gVisor's.
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(error) => return Err(error).attempt("dropping ambient capabilities"),
    }
    rustix::thread::set_capabilities(None, none).attempt("dropping capabilities")
}

/// Whether this kernel has Landlock.
pub(crate) fn landlock_is_here() -> bool {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(Ruleset::create)
        .is_ok()
}

/// Landlock, a second wall behind the mounts: read everywhere (there is little), write to `/tmp`
/// and the null device, execute the program and its loader only; no TCP, no signal or abstract
/// socket across the edge. A kernel without it, or with an older one, applies what it has.
fn confine_files(binds: &[Bind]) -> Result<(), JailError> {
    let failed = |error: landlock::RulesetError| JailError {
        attempt: format!("confining files: {error}"),
        source: None,
    };
    let opened = |error: landlock::PathFdError| JailError {
        attempt: format!("confining files: {error}"),
        source: None,
    };
    let abi = ABI::V6;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .map_err(failed)?
        .handle_access(AccessNet::from_all(abi))
        .map_err(failed)?
        .scope(Scope::from_all(abi))
        .map_err(failed)?
        .create()
        .map_err(failed)?
        .add_rule(PathBeneath::new(PathFd::new("/").map_err(opened)?, read))
        .map_err(failed)?
        .add_rule(PathBeneath::new(
            PathFd::new(TMP).map_err(opened)?,
            AccessFs::from_all(abi) & !(AccessFs::Execute | AccessFs::IoctlDev),
        ))
        .map_err(failed)?
        .add_rule(PathBeneath::new(
            PathFd::new("/dev/null").map_err(opened)?,
            AccessFs::ReadFile | AccessFs::WriteFile,
        ))
        .map_err(failed)?;
    for bind in binds.iter().filter(|bind| bind.purpose == Purpose::Execute) {
        let file = PathFd::new(&bind.target).map_err(opened)?;
        ruleset = ruleset
            .add_rule(PathBeneath::new(file, AccessFs::Execute | AccessFs::ReadFile))
            .map_err(failed)?;
    }
    match ruleset.restrict_self().map_err(failed)?.ruleset {
        RulesetStatus::FullyEnforced
        | RulesetStatus::PartiallyEnforced
        | RulesetStatus::NotEnforced => Ok(()),
    }
}
