//! The folder of packages: `archives/` by digest, `layers/` by digest, `new/` for what is not finished.
//!
//! What has its place was written whole and is on the disk: a name is given last, by a rename. What a
//! crash leaves is in `new/` and is deleted at the next start.

use crate::archive::{self, Tree, UnpackError};
use crate::error::PackagesError;
use crate::integrity::Integrity;
use crate::{Layer, Package};
use causeway_types::Timestamp;
use causeway_types::entity::Ecosystem;
use data_encoding::BASE64;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

#[derive(Clone)]
pub(crate) struct Cellar {
    folder: PathBuf,
}

impl Cellar {
    /// Makes the folder what it has to be, and deletes what a crash left.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, PackagesError> {
        let cellar = Self { folder };
        let prepare = || {
            let new = cellar.folder.join("new");
            match fs::remove_dir_all(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            for folder in [new, cellar.folder.join("archives"), cellar.folder.join("layers")] {
                fs::create_dir_all(folder)?;
            }
            Ok(())
        };
        prepare().map_err(PackagesError::folder("making room"))?;
        Ok(cellar)
    }

    /// Where an archive is, or would be.
    pub(crate) fn archive(&self, integrity: &Integrity) -> PathBuf {
        self.folder.join("archives").join(integrity.file_name())
    }

    /// Where something unfinished goes.
    pub(crate) fn unfinished(&self, name: &str) -> PathBuf {
        self.folder.join("new").join(name)
    }

    /// Gives an archive, whose digest is right and which is on the disk, its name.
    pub(crate) fn keep(&self, unfinished: &Path, integrity: &Integrity) -> io::Result<()> {
        fs::rename(unfinished, self.archive(integrity))
    }

    /// When an archive's version was published, if that was noted.
    pub(crate) fn published(&self, integrity: &Integrity) -> Option<Timestamp> {
        let text = fs::read_to_string(self.note(integrity)).ok()?;
        text.trim().parse().ok().map(Timestamp::from_micros)
    }

    /// Notes when an archive's version was published: it is old enough for ever after.
    pub(crate) fn note_published(&self, integrity: &Integrity, at: Timestamp) -> io::Result<()> {
        fs::write(self.note(integrity), at.as_micros().to_string())
    }

    fn note(&self, integrity: &Integrity) -> PathBuf {
        self.folder.join("archives").join(format!("{}.published", integrity.file_name()))
    }

    /// The folder of a layer, if it is there.
    pub(crate) fn layer(&self, digest: &str) -> Option<PathBuf> {
        let path = self.folder.join("layers").join(digest);
        path.is_dir().then_some(path)
    }

    /// Unpacks a layer whose archives are there.
    pub(crate) fn unpack(&self, layer: &Layer, name: &str) -> Result<PathBuf, PackagesError> {
        let unfinished = self.unfinished(name);
        let done = self.unpack_into(layer, &unfinished);
        if done.is_err() {
            // The first failure is the one to tell of; the next start deletes what is left.
            drop(fs::remove_dir_all(&unfinished));
        }
        done
    }

    fn unpack_into(&self, layer: &Layer, unfinished: &Path) -> Result<PathBuf, PackagesError> {
        archive::make_folder(unfinished)
            .map_err(PackagesError::folder("making a layer's folder"))?;
        let mut tree = Tree::new(unfinished);
        for package in &layer.packages {
            self.unpack_one(layer.ecosystem, package, &mut tree)?;
        }
        for (path, contents) in &layer.written {
            let contents = BASE64.decode(contents.as_bytes()).unwrap_or_default();
            tree.file(path, &mut contents.as_slice())
                .map_err(|error| PackagesError::Script { what: error.to_string() })?;
        }
        let place = self.folder.join("layers").join(layer.digest());
        let finish = || {
            // One call for all files; the rename after it makes the layer be there.
            rustix::fs::syncfs(File::open(unfinished)?)?;
            match fs::rename(unfinished, &place) {
                // Somebody else was quicker with the same content.
                Err(_) if place.is_dir() => fs::remove_dir_all(unfinished),
                done => done,
            }
        };
        finish().map_err(PackagesError::folder("finishing a layer"))?;
        Ok(place)
    }

    fn unpack_one(
        &self,
        ecosystem: Ecosystem,
        package: &Package,
        tree: &mut Tree<'_>,
    ) -> Result<(), PackagesError> {
        let refuse = |error| match error {
            UnpackError::Folder(source) => PackagesError::Folder {
                attempt: format!("unpacking {} {}", package.name, package.version),
                source,
            },
            other => PackagesError::Unsafe {
                package: package.name.clone(),
                version: package.version.clone(),
                what: other.to_string(),
            },
        };
        let integrity = Integrity::parse(&package.integrity).ok_or(PackagesError::Lock {
            file: "the lock",
            what: format!("`{}` has no digest", package.name),
        })?;
        let file = File::open(self.archive(&integrity))
            .map_err(PackagesError::folder("opening an archive"))?;
        match ecosystem {
            Ecosystem::Npm => archive::npm(file, package, tree),
            Ecosystem::Pypi => archive::wheel(file, package, tree),
        }
        .map_err(refuse)
    }

    /// Deletes what is older than `before` and not in use; gives how many things.
    pub(crate) fn collect(
        &self,
        layers: &HashSet<String>,
        archives: &HashSet<String>,
        before: Timestamp,
    ) -> Result<usize, PackagesError> {
        let mut gone = 0;
        let mut sweep = |name: &str, used: &dyn Fn(&str) -> bool| -> io::Result<()> {
            for entry in fs::read_dir(self.folder.join(name))? {
                let entry = entry?;
                let file = entry.file_name();
                let is_old = entry.metadata()?.modified().is_ok_and(|at| {
                    at.duration_since(UNIX_EPOCH)
                        .is_ok_and(|at| Timestamp::from_micros(0).plus(at) < before)
                });
                if !is_old || used(&file.to_string_lossy()) {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    // Out of its place at once: a layer is whole or not there.
                    let aside = self.unfinished(&format!("gone-{}", file.to_string_lossy()));
                    fs::rename(entry.path(), &aside)?;
                    fs::remove_dir_all(aside)?;
                } else {
                    fs::remove_file(entry.path())?;
                }
                gone += 1;
            }
            Ok(())
        };
        let archive = |name: &str| archives.contains(name.trim_end_matches(".published"));
        sweep("layers", &|name| layers.contains(name))
            .and_then(|()| sweep("archives", &archive))
            // Of deploys that somebody broke off.
            .and_then(|()| sweep("new", &|_| false))
            .map_err(PackagesError::folder("deleting what no version uses"))?;
        Ok(gone)
    }
}
