//! PID 1 in a virtual machine: the launcher's own program again, on a kernel of the machine's own.
//!
//! It is started twice. As `/init` of the image's first, small root it loads the drivers that the
//! kernel has as modules and mounts the image. Then the same program from the image takes its place,
//! so that the memory of the first root is free, and waits for its [`Life`]. That wait is what a
//! snapshot holds: a machine that is restored loses its connection, makes it anew, and is told who it
//! is. Until then nothing has run inside that keeps a random number, a name or a key.
//!
//! Whoever is root in here can do what he likes in here. The machine has two disks, one of them for
//! reading only, and one way to the server; see the module `vm` for who is at the other end.

mod disks;
mod egress;
mod live;

use super::{Attempt, JailError};
use rustix::fd::AsRawFd;
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountFlags;
use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Where the image is mounted in the first root.
const IMAGE: &str = "/image";
/// Where the image has this program.
const INIT: &str = "/image/runner/init";
/// The drivers in the first root, in the order in which they are loaded.
pub(crate) const MODULES: &str = "/modules";
/// The disk with the image: the one that the hypervisor calls the root.
const IMAGE_DISK: &str = "/dev/vda";
/// How long a disk may take to appear.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body of `/init`: mounts the image and becomes [`live_main`].
pub(super) fn boot_main() -> ExitCode {
    fail(boot())
}

/// The body of PID 1 from the image on.
pub(super) fn live_main() -> ExitCode {
    fail(live::run())
}

/// PID 1 does not return: the machine ends with it, and says why on its console.
fn fail(result: Result<(), JailError>) -> ExitCode {
    if let Err(error) = result {
        let text = format!("causeway: {}\n", error.told("in the machine"));
        // Nobody is left to tell if there is no console.
        let _ = rustix::io::write(std::io::stderr(), text.as_bytes());
    }
    let _ = nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_AUTOBOOT);
    ExitCode::FAILURE
}

fn boot() -> Result<(), JailError> {
    make(Path::new("/dev"))?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    rustix::mount::mount("devtmpfs", "/dev", "devtmpfs", flags, None).attempt("mounting /dev")?;
    open_standard_streams()?;
    load_modules()?;
    disks::await_disk(IMAGE_DISK)?;
    make(Path::new(IMAGE))?;
    let flags = MountFlags::RDONLY | MountFlags::NODEV;
    rustix::mount::mount(IMAGE_DISK, IMAGE, "squashfs", flags, None)
        .attempt("mounting the image")?;
    fs::remove_dir_all(MODULES).attempt("freeing the first root")?;
    fs::remove_file("/init").attempt("freeing the first root")?;
    let text = |text: String| CString::new(text).unwrap_or_default();
    let mut words: Vec<CString> = std::env::args().map(text).collect();
    words.pop();
    words.push(text(super::MACHINE.to_owned()));
    let environment: Vec<CString> = std::env::vars()
        .filter(|(name, _)| name == "LD_LIBRARY_PATH")
        .map(|(name, value)| text(format!("{name}={value}")))
        .collect();
    match nix::unistd::execve(&text(INIT.to_owned()), &words, &environment) {
        Ok(never) => match never {},
        Err(error) => Err(error).attempt("running the image's first program"),
    }
}

/// Without a console the kernel opens none of the three.
fn open_standard_streams() -> Result<(), JailError> {
    loop {
        let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())
            .attempt("opening /dev/null")?;
        if null.as_raw_fd() > 2 {
            return Ok(());
        }
        std::mem::forget(null);
    }
}

fn load_modules() -> Result<(), JailError> {
    let what = "looking for drivers";
    let mut files: Vec<_> = fs::read_dir(MODULES)
        .attempt(what)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .attempt(what)?;
    files.sort(); // their names begin with their number
    for file in files {
        let what = format!("loading {}", file.display());
        let module = fs::File::open(&file).attempt(&what)?;
        let flags = nix::kmod::ModuleInitFlags::empty();
        match nix::kmod::finit_module(&module, c"", flags) {
            // The kernel has it already.
            Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
            Err(error) => return Err(error).attempt(what),
        }
    }
    Ok(())
}

fn make(folder: &Path) -> Result<(), JailError> {
    fs::create_dir_all(folder).attempt(format!("making {}", folder.display()))
}

/// Waits until something holds, which happens within the kernel and tells nobody.
fn until(what: &str, holds: impl Fn() -> bool) -> Result<(), JailError> {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() >= end {
            return Err(JailError { attempt: format!("waiting for {what}"), source: None });
        }
        rest(Duration::from_millis(2));
    }
    Ok(())
}

/// Lets time pass, of which nobody here is told when to go on.
#[expect(clippy::disallowed_methods, reason = "no runtime's thread waits here")]
pub(super) fn rest(time: Duration) {
    std::thread::sleep(time);
}
