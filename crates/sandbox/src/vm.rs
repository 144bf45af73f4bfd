//! Virtual machines, seen from the server: what their sandboxes need of this machine. What happens in
//! them is in `jail::vm` and `jail::machine`.

mod build;
mod cpio;
mod image;
mod kernel;
mod layers;
mod snapshots;
mod tools;

pub use build::{BuiltImage, ImageOptions, build_image};
pub use image::ImageError;
pub(crate) use snapshots::Key;

use crate::control::{Bind, Layer, Machine};
use crate::program::{Limits, Runtime};
use crate::runtimes::Equipment;
use crate::tier::TierError;
use causeway_types::{OsRandom, Randomness};
use data_encoding::HEXLOWER;
use image::Image;
use layers::Layers;
use std::path::{Path, PathBuf};
use tokio::sync::OnceCell;

/// Memory of a machine that its kernel and its first program take, in bytes.
const INSIDE_MEMORY: u64 = 96 << 20;
/// Memory that Firecracker takes beside the machine's, with what the kernel of this machine keeps for
/// both, in bytes. Debian's qemu, which stands in for it in tests, takes as much.
const OUTSIDE_MEMORY: u64 = 192 << 20;
/// Processes and threads of Firecracker's, of PID 1 and of the launcher.
pub(crate) const TASKS: u64 = 64;

/// Where the parts are that virtual machines are made with.
#[derive(Debug, Clone)]
pub struct MachinePaths {
    /// Firecracker, statically linked; its name has `firecracker` in it, as its jailer demands.
    pub firecracker: PathBuf,
    /// Its jailer, of the same version.
    pub jailer: PathBuf,
    /// The folder of a machine's image, which [`build_image`] makes.
    pub image: PathBuf,
    /// Whether machines begin from a snapshot of one that has booted.
    pub snapshots: bool,
}

impl Default for MachinePaths {
    fn default() -> Self {
        Self {
            firecracker: "/usr/local/bin/firecracker".into(),
            jailer: "/usr/local/bin/jailer".into(),
            image: "/var/lib/causeway/images/current".into(),
            snapshots: false,
        }
    }
}

/// What every sandbox of this tier needs.
#[derive(Debug)]
pub(crate) struct Vm {
    paths: MachinePaths,
    launcher: Vec<PathBuf>,
    image: OnceCell<Image>,
}

impl Vm {
    pub(crate) fn new(paths: MachinePaths, launcher: Vec<PathBuf>) -> Self {
        Self { paths, launcher, image: OnceCell::new() }
    }

    /// The image, looked at once. A failure is not kept: what is made later is found.
    async fn image(&self) -> Result<&Image, TierError> {
        let open = || Image::open(&self.paths.image, &self.launcher);
        self.image.get_or_try_init(open).await.map_err(TierError::Image)
    }

    /// What the image has of a runtime.
    pub(crate) async fn equipment(&self, runtime: Runtime) -> Result<&Equipment, TierError> {
        self.image().await?.equipment(runtime).ok_or(TierError::NotInImage(runtime))
    }

    /// What a machine needs that shows its program these things beside the image.
    pub(crate) async fn machine(
        &self,
        limits: &Limits,
        more: &[Bind],
    ) -> Result<Machine, TierError> {
        // By their own names: the jailer calls Firecracker's root by that of the program.
        let [firecracker, jailer] = [&self.paths.firecracker, &self.paths.jailer].map(|path| {
            std::fs::canonicalize(path)
                .map_err(|source| TierError::NoFirecracker(path.clone(), source))
        });
        let image = self.image().await?;
        let layers = Layers::beside(image.folder());
        let mut shown = Vec::new();
        for bind in more {
            let source = layers.of(&bind.source).await.map_err(TierError::Layer)?;
            let file = bind.source.is_file().then(|| file_name(&bind.source));
            shown.push(Layer { source, target: bind.target.clone(), file });
        }
        Ok(Machine {
            jailer: jailer?,
            firecracker: firecracker?,
            kernel: image.part(image::KERNEL),
            initramfs: image.part(image::INITRAMFS),
            root: image.part(image::ROOT),
            scratch: image.part(image::SCRATCH),
            layers: shown,
            init: image::init(&self.launcher),
            environment: image.environment(),
            memory_bytes: limits.memory_bytes,
            // The kernel has the first root twice while it unpacks it.
            whole_memory_bytes: limits
                .memory_bytes
                .saturating_add(INSIDE_MEMORY)
                .saturating_add(image.first_root_bytes()),
            processes: u64::from(limits.processes),
            restore: None,
            save: None,
        })
    }

    /// Where the snapshots of such machines are, if there are to be any.
    pub(crate) async fn snapshot_key(
        &self,
        machine: &Machine,
        disk: u64,
    ) -> Result<Option<Key>, TierError> {
        // A machine with packages has disks that others have not.
        if !self.paths.snapshots || !machine.layers.is_empty() {
            return Ok(None);
        }
        let image = self.image().await?;
        Key::new(image, machine, disk).await.map(Some).map_err(TierError::Snapshot)
    }
}

/// What the cgroup of a sandbox of this tier allows it to take, in bytes: the machine's memory, its
/// temporary disk, which is in memory, and Firecracker.
pub(crate) fn memory(limits: &Limits, machine: &Machine) -> u64 {
    let disk = limits.disk_bytes.saturating_add(limits.disk_bytes / 16);
    machine.whole_memory_bytes.saturating_add(disk).saturating_add(OUTSIDE_MEMORY)
}

/// What a file is called in the block image that holds it alone.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A name that nothing else has, for what is not finished.
fn own_name() -> String {
    let mut bytes = [0_u8; 8];
    OsRandom.fill(&mut bytes);
    HEXLOWER.encode(&bytes)
}
