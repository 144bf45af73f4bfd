//! What a machine's program sees beside the image: packages and tools of this machine, each as a block
//! image that can be read only. It is made once and kept.

use super::image::{ImageError, digest_of};
use super::{own_name, tools};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the folder is called, beside the images.
const FOLDER: &str = "layers";
/// A block image that nobody has used for that long is deleted when another is made.
const KEPT: Duration = Duration::from_hours(24 * 30);

pub(super) struct Layers {
    folder: PathBuf,
}

impl Layers {
    /// Those beside an image.
    pub(super) fn beside(image: &Path) -> Self {
        Self { folder: image.with_file_name(FOLDER) }
    }

    /// The block image of a folder or file of this machine.
    pub(super) async fn of(&self, source: &Path) -> Result<PathBuf, ImageError> {
        let looked = source.to_owned();
        let name = tokio::task::spawn_blocking(move || name_of(&looked))
            .await
            .map_err(io::Error::other)
            .and_then(|name| name)
            .map_err(ImageError::io(format!("looking at {}", source.display())))?;
        let place = self.folder.join(format!("{name}.squashfs"));
        let what = "keeping a block image of packages";
        if place.exists() {
            // When it was last used.
            let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
            let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
            let none = rustix::fs::AtFlags::empty();
            rustix::fs::utimensat(rustix::fs::CWD, &place, &times, none)
                .map_err(io::Error::from)
                .map_err(ImageError::io(what))?;
            return Ok(place);
        }
        fs::create_dir_all(&self.folder).map_err(ImageError::io(what))?;
        self.sweep().map_err(ImageError::io("deleting block images that nobody uses"))?;
        let unfinished = self.folder.join(format!("{}.new", own_name()));
        let made = tools::squash(source, &unfinished).await;
        // Whole or not there; a crash leaves what the sweep takes.
        let named = made.and_then(|()| {
            fs::File::open(&unfinished)
                .and_then(|file| file.sync_all())
                .and_then(|()| fs::rename(&unfinished, &place))
                .map_err(ImageError::io(what))
        });
        if named.is_err() {
            drop(fs::remove_file(&unfinished));
        }
        named.map(|()| place)
    }

    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let unused = entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > KEPT);
            if unused {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// A name that changes with what is there: the digest of names, kinds, sizes and times.
fn name_of(source: &Path) -> io::Result<String> {
    let mut text = Vec::new();
    describe(source, Path::new(""), &mut text)?;
    digest_of(&mut text.as_slice())
}

fn describe(at: &Path, name: &Path, text: &mut Vec<u8>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(at)?;
    text.extend_from_slice(name.as_os_str().as_bytes());
    let of = [
        u64::from(metadata.mode()),
        metadata.ino(),
        metadata.len(),
        metadata.mtime().cast_unsigned(),
        metadata.mtime_nsec().cast_unsigned(),
    ];
    text.push(0);
    for number in of {
        text.extend_from_slice(&number.to_be_bytes());
    }
    if metadata.is_dir() {
        let mut entries = fs::read_dir(at)?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        for entry in entries {
            describe(&at.join(&entry), &name.join(&entry), text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_block_image_is_made_once_for_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let packages = folder.path().join("packages");
        fs::create_dir_all(packages.join("deep")).unwrap();
        fs::write(packages.join("deep/a.txt"), "one").unwrap();
        let layers = Layers::beside(&folder.path().join("image"));
        let first = layers.of(&packages).await.unwrap();
        assert!(fs::read(&first).unwrap().starts_with(b"hsqs"), "a file system of its own");
        let long_ago = std::time::UNIX_EPOCH;
        let file = fs::File::options().write(true).open(&first).unwrap();
        file.set_modified(long_ago).unwrap();
        assert_eq!(layers.of(&packages).await.unwrap(), first);
        assert!(file.metadata().unwrap().modified().unwrap() > long_ago, "it was used just now");

        // Whatever changes below, it is another one; what was not used for long goes then.
        file.set_modified(long_ago).unwrap();
        fs::write(packages.join("deep/a.txt"), "three").unwrap();
        let second = layers.of(&packages).await.unwrap();
        assert!(second != first && second.exists() && !first.exists());
        let missing = layers.of(&folder.path().join("nothing")).await.unwrap_err();
        assert!(missing.to_string().contains("nothing"), "{missing}");
        let left = fs::read_dir(second.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1);
    }
}
