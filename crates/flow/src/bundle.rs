//! A version's content: its manifest and files, addressed by their digest.

use crate::generated;
use crate::manifest::{FILE_NAME, Manifest, ManifestError};
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

/// Why a set of files is not a version.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The folder has no manifest.
    #[error("the folder has no {FILE_NAME}: add one, or name the folder that has it")]
    NoManifest,
    /// The manifest is not text.
    #[error("{FILE_NAME} is not UTF-8 text")]
    ManifestNotText,
    /// The manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A path would leave the folder, or is not one.
    #[error("the path `{0}` is not one inside the folder")]
    Path(String),
    /// A path is where the code of expressions stands.
    #[error("`{0}` stands where Causeway puts the code of expressions: take it away")]
    Reserved(String),
    /// A path is a file's and a folder's.
    #[error("`{0}` is a file and a folder at once")]
    FileAndFolder(String),
    /// Too many files.
    #[error("the folder has {found} files; a version has at most {MAX_FILES}")]
    TooManyFiles {
        /// How many there are.
        found: usize,
    },
    /// Too many bytes.
    #[error("the folder's files have {found} bytes; a version has at most {MAX_BYTES}")]
    TooLarge {
        /// How many there are.
        found: usize,
    },
    /// A step names a file that is not there.
    #[error("step `{step}` runs `{file}`, which is not in the folder")]
    MissingFile {
        /// The step.
        step: String,
        /// The file.
        file: String,
    },
    /// A stored bundle does not read back: a defect.
    #[error("reading a stored bundle")]
    Stored(#[source] serde_json::Error),
}

/// A checked set of files.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The manifest, read.
    pub manifest: Manifest,
    /// Every file by path, the manifest among them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The packages of a version that is stored; none otherwise.
    pub dependencies: Dependencies,
}

/// How a bundle is stored, before it is sealed.
#[derive(Serialize, Deserialize)]
struct Stored {
    files: BTreeMap<String, String>,
    #[serde(default)]
    dependencies: Dependencies,
}

impl Bundle {
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
        if let Some(path) = files.keys().find(|path| path.starts_with(generated::FOLDER)) {
            return Err(BundleError::Reserved(path.clone()));
        }
        let mut paths = files.keys();
        if let Some(path) = paths.find(|path| is_folder_of(path, &files)) {
            return Err(BundleError::FileAndFolder(path.clone()));
        }
        let manifest = files.get(FILE_NAME).ok_or(BundleError::NoManifest)?;
        let manifest = std::str::from_utf8(manifest).map_err(|_| BundleError::ManifestNotText)?;
        let manifest = Manifest::parse(manifest)?;
        for step in manifest.all_steps() {
            if let Some(file) = &step.run
                && !files.contains_key(&crate::graph::entry(step))
            {
                return Err(BundleError::MissingFile {
                    step: step.name.clone(),
                    file: file.clone(),
                });
            }
        }
        Ok(Self { manifest, files, dependencies: Dependencies::default() })
    }

    /// SHA-256 over every path and its contents, each preceded by its length, in hexadecimal.
    pub fn digest(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        for (path, contents) in &self.files {
            for part in [path.as_bytes(), contents] {
                context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                context.update(part);
            }
        }
        HEXLOWER.encode(context.finish().as_ref())
    }

    /// The form in which it is sealed and stored, with these packages.
    pub fn to_bytes(&self, dependencies: &Dependencies) -> Result<Vec<u8>, BundleError> {
        let files =
            self.files.iter().map(|(path, bytes)| (path.clone(), BASE64.encode(bytes))).collect();
        let dependencies = dependencies.clone();
        serde_json::to_vec(&Stored { files, dependencies }).map_err(BundleError::Stored)
    }

    /// Reads back what [`Bundle::to_bytes`] wrote.
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
        let bundle = Self::new(files)?;
        Ok(Self { dependencies: stored.dependencies, ..bundle })
    }

    /// The files as the sandbox takes them: its own, and the code of its expressions.
    pub fn source_files(&self) -> Arc<Vec<SourceFile>> {
        let own = self
            .files
            .iter()
            .map(|(path, contents)| SourceFile { path: path.clone(), contents: contents.clone() });
        Arc::new(own.chain(generated::modules(&self.manifest)).collect())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn files(entries: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        entries.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    const MANIFEST: &str =
        "name: a\ntrigger: { http: { auth: none } }\nsteps: [{ name: s, run: ./s.mjs }]\n";

    #[test]
    fn a_bundle_reads_back_with_its_digest() {
        let bundle =
            Bundle::new(files(&[(FILE_NAME, MANIFEST), ("s.mjs", "export default 1")])).unwrap();
        let again =
            Bundle::from_bytes(&bundle.to_bytes(&Dependencies::default()).unwrap()).unwrap();
        assert_eq!(again.digest(), bundle.digest());
    }

    #[test]
    fn the_digest_tells_a_moved_boundary_apart() {
        let one =
            Bundle::new(files(&[(FILE_NAME, MANIFEST), ("s.mjs", "ab"), ("t", "c")])).unwrap();
        let two =
            Bundle::new(files(&[(FILE_NAME, MANIFEST), ("s.mjs", "a"), ("tb", "c")])).unwrap();
        assert_ne!(one.digest(), two.digest());
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        for path in ["../x", "/etc/passwd", "a//b", "a/./b", "a\\b", "a/..", ""] {
            let refused = Bundle::new(files(&[(FILE_NAME, MANIFEST), ("s.mjs", ""), (path, "")]));
            assert!(matches!(refused, Err(BundleError::Path(_))), "{path}");
        }
    }

    #[test]
    fn a_path_cannot_be_a_file_and_a_folder() {
        let entries = [(FILE_NAME, MANIFEST), ("s.mjs", ""), ("a", ""), ("a.b", ""), ("a/b", "")];
        let refused = Bundle::new(files(&entries));
        assert!(matches!(refused, Err(BundleError::FileAndFolder(path)) if path == "a"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let refused = Bundle::new(files(&[(FILE_NAME, MANIFEST)])).unwrap_err();
        assert_eq!(refused.to_string(), "step `s` runs `./s.mjs`, which is not in the folder");
    }
}
