//! A registry of npm and an index of Python packages, on one address of loopback. What they serve is
//! made here, so that it can be as wrong as it has to be.

use aws_lc_rs::digest;
use data_encoding::{BASE64, HEXLOWER};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Long ago.
pub(crate) const OLD: &str = "2020-02-02T00:00:00.000Z";

#[derive(Default)]
struct Shelf {
    answers: BTreeMap<String, (&'static str, Vec<u8>)>,
    npm: BTreeMap<String, Value>,
    pypi: BTreeMap<String, Vec<Value>>,
    asked: Vec<String>,
}

pub(crate) struct StandIn {
    address: SocketAddr,
    shelf: Arc<Mutex<Shelf>>,
}

/// A package of npm, to be published.
pub(crate) struct Npm<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) manifest: Value,
    pub(crate) files: &'a [(&'a str, &'a str)],
    pub(crate) at: &'a str,
}

impl<'a> Npm<'a> {
    pub(crate) fn new(name: &'a str, version: &'a str, files: &'a [(&'a str, &'a str)]) -> Self {
        Self { name, version, manifest: json!({}), files, at: OLD }
    }
}

impl StandIn {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let shared = Arc::clone(&shelf);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(socket, &shared));
            }
        });
        Self { address, shelf }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// What was asked for, since this was last asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shelf.lock().unwrap().asked)
    }

    /// Serves something at a path.
    pub(crate) fn put(&self, path: &str, kind: &'static str, bytes: Vec<u8>) {
        self.shelf.lock().unwrap().answers.insert(path.to_owned(), (kind, bytes));
    }

    /// Publishes a package of npm; gives the digest of its archive.
    pub(crate) fn publish(&self, package: &Npm<'_>) -> String {
        let mut manifest = json!({ "name": package.name, "version": package.version });
        for (name, value) in package.manifest.as_object().unwrap() {
            manifest[name] = value.clone();
        }
        let text = manifest.to_string();
        let mut files = vec![("package.json", text.as_str())];
        files.extend(package.files);
        let archive = tarball(&files);
        self.publish_archive(package, manifest, archive)
    }

    /// The same with an archive of the caller's.
    pub(crate) fn publish_archive(
        &self,
        package: &Npm<'_>,
        mut manifest: Value,
        archive: Vec<u8>,
    ) -> String {
        let (name, version) = (package.name, package.version);
        let file = name.rsplit('/').next().unwrap();
        let path = format!("npm/{name}/-/{file}-{version}.tgz");
        let integrity =
            format!("sha512-{}", BASE64.encode(digest::digest(&digest::SHA512, &archive).as_ref()));
        manifest["dist"] = json!({ "tarball": self.url(&path), "integrity": integrity });
        if manifest["scripts"].get("postinstall").is_some() {
            manifest["hasInstallScript"] = true.into();
        }
        self.put(&path, "application/octet-stream", archive);
        let mut goods = self.shelf.lock().unwrap();
        let description = goods.npm.entry(name.to_owned()).or_insert_with(
            || json!({ "name": name, "dist-tags": {}, "versions": {}, "time": {} }),
        );
        description["dist-tags"]["latest"] = version.into();
        description["versions"][version] = manifest;
        description["time"][version] = package.at.into();
        let text = description.to_string().into_bytes();
        for path in [format!("npm/{name}"), format!("npm/{}", name.replace('/', "%2f"))] {
            goods.answers.insert(path, ("application/json", text.clone()));
        }
        integrity
    }

    /// Publishes a wheel; gives its digest.
    pub(crate) fn publish_wheel(
        &self,
        name: &str,
        version: &str,
        requires: &[&str],
        files: &[(&str, &str)],
        at: &str,
    ) -> String {
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
        let requires = requires.iter().map(|one| format!("Requires-Dist: {one}\n"));
        let metadata = requires.fold(metadata, |text, line| text + &line);
        let info = format!("{name}-{version}.dist-info");
        let (meta, wheel, record) =
            (format!("{info}/METADATA"), format!("{info}/WHEEL"), format!("{info}/RECORD"));
        let tags =
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
        let mut all =
            vec![(meta.as_str(), metadata.as_str()), (wheel.as_str(), tags), (record.as_str(), "")];
        all.extend(files);
        self.publish_file(name, &format!("{name}-{version}-py3-none-any.whl"), zip(&all), at)
    }

    /// Publishes a file of a Python package.
    pub(crate) fn publish_file(&self, name: &str, file: &str, bytes: Vec<u8>, at: &str) -> String {
        let sha256 = HEXLOWER.encode(digest::digest(&digest::SHA256, &bytes).as_ref());
        let path = format!("files/{file}");
        let url = self.url(&path);
        self.put(&path, "application/octet-stream", bytes);
        let mut goods = self.shelf.lock().unwrap();
        let name = name.replace('_', "-");
        let files = goods.pypi.entry(name.clone()).or_default();
        files.push(json!({
            "filename": file, "url": url, "hashes": { "sha256": sha256 }, "upload-time": at,
        }));
        let listing = json!({ "meta": { "api-version": "1.1" }, "name": name, "files": files });
        let kind = "application/vnd.pypi.simple.v1+json";
        goods.answers.insert(format!("simple/{name}/"), (kind, listing.to_string().into_bytes()));
        sha256
    }
}

fn serve(mut socket: TcpStream, shelf: &Mutex<Shelf>) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut line = String::new();
    // A client that goes away has its own reasons.
    if reader.read_line(&mut line).is_err() {
        return;
    }
    let path = line.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
    let mut header = String::new();
    while reader.read_line(&mut header).is_ok_and(|count| count > 2) {
        header.clear();
    }
    let (status, kind, bytes) = {
        let mut shelf = shelf.lock().unwrap();
        shelf.asked.push(path.clone());
        match shelf.answers.get(&path) {
            Some((kind, bytes)) => ("200 OK", *kind, bytes.clone()),
            None => ("404 Not Found", "application/json", b"{}".to_vec()),
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        bytes.len()
    );
    drop(socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(&bytes)));
}

/// An archive as npm makes it, of paths below `package/`.
pub(crate) fn tarball(files: &[(&str, &str)]) -> Vec<u8> {
    let named: Vec<_> =
        files.iter().map(|(path, text)| (b'0', format!("package/{path}"), *text)).collect();
    let entries: Vec<_> =
        named.iter().map(|(kind, path, text)| (*kind, path.as_str(), *text)).collect();
    raw_tarball(&entries)
}

/// The same of entries as they are.
pub(crate) fn raw_tarball(entries: &[(u8, &str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (kind, path, contents) in entries {
        let mut block = [0_u8; 512];
        block[..path.len()].copy_from_slice(path.as_bytes());
        block[100..108].copy_from_slice(b"0000644\0");
        block[124..136].copy_from_slice(format!("{:011o}\0", contents.len()).as_bytes());
        block[136..148].copy_from_slice(b"00000000000\0");
        block[156] = *kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&block);
        archive.extend_from_slice(contents.as_bytes());
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.extend_from_slice(&[0; 1024]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&archive).unwrap();
    encoder.finish().unwrap()
}

/// An archive of zip.
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (path, contents) in files {
        let start = u32::try_from(archive.len()).unwrap();
        let mut sum = flate2::Crc::new();
        sum.update(contents.as_bytes());
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(contents.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let mut common = [20_u16, 0, 8, 0, 33].map(u16::to_le_bytes).concat();
        for word in [
            sum.sum(),
            u32::try_from(packed.len()).unwrap(),
            u32::try_from(contents.len()).unwrap(),
        ] {
            common.extend_from_slice(&word.to_le_bytes());
        }
        let length = u16::try_from(path.len()).unwrap().to_le_bytes();
        let name = path.as_bytes();
        archive
            .extend([b"PK\x03\x04", common.as_slice(), &length, &[0, 0], name, &packed].concat());
        let mode = (0o100_644_u32 << 16).to_le_bytes();
        directory.extend(
            [
                b"PK\x01\x02\x14\x03",
                common.as_slice(),
                &length,
                &[0; 8],
                &mode,
                &start.to_le_bytes(),
                name,
            ]
            .concat(),
        );
    }
    let count = u16::try_from(files.len()).unwrap().to_le_bytes();
    let (size, start) =
        (u32::try_from(directory.len()).unwrap(), u32::try_from(archive.len()).unwrap());
    let end = [
        b"PK\x05\x06\0\0\0\0".as_slice(),
        &count,
        &count,
        &size.to_le_bytes(),
        &start.to_le_bytes(),
        &[0, 0],
    ];
    [archive, directory, end.concat()].concat()
}
