//! The way out of a machine: a Unix socket that the program connects to, as in a jail. Each of its
//! connections is one of the vsock's.

use super::super::vm::wire::EGRESS_PORT;
use super::super::{Attempt, EGRESS_SOCKET, JailError, init};
use super::disks;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, VsockAddr};
use nix::unistd::{ForkResult, Pid};
use rustix::fd::{AsFd, OwnedFd};
use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Connections at a time. The server counts for itself; this bounds the memory of this process.
const MOST: usize = 192;
/// One direction's stack and buffer, in bytes.
const STACK: usize = 64 << 10;
const BUFFER: usize = 16 << 10;

/// Opens the socket in the program's root, before that is this process's.
pub(super) fn listen() -> Result<UnixListener, JailError> {
    let place = disks::inside(EGRESS_SOCKET);
    let listener = UnixListener::bind(&place).attempt("making the egress socket")?;
    std::fs::set_permissions(place, Permissions::from_mode(0o666))
        .attempt("opening the egress socket")?;
    Ok(listener)
}

/// Starts the process that passes bytes on. It is root here, without a capability.
pub(super) fn start(listener: &UnixListener) -> Result<Pid, JailError> {
    // SAFETY: this process has one thread, so the child has every lock in the state it expects.
    #[expect(unsafe_code, reason = "fork(2) has no safe form")]
    let forked = unsafe { nix::unistd::fork() }.attempt("starting the way out")?;
    match forked {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            init::close_all_but(&[listener.as_fd()]);
            if init::drop_capabilities().is_ok() {
                serve(listener);
            }
            // Not a return: the rest of this stack is PID 1's.
            std::process::exit(1)
        }
    }
}

fn serve(listener: &UnixListener) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((inside, _)) = listener.accept() else {
            // Descriptors or memory of the moment: the connection waits meanwhile.
            super::rest(Duration::from_millis(50));
            continue;
        };
        if open.load(Ordering::Relaxed) >= MOST {
            continue;
        }
        let counted = Counted::new(&open);
        let work = move || {
            // A connection that breaks off is the program's own affair: it sees the end of its socket.
            drop(pass(&inside));
            drop(counted);
        };
        // Without room for one more the connection is closed, which the program sees.
        drop(std::thread::Builder::new().stack_size(STACK).spawn(work));
    }
}

struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Passes bytes in both directions until both have ended.
fn pass(inside: &UnixStream) -> std::io::Result<()> {
    // As a stream of another family it reads, writes and shuts down as any.
    let outside = UnixStream::from(dial(EGRESS_PORT)?);
    let (inside_too, outside_too) = (inside.try_clone()?, outside.try_clone()?);
    let back = move || copy(&outside_too, &inside_too);
    let back = std::thread::Builder::new().stack_size(STACK).spawn(back)?;
    copy(inside, &outside);
    drop(back.join());
    Ok(())
}

/// Copies to the end, or to a fault, and passes that on.
fn copy(mut from: &UnixStream, mut to: &UnixStream) {
    let mut buffer = vec![0_u8; BUFFER];
    let ended = loop {
        match from.read(&mut buffer) {
            Ok(0) => break Shutdown::Write,
            Ok(count) => {
                if to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
                    break Shutdown::Both;
                }
            }
            Err(_) => break Shutdown::Both,
        }
    };
    // The other side may have gone first.
    let _ = to.shutdown(ended);
    if ended == Shutdown::Both {
        let _ = from.shutdown(ended);
    }
}

/// Connects to a port of the machine's host.
pub(super) fn dial(port: u32) -> std::io::Result<OwnedFd> {
    let socket = nix::sys::socket::socket(
        AddressFamily::Vsock,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let host = VsockAddr::new(nix::libc::VMADDR_CID_HOST, port);
    nix::sys::socket::connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &host)?;
    Ok(socket)
}
