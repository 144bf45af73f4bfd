//! The kinds of sandbox, and what this machine has of them.

use crate::program::Runtime;
use crate::runtimes::RuntimeError;
use crate::vm::ImageError;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The kinds of sandbox, strongest last.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Namespaces, cgroup, seccomp, Landlock, no capabilities.
    #[default]
    Jail,
    /// A jail with gVisor in it: a kernel in user space between the code and the machine's.
    Gvisor,
    /// A virtual machine in a jail: a kernel of its own, on processors of its own.
    Vm,
}

impl Tier {
    /// Every tier, strongest last.
    pub const ALL: [Self; 3] = [Self::Jail, Self::Gvisor, Self::Vm];

    /// The word that stands for it everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jail => "jail",
            Self::Gvisor => "gvisor",
            Self::Vm => "vm",
        }
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that stands for no tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no isolation tier: write `jail`, `gvisor` or `vm`")]
pub struct UnknownTier(String);

impl std::str::FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(word: &str) -> Result<Self, UnknownTier> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.as_str() == word)
            .ok_or_else(|| UnknownTier(word.to_owned()))
    }
}

/// What a tier needs is not on this machine.
#[derive(Debug, thiserror::Error)]
pub enum TierError {
    /// Firecracker or its jailer is not installed.
    #[error(
        "reading {0}, which the tier `vm` needs: install Firecracker and its jailer, of one release, \
         and name them with --firecracker and --firecracker-jailer"
    )]
    NoFirecracker(PathBuf, #[source] std::io::Error),
    /// Firecracker's jailer makes a device and changes its user.
    #[error(
        "making a virtual machine as another user than root, or with few of root's rights: the jailer \
         of Firecracker needs CAP_SYS_ADMIN, CAP_MKNOD, CAP_SETUID and CAP_SETGID. Start the server as \
         root, or choose the tier `gvisor`"
    )]
    NotRoot,
    /// There is no image of machines, or not this program's.
    #[error("looking at what virtual machines are made of")]
    Image(#[source] ImageError),
    /// The image has not what runs the code.
    #[error(
        "running {0} in a virtual machine, whose image was built without it: install it, then build the \
         image again with `causeway image build`"
    )]
    NotInImage(Runtime),
    /// Packages cannot be shown to a machine.
    #[error("making a block image of what the sandbox sees besides")]
    Layer(#[source] ImageError),
    /// Snapshots cannot be kept.
    #[error("looking for the snapshot of a virtual machine")]
    Snapshot(#[source] ImageError),
    /// gVisor is not installed.
    #[error(
        "reading {0}, which the tier `gvisor` needs: install Debian's `runsc`, or name one with \
         --runsc"
    )]
    NoRunsc(PathBuf, #[source] std::io::Error),
    /// The server's own program cannot be shown to gVisor.
    #[error("looking at this program itself, which is PID 1 under gVisor")]
    Own(#[source] RuntimeError),
    /// Nothing bounds what a sandbox takes.
    #[error(
        "finding a cgroup, which alone bounds memory and processor time of gVisor and of virtual \
         machines: set `Delegate=yes` in the systemd unit, or start the server as root"
    )]
    NoCgroups,
}
