//! The ends of processes: whatever dies, nothing is left behind.

use crate::support::*;
use causeway_sandbox::*;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A server with a sandbox at work, an idle one and a spare one: see `tests/helpers/launcher.rs`.
fn server() -> Child {
    let mut child =
        Command::new(launcher()).arg("serve").arg(node()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "working\n");
    child
}

/// Every process below one.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut all = vec![pid];
    let mut at = 0;
    while at < all.len() {
        let of = all[at];
        all.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        at += 1;
    }
    all.split_off(1)
}

pub(crate) fn watch(pid: u32) -> OwnedFd {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

pub(crate) fn assert_all_end(processes: &[OwnedFd]) {
    for process in processes {
        let mut ready = [PollFd::new(process, PollFlags::IN)];
        let timeout = Timespec { tv_sec: 10, tv_nsec: 0 };
        let ended = rustix::io::retry_on_intr(|| rustix::event::poll(&mut ready, Some(&timeout)));
        assert_eq!(ended.unwrap(), 1, "a process is left");
    }
}

#[tokio::test]
async fn killing_the_server_leaves_no_process_behind() {
    let mut server = server();
    let below = descendants(server.id());
    // Three sandboxes of launcher, PID 1 and Node, at least.
    assert!(below.len() >= 9, "{below:?}");
    let watched: Vec<OwnedFd> = below.iter().map(|pid| watch(*pid)).collect();
    server.kill().unwrap();
    server.wait().unwrap();
    assert_all_end(&watched);

    // The groups are empty, and the next server removes them.
    let pool = pool().await;
    answers(&pool).await;
    assert_eq!(groups(Path::new("/sys/fs/cgroup"), &format!("causeway-{}-", server.id()), 4), 0);
}

/// A server that is started at once after a kill comes while the groups of the killed one are still
/// in use.
#[tokio::test]
async fn a_group_that_is_still_in_use_at_the_start_is_removed_later() {
    if !privileged() {
        return; // there are no groups
    }
    let pool = pool().await;
    answers(&pool).await;
    let own = format!("causeway-{}-", std::process::id());
    let base = find(Path::new("/sys/fs/cgroup"), &own, 4).unwrap();
    pool.shutdown().await;
    // Nobody has this id. A group below it holds it as a process would.
    let left = base.parent().unwrap().join(format!("causeway-{}-5-{own}0", u32::MAX));
    std::fs::create_dir_all(left.join("held")).unwrap();
    let pool = crate::support::pool().await;
    assert!(left.exists(), "it is in use");
    std::fs::remove_dir(left.join("held")).unwrap();
    let gone = async {
        while left.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), gone).await.is_ok(), "it stays");
    pool.shutdown().await;
}

/// The first folder whose name begins so.
fn find(folder: &Path, prefix: &str, depth: u32) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut folders = folders.map(|entry| entry.path());
    folders.find_map(|path| {
        if path.file_name()?.to_str()?.starts_with(prefix) {
            return Some(path);
        }
        find(&path, prefix, depth.checked_sub(1)?)
    })
}

/// Folders with such a name.
pub(crate) fn groups(folder: &Path, prefix: &str, depth: u32) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| {
            let own = usize::from(entry.file_name().to_string_lossy().starts_with(prefix));
            own + if depth > 0 { groups(&entry.path(), prefix, depth - 1) } else { 0 }
        })
        .sum()
}

#[tokio::test]
async fn killing_a_launcher_ends_its_sandbox() {
    let mut server = server();
    let launchers: Vec<u32> = descendants(server.id())
        .into_iter()
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1))
                == Some(&server.id().to_string())
        })
        .collect();
    for launcher in launchers {
        let watched: Vec<OwnedFd> = descendants(launcher).iter().map(|pid| watch(*pid)).collect();
        let pid = Pid::from_raw(i32::try_from(launcher).unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
        assert_all_end(&watched);
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

#[tokio::test]
async fn shutting_a_pool_down_waits_for_the_last_process_and_removes_its_group() {
    let pool = pool().await;
    let held =
        pool.checkout(&Arc::new(program(&[("step.mjs", "export default () => 1")]))).await.unwrap();
    let mine = descendants(std::process::id());
    let watched: Vec<OwnedFd> = mine
        .iter()
        .filter_map(|pid| {
            let pid = Pid::from_raw(i32::try_from(*pid).ok()?)?;
            rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()
        })
        .collect();
    assert!(!watched.is_empty());
    drop(held);
    pool.shutdown().await;
    assert_eq!(pool.stats().live, 0);
}

#[tokio::test]
async fn the_probe_says_what_this_machine_has() {
    let checks = probe();
    let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
    assert_eq!(names, ["identities", "namespaces", "cgroup", "seccomp", "landlock"]);
    for check in &checks {
        assert_ne!(check.standing, Standing::Missing, "{check:?}");
        assert!(!check.detail.is_empty());
    }
}

/// The main of it all, once more, as a user who may do nothing. (A run as such a user already
/// skips this; and without cgroups there is no gVisor.)
#[test]
fn the_same_holds_without_privileges() {
    if !privileged() || tier() != Tier::Jail {
        return;
    }
    // What the other user must be able to read; a checkout below /root is not.
    let folder = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let copy = |from: &Path, name: &str| {
        let to = folder.path().join(name);
        std::fs::copy(from, &to).unwrap();
        to
    };
    let tests = copy(&std::env::current_exe().unwrap(), "tests");
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"])
        .arg(&tests)
        .args([
            "contract::",
            "limits::",
            "escape::",
            "egress::nodes_own",
            "egress::a_host",
            "pool::a_",
            "pool::shutting",
            "--test-threads=2",
        ])
        .env("CAUSEWAY_TEST_NODE", copy(&node(), "node"))
        .env("CAUSEWAY_TEST_LAUNCHER", copy(&launcher(), "launcher"))
        .env("CAUSEWAY_TEST_PROBER", copy(&prober(), "prober"))
        .env("RUST_BACKTRACE", "0")
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("test result: ok"), "{said}");
}
