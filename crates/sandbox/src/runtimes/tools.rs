//! Programs of the machine that choose packages, and the shell of install scripts: what of them a
//! sandbox sees.

use super::{Equipment, RuntimeError, Runtimes, python};
use crate::control::{Bind, Purpose};
use crate::program::Runtime;
use crate::{RuntimePaths, runner};
use std::path::{Path, PathBuf};

/// Where Debian keeps npm and, beside it, each package that npm needs.
const DEBIAN: &str = "/usr/share/nodejs";
/// Where pip is in the jail: a folder for `sys.path`, or a wheel.
const PIP_FOLDER: &str = "/pip";
const PIP_WHEEL: &str = "/pip.whl";
/// Where the shell is in the jail.
const SHELL: &str = "/bin/sh";

/// A program that a sandbox may be given beside its runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// npm, in a sandbox of Node.
    Npm,
    /// pip, in a sandbox of Python.
    Pip,
    /// A shell, in a sandbox of Node.
    Shell,
}

/// A tool as a sandbox sees it.
#[derive(Debug, Clone)]
pub struct Toolbox {
    /// What the sandbox has to be shown.
    pub binds: Vec<Bind>,
    /// What there is to run in it; of pip, what belongs on `sys.path`.
    pub entry: PathBuf,
}

impl Runtimes {
    /// What a tool needs. Looked for anew each time: what is installed later is found.
    pub(crate) async fn tool(&self, tool: Tool) -> Result<Toolbox, RuntimeError> {
        find(&self.paths, tool).await
    }
}

async fn find(paths: &RuntimePaths, tool: Tool) -> Result<Toolbox, RuntimeError> {
    match tool {
        Tool::Npm => npm(&paths.npm),
        Tool::Pip => {
            let found = python::pip(&paths.python).await.ok_or(RuntimeError::NoTool {
                tool: "pip",
                advice: "install Debian's `python3-pip`, or the pip of the configured Python",
            })?;
            Ok(pip(found))
        }
        Tool::Shell => shell(paths).await,
    }
}

/// Looks for a tool as a pool does, and says where it was found.
pub async fn describe(paths: &RuntimePaths, tool: Tool) -> Result<String, RuntimeError> {
    let found = find(paths, tool).await?;
    Ok(found.binds.first().map(|bind| bind.source.display().to_string()).unwrap_or_default())
}

/// npm's own folder, and with Debian's npm that of its packages. They are where they are on the
/// machine, so that Node finds them as it always does.
fn npm(path: &Path) -> Result<Toolbox, RuntimeError> {
    let missing = || RuntimeError::NoTool {
        tool: "npm",
        advice: "install Debian's `npm`, or name one with --npm",
    };
    let entry = std::fs::canonicalize(path).map_err(|_| missing())?;
    let root = entry
        .parent()
        .and_then(Path::parent)
        .filter(|root| root.join("package.json").exists() && root.join("lib").is_dir())
        .ok_or_else(missing)?;
    let shown = if root.starts_with(DEBIAN) { Path::new(DEBIAN) } else { root };
    let bind = Bind { source: shown.into(), target: shown.into(), purpose: Purpose::Read };
    Ok(Toolbox { binds: vec![bind], entry })
}

fn pip(found: PathBuf) -> Toolbox {
    let (target, entry) = if found.is_dir() {
        (Path::new(PIP_FOLDER).join("pip"), PIP_FOLDER)
    } else {
        (PIP_WHEEL.into(), PIP_WHEEL)
    };
    let bind = Bind { source: found, target, purpose: Purpose::Read };
    Toolbox { binds: vec![bind], entry: entry.into() }
}

async fn shell(paths: &RuntimePaths) -> Result<Toolbox, RuntimeError> {
    // Node's own are there already: two mounts at one place would hide one another.
    let node = super::node(&paths.node).await?;
    let mut equipment = Equipment {
        program: PathBuf::from(runner::NODE),
        binds: node.binds.clone(),
        library_path: Vec::new(),
        roots: None,
    };
    equipment
        .add(&super::unreadable(Runtime::Bash, &paths.bash), &paths.bash, Path::new(SHELL), &[])
        .await?;
    let mut binds = equipment.binds;
    // The shell first: it is what this is about.
    let more = binds.split_off(node.binds.len());
    Ok(Toolbox { binds: more, entry: SHELL.into() })
}
