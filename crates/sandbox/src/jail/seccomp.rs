//! The system calls that a program in a jail may make: a list of what the runtimes need. What is not
//! in it answers EPERM; calls that programs try first and do without answer ENOSYS.

use super::JailError;
use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// Both filters, compiled.
pub(crate) struct Filters {
    allow: BpfProgram,
    absent: BpfProgram,
}

/// Namespaces, and tracing of the new process.
const CLONE_FORBIDDEN: u64 = 0x0002_0000 // NEWNS
    | 0x0000_2000 // PTRACE
    | 0x0200_0000 // NEWCGROUP
    | 0x0400_0000 // NEWUTS
    | 0x0800_0000 // NEWIPC
    | 0x1000_0000 // NEWUSER
    | 0x2000_0000 // NEWPID
    | 0x4000_0000; // NEWNET

/// Terminal size and file flags; not, for example, TIOCSTI, which types into a terminal.
const IOCTLS: [u64; 6] = [0x5401, 0x5413, 0x5421, 0x541B, 0x5450, 0x5451];

/// Names of threads and mappings, death signals, and questions.
const PRCTLS: [u64; 9] = [1, 2, 3, 15, 16, 21, 23, 39, 0x5356_4d41];

/// Calls that runtimes try and do without.
const ABSENT: [libc::c_long; 6] = [
    libc::SYS_clone3, // its flags are in memory, where a filter cannot see them
    libc::SYS_io_uring_setup,
    libc::SYS_memfd_create, // a file that no mount option makes non-executable
    libc::SYS_openat2,
    libc::SYS_pkey_alloc,
    libc::SYS_rseq,
];

#[rustfmt::skip]
const ALLOWED: &[libc::c_long] = &[
    // files
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64,
    libc::SYS_pwrite64, libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_preadv2, libc::SYS_pwritev2,
    libc::SYS_openat, libc::SYS_close, libc::SYS_close_range, libc::SYS_fstat, libc::SYS_statx,
    libc::SYS_newfstatat, libc::SYS_lseek, libc::SYS_faccessat, libc::SYS_faccessat2,
    libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir, libc::SYS_renameat, libc::SYS_renameat2,
    libc::SYS_mkdirat, libc::SYS_linkat, libc::SYS_unlinkat, libc::SYS_symlinkat,
    libc::SYS_readlinkat, libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_fchown,
    libc::SYS_fchownat, libc::SYS_umask, libc::SYS_utimensat, libc::SYS_ftruncate,
    libc::SYS_truncate, libc::SYS_fallocate, libc::SYS_fsync, libc::SYS_fdatasync,
    libc::SYS_copy_file_range, libc::SYS_sendfile, libc::SYS_splice, libc::SYS_getdents64,
    libc::SYS_flock, libc::SYS_fcntl, libc::SYS_fadvise64, libc::SYS_statfs, libc::SYS_fstatfs,
    libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2, libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch, libc::SYS_inotify_rm_watch,
    // memory
    libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_brk,
    libc::SYS_madvise, libc::SYS_mincore, libc::SYS_membarrier,
    // signals and time
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigpending, libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack, libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill,
    libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_clock_gettime,
    libc::SYS_clock_getres, libc::SYS_gettimeofday, libc::SYS_times, libc::SYS_setitimer,
    libc::SYS_getitimer, libc::SYS_timerfd_create, libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime, libc::SYS_restart_syscall,
    // processes and threads
    libc::SYS_execve, libc::SYS_wait4, libc::SYS_waitid, libc::SYS_exit, libc::SYS_exit_group,
    libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getuid, libc::SYS_geteuid,
    libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getresuid, libc::SYS_getresgid,
    libc::SYS_getgroups, libc::SYS_getpgid, libc::SYS_getsid, libc::SYS_setsid,
    libc::SYS_setpgid, libc::SYS_capget, libc::SYS_getrlimit, libc::SYS_setrlimit,
    libc::SYS_getrusage, libc::SYS_getpriority, libc::SYS_setpriority, libc::SYS_sysinfo,
    libc::SYS_uname, libc::SYS_getrandom, libc::SYS_getcpu, libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity, libc::SYS_sched_getparam, libc::SYS_sched_getscheduler,
    libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    // events
    libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, libc::SYS_eventfd2,
    // sockets that exist already; making one is below
    libc::SYS_connect, libc::SYS_accept, libc::SYS_accept4, libc::SYS_bind, libc::SYS_listen,
    libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg, libc::SYS_recvmsg,
    libc::SYS_sendmmsg, libc::SYS_recvmmsg, libc::SYS_shutdown, libc::SYS_getsockname,
    libc::SYS_getpeername, libc::SYS_setsockopt, libc::SYS_getsockopt,
];

/// Older forms that only this architecture has.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ALLOWED_HERE: &[libc::c_long] = &[
    libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_rename,
    libc::SYS_mkdir, libc::SYS_rmdir, libc::SYS_creat, libc::SYS_link, libc::SYS_unlink,
    libc::SYS_symlink, libc::SYS_readlink, libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown,
    libc::SYS_utime, libc::SYS_utimes, libc::SYS_futimesat, libc::SYS_getdents, libc::SYS_dup2,
    libc::SYS_pipe, libc::SYS_inotify_init, libc::SYS_time, libc::SYS_alarm, libc::SYS_pause,
    libc::SYS_fork, libc::SYS_vfork, libc::SYS_getpgrp, libc::SYS_arch_prctl, libc::SYS_poll,
    libc::SYS_select, libc::SYS_epoll_create, libc::SYS_epoll_wait, libc::SYS_eventfd,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[libc::c_long] = &[];

/// Compiles the filters for this machine's architecture.
pub(crate) fn compile() -> Result<Filters, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED
        .iter()
        .chain(ALLOWED_HERE)
        .chain(&ABSENT) // refused by the other filter, with another answer
        .map(|call| (*call, Vec::new()))
        .collect();
    let unix = u64::try_from(libc::AF_UNIX).unwrap_or(1);
    allowed.insert(libc::SYS_socket, vec![when(0, SeccompCmpOp::Eq, unix)?]);
    allowed.insert(libc::SYS_socketpair, vec![when(0, SeccompCmpOp::Eq, unix)?]);
    allowed.insert(libc::SYS_clone, vec![when(0, SeccompCmpOp::MaskedEq(CLONE_FORBIDDEN), 0)?]);
    allowed.insert(libc::SYS_prlimit64, vec![when(0, SeccompCmpOp::Eq, 0)?]);
    allowed.insert(libc::SYS_ioctl, any_of(1, &IOCTLS)?);
    allowed.insert(libc::SYS_prctl, any_of(0, &PRCTLS)?);
    let refuse = |errno: i32| SeccompAction::Errno(u32::try_from(errno).unwrap_or(1));
    let build = |rules, otherwise, matched| -> Result<BpfProgram, String> {
        SeccompFilter::new(rules, otherwise, matched, arch)
            .and_then(BpfProgram::try_from)
            .map_err(|error| error.to_string())
    };
    Ok(Filters {
        allow: build(allowed, refuse(libc::EPERM), SeccompAction::Allow)?,
        absent: build(
            ABSENT.iter().map(|call| (*call, Vec::new())).collect(),
            SeccompAction::Allow,
            refuse(libc::ENOSYS),
        )?,
    })
}

impl Filters {
    /// Installs them for this thread and whatever it becomes. Of two filters the stricter answer
    /// counts; the list comes last because it does not allow a further filter.
    pub(super) fn install(&self) -> Result<(), JailError> {
        for filter in [&self.absent, &self.allow] {
            seccompiler::apply_filter(filter).map_err(|error| JailError {
                attempt: format!("installing the filter: {error}"),
                source: None,
            })?;
        }
        Ok(())
    }
}

fn when(argument: u8, how: SeccompCmpOp, value: u64) -> Result<SeccompRule, String> {
    // 32 bits: the upper half of these arguments is not looked at by the kernel either.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|error| error.to_string())
}

fn any_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, String> {
    values.iter().map(|value| when(argument, SeccompCmpOp::Eq, *value)).collect()
}
