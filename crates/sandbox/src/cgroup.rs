//! Control groups: one below the server's own for each sandbox, in either version.

use rustix::fs::{Mode, OFlags};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Tells the groups of this process from each other.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Where groups can be made.
#[derive(Debug, Clone)]
pub(crate) enum Cgroups {
    /// Version 1: a folder for each controller.
    V1 { memory: PathBuf, pids: PathBuf, cpuacct: Option<PathBuf> },
    /// Version 2.
    V2 { base: PathBuf },
}

/// What a group allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) memory_bytes: u64,
    pub(crate) tasks: u64,
}

impl Cgroups {
    /// Finds where the server may make groups, or says why it may not.
    pub(crate) fn detect() -> Result<Self, String> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|e| e.to_string())?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string())?;
        let found = match find_v2(&own, &mounts) {
            Some(base) => Self::prepare_v2(base),
            None => {
                Err("no cgroup version 2 with memory and pids controllers is mounted".to_owned())
            }
        };
        let found = found.or_else(|why| match find_v1(&own, &mounts) {
            Some(groups) => Ok(groups),
            None => Err(why),
        })?;
        // What is left of them the pool tries again.
        found.remove_stale();
        // The proof: make one and remove it.
        let bounds = Bounds { memory_bytes: 64 << 20, tasks: 16 };
        found.create(bounds).map_err(|error| format!("making a cgroup: {error}"))?.remove();
        Ok(found)
    }

    /// Version 2 gives controllers only to the groups below one that holds no process itself
    /// (cgroup-v2.rst, "No Internal Process Constraint"), so the server steps into a leaf.
    fn prepare_v2(base: PathBuf) -> Result<Self, String> {
        let has = |file: &str| {
            let text = fs::read_to_string(base.join(file)).unwrap_or_default();
            let words: Vec<&str> = text.split_whitespace().collect();
            words.contains(&"memory") && words.contains(&"pids")
        };
        if !has("cgroup.controllers") {
            return Err(format!("{} has no memory and pids controllers", base.display()));
        }
        // The nearest group above (a user's `app.slice`, for example) that gives its children
        // the controllers and lets this process make one: nothing has to move.
        for above in
            base.ancestors().take_while(|above| above.join("cgroup.subtree_control").exists())
        {
            let text = fs::read_to_string(above.join("cgroup.subtree_control")).unwrap_or_default();
            let given: Vec<&str> = text.split_whitespace().collect();
            if given.contains(&"memory") && given.contains(&"pids") && may_make_groups(above) {
                return Ok(Self::V2 { base: above.to_owned() });
            }
        }
        let enable = |file: &Path| fs::write(file, "+memory +pids");
        let control = base.join("cgroup.subtree_control");
        if enable(&control).is_ok() {
            return Ok(Self::V2 { base });
        }
        let leaf = base.join("causeway-server");
        let why = |error: io::Error| {
            format!("{} is not delegated to this process: {error}", base.display())
        };
        if let Err(error) = fs::create_dir(&leaf)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(why(error));
        }
        let pid = std::process::id().to_string();
        fs::write(leaf.join("cgroup.procs"), &pid).map_err(why)?;
        if let Err(error) = enable(&control) {
            // Step back, so that nothing has changed.
            drop(fs::write(base.join("cgroup.procs"), &pid));
            drop(fs::remove_dir(&leaf));
            return Err(why(error));
        }
        Ok(Self::V2 { base })
    }

    fn bases(&self) -> Vec<&Path> {
        match self {
            Self::V1 { memory, pids, cpuacct } => [Some(memory), Some(pids), cpuacct.as_ref()]
                .into_iter()
                .flatten()
                .map(PathBuf::as_path)
                .collect(),
            Self::V2 { base } => vec![base],
        }
    }

    /// Removes the groups of servers that were killed, and says whether that was all: a group
    /// cannot be removed as long as a process of it still ends.
    pub(crate) fn remove_stale(&self) -> bool {
        let mut all = true;
        for base in self.bases() {
            let Ok(entries) = fs::read_dir(base) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let owner = name.to_str().and_then(owner_of);
                if owner.is_some_and(|(pid, started)| started_at(pid) != Some(started)) {
                    all &= is_gone(fs::remove_dir(entry.path()));
                }
            }
        }
        all
    }

    /// Makes a group.
    pub(crate) fn create(&self, bounds: Bounds) -> io::Result<Group> {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        let started = started_at(pid).unwrap_or_default();
        let name = format!("causeway-{pid}-{started}-{serial}");
        let folders: Vec<PathBuf> = self.bases().iter().map(|base| base.join(&name)).collect();
        let mut group = Group {
            folders,
            cpu: None,
            memory: None,
            memory_now: None,
            tasks: None,
            v2: matches!(self, Self::V2 { .. }),
        };
        if let Err(error) = group.fill(bounds) {
            group.remove();
            return Err(error);
        }
        Ok(group)
    }
}

/// The group of one sandbox.
#[derive(Debug)]
pub(crate) struct Group {
    folders: Vec<PathBuf>,
    v2: bool,
    /// Files that are read at every step stay open.
    cpu: Option<OwnedFd>,
    memory: Option<OwnedFd>,
    memory_now: Option<OwnedFd>,
    tasks: Option<OwnedFd>,
}

impl Group {
    fn fill(&mut self, bounds: Bounds) -> io::Result<()> {
        for folder in &self.folders {
            fs::create_dir(folder)?;
        }
        let (memory, pids) = (self.memory_folder(), self.pids_folder());
        let (limit, tasks) = (bounds.memory_bytes.to_string(), bounds.tasks.to_string());
        fs::write(pids.join("pids.max"), tasks)?;
        if self.v2 {
            fs::write(memory.join("memory.max"), limit)?;
            optional(fs::write(memory.join("memory.swap.max"), "0"))?;
            optional(fs::write(memory.join("memory.oom.group"), "1"))?;
        } else {
            fs::write(memory.join("memory.limit_in_bytes"), &limit)?;
            optional(fs::write(memory.join("memory.memsw.limit_in_bytes"), &limit))?;
        }
        let (peak, now, cpu) = if self.v2 {
            ("memory.peak", "memory.current", open(&memory.join("cpu.stat")).ok())
        } else {
            let folder = self.folders.get(2);
            (
                "memory.max_usage_in_bytes",
                "memory.usage_in_bytes",
                folder.and_then(|at| open(&at.join("cpuacct.usage")).ok()),
            )
        };
        self.cpu = cpu;
        self.memory = open(&memory.join(peak)).ok();
        self.memory_now = open(&memory.join(now)).ok();
        self.tasks = Some(open(&pids.join("pids.events"))?);
        Ok(())
    }

    fn memory_folder(&self) -> PathBuf {
        self.folders.first().cloned().unwrap_or_default()
    }

    fn pids_folder(&self) -> PathBuf {
        self.folders.get(1).cloned().unwrap_or_else(|| self.memory_folder())
    }

    /// Moves a process in; its children follow. In version 1 this waits for an RCU grace period,
    /// some milliseconds.
    pub(crate) fn attach(&self, pid: u32) -> io::Result<()> {
        for folder in &self.folders {
            fs::write(folder.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    /// Processor time used so far.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let mut buffer = [0_u8; 512];
        let text = read(self.cpu.as_ref()?, &mut buffer)?;
        if self.v2 {
            field(text, "usage_usec").map(Duration::from_micros)
        } else {
            text.trim().parse().ok().map(Duration::from_nanos)
        }
    }

    /// The most memory so far, in bytes. Version 2 has it since Linux 5.19.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let mut buffer = [0_u8; 32];
        read(self.memory.as_ref()?, &mut buffer)?.trim().parse().ok()
    }

    /// The memory that it has now, in bytes.
    pub(crate) fn memory(&self) -> Option<u64> {
        let mut buffer = [0_u8; 32];
        read(self.memory_now.as_ref()?, &mut buffer)?.trim().parse().ok()
    }

    /// How often a process or thread was refused.
    pub(crate) fn refused_tasks(&self) -> u64 {
        let mut buffer = [0_u8; 64];
        let text = self.tasks.as_ref().and_then(|fd| read(fd, &mut buffer));
        text.and_then(|text| field(text, "max")).unwrap_or(0)
    }

    /// How often the kernel killed for want of memory.
    pub(crate) fn memory_kills(&self) -> u64 {
        let file = if self.v2 { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.memory_folder().join(file)).unwrap_or_default();
        field(&text, "oom_kill").unwrap_or(0)
    }

    /// How many processes there are, if that can be told.
    pub(crate) fn processes(&self) -> Option<usize> {
        let text = fs::read_to_string(self.pids_folder().join("cgroup.procs")).ok()?;
        Some(text.lines().count())
    }

    /// Removes the group; false if a process is still in it.
    pub(crate) fn remove(&self) -> bool {
        let held = self.folders.iter().filter(|folder| !is_gone(fs::remove_dir(folder)));
        held.count() == 0
    }
}

/// Whether a folder that was to be removed is no longer there.
fn is_gone(removed: io::Result<()>) -> bool {
    removed.map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true)
}

/// The process whose group has such a name: its id, and when it was started, since ids come again.
fn owner_of(name: &str) -> Option<(u32, u64)> {
    let mut words = name.strip_prefix("causeway-")?.split('-');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// When a process was started, in clock ticks since the machine was: field 22 of proc_pid_stat(5).
fn started_at(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The most memory that this server may take, in bytes: the machine's, or what the groups that it
/// is in leave of it.
pub fn memory_of_machine() -> Option<u64> {
    let total = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    Some(memory_limit().unwrap_or(u64::MAX).min(total.saturating_mul(1024)))
}

/// The least limit of the server's own group and those above.
fn memory_limit() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let v2 = find_v2(&own, &mounts).map(|base| (base, "memory.max"));
    let v1 = find_v1(&own, &mounts).and_then(|groups| match groups {
        Cgroups::V1 { memory, .. } => Some((memory, "memory.limit_in_bytes")),
        Cgroups::V2 { .. } => None,
    });
    let limit = |(base, file): (PathBuf, &str)| {
        let texts = base.ancestors().filter_map(|above| fs::read_to_string(above.join(file)).ok());
        // `max` is no limit, and no number.
        texts.filter_map(|text| text.trim().parse::<u64>().ok()).min()
    };
    [v2, v1].into_iter().flatten().filter_map(limit).min()
}

/// Whether this process may make groups here and move its children into them.
fn may_make_groups(folder: &Path) -> bool {
    let access = rustix::fs::Access::WRITE_OK;
    rustix::fs::access(folder, access).is_ok()
        && rustix::fs::access(folder.join("cgroup.procs"), access).is_ok()
}

/// A file that older kernels or other configurations do not have.
fn optional(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

fn read<'a>(fd: &OwnedFd, buffer: &'a mut [u8]) -> Option<&'a str> {
    let count = rustix::io::pread(fd, &mut *buffer, 0).ok()?;
    std::str::from_utf8(buffer.get(..count)?).ok()
}

/// The number after a word, in a file of lines `word number`.
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().trim_end_matches(" kB").parse().ok())
}

/// The folder of the server's own group in version 2.
fn find_v2(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts.lines().filter_map(Mount::read).find(|mount| mount.kind == "cgroup2")?;
    Some(mount.folder(path))
}

/// The folders of the server's own groups in version 1.
fn find_v1(own: &str, mounts: &str) -> Option<Cgroups> {
    let folder = |controller: &str| {
        let path = own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (names, path) = rest.split_once(':')?;
            names.split(',').any(|name| name == controller).then_some(path)
        })?;
        let mount = mounts.lines().filter_map(Mount::read).find(|mount| {
            mount.kind == "cgroup" && mount.options.split(',').any(|option| option == controller)
        })?;
        Some(mount.folder(path))
    };
    let (memory, pids) = (folder("memory")?, folder("pids")?);
    // A hierarchy that holds several controllers needs one group only.
    let cpuacct = folder("cpuacct").filter(|path| *path != memory && *path != pids);
    (memory != pids).then_some(Cgroups::V1 { memory, pids, cpuacct })
}

/// A line of proc_pid_mountinfo(5).
struct Mount<'a> {
    root: &'a str,
    place: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let mut right = right.split(' ');
        let (root, place) = (left.next()?, left.next()?);
        let kind = right.next()?;
        Some(Self { root, place, kind, options: right.nth(1)? })
    }

    /// Where a group's folder is; the mount's own root if the group lies outside of it, as in a
    /// container without a cgroup namespace.
    fn folder(&self, path: &str) -> PathBuf {
        let below = if self.root == "/" { Some(path) } else { path.strip_prefix(self.root) };
        let folder = Path::new(self.place).join(below.unwrap_or("").trim_start_matches('/'));
        if folder.is_dir() { folder } else { PathBuf::from(self.place) }
    }
}

#[cfg(test)]
mod tests;
