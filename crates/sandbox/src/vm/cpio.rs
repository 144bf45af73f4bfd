//! The archive that a kernel unpacks as its first root: cpio, form `newc`
//! (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel).

use std::io::{self, Write};

/// Modes of stat(2).
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// Writes an archive. Times, owners and devices are 0, so that the same files give the same bytes.
pub(super) struct Archive<W> {
    to: W,
    /// The number of the next file.
    number: u32,
    folders: std::collections::BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, number: 1, folders: std::collections::BTreeSet::new() }
    }

    /// Adds a file, and the folders that it is in. The path is relative.
    pub(super) fn file(&mut self, path: &str, contents: &[u8]) -> io::Result<()> {
        for (end, _) in path.match_indices('/') {
            let folder = path.get(..end).unwrap_or_default();
            if self.folders.insert(folder.to_owned()) {
                self.entry(folder, FOLDER, &[])?;
            }
        }
        self.entry(path, PROGRAM, contents)
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.number = 0;
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.to)
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) -> io::Result<()> {
        let too_long = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let size = u32::try_from(contents.len()).map_err(too_long)?;
        let name = u32::try_from(path.len() + 1).map_err(too_long)?;
        let number = self.number;
        self.number += u32::from(number > 0);
        write!(self.to, "070701")?;
        // Number, mode, user, group, links, time, size, device and device numbers of special files
        // (two each), length of the name, check sum.
        for field in [number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name, 0] {
            write!(self.to, "{field:08X}")?;
        }
        self.to.write_all(path.as_bytes())?;
        self.to.write_all(b"\0")?;
        // The header has 110 bytes; name and contents are filled up to multiples of four.
        self.pad(110 + path.len() + 1)?;
        self.to.write_all(contents)?;
        self.pad(contents.len())
    }

    fn pad(&mut self, written: usize) -> io::Result<()> {
        let zeros = [0_u8; 3];
        self.to.write_all(zeros.get(..(4 - written % 4) % 4).unwrap_or_default())
    }
}
