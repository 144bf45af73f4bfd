//! What a sandbox uses: read from its cgroup, or from `/proc` where there is none.

use crate::cgroup::{Group, field};
use rustix::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Processes of a sandbox in use: the launcher, PID 1 and the program.
const OWN_PROCESSES: usize = 3;

/// Where the figures of a sandbox come from.
#[derive(Debug)]
pub(crate) enum Account {
    /// Its cgroup: counts every process.
    Group(Arc<Group>),
    /// The same of a virtual machine, and what the kernel inside says that it has refused: its word is
    /// good for the name of a failure, which is the code's own.
    Machine { group: Arc<Group>, told: OwnedFd },
    /// `/proc` of the machine, by the process id of PID 1.
    Proc { init: Option<u32> },
}

impl Account {
    pub(crate) fn new(group: Option<Arc<Group>>, told: Option<OwnedFd>, init: &OwnedFd) -> Self {
        match (group, told) {
            (Some(group), Some(told)) => Self::Machine { group, told },
            (Some(group), None) => Self::Group(group),
            (None, _) => Self::Proc { init: pid_of(init) },
        }
    }

    /// Processor time so far. Without a cgroup, that of the program and its ended children.
    pub(crate) fn cpu(&self) -> Duration {
        match self {
            Self::Group(group) | Self::Machine { group, .. } => group.cpu(),
            Self::Proc { init } => init.and_then(program_of).and_then(cpu_of),
        }
        .unwrap_or_default()
    }

    /// The most memory so far, in bytes; 0 if nobody counts.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.amount(Group::peak_memory, "VmHWM:")
    }

    /// The memory that it has now, in bytes. Without a cgroup, what is resident of the program.
    pub(crate) fn memory(&self) -> u64 {
        self.amount(Group::memory, "VmRSS:")
    }

    /// An amount of memory, by its group or by its name in proc_pid_status(5); 0 if nobody counts.
    fn amount(&self, of: impl Fn(&Group) -> Option<u64>, name: &str) -> u64 {
        match self {
            Self::Group(group) | Self::Machine { group, .. } => of(group),
            Self::Proc { init } => init.and_then(program_of).and_then(|pid| status_of(pid, name)),
        }
        .unwrap_or(0)
    }

    /// How often a process was refused; without a cgroup nobody counts.
    pub(crate) fn refused_tasks(&self) -> u64 {
        match self {
            Self::Group(group) => group.refused_tasks(),
            Self::Machine { told, .. } => counted(told, 8),
            Self::Proc { .. } => 0,
        }
    }

    /// How often the kernel killed for want of memory.
    pub(crate) fn memory_kills(&self) -> u64 {
        match self {
            Self::Group(group) => group.memory_kills(),
            Self::Machine { group, told } => group.memory_kills().saturating_add(counted(told, 0)),
            Self::Proc { .. } => 0,
        }
    }

    /// Whether no process is left but the sandbox's own.
    pub(crate) fn only_own_processes(&self) -> bool {
        match self {
            Self::Group(group) => group.processes().is_some_and(|count| count <= OWN_PROCESSES),
            // What runs inside is hidden from here.
            Self::Machine { .. } => true,
            // Orphans become children of PID 1, so these two lists miss nobody.
            Self::Proc { init } => init.is_some_and(|init| {
                let below = children(init);
                below.len() == 1 && below.iter().all(|program| children(*program).is_empty())
            }),
        }
    }
}

/// One of the numbers that PID 1 of a machine's jail writes down, 0 before the first time.
fn counted(told: &OwnedFd, at: u64) -> u64 {
    let mut bytes = [0_u8; 8];
    match rustix::io::pread(told, &mut bytes, at) {
        Ok(8) => u64::from_le_bytes(bytes),
        Ok(_) | Err(_) => 0,
    }
}

/// The process id behind a pidfd, in the server's own namespace.
fn pid_of(pidfd: &OwnedFd) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
}

/// The children of every thread of a process (needs CONFIG_PROC_CHILDREN).
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

fn program_of(init: u32) -> Option<u32> {
    children(init).first().copied()
}

/// User and system time with those of ended children: fields 14 to 17 of proc_pid_stat(5).
fn cpu_of(pid: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(4).filter_map(|f| f.parse::<u64>().ok()).sum();
    let a_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_millis(ticks.saturating_mul(1000).checked_div(a_second)?))
}

/// An amount of memory in proc_pid_status(5), in bytes.
fn status_of(pid: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    field(&text, name).map(|kilobytes| kilobytes << 10)
}
