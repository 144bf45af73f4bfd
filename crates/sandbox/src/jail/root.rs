//! The root that a jail sees: a small read-only file system with the files that the program
//! needs and nothing else. No `/proc`, no `/sys`, no device but four.
//!
//! For gVisor the program's root is a folder of the jail's, beside what `runsc` needs itself.

use super::launcher::write_proc;
use super::{Attempt, CODE, EGRESS_SOCKET, JailError, RUNNER, TMP, gvisor};
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
pub(super) const STAGE: &str = "/tmp";
/// The devices that the program may open.
pub(super) const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];
/// What libraries expect to find, so that they do not fail on a missing file.
pub(super) const FILES: [(&str, &str); 3] = [
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

/// Builds the root.
pub(super) fn build(start: &Start) -> Result<Root, JailError> {
    let proc = enter_namespace(start)?;
    // Opened before the stage may hide them.
    let open = |bind: &Bind| open_source(&bind.source);
    let sources = start.binds.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let devices = DEVICES.map(|path| open_source(Path::new(path)).map(|fd| (path, fd)));
    let runsc = start.guest.as_ref().map(|guest| open_source(&guest.runsc)).transpose()?;

    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("tmpfs", STAGE, "tmpfs", flags, Some(c"size=2m,nr_inodes=640,mode=0755"))
        .attempt("mounting the sandbox's root")?;
    let base = match &runsc {
        Some(runsc) => {
            gvisor::furnish(runsc)?;
            Path::new(STAGE).join(gvisor::ROOT)
        }
        None => PathBuf::from(STAGE),
    };
    let inside = |path: &Path| base.join(path.strip_prefix("/").unwrap_or(path));
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
        let place = inside(&bind.target);
        attach(source, &place)?;
        let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        // The loader cannot map what is not executable.
        let only_read = bind.purpose == Purpose::Read;
        restrict(&place, if only_read { flags | MountFlags::NOEXEC } else { flags })?;
    }
    let mut trusted = match &start.roots {
        Some(roots) => fs::read_to_string(inside(roots)).attempt("reading the machine's roots")?,
        None => String::new(),
    };
    trusted.push_str(&start.certificate);
    fs::write(inside(Path::new(runner::AUTHORITY)), trusted)
        .attempt("writing the sandbox's authority")?;
    // gVisor's kernel has devices of its own; the machine's are for `runsc`.
    for device in devices {
        let (path, source) = device?;
        let place = Path::new(STAGE).join(path.trim_start_matches('/'));
        attach(&source, &place)?;
        restrict(&place, MountFlags::BIND | MountFlags::NOSUID | MountFlags::NOEXEC)?;
    }
    if runsc.is_some() {
        gvisor::describe(start, &base)?;
    }
    let socket = inside(Path::new(EGRESS_SOCKET));
    let egress = UnixListener::bind(&socket).attempt("making the egress socket")?;
    fs::set_permissions(&socket, Permissions::from_mode(0o666))
        .attempt("opening the egress socket")?;

    if runsc.is_some() {
        gvisor::seal()?;
    }
    let flags = MountFlags::BIND
        | MountFlags::RDONLY
        | MountFlags::NOSUID
        | MountFlags::NODEV
        | MountFlags::NOEXEC;
    rustix::mount::mount_remount(STAGE, flags, c"").attempt("making the root read-only")?;
    Ok(Root { egress, proc })
}

/// Makes the root this process's, and lets go of the machine's.
pub(super) fn enter() -> Result<(), JailError> {
    rustix::process::chdir(STAGE).attempt("entering the root")?;
    rustix::process::pivot_root(".", ".").attempt("making the root the root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)
        .attempt("letting go of the machine's root")?;
    rustix::process::chdir("/").attempt("entering the root")
}

/// A mount namespace of the launcher's own; `/proc` of the machine.
pub(super) fn enter_namespace(start: &Start) -> Result<OwnedFd, JailError> {
    let proc = rustix::fs::open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .attempt("opening /proc")?;
    unshare_mounts(&proc, start)?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .attempt("making mounts private")?;
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    Ok(proc)
}

/// A mount namespace, and the right to mount: root has it, others get it in a user namespace.
fn unshare_mounts(proc: &OwnedFd, start: &Start) -> Result<(), JailError> {
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

pub(super) fn open_source(source: &Path) -> Result<OwnedFd, JailError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::OPEN_TREE_CLONE;
    rustix::mount::open_tree(CWD, source, flags).attempt(format!("opening {}", source.display()))
}

/// Shows a file or folder at a place on the stage.
pub(super) fn attach(source: &OwnedFd, place: &Path) -> Result<(), JailError> {
    let what = || format!("mounting {}", place.display());
    let kind = rustix::fs::fstat(source).attempt(what())?.st_mode;
    if rustix::fs::FileType::from_raw_mode(kind).is_dir() {
        make_directory(place)?;
    } else {
        if let Some(parent) = place.parent() {
            make_directory(parent)?;
        }
        fs::write(place, "").attempt(what())?;
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(source, "", CWD, place, flags).attempt(what())
}

pub(super) fn restrict(place: &Path, flags: MountFlags) -> Result<(), JailError> {
    rustix::mount::mount_remount(place, flags, c"")
        .attempt(format!("restricting {}", place.display()))
}

pub(super) fn make_directory(path: &Path) -> Result<(), JailError> {
    fs::create_dir_all(path).attempt(format!("making {}", path.display()))
}
