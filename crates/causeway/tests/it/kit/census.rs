//! What a server and everything below it hold of the machine.

use super::server::descendants;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What a database's connections, which are opened as they are needed, and the test's own, which are
/// kept for a while, may add to a server's descriptors; and the archives of programs that it keeps.
const SLACK: [(&str, usize); 3] = [("sockets", 12), ("files", 12), ("memory files", 32)];

/// How much of everything there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Census(BTreeMap<&'static str, usize>);

impl Census {
    /// Counts once.
    pub(crate) fn take(server: u32, data: &Path) -> Self {
        let below = descendants(server);
        let alive = below.iter().filter(|process| process.exists());
        let mut counted = BTreeMap::from([
            ("processes", alive.count()),
            ("cgroups", groups(server).len()),
            ("files in the data folder", files(data)),
        ]);
        // A namespace is one, however many processes are in it.
        let mut spaces = BTreeMap::new();
        for pid in below.iter().map(|process| process.pid).chain([server]) {
            let space = fs::read_link(format!("/proc/{pid}/ns/mnt"));
            let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo"));
            if let (Ok(space), Ok(mounts)) = (space, mounts) {
                spaces.insert(space, mounts.lines().count());
            }
        }
        counted.insert("mount namespaces", spaces.len());
        counted.insert("mounts", spaces.values().sum());
        for entry in fs::read_dir(format!("/proc/{server}/fd")).unwrap().flatten() {
            // It may have been closed meanwhile.
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let target = target.to_string_lossy();
            let kind = match target.split(':').next() {
                Some("socket") => "sockets",
                Some("pipe") => "pipes",
                Some("anon_inode") => "other descriptors",
                _ if target.starts_with("/memfd") => "memory files",
                _ => "files",
            };
            *counted.entry(kind).or_default() += 1;
        }
        Self(counted)
    }

    /// What is more than it was before, in words.
    pub(crate) fn leaks_since(&self, before: &Self) -> Vec<String> {
        let slack =
            |what: &str| SLACK.iter().find(|(of, _)| *of == what).map_or(0, |(_, slack)| *slack);
        let all = self
            .0
            .iter()
            .map(|(what, now)| (*what, before.0.get(what).copied().unwrap_or(0), *now));
        all.filter(|(what, before, now)| *now > before + slack(what))
            .map(|(what, before, now)| format!("{what}: {before} before, {now} after"))
            .collect()
    }
}

/// The cgroups of a server's sandboxes, by name: under version 1 there is one in each hierarchy.
pub(crate) fn groups(server: u32) -> BTreeSet<String> {
    let prefix = format!("causeway-{server}-");
    let mut found = BTreeSet::new();
    let mut open = vec![(Path::new("/sys/fs/cgroup").to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        // It may have been removed meanwhile.
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten().filter(|one| one.file_type().is_ok_and(|kind| kind.is_dir()))
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&prefix) {
                found.insert(name);
            } else if depth < 6 {
                open.push((entry.path(), depth + 1));
            }
        }
    }
    found
}

/// How many files are below a folder.
fn files(folder: &Path) -> usize {
    let (mut count, mut open) = (0, vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            } else {
                count += 1;
            }
        }
    }
    count
}
