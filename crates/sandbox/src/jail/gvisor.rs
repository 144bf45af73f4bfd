//! gVisor in a jail: `runsc` runs in the program's place, and the program on the kernel that it
//! brings.
//!
//! The jail stays as it is, but for its last wall, the list of system calls: `runsc` makes calls that
//! the program may not, and has such lists of its own. So whoever breaks out of gVisor finds himself
//! in namespaces without a network, in a root without anything of the machine's, as a user that owns
//! nothing; and whatever ends a jail ends gVisor with all its processes, mounts and files.
//!
//! - `runsc` is told what to run by a `config.json` that this module writes. It holds paths, limits
//!   and the runner's command line, and nothing secret. It is in the jail and not under gVisor;
//! - the sockets and pipes of the program are `runsc`'s standard streams, the only descriptors that
//!   every version of it hands on;
//! - PID 1 under gVisor is the launcher's own program again. It does there what PID 1 does in a jail,
//!   with the same code: another user for the program, no capabilities, limits, the list of calls.

use super::root::{STAGE, attach, make_directory, restrict};
use super::{Attempt, CODE, JailError, RUNNER, TMP, init, launcher, process, program};
use crate::control::{Guest, Launch, Start};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::mount::{MountFlags, UnmountFlags};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the program's root is in the jail.
pub(super) const ROOT: &str = "guest";
/// Where `runsc` is in the jail.
const RUNSC: &str = "/runsc";
/// A disk in memory for `runsc`: what it notes, and the bundle.
const STATE: &str = "/state";
/// Where PID 1 under gVisor reads what to run.
const LAUNCH: &str = "launch.json";

/// Puts what `runsc` needs on the stage.
pub(super) fn furnish(runsc: &OwnedFd) -> Result<(), JailError> {
    let stage = Path::new(STAGE);
    // `runsc` builds the roots of its own processes on /tmp and /proc.
    for directory in ["proc", "tmp", "dev", "state", ROOT] {
        make_directory(&stage.join(directory))?;
    }
    // A mount of its own, without the flags of the stage: `runsc` may not take away what it has not
    // given, and mounts it with no flag but `ro`.
    let root = stage.join(ROOT);
    rustix::mount::mount_bind(&root, &root).attempt("making the root under gVisor")?;
    restrict(&root, MountFlags::BIND)?;
    for directory in ["proc", "sys"] {
        make_directory(&root.join(directory))?;
    }
    let place = outer(RUNSC);
    attach(runsc, &place)?;
    restrict(&place, MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV)
}

/// Writes what `runsc` and PID 1 under gVisor read.
pub(super) fn describe(start: &Start, root: &Path) -> Result<(), JailError> {
    let what = "describing the sandbox for runsc";
    let Some(guest) = &start.guest else { return Ok(()) };
    let launch = root.join(RUNNER.trim_start_matches('/')).join(LAUNCH);
    let text = serde_json::to_vec(&start.launch).map_err(std::io::Error::other).attempt(what)?;
    fs::write(launch, text).attempt(what)?;
    fs::write(outer("/config.json"), config(guest, &start.launch).to_string()).attempt(what)
}

/// Makes the program's root read-only, once it is complete.
pub(super) fn seal() -> Result<(), JailError> {
    restrict(&Path::new(STAGE).join(ROOT), MountFlags::BIND | MountFlags::RDONLY)
}

/// The bundle's description, by the OCI runtime specification, version 1.0.2, "Configuration".
fn config(guest: &Guest, launch: &Launch) -> serde_json::Value {
    // What PID 1 needs to make the program another user's, and to take the rest from it.
    let capabilities = json!(["CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"]);
    let nothing = |place: &str| {
        json!({
            "destination": place, "type": "tmpfs", "source": "tmpfs",
            "options": ["ro", "nosuid", "nodev", "noexec", "mode=0755", "size=4096"],
        })
    };
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "hostname": "sandbox",
        "root": { "path": format!("/{ROOT}"), "readonly": true },
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": guest.init,
            "env": guest.environment,
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
        },
        "mounts": [
            // Looked at anew at each use, since its files come later.
            {
                "destination": CODE, "type": "bind", "source": format!("/{ROOT}{CODE}"),
                "options": ["bind", "ro", "nosuid", "nodev", "noexec"],
            },
            {
                "destination": TMP, "type": "tmpfs", "source": "tmpfs",
                "options": [
                    "nosuid", "nodev", "noexec", "mode=1777", format!("size={}", launch.disk_bytes),
                ],
            },
            // What gVisor would put there by itself. A jail has none of it; the last is for
            // everybody to write and to execute.
            nothing("/proc"),
            nothing("/sys"),
            nothing("/dev/shm"),
        ],
        "linux": { "namespaces": namespaces },
    })
}

/// PID 1 of the jail makes the root its own, with what `runsc` needs to write to; where the
/// program's files belong.
pub(super) fn enter() -> Result<PathBuf, JailError> {
    // What came from the launcher's namespace cannot be a root, and its copy can.
    rustix::mount::mount_bind_recursive(STAGE, STAGE).attempt("copying the sandbox's mounts")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", outer("/proc"), "proc", flags, None).attempt(
        "mounting /proc for runsc, which a container must not hide parts of (Docker: `--security-opt \
         systempaths=unconfined`, Kubernetes: `procMount: Unmasked`),",
    )?;
    let options = c"size=4m,nr_inodes=256,mode=0700";
    rustix::mount::mount("tmpfs", outer(STATE), "tmpfs", flags, Some(options))
        .attempt("mounting a disk for runsc")?;
    let what = "writing the bundle for runsc";
    let config = fs::read(outer("/config.json")).attempt(what)?;
    fs::write(outer(STATE).join("config.json"), config).attempt(what)?;

    rustix::process::chdir(STAGE).attempt("entering the root")?;
    rustix::process::pivot_root(".", ".").attempt("making the root the root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)
        .attempt("letting go of the machine's root")?;
    rustix::process::chdir("/").attempt("entering the root")?;
    Ok(Path::new("/").join(ROOT).join(CODE.trim_start_matches('/')))
}

/// Starts `runsc`.
pub(super) fn start(streams: &program::Streams<'_>) -> Result<program::Child, JailError> {
    let words = [
        RUNSC,
        "--root=/state/run",
        // The user of the jail has its rights in the jail only.
        "--rootless",
        // The jail is in its cgroup already.
        "--ignore-cgroups",
        "--network=none",
        // Of what the program sees, one thing is a socket of the machine's: the way out.
        "--host-uds=open",
        // Nothing of the program's is to be kept in files of the jail.
        "--overlay2=none",
        "run",
        "--bundle=/state",
        "program",
    ]
    .map(str::to_owned);
    let environment = ["PATH=/".to_owned(), "TMPDIR=/tmp".to_owned()];
    let pid = program::spawn(&words, &environment, || {
        program::start_anew()?;
        rustix::process::chdir("/").attempt("entering the root")?;
        process::set_standard_streams(streams.runner, streams.stdout, streams.stderr)?;
        program::close_from(3)?;
        rustix::thread::set_no_new_privs(true).attempt("setting no_new_privs")
    })?;
    Ok(program::Child { pid, missing: Vec::new() })
}

/// The body of PID 1 under gVisor: its end is the end of everything there.
pub(super) fn guest_main() -> ExitCode {
    match live_inside() {
        Ok(end) => ExitCode::from(u8::try_from(init::status(end)).unwrap_or(1)),
        Err(error) => {
            let text = format!("{}\n", error.told("under gVisor"));
            // To where the program prints: the server shows it if there never was a program.
            let _ = rustix::io::write(std::io::stderr(), text.as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn live_inside() -> Result<init::End, JailError> {
    launcher::close_all_but_stdio();
    let what = "reading what to run";
    let launch = fs::read(Path::new(RUNNER).join(LAUNCH)).attempt(what)?;
    let launch: Launch =
        serde_json::from_slice(&launch).map_err(std::io::Error::other).attempt(what)?;
    let runner = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)
        .attempt("duplicating the runner's socket")?;
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    let streams =
        program::Streams { runner: runner.as_fd(), stdout: stdout.as_fd(), stderr: stderr.as_fd() };
    let child = program::start(&launch, program::Kernel::Guest, &streams)?;
    drop(runner);
    let null = process::open_null(OFlags::RDWR)?;
    rustix::stdio::dup2_stdin(&null).attempt("closing the runner's socket")?;
    process::silence()?;
    init::drop_capabilities()?;
    init::reap(child.pid, None).ok_or_else(|| JailError {
        attempt: "waiting for the program's end".to_owned(),
        source: None,
    })
}

/// A path of the jail, on the stage.
fn outer(path: &str) -> PathBuf {
    Path::new(STAGE).join(path.trim_start_matches('/'))
}
