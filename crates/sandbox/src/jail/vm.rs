//! A virtual machine in a jail: Firecracker runs in the program's place, and the program on the kernel
//! of a machine's image.
//!
//! - The **launcher** makes a disk in memory, in a mount namespace of its own, and puts there what
//!   Firecracker's root is to hold: the image's parts, the temporary disk, the sockets. So all of it is
//!   gone with the last process of the jail, whatever the reason;
//! - **PID 1** has namespaces of its own, without a network. It starts Firecracker's jailer, which makes
//!   Firecracker's root and takes its rights; then it gives up its own, and stands between the machine
//!   and the server. What the machine says is read here first, by a process that has nothing: the
//!   server hears what it hears from any jail, over the same sockets;
//! - the user namespace stays the server's, since the jailer makes a device, which no other may.
//!
//! PID 1 in the machine is the launcher's own program again: see the module `machine`.

mod firecracker;
mod relay;
pub(in crate::jail) mod wire;

use super::launcher::{self, Namespaces};
use super::root::{self, STAGE, attach, make_directory, open_source, restrict};
use super::{Attempt, JailError, init, machine, process, program};
use crate::control::{self, Bind, Ids, Machine, Purpose, Start, ToJail, ToServer};
use firecracker::Api;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::process::DumpableBehavior;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Where Firecracker and its jailer are in the jail.
const PROGRAMS: &str = "programs";
/// What the disk in memory holds beside the temporary disk: Firecracker and its jailer, in bytes.
const STAGE_BYTES: u64 = 64 << 20;
/// What the temporary disk's file system takes of its disk itself: a part, and some bytes.
const DISK_SHARE: u64 = 32;
const DISK_OVERHEAD: u64 = 8 << 20;
/// How long Firecracker may take to open its API.
const API_LIMIT: Duration = Duration::from_secs(10);
/// How long what is left to hear of a machine that has ended may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is ready before the server says `Go`.
struct Stage {
    /// The machine's name.
    id: String,
    /// Firecracker's root.
    root: PathBuf,
    /// The jailer's command line.
    jailer: Vec<String>,
    /// Where the machine calls PID 1.
    calls: UnixListener,
    /// Where the machine calls the server: the way out.
    egress: UnixListener,
}

/// What PID 1 gets from the launcher.
struct Handover<'a> {
    start: &'a Start,
    machine: &'a Machine,
    stage: &'a Stage,
    ids: Ids,
    control: BorrowedFd<'a>,
    runner: BorrowedFd<'a>,
}

/// The body of the launcher.
pub(super) fn launch(
    start: &Start,
    machine: &Machine,
    control: BorrowedFd<'_>,
    runner: OwnedFd,
) -> Result<ExitCode, JailError> {
    let ids = start.ids.ok_or_else(|| JailError {
        attempt: "making a virtual machine, which takes a server that runs as root".to_owned(),
        source: None,
    })?;
    root::enter_namespace(start)?;
    let stage = furnish(start, machine, ids)?;
    control::send(control, &ToServer::Ready, &[]).attempt("telling the server")?;
    match control::receive::<ToJail>(control).attempt("waiting for the server")? {
        Some((ToJail::Go, _)) => {}
        // The server has no use for this launcher.
        _ => return Ok(ExitCode::SUCCESS),
    }
    let handover = Handover { start, machine, stage: &stage, ids, control, runner: runner.as_fd() };
    let pid = launcher::clone(Namespaces::Machine, || run(&handover))?;
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
        .attempt("opening a descriptor of PID 1")?;
    control::send(control, &ToServer::Cloned, &[pidfd.as_fd()]).attempt("telling the server")?;
    drop((runner, stage));
    launcher::await_end(pid)
}

/// Makes the disk in memory and what Firecracker's root is to hold.
fn furnish(start: &Start, machine: &Machine, ids: Ids) -> Result<Stage, JailError> {
    let disk = start.launch.disk_bytes;
    let disk = (disk + disk / DISK_SHARE + DISK_OVERHEAD).next_multiple_of(4096);
    // Opened before the stage may hide them.
    let open = |path: &PathBuf| open_source(path);
    let programs = [open(&machine.jailer)?, open(&machine.firecracker)?];
    let layers = machine.layers.iter().map(|layer| open(&layer.source));
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    let parts = [
        (firecracker::KERNEL.to_owned(), open(&machine.kernel)?),
        (firecracker::INITRAMFS.to_owned(), open(&machine.initramfs)?),
        (firecracker::IMAGE.to_owned(), open(&machine.root)?),
    ];
    let layers =
        layers.into_iter().enumerate().map(|(number, fd)| (firecracker::layer(number), fd));
    let snapshot = machine.restore.as_ref().or(machine.save.as_ref()).map(open).transpose()?;
    let scratch = File::open(&machine.scratch).attempt("opening the image's temporary disk")?;

    // The jailer makes a device on it, and Firecracker runs from it.
    let options = format!("size={},nr_inodes=256,mode=0755", disk + STAGE_BYTES);
    let options = std::ffi::CString::new(options).unwrap_or_default();
    rustix::mount::mount("tmpfs", STAGE, "tmpfs", MountFlags::NOSUID, Some(options.as_c_str()))
        .attempt("mounting the sandbox's root")?;
    let base = Path::new(STAGE);
    let mut placed = Vec::new();
    for (source, path) in programs.iter().zip([&machine.jailer, &machine.firecracker]) {
        let place = base.join(PROGRAMS).join(path.file_name().unwrap_or_default());
        attach(source, &place)?;
        restrict(&place, READ_ONLY)?;
        placed.push(place);
    }
    let [jailer, vmm] = <[PathBuf; 2]>::try_from(placed).unwrap_or_default();
    let id = machine_id()?;
    // As the documentation of the jailer says: BASE, the program's name, the id, `root`.
    let root = base.join(vmm.file_name().unwrap_or_default()).join(&id).join("root");
    let inside = |path: &str| root.join(path.trim_start_matches('/'));
    for (name, source) in parts.into_iter().chain(layers) {
        attach(&source, &inside(&name))?;
        restrict(&inside(&name), READ_ONLY | MountFlags::NOEXEC)?;
    }
    if let Some(snapshot) = &snapshot {
        let place = inside(firecracker::SNAPSHOT);
        attach(snapshot, &place)?;
        let flags = if machine.save.is_some() { MountFlags::empty() } else { READ_ONLY };
        restrict(&place, MountFlags::BIND | MountFlags::NOSUID | MountFlags::NOEXEC | flags)?;
    }
    let what = "making the temporary disk";
    let place = inside(firecracker::SCRATCH);
    copy_sparse(&scratch, &place, disk).attempt(what)?;
    own(&place, ids.program, 0o600).attempt(what)?;
    let what = "making the sockets of the machine";
    make_directory(&inside("/run"))?;
    let listen = |port: u32| {
        let place = inside(&format!("{}_{port}", firecracker::VSOCK));
        let listener = UnixListener::bind(&place)?;
        own(&place, ids.program, 0o600)?;
        Ok::<_, std::io::Error>(listener)
    };
    let (calls, egress) = (listen(wire::CONTROL_PORT), listen(wire::EGRESS_PORT));
    let file_bytes = disk.max(machine.whole_memory_bytes + STAGE_BYTES);
    let jailer = firecracker::jailer(&jailer, &vmm, base, &id, ids.program, file_bytes);
    Ok(Stage { id, root, jailer, calls: calls.attempt(what)?, egress: egress.attempt(what)? })
}

const READ_ONLY: MountFlags =
    MountFlags::BIND.union(MountFlags::RDONLY).union(MountFlags::NOSUID).union(MountFlags::NODEV);

/// A name that no other machine has or had, as 32 hexadecimal digits.
fn machine_id() -> Result<String, JailError> {
    random::<16>()
}

/// Random bytes of this machine's kernel, in hexadecimal.
fn random<const COUNT: usize>() -> Result<String, JailError> {
    let mut bytes = [0_u8; COUNT];
    // Up to 256 bytes are given whole (getrandom(2)).
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .attempt("asking for random bytes")?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

fn own(place: &Path, user: u32, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(place, Permissions::from_mode(mode))?;
    chown(place, Some(user), Some(user))
}

/// Copies what a file holds and leaves out what is zero, which takes no memory then.
fn copy_sparse(from: &File, to: &Path, length: u64) -> std::io::Result<()> {
    let to = File::create(to)?;
    let mut buffer = vec![0_u8; 64 << 10];
    let mut at = 0;
    loop {
        let count = rustix::io::pread(from, &mut buffer, at)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return to.set_len(length);
        }
        if bytes.iter().any(|byte| *byte != 0) {
            std::os::unix::fs::FileExt::write_all_at(&to, bytes, at)?;
        }
        at += u64::try_from(count).unwrap_or(0);
    }
}

/// The body of PID 1.
fn run(handover: &Handover<'_>) -> isize {
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
    let Handover { stage, control, runner, .. } = *handover;
    init::close_all_but(&[control, runner, stage.calls.as_fd(), stage.egress.as_fd()]);
    launcher::die_with_parent()?;
    // Standard error is the server's: not even PID 1 needs it from here on.
    process::silence()?;
    let (console, console_inside) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).attempt("making a console")?;
    let jailer = program::spawn(&stage.jailer, &[], || prepare_jailer(console_inside.as_fd()))?;
    drop(console_inside);
    let mut console = relay::Console::new(console)?;
    let result = (|| {
        let api = connect(&stage.root, jailer)?;
        settle(handover.ids)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .attempt("preparing to serve")?;
        runtime.block_on(async {
            // Boxed: this stack is small.
            let mut serving = Box::pin(serve(handover, api));
            tokio::select! {
                served = &mut serving => return served,
                watched = console.watch() => watched.attempt("reading the machine's console")?,
            }
            // Firecracker has ended. What it has said is still to be heard.
            let gone = || JailError {
                attempt: "running Firecracker, which ended".to_owned(),
                source: None,
            };
            tokio::time::timeout(LAST_WORDS, serving).await.unwrap_or_else(|_| Err(gone()))
        })
    })();
    result.map_err(|error| console.explain(error))
}

/// What becomes of the new process before it is the jailer.
fn prepare_jailer(console: BorrowedFd<'_>) -> Result<(), JailError> {
    program::start_anew()?;
    // Mounts of its own, so that it keeps the machine's root in sight while PID 1 leaves it.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).attempt("making a mount namespace")?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .attempt("making mounts private")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", "/proc", "proc", flags, None).attempt("mounting /proc")?;
    rustix::process::chdir("/").attempt("entering the root")?;
    let null = process::open_null(rustix::fs::OFlags::RDONLY)?;
    process::set_standard_streams(&null, console, console)?;
    program::close_from(3)
}

/// Waits until Firecracker opens its API; nobody is told when it does.
fn connect(root: &Path, jailer: Pid) -> Result<UnixStream, JailError> {
    let place = root.join(firecracker::API_SOCKET.trim_start_matches('/'));
    let end = Instant::now() + API_LIMIT;
    loop {
        if let Ok(stream) = UnixStream::connect(&place) {
            return Ok(stream);
        }
        let ended =
            !matches!(waitpid(jailer, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive));
        if ended || Instant::now() > end {
            let attempt = "starting Firecracker by its jailer".to_owned();
            return Err(JailError { attempt, source: None });
        }
        machine::rest(Duration::from_millis(2));
    }
}

/// Takes from PID 1 everything that it does not need to listen.
fn settle(ids: Ids) -> Result<(), JailError> {
    root::enter()?;
    process::take_identity(ids.init)?;
    // Changing identity has cleared the first and may have cleared the second.
    launcher::die_with_parent()?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .attempt("hiding PID 1's memory")?;
    init::drop_capabilities()
}

/// Makes the machine, and stands between it and the server.
async fn serve(handover: &Handover<'_>, api: UnixStream) -> Result<(), JailError> {
    let Handover { start, machine, stage, .. } = *handover;
    let what = "talking to Firecracker";
    api.set_nonblocking(true).attempt(what)?;
    let mut api = Api::over(tokio::net::UnixStream::from_std(api).attempt(what)?).await?;
    let calls = stage.calls.try_clone().attempt("hearing the machine")?;
    if machine.restore.is_some() {
        api.restore().await?;
    } else {
        api.boot(machine).await?;
    }
    let called = relay::answer(calls).await?;
    if machine.save.is_some() {
        api.save().await?;
        return control::send(handover.control, &ToServer::Saved, &[])
            .attempt("telling the server");
    }
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let nanos = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    // Of files that it may only read the program inside finds more than these, and is told nothing.
    let executed = start.binds.iter().filter(|bind| bind.purpose == Purpose::Execute);
    let life = wire::Life {
        entropy: random::<{ wire::ENTROPY }>()?,
        id: stage.id.clone(),
        now: u64::try_from(nanos).unwrap_or(0),
        runtime: start.runtime,
        binds: executed.map(|bind| Bind { source: PathBuf::new(), ..bind.clone() }).collect(),
        certificate: start.certificate.clone(),
        roots: start.roots.clone(),
        launch: start.launch.clone(),
        layers: machine.layers.clone(),
        memory_bytes: machine.memory_bytes,
        processes: machine.processes,
    };
    relay::run(handover, called, life).await
}
