//! The zip format (PKWARE's APPNOTE, 6.3.9), as far as wheels use it: stored and deflated files.
//!
//! Only what the directory at the end lists is there, and each entry's own header has to say the same:
//! an archive that two readers read in two ways is refused.

use super::{MAX_PATH, Tree, UnpackError, shown};
use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};

const END: &[u8] = b"PK\x05\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
/// The end of the directory without its comment, in bytes.
const END_LENGTH: usize = 22;
/// The longest directory, in bytes.
const MAX_DIRECTORY: u64 = 32 << 20;

/// Writes the files to where `place` says; `None` leaves one out.
pub(super) fn unpack(
    mut from: impl Read + Seek,
    tree: &mut Tree<'_>,
    mut place: impl FnMut(&str) -> Option<String>,
) -> Result<(), UnpackError> {
    let directory = directory(&mut from)?;
    let mut rest = directory.as_slice();
    let mut seen = HashSet::new();
    while !rest.is_empty() {
        let (entry, after) = Entry::read(rest)?;
        rest = after;
        if entry.path.ends_with('/') {
            continue; // folders are made as files need them
        }
        if !seen.insert(entry.path.clone()) {
            return UnpackError::refused(format!("it has `{}` twice", shown(&entry.path)));
        }
        if !super::is_plain(&entry.path) {
            return UnpackError::refused(format!(
                "its path `{}` leads elsewhere",
                shown(&entry.path)
            ));
        }
        if let Some(path) = place(&entry.path) {
            entry.write(&mut from, tree, &path)?;
        }
    }
    Ok(())
}

/// The directory, found from the archive's end.
fn directory(from: &mut (impl Read + Seek)) -> Result<Vec<u8>, UnpackError> {
    let length = from.seek(SeekFrom::End(0)).map_err(UnpackError::Broken)?;
    let tail = length.min(u64::from(u16::MAX) + 22);
    from.seek(SeekFrom::Start(length - tail)).map_err(UnpackError::Broken)?;
    let mut end = Vec::new();
    from.take(tail).read_to_end(&mut end).map_err(UnpackError::Broken)?;
    // The one whose comment ends where the archive does; what looks like one within it is not.
    let found = end.windows(END_LENGTH).enumerate().find(|(at, window)| {
        window.starts_with(END)
            && short(window, 20).is_some_and(|comment| at + END_LENGTH + comment == end.len())
    });
    let Some((_, end)) = found else { return UnpackError::broken("its directory is not there") };
    let (disks, entries) = (short(end, 4), short(end, 10));
    let (size, start) = (long(end, 12), long(end, 16));
    let (Some(0), Some(_), Some(size), Some(start)) = (disks, entries, size, start) else {
        return UnpackError::broken("it has several parts");
    };
    if start == u64::from(u32::MAX) || size > MAX_DIRECTORY {
        return UnpackError::refused("it is larger than a wheel may be");
    }
    from.seek(SeekFrom::Start(start)).map_err(UnpackError::Broken)?;
    let mut directory = Vec::new();
    from.take(size).read_to_end(&mut directory).map_err(UnpackError::Broken)?;
    if u64::try_from(directory.len()).unwrap_or(0) != size {
        return UnpackError::broken("its directory is cut off");
    }
    Ok(directory)
}

struct Entry {
    path: String,
    method: usize,
    sum: u64,
    packed: u64,
    size: u64,
    start: u64,
}

impl Entry {
    /// The first entry of a directory, and what follows it.
    fn read(directory: &[u8]) -> Result<(Self, &[u8]), UnpackError> {
        let fields = || {
            let (name, extra, comment) =
                (short(directory, 28)?, short(directory, 30)?, short(directory, 32)?);
            let entry = Self {
                path: path(directory.get(46..46 + name)?)?,
                method: short(directory, 10)?,
                sum: long(directory, 16)?,
                packed: long(directory, 20)?,
                size: long(directory, 24)?,
                start: long(directory, 42)?,
            };
            let kind = (long(directory, 38)? >> 16) & 0o170_000;
            let is_encrypted = short(directory, 8)? & 1 == 1;
            let after = directory.get(46 + name + extra + comment..)?;
            Some((entry, kind, is_encrypted, after))
        };
        let found = if directory.starts_with(ENTRY) { fields() } else { None };
        let Some((entry, kind, is_encrypted, after)) = found else {
            return UnpackError::broken("its directory does not read as one");
        };
        let name = || shown(&entry.path);
        if !matches!(kind, 0 | 0o100_000 | 0o040_000) {
            return UnpackError::refused(format!("`{}` is a link or a device", name()));
        }
        let too_large = [entry.packed, entry.size, entry.start].contains(&u64::from(u32::MAX));
        if is_encrypted || too_large {
            return UnpackError::refused(format!("`{}` is encrypted or too large", name()));
        }
        Ok((entry, after))
    }

    fn write(
        &self,
        from: &mut (impl Read + Seek),
        tree: &mut Tree<'_>,
        place: &str,
    ) -> Result<(), UnpackError> {
        let differs =
            || UnpackError::refused(format!("it says two things about `{}`", shown(&self.path)));
        from.seek(SeekFrom::Start(self.start)).map_err(UnpackError::Broken)?;
        let mut local = [0_u8; 30];
        from.read_exact(&mut local).map_err(UnpackError::Broken)?;
        let (Some(name), Some(extra)) = (short(&local, 26), short(&local, 28)) else {
            return differs();
        };
        if !local.starts_with(LOCAL) || short(&local, 8) != Some(self.method) {
            return differs();
        }
        let mut header = vec![0_u8; name + extra];
        from.read_exact(&mut header).map_err(UnpackError::Broken)?;
        if header.get(..name).and_then(path).as_deref() != Some(self.path.as_str()) {
            return differs();
        }
        let packed = from.take(self.packed);
        let counted = |reader: &mut dyn Read, tree: &mut Tree<'_>| {
            let mut summed =
                Summed { from: reader.take(self.size), sum: flate2::Crc::new(), size: 0 };
            tree.file(place, &mut summed)?;
            if summed.size != self.size || u64::from(summed.sum.sum()) != self.sum {
                return UnpackError::broken("a file's sum is wrong");
            }
            Ok(())
        };
        match self.method {
            0 => counted(&mut { packed }, tree),
            8 => counted(&mut flate2::read::DeflateDecoder::new(packed), tree),
            _ => UnpackError::refused(format!("`{}` is compressed unusually", shown(&self.path))),
        }
    }
}

/// A reader that sums up.
struct Summed<R> {
    from: R,
    sum: flate2::Crc,
    size: u64,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.sum.update(buffer.get(..count).unwrap_or_default());
        self.size += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}

fn path(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_PATH)?;
    Some(text.to_owned())
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    let two = bytes.get(at..at + 2)?;
    Some(two.iter().rev().fold(0, |value, byte| (value << 8) | usize::from(*byte)))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    let four = bytes.get(at..at + 4)?;
    Some(four.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}
