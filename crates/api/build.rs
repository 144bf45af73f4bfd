//! Makes the list of the console's built files, so that the binary carries them. Where they were
//! not built, the list is empty: a fresh clone compiles without Node.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let console = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console");
    let dist = console.join("dist");
    let mut files = Vec::new();
    if dist.join("connect.html").is_file() {
        println!("cargo::rerun-if-changed={}", dist.display());
        for folder in [dist.clone(), dist.join("assets")] {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_file() {
                    files.push((name(&dist, &path)?, path));
                }
            }
        }
    } else {
        // A folder that appears changes the one that it stands in.
        println!("cargo::rerun-if-changed={}", console.display());
    }
    files.sort();
    let mut list = String::from("&[\n");
    for (name, path) in files {
        let path = path.display().to_string();
        println!("cargo::rerun-if-changed={path}");
        writeln!(list, "    ({name:?}, include_bytes!({path:?}).as_slice()),")?;
    }
    list.push(']');
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(Path::new(&out).join("console.rs"), list)?;
    Ok(())
}

/// A file's path below the folder, as addresses have it.
fn name(folder: &Path, file: &Path) -> Result<String, Box<dyn Error>> {
    Ok(file.strip_prefix(folder)?.to_string_lossy().into_owned())
}
