//! A program's files as a sealed memory file, built once and shared by its sandboxes.

use crate::jail;
use crate::program::{ProgramKey, SourceFile};
use causeway_types::VersionId;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

/// How many archives are kept: each is an open file, and making one anew takes microseconds.
const MOST: usize = 32;
/// The bytes of those that are kept together: each is memory of the server's.
const MOST_BYTES: usize = 64 << 20;

/// The archive; its form is in the module `jail::code`.
#[derive(Debug)]
pub(crate) struct Archive {
    memory: OwnedFd,
    bytes: usize,
}

/// The archives that were used last, the latest at the end.
#[derive(Default)]
pub(crate) struct Archives(VecDeque<(ProgramKey, Arc<Archive>)>);

impl Archives {
    /// The archive of a program's files.
    pub(crate) fn get(
        &mut self,
        key: ProgramKey,
        files: &[SourceFile],
    ) -> Result<Arc<Archive>, ArchiveError> {
        let at = self.0.iter().position(|(of, _)| *of == key);
        let archive = match at.and_then(|at| self.0.remove(at)) {
            Some((_, archive)) => archive,
            None => Arc::new(Archive::build(files)?),
        };
        self.0.push_back((key, Arc::clone(&archive)));
        while self.0.len() > MOST || self.bytes() > MOST_BYTES {
            self.0.pop_front();
        }
        Ok(archive)
    }

    /// Forgets those of a version.
    pub(crate) fn forget(&mut self, version: VersionId) {
        self.0.retain(|(key, _)| key.version != version);
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|(_, archive)| archive.bytes).sum()
    }
}

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
        let memory = write(files).map_err(ArchiveError::Memory)?;
        let bytes = files.iter().map(|file| file.path.len() + file.contents.len()).sum();
        Ok(Self { memory, bytes })
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
        self.memory.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::{Clock, OsRandom, SystemClock, WorkspaceId};

    #[test]
    fn a_bounded_number_of_archives_is_kept_those_used_last() {
        let now = SystemClock.now();
        let workspace = WorkspaceId::generate(now, &OsRandom);
        let key = || ProgramKey { workspace, version: VersionId::generate(now, &OsRandom) };
        let files = |bytes| vec![SourceFile { path: "a".into(), contents: vec![1; bytes] }];
        let mut archives = Archives::default();
        let (first, second) = (key(), key());
        let kept = archives.get(first, &files(10)).unwrap();
        archives.get(second, &files(10)).unwrap();
        for _ in 2..MOST {
            archives.get(key(), &files(10)).unwrap();
        }
        assert!(Arc::ptr_eq(&kept, &archives.get(first, &files(10)).unwrap()), "made once");
        archives.get(key(), &files(10)).unwrap();
        assert_eq!(archives.0.len(), MOST);
        assert!(archives.0.iter().all(|(key, _)| *key != second), "the one unused longest is gone");
        archives.forget(first.version);
        assert!(!Arc::ptr_eq(&kept, &archives.get(first, &files(10)).unwrap()));
        // Large ones are fewer.
        for _ in 0..5 {
            archives.get(key(), &files(MOST_BYTES / 4)).unwrap();
        }
        assert_eq!(archives.0.len(), 3, "a fourth would be too many bytes with its path");
        archives.get(key(), &files(MOST_BYTES + 1)).unwrap();
        assert_eq!(archives.0.len(), 0, "what is too large alone is not kept");
    }
}
