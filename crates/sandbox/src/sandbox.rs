//! One sandbox, seen from the server: how it is started, given its program, and ended.

use crate::account::Account;
use crate::archive::Archive;
use crate::broker::Authority;
use crate::cgroup::{Bounds, Cgroups, Group};
use crate::control::{self, Bind, Failure, Launch, Machine, Start, ToJail, ToServer};
use crate::egress::{Egress, Way};
use crate::gvisor::{self, Gvisor};
use crate::host::Identities;
use crate::program::{Limits, Runtime};
use crate::runtimes::{RuntimeError, Runtimes};
use crate::tier::{Tier, TierError};
use crate::vm::{self, Vm};
use crate::{protocol, runner};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, Interest};
use tokio::net::{UnixDatagram, UnixListener, UnixStream, unix::pipe};
use tokio::process::ChildStderr;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// A sandbox that takes longer to start than this will not start.
const fn start_limit(tier: Tier) -> Duration {
    match tier {
        Tier::Jail | Tier::Gvisor => Duration::from_secs(20),
        // Its kernel starts, too.
        Tier::Vm => Duration::from_mins(1),
    }
}
/// How long what has ended may take to be gone.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// Tasks of a sandbox that are not the program's: the launcher and PID 1.
const OWN_TASKS: u64 = 2;
/// Memory that a runtime maps before it runs any code; only `RLIMIT_DATA` counts it, in bytes.
const fn mapped_before(runtime: Runtime) -> u64 {
    match runtime {
        Runtime::Node => 704 << 20,
        Runtime::Python | Runtime::Bash => 16 << 20,
    }
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// This machine has not what runs the code.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// This machine has not what the tier takes.
    #[error(transparent)]
    Tier(#[from] TierError),
    /// The launcher cannot be run.
    #[error("running the jail launcher {launcher}")]
    Launcher {
        /// Its path.
        launcher: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server's own preparations failed.
    #[error("{attempt} for a sandbox")]
    Prepare {
        /// What was attempted.
        attempt: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The keys of its certificate authority cannot be made.
    #[error("making the certificate authority of a sandbox")]
    Authority(#[source] rcgen::Error),
    /// The kernel or its configuration does not let the jail be made.
    #[error("{attempt} in a new sandbox; `causeway doctor` says what is missing")]
    Jail {
        /// What was attempted.
        attempt: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ended before it was ready.
    #[error("starting a sandbox: it ended before it was ready{said}")]
    Ended {
        /// What it printed, if anything.
        said: String,
    },
    /// It took too long.
    #[error("starting a sandbox: it was not ready within {} s", .0.as_secs())]
    Slow(Duration),
}

/// What is the same for every sandbox of a pool.
pub(crate) struct Factory {
    pub(crate) launcher: Vec<PathBuf>,
    pub(crate) runtimes: Runtimes,
    pub(crate) gvisor: Gvisor,
    pub(crate) vm: Vm,
    /// One snapshot is made at a time.
    pub(crate) saving: tokio::sync::Mutex<()>,
    pub(crate) identities: Identities,
    pub(crate) cgroups: Option<Cgroups>,
    /// Where the ends of sandboxes are awaited.
    pub(crate) tasks: TaskTracker,
}

/// What is set when a sandbox starts and cannot be changed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    tier: Tier,
    runtime: Runtime,
    memory_bytes: u64,
    processes: u32,
    disk_bytes: u64,
}

impl Shape {
    pub(crate) fn new(tier: Tier, runtime: Runtime, limits: &Limits) -> Self {
        let Limits { memory_bytes, processes, disk_bytes, .. } = *limits;
        Self { tier, runtime, memory_bytes, processes, disk_bytes }
    }
}

/// A launcher that waits for its `Go`: in its cgroup, with its root built.
pub(crate) struct Parked {
    control: Control,
    runner: UnixStream,
    stderr: ChildStderr,
    group: Option<Arc<Group>>,
    shape: Shape,
    /// Whose certificate is in the root that was built.
    authority: Authority,
}

/// What comes with the news that the program is about to run.
struct Up {
    listener: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    /// Where PID 1 of a machine's jail writes what the kernel inside counts.
    told: Option<OwnedFd>,
}

impl Up {
    fn of(fds: Vec<OwnedFd>) -> Option<Self> {
        let mut fds = fds.into_iter();
        let (listener, stdout, stderr) = (fds.next()?, fds.next()?, fds.next()?);
        Some(Self { listener, stdout, stderr, told: fds.next() })
    }
}

impl From<Failure> for StartError {
    fn from(Failure { attempt, errno }: Failure) -> Self {
        let source = match errno {
            0 => std::io::Error::other("which the system gives no number to"),
            number => std::io::Error::from_raw_os_error(number),
        };
        Self::Jail { attempt, source }
    }
}

/// A jail with a running runner.
pub(crate) struct Sandbox {
    pub(crate) runner: UnixStream,
    /// Received from the runner and not yet read.
    pub(crate) inbox: Vec<u8>,
    /// What is printed past the runner: by native code and child processes.
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
    pub(crate) control: Control,
    pub(crate) account: Arc<Account>,
    pub(crate) way: Way,
    /// Number of the next call.
    pub(crate) next_call: u64,
    /// By the runner's word, no process of the last step goes on.
    pub(crate) is_left_alone: bool,
    /// When it was started.
    pub(crate) since: Instant,
    shape: Shape,
    pidfd: OwnedFd,
}

impl Factory {
    /// Starts a launcher and lets it prepare.
    pub(crate) async fn park(
        &self,
        tier: Tier,
        runtime: Runtime,
        limits: &Limits,
        more: &[Bind],
    ) -> Result<Parked, StartError> {
        let authority = Authority::generate().map_err(StartError::Authority)?;
        let mut start = self.start(tier, runtime, limits, more).await?;
        authority.certificate().clone_into(&mut start.certificate);
        let shape = Shape::new(tier, runtime, limits);
        self.snapshot(&mut start, shape, limits).await?;
        let bounds = bounds(tier, limits, start.machine.as_ref());
        within(tier, self.launch(start, authority, shape, bounds)).await
    }

    /// Lets a machine continue from a snapshot, if it may. The first of its kind makes it: as a machine
    /// of its own, which then ends.
    async fn snapshot(
        &self,
        start: &mut Start,
        shape: Shape,
        limits: &Limits,
    ) -> Result<(), StartError> {
        let prepare = |source| StartError::Prepare { attempt: "keeping a snapshot", source };
        let Some(machine) = &start.machine else { return Ok(()) };
        let Some(key) = self.vm.snapshot_key(machine, limits.disk_bytes).await? else {
            return Ok(());
        };
        let alone = self.saving.lock().await;
        let kept = if let Some(kept) = key.found() {
            kept
        } else {
            let user = start.ids.map_or(0, |ids| ids.program);
            let unfinished = key.begin(user).map_err(prepare)?;
            let mut saving = start.clone();
            if let Some(machine) = &mut saving.machine {
                machine.save = Some(unfinished.folder().to_owned());
            }
            let bounds = bounds(shape.tier, limits, saving.machine.as_ref());
            let authority = Authority::generate().map_err(StartError::Authority)?;
            let save = async {
                let parked = self.launch(saving, authority, shape, bounds).await?;
                parked.saved().await
            };
            within(shape.tier, save).await?;
            unfinished.keep().map_err(prepare)?
        };
        drop(alone);
        if let Some(machine) = &mut start.machine {
            machine.restore = Some(kept);
        }
        Ok(())
    }

    async fn launch(
        &self,
        start: Start,
        authority: Authority,
        shape: Shape,
        bounds: Bounds,
    ) -> Result<Parked, StartError> {
        let prepare = |attempt| move |source| StartError::Prepare { attempt, source };
        let (control, control_inside) =
            pair(SocketType::SEQPACKET).map_err(prepare("making a socket"))?;
        let (runner, runner_inside) =
            pair(SocketType::STREAM).map_err(prepare("making a socket"))?;
        let mut words = self.launcher.iter();
        let program = words.next().cloned().unwrap_or_default();
        let mut child = tokio::process::Command::new(&program)
            .args(words)
            .env_clear()
            .stdin(Stdio::from(control_inside))
            .stdout(Stdio::from(runner_inside))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| StartError::Launcher { launcher: program, source })?;
        let pid = child.id();
        let stderr = child.stderr.take().ok_or(StartError::Ended { said: String::new() })?;
        let control = Control::new(control).map_err(prepare("watching a socket"))?;
        let sent = control.send(&ToJail::Start(Box::new(start)), None);
        let begun = match (sent, &self.cgroups) {
            (Ok(()), Some(cgroups)) => enter_group(cgroups, bounds, pid).await.map(Some),
            (Ok(()), None) => Ok(None),
            (Err(error), _) => Err(error),
        };
        let group = match begun {
            Ok(group) => group,
            // What ends at once is no launcher; what it printed says what it is.
            Err(source) => match tokio::time::timeout(END_PATIENCE, child.wait()).await {
                Ok(_) => return Err(StartError::Ended { said: read_out(stderr).await }),
                Err(_) => return Err(prepare("making a cgroup")(source)),
            },
        };
        let ended = group.clone();
        self.tasks.spawn(async move {
            drop(child.wait().await);
            if let Some(group) = ended {
                remove_group(&group).await;
            }
        });
        Ok(Parked {
            control,
            runner: stream(runner).map_err(prepare("watching a socket"))?,
            stderr,
            group,
            shape,
            authority,
        })
    }

    async fn start(
        &self,
        tier: Tier,
        runtime: Runtime,
        limits: &Limits,
        more: &[Bind],
    ) -> Result<Start, StartError> {
        let ids = self.identities.next();
        let equipment = match tier {
            Tier::Jail | Tier::Gvisor => self.runtimes.equipment(runtime).await?,
            Tier::Vm => self.vm.equipment(runtime).await?,
        };
        let mut binds = equipment.binds.clone();
        let (mut guest, mut machine) = (None, None);
        match tier {
            Tier::Jail => {}
            Tier::Gvisor | Tier::Vm if self.cgroups.is_none() => {
                return Err(TierError::NoCgroups.into());
            }
            Tier::Gvisor => {
                let gvisor::Parts { binds: more, guest: own } = self.gvisor.parts().await?;
                let absent = |bind: &Bind| binds.iter().all(|b| b.target != bind.target);
                let more: Vec<_> = more.into_iter().filter(absent).collect();
                binds.extend(more);
                guest = Some(own);
            }
            Tier::Vm if ids.is_none() => return Err(TierError::NotRoot.into()),
            Tier::Vm => machine = Some(self.vm.machine(limits, more).await?),
        }
        binds.extend_from_slice(more);
        let processes = u64::from(limits.processes);
        let launch = Launch {
            command: runner::command(runtime, equipment, limits),
            environment: runner::environment(runtime, equipment),
            disk_bytes: limits.disk_bytes,
            // PID 1 counts where it has the program's identity. With a cgroup, that one bounds
            // the number, and tells when it has; this is the second wall. Under gVisor the
            // machine's cgroup counts other things.
            processes: match tier {
                Tier::Jail if self.cgroups.is_some() => processes * 2,
                // The same, by the kernel inside.
                Tier::Vm => processes * 2,
                Tier::Jail | Tier::Gvisor => processes,
            } + 1,
            data_bytes: match self.cgroups {
                Some(_) => None,
                None => Some(limits.memory_bytes.saturating_add(mapped_before(runtime))),
            },
        };
        Ok(Start {
            runtime,
            ids,
            binds,
            certificate: String::new(),
            roots: equipment.roots.clone(),
            launch,
            guest,
            machine,
        })
    }
}

impl Parked {
    /// Whether it was prepared for this.
    pub(crate) fn fits(&self, shape: Shape) -> bool {
        self.shape == shape
    }

    /// Starts the program, with its files if they are known already.
    pub(crate) async fn go(
        mut self,
        archive: Option<&Archive>,
        egress: Arc<dyn Egress>,
    ) -> Result<Sandbox, StartError> {
        match within(self.shape.tier, self.begin(archive)).await {
            Ok((pidfd, up)) => {
                let mut sandbox = self.finish(pidfd, up, egress)?;
                // gVisor can still find something missing; the runner's word says it has not.
                if sandbox.tier() != Tier::Jail {
                    sandbox.ready().await?;
                }
                Ok(sandbox)
            }
            Err(StartError::Ended { said }) if said.is_empty() => {
                Err(StartError::Ended { said: read_out(self.stderr).await })
            }
            Err(other) => Err(other),
        }
    }

    async fn begin(&mut self, archive: Option<&Archive>) -> Result<(OwnedFd, Up), StartError> {
        // What cannot be told any more has ended.
        let told = |_| StartError::Ended { said: String::new() };
        self.control.send(&ToJail::Go, None).map_err(told)?;
        if let Some(archive) = archive {
            self.control.send(&ToJail::Load, Some(archive.as_fd())).map_err(told)?;
        }
        let (mut pidfd, mut up, mut loaded) = (None, None, archive.is_none());
        loop {
            match self.control.receive().await? {
                (ToServer::Ready, _) => {}
                (ToServer::Cloned, mut fds) => pidfd = fds.pop(),
                (ToServer::Up { .. }, fds) => up = Up::of(fds),
                (ToServer::Loaded, _) => loaded = true,
                (ToServer::Ended { .. }, _) => {
                    let said = match up {
                        Some(up) => printed(up.stderr).await,
                        None => String::new(),
                    };
                    return Err(StartError::Ended { said });
                }
                (ToServer::Failed(failure), _) => return Err(failure.into()),
                (ToServer::Saved, _) => {
                    return Err(StartError::Ended { said: String::new() });
                }
            }
            if loaded && pidfd.is_some() && up.is_some() {
                break;
            }
        }
        match (pidfd, up) {
            (Some(pidfd), Some(up)) => Ok((pidfd, up)),
            _ => Err(StartError::Ended { said: String::new() }),
        }
    }

    /// Waits until the snapshot of this machine is written.
    async fn saved(self) -> Result<(), StartError> {
        let told = |_| StartError::Ended { said: String::new() };
        self.control.send(&ToJail::Go, None).map_err(told)?;
        loop {
            match self.control.receive().await? {
                (ToServer::Saved, _) => return Ok(()),
                (ToServer::Failed(failure), _) => return Err(failure.into()),
                (ToServer::Ended { .. }, _) => {
                    return Err(StartError::Ended { said: String::new() });
                }
                _ => {}
            }
        }
    }

    fn finish(
        self,
        pidfd: OwnedFd,
        up: Up,
        egress: Arc<dyn Egress>,
    ) -> Result<Sandbox, StartError> {
        let Up { listener, stdout, stderr, told } = up;
        let prepare = |source| StartError::Prepare { attempt: "watching a socket", source };
        let listener = std::os::unix::net::UnixListener::from(listener);
        listener.set_nonblocking(true).map_err(prepare)?;
        let mut way = Way::new(egress, self.authority);
        way.open(UnixListener::from_std(listener).map_err(prepare)?);
        let account = Arc::new(Account::new(self.group, told, &pidfd));
        Ok(Sandbox {
            runner: self.runner,
            inbox: Vec::with_capacity(16 << 10),
            stdout: pipe::Receiver::from_owned_fd(stdout).map_err(prepare)?,
            stderr: pipe::Receiver::from_owned_fd(stderr).map_err(prepare)?,
            control: self.control,
            account,
            way,
            next_call: 1,
            is_left_alone: true,
            since: Instant::now(),
            shape: self.shape,
            pidfd,
        })
    }
}

impl Sandbox {
    /// The kind of sandbox.
    pub(crate) fn tier(&self) -> Tier {
        self.shape.tier
    }

    /// What runs in it.
    pub(crate) fn runtime(&self) -> Runtime {
        self.shape.runtime
    }

    /// Whether nothing runs in it but the runner.
    pub(crate) fn is_alone(&self) -> bool {
        match self.tier() {
            // What runs on another kernel is hidden from the machine's.
            Tier::Gvisor | Tier::Vm => self.is_left_alone,
            Tier::Jail => self.account.only_own_processes(),
        }
    }

    /// Whether it was started for this.
    pub(crate) fn fits(&self, shape: Shape) -> bool {
        self.shape == shape
    }

    /// Waits until the runner is ready for calls.
    pub(crate) async fn ready(&mut self) -> Result<(), StartError> {
        let hello = async {
            while self.inbox.len() < protocol::HEADER {
                match self.runner.read_buf(&mut self.inbox).await {
                    Ok(0) | Err(_) => {
                        return Err(StartError::Ended { said: last_words(&mut self.stderr).await });
                    }
                    Ok(_) => {}
                }
            }
            Ok(())
        };
        within(self.shape.tier, hello).await
    }

    /// Puts a program's files in place.
    pub(crate) async fn load(&mut self, archive: &Archive) -> Result<(), StartError> {
        self.control.send(&ToJail::Load, Some(archive.as_fd())).map_err(|source| {
            StartError::Prepare { attempt: "sending the program's files", source }
        })?;
        match within(self.shape.tier, self.control.receive()).await? {
            (ToServer::Loaded, _) => Ok(()),
            (ToServer::Failed(failure), _) => Err(failure.into()),
            _ => Err(StartError::Ended { said: String::new() }),
        }
    }

    /// Whether the runner has said nothing since its last answer.
    pub(crate) fn is_quiet(&self) -> bool {
        if self.next_call == 1 {
            return true; // it has not been asked anything: this is its greeting
        }
        let mut byte = [0_u8; 1];
        let flags = rustix::net::RecvFlags::DONTWAIT | rustix::net::RecvFlags::PEEK;
        let peeked = rustix::net::recv(&self.runner, &mut byte[..], flags);
        self.inbox.is_empty() && matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }

    /// Ends everything in the jail, at once.
    pub(crate) fn kill(&self) {
        // It may have ended by itself.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The server's end of a control socket. The runtime's datagram socket serves for waiting:
/// `SOCK_SEQPACKET`, too, keeps messages apart, and every read and write here is our own.
pub(crate) struct Control(UnixDatagram);

impl Control {
    fn new(socket: OwnedFd) -> std::io::Result<Self> {
        let socket = std::os::unix::net::UnixDatagram::from(socket);
        socket.set_nonblocking(true)?;
        UnixDatagram::from_std(socket).map(Self)
    }

    /// A message is far smaller than the socket's buffer, so sending does not wait.
    fn send(&self, message: &ToJail, fd: Option<BorrowedFd<'_>>) -> std::io::Result<()> {
        Ok(control::send(&self.0, message, fd.as_slice())?)
    }

    /// The next message.
    pub(crate) async fn receive(&self) -> Result<(ToServer, Vec<OwnedFd>), StartError> {
        let message = self
            .0
            .async_io(Interest::READABLE, || {
                control::receive::<ToServer>(&self.0).map_err(Into::into)
            })
            .await;
        match message {
            Ok(Some(message)) => Ok(message),
            Ok(None) | Err(_) => Err(StartError::Ended { said: String::new() }),
        }
    }
}

async fn within<T>(
    tier: Tier,
    work: impl Future<Output = Result<T, StartError>>,
) -> Result<T, StartError> {
    let limit = start_limit(tier);
    tokio::time::timeout(limit, work).await.unwrap_or(Err(StartError::Slow(limit)))
}

/// What a launcher that has ended has printed, as the end of a sentence.
async fn read_out(mut stderr: ChildStderr) -> String {
    last_words(&mut stderr).await
}

/// The same, of a program whose pipe nobody has read yet.
async fn printed(stderr: OwnedFd) -> String {
    match pipe::Receiver::from_owned_fd(stderr) {
        Ok(mut stderr) => last_words(&mut stderr).await,
        Err(_) => String::new(),
    }
}

/// What something that has ended has printed, as the end of a sentence.
async fn last_words(stderr: &mut (impl AsyncRead + Unpin)) -> String {
    let mut said = Vec::new();
    let read = stderr.read_to_end(&mut said);
    let _ = tokio::time::timeout(END_PATIENCE, read).await;
    let said = String::from_utf8_lossy(&said);
    let said: String = said.trim().chars().take(500).collect();
    if said.is_empty() { said } else { format!(": {said}") }
}

fn pair(kind: SocketType) -> std::io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

fn stream(socket: OwnedFd) -> std::io::Result<UnixStream> {
    let socket = std::os::unix::net::UnixStream::from(socket);
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

/// What the cgroup of a sandbox allows.
fn bounds(tier: Tier, limits: &Limits, machine: Option<&Machine>) -> Bounds {
    let (memory, processes) = (limits.memory_bytes, u64::from(limits.processes));
    if let Some(machine) = machine {
        return Bounds { memory_bytes: vm::memory(limits, machine), tasks: vm::TASKS };
    }
    match tier {
        Tier::Jail | Tier::Vm => Bounds { memory_bytes: memory, tasks: processes + OWN_TASKS },
        Tier::Gvisor => Bounds {
            memory_bytes: memory.saturating_add(gvisor::OWN_MEMORY),
            tasks: gvisor::tasks(processes) + OWN_TASKS,
        },
    }
}

async fn enter_group(
    cgroups: &Cgroups,
    bounds: Bounds,
    pid: Option<u32>,
) -> std::io::Result<Arc<Group>> {
    let (cgroups, pid) = (cgroups.clone(), pid.ok_or(std::io::ErrorKind::NotFound)?);
    let work = move || {
        let group = cgroups.create(bounds)?;
        match group.attach(pid) {
            Ok(()) => Ok(Arc::new(group)),
            Err(error) => {
                group.remove();
                Err(error)
            }
        }
    };
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

/// Removes the group of a sandbox that has ended. The kernel may hold it for a moment more.
async fn remove_group(group: &Arc<Group>) {
    for wait in [0, 1, 10, 100, 1000, 10_000] {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let group = Arc::clone(group);
        if matches!(tokio::task::spawn_blocking(move || group.remove()).await, Ok(true)) {
            return;
        }
    }
    tracing::warn!("a sandbox's cgroup could not be removed; the next start of the server will");
}
