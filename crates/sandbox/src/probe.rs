//! What this machine has of the walls of a jail, for `causeway doctor`.

/// One wall, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// What was found and, if something is missing, what to do.
    pub detail: String,
}

/// How a wall stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Good,
    /// It is not, and the others hold without it.
    Weaker,
    /// It is not, and no sandbox can be made.
    Missing,
}

/// Looks at each wall.
pub fn probe() -> Vec<Check> {
    Vec::new()
}
