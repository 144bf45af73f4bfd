//! What the server and a jail say to each other over the control socket, one message a packet.
//!
//! The socket is `SOCK_SEQPACKET`, so a packet is a message, and file descriptors travel with
//! it. Code in the sandbox never holds this socket: the launcher and PID 1 do.

use crate::program::Runtime;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::mem::MaybeUninit;
use std::path::PathBuf;

/// The longest control message, in bytes.
const LONGEST: usize = 64 << 10;
/// The most file descriptors that one message carries.
const MOST_FDS: usize = 4;

/// From the server to a jail.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToJail {
    /// To the launcher: build the root.
    Start(Box<Start>),
    /// To the launcher: make PID 1 and start the program.
    Go,
    /// To PID 1: put the files of the attached archive below `/code`.
    Load,
}

/// From a jail to the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToServer {
    /// The launcher waits for `Go`.
    Ready,
    /// PID 1 exists; its pidfd is attached.
    Cloned,
    /// The program is about to run. Attached: egress listener, standard output and error; of a
    /// machine also what it counts.
    Up {
        /// What could not be applied here, by name.
        missing: Vec<String>,
    },
    /// The files are below `/code`, read-only.
    Loaded,
    /// The machine's snapshot is written, and the machine at its end.
    Saved,
    /// The program has ended.
    Ended {
        /// Its exit code, if it exited.
        code: Option<i32>,
        /// The signal that killed it, otherwise.
        signal: Option<i32>,
    },
    /// The jail could not be made.
    Failed(Failure),
}

/// Where making a jail failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    /// What was attempted.
    pub(crate) attempt: String,
    /// The operating system's error number, 0 if it was another kind of failure.
    pub(crate) errno: i32,
}

/// How to build a jail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Start {
    /// Identities for PID 1 and the program, of the server's user namespace; `None` where the
    /// server may map only its own.
    pub(crate) ids: Option<Ids>,
    /// What runs in it; decides which runner is put there.
    pub(crate) runtime: Runtime,
    /// What of the machine the program needs, read-only; a folder before what lies in it.
    pub(crate) binds: Vec<Bind>,
    /// The certificate of the sandbox's own authority, in PEM.
    pub(crate) certificate: String,
    /// The machine's roots of TLS inside the jail, which stand before that certificate for programs
    /// that read one file only.
    pub(crate) roots: Option<PathBuf>,
    /// The program.
    pub(crate) launch: Launch,
    /// The kernel between the program and the machine's, if it gets one of its own.
    pub(crate) guest: Option<Guest>,
    /// The virtual machine that the program runs in, if it gets one.
    pub(crate) machine: Option<Machine>,
}

/// How to run the program, once there is a place for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// The program inside the jail, and its arguments.
    pub(crate) command: Vec<String>,
    /// Its whole environment.
    pub(crate) environment: Vec<String>,
    /// Size of `/tmp` in bytes.
    pub(crate) disk_bytes: u64,
    /// `RLIMIT_NPROC`.
    pub(crate) processes: u64,
    /// `RLIMIT_DATA` in bytes, where no cgroup bounds the memory.
    pub(crate) data_bytes: Option<u64>,
}

/// gVisor, which is run in the program's place, and runs the program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Guest {
    /// `runsc`, on the machine.
    pub(crate) runsc: PathBuf,
    /// The command line of PID 1 under gVisor: the launcher's own program, as it is bound there.
    pub(crate) init: Vec<String>,
    /// Its whole environment.
    pub(crate) environment: Vec<String>,
}

/// A virtual machine, which is run in the program's place, and runs the program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Firecracker's jailer and Firecracker, on the machine.
    pub(crate) jailer: PathBuf,
    pub(crate) firecracker: PathBuf,
    /// The image's parts, on the machine.
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
    pub(crate) root: PathBuf,
    /// An empty file system, which the temporary disk begins as.
    pub(crate) scratch: PathBuf,
    /// What the program sees besides: block images, and where they are mounted inside.
    pub(crate) layers: Vec<Layer>,
    /// The command line of PID 1 inside, without its name.
    pub(crate) init: Vec<String>,
    /// Its environment.
    pub(crate) environment: Vec<String>,
    /// Memory of the program alone, and with what the kernel inside takes, in bytes.
    pub(crate) memory_bytes: u64,
    pub(crate) whole_memory_bytes: u64,
    /// Processes of the program.
    pub(crate) processes: u64,
    /// A folder with the snapshot of such a machine, from which this one continues.
    pub(crate) restore: Option<PathBuf>,
    /// A folder, empty, that a snapshot of this machine is written to, and of its user.
    pub(crate) save: Option<PathBuf>,
}

/// A file system of a machine's that is shown to the program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// The block image, on the machine.
    pub(crate) source: PathBuf,
    /// Where it is mounted inside.
    pub(crate) target: PathBuf,
    /// The one file of it that is meant, if it is not the whole.
    pub(crate) file: Option<String>,
}

/// A pair of unprivileged identities, used as user and as group.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Ids {
    /// PID 1's.
    pub(crate) init: u32,
    /// The program's.
    pub(crate) program: u32,
}

/// A file or folder of the machine that is shown in the jail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Where it is on the machine.
    pub source: PathBuf,
    /// Where it is in the jail.
    pub target: PathBuf,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a file of the machine is for in a jail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// The kernel executes it: a program or its loader.
    Execute,
    /// The loader maps it: a library, or a folder of such.
    Map,
    /// It is read.
    Read,
}

/// Sends a message.
pub(crate) fn send<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let bytes = serde_json::to_vec(message).map_err(|_| Errno::INVAL)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOBIG);
    }
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL).map(drop)
}

/// Receives a message; `None` when the other side has closed.
pub(crate) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
) -> Result<Option<(T, Vec<OwnedFd>)>, Errno> {
    let mut bytes = vec![0_u8; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        let flags = RecvFlags::CMSG_CLOEXEC;
        match recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if got.bytes == 0 {
        return Ok(None);
    }
    let text = bytes.get(..got.bytes).unwrap_or_default();
    serde_json::from_slice(text).map(|message| Some((message, fds))).map_err(|_| Errno::BADMSG)
}
