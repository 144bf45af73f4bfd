//! The kinds of sandbox, and what this machine has of them.

use crate::runtimes::RuntimeError;
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
    /// A virtual machine. This version makes none.
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
    /// Nobody has written it yet.
    #[error("this version of Causeway has no sandboxes of the tier `{0}`")]
    Unwritten(Tier),
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
        "finding a cgroup, which alone bounds memory and processor time of gVisor: set \
         `Delegate=yes` in the systemd unit, or start the server as root"
    )]
    NoCgroups,
}
