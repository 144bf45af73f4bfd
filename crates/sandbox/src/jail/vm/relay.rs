//! Between a machine and the server. What the machine says is hostile: it is bounded here by the length
//! of frames and by what the server's sockets hold, and closed words are all that goes on as a message.

use super::super::{Attempt, JailError};
use super::Handover;
use super::wire::{self, Channel, FromMachine, LONGEST, Life, ToMachine};
use crate::control::{self, Failure, ToJail, ToServer};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::MemfdFlags;
use rustix::pipe::PipeFlags;
use std::io;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream as StdStream};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, pipe};

/// How long a machine may take to call.
const BOOT_LIMIT: Duration = Duration::from_secs(50);
/// What is kept of a machine's console, in bytes.
const CONSOLE_KEPT: usize = 4 << 10;
/// What of it a person is told, in characters.
const CONSOLE_TOLD: usize = 600;
/// The longest list of missing controls that is passed on, in entries and in bytes of each.
const MOST_MISSING: usize = 8;
const LONGEST_MISSING: usize = 64;

/// What Firecracker and a machine's kernel print: read, so that they do not wait, and kept in part.
pub(super) struct Console {
    pipe: OwnedFd,
    kept: Vec<u8>,
}

impl Console {
    pub(super) fn new(pipe: OwnedFd) -> Result<Self, JailError> {
        rustix::io::ioctl_fionbio(&pipe, true).attempt("making a console")?;
        Ok(Self { pipe, kept: Vec::new() })
    }

    fn keep(&mut self, printed: &[u8]) {
        self.kept.extend_from_slice(printed);
        let surplus = self.kept.len().saturating_sub(CONSOLE_KEPT);
        self.kept.drain(..surplus);
    }

    /// Adds the last that was printed to what went wrong.
    pub(super) fn explain(&mut self, error: JailError) -> JailError {
        // What nobody has waited for yet.
        let mut buffer = [0_u8; 4096];
        while let Ok(count @ 1..) = rustix::io::read(&self.pipe, &mut buffer) {
            self.keep(buffer.get(..count).unwrap_or_default());
        }
        let text = String::from_utf8_lossy(&self.kept);
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let text = lines.join("; ");
        let text: String = text.chars().filter(|one| !one.is_control()).collect();
        let skip = text.chars().count().saturating_sub(CONSOLE_TOLD);
        let told: String = text.chars().skip(skip).collect();
        let attempt = if told.is_empty() {
            error.attempt
        } else {
            format!("{} (the machine's console ends with: {told})", error.attempt)
        };
        JailError { attempt, source: error.source }
    }

    /// Reads as long as somebody prints.
    pub(super) async fn watch(&mut self) -> io::Result<()> {
        let mut pipe = pipe::Receiver::from_owned_fd(self.pipe.try_clone()?)?;
        let mut buffer = [0_u8; 4096];
        loop {
            let count = pipe.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            self.keep(buffer.get(..count).unwrap_or_default());
        }
    }
}

/// Waits for the machine's call, and takes no second one.
pub(super) async fn answer(calls: UnixListener) -> Result<UnixStream, JailError> {
    let what = "waiting for the machine to boot";
    calls.set_nonblocking(true).attempt(what)?;
    let calls = tokio::net::UnixListener::from_std(calls).attempt(what)?;
    match tokio::time::timeout(BOOT_LIMIT, calls.accept()).await {
        Ok(called) => called.map(|(stream, _)| stream).attempt(what),
        Err(_) => Err(JailError {
            attempt: format!("{what}, which it has not within {} s", BOOT_LIMIT.as_secs()),
            source: None,
        }),
    }
}

/// The server's ends of the pipes, which it is given when the program is about to run.
struct Given {
    stdout: OwnedFd,
    stderr: OwnedFd,
    counts: OwnedFd,
}

/// Passes on what machine and server say, until one of them ends.
pub(super) async fn run(
    handover: &Handover<'_>,
    machine: UnixStream,
    life: Life,
) -> Result<(), JailError> {
    let what = "serving the machine";
    let (from, mut to) = machine.into_split();
    wire::tell(&mut to, &ToMachine::Start(Box::new(life))).await.attempt(what)?;
    let (stdout, out) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).attempt(what)?;
    let (stderr, err) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).attempt(what)?;
    let counts = rustix::fs::memfd_create("counts", MemfdFlags::CLOEXEC).attempt(what)?;
    let given = Given { stdout, stderr, counts };
    let runner = StdStream::from(handover.runner.try_clone_to_owned().attempt(what)?);
    runner.set_nonblocking(true).attempt(what)?;
    let (runner_read, runner_write) = UnixStream::from_std(runner).attempt(what)?.into_split();
    let towards = Towards {
        control: handover.control.try_clone_to_owned().attempt(what)?,
        egress: handover.stage.egress.try_clone().attempt(what)?,
        runner: runner_write,
        stdout: pipe::Sender::from_owned_fd(out).attempt(what)?,
        stderr: pipe::Sender::from_owned_fd(err).attempt(what)?,
        given,
    };
    // As the server does with its end: a datagram socket serves for waiting.
    let control = UnixDatagram::from(handover.control.try_clone_to_owned().attempt(what)?);
    control.set_nonblocking(true).attempt(what)?;
    let control = tokio::net::UnixDatagram::from_std(control).attempt(what)?;
    tokio::select! {
        heard = hear_server(control, runner_read, to) => heard.attempt(what),
        heard = hear_machine(from, towards) => heard.attempt(what),
    }
}

/// Passes on what the server says.
async fn hear_server(
    control: tokio::net::UnixDatagram,
    mut runner: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) -> io::Result<()> {
    let mut buffer = vec![0_u8; LONGEST];
    let mut runner_open = true;
    loop {
        tokio::select! {
            told = control.async_io(Interest::READABLE, || {
                control::receive::<ToJail>(&control).map_err(Into::into)
            }) => match told? {
                Some((ToJail::Load, fds)) => load(&mut to, fds).await?,
                Some(_) => {}
                None => return Ok(()),
            },
            count = runner.read(&mut buffer), if runner_open => {
                let count = count?;
                runner_open = count > 0;
                if runner_open {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    wire::write(&mut to, Channel::Runner, bytes).await?;
                }
            }
        }
    }
}

/// Sends the archive with the program's files.
async fn load(to: &mut OwnedWriteHalf, mut fds: Vec<OwnedFd>) -> io::Result<()> {
    let mut buffer = vec![0_u8; LONGEST];
    let mut at = 0;
    if let Some(archive) = fds.pop() {
        loop {
            // By position: the same description may be in use by another sandbox.
            let count = rustix::io::pread(&archive, &mut buffer, at)?;
            if count == 0 {
                break;
            }
            at += u64::try_from(count).unwrap_or(0);
            wire::write(to, Channel::Files, buffer.get(..count).unwrap_or_default()).await?;
        }
    }
    wire::tell(to, &ToMachine::Load).await
}

/// Where what the machine says goes.
struct Towards {
    control: OwnedFd,
    egress: UnixListener,
    runner: OwnedWriteHalf,
    stdout: pipe::Sender,
    stderr: pipe::Sender,
    given: Given,
}

/// Passes on what the machine says. A server that does not read lets the machine wait, and only that.
async fn hear_machine(mut from: OwnedReadHalf, mut towards: Towards) -> io::Result<()> {
    let mut payload = Vec::new();
    while let Some(channel) = wire::read(&mut from, &mut payload).await? {
        match channel {
            // Who has closed his end does not want it.
            Channel::Runner => drop(towards.runner.write_all(&payload).await),
            Channel::Stdout => drop(towards.stdout.write_all(&payload).await),
            Channel::Stderr => drop(towards.stderr.write_all(&payload).await),
            Channel::Control => {
                if towards.pass(wire::message(&payload)?)? {
                    return Ok(());
                }
            }
            Channel::Files => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    Ok(())
}

impl Towards {
    /// Passes a message on; whether it was the last.
    fn pass(&mut self, message: FromMachine) -> io::Result<bool> {
        let tell = |message: &ToServer| control::send(&self.control, message, &[]);
        match message {
            FromMachine::Up { missing } => {
                let short = |mut one: String| {
                    one.truncate(one.floor_char_boundary(LONGEST_MISSING));
                    one
                };
                let missing = missing.into_iter().take(MOST_MISSING).map(short).collect();
                let fds = [
                    self.egress.as_fd(),
                    self.given.stdout.as_fd(),
                    self.given.stderr.as_fd(),
                    self.given.counts.as_fd(),
                ];
                control::send(&self.control, &ToServer::Up { missing }, &fds)?;
                Ok(false)
            }
            FromMachine::Loaded => tell(&ToServer::Loaded).map(|()| false).map_err(Into::into),
            FromMachine::Counted { memory_kills, refused_tasks } => {
                let mut bytes = [0_u8; 16];
                let (first, second) = bytes.split_at_mut(8);
                first.copy_from_slice(&memory_kills.to_le_bytes());
                second.copy_from_slice(&refused_tasks.to_le_bytes());
                rustix::io::pwrite(&self.given.counts, &bytes, 0)?;
                Ok(false)
            }
            FromMachine::Ended { code, signal } => {
                tell(&ToServer::Ended { code, signal })?;
                Ok(true)
            }
            FromMachine::Failed(Failure { mut attempt, errno }) => {
                attempt.truncate(attempt.floor_char_boundary(LONGEST / 64));
                tell(&ToServer::Failed(Failure { attempt, errno }))?;
                Ok(true)
            }
        }
    }
}
