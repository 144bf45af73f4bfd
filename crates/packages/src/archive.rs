//! Unpacking archives: regular files below one folder, within limits, and nothing else.
//!
//! Whoever publishes a package writes its archive, so it is read as hostile input. Links, devices,
//! absolute paths and paths that lead upward are refused. The folder holds nothing but what was written
//! here, so that no path in it leads elsewhere.

mod tar;
mod zip;

use crate::Package;
use serde::Deserialize;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The most files that a layer may have.
pub const MAX_LAYER_FILES: usize = 50_000;
/// The most bytes that its files may have together.
pub const MAX_LAYER_BYTES: u64 = 512 << 20;
/// The longest path in a layer, in bytes.
pub(crate) const MAX_PATH: usize = 1024;
/// The largest `package.json` that is read, in bytes.
const MAX_MANIFEST: u64 = 4 << 20;

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// It holds what no package may.
    #[error("{0}")]
    Refused(String),
    /// It does not read as an archive.
    #[error("it does not read as an archive: {0}")]
    Broken(io::Error),
    /// The disk is full, or the like.
    #[error("writing to the folder of packages")]
    Folder(#[source] io::Error),
}

impl UnpackError {
    fn refused<T>(what: impl Into<String>) -> Result<T, Self> {
        Err(Self::Refused(what.into()))
    }

    fn broken<T>(what: &'static str) -> Result<T, Self> {
        Err(Self::Broken(io::Error::new(io::ErrorKind::InvalidData, what)))
    }
}

/// The folder that a layer is unpacked to.
pub(crate) struct Tree<'a> {
    root: &'a Path,
    files: usize,
    bytes: u64,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root, files: 0, bytes: 0 }
    }

    /// Makes a folder and those above it.
    fn folder(&self, path: &Path) -> io::Result<()> {
        if path == self.root || path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.folder(parent)?;
        }
        make_folder(path)
    }

    /// Writes a file; one of the same path is replaced.
    pub(crate) fn file(&mut self, path: &str, from: &mut impl Read) -> Result<(), UnpackError> {
        if !is_plain(path) {
            return UnpackError::refused(format!("its path `{}` leads elsewhere", shown(path)));
        }
        self.files += 1;
        if self.files > MAX_LAYER_FILES {
            return UnpackError::refused(format!(
                "the packages have more than {MAX_LAYER_FILES} files together"
            ));
        }
        let place = self.root.join(path);
        let conflict = |error: io::Error| match error.kind() {
            io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::IsADirectory => {
                UnpackError::Refused(format!("`{}` is a file and a folder at once", shown(path)))
            }
            _ => UnpackError::Folder(error),
        };
        if let Some(parent) = place.parent() {
            self.folder(parent).map_err(conflict)?;
        }
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(conflict(error)),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&place).map_err(conflict)?;
        // Sandboxes read it as other users, whatever the server's umask is.
        file.set_permissions(Permissions::from_mode(0o444)).map_err(UnpackError::Folder)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = from.read(&mut buffer).map_err(UnpackError::Broken)?;
            if count == 0 {
                return Ok(());
            }
            self.bytes = self.bytes.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            if self.bytes > MAX_LAYER_BYTES {
                return UnpackError::refused(format!(
                    "the packages have more than {} MiB together",
                    MAX_LAYER_BYTES >> 20
                ));
            }
            file.write_all(buffer.get(..count).unwrap_or_default()).map_err(UnpackError::Folder)?;
        }
    }
}

/// Makes a folder that sandboxes can look into.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// What a package says of itself.
#[derive(Deserialize)]
struct Manifest {
    name: String,
    version: String,
}

/// Unpacks an archive of npm to its place.
pub(crate) fn npm(
    archive: impl Read,
    package: &Package,
    tree: &mut Tree<'_>,
) -> Result<(), UnpackError> {
    let place = tree.root.join(&package.place);
    // What another package brought along for this place is not this package.
    match fs::remove_dir_all(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(UnpackError::Folder(error));
        }
        _ => {}
    }
    tar::unpack(flate2::read::MultiGzDecoder::new(archive), &package.place, tree)?;
    // Else an archive of another package could stand in a lock under this one's name.
    let manifest = fs::File::open(place.join("package.json"))
        .map(|file| file.take(MAX_MANIFEST))
        .map_err(|_| UnpackError::Refused("it has no package.json".to_owned()))?;
    let manifest: Manifest = serde_json::from_reader(io::BufReader::new(manifest))
        .map_err(|_| UnpackError::Refused("its package.json has no name and version".to_owned()))?;
    let version = |text: &str| {
        let text = text.trim().trim_start_matches(['v', '=']);
        text.split('+').next().unwrap_or_default().to_owned()
    };
    if manifest.name != package.name || version(&manifest.version) != version(&package.version) {
        return UnpackError::refused(format!(
            "it says that it is `{}` {}",
            shown(&manifest.name),
            shown(&manifest.version)
        ));
    }
    Ok(())
}

/// Unpacks a wheel (PyPA, "Binary distribution format") over what is there.
pub(crate) fn wheel(
    archive: impl Read + Seek,
    package: &Package,
    tree: &mut Tree<'_>,
) -> Result<(), UnpackError> {
    let named = |folder: &str| {
        folder.strip_suffix(".dist-info").and_then(|stem| stem.split_once('-')).is_some_and(
            |(name, version)| {
                crate::pypi::normal(name) == crate::pypi::normal(&package.name)
                    && crate::pypi::same_version(version, &package.version)
            },
        )
    };
    let mut says_so = false;
    zip::unpack(archive, tree, |path| {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        says_so |= rest == "METADATA" && named(first);
        if first.strip_suffix(".data").is_none() {
            return Some(path.to_owned());
        }
        // Of what an installer would spread over the machine, only modules have a place here.
        let rest = rest.strip_prefix("purelib/").or_else(|| rest.strip_prefix("platlib/"))?;
        Some(rest.to_owned())
    })?;
    if says_so { Ok(()) } else { UnpackError::refused("it says that it is another package") }
}

/// Whether a path names a file below a folder, without detours.
pub(crate) fn is_plain(path: &str) -> bool {
    path.len() <= MAX_PATH
        && !path.chars().any(char::is_control)
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
}

/// A text of an archive, fit for a message.
fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests;
