//! A program's files as a sealed memory file, built once and shared by its sandboxes.

use crate::jail;
use crate::program::SourceFile;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};
use std::fs::File;
use std::io::Write;

/// The archive; its form is in the module `jail::code`.
pub(crate) struct Archive(OwnedFd);

/// Files that cannot be put in a sandbox.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A path is absolute, leads upward or is not a plain path.
    #[error("`{0}` is not a path below the program: write it relative, without `.` and `..`")]
    Path(String),
    /// Two files have the same path.
    #[error("the program has two files at `{0}`")]
    Twice(String),
    /// The machine has no memory for the files.
    #[error("writing the program's files to memory")]
    Memory(#[source] std::io::Error),
}

impl Archive {
    pub(crate) fn build(files: &[SourceFile]) -> Result<Self, ArchiveError> {
        let mut seen = std::collections::HashSet::new();
        for file in files {
            if !jail::is_plain(&file.path) {
                return Err(ArchiveError::Path(file.path.clone()));
            }
            if !seen.insert(file.path.as_str()) {
                return Err(ArchiveError::Twice(file.path.clone()));
            }
        }
        write(files).map(Self).map_err(ArchiveError::Memory)
    }
}

fn write(files: &[SourceFile]) -> std::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create("causeway-program", flags)?;
    let mut writer = std::io::BufWriter::with_capacity(1 << 18, File::from(memory));
    for file in files {
        let path = u32::try_from(file.path.len()).unwrap_or(u32::MAX);
        let contents = u64::try_from(file.contents.len()).unwrap_or(u64::MAX);
        writer.write_all(&path.to_be_bytes())?;
        writer.write_all(&contents.to_be_bytes())?;
        writer.write_all(file.path.as_bytes())?;
        writer.write_all(&file.contents)?;
    }
    let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, all)?;
    Ok(file.into())
}

impl AsFd for Archive {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
