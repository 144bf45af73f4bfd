//! What runs in a sandbox: a program, its limits, and the hosts that it may reach.

use crate::control::Bind;
use crate::egress::EgressRules;
use crate::tier::Tier;
use causeway_types::{VersionId, WorkspaceId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// One version of a source or workflow with everything that its sandbox needs. A version whose
/// steps take several runtimes is several programs, with the same key and files.
#[derive(Debug)]
pub struct Program {
    /// Whose program it is. Programs with different keys or runtimes never share a sandbox.
    pub key: ProgramKey,
    /// The files of the version, readable in the sandbox under `/code`.
    pub files: Arc<Vec<SourceFile>>,
    /// What of the machine it sees besides, read-only: its packages. A program with any is started
    /// anew and not from a spare sandbox, because mounts are made before its first process.
    pub binds: Vec<Bind>,
    /// The hosts that the code may reach.
    pub egress: EgressRules,
    /// What the code may use.
    pub limits: Limits,
    /// What runs the code.
    pub runtime: Runtime,
    /// The kind of sandbox that it runs in.
    pub tier: Tier,
}

/// The unit of isolation: one version in one workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProgramKey {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The immutable version.
    pub version: VersionId,
}

/// A file of a program.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Path below `/code`: relative, with `/`, without `.` or `..` components.
    pub path: String,
    /// The file's bytes.
    pub contents: Vec<u8>,
}

/// What runs the code of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Runtime {
    /// Node.js, from the runner's own pinned package.
    Node,
    /// The machine's Python.
    Python,
    /// The machine's bash, started by the runner of Python.
    Bash,
}

impl Runtime {
    /// Every runtime.
    pub const ALL: [Self; 3] = [Self::Node, Self::Python, Self::Bash];

    /// The word that stands for it everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
            Self::Bash => "bash",
        }
    }
}

impl std::fmt::Display for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a program may use. Passing a limit ends the step with the error that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Memory of all processes of the sandbox and of its files, in bytes. JavaScript's heap may
    /// take three quarters of it. Default 256 MiB.
    pub memory_bytes: u64,
    /// Wall time of one step, waiting included. Default 30 s.
    pub wall: Duration,
    /// Processor time of one step. Default 15 s.
    pub cpu: Duration,
    /// Processes and threads of the sandbox; Node itself takes about ten, Python one. Default 64.
    pub processes: u32,
    /// Temporary files below `/tmp`, in bytes; they count as memory too. Default 64 MiB.
    pub disk_bytes: u64,
    /// A step's return value, exports and response together, in bytes of JSON. Default 1 MiB.
    pub output_bytes: u64,
    /// What one step prints, in bytes. Default 1 MiB.
    pub log_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            wall: Duration::from_secs(30),
            cpu: Duration::from_secs(15),
            processes: 64,
            disk_bytes: 64 << 20,
            output_bytes: 1 << 20,
            log_bytes: 1 << 20,
        }
    }
}
