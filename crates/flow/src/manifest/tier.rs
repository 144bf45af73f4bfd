//! How a workflow asks for sandboxes of a kind.

use causeway_sandbox::Tier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The weakest kind of sandbox that a workflow's code may run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TierSpec {
    /// Namespaces, limits and a filter of system calls, on the machine's kernel.
    Jail,
    /// The same with gVisor in it, which is a kernel of its own.
    Gvisor,
    /// A virtual machine.
    Vm,
}

impl From<TierSpec> for Tier {
    fn from(spec: TierSpec) -> Self {
        match spec {
            TierSpec::Jail => Self::Jail,
            TierSpec::Gvisor => Self::Gvisor,
            TierSpec::Vm => Self::Vm,
        }
    }
}
