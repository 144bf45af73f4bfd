//! A machine that has been told who it is: starts the program and passes on what it says.

use super::super::vm::wire::{
    self, CONTROL_PORT, Channel, ENTROPY, FromMachine, LONGEST, Life, ToMachine,
};
use super::super::{Attempt, CODE, JailError, code, init, program};
use super::{disks, egress, make};
use crate::cgroup::field;
use crate::control::Failure;
use data_encoding::HEXLOWER;
use nix::sys::socket::{AddressFamily, SockFlag, SockType};
use nix::sys::wait::WaitPidFlag;
use nix::unistd::{ForkResult, Pid};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::mount::MountFlags;
use rustix::pipe::PipeFlags;
use rustix::time::{ClockId, Timespec};
use std::fs;
use std::io::{self, Read};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, pipe};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// The number that the program knows the runner's socket by.
const RUNNER_FD: i32 = 3;
/// Where the control groups are, before the program's root is made.
const CGROUPS: &str = "/cgroups";

/// What the program and PID 1 share.
struct Program {
    pid: Pid,
    missing: Vec<String>,
    runner: UnixStream,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
    counts: Counts,
    children: Signal,
}

pub(super) fn run() -> Result<(), JailError> {
    // The first descriptor that is free, so that it has the number it needs.
    let (runner_inside, runner) = nix::sys::socket::socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .attempt("making a socket")?;
    if runner_inside.as_raw_fd() != RUNNER_FD {
        return Err(JailError {
            attempt: "finding the runner's number taken".to_owned(),
            source: None,
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .attempt("preparing to serve")?;
    runtime.block_on(async {
        let (mut from, mut to, life) = born().await?;
        match begin(&life, runner_inside, runner) {
            Ok(program) => serve(from, to, program).await.attempt("serving the host"),
            Err(error) => {
                let failed = FromMachine::Failed(error.failure());
                wire::tell(&mut to, &failed).await.attempt("telling the host")?;
                // The host ends the machine once it has read this.
                drop(wire::read(&mut from, &mut Vec::new()).await);
                Err(error)
            }
        }
    })
}

/// Waits for a life. A snapshot that is taken meanwhile breaks the connection in whatever is restored
/// from it.
async fn born() -> Result<(OwnedReadHalf, OwnedWriteHalf, Box<Life>), JailError> {
    loop {
        let stream = StdStream::from(egress::dial(CONTROL_PORT).attempt("calling the host")?);
        stream.set_nonblocking(true).attempt("calling the host")?;
        let stream = UnixStream::from_std(stream).attempt("calling the host")?;
        let (mut from, to) = stream.into_split();
        let mut payload = Vec::new();
        if let Ok(Some(Channel::Control)) = wire::read(&mut from, &mut payload).await {
            let told = wire::message(&payload).attempt("reading what the host says")?;
            if let ToMachine::Start(life) = told {
                return Ok((from, to, life));
            }
        }
    }
}

/// Becomes the machine of this life, and starts its program.
fn begin(life: &Life, runner_inside: OwnedFd, runner: OwnedFd) -> Result<Program, JailError> {
    reseed(&life.entropy)?;
    let nanos = 1_000_000_000;
    let now = Timespec {
        tv_sec: i64::try_from(life.now / nanos).unwrap_or(0),
        tv_nsec: i64::try_from(life.now % nanos).unwrap_or(0),
    };
    rustix::time::clock_settime(ClockId::Realtime, now).attempt("setting the clock")?;
    rustix::system::sethostname(b"sandbox").attempt("naming the sandbox")?;
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let counts = Counts::of_new_group(life)?;
    disks::build(life)?;
    let way = egress::listen()?;
    disks::enter()?;
    code::mount(Path::new(CODE))?;
    egress::start(&way)?;

    let (stdout, stdout_inside) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).attempt("making standard output")?;
    let (stderr, stderr_inside) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).attempt("making standard error")?;
    let streams = program::Streams {
        runner: runner_inside.as_fd(),
        stdout: stdout_inside.as_fd(),
        stderr: stderr_inside.as_fd(),
    };
    let what = "watching the program";
    let children = signal(SignalKind::child()).attempt(what)?;
    let (pid, missing) = start(life, &streams, &counts)?;
    // The program has it now.
    drop(runner_inside);
    let runner = StdStream::from(runner);
    runner.set_nonblocking(true).attempt(what)?;
    Ok(Program {
        pid,
        missing,
        runner: UnixStream::from_std(runner).attempt(what)?,
        stdout: pipe::Receiver::from_owned_fd(stdout).attempt(what)?,
        stderr: pipe::Receiver::from_owned_fd(stderr).attempt(what)?,
        counts,
        children,
    })
}

/// Starts the program below a PID 1 of its own, as in a jail: it finds no other process, and all that
/// it starts ends with it.
fn start(
    life: &Life,
    streams: &program::Streams<'_>,
    counts: &Counts,
) -> Result<(Pid, Vec<String>), JailError> {
    let (told, tell) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).attempt("making a pipe to the program")?;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID).attempt("making a PID namespace")?;
    // SAFETY: this process has one thread, so the child has every lock in the state it expects.
    #[expect(unsafe_code, reason = "fork(2) has no safe form")]
    let forked = unsafe { nix::unistd::fork() }.attempt("starting a process")?;
    match forked {
        ForkResult::Parent { child } => {
            drop(tell);
            let mut text = Vec::new();
            let what = "starting the program";
            fs::File::from(told).read_to_end(&mut text).attempt(what)?;
            let started: Result<Vec<String>, Failure> =
                serde_json::from_slice(&text).map_err(io::Error::from).attempt(what)?;
            match started {
                Ok(missing) => Ok((child, missing)),
                Err(Failure { attempt, errno }) => {
                    let source = rustix::io::Errno::from_raw_os_error(errno);
                    Err(JailError { attempt, source: (errno != 0).then_some(source) })
                }
            }
        }
        ForkResult::Child => {
            let kernel = program::Kernel::Machine { binds: &life.binds, own_id: true };
            let child = counts.within(|| program::start(&life.launch, kernel, streams));
            let started: Result<&Vec<String>, Failure> =
                child.as_ref().map(|child| &child.missing).map_err(JailError::failure);
            let text = serde_json::to_vec(&started).unwrap_or_default();
            let _ = rustix::io::write(&tell, &text);
            init::close_all_but(&[]);
            let end = match (&child, init::drop_capabilities()) {
                (Ok(child), Ok(())) => init::reap(child.pid, None),
                _ => None,
            };
            // Not a return: the rest of this stack is that of the first PID 1.
            std::process::exit(init::status(end.unwrap_or((Some(1), None))))
        }
    }
}

/// Gives the kernel's generator what no other machine was given, and lets it take that at once
/// (random(4): RNDADDENTROPY, RNDRESEEDCRNG).
fn reseed(entropy: &str) -> Result<(), JailError> {
    const ADD: rustix::ioctl::Opcode = rustix::ioctl::opcode::write::<[i32; 2]>(b'R', 0x03);
    const RESEED: rustix::ioctl::Opcode = rustix::ioctl::opcode::none(b'R', 0x07);
    /// `struct rand_pool_info`.
    #[repr(C)]
    struct Pool {
        bits: i32,
        length: i32,
        bytes: [u8; ENTROPY],
    }
    let what = "seeding the random numbers";
    let bytes = HEXLOWER
        .decode(entropy.as_bytes())
        .ok()
        .and_then(|bytes| <[u8; ENTROPY]>::try_from(bytes).ok())
        .ok_or_else(|| JailError { attempt: what.to_owned(), source: None })?;
    let length = i32::try_from(ENTROPY).unwrap_or(0);
    let pool = Pool { bits: length * 8, length, bytes };
    let generator =
        rustix::fs::open("/dev/urandom", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .attempt(what)?;
    // SAFETY: the first request reads two numbers and as many bytes behind them as the second says,
    // which is the length of the field; the other one takes no argument.
    #[expect(unsafe_code, reason = "no crate wraps these requests")]
    unsafe {
        rustix::ioctl::ioctl(&generator, rustix::ioctl::Setter::<ADD, Pool>::new(pool))
            .attempt(what)?;
        rustix::ioctl::ioctl(&generator, rustix::ioctl::NoArg::<RESEED>::new()).attempt(what)
    }
}

/// The control group of the program, through files that stay open when its folder is out of sight.
struct Counts {
    inside: fs::File,
    outside: fs::File,
    memory: fs::File,
    processes: fs::File,
}

impl Counts {
    fn of_new_group(life: &Life) -> Result<Self, JailError> {
        let what = "making a control group";
        make(Path::new(CGROUPS))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        rustix::mount::mount("cgroup2", CGROUPS, "cgroup2", flags, None).attempt(what)?;
        let all = Path::new(CGROUPS);
        fs::write(all.join("cgroup.subtree_control"), "+memory +pids").attempt(what)?;
        let own = all.join("program");
        fs::create_dir(&own).attempt(what)?;
        fs::write(own.join("memory.max"), life.memory_bytes.to_string()).attempt(what)?;
        fs::write(own.join("pids.max"), life.processes.to_string()).attempt(what)?;
        let writable = |path: &Path| fs::File::options().write(true).open(path).attempt(what);
        Ok(Self {
            inside: writable(&own.join("cgroup.procs"))?,
            outside: writable(&all.join("cgroup.procs"))?,
            memory: fs::File::open(own.join("memory.events")).attempt(what)?,
            processes: fs::File::open(own.join("pids.events")).attempt(what)?,
        })
    }

    /// Does something within the group: what is started there is in it from its first instruction on.
    fn within<T>(&self, work: impl FnOnce() -> Result<T, JailError>) -> Result<T, JailError> {
        rustix::io::write(&self.inside, b"0").attempt("entering the control group")?;
        let done = work();
        rustix::io::write(&self.outside, b"0").attempt("leaving the control group")?;
        done
    }

    /// How often the kernel has killed for want of memory, and refused a process.
    fn read(&self) -> (u64, u64) {
        let of = |file: &fs::File, name: &str| {
            let mut buffer = [0_u8; 512];
            let count = rustix::io::pread(file, &mut buffer, 0).unwrap_or(0);
            let text = std::str::from_utf8(buffer.get(..count).unwrap_or_default()).unwrap_or("");
            field(text, name).unwrap_or(0)
        };
        (of(&self.memory, "oom_kill"), of(&self.processes, "max"))
    }
}

/// Passes on what host and program say, until the host has no more use for the machine.
async fn serve(from: OwnedReadHalf, mut to: OwnedWriteHalf, program: Program) -> io::Result<()> {
    let missing = program.missing.clone();
    wire::tell(&mut to, &FromMachine::Up { missing }).await?;
    let (told, tell) = mpsc::channel(1);
    let (runner, runner_write) = program.runner.into_split();
    let saying = Saying {
        to,
        runner,
        stdout: program.stdout,
        stderr: program.stderr,
        counts: program.counts,
        counted: (0, 0),
    };
    tokio::select! {
        heard = hear(from, runner_write, told) => heard,
        said = say(saying, program.pid, program.children, tell) => said,
    }
}

/// Does what the host says.
async fn hear(
    mut from: OwnedReadHalf,
    mut runner: OwnedWriteHalf,
    told: mpsc::Sender<FromMachine>,
) -> io::Result<()> {
    let mut payload = Vec::new();
    let mut archive = None;
    while let Some(channel) = wire::read(&mut from, &mut payload).await? {
        match channel {
            // A runner that has gone is told of as the program's end.
            Channel::Runner => drop(runner.write_all(&payload).await),
            Channel::Files => {
                let file = match archive.take() {
                    Some(file) => file,
                    None => rustix::fs::memfd_create("files", MemfdFlags::CLOEXEC)?,
                };
                io::Write::write_all(&mut fs::File::from(file.try_clone()?), &payload)?;
                archive = Some(file);
            }
            Channel::Control => {
                let loaded = match wire::message::<ToMachine>(&payload)? {
                    ToMachine::Load => load(archive.take()),
                    ToMachine::Start(_) => continue,
                };
                let answer = match loaded {
                    Ok(()) => FromMachine::Loaded,
                    Err(error) => FromMachine::Failed(error.failure()),
                };
                drop(told.send(answer).await);
            }
            Channel::Stdout | Channel::Stderr => {}
        }
    }
    Ok(())
}

/// Puts the program's files in place, after which PID 1 needs no right any more.
fn load(archive: Option<OwnedFd>) -> Result<(), JailError> {
    let archive = match archive {
        Some(archive) => archive,
        // A program without files.
        None => rustix::fs::memfd_create("files", MemfdFlags::CLOEXEC)
            .attempt("reading the program's files")?,
    };
    code::load(Path::new(CODE), vec![archive])?;
    init::drop_capabilities()
}

/// What the program says, on its way to the host.
struct Saying {
    to: OwnedWriteHalf,
    runner: OwnedReadHalf,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
    counts: Counts,
    /// What the host knows of them.
    counted: (u64, u64),
}

/// Tells the host what the program says.
async fn say(
    mut saying: Saying,
    pid: Pid,
    mut children: Signal,
    mut tell: mpsc::Receiver<FromMachine>,
) -> io::Result<()> {
    let (mut answer, mut out, mut err) =
        (vec![0_u8; LONGEST], vec![0_u8; LONGEST], vec![0_u8; LONGEST]);
    let (mut runner_open, mut out_open, mut err_open) = (true, true, true);
    loop {
        tokio::select! {
            count = saying.runner.read(&mut answer), if runner_open => {
                let count = count.unwrap_or(0);
                runner_open = count > 0;
                saying.before().await?;
                saying.pass(Channel::Runner, answer.get(..count)).await?;
            }
            count = saying.stdout.read(&mut out), if out_open => {
                let count = count.unwrap_or(0);
                out_open = count > 0;
                saying.pass(Channel::Stdout, out.get(..count)).await?;
            }
            count = saying.stderr.read(&mut err), if err_open => {
                let count = count.unwrap_or(0);
                err_open = count > 0;
                saying.pass(Channel::Stderr, err.get(..count)).await?;
            }
            message = tell.recv() => {
                if let Some(message) = message {
                    wire::tell(&mut saying.to, &message).await?;
                }
            }
            _ = children.recv() => {
                if let Some(end) = init::reap(pid, Some(WaitPidFlag::WNOHANG)) {
                    let (code, signal) = init::end_of(end);
                    saying.before().await?;
                    let mut buffer = vec![0_u8; LONGEST];
                    while let Ok(count @ 1..) = rustix::io::read(saying.runner.as_ref(), &mut buffer) {
                        saying.pass(Channel::Runner, buffer.get(..count)).await?;
                    }
                    wire::tell(&mut saying.to, &FromMachine::Ended { code, signal }).await?;
                }
            }
        }
    }
}

impl Saying {
    async fn pass(&mut self, channel: Channel, bytes: Option<&[u8]>) -> io::Result<()> {
        match bytes {
            Some(bytes) if !bytes.is_empty() => wire::write(&mut self.to, channel, bytes).await,
            _ => Ok(()),
        }
    }

    /// Tells what has happened before what the runner is about to be heard saying: what is in the
    /// pipes, which hold no more than one frame does, and what the kernel has counted.
    async fn before(&mut self) -> io::Result<()> {
        let mut buffer = vec![0_u8; LONGEST];
        // Past the runtime, whose own knowledge of readiness may be behind.
        if let Ok(count) = rustix::io::read(&self.stdout, &mut buffer) {
            self.pass(Channel::Stdout, buffer.get(..count)).await?;
        }
        if let Ok(count) = rustix::io::read(&self.stderr, &mut buffer) {
            self.pass(Channel::Stderr, buffer.get(..count)).await?;
        }
        let counted = self.counts.read();
        if counted != self.counted {
            self.counted = counted;
            let (memory_kills, refused_tasks) = counted;
            wire::tell(&mut self.to, &FromMachine::Counted { memory_kills, refused_tasks }).await?;
        }
        Ok(())
    }
}
