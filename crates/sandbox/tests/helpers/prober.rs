//! A program that stands in Node's place in a jail, tries what a hostile program would try, and
//! reports what the kernel answered. It speaks the runner's protocol for one call.

#![expect(unsafe_code, reason = "it makes the system calls that no crate offers, to see them fail")]
#![expect(
    clippy::unwrap_used,
    clippy::cast_sign_loss,
    clippy::many_single_char_names,
    clippy::as_conversions,
    reason = "a test helper"
)]

use nix::libc;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::fd::FromRawFd;

fn main() {
    // SAFETY: the runner's socket is descriptor 3 by the protocol, and nothing else owns it.
    let mut socket = unsafe { std::os::unix::net::UnixStream::from_raw_fd(3) };
    socket.write_all(&[0, 0, 0, 0, b'H']).unwrap();
    let mut header = [0_u8; 5];
    if socket.read_exact(&mut header).is_err() {
        return;
    }
    let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
    let mut call = vec![0_u8; length as usize];
    socket.read_exact(&mut call).unwrap();
    let findings = json!({
        "identity": identity(),
        "capabilities": capabilities(),
        "descriptors": descriptors(),
        "arguments": std::env::args().collect::<Vec<_>>(),
        "environment": std::env::vars_os().map(|(k, v)| format!("{}={}", k.display(), v.display())).collect::<Vec<_>>(),
        "sockets": sockets(),
        "calls": calls(),
        "files": files(),
        "limits": limits(),
        "signals": signals(),
    });
    let result = json!({ "id": 1, "ok": { "value": findings, "exports": {} } }).to_string();
    let length = u32::try_from(result.len()).unwrap();
    socket.write_all(&length.to_be_bytes()).unwrap();
    socket.write_all(b"R").unwrap();
    socket.write_all(result.as_bytes()).unwrap();
    // Stays until the server closes the socket.
    let _ = socket.read(&mut header);
}

/// `ok` or the name of the error.
fn answer(result: i64) -> String {
    if result < 0 {
        nix::errno::Errno::last().to_string().split(':').next().unwrap().to_owned()
    } else {
        "ok".to_owned()
    }
}

fn call(number: libc::c_long, arguments: [u64; 6]) -> String {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: every call is made with arguments that are harmless should it be allowed; the
    // pointers among them are null or lead to memory of this function's callers.
    answer(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

fn identity() -> Value {
    let (user, effective) = (nix::unistd::getuid(), nix::unistd::geteuid());
    let (group, groups) = (nix::unistd::getgid(), nix::unistd::getgroups().unwrap());
    json!({
        "uid": user.as_raw(), "euid": effective.as_raw(), "gid": group.as_raw(),
        "groups": groups.iter().map(|group| group.as_raw()).collect::<Vec<_>>(),
        "pid": std::process::id(), "parent": nix::unistd::getppid().as_raw(),
        "hostname": rustix::system::uname().nodename().to_string_lossy(),
        "cwd": std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
    })
}

fn capabilities() -> Value {
    let sets = rustix::thread::capabilities(None).unwrap();
    let bounding = (0..64_u64).filter(|capability| prctl(23, *capability) == 1).count();
    let ambient = (0..41_u64).filter(|capability| prctl2(47, 1, *capability) == 1).count();
    json!({
        "effective": sets.effective.bits(), "permitted": sets.permitted.bits(),
        "inheritable": sets.inheritable.bits(), "bounding": bounding, "ambient": ambient,
        "no_new_privs": prctl(39, 0), "seccomp": prctl(21, 0),
    })
}

fn prctl(option: i32, argument: u64) -> i32 {
    // SAFETY: only questions without pointers are asked.
    unsafe { libc::prctl(option, argument, 0_u64, 0_u64, 0_u64) }
}

fn prctl2(option: i32, first: u64, second: u64) -> i32 {
    // SAFETY: only questions without pointers are asked.
    unsafe { libc::prctl(option, first, second, 0_u64, 0_u64) }
}

fn descriptors() -> Vec<i32> {
    // SAFETY: asking for a descriptor's flags changes nothing, open or not.
    (0..1024).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect()
}

fn sockets() -> Value {
    let families = [
        ("unix", libc::AF_UNIX, libc::SOCK_STREAM),
        ("inet", libc::AF_INET, libc::SOCK_STREAM),
        ("inet_udp", libc::AF_INET, libc::SOCK_DGRAM),
        ("inet6", libc::AF_INET6, libc::SOCK_STREAM),
        ("raw", libc::AF_INET, libc::SOCK_RAW),
        ("packet", libc::AF_PACKET, libc::SOCK_RAW),
        ("netlink", libc::AF_NETLINK, libc::SOCK_RAW),
        ("vsock", libc::AF_VSOCK, libc::SOCK_STREAM),
        ("alg", libc::AF_ALG, libc::SOCK_SEQPACKET),
        ("bluetooth", libc::AF_BLUETOOTH, libc::SOCK_RAW),
    ];
    families
        .into_iter()
        .map(|(name, family, kind)| {
            (
                name.to_owned(),
                Value::from(call(libc::SYS_socket, [family as u64, kind as u64, 0, 0, 0, 0])),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn calls() -> Value {
    let text = |text: &'static std::ffi::CStr| text.as_ptr() as u64;
    let none = [0_u64; 6];
    let tried: Vec<(&str, libc::c_long, [u64; 6])> = vec![
        ("ptrace_traceme", libc::SYS_ptrace, none),
        ("ptrace_attach_init", libc::SYS_ptrace, [16, 1, 0, 0, 0, 0]),
        ("process_vm_readv", libc::SYS_process_vm_readv, [1, 0, 0, 0, 0, 0]),
        ("process_vm_writev", libc::SYS_process_vm_writev, [1, 0, 0, 0, 0, 0]),
        ("kcmp", libc::SYS_kcmp, [1, 2, 0, 0, 0, 0]),
        ("pidfd_open", libc::SYS_pidfd_open, [1, 0, 0, 0, 0, 0]),
        ("mount", libc::SYS_mount, [text(c"none"), text(c"/tmp"), text(c"tmpfs"), 0, 0, 0]),
        (
            "remount_code_writable",
            libc::SYS_mount,
            [0, text(c"/code"), 0, libc::MS_REMOUNT | libc::MS_BIND, 0, 0],
        ),
        ("umount", libc::SYS_umount2, [text(c"/code"), 2, 0, 0, 0, 0]),
        ("move_mount", libc::SYS_move_mount, none),
        ("open_tree", libc::SYS_open_tree, [libc::AT_FDCWD as u64, text(c"/"), 1, 0, 0, 0]),
        ("fsopen", libc::SYS_fsopen, [text(c"tmpfs"), 0, 0, 0, 0, 0]),
        ("mount_setattr", libc::SYS_mount_setattr, none),
        ("pivot_root", libc::SYS_pivot_root, [text(c"/tmp"), text(c"/tmp"), 0, 0, 0, 0]),
        ("chroot", libc::SYS_chroot, [text(c"/tmp"), 0, 0, 0, 0, 0]),
        ("unshare_user", libc::SYS_unshare, [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0]),
        ("unshare_mount", libc::SYS_unshare, [libc::CLONE_NEWNS as u64, 0, 0, 0, 0, 0]),
        ("unshare_net", libc::SYS_unshare, [libc::CLONE_NEWNET as u64, 0, 0, 0, 0, 0]),
        (
            "clone_user",
            libc::SYS_clone,
            [(libc::CLONE_NEWUSER | libc::SIGCHLD) as u64, 0, 0, 0, 0, 0],
        ),
        (
            "clone_net",
            libc::SYS_clone,
            [(libc::CLONE_NEWNET | libc::SIGCHLD) as u64, 0, 0, 0, 0, 0],
        ),
        ("clone3", libc::SYS_clone3, none),
        ("setns", libc::SYS_setns, [3, 0, 0, 0, 0, 0]),
        ("setuid", libc::SYS_setuid, none),
        ("setgid", libc::SYS_setgid, none),
        ("setresuid", libc::SYS_setresuid, none),
        ("setgroups", libc::SYS_setgroups, none),
        ("capset", libc::SYS_capset, none),
        ("bpf", libc::SYS_bpf, none),
        ("perf_event_open", libc::SYS_perf_event_open, none),
        ("io_uring_setup", libc::SYS_io_uring_setup, [1, 0, 0, 0, 0, 0]),
        ("keyctl", libc::SYS_keyctl, none),
        ("add_key", libc::SYS_add_key, none),
        ("request_key", libc::SYS_request_key, none),
        ("userfaultfd", libc::SYS_userfaultfd, none),
        ("memfd_create", libc::SYS_memfd_create, [text(c"x"), 0, 0, 0, 0, 0]),
        ("execveat", libc::SYS_execveat, [3, text(c""), 0, 0, 0x1000, 0]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, none),
        ("name_to_handle_at", libc::SYS_name_to_handle_at, none),
        ("fanotify_init", libc::SYS_fanotify_init, none),
        ("init_module", libc::SYS_init_module, none),
        ("kexec_load", libc::SYS_kexec_load, none),
        ("reboot", libc::SYS_reboot, none),
        ("swapon", libc::SYS_swapon, none),
        ("settimeofday", libc::SYS_settimeofday, none),
        ("sethostname", libc::SYS_sethostname, [text(c"x"), 1, 0, 0, 0, 0]),
        ("personality", libc::SYS_personality, none),
        ("syslog", libc::SYS_syslog, [3, 0, 0, 0, 0, 0]),
        ("quotactl", libc::SYS_quotactl, none),
        ("acct", libc::SYS_acct, none),
        ("mbind", libc::SYS_mbind, none),
        ("shmget", libc::SYS_shmget, none),
        ("mq_open", libc::SYS_mq_open, none),
        ("vmsplice", libc::SYS_vmsplice, none),
        (
            "mknod_fifo",
            libc::SYS_mknodat,
            [libc::AT_FDCWD as u64, text(c"/tmp/fifo"), 0o010_644, 0, 0, 0],
        ),
        (
            "mknod_device",
            libc::SYS_mknodat,
            [libc::AT_FDCWD as u64, text(c"/tmp/sda"), 0o060_644, 0x0800, 0, 0],
        ),
        ("seccomp", libc::SYS_seccomp, none),
        ("landlock", libc::SYS_landlock_create_ruleset, none),
        ("prlimit_of_init", libc::SYS_prlimit64, [1, 7, 0, 0, 0, 0]),
        ("tiocsti", libc::SYS_ioctl, [1, 0x5412, 0, 0, 0, 0]),
        ("set_dumpable", libc::SYS_prctl, [4, 1, 0, 0, 0, 0]),
        ("unknown", 100_000, none),
    ];
    tried
        .into_iter()
        .map(|(name, number, arguments)| (name.to_owned(), Value::from(call(number, arguments))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn files() -> Value {
    let open = |path: &str, write: bool| {
        let opened = std::fs::OpenOptions::new().read(!write).write(write).open(path);
        opened.map_or_else(|error| word(&error), |_| "ok".to_owned())
    };
    let list = |path: &str| {
        let mut names: Vec<String> = std::fs::read_dir(path)
            .map(|entries| {
                entries.flatten().map(|entry| entry.file_name().display().to_string()).collect()
            })
            .unwrap_or_default();
        names.sort();
        names
    };
    let flags = |path: &std::ffi::CStr| {
        rustix::fs::statvfs(path).map(|stat| format!("{:?}", stat.f_flag)).unwrap_or_default()
    };
    let create = |path: &str| {
        std::fs::write(path, "x").map_or_else(|error| word(&error), |()| "ok".to_owned())
    };
    std::fs::copy("/bin/node", "/tmp/program").unwrap();
    std::fs::set_permissions("/tmp/program", std::os::unix::fs::PermissionsExt::from_mode(0o4755))
        .unwrap();
    let run = |path: &str| {
        std::process::Command::new(path)
            .arg("--version")
            .stdout(std::process::Stdio::null())
            .status()
            .map_or_else(|error| word(&error), |_| "ok".to_owned())
    };
    std::os::unix::fs::symlink("/etc/shadow", "/tmp/link").unwrap();
    let libc_path =
        ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
            .unwrap_or("/no-libc");
    json!({
        "root": list("/"), "dev": list("/dev"), "etc": list("/etc"), "run": list("/run"),
        "empty": { "proc": list("/proc"), "sys": list("/sys") }, "tmp_up": list("/tmp/../.."),
        "read": {
            "/etc/shadow": open("/etc/shadow", false), "/proc/1/environ": open("/proc/1/environ", false),
            "/proc/self/maps": open("/proc/self/maps", false), "/sys/kernel": open("/sys/kernel", false),
            "/root": open("/root", false), "/home": open("/home", false), "/var": open("/var", false),
            "/tmp/link": open("/tmp/link", false), "/code/own.txt": open("/code/own.txt", false),
            "/run/docker.sock": open("/run/docker.sock", false), "/dev/kmsg": open("/dev/kmsg", false),
        },
        "write": {
            "/new": create("/new"), "/code/new": create("/code/new"), "/code/own.txt": open("/code/own.txt", true),
            "/etc/passwd": open("/etc/passwd", true), "/runner/main.cjs": open("/runner/main.cjs", true),
            "/bin/node": open("/bin/node", true), "/run/new": create("/run/new"), "/dev/new": create("/dev/new"),
            "/dev/null": open("/dev/null", true), "/dev/zero": open("/dev/zero", true), "/tmp/new": create("/tmp/new"),
        },
        "flags": { "/": flags(c"/"), "/tmp": flags(c"/tmp"), "/code": flags(c"/code"), "/bin/node": flags(c"/bin/node"), "/dev/null": flags(c"/dev/null") },
        "execute": { "/tmp/program": run("/tmp/program"), "a library": run(libc_path), "/bin/node": run("/bin/node-missing") },
        "hard_link": std::fs::hard_link("/bin/node", "/tmp/hard").map_or_else(|error| word(&error), |()| "ok".to_owned()),
    })
}

fn word(error: &std::io::Error) -> String {
    let errno = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0));
    errno.to_string().split(':').next().unwrap().to_owned()
}

fn limits() -> Value {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let of = |resource| getrlimit(resource).unwrap().1;
    json!({
        "core": of(Resource::RLIMIT_CORE), "files": of(Resource::RLIMIT_NOFILE), "processes": of(Resource::RLIMIT_NPROC),
        "memlock": of(Resource::RLIMIT_MEMLOCK), "file_size": of(Resource::RLIMIT_FSIZE), "msgqueue": of(Resource::RLIMIT_MSGQUEUE),
        "raise": setrlimit(Resource::RLIMIT_NOFILE, 4096, 4096).map_or_else(|error| error.to_string().split(':').next().unwrap().to_owned(), |()| "ok".to_owned()),
    })
}

fn signals() -> Value {
    // To init, and to everybody: neither may end the sandbox.
    json!({
        "kill_init": call(libc::SYS_kill, [1, 9, 0, 0, 0, 0]),
        "stop_init": call(libc::SYS_kill, [1, 19, 0, 0, 0, 0]),
        "kill_all": call(libc::SYS_kill, [(-1_i64) as u64, 9, 0, 0, 0, 0]),
    })
}
