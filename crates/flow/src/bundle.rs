//! A version's content: its manifest and files.

use crate::folder::{Folder, MAX_BYTES, MAX_FILES};
use crate::generated;
use crate::manifest::{FILE_NAME, Manifest, ManifestError};
use causeway_sandbox::SourceFile;
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// A version's content.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The manifest, read.
    pub manifest: Manifest,
    /// The files, the manifest among them.
    pub folder: Folder,
}

impl Bundle {
    /// Checks a set of files.
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Result<Self, BundleError> {
        Self::of(Folder::new(files)?)
    }

    fn of(folder: Folder) -> Result<Self, BundleError> {
        if let Some(path) = folder.files.keys().find(|path| path.starts_with(generated::FOLDER)) {
            return Err(BundleError::Reserved(path.clone()));
        }
        let manifest = folder.files.get(FILE_NAME).ok_or(BundleError::NoManifest)?;
        let manifest = std::str::from_utf8(manifest).map_err(|_| BundleError::ManifestNotText)?;
        let manifest = Manifest::parse(manifest)?;
        for step in manifest.all_steps() {
            if let Some(file) = &step.run
                && !folder.files.contains_key(&crate::graph::entry(step))
            {
                return Err(BundleError::MissingFile {
                    step: step.name.clone(),
                    file: file.clone(),
                });
            }
        }
        Ok(Self { manifest, folder })
    }

    /// Reads back what [`Folder::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        Self::of(Folder::from_bytes(bytes)?)
    }

    /// The files as the sandbox takes them: its own, and the code of its expressions.
    pub fn source_files(&self) -> Arc<Vec<SourceFile>> {
        let mut files = self.folder.source_files();
        Arc::make_mut(&mut files).extend(generated::modules(&self.manifest));
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_packages::Dependencies;

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
            Bundle::from_bytes(&bundle.folder.to_bytes(&Dependencies::default()).unwrap()).unwrap();
        assert_eq!(again.folder.digest(), bundle.folder.digest());
    }

    #[test]
    fn the_digest_tells_a_moved_boundary_apart() {
        let one =
            Bundle::new(files(&[(FILE_NAME, MANIFEST), ("s.mjs", "ab"), ("t", "c")])).unwrap();
        let two =
            Bundle::new(files(&[(FILE_NAME, MANIFEST), ("s.mjs", "a"), ("tb", "c")])).unwrap();
        assert_ne!(one.folder.digest(), two.folder.digest());
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
