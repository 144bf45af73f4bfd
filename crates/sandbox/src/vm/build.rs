//! Builds an image out of a kernel, this machine's runtimes, and this very program.
//!
//! The same inputs give the same bytes, and so the same image: nothing of it depends on when, where or
//! by whom it is built.

use super::image::{self, FORMAT, ImageError, Inside, MANIFEST, Manifest, PARTS};
use super::{cpio, kernel, own_name, tools};
use crate::control::Bind;
use crate::jail;
use crate::program::Runtime;
use crate::runtimes::{self, Equipment, RuntimePaths, Runtimes, elf};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The link to the image that was built last.
const CURRENT: &str = "current";
/// What a folder is called that is not finished, before a number of its own.
const UNFINISHED: &str = "new-";
/// Where the first program is in the first root.
const BOOT_INIT: &str = "/init";

/// What an image is built of.
#[derive(Debug, Clone)]
pub struct ImageOptions {
    /// The kernel: an uncompressed ELF file, or a bzImage that is packed by gzip or LZ4.
    pub kernel: PathBuf,
    /// The folder of the kernel's modules, unless what a machine needs is built into it.
    pub modules: Option<PathBuf>,
    /// The programs that run steps. Node must be there; the others are put in if they are.
    pub runtimes: RuntimePaths,
    /// The program and arguments that end in [`crate::jail_main`].
    pub launcher: Vec<PathBuf>,
    /// The folder of images, which is made if it is not there.
    pub folder: PathBuf,
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// Its name: the digest of all that is in it.
    pub id: String,
    /// Its folder.
    pub folder: PathBuf,
    /// What it takes of the disk, in bytes.
    pub bytes: u64,
    /// The runtimes that it has.
    pub runtimes: Vec<Runtime>,
    /// The kernel's drivers that it carries.
    pub modules: Vec<String>,
}

/// Builds an image and makes it the current one of its folder.
///
/// # Errors
/// See [`ImageError`].
pub async fn build_image(options: &ImageOptions) -> Result<BuiltImage, ImageError> {
    fs::create_dir_all(&options.folder).map_err(ImageError::io("making the folder of images"))?;
    let work = options.folder.join(format!("{UNFINISHED}{}", own_name()));
    let built = build_in(options, &work).await;
    if built.is_err() {
        // The first failure is the one to tell of.
        drop(fs::remove_dir_all(&work));
    }
    built
}

async fn build_in(options: &ImageOptions, work: &Path) -> Result<BuiltImage, ImageError> {
    let done = work.join("image");
    fs::create_dir_all(&done).map_err(ImageError::io("making the image's folder"))?;
    let place = |name: &str| done.join(name);

    let known = Runtimes::new(options.runtimes.clone()).await?;
    let mut equipped = BTreeMap::new();
    for runtime in Runtime::ALL {
        match known.equipment(runtime).await {
            Ok(equipment) => drop(equipped.insert(runtime, equipment)),
            Err(error) if runtime == Runtime::Node => return Err(error.into()),
            // Steps for it are refused by name, as on a machine that has it not.
            Err(_) => {}
        }
    }
    let init = runtimes::own(&options.launcher, jail::GUEST_INIT).await?;
    let tree = work.join("tree");
    let binds = equipped.values().flat_map(|equipment| &equipment.binds).chain(&init.binds);
    fill(&tree, binds)?;
    lighten(&tree.join(jail::GUEST_INIT.trim_start_matches('/')))?;
    level(&tree).map_err(ImageError::io("finishing the image's root"))?;
    tools::squash(&tree, &place(image::ROOT)).await?;
    fs::remove_dir_all(&tree).map_err(ImageError::io("tidying up"))?;

    let vmlinux = kernel::read(&options.kernel)?;
    fs::write(place(image::KERNEL), vmlinux).map_err(ImageError::io("writing the kernel"))?;
    let modules = options.modules.as_deref().map(kernel::modules).transpose()?.unwrap_or_default();
    let boot = runtimes::own(&options.launcher, BOOT_INIT).await?;
    first_root(&place(image::INITRAMFS), &boot, &modules)
        .map_err(ImageError::io("writing the first root"))?;
    tools::format(&place(image::SCRATCH)).await?;

    let mut parts = BTreeMap::new();
    let mut bytes = 0;
    for name in PARTS {
        let what = || ImageError::io(format!("reading {}", place(name).display()));
        let mut file = File::open(place(name)).map_err(what())?;
        bytes += file.metadata().map_err(what())?.len();
        file.sync_all().map_err(what())?;
        parts.insert(name.to_owned(), image::digest_of(&mut file).map_err(what())?);
    }
    let own = runtimes::own_file(&options.launcher)?;
    let mut own = File::open(own).map_err(ImageError::io("reading this program"))?;
    let manifest = Manifest {
        format: FORMAT,
        init: image::digest_of(&mut own).map_err(ImageError::io("reading this program"))?,
        init_library_path: init.library_path,
        parts,
        modules: modules.into_iter().map(|module| module.name).collect(),
        runtimes: equipped.iter().map(|(runtime, of)| (*runtime, Inside::of(of))).collect(),
    };
    let id =
        finish(&manifest, &done, &options.folder).map_err(ImageError::io("finishing the image"))?;
    fs::remove_dir_all(work).map_err(ImageError::io("tidying up"))?;
    Ok(BuiltImage {
        folder: options.folder.join(&id),
        id,
        bytes,
        runtimes: equipped.keys().copied().collect(),
        modules: manifest.modules,
    })
}

/// Writes the manifest, names the folder after it, and makes it the current one.
fn finish(manifest: &Manifest, done: &Path, images: &Path) -> io::Result<String> {
    let text = serde_json::to_vec_pretty(manifest)?;
    let id = image::digest_of(&mut text.as_slice())?;
    let mut file = File::create(done.join(MANIFEST))?;
    file.write_all(&text)?;
    file.sync_all()?;
    let place = images.join(&id);
    match fs::rename(done, &place) {
        // The same image was built before.
        Err(_) if place.join(MANIFEST).is_file() => {}
        other => other?,
    }
    let link = done.with_file_name(CURRENT);
    std::os::unix::fs::symlink(&id, &link)?;
    fs::rename(link, images.join(CURRENT))?;
    File::open(images)?.sync_all()?;
    Ok(id)
}

/// Copies what the runtimes need to where they have it inside.
fn fill<'a>(tree: &Path, binds: impl Iterator<Item = &'a Bind>) -> Result<(), ImageError> {
    for bind in binds {
        let what = format!("copying {} into the image", bind.source.display());
        let place = tree.join(bind.target.strip_prefix("/").unwrap_or(&bind.target));
        let parent = place.parent().unwrap_or(tree);
        fs::create_dir_all(parent)
            .and_then(|()| copy(&bind.source, &place))
            .map_err(ImageError::io(what))?;
    }
    Ok(())
}

/// Takes from this program's own file what only debuggers read, which is most of it. Its time is not
/// its own then.
fn lighten(place: &Path) -> Result<(), ImageError> {
    let what = || ImageError::io("putting this program into the image");
    let light = elf::loaded(fs::read(place).map_err(what())?);
    fs::write(place, light).map_err(what())?;
    let file = File::options().write(true).open(place).map_err(what())?;
    file.set_modified(UNIX_EPOCH).map_err(what())
}

/// Copies a file or folder; what is there already stays.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let known = fs::symlink_metadata(to);
    let metadata = fs::metadata(from)?;
    if metadata.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let place = to.join(entry.file_name());
            if entry.file_type()?.is_symlink() {
                if fs::symlink_metadata(&place).is_err() {
                    std::os::unix::fs::symlink(fs::read_link(entry.path())?, &place)?;
                    settle_link(&place)?;
                }
            } else {
                copy(&entry.path(), &place)?;
            }
        }
        return Ok(());
    }
    if known.is_ok() || !metadata.is_file() {
        return Ok(());
    }
    fs::copy(from, to)?;
    let executable = metadata.permissions().mode() & 0o111 != 0;
    fs::set_permissions(to, fs::Permissions::from_mode(if executable { 0o755 } else { 0o644 }))?;
    // Python compares the times of its sources with those that its compiled files name.
    File::options().write(true).open(to)?.set_modified(metadata.modified()?)
}

/// Links have no times worth keeping.
fn settle_link(place: &Path) -> io::Result<()> {
    let zero = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: zero, last_modification: zero };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::utimensat(rustix::fs::CWD, place, &times, flags)?)
}

/// Sets what a folder has of its own, once all is in it: what is written into a folder sets its time.
fn level(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            level(&entry.path())?;
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    File::open(folder)?.set_modified(UNIX_EPOCH)
}

/// The first root: this program with its libraries, and the drivers.
fn first_root(to: &Path, boot: &Equipment, modules: &[kernel::Module]) -> io::Result<()> {
    let mut archive = cpio::Archive::new(BufWriter::new(File::create(to)?));
    for bind in &boot.binds {
        let path = bind.target.to_string_lossy();
        let contents = fs::read(&bind.source)?;
        let is_own = bind.target == Path::new(BOOT_INIT);
        let contents = if is_own { elf::loaded(contents) } else { contents };
        archive.file(path.trim_start_matches('/'), &contents)?;
    }
    for (number, module) in modules.iter().enumerate() {
        let path = format!("{}/{number:02}-{}.ko", jail::MODULES, module.name);
        archive.file(path.trim_start_matches('/'), &module.contents)?;
    }
    archive.finish()?.flush()
}
