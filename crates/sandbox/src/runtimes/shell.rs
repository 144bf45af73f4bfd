//! bash and the programs that steps written for it may run.

use super::{Equipment, RuntimeError, RuntimePaths, python};
use crate::control::Purpose;
use crate::program::Runtime;
use std::path::Path;

/// The folder of the tools, on the machine and in the jail.
const TOOLS: &str = "/usr/bin";
/// Where bash is in the jail, as the first lines of scripts name it.
const BASH: &str = "/bin/bash";
/// What a step may run, if the machine has it. Each can be reached with what is in the jail alone;
/// of the network they get what the runner's proxy lets through.
#[rustfmt::skip]
const OFFERED: [&str; 47] = [
    "awk", "base64", "basename", "cat", "chmod", "comm", "cp", "curl", "cut", "date", "dirname",
    "env", "expr", "false", "find", "gawk", "grep", "gzip", "head", "jq", "ls", "md5sum",
    "mkdir", "mktemp", "mv", "od", "paste", "printf", "realpath", "rev", "rm", "sed", "seq",
    "sha256sum", "shuf", "sleep", "sort", "split", "stat", "tail", "tee", "touch", "tr", "true",
    "uniq", "wc", "xargs",
];

/// What bash needs in a sandbox: all that Python does, because the runner is Python's, and itself.
pub(super) async fn equipment(paths: &RuntimePaths) -> Result<Equipment, RuntimeError> {
    let mut equipment = python::equipment(&paths.python).await?;
    let unreadable = |path: &Path| super::unreadable(Runtime::Bash, path);
    equipment.add(&unreadable(&paths.bash), &paths.bash, Path::new(BASH), &[]).await?;
    for tool in OFFERED {
        let path = Path::new(TOOLS).join(tool);
        if !path.exists() {
            continue;
        }
        match equipment.add(&unreadable(&path), &path, &path, &[]).await {
            // A script of the machine, which needs what is not here.
            Ok(()) | Err(RuntimeError::NotElf(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(equipment)
}

/// The names of the tools that are there.
pub(super) fn tools_of(equipment: &Equipment) -> impl Iterator<Item = &str> {
    equipment
        .binds
        .iter()
        .filter(|bind| bind.purpose == Purpose::Execute && bind.target.starts_with(TOOLS))
        .filter_map(|bind| bind.target.file_name()?.to_str())
        .filter(|name| OFFERED.contains(name))
}
