//! What this machine has of the walls of a jail, for `causeway doctor`.

use crate::cgroup::Cgroups;
use crate::host::Identities;
use crate::jail;

/// One wall, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// What was found and, if something is missing, what to do.
    pub detail: String,
}

/// How a wall stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Good,
    /// It is not, and the others hold without it.
    Weaker,
    /// It is not, and no sandbox can be made.
    Missing,
}

/// Looks at each wall. Only starting a sandbox proves that all of them stand.
pub fn probe() -> Vec<Check> {
    vec![identities(), namespaces(), cgroup(), seccomp(), landlock()]
}

/// What of the machine's Firecracker needs to run virtual machines. Only starting one proves that it
/// does.
pub fn probe_kvm() -> Check {
    let opened = std::fs::File::options().read(true).write(true).open("/dev/kvm");
    let (standing, detail) = match opened {
        Ok(_) => (Standing::Good, "/dev/kvm opens, for the tier `vm`".to_owned()),
        Err(error) => (
            Standing::Weaker,
            format!(
                "/dev/kvm does not open ({error}), so that there can be no sandbox of the tier `vm`: load \
                 the module `kvm_intel` or `kvm_amd`; on a virtual machine, let its host pass on \
                 virtualization; in a container, pass the device in (Docker `--device /dev/kvm`)"
            ),
        ),
    };
    Check { name: "kvm", standing, detail }
}

fn identities() -> Check {
    let (standing, detail) = if Identities::detect().next().is_some() {
        (Standing::Good, "each sandbox has an unprivileged user of its own".to_owned())
    } else {
        let detail = "sandboxes run as the server's own user, in user namespaces: the server has \
                      not CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID, or no spare range of user ids; \
                      start it as root to give each sandbox a user of its own";
        (Standing::Weaker, detail.to_owned())
    };
    Check { name: "identities", standing, detail }
}

/// Settings that stand in the way of user namespaces, and how to change them.
const OBSTACLES: [(&str, &str, &str); 3] = [
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "user namespaces are switched off: `sysctl -w user.max_user_namespaces=15000`",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "user namespaces are for root only: `sysctl -w kernel.unprivileged_userns_clone=1`, or \
         start the server as root",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor keeps user namespaces from programs without a profile: add one with `userns,` \
         for the causeway binary, `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or \
         start the server as root",
    ),
];

fn namespaces() -> Check {
    let privileged = Identities::detect().next().is_some();
    let check =
        |standing, detail: &str| Check { name: "namespaces", standing, detail: detail.to_owned() };
    let kinds = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];
    let absent =
        kinds.iter().find(|kind| !std::path::Path::new("/proc/self/ns").join(kind).exists());
    if let Some(kind) = absent {
        let detail = format!("this kernel has no {kind} namespaces, or /proc is not mounted");
        return check(Standing::Missing, &detail);
    }
    for (file, value, advice) in OBSTACLES {
        let set = std::fs::read_to_string(file).is_ok_and(|text| text.trim() == value);
        let for_everybody = file.ends_with("max_user_namespaces");
        if set && (for_everybody || !privileged) {
            return check(Standing::Missing, advice);
        }
    }
    match try_namespaces(privileged) {
        Ok(()) => check(
            Standing::Good,
            "user, mount, PID, network, IPC, UTS and cgroup namespaces can be made",
        ),
        Err(error) => {
            let detail = format!(
                "making a user and a mount namespace failed ({error}); in a container, its seccomp \
                 profile must allow unshare and mount: Docker `--security-opt seccomp=unconfined \
                 --security-opt apparmor=unconfined`, Kubernetes `seccompProfile: Unconfined`"
            );
            check(Standing::Missing, &detail)
        }
    }
}

/// Tries in a child process, because it cannot be undone.
fn try_namespaces(privileged: bool) -> Result<(), String> {
    let flags: &[&str] = if privileged { &["-m"] } else { &["-U", "-r", "-m"] };
    let output = std::process::Command::new("unshare").args(flags).arg("true").output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        // Without unshare(1) only starting a sandbox tells.
        Err(_) => Ok(()),
    }
}

fn cgroup() -> Check {
    let (standing, detail) = match Cgroups::detect() {
        Ok(Cgroups::V2 { base }) => (
            Standing::Good,
            format!(
                "memory and processes of each sandbox are bounded by cgroup version 2 below {}",
                base.display()
            ),
        ),
        Ok(Cgroups::V1 { memory, .. }) => (
            Standing::Good,
            format!(
                "memory and processes of each sandbox are bounded by cgroup version 1 below {}",
                memory.display()
            ),
        ),
        Err(why) => (
            Standing::Weaker,
            format!(
                "{why}; memory and processes are bounded by rlimits, which count every process by \
                 itself: set `Delegate=yes` in the systemd unit, or start the server as root"
            ),
        ),
    };
    Check { name: "cgroup", standing, detail }
}

fn seccomp() -> Check {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let known = status.lines().any(|line| line.starts_with("Seccomp:"));
    let (standing, detail) = match jail::filters_compile() {
        Ok(()) if known => {
            (Standing::Good, "system calls are filtered by an allow-list".to_owned())
        }
        Ok(()) => (
            Standing::Missing,
            "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)".to_owned(),
        ),
        Err(why) => {
            (Standing::Missing, format!("the filter does not compile for this machine: {why}"))
        }
    };
    Check { name: "seccomp", standing, detail }
}

fn landlock() -> Check {
    let (standing, detail) = if jail::landlock_is_here() {
        (Standing::Good, "files are confined by Landlock behind the mounts")
    } else {
        (
            Standing::Weaker,
            "this kernel has no Landlock (Linux 5.13, `landlock` in the `lsm=` boot parameter): \
             files are confined by mounts alone",
        )
    };
    Check { name: "landlock", standing, detail: detail.to_owned() }
}
