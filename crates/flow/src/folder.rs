//! A set of files, addressed by its digest, and the packages that they import: what versions of
//! workflows and components are stored as.

use crate::bundle::BundleError;
use aws_lc_rs::digest;
use causeway_packages::Dependencies;
use causeway_sandbox::SourceFile;
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most files that a version may have.
pub const MAX_FILES: usize = 2000;
/// The most bytes that a version's files may have together.
pub const MAX_BYTES: usize = 16 << 20;

/// A checked set of files.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Every file by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The packages of a version that is stored; none otherwise.
    pub dependencies: Dependencies,
}

/// How it is stored, before it is sealed.
#[derive(Serialize, Deserialize)]
struct Stored {
    files: BTreeMap<String, String>,
    #[serde(default)]
    dependencies: Dependencies,
}

impl Folder {
    /// Checks a set of files.
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Result<Self, BundleError> {
        if files.len() > MAX_FILES {
            return Err(BundleError::TooManyFiles { found: files.len() });
        }
        let found = files.values().map(Vec::len).sum();
        if found > MAX_BYTES {
            return Err(BundleError::TooLarge { found });
        }
        if let Some(path) = files.keys().find(|path| !is_inside(path)) {
            return Err(BundleError::Path(path.clone()));
        }
        let mut paths = files.keys();
        if let Some(path) = paths.find(|path| is_folder_of(path, &files)) {
            return Err(BundleError::FileAndFolder(path.clone()));
        }
        Ok(Self { files, dependencies: Dependencies::default() })
    }

    /// SHA-256 over every path and its contents, each preceded by its length, in hexadecimal.
    pub fn digest(&self) -> String {
        let parts = self.files.iter().flat_map(|(path, contents)| [path.as_bytes(), contents]);
        digest_of(parts)
    }

    /// The form in which it is sealed and stored, with these packages.
    pub fn to_bytes(&self, dependencies: &Dependencies) -> Result<Vec<u8>, BundleError> {
        let files =
            self.files.iter().map(|(path, bytes)| (path.clone(), BASE64.encode(bytes))).collect();
        let dependencies = dependencies.clone();
        serde_json::to_vec(&Stored { files, dependencies }).map_err(BundleError::Stored)
    }

    /// Reads back what [`Folder::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        let stored: Stored = serde_json::from_slice(bytes).map_err(BundleError::Stored)?;
        let files = stored
            .files
            .into_iter()
            .map(|(path, text)| match BASE64.decode(text.as_bytes()) {
                Ok(bytes) => Ok((path, bytes)),
                Err(_) => Err(BundleError::Path(path)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { dependencies: stored.dependencies, ..Self::new(files)? })
    }

    /// The files as the sandbox takes them.
    pub fn source_files(&self) -> Arc<Vec<SourceFile>> {
        let files = self
            .files
            .iter()
            .map(|(path, contents)| SourceFile { path: path.clone(), contents: contents.clone() })
            .collect();
        Arc::new(files)
    }
}

/// SHA-256 over parts, each preceded by its length, in hexadecimal.
pub(crate) fn digest_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    HEXLOWER.encode(context.finish().as_ref())
}

/// The longest path, in bytes.
pub(crate) const MAX_PATH: usize = 512;
/// The longest part of a path between two `/`, in bytes: what Linux's file systems take.
pub(crate) const MAX_PART: usize = 255;

/// Relative, with `/`, without empty, `.` or `..` parts, without control characters.
fn is_inside(path: &str) -> bool {
    path.len() <= MAX_PATH
        && !path.bytes().any(|byte| byte == b'\\' || byte.is_ascii_control())
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= MAX_PART)
}

/// Whether other files lie below this path.
fn is_folder_of(path: &str, files: &BTreeMap<String, Vec<u8>>) -> bool {
    let below = format!("{path}/");
    files.range(below.clone()..).next().is_some_and(|(other, _)| other.starts_with(&below))
}
