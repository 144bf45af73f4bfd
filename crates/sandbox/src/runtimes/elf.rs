//! The loader and the libraries of a program.

use super::RuntimeError;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Directories that the loader searches by itself.
const SEARCHED: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

pub(super) enum Loader {
    Static,
    Dynamic(PathBuf),
}

/// Whether the loader searches a directory, or one that it lies in.
pub(super) fn is_searched(directory: &str) -> bool {
    SEARCHED.iter().any(|known| {
        directory.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The libraries of a program and of what it loads itself, by running its loader once.
pub(super) async fn libraries(
    path: &Path,
    loader: &Path,
    more: &[PathBuf],
) -> Result<Vec<PathBuf>, RuntimeError> {
    let failed = |detail: String| RuntimeError::Libraries {
        path: path.to_owned(),
        loader: loader.to_owned(),
        detail,
    };
    let mut command = tokio::process::Command::new(loader);
    command.arg("--list").env_clear().stdin(std::process::Stdio::null());
    if !more.is_empty() {
        let names: Vec<_> = more.iter().map(|path| path.display().to_string()).collect();
        command.arg("--preload").arg(names.join(" "));
    }
    let output = command.arg(path).output().await.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(listed).collect())
}

/// The path in a line of the loader's list: `name => path (address)`.
fn listed(line: &str) -> Option<PathBuf> {
    let path = line.split_once("=> ")?.1.split(" (").next()?.trim();
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// The interpreter that an ELF file names (System V ABI, chapter 5, PT_INTERP); `None` if it is
/// not a 64-bit little-endian ELF file.
pub(super) fn loader_of(path: &Path) -> std::io::Result<Option<Loader>> {
    const PT_INTERP: u64 = 3;
    let mut head = Vec::new();
    std::fs::File::open(path)?.take(64 << 10).read_to_end(&mut head)?;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return Ok(None);
    }
    let number = |at, width| number(&head, at, width);
    let interpreter = || -> Option<Loader> {
        let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        for index in 0..count {
            let entry = table.checked_add(index.checked_mul(size)?)?;
            if number(entry, 4)? == PT_INTERP {
                let (at, length) = (number(entry + 8, 8)?, number(entry + 32, 8)?);
                let end = usize::try_from(at.checked_add(length)?).ok()?;
                let name = head.get(usize::try_from(at).ok()?..end)?;
                let name = name.strip_suffix(b"\0").unwrap_or(name);
                return Some(Loader::Dynamic(PathBuf::from(std::str::from_utf8(name).ok()?)));
            }
        }
        Some(Loader::Static)
    };
    Ok(interpreter())
}

/// What of a program the kernel and the loader read: all up to the end of its last segment, without the
/// table of sections, which is for linkers and debuggers (System V ABI, chapter 4, `e_shoff`). A file of
/// another form stays as it is.
pub(crate) fn loaded(mut file: Vec<u8>) -> Vec<u8> {
    let Some(end) = end_of_segments(&file) else { return file };
    file.truncate(end);
    // e_shoff, e_shnum and e_shstrndx.
    for range in [40..48, 60..64] {
        if let Some(field) = file.get_mut(range) {
            field.fill(0);
        }
    }
    file
}

fn end_of_segments(file: &[u8]) -> Option<usize> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(file, 32, 8)?, number(file, 54, 2)?, number(file, 56, 2)?);
    let mut last = table.checked_add(size.checked_mul(count)?)?;
    for index in 0..count {
        let entry = table.checked_add(index.checked_mul(size)?)?;
        let (at, length) = (number(file, entry + 8, 8)?, number(file, entry + 32, 8)?);
        last = last.max(at.checked_add(length)?);
    }
    usize::try_from(last).ok().filter(|end| *end <= file.len())
}

/// A number of the file.
fn number(file: &[u8], at: u64, width: u64) -> Option<u64> {
    let (at, end) = (usize::try_from(at).ok()?, usize::try_from(at.checked_add(width)?).ok()?);
    let bytes = file.get(at..end)?;
    Some(bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_its_sections_is_smaller_and_runs() {
        let folder = tempfile::tempdir().unwrap();
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let light = loaded(whole.clone());
        assert!(light.len() < whole.len() / 4 * 3, "{} of {}", light.len(), whole.len());
        let place = folder.path().join("light");
        std::fs::write(&place, light).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&place, mode).unwrap();
        let ran = std::process::Command::new(&place).arg("--list").output().unwrap();
        assert!(ran.status.success());
        assert!(String::from_utf8(ran.stdout).unwrap().contains("a_program_without_its_sections"));
        for other in [b"#!/bin/sh".to_vec(), b"\x7fELF\x02\x01".to_vec(), whole[..100].to_vec()] {
            assert_eq!(loaded(other.clone()), other);
        }
    }

    #[test]
    fn the_loaders_list_is_read() {
        assert_eq!(
            listed("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)"),
            Some(PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"))
        );
        assert_eq!(listed("\tlinux-vdso.so.1 (0x00007ffd)"), None);
        assert_eq!(listed("\tlibx.so => not found"), None);
    }

    #[test]
    fn what_the_loader_searches_is_told_from_what_it_does_not() {
        assert!(is_searched("/lib/x86_64-linux-gnu") && is_searched("/usr/lib64"));
        assert!(!is_searched("/library") && !is_searched("/opt/python/lib"));
    }
}
