//! Stands in for Firecracker and its jailer, which the build machines have not: takes the jailer's
//! arguments, serves Firecracker's API, checks every request against Firecracker's own API document,
//! and starts the machine that it describes with qemu, which emulates the processor. What the guest and
//! the server say to each other is said for real, over a vsock whose Unix sockets are as Firecracker's.
//!
//! A snapshot holds the machine's description here and not its memory: what is made of one boots.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test helper"
)]

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Firecracker's API document, version 1.17 (Apache-2.0), as JSON.
const DOCUMENT: &str = include_str!("../fixtures/firecracker-api.json");
/// What the test's dependencies have built: a vsock device with Unix sockets as Firecracker's.
const VSOCK: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/vhost-device-vsock/bin/vhost-device-vsock");

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let jail = Jail::read(&arguments).unwrap_or_else(|why| {
        eprintln!("jailer: {why}");
        std::process::exit(1);
    });
    jail.enter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(serve(jail));
}

/// The jailer's arguments (its documentation in Firecracker's repository).
struct Jail {
    root: PathBuf,
    user: u32,
    socket: PathBuf,
}

impl Jail {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let split = arguments.iter().position(|word| word == "--").ok_or("no `--`")?;
        let (own, after) = (&arguments[..split], &arguments[split + 1..]);
        let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for pair in own.chunks(2) {
            let [name, value] = pair else { return Err(format!("`{}` has no value", pair[0])) };
            let known =
                ["--id", "--exec-file", "--uid", "--gid", "--chroot-base-dir", "--resource-limit"];
            if !known.contains(&name.as_str()) {
                return Err(format!("`{name}` is not known"));
            }
            values.entry(name).or_default().push(value);
        }
        let one = |name: &str| match values.get(name).map(Vec::as_slice) {
            Some([value]) => Ok(*value),
            _ => Err(format!("`{name}` is not given once")),
        };
        let id = one("--id")?;
        if id.is_empty()
            || id.len() > 64
            || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            return Err("`--id` has other characters, or too many".to_owned());
        }
        let program = std::fs::canonicalize(one("--exec-file")?).map_err(|e| e.to_string())?;
        let name = program.file_name().unwrap().to_str().unwrap();
        if !name.contains("firecracker") {
            return Err("the name of `--exec-file` has no `firecracker` in it".to_owned());
        }
        let user: u32 = one("--uid")?.parse().map_err(|_| "`--uid` is no number")?;
        if one("--gid")? != user.to_string() || user == 0 {
            return Err("user and group are not one that is nobody's".to_owned());
        }
        for limit in &values["--resource-limit"] {
            let (name, value) = limit.split_once('=').ok_or("a limit without a value")?;
            if !["fsize", "no-file"].contains(&name) || value.parse::<u64>().is_err() {
                return Err(format!("`{limit}` is no limit"));
            }
        }
        let [flag, socket] = after else { return Err("other arguments after `--`".to_owned()) };
        if flag != "--api-sock" || !socket.starts_with('/') {
            return Err(format!("`{flag} {socket}` is not Firecracker's"));
        }
        let root = Path::new(one("--chroot-base-dir")?).join(name).join(id).join("root");
        let socket = root.join(&socket[1..]);
        Ok(Self { root, user, socket })
    }

    /// Does what the jailer does, but for the change of root: qemu's files are in the old one.
    fn enter(&self) {
        let interfaces = std::fs::read_to_string("/proc/self/net/dev").unwrap();
        let names: Vec<&str> =
            interfaces.lines().filter_map(|l| Some(l.split_once(':')?.0.trim())).collect();
        assert_eq!(names, ["lo"], "Firecracker is to have no network");
        for folder in ["", "run", "dev"] {
            std::fs::create_dir_all(self.root.join(folder)).unwrap();
            chown(self.root.join(folder), Some(self.user), Some(self.user)).unwrap();
        }
        // The jailer copies the program, and makes a device.
        std::fs::write(self.root.join("firecracker"), "").unwrap();
        let device = rustix::fs::makedev(10, 232);
        let kind = rustix::fs::FileType::CharacterDevice;
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, self.root.join("dev/kvm"), kind, mode, device)
            .unwrap();
        nix::unistd::setgroups(&[]).unwrap();
        nix::unistd::setgid(self.user.into()).unwrap();
        nix::unistd::setuid(self.user.into()).unwrap();
    }

    /// A path of a request, which is one of Firecracker's root.
    fn inside(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// What has been described so far.
#[derive(Default)]
struct Described {
    requests: Map<String, Value>,
    /// In the order in which they were described.
    drives: Vec<String>,
    processes: Vec<Child>,
    paused: bool,
}

impl Described {
    fn running(&self) -> bool {
        !self.processes.is_empty()
    }
}

async fn serve(jail: Jail) {
    let listener = tokio::net::UnixListener::bind(&jail.socket).unwrap();
    let (jail, described) = (Arc::new(jail), Arc::new(Mutex::new(Described::default())));
    let watched = Arc::clone(&described);
    // Firecracker ends with its machine.
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut described = watched.lock().unwrap();
            if described.processes.iter_mut().any(|child| child.try_wait().unwrap().is_some()) {
                std::process::exit(0);
            }
        }
    });
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (jail, described) = (Arc::clone(&jail), Arc::clone(&described));
        let service =
            service_fn(move |request| answer(request, Arc::clone(&jail), Arc::clone(&described)));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(socket), service);
        tokio::spawn(connection);
    }
}

async fn answer(
    request: Request<Incoming>,
    jail: Arc<Jail>,
    described: Arc<Mutex<Described>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let done = read(&parts.method, parts.uri.path(), &body).and_then(|body| {
        act(&parts.method, parts.uri.path(), body, &jail, &mut described.lock().unwrap())
    });
    let (status, text) = match done {
        Ok(()) => (StatusCode::NO_CONTENT, String::new()),
        Err(why) => (StatusCode::BAD_REQUEST, json!({ "fault_message": why }).to_string()),
    };
    Ok(Response::builder().status(status).body(Full::new(Bytes::from(text))).unwrap())
}

/// Checks a request against the document.
fn read(method: &Method, path: &str, body: &[u8]) -> Result<Value, String> {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let (template, operation) = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .find(|(template, operations)| {
            matches(template, path) && operations.get(method.as_str().to_lowercase()).is_some()
        })
        .map(|(template, operations)| (template, &operations[method.as_str().to_lowercase()]))
        .ok_or_else(|| format!("{method} {path} is not in the document"))?;
    let parameters = operation["parameters"].as_array().unwrap();
    let schema = parameters.iter().find(|one| one["in"] == "body").map(|one| &one["schema"]);
    let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    check(&document, schema.ok_or("it has no body")?, &body, "the body")?;
    if template.contains('{') && body["drive_id"] != path.rsplit('/').next().unwrap() {
        return Err("path and body name two drives".to_owned());
    }
    Ok(body)
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(one, other)| one == other || one.starts_with('{'))
}

/// Required fields, types, values and bounds; and as Firecracker's own reader, no field besides.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/definitions/").unwrap();
        return check(document, &document["definitions"][name], value, at);
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        other => panic!("{at} is of a type that is not checked: {other:?}"),
    };
    if !fits {
        return Err(format!("{at} is not of the type {}", schema["type"]));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{at} is none of {allowed:?}"));
    }
    if let (Some(number), Some(least)) = (value.as_i64(), schema["minimum"].as_i64())
        && (number < least || schema["maximum"].as_i64().is_some_and(|most| number > most))
    {
        return Err(format!("{at} is out of bounds"));
    }
    let Some(fields) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            return Err(format!("{at} has no {name}"));
        }
    }
    for (name, value) in fields {
        let known =
            schema["properties"].get(name).ok_or_else(|| format!("{at} has a field {name}"))?;
        check(document, known, value, name)?;
    }
    Ok(())
}

fn act(
    method: &Method,
    path: &str,
    body: Value,
    jail: &Jail,
    described: &mut Described,
) -> Result<(), String> {
    let before_boot = !matches!(path, "/actions" | "/vm" | "/snapshot/create");
    if before_boot == described.running() && path != "/actions" {
        return Err(format!("{method} {path} is not supported now"));
    }
    match path {
        "/actions" => {
            assert_eq!(body["action_type"], "InstanceStart");
            boot(jail, described)
        }
        "/vm" => {
            described.paused = body["state"] == "Paused";
            Ok(())
        }
        "/snapshot/create" if described.paused => {
            let state = json!({ "requests": described.requests, "drives": described.drives });
            for (field, text) in
                [("snapshot_path", state.to_string()), ("mem_file_path", "no memory".to_owned())]
            {
                std::fs::write(jail.inside(body[field].as_str().unwrap()), text)
                    .map_err(|error| format!("{field}: {error}"))?;
            }
            Ok(())
        }
        "/snapshot/create" => Err("the machine is not paused".to_owned()),
        "/snapshot/load" => {
            if !described.requests.is_empty() {
                return Err("something is configured already".to_owned());
            }
            let memory = body["mem_backend"]["backend_path"].as_str().ok_or("no memory")?;
            std::fs::read(jail.inside(memory)).map_err(|error| format!("{memory}: {error}"))?;
            let state = std::fs::read(jail.inside(body["snapshot_path"].as_str().unwrap()))
                .map_err(|error| error.to_string())?;
            let state: Value = serde_json::from_slice(&state).map_err(|error| error.to_string())?;
            described.requests.clone_from(state["requests"].as_object().unwrap());
            let drives = state["drives"].as_array().unwrap();
            described.drives = drives.iter().map(|one| one.as_str().unwrap().to_owned()).collect();
            break_first_call(jail);
            boot(jail, described)
        }
        _ => {
            for field in ["kernel_image_path", "initrd_path", "path_on_host"] {
                if let Some(file) = body[field].as_str() {
                    let writes = body["is_read_only"] == false;
                    std::fs::File::options()
                        .read(true)
                        .write(writes)
                        .open(jail.inside(file))
                        .map_err(|error| format!("{file}: {error}"))?;
                }
            }
            if path.starts_with("/drives/") {
                described.drives.push(path.to_owned());
            }
            described.requests.insert(path.to_owned(), body);
            Ok(())
        }
    }
}

/// A machine that continues finds the connections that it had broken (the documentation of its vsock).
fn break_first_call(jail: &Jail) {
    let place = jail.inside("/run/vsock.sock_1024");
    let aside = place.with_extension("aside");
    std::fs::rename(&place, &aside).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&place).unwrap();
    std::thread::spawn(move || {
        drop(listener.accept().unwrap());
        std::fs::rename(aside, place).unwrap();
    });
}

/// Starts what has been described.
fn boot(jail: &Jail, described: &mut Described) -> Result<(), String> {
    let of = |path: &str| described.requests.get(path).ok_or_else(|| format!("{path} is missing"));
    let (config, source, vsock) = (of("/machine-config")?, of("/boot-source")?, of("/vsock")?);
    let file = |value: &Value| jail.inside(value.as_str().unwrap()).display().to_string();
    let device = jail.inside("/run/device.sock");
    let daemon = Command::new(VSOCK)
        .args(["--guest-cid", &vsock["guest_cid"].to_string()])
        .args(["--socket".as_ref(), device.as_os_str()])
        .args(["--uds-path", &file(&vsock["uds_path"])])
        .args(["--tx-buffer-size", "262144"])
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("{VSOCK}: {error}: run `make deps`"))?;
    described.processes.push(daemon);
    // It listens before it says anything.
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while !device.exists() {
        if std::time::Instant::now() > end {
            return Err("the vsock device does not start".to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let memory = &config["mem_size_mib"];
    let mut words: Vec<String> = [
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-accel",
        "tcg,tb-size=48",
        "-cpu",
        "max",
        "-machine",
        "microvm,acpi=on,rtc=on,pit=on,pic=on,isa-serial=on,memory-backend=memory",
        "-global",
        "virtio-mmio.force-legacy=false",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    option("-smp", config["vcpu_count"].to_string());
    option("-m", memory.to_string());
    option("-object", format!("memory-backend-memfd,id=memory,size={memory}M,share=on"));
    option("-kernel", file(&source["kernel_image_path"]));
    option("-initrd", file(&source["initrd_path"]));
    // Firecracker tells its machine how to find its root, too. An emulated machine of this kind has no
    // clock by which the kernel could find out how fast the others go.
    let told = source["boot_args"].as_str().unwrap();
    let clocks = format!("lpj=4000000 tsc_early_khz={}", processor_khz());
    option("-append", format!("root=/dev/vda ro {clocks} {told}"));
    let mut drives: Vec<&Value> =
        described.drives.iter().map(|path| &described.requests[path]).collect();
    drives.sort_by_key(|drive| drive["is_root_device"] != true);
    let count = drives.len();
    for (number, drive) in drives.into_iter().enumerate() {
        let read_only = if drive["is_read_only"] == true { "on" } else { "off" };
        let path = file(&drive["path_on_host"]);
        option(
            "-drive",
            format!(
                "if=none,format=raw,id=drive{number},file={path},read-only={read_only},file.locking=off"
            ),
        );
        option("-device", format!("virtio-blk-device,drive=drive{number},bus={}", bus(number)));
    }
    option("-chardev", format!("socket,id=vsock,path={}", device.display()));
    option("-device", format!("vhost-user-vsock-device,chardev=vsock,bus={}", bus(count)));
    let qemu = Command::new("/usr/bin/qemu-system-x86_64")
        .args(&words)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("qemu: {error}: run `make deps`"))?;
    described.processes.push(qemu);
    Ok(())
}

/// The place of the machine's first device, second and so on: qemu describes them from the last to the
/// first.
fn bus(number: usize) -> String {
    format!("virtio-mmio-bus.{}", 23 - number)
}

/// How fast this machine's time stamps count, which are those of an emulated processor, too.
fn processor_khz() -> u64 {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let line = text.lines().find(|line| line.starts_with("cpu MHz")).unwrap();
    let (_, megahertz) = line.split_once(':').unwrap();
    megahertz.trim().replace('.', "").parse().unwrap()
}
