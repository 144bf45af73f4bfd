//! Programs of this machine that make file systems.

use super::image::ImageError;
use std::ffi::OsStr;
use std::path::Path;

/// A block image of a folder or a file that can be read only.
pub(super) async fn squash(from: &Path, to: &Path) -> Result<(), ImageError> {
    // The times of files are theirs, since Python compares them with those that its compiled files
    // name; nothing else of the image depends on when, where and by whom it was made.
    let words = [
        "-noappend",
        "-no-progress",
        "-quiet",
        "-comp",
        "lz4",
        "-mkfs-time",
        "0",
        "-all-root",
        "-no-xattrs",
        "-no-exports",
        "-exit-on-error",
    ];
    let words = [from.as_os_str(), to.as_os_str()].into_iter().chain(words.map(OsStr::new));
    run("mksquashfs", "squashfs-tools", words).await
}

/// An empty file system, the smallest that the temporary disk begins as: blocks of 4 KiB, 16,384 files,
/// no journal, since it does not outlive its machine.
pub(super) async fn format(to: &Path) -> Result<(), ImageError> {
    const ID: &str = "00000000-0000-4000-8000-000000000001";
    let file = std::fs::File::create(to).map_err(ImageError::io("making the temporary disk"))?;
    file.set_len(8 << 20).map_err(ImageError::io("making the temporary disk"))?;
    let extended = format!("hash_seed={ID},lazy_itable_init=0,nodiscard,root_owner=0:0");
    let words = [
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-I",
        "256",
        "-N",
        "16384",
        "-m",
        "0",
        "-O",
        "^has_journal,^resize_inode",
        "-U",
        ID,
        "-E",
        &extended,
    ];
    let words = words.into_iter().map(OsStr::new).chain([to.as_os_str()]);
    run("mke2fs", "e2fsprogs", words).await
}

async fn run(
    program: &'static str,
    package: &'static str,
    words: impl Iterator<Item = &OsStr>,
) -> Result<(), ImageError> {
    let output = tokio::process::Command::new(program)
        .args(words)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        // What e2fsprogs takes for the time.
        .env("E2FSPROGS_FAKE_TIME", "1")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| ImageError::Tool { program, package, source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(ImageError::ToolFailed { program, said: said.trim().chars().take(500).collect() })
}
