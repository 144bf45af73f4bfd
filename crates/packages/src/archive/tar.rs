//! The tar format (POSIX.1-2001, pax, "ustar Interchange Format"), with GNU's long names.

use super::{MAX_PATH, Tree, UnpackError, shown};
use std::io::{self, Read};

const BLOCK: usize = 512;
/// The longest extended header, in bytes.
const MAX_EXTENDED: u64 = 1 << 20;

/// Writes the regular files below `under`, without the first part of their paths.
pub(super) fn unpack(
    mut from: impl Read,
    under: &str,
    tree: &mut Tree<'_>,
) -> Result<(), UnpackError> {
    let mut given = Extended::default();
    loop {
        let mut block = [0_u8; BLOCK];
        if !read_block(&mut from, &mut block)? || block.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let header = Header::read(&block)?;
        let describes_next = matches!(header.kind, b'x' | b'g' | b'L' | b'K');
        let size = if describes_next { header.size } else { given.size.unwrap_or(header.size) };
        let mut contents = (&mut from).take(size);
        if describes_next {
            let text = extended(&mut contents)?;
            match header.kind {
                b'x' => given.read(&text)?,
                b'L' => given.path = Some(utf8(text.split(|byte| *byte == 0).next())?),
                // What counts for all entries, such as a comment of git's; and a link's other end.
                _ => {}
            }
        } else {
            let path = std::mem::take(&mut given).path.unwrap_or(header.path);
            entry(header.kind, &path, &mut contents, under, tree)?;
        }
        // What was not read, and what fills the last block.
        let left = contents.limit();
        let filling = size.next_multiple_of(512) - size;
        let skipped = io::copy(&mut (&mut from).take(left + filling), &mut io::sink())
            .map_err(UnpackError::Broken)?;
        if skipped < left {
            return UnpackError::broken("it ends within a file");
        }
    }
}

fn entry(
    kind: u8,
    path: &str,
    contents: &mut io::Take<impl Read>,
    under: &str,
    tree: &mut Tree<'_>,
) -> Result<(), UnpackError> {
    match kind {
        // Old archives mark a folder by the end of its path.
        b'0' | b'\0' | b'7' if !path.ends_with('/') => {
            let Some(rest) = inside(path)? else { return Ok(()) };
            tree.file(&format!("{under}/{rest}"), contents)?;
            if contents.limit() > 0 {
                return UnpackError::broken("it ends within a file");
            }
            Ok(())
        }
        b'0' | b'\0' | b'7' | b'5' => inside(path.trim_end_matches('/')).map(drop),
        b'1' | b'2' => UnpackError::refused(format!("`{}` is a link", shown(path))),
        _ => UnpackError::refused(format!("`{}` is neither a file nor a folder", shown(path))),
    }
}

/// The path without its first part, which stands for the package itself; nothing if that is all.
fn inside(path: &str) -> Result<Option<&str>, UnpackError> {
    let plain = path.strip_prefix("./").unwrap_or(path);
    if plain.starts_with('/') || plain.split('/').any(|part| part == "..") {
        return UnpackError::refused(format!("its path `{}` leads elsewhere", shown(path)));
    }
    Ok(plain.split_once('/').map(|(_, rest)| rest).filter(|rest| !rest.is_empty()))
}

/// Reads a block; false at the end of the archive.
fn read_block(from: &mut impl Read, block: &mut [u8; BLOCK]) -> Result<bool, UnpackError> {
    let mut whole = from.take(512);
    let mut held = Vec::with_capacity(BLOCK);
    whole.read_to_end(&mut held).map_err(UnpackError::Broken)?;
    if held.is_empty() {
        return Ok(false);
    }
    *block = held.try_into().map_err(|_| {
        UnpackError::Broken(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within a block"))
    })?;
    Ok(true)
}

struct Header {
    path: String,
    size: u64,
    kind: u8,
}

impl Header {
    fn read(block: &[u8; BLOCK]) -> Result<Self, UnpackError> {
        let field = |at: usize, length: usize| block.get(at..at + length).unwrap_or_default();
        let sum: u64 = block
            .iter()
            .enumerate()
            // The field of the sum itself counts as spaces.
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
            .sum();
        if number(field(148, 8))? != sum {
            return UnpackError::broken("a header's sum is wrong");
        }
        let mut path = utf8(field(0, 100).split(|byte| *byte == 0).next())?;
        if field(257, 5) == b"ustar" && field(262, 1) == b"\0" {
            let prefix = utf8(field(345, 155).split(|byte| *byte == 0).next())?;
            if !prefix.is_empty() {
                path = format!("{prefix}/{path}");
            }
        }
        let kind = field(156, 1).first().copied().unwrap_or_default();
        Ok(Self { path, size: number(field(124, 12))?, kind })
    }
}

/// A number in octal digits, or in binary where those do not suffice.
fn number(field: &[u8]) -> Result<u64, UnpackError> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        return std::iter::once(first & 0x7f)
            .chain(rest.iter().copied())
            .try_fold(0_u64, |value, byte| Some(value.checked_mul(256)? + u64::from(byte)))
            .map_or_else(|| UnpackError::broken("a number is too large"), Ok);
    }
    let text = std::str::from_utf8(field).unwrap_or("x");
    let text = text.trim_matches(|letter: char| letter == '\0' || letter == ' ');
    if text.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(text, 8).or_else(|_| UnpackError::broken("a number is none"))
}

/// What a pax header says about the next entry.
#[derive(Default)]
struct Extended {
    path: Option<String>,
    size: Option<u64>,
}

impl Extended {
    /// Reads records: `LENGTH KEY=VALUE` and a line feed.
    fn read(&mut self, mut text: &[u8]) -> Result<(), UnpackError> {
        while !text.is_empty() {
            let digits = text.iter().position(|byte| *byte == b' ').unwrap_or_default();
            let length = utf8(text.get(..digits))?.parse().unwrap_or(0_usize);
            let record = text.get(digits + 1..length).and_then(|record| record.strip_suffix(b"\n"));
            let Some(record) = record else {
                return UnpackError::broken("an extended header is none");
            };
            let at = record.iter().position(|byte| *byte == b'=').unwrap_or(record.len());
            let (key, value) = record.split_at(at);
            let value = value.get(1..);
            match key {
                b"path" => self.path = Some(utf8(value)?),
                b"size" => {
                    let size = utf8(value)?.parse();
                    self.size = Some(size.or_else(|_| UnpackError::broken("a size is none"))?);
                }
                _ => {}
            }
            text = text.get(length..).unwrap_or_default();
        }
        Ok(())
    }
}

fn extended(contents: &mut io::Take<impl Read>) -> Result<Vec<u8>, UnpackError> {
    if contents.limit() > MAX_EXTENDED {
        return UnpackError::refused("it has a header of more than 1 MiB");
    }
    let mut text = Vec::new();
    contents.read_to_end(&mut text).map_err(UnpackError::Broken)?;
    Ok(text)
}

fn utf8(bytes: Option<&[u8]>) -> Result<String, UnpackError> {
    match std::str::from_utf8(bytes.unwrap_or_default()) {
        Ok(text) if text.len() <= MAX_PATH => Ok(text.to_owned()),
        Ok(_) => UnpackError::refused("it has a path that is too long"),
        Err(_) => UnpackError::refused("it has a path that is not UTF-8"),
    }
}
