//! What the processes of a jail do to themselves, each of them alike.

use super::{Attempt, JailError};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Uid};

/// Takes the identity of a user and of the group of the same number, and leaves all other groups.
pub(super) fn take_identity(id: u32) -> Result<(), JailError> {
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    rustix::thread::set_thread_groups(&[]).attempt("dropping groups")?;
    rustix::thread::set_thread_res_gid(group, group, group).attempt("changing group")?;
    rustix::thread::set_thread_res_uid(user, user, user).attempt("changing user")
}

/// `/dev/null`, for reading, writing or both.
pub(super) fn open_null(access: OFlags) -> Result<OwnedFd, JailError> {
    rustix::fs::open("/dev/null", access | OFlags::CLOEXEC, Mode::empty())
        .attempt("opening /dev/null")
}

/// Lets go of standard output and standard error.
pub(super) fn silence() -> Result<(), JailError> {
    let null = open_null(OFlags::RDWR)?;
    rustix::stdio::dup2_stdout(&null).attempt("closing standard output")?;
    rustix::stdio::dup2_stderr(&null).attempt("closing standard error")
}

/// Gives this process, and what it becomes, these as its numbers 0 to 2.
pub(super) fn set_standard_streams(
    input: impl AsFd,
    output: impl AsFd,
    errors: impl AsFd,
) -> Result<(), JailError> {
    rustix::stdio::dup2_stdin(input).attempt("setting standard input")?;
    rustix::stdio::dup2_stdout(output).attempt("setting standard output")?;
    rustix::stdio::dup2_stderr(errors).attempt("setting standard error")
}
