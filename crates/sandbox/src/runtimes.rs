//! The runtimes of this machine, and what of it each needs in a sandbox.
//!
//! Node's is found when the pool is made; those of Python and bash when somebody first needs
//! them, because many installations never do.

pub(crate) mod elf;
mod python;
mod shell;
mod tools;

use crate::control::{Bind, Purpose};
use crate::program::Runtime;
use crate::runner;
use crate::vm::MachinePaths;
use std::path::{Path, PathBuf};
use tokio::sync::OnceCell;

pub use python::roots as machine_roots;
pub use tools::{Tool, Toolbox, describe as describe_tool};

/// Where the programs are that run steps.
#[derive(Debug, Clone)]
pub struct RuntimePaths {
    /// Node 24.
    pub node: PathBuf,
    /// Python 3.11 or later.
    pub python: PathBuf,
    /// bash.
    pub bash: PathBuf,
    /// gVisor's `runsc`, for sandboxes of that tier.
    pub runsc: PathBuf,
    /// npm, which chooses packages for Node where a workflow has no lock. Nothing else needs it.
    pub npm: PathBuf,
    /// What virtual machines are made with, for sandboxes of that tier.
    pub machine: MachinePaths,
}

impl RuntimePaths {
    /// This Node, and the others where Debian installs them.
    pub fn with_node(node: PathBuf) -> Self {
        Self {
            node,
            python: "/usr/bin/python3".into(),
            bash: "/bin/bash".into(),
            runsc: "/usr/bin/runsc".into(),
            npm: "/usr/bin/npm".into(),
            machine: MachinePaths::default(),
        }
    }
}

/// A runtime does not run here.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Its program cannot be read.
    #[error("reading {path}, which runs {runtime} steps: {advice}")]
    Read {
        /// The runtime.
        runtime: Runtime,
        /// The configured path.
        path: PathBuf,
        /// What to do.
        advice: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server's own program cannot be read.
    #[error("reading {path}, which is this program itself")]
    Own {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not a program of this machine.
    #[error("{0} is not a 64-bit ELF program")]
    NotElf(PathBuf),
    /// Its loader does not list its libraries.
    #[error("listing the libraries of {path} with {loader}: {detail}")]
    Libraries {
        /// The configured path.
        path: PathBuf,
        /// The loader that the program names.
        loader: PathBuf,
        /// What the loader said.
        detail: String,
    },
    /// There is no such tool.
    #[error("looking for {tool}, {advice}")]
    NoTool {
        /// Its name.
        tool: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// It does not say what it is, or is too old.
    #[error("asking {path} what it is: {detail}")]
    Unsuitable {
        /// The configured path.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

/// What a runtime needs to run in an otherwise empty root.
#[derive(Debug, Clone)]
pub(crate) struct Equipment {
    /// Its program in the jail.
    pub(crate) program: PathBuf,
    pub(crate) binds: Vec<Bind>,
    /// Directories that the loader must be told of.
    pub(crate) library_path: Vec<String>,
    /// Where programs in the jail find the roots of TLS, unless they bring their own.
    pub(crate) roots: Option<PathBuf>,
}

/// What is said of a program of a runtime that cannot be read.
fn unreadable(
    runtime: Runtime,
    path: &Path,
) -> impl Fn(std::io::Error) -> RuntimeError + Sync + use<> {
    let path = path.to_owned();
    move |source| RuntimeError::Read {
        runtime,
        path: path.clone(),
        advice: advice(runtime),
        source,
    }
}

impl Equipment {
    /// Nothing yet, for a program at this place in the jail.
    pub(crate) fn of(program: PathBuf) -> Self {
        Self { program, binds: Vec::new(), library_path: Vec::new(), roots: None }
    }

    /// Adds a program, its loader and its libraries; `more` are libraries that it loads itself.
    pub(crate) async fn add(
        &mut self,
        read: &(dyn Fn(std::io::Error) -> RuntimeError + Sync),
        path: &Path,
        target: &Path,
        more: &[PathBuf],
    ) -> Result<(), RuntimeError> {
        let file = std::fs::canonicalize(path).map_err(read)?;
        let loader = elf::loader_of(&file)
            .map_err(read)?
            .ok_or_else(|| RuntimeError::NotElf(file.clone()))?;
        self.bind(&file, target, Purpose::Execute);
        let elf::Loader::Dynamic(loader) = loader else { return Ok(()) };
        for library in elf::libraries(&file, &loader, more).await? {
            let directory = library.parent().map(Path::to_string_lossy).unwrap_or_default();
            if !elf::is_searched(&directory) && !self.library_path.iter().any(|l| *l == directory) {
                self.library_path.push(directory.into_owned());
            }
            if library != loader {
                self.bind(&library, &library, Purpose::Map);
            }
        }
        self.bind(&loader, &loader, Purpose::Execute);
        Ok(())
    }

    /// Shows a place of the machine, unless it is shown already.
    fn bind(&mut self, source: &Path, target: &Path, purpose: Purpose) {
        if self.binds.iter().all(|known| known.target != target) {
            self.binds.push(Bind { source: source.into(), target: target.into(), purpose });
        }
    }
}

const fn advice(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Node => "set it to the `node` of `npm ci --prefix runners/node`",
        Runtime::Python => {
            "install Debian's `python3`, or name a Python 3.11 or later with --python"
        }
        Runtime::Bash => "install Debian's `bash`, or name one with --bash",
    }
}

/// The runtimes, each looked at once.
#[derive(Debug)]
pub(crate) struct Runtimes {
    paths: RuntimePaths,
    node: Equipment,
    python: OnceCell<Equipment>,
    bash: OnceCell<Equipment>,
}

impl Runtimes {
    pub(crate) async fn new(paths: RuntimePaths) -> Result<Self, RuntimeError> {
        let node = node(&paths.node).await?;
        Ok(Self { paths, node, python: OnceCell::new(), bash: OnceCell::new() })
    }

    /// What a runtime needs. A failure is not kept: what is installed later is found.
    pub(crate) async fn equipment(&self, runtime: Runtime) -> Result<&Equipment, RuntimeError> {
        match runtime {
            Runtime::Node => Ok(&self.node),
            Runtime::Python => {
                self.python.get_or_try_init(|| python::equipment(&self.paths.python)).await
            }
            Runtime::Bash => self.bash.get_or_try_init(|| shell::equipment(&self.paths)).await,
        }
    }
}

/// Where a process finds the name of the file that it runs,
const SELF: &str = "/proc/self/exe";
/// and what stands behind the name if there is another file, or none.
const REPLACED: &str = " (deleted)";

/// Where a program's libraries are, as its environment says it; nothing if its loader finds them.
pub(crate) fn library_environment(paths: &[String]) -> Option<String> {
    (!paths.is_empty()).then(|| format!("LD_LIBRARY_PATH={}", paths.join(":")))
}

/// What follows the program on the launcher's command line.
pub(crate) fn own_words(launcher: &[PathBuf]) -> impl Iterator<Item = String> {
    launcher.iter().skip(1).map(|word| word.to_string_lossy().into_owned())
}

/// The file of the launcher's own program.
pub(crate) fn own_file(launcher: &[PathBuf]) -> Result<PathBuf, RuntimeError> {
    let named = launcher.first().map_or(Path::new(SELF), PathBuf::as_path);
    if named != Path::new(SELF) {
        return Ok(named.to_owned());
    }
    let link = std::fs::read_link(named).map_err(unreadable_self(named))?;
    // After an upgrade the name is the new program's, which does for PID 1.
    let name = link.to_string_lossy();
    Ok(PathBuf::from(name.strip_suffix(REPLACED).unwrap_or(&name)))
}

/// What the launcher's own program needs to run in an otherwise empty root, at this place.
pub(crate) async fn own(launcher: &[PathBuf], target: &str) -> Result<Equipment, RuntimeError> {
    let file = own_file(launcher)?;
    let target = PathBuf::from(target);
    let mut equipment = Equipment::of(target.clone());
    equipment.add(&unreadable_self(&file), &file, &target, &[]).await?;
    Ok(equipment)
}

fn unreadable_self(path: &Path) -> impl Fn(std::io::Error) -> RuntimeError + Sync + use<> {
    let path = path.to_owned();
    move |source| RuntimeError::Own { path: path.clone(), source }
}

async fn node(path: &Path) -> Result<Equipment, RuntimeError> {
    let program = PathBuf::from(runner::NODE);
    let mut equipment = Equipment::of(program.clone());
    equipment.add(&unreadable(Runtime::Node, path), path, &program, &[]).await?;
    Ok(equipment)
}

/// Looks at a runtime as a pool does, and says what was found.
pub async fn describe_runtime(
    paths: &RuntimePaths,
    runtime: Runtime,
) -> Result<String, RuntimeError> {
    match runtime {
        Runtime::Node => node(&paths.node).await.map(|_| paths.node.display().to_string()),
        Runtime::Python => {
            let found = python::ask(&paths.python).await?;
            python::equipment(&paths.python).await?;
            Ok(format!("{} (Python {})", paths.python.display(), found.version()))
        }
        Runtime::Bash => {
            let equipment = shell::equipment(paths).await?;
            Ok(format!(
                "{}, with {}",
                paths.bash.display(),
                shell::tools_of(&equipment).collect::<Vec<_>>().join(", ")
            ))
        }
    }
}
