//! What this machine lets the server do, and what Node needs of it.

use crate::control::{Bind, Ids};
use crate::runner;
use rustix::thread::CapabilitySet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Directories that the loader searches by itself.
const SEARCHED: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
/// Identities for sandboxes, where the server may choose: two each, from here on. The range lies
/// above what `subuid(5)` and systemd give out.
const FIRST_ID: u32 = 0x7800_0000;
/// How many sandboxes have identities of their own before the first is used again.
const ID_PAIRS: u32 = 0x0010_0000;

/// Node does not run here.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The file cannot be read.
    #[error(
        "reading the Node binary {path}: set it to the `node` of `npm ci --prefix runners/node`"
    )]
    Read {
        /// The configured path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not a program of this machine.
    #[error("{0} is not a 64-bit ELF program")]
    NotElf(PathBuf),
    /// Its loader does not list its libraries.
    #[error("listing the libraries of {path} with {loader}: {detail}")]
    Libraries {
        /// The configured path.
        path: PathBuf,
        /// The loader that the program names.
        loader: PathBuf,
        /// What the loader said.
        detail: String,
    },
}

/// A program with what it needs to run in an otherwise empty root.
#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) binds: Vec<Bind>,
    /// Directories that the loader must be told of.
    pub(crate) library_path: Vec<String>,
}

/// Finds the libraries of a program by running its loader once.
pub(crate) async fn inspect(path: &Path) -> Result<Binary, NodeError> {
    let read = |source| NodeError::Read { path: path.to_owned(), source };
    let path = std::fs::canonicalize(path).map_err(read)?;
    let loader = loader_of(&path).map_err(read)?.ok_or_else(|| NodeError::NotElf(path.clone()))?;
    let mut binds = vec![Bind { source: path.clone(), target: runner::NODE.into(), execute: true }];
    let mut library_path = Vec::new();
    if let Loader::Dynamic(loader) = loader {
        let failed = |detail: String| NodeError::Libraries {
            path: path.clone(),
            loader: loader.clone(),
            detail,
        };
        let output = tokio::process::Command::new(&loader)
            .arg("--list")
            .arg(&path)
            .env_clear()
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        for library in String::from_utf8_lossy(&output.stdout).lines().filter_map(listed) {
            let directory = library.parent().map(Path::to_string_lossy).unwrap_or_default();
            let searched = SEARCHED.iter().any(|known| {
                directory
                    .strip_prefix(known)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            if !searched && !library_path.contains(&directory.to_string()) {
                library_path.push(directory.to_string());
            }
            if library != loader {
                binds.push(Bind { source: library.clone(), target: library, execute: false });
            }
        }
        binds.push(Bind { source: loader.clone(), target: loader, execute: true });
    }
    Ok(Binary { binds, library_path })
}

/// The path in a line of the loader's list: `name => path (address)`.
fn listed(line: &str) -> Option<PathBuf> {
    let path = line.split_once("=> ")?.1.split(" (").next()?.trim();
    path.starts_with('/').then(|| PathBuf::from(path))
}

enum Loader {
    Static,
    Dynamic(PathBuf),
}

/// The interpreter that an ELF file names (System V ABI, chapter 5, PT_INTERP); `None` if it is
/// not a 64-bit little-endian ELF file.
fn loader_of(path: &Path) -> std::io::Result<Option<Loader>> {
    const PT_INTERP: u64 = 3;
    let mut head = Vec::new();
    std::fs::File::open(path)?.take(64 << 10).read_to_end(&mut head)?;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return Ok(None);
    }
    let number = |at: u64, width: u64| -> Option<u64> {
        let (at, end) = (usize::try_from(at).ok()?, usize::try_from(at.checked_add(width)?).ok()?);
        let bytes = head.get(at..end)?;
        Some(bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    };
    let interpreter = || -> Option<Loader> {
        let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        for index in 0..count {
            let entry = table.checked_add(index.checked_mul(size)?)?;
            if number(entry, 4)? == PT_INTERP {
                let (at, length) = (number(entry + 8, 8)?, number(entry + 32, 8)?);
                let end = usize::try_from(at.checked_add(length)?).ok()?;
                let name = head.get(usize::try_from(at).ok()?..end)?;
                let name = name.strip_suffix(b"\0").unwrap_or(name);
                return Some(Loader::Dynamic(PathBuf::from(std::str::from_utf8(name).ok()?)));
            }
        }
        Some(Loader::Static)
    };
    Ok(interpreter())
}

/// Whether the server may give sandboxes identities of their own, and which.
#[derive(Debug)]
pub(crate) struct Identities {
    /// The first identity and the number of pairs; `None` where only its own is allowed.
    range: Option<(u32, u32)>,
    next: AtomicU32,
}

impl Identities {
    pub(crate) fn detect() -> Self {
        let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::SETUID | CapabilitySet::SETGID;
        let able =
            rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(needed));
        let range = if able {
            let map = |file| std::fs::read_to_string(file).unwrap_or_default();
            common_range(&map("/proc/self/uid_map"), &map("/proc/self/gid_map"))
        } else {
            None
        };
        Self { range, next: AtomicU32::new(0) }
    }

    /// The next pair.
    pub(crate) fn next(&self) -> Option<Ids> {
        let (first, pairs) = self.range?;
        let pair = self.next.fetch_add(1, Ordering::Relaxed) % pairs;
        let init = first + pair * 2;
        Some(Ids { init, program: init + 1 })
    }
}

/// A range of identities that both maps hold: the preferred one, or the upper half of what there
/// is (in a container, for example, 32,768 to 65,535).
fn common_range(users: &str, groups: &str) -> Option<(u32, u32)> {
    let holds = |map: &str, first: u32, last: u32| {
        map.lines().any(|line| {
            let mut fields = line.split_whitespace().map(str::parse::<u64>);
            match (fields.next(), fields.next(), fields.next()) {
                (Some(Ok(start)), Some(Ok(_)), Some(Ok(count))) => {
                    start <= u64::from(first) && u64::from(last) < start + count
                }
                _ => false,
            }
        })
    };
    [(FIRST_ID, ID_PAIRS), (32_768, 16_000), (1_000, 500)].into_iter().find(|(first, pairs)| {
        let last = first + pairs * 2 - 1;
        holds(users, *first, last) && holds(groups, *first, last)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_identities_fits_the_maps() {
        let whole = "         0          0 4294967295\n";
        assert_eq!(common_range(whole, whole), Some((FIRST_ID, ID_PAIRS)));
        let container = "0 100000 65536\n";
        assert_eq!(common_range(container, container), Some((32_768, 16_000)));
        assert_eq!(common_range("0 1000 1\n", "0 1000 1\n"), None);
        assert_eq!(common_range("", "nonsense"), None);
    }

    #[test]
    fn the_loaders_list_is_read() {
        assert_eq!(
            listed("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)"),
            Some(PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"))
        );
        assert_eq!(listed("\tlinux-vdso.so.1 (0x00007ffd)"), None);
        assert_eq!(listed("\tlibx.so => not found"), None);
    }
}
