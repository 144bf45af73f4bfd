//! Makes the list of the repository's rows, so that a new folder in `apps/` is all it takes.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps");
    println!("cargo::rerun-if-changed={}", apps.display());
    let mut rows = Vec::new();
    for entry in fs::read_dir(&apps)? {
        let entry = entry?;
        let file = entry.path().join("app.yaml");
        if file.is_file() {
            rows.push((entry.file_name().to_string_lossy().into_owned(), file));
        }
    }
    rows.sort();
    let mut list = String::from("&[\n");
    for (slug, file) in rows {
        let file = file.display().to_string();
        println!("cargo::rerun-if-changed={file}");
        writeln!(list, "    ({slug:?}, include_str!({file:?})),")?;
    }
    list.push(']');
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(Path::new(&out).join("rows.rs"), list)?;
    Ok(())
}
