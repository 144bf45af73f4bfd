//! The root that a jail sees: a small read-only file system with the files that the program
//! needs and nothing else. No `/proc`, no `/sys`, no device but four.

use super::launcher::write_proc;
use super::{Attempt, CODE, EGRESS_SOCKET, JailError, RUNNER, TMP};
use crate::control::{Bind, Purpose, Start};
use crate::runner;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Where the root is built, in the launcher's own mount namespace.
const STAGE: &str = "/tmp";
/// The devices that the program may open.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];
/// What libraries expect to find, so that they do not fail on a missing file.
const FILES: [(&str, &str); 3] = [
    ("/etc/passwd", "sandbox:x:1000:1000::/tmp:/sbin/nologin\n"),
    ("/etc/group", "sandbox:x:1000:\n"),
    ("/etc/hosts", "127.0.0.1 localhost\n"),
];

/// A finished root.
pub(super) struct Root {
    /// Accepts the program's connections to the way out.
    pub(super) egress: UnixListener,
    /// `/proc` of the machine, for writing the identities of PID 1.
    pub(super) proc: OwnedFd,
}

/// Builds the root and makes it this process's.
pub(super) fn build(start: &Start) -> Result<Root, JailError> {
    let proc = rustix::fs::open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .attempt("opening /proc")?;
    enter_namespace(&proc, start)?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .attempt("making mounts private")?;
    rustix::process::umask(Mode::WGRP | Mode::WOTH);

    // Opened before the stage may hide them.
    let sources = start.binds.iter().map(open_source).collect::<Result<Vec<_>, _>>()?;
    let devices = DEVICES.map(|path| {
        let bind = Bind { source: path.into(), target: path.into(), purpose: Purpose::Read };
        open_source(&bind).map(|fd| (path, fd))
    });

    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("tmpfs", STAGE, "tmpfs", flags, Some(c"size=2m,nr_inodes=512,mode=0755"))
        .attempt("mounting the sandbox's root")?;
    for directory in [CODE, TMP, RUNNER, "/run", "/dev", "/etc"] {
        make_directory(&inside(Path::new(directory)))?;
    }
    for (path, text) in FILES.iter().chain(runner::files(start.runtime)) {
        let place = inside(Path::new(path));
        if let Some(parent) = place.parent() {
            make_directory(parent)?;
        }
        fs::write(place, text).attempt(format!("writing {path}"))?;
    }
    for (bind, source) in start.binds.iter().zip(&sources) {
        attach(source, &bind.target)?;
        let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        // The loader cannot map what is not executable.
        let only_read = bind.purpose == Purpose::Read;
        restrict(&bind.target, if only_read { flags | MountFlags::NOEXEC } else { flags })?;
    }
    let mut trusted = match &start.roots {
        Some(roots) => fs::read_to_string(inside(roots)).attempt("reading the machine's roots")?,
        None => String::new(),
    };
    trusted.push_str(&start.certificate);
    fs::write(inside(Path::new(runner::AUTHORITY)), trusted)
        .attempt("writing the sandbox's authority")?;
    for device in devices {
        let (path, source) = device?;
        attach(&source, Path::new(path))?;
        let flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NOEXEC;
        restrict(Path::new(path), flags)?;
    }
    let socket = inside(Path::new(EGRESS_SOCKET));
    let egress = UnixListener::bind(&socket).attempt("making the egress socket")?;
    fs::set_permissions(&socket, Permissions::from_mode(0o666))
        .attempt("opening the egress socket")?;

    let flags = MountFlags::BIND
        | MountFlags::RDONLY
        | MountFlags::NOSUID
        | MountFlags::NODEV
        | MountFlags::NOEXEC;
    rustix::mount::mount_remount(STAGE, flags, c"").attempt("making the root read-only")?;
    rustix::process::chdir(STAGE).attempt("entering the root")?;
    rustix::process::pivot_root(".", ".").attempt("making the root the root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)
        .attempt("letting go of the machine's root")?;
    rustix::process::chdir("/").attempt("entering the root")?;
    Ok(Root { egress, proc })
}

/// A mount namespace, and the right to mount: root has it, others get it in a user namespace.
fn enter_namespace(proc: &OwnedFd, start: &Start) -> Result<(), JailError> {
    if start.ids.is_some() {
        return nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)
            .attempt("making a mount namespace");
    }
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    nix::sched::unshare(
        nix::sched::CloneFlags::CLONE_NEWUSER | nix::sched::CloneFlags::CLONE_NEWNS,
    )
    .attempt("making a user namespace")?;
    write_proc(proc.as_fd(), "self/setgroups", "deny")?;
    write_proc(proc.as_fd(), "self/gid_map", &format!("0 {} 1\n", group.as_raw()))?;
    write_proc(proc.as_fd(), "self/uid_map", &format!("0 {} 1\n", user.as_raw()))
}

fn open_source(bind: &Bind) -> Result<OwnedFd, JailError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::OPEN_TREE_CLONE;
    rustix::mount::open_tree(CWD, &bind.source, flags)
        .attempt(format!("opening {}", bind.source.display()))
}

/// Shows a file or folder at a place in the root.
fn attach(source: &OwnedFd, target: &Path) -> Result<(), JailError> {
    let what = || format!("mounting {}", target.display());
    let place = inside(target);
    let kind = rustix::fs::fstat(source).attempt(what())?.st_mode;
    if rustix::fs::FileType::from_raw_mode(kind).is_dir() {
        make_directory(&place)?;
    } else {
        if let Some(parent) = place.parent() {
            make_directory(parent)?;
        }
        fs::write(&place, "").attempt(what())?;
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(source, "", CWD, &place, flags).attempt(what())
}

fn restrict(target: &Path, flags: MountFlags) -> Result<(), JailError> {
    rustix::mount::mount_remount(inside(target), flags, c"")
        .attempt(format!("restricting {}", target.display()))
}

fn make_directory(path: &Path) -> Result<(), JailError> {
    fs::create_dir_all(path).attempt(format!("making {}", path.display()))
}

/// A path of the jail, on the stage.
fn inside(path: &Path) -> PathBuf {
    Path::new(STAGE).join(path.strip_prefix("/").unwrap_or(path))
}
