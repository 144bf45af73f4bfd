//! Flags that concern virtual machines, and the command that makes their image.

use super::ServerArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What virtual machines are made with. Each also stands in `causeway.toml`.
#[derive(Args, Default)]
pub(crate) struct MachineArgs {
    /// Firecracker, for sandboxes of the tier vm. Default /usr/local/bin/firecracker.
    #[arg(long, env = "CAUSEWAY_FIRECRACKER")]
    pub(crate) firecracker: Option<PathBuf>,
    /// Firecracker's jailer, of the same release. Default /usr/local/bin/jailer.
    #[arg(long, env = "CAUSEWAY_FIRECRACKER_JAILER")]
    pub(crate) firecracker_jailer: Option<PathBuf>,
    /// The folder of the machines' image. Default: the one that `causeway image build` made last, in
    /// the data folder.
    #[arg(long, env = "CAUSEWAY_VM_IMAGE", value_name = "DIR")]
    pub(crate) vm_image: Option<PathBuf>,
    /// Whether machines continue from a snapshot of one that has booted, instead of booting. Default
    /// false.
    #[arg(long, env = "CAUSEWAY_SANDBOX_VM_SNAPSHOTS", value_name = "BOOL")]
    pub(crate) sandbox_vm_snapshots: Option<bool>,
}

/// Commands about the image of virtual machines.
#[derive(Subcommand)]
pub(crate) enum ImageCommand {
    /// Build the image of this machine's runtimes, this program and a kernel, and make it the current
    /// one.
    Build(Box<ImageBuildArgs>),
}

/// What an image is built of.
#[derive(Args)]
pub(crate) struct ImageBuildArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The kernel: an uncompressed ELF file, or a bzImage that is packed by gzip or LZ4.
    #[arg(long)]
    pub(crate) kernel: PathBuf,
    /// The folder of the kernel's modules, as in /lib/modules, unless all is built into it.
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Option<PathBuf>,
    /// The folder of images. Default: `images` in the data folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}
