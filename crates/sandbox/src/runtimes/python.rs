//! Python: its program, its standard library, and the libraries that this one loads.

use super::{Equipment, RuntimeError};
use crate::control::Purpose;
use crate::program::Runtime;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The oldest that the runner is written for.
const OLDEST: (u32, u32) = (3, 11);
/// What it is asked: nothing that a step has written is near.
const QUESTION: &str = "import json, sys, sysconfig
print(json.dumps({
    'version': sys.version_info[:3],
    'program': sys.executable,
    'library': sysconfig.get_path('stdlib'),
    'native': sysconfig.get_config_var('DESTSHARED'),
}))";
/// What it is asked for its pip: an installed one, else the one that `venv` puts into a new folder.
const PIP: &str = "import glob, importlib.util, os, sysconfig
found = importlib.util.find_spec('pip')
paths = list(found.submodule_search_locations) if found else []
library = sysconfig.get_path('stdlib')
for folder in (sysconfig.get_config_var('WHEEL_PKG_DIR'), os.path.join(library, 'ensurepip', '_bundled')):
    paths += sorted(glob.glob(os.path.join(folder, 'pip-*.whl'))) if folder else []
print(os.path.realpath(paths[0]) if paths else '')";
/// Native modules whose own libraries are left out, because they serve terminals, directories of
/// users and databases of the machine: they cannot be imported in a sandbox.
const LEFT_OUT: [&str; 6] = ["nis.", "readline.", "_curses", "_dbm.", "_gdbm.", "_tkinter."];
/// The roots of TLS on this machine: where Debian, Fedora and Alpine keep them.
const ROOTS: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Where they are in the jail.
const ROOTS_INSIDE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The rules of time zones.
const ZONES: &str = "/usr/share/zoneinfo";

/// What a Python says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    version: (u32, u32, u32),
    program: PathBuf,
    library: PathBuf,
    native: PathBuf,
}

impl Found {
    pub(super) fn version(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }
}

/// Asks a Python what it is.
pub(super) async fn ask(path: &Path) -> Result<Found, RuntimeError> {
    let unsuitable = |detail: String| RuntimeError::Unsuitable { path: path.to_owned(), detail };
    let output = tokio::process::Command::new(path)
        .args(["-I", "-S", "-c", QUESTION])
        .env_clear()
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .map_err(super::unreadable(Runtime::Python, path))?;
    if !output.status.success() {
        return Err(unsuitable(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let found: Found = serde_json::from_slice(&output.stdout)
        .map_err(|error| unsuitable(format!("it answers what no Python does: {error}")))?;
    if (found.version.0, found.version.1) < OLDEST {
        let (major, minor) = OLDEST;
        return Err(unsuitable(format!(
            "it is Python {}, and the runner needs {major}.{minor} or later: name a later one with \
             --python",
            found.version()
        )));
    }
    Ok(found)
}

/// What Python needs in a sandbox. Its files are where they are on the machine, so that it finds
/// them as it always does.
pub(super) async fn equipment(path: &Path) -> Result<Equipment, RuntimeError> {
    let found = ask(path).await?;
    let unreadable = super::unreadable(Runtime::Python, &found.native);
    let program = std::fs::canonicalize(&found.program).map_err(&unreadable)?;
    let mut equipment = Equipment::of(program.clone());
    equipment.bind(&found.library, &found.library, Purpose::Read);
    equipment.bind(&found.native, &found.native, Purpose::Map);
    let modules = native_modules(&found.native).map_err(&unreadable)?;
    equipment
        .add(&super::unreadable(Runtime::Python, &program), &program, &program, &modules)
        .await?;
    if let Some(roots) = roots() {
        equipment.bind(roots, Path::new(ROOTS_INSIDE), Purpose::Read);
        equipment.roots = Some(ROOTS_INSIDE.into());
    }
    if Path::new(ZONES).exists() {
        equipment.bind(Path::new(ZONES), Path::new(ZONES), Purpose::Read);
    }
    Ok(equipment)
}

/// The file with the roots of TLS on this machine, if it has one.
pub fn roots() -> Option<&'static Path> {
    ROOTS.iter().map(Path::new).find(|path| path.exists())
}

/// Where this Python's pip is: the folder of the package, or a wheel that holds it.
pub(super) async fn pip(path: &Path) -> Option<PathBuf> {
    let output = tokio::process::Command::new(path)
        .args(["-I", "-c", PIP])
        .env_clear()
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .ok()?;
    let found = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end_matches('\n'));
    (output.status.success() && found.is_absolute() && found.exists()).then_some(found)
}

/// The native modules of the standard library that are to be importable.
fn native_modules(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut modules = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".so") && !LEFT_OUT.iter().any(|left| name.starts_with(left)) {
            modules.push(path);
        }
    }
    modules.sort();
    Ok(modules)
}
