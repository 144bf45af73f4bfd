//! A machine's image: a folder that is named after the digest of its manifest, which names the digests
//! of all that is in it. So an image is what it was built as, or is refused.

use crate::control::{Bind, Purpose};
use crate::jail;
use crate::program::Runtime;
use crate::runtimes::{Equipment, RuntimeError, library_environment, own_words};
use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What is in the folder: the kernel as an ELF file,
pub(super) const KERNEL: &str = "vmlinux";
/// its first root, with the drivers that it has as modules,
pub(super) const INITRAMFS: &str = "initramfs.cpio";
/// the root that programs see, with the runtimes,
pub(super) const ROOT: &str = "root.squashfs";
/// and what a temporary disk begins as.
pub(super) const SCRATCH: &str = "scratch.ext4";
pub(super) const PARTS: [&str; 4] = [KERNEL, INITRAMFS, ROOT, SCRATCH];
/// The file that says so.
pub(super) const MANIFEST: &str = "manifest.json";
/// How such a folder is laid out; an image of another layout is refused.
pub(super) const FORMAT: u32 = 1;
/// The longest manifest, in bytes.
const LONGEST_MANIFEST: u64 = 1 << 20;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// There is none.
    #[error(
        "reading {path}, the machine's image: make one with `causeway image build`, or name one with \
         --vm-image"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what it was built as.
    #[error("{0} is not what the image was built with: build it again with `causeway image build`")]
    Changed(PathBuf),
    /// It was built by another program.
    #[error(
        "the image {0} was built by another version of Causeway, whose first program does not fit this \
         server: build it again with `causeway image build`"
    )]
    OtherBuild(PathBuf),
    /// What is to be in it is not there.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The kernel cannot be used.
    #[error("{path} is no kernel for a machine: {why}")]
    Kernel {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A driver is not there.
    #[error("looking for the driver `{name}` below {folder}: {why}")]
    Module {
        /// Its name.
        name: String,
        /// The folder of the kernel's modules.
        folder: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// A program that makes file systems cannot be run.
    #[error("running {program}: install Debian's `{package}`")]
    Tool {
        /// Its name.
        program: &'static str,
        /// What has it.
        package: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Such a program failed.
    #[error("{program} failed: {said}")]
    ToolFailed {
        /// Its name.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// Files cannot be read or written.
    #[error("{attempt}")]
    Files {
        /// What was attempted.
        attempt: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ImageError {
    /// Names what was attempted with files.
    pub(super) fn io(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let attempt = attempt.into();
        |source| Self::Files { attempt, source }
    }
}

/// What an image says of itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// The digest of the program that is PID 1 inside, which is the server's own.
    pub(super) init: String,
    /// Where that one's libraries are, if its loader must be told.
    pub(super) init_library_path: Vec<String>,
    /// The digests of the other files, by name.
    pub(super) parts: BTreeMap<String, String>,
    /// The drivers, in the order in which they are loaded.
    pub(super) modules: Vec<String>,
    pub(super) runtimes: BTreeMap<Runtime, Inside>,
}

/// A runtime in the image.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inside {
    program: PathBuf,
    library_path: Vec<String>,
    roots: Option<PathBuf>,
    /// What of the image its steps may execute.
    execute: Vec<PathBuf>,
}

impl Inside {
    pub(super) fn of(equipment: &Equipment) -> Self {
        let executed = equipment.binds.iter().filter(|bind| bind.purpose == Purpose::Execute);
        Self {
            program: equipment.program.clone(),
            library_path: equipment.library_path.clone(),
            roots: equipment.roots.clone(),
            execute: executed.map(|bind| bind.target.clone()).collect(),
        }
    }

    fn equipment(self) -> Equipment {
        let bind = |target| Bind { source: PathBuf::new(), target, purpose: Purpose::Execute };
        Equipment {
            program: self.program,
            binds: self.execute.into_iter().map(bind).collect(),
            library_path: self.library_path,
            roots: self.roots,
        }
    }
}

/// An image that has been looked at.
#[derive(Debug)]
pub(crate) struct Image {
    folder: PathBuf,
    id: String,
    library_path: Vec<String>,
    runtimes: BTreeMap<Runtime, Equipment>,
    first_root_bytes: u64,
}

impl Image {
    /// Reads an image and compares all of it with its digests.
    pub(super) async fn open(folder: &Path, launcher: &[PathBuf]) -> Result<Self, ImageError> {
        let own = crate::runtimes::own_file(launcher)?;
        let folder = folder.to_owned();
        let look = move || look(&folder, &own);
        tokio::task::spawn_blocking(look)
            .await
            .map_err(io::Error::other)
            .map_err(ImageError::io("looking at the image"))?
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its name among images: the digest of its manifest.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn part(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn equipment(&self, runtime: Runtime) -> Option<&Equipment> {
        self.runtimes.get(&runtime)
    }

    pub(super) fn first_root_bytes(&self) -> u64 {
        self.first_root_bytes
    }

    /// Its environment.
    pub(super) fn environment(&self) -> Vec<String> {
        library_environment(&self.library_path).into_iter().collect()
    }
}

/// The command line of the first program, without its name.
pub(super) fn init(launcher: &[PathBuf]) -> Vec<String> {
    own_words(launcher).chain([jail::BOOT.to_owned()]).collect()
}

fn look(folder: &Path, own: &Path) -> Result<Image, ImageError> {
    let missing = |source| ImageError::Missing { path: folder.to_owned(), source };
    // By its own name: another image may be made the current one meanwhile.
    let folder = fs::canonicalize(folder).map_err(missing)?;
    let changed = |name: &str| ImageError::Changed(folder.join(name));
    let mut text = Vec::new();
    File::open(folder.join(MANIFEST))
        .and_then(|file| file.take(LONGEST_MANIFEST).read_to_end(&mut text))
        .map_err(|source| ImageError::Missing { path: folder.join(MANIFEST), source })?;
    let id = digest_of(&mut text.as_slice()).map_err(ImageError::io("reading the manifest"))?;
    if folder.file_name().is_none_or(|name| name != id.as_str()) {
        return Err(changed(MANIFEST));
    }
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|_| ImageError::OtherBuild(folder.clone()))?;
    let file = |path: &Path| {
        let read = File::open(path).and_then(|mut file| digest_of(&mut file));
        read.map_err(ImageError::io(format!("reading {}", path.display())))
    };
    if manifest.format != FORMAT || manifest.init != file(own)? {
        return Err(ImageError::OtherBuild(folder));
    }
    for name in PARTS {
        if manifest.parts.get(name) != Some(&file(&folder.join(name))?) {
            return Err(changed(name));
        }
    }
    let equipped = manifest.runtimes.into_iter();
    let first_root = fs::metadata(folder.join(INITRAMFS));
    Ok(Image {
        id,
        first_root_bytes: first_root.map_err(ImageError::io("looking at the first root"))?.len(),
        library_path: manifest.init_library_path,
        runtimes: equipped.map(|(runtime, inside)| (runtime, inside.equipment())).collect(),
        folder,
    })
}

/// SHA-256, in hexadecimal.
pub(super) fn digest_of(from: &mut impl Read) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0_u8; 1 << 18];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(HEXLOWER.encode(context.finish().as_ref())),
            count => context.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}
