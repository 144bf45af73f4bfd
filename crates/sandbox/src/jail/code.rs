//! The program's files: an archive in a memory file, written below `/code`.
//!
//! The archive is a sequence of entries: length of the path (4 bytes, big-endian), length of the
//! contents (8 bytes, big-endian), path, contents. The server builds it once for a program.

use super::{Attempt, JailError};
use rustix::fd::OwnedFd;
use rustix::mount::MountFlags;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How `/code` is mounted.
const FLAGS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
/// Directories and inodes beyond the files' own, in bytes.
const OVERHEAD: u64 = 4 << 20;

/// Mounts the folder, empty, which [`load`] fills.
pub(super) fn mount(code: &Path) -> Result<(), JailError> {
    let (flags, options) = (FLAGS | MountFlags::RDONLY, c"size=4k,mode=0755");
    rustix::mount::mount("tmpfs", code, "tmpfs", flags, Some(options)).attempt("mounting /code")
}

/// Writes the files below the mounted folder and makes them read-only.
pub(super) fn load(code: &Path, mut fds: Vec<OwnedFd>) -> Result<(), JailError> {
    let bad = |why: &str| JailError {
        attempt: format!("reading the program's files: {why}"),
        source: None,
    };
    let archive = fds.pop().ok_or_else(|| bad("none attached"))?;
    let length = rustix::fs::fstat(&archive).attempt("reading the program's files")?.st_size;
    let size = u64::try_from(length).unwrap_or(0).saturating_mul(2).saturating_add(OVERHEAD);
    let options = std::ffi::CString::new(format!("size={size}")).unwrap_or_default();
    rustix::mount::mount_remount(code, FLAGS, options.as_c_str()).attempt("enlarging /code")?;

    // The same description may be in use by another jail: read by position, not by cursor.
    let mut reader = BufReader::with_capacity(64 << 10, At { file: archive, offset: 0 });
    loop {
        let mut header = [0_u8; 12];
        match reader.read(&mut header[..1]).attempt("reading the program's files")? {
            0 => break,
            _ => reader.read_exact(&mut header[1..]).attempt("reading the program's files")?,
        }
        let [a, b, c, d, size @ ..] = header;
        let path_length = u64::from(u32::from_be_bytes([a, b, c, d]));
        let mut path = String::new();
        (&mut reader).take(path_length).read_to_string(&mut path).attempt("reading a path")?;
        if !is_plain(&path) {
            return Err(bad("a path leads out of the program"));
        }
        write_file(&code.join(&path), &path, &mut (&mut reader).take(u64::from_be_bytes(size)))?;
    }
    rustix::mount::mount_remount(code, FLAGS | MountFlags::RDONLY, options.as_c_str())
        .attempt("making /code read-only")
}

fn write_file(place: &Path, path: &str, contents: &mut impl Read) -> Result<(), JailError> {
    let what = || format!("writing {path}");
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).attempt(what())?;
    }
    let mut file: File =
        OpenOptions::new().write(true).create_new(true).mode(0o444).open(place).attempt(what())?;
    std::io::copy(contents, &mut file).attempt(what())?;
    file.flush().attempt(what())
}

/// Whether a path names a file below a directory, without detours.
pub(crate) fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 1024
        && !path.contains('\0')
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
}

struct At {
    file: OwnedFd,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = rustix::io::pread(&self.file, buffer, self.offset)?;
        self.offset += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}
