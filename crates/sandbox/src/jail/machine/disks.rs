//! What the program sees of files: the image, its packages, its temporary disk.

use super::super::root::{DEVICES, FILES};
use super::super::vm::wire::Life;
use super::super::{Attempt, CODE, JailError, RUNNER, TMP};
use super::{IMAGE, make, until};
use crate::control::Layer;
use crate::runner;
use rustix::fs::{CWD, FileType, Mode};
use rustix::mount::{MountFlags, UnmountFlags};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the program's root is built.
const STAGE: &str = "/root";
/// A disk in memory: what is added to the image.
const ADDED: &str = "/added";
/// The temporary disk, and after it those of the packages, in the order in which the hypervisor was
/// told of them.
const SCRATCH_DISK: &str = "/dev/vdb";
const FIRST_LAYER: u8 = b'c';
/// Blocks of the temporary disk's file system, in bytes.
const BLOCK: u64 = 4096;
/// What is shown of a machine's own, so that no two are taken for one.
const MACHINE_ID: &str = "/etc/machine-id";

pub(super) fn await_disk(disk: &str) -> Result<(), JailError> {
    until(disk, || Path::new(disk).exists())
}

/// Builds the root that the program sees.
pub(super) fn build(life: &Life) -> Result<(), JailError> {
    make(Path::new(ADDED))?;
    make(Path::new(STAGE))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let options = c"size=8m,nr_inodes=4096,mode=0755";
    rustix::mount::mount("tmpfs", ADDED, "tmpfs", flags, Some(options))
        .attempt("mounting a disk in memory")?;
    for folder in ["upper", "work"] {
        make(&Path::new(ADDED).join(folder))?;
    }
    let options = std::ffi::CString::new(format!(
        "lowerdir={IMAGE},upperdir={ADDED}/upper,workdir={ADDED}/work"
    ))
    .unwrap_or_default();
    rustix::mount::mount("overlay", STAGE, "overlay", flags, Some(options.as_c_str()))
        .attempt("mounting the root")?;
    for directory in [CODE, TMP, RUNNER, "/run", "/dev", "/etc", "/proc", "/sys"] {
        make(&inside(directory))?;
    }
    let id = format!("{}\n", life.id);
    let own = [(MACHINE_ID, id.as_str())];
    for (path, text) in FILES.iter().chain(runner::files(life.runtime)).chain(&own) {
        write(path, text)?;
    }
    let mut trusted = match &life.roots {
        Some(roots) => fs::read_to_string(inside(roots)).attempt("reading the roots of TLS")?,
        None => String::new(),
    };
    trusted.push_str(&life.certificate);
    write(runner::AUTHORITY, &trusted)?;
    scratch()?;
    for (number, layer) in (FIRST_LAYER..=b'z').zip(&life.layers) {
        mount_layer(number, layer)?;
    }
    devices()
}

/// Makes the root this process's; no way leads back.
pub(super) fn enter() -> Result<(), JailError> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount_remount(STAGE, flags, c"").attempt("making the root read-only")?;
    rustix::mount::unmount("/dev", UnmountFlags::DETACH).attempt("letting go of the devices")?;
    rustix::process::chdir(STAGE).attempt("entering the root")?;
    rustix::mount::mount_move(".", "/").attempt("making the root the root")?;
    rustix::process::chroot(".").attempt("entering the root")?;
    rustix::process::chdir("/").attempt("entering the root")
}

/// The path of something of the program's, while its root is being built.
pub(super) fn inside(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    Path::new(STAGE).join(path.strip_prefix("/").unwrap_or(path))
}

fn write(path: &str, text: &str) -> Result<(), JailError> {
    let place = inside(path);
    if let Some(parent) = place.parent() {
        make(parent)?;
    }
    fs::write(place, text).attempt(format!("writing {path}"))
}

/// Mounts the temporary disk, whose file system begins small, and lets it grow to the disk's size.
fn scratch() -> Result<(), JailError> {
    await_disk(SCRATCH_DISK)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let place = inside(TMP);
    rustix::mount::mount(SCRATCH_DISK, &place, "ext4", flags, Some(c"nodiscard,noauto_da_alloc"))
        .attempt("mounting the temporary disk")?;
    let what = "enlarging the temporary disk";
    let disk = fs::File::open(SCRATCH_DISK).attempt(what)?;
    let bytes = rustix::fs::seek(&disk, rustix::fs::SeekFrom::End(0)).attempt(what)?;
    let folder = fs::File::open(&place).attempt(what)?;
    grow(&folder, bytes / BLOCK).attempt(what)?;
    drop(fs::remove_dir(place.join("lost+found")));
    fs::set_permissions(&place, Permissions::from_mode(0o1777)).attempt(what)
}

/// EXT4_IOC_RESIZE_FS of the kernel's ext4(5): the number of blocks that the file system is to have.
fn grow(folder: &fs::File, blocks: u64) -> rustix::io::Result<()> {
    const RESIZE: rustix::ioctl::Opcode = rustix::ioctl::opcode::write::<u64>(b'f', 16);
    // SAFETY: this request reads one `u64` and writes nothing.
    #[expect(unsafe_code, reason = "no crate wraps this request")]
    unsafe {
        rustix::ioctl::ioctl(folder, rustix::ioctl::Setter::<RESIZE, u64>::new(blocks))
    }
}

fn mount_layer(letter: u8, layer: &Layer) -> Result<(), JailError> {
    let disk = format!("/dev/vd{}", char::from(letter));
    let what = || format!("mounting {}", layer.target.display());
    await_disk(&disk)?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    let place = inside(&layer.target);
    let Some(file) = &layer.file else {
        make(&place)?;
        return rustix::mount::mount(&*disk, &place, "squashfs", flags, None).attempt(what());
    };
    let whole = Path::new("/layers").join(letter.to_string());
    make(&whole)?;
    rustix::mount::mount(&*disk, &whole, "squashfs", flags, None).attempt(what())?;
    if let Some(parent) = place.parent() {
        make(parent)?;
    }
    fs::write(&place, "").attempt(what())?;
    rustix::mount::mount_bind(whole.join(file), &place).attempt(what())
}

/// The devices that the program may open, and no other.
fn devices() -> Result<(), JailError> {
    let what = "making the devices";
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let place = inside("/dev");
    rustix::mount::mount("tmpfs", &place, "tmpfs", flags, Some(c"size=4k,nr_inodes=16,mode=0755"))
        .attempt(what)?;
    for device in DEVICES {
        let number = rustix::fs::stat(device).attempt(what)?.st_rdev;
        let name = inside(device);
        let mode = Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(CWD, &name, FileType::CharacterDevice, mode, number).attempt(what)?;
        // Past the mask of this process.
        fs::set_permissions(&name, Permissions::from_mode(0o666)).attempt(what)?;
    }
    rustix::mount::mount_remount(&place, MountFlags::RDONLY | flags, c"").attempt(what)
}
