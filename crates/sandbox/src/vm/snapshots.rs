//! Snapshots of machines that have booted and have not been told who they are: the next ones continue
//! from there.
//!
//! A snapshot fits machines of one image, one version of Firecracker, one size and one kind of
//! processor, and is named after all of these. Nothing of a program has run in it, so what is restored
//! from it shares no secret, no name and no seed with others.

use super::image::{Image, ImageError, digest_of};
use super::own_name;
use crate::control::Machine;
use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// What the folder is called, beside the images.
const FOLDER: &str = "snapshots";
/// What describes the processors and the kernel of this machine. The speed of the moment is in the
/// first, in lines of their own.
const MACHINE: [&str; 2] = ["/proc/cpuinfo", "/proc/version"];
const OF_PROCESSORS: [&str; 6] =
    ["vendor_id", "cpu family", "model", "stepping", "microcode", "flags"];

/// The place of a snapshot.
pub(crate) struct Key {
    place: PathBuf,
}

impl Key {
    pub(super) async fn new(
        image: &Image,
        machine: &Machine,
        disk: u64,
    ) -> Result<Self, ImageError> {
        let place = image.folder().with_file_name(FOLDER);
        let firecracker = machine.firecracker.clone();
        let mut text = format!("{} {} {disk}\n", image.id(), machine.whole_memory_bytes);
        let read = move || {
            text.push_str(&digest_of(&mut fs::File::open(firecracker)?)?);
            for file in MACHINE {
                for line in fs::read_to_string(file)?.lines() {
                    let named = OF_PROCESSORS.iter().any(|name| line.starts_with(name));
                    if file == "/proc/version" || named {
                        text.push('\n');
                        text.push_str(line);
                    }
                }
            }
            digest_of(&mut text.as_bytes())
        };
        let name = tokio::task::spawn_blocking(read)
            .await
            .map_err(io::Error::other)
            .and_then(|name| name)
            .map_err(ImageError::io("naming a snapshot"))?;
        Ok(Self { place: place.join(name) })
    }

    /// The folder, if the snapshot is there.
    pub(crate) fn found(&self) -> Option<PathBuf> {
        self.place.is_dir().then(|| self.place.clone())
    }

    /// A folder to write the snapshot to, of this user.
    pub(crate) fn begin(&self, user: u32) -> io::Result<Unfinished> {
        let folder = self.place.with_extension(own_name());
        fs::create_dir_all(&folder)?;
        chown(&folder, Some(user), Some(user))?;
        Ok(Unfinished { folder, place: self.place.clone() })
    }
}

/// A snapshot that is being written; deleted unless it is kept.
pub(crate) struct Unfinished {
    folder: PathBuf,
    place: PathBuf,
}

impl Unfinished {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives it its name. The files become root's: later machines read them and cannot write them.
    pub(crate) fn keep(self) -> io::Result<PathBuf> {
        for name in ["state", "memory"] {
            let file = self.folder.join(name);
            chown(&file, Some(0), Some(0))?;
            fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o444))?;
            fs::File::open(&file)?.sync_all()?;
        }
        chown(&self.folder, Some(0), Some(0))?;
        match fs::rename(&self.folder, &self.place) {
            // Another was quicker with the same.
            Err(_) if self.place.is_dir() => {}
            other => other?,
        }
        Ok(self.place.clone())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already if it was kept.
        drop(fs::remove_dir_all(&self.folder));
    }
}
