//! A folder's files, as they are sent to the server.

use anyhow::{Context, ensure};
use data_encoding::BASE64;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Whether a folder's packages for Node are Causeway's to install: then `node_modules` is what npm
/// has put there for the author.
fn asks_for_packages(folder: &Path) -> bool {
    let Ok(text) = std::fs::read(folder.join("package.json")) else { return false };
    let manifest: Value = serde_json::from_slice(&text).unwrap_or_default();
    ["dependencies", "optionalDependencies"].iter().any(|field| {
        manifest.get(field).and_then(Value::as_object).is_some_and(|all| !all.is_empty())
    })
}

/// Every file of the folder in base64 by its path. Hidden ones stay at home, and so does what npm has
/// installed there.
pub(crate) fn read(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let mut size = 0;
    let mut folders = vec![folder.to_owned()];
    let installed = asks_for_packages(folder).then(|| folder.join("node_modules"));
    while let Some(current) = folders.pop() {
        let entries = std::fs::read_dir(&current)
            .with_context(|| format!("reading {}", current.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            if Some(&path) == installed.as_ref() {
                continue;
            }
            if path.is_dir() {
                // A link may lead back to where it stands.
                ensure!(
                    !path.is_symlink(),
                    "{} is a link to a folder: put the files there",
                    path.display()
                );
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(folder)?;
            let inside = inside
                .to_str()
                .with_context(|| format!("the name of {} is not UTF-8 text", path.display()))?;
            let bytes =
                std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            size += bytes.len();
            ensure!(
                size <= causeway_flow::MAX_BYTES && files.len() < causeway_flow::MAX_FILES,
                "{} is too large to send: at most {} files with {} MiB together",
                folder.display(),
                causeway_flow::MAX_FILES,
                causeway_flow::MAX_BYTES >> 20
            );
            files.insert(inside.to_owned(), BASE64.encode(&bytes));
        }
    }
    Ok(files)
}
