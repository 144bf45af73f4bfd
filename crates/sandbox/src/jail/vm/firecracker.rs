//! Firecracker: the command line of its jailer, and the requests that make a machine.
//!
//! The API is HTTP over a Unix socket (Firecracker's `firecracker.yaml`). Paths in requests are those
//! of Firecracker's own root, which the jailer makes.

use super::super::{Attempt, JailError};
use crate::control::Machine;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use tokio::net::UnixStream;

/// Files in Firecracker's root.
pub(super) const API_SOCKET: &str = "/run/firecracker.socket";
pub(super) const VSOCK: &str = "/run/vsock.sock";
pub(super) const KERNEL: &str = "/kernel";
pub(super) const INITRAMFS: &str = "/initramfs";
pub(super) const IMAGE: &str = "/root.squashfs";
pub(super) const SCRATCH: &str = "/scratch.ext4";
pub(super) const SNAPSHOT: &str = "/snapshot";
/// The machine's own number on its vsock. Each machine has a vsock of its own, so all have the same.
const GUEST_CID: u32 = 3;
/// The longest answer, in bytes.
const LONGEST_ANSWER: usize = 64 << 10;
/// Processors of a machine. A step's processor time is limited, not how fast it may use it up.
const PROCESSORS: u32 = 1;
/// What the kernel is told: nothing on its console but what is wrong; no device but those that it is
/// told of; and that a machine whose kernel or first program has failed ends.
const KERNEL_WORDS: &str = "console=ttyS0 quiet loglevel=3 reboot=k panic=-1 pci=off i8042.noaux \
     i8042.nomux i8042.dumbkbd rdinit=/init";

/// The name of the image of a layer in Firecracker's root.
pub(super) fn layer(number: usize) -> String {
    format!("/layer-{number}.squashfs")
}

/// The jailer's command line. Namespaces, the control group and clean-up are those of the jail around
/// it; it makes Firecracker's root and takes its rights.
pub(super) fn jailer(
    jailer: &Path,
    firecracker: &Path,
    base: &Path,
    id: &str,
    user: u32,
    file_bytes: u64,
) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    let user = user.to_string();
    [
        text(jailer).as_str(),
        "--id",
        id,
        "--exec-file",
        text(firecracker).as_str(),
        "--uid",
        &user,
        "--gid",
        &user,
        "--chroot-base-dir",
        text(base).as_str(),
        "--resource-limit",
        &format!("fsize={file_bytes}"),
        "--resource-limit",
        "no-file=1024",
        "--",
        "--api-sock",
        API_SOCKET,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// A connection to Firecracker's API.
pub(super) struct Api(SendRequest<Full<Bytes>>);

/// What Firecracker says that it does not do.
#[derive(Deserialize)]
struct Fault {
    fault_message: String,
}

impl Api {
    pub(super) async fn over(socket: UnixStream) -> Result<Self, JailError> {
        let what = "talking to Firecracker";
        let (sender, connection) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(std::io::Error::other)
            .attempt(what)?;
        // It ends with the socket, and this process with the machine.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Describes a machine, and starts it.
    pub(super) async fn boot(&mut self, machine: &Machine) -> Result<(), JailError> {
        let memory_mib = machine.whole_memory_bytes.div_ceil(1 << 20);
        let put = Method::PUT;
        self.ask(
            &put,
            "/machine-config",
            &json!({ "vcpu_count": PROCESSORS, "mem_size_mib": memory_mib }),
        )
        .await?;
        self.ask(
            &put,
            "/boot-source",
            &json!({
                "kernel_image_path": KERNEL, "initrd_path": INITRAMFS, "boot_args": words(machine),
            }),
        )
        .await?;
        self.drive("root", IMAGE, true).await?;
        self.drive("scratch", SCRATCH, false).await?;
        for number in 0..machine.layers.len() {
            self.drive(&format!("layer{number}"), &layer(number), true).await?;
        }
        self.ask(&put, "/vsock", &json!({ "guest_cid": GUEST_CID, "uds_path": VSOCK })).await?;
        self.ask(&put, "/actions", &json!({ "action_type": "InstanceStart" })).await
    }

    /// A disk. The first that is for the root is the machine's first; the others follow as told.
    async fn drive(&mut self, id: &str, path: &str, read_only: bool) -> Result<(), JailError> {
        let body = json!({
            "drive_id": id,
            "path_on_host": path,
            "is_root_device": path == IMAGE,
            "is_read_only": read_only,
        });
        self.ask(&Method::PUT, &format!("/drives/{id}"), &body).await
    }

    /// Writes a snapshot of the machine, which does not go on.
    pub(super) async fn save(&mut self) -> Result<(), JailError> {
        self.ask(&Method::PATCH, "/vm", &json!({ "state": "Paused" })).await?;
        let body = json!({
            "snapshot_type": "Full",
            "snapshot_path": format!("{SNAPSHOT}/state"),
            "mem_file_path": format!("{SNAPSHOT}/memory"),
        });
        self.ask(&Method::PUT, "/snapshot/create", &body).await
    }

    /// Makes a machine of a snapshot, and lets it go on.
    pub(super) async fn restore(&mut self) -> Result<(), JailError> {
        let body = json!({
            "snapshot_path": format!("{SNAPSHOT}/state"),
            "mem_backend": {
                "backend_type": "File", "backend_path": format!("{SNAPSHOT}/memory"),
            },
            "resume_vm": true,
        });
        self.ask(&Method::PUT, "/snapshot/load", &body).await
    }

    async fn ask(&mut self, method: &Method, path: &str, body: &Value) -> Result<(), JailError> {
        let what = || format!("asking Firecracker to {method} {path}");
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "localhost")
            .header("Accept", "application/json")
            .header("Content-Type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(std::io::Error::other)
            .attempt(what())?;
        let answer =
            self.0.send_request(request).await.map_err(std::io::Error::other).attempt(what())?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status();
        let attempt = format!("{}, which answers {status}: {}", what(), fault(answer).await);
        Err(JailError { attempt, source: None })
    }
}

/// Why Firecracker does not do something, in its own words.
async fn fault(answer: Response<Incoming>) -> String {
    let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
    let bytes = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    match serde_json::from_slice::<Fault>(&bytes) {
        Ok(fault) => fault.fault_message.chars().take(500).collect(),
        Err(_) => "nothing that can be read".to_owned(),
    }
}

/// The kernel's command line. What it does not know itself is the first program's: a `NAME=VALUE` its
/// environment, and what follows `--` its arguments (admin-guide/kernel-parameters.rst).
fn words(machine: &Machine) -> String {
    let mut words = vec![KERNEL_WORDS.to_owned()];
    words.extend(machine.environment.iter().cloned());
    words.push("--".to_owned());
    words.extend(machine.init.iter().cloned());
    words.join(" ")
}
