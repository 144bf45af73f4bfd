//! The kernel of an image: an uncompressed ELF file, as Firecracker loads it, and the drivers that it
//! has as modules.

use super::image::ImageError;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a machine needs of drivers: its disks, its vsock, and the file systems that it mounts. (Of ext4
/// there is no mention: a kernel that has it as a module has it by this name.)
const DRIVERS: [&str; 6] =
    ["virtio_mmio", "virtio_blk", "vmw_vsock_virtio_transport", "squashfs", "overlay", "ext4"];
/// The largest kernel, uncompressed, in bytes.
const LARGEST: u64 = 256 << 20;
/// The largest block of a legacy LZ4 frame, uncompressed, in bytes.
const LZ4_BLOCK: usize = 8 << 20;
const LZ4_LEGACY: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

/// Reads a kernel: an ELF file, or what boot loaders load (a `bzImage`), whose payload is one.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    let bytes = fs::read(path).map_err(ImageError::io(format!("reading {}", path.display())))?;
    uncompressed(bytes).map_err(|why| ImageError::Kernel { path: path.to_owned(), why })
}

fn uncompressed(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if is_elf(&bytes) {
        return Ok(bytes);
    }
    let payload = payload(&bytes).ok_or("it is neither an ELF file nor a bzImage")?;
    let kernel = match payload {
        [0x1f, 0x8b, ..] => gunzip(payload)?,
        payload if payload.starts_with(&LZ4_LEGACY) => unlz4(payload)?,
        _ => {
            return Err(
                "it is compressed in a way other than gzip and LZ4: uncompress it with the \
                 kernel's own `scripts/extract-vmlinux`"
                    .to_owned(),
            );
        }
    };
    if is_elf(&kernel) { Ok(kernel) } else { Err("its payload is no ELF file".to_owned()) }
}

fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF\x02\x01")
}

/// The compressed kernel in a bzImage (Documentation/arch/x86/boot.rst: `setup_sects`,
/// `payload_offset`, `payload_length`).
fn payload(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let sectors = match *bytes.get(0x1f1)? {
        0 => 4,
        count => usize::from(count),
    };
    let number = |at: usize| usize::try_from(little_endian(bytes, at)?).ok();
    let start = (sectors + 1) * 512 + number(0x248)?;
    bytes.get(start..start.checked_add(number(0x24c)?)?)
}

fn little_endian(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn gunzip(payload: &[u8]) -> Result<Vec<u8>, String> {
    let mut kernel = Vec::new();
    flate2::read::GzDecoder::new(payload)
        .take(LARGEST)
        .read_to_end(&mut kernel)
        .map_err(|error| format!("its payload does not unpack: {error}"))?;
    Ok(kernel)
}

/// A legacy LZ4 frame: blocks with their length before them; what the kernel's build appends is the
/// length of the whole.
fn unlz4(payload: &[u8]) -> Result<Vec<u8>, String> {
    let bad = |what: &str| format!("its payload does not unpack: {what}");
    let (blocks, length) = payload.split_last_chunk::<4>().ok_or_else(|| bad("too short"))?;
    let length = u64::from(u32::from_le_bytes(*length));
    if length > LARGEST {
        return Err(bad("it is too large"));
    }
    let mut rest = blocks.get(LZ4_LEGACY.len()..).unwrap_or_default();
    let mut kernel = Vec::new();
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
        let block = after.get(..size).ok_or_else(|| bad("a block is cut off"))?;
        let plain = lz4_flex::block::decompress(block, LZ4_BLOCK)
            .map_err(|error| bad(&error.to_string()))?;
        kernel.extend_from_slice(&plain);
        rest = after.get(size..).unwrap_or_default();
        if kernel.len() > usize::try_from(length).unwrap_or(usize::MAX) {
            return Err(bad("it is longer than it says"));
        }
    }
    if u64::try_from(kernel.len()).unwrap_or(0) == length {
        Ok(kernel)
    } else {
        Err(bad("it is shorter than it says"))
    }
}

/// A driver of the kernel's.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) contents: Vec<u8>,
}

/// The drivers that a machine needs and the kernel has as modules, each after those that it needs
/// itself. The folder is the kernel's own below `/lib/modules`.
pub(super) fn modules(folder: &Path) -> Result<Vec<Module>, ImageError> {
    let list = folder.join("modules.builtin");
    let built_in =
        fs::read_to_string(&list).map_err(ImageError::io(format!("reading {}", list.display())))?;
    let built_in = built_in.lines().map(|line| name_of(Path::new(line))).collect();
    let mut search = Search { folder, built_in, files: BTreeMap::new(), found: Vec::new() };
    collect(&folder.join("kernel"), &mut search.files)
        .map_err(ImageError::io(format!("reading {}", folder.display())))?;
    for name in DRIVERS {
        search.add(name, 0)?;
    }
    Ok(search.found)
}

struct Search<'a> {
    folder: &'a Path,
    built_in: std::collections::BTreeSet<String>,
    files: BTreeMap<String, PathBuf>,
    found: Vec<Module>,
}

impl Search<'_> {
    fn add(&mut self, name: &str, depth: u32) -> Result<(), ImageError> {
        let fail =
            |why| ImageError::Module { name: name.to_owned(), folder: self.folder.to_owned(), why };
        if self.built_in.contains(name) || self.found.iter().any(|module| module.name == name) {
            return Ok(());
        }
        if depth > 16 {
            return Err(fail("it needs itself"));
        }
        let path = self.files.get(name).ok_or_else(|| fail("the kernel has none"))?;
        let contents =
            fs::read(path).map_err(ImageError::io(format!("reading {}", path.display())))?;
        if !is_elf(&contents) {
            return Err(fail("it is compressed: uncompress the folder's files first"));
        }
        let needs = needs(&contents).ok_or_else(|| fail("it does not say what it needs"))?;
        for other in needs {
            self.add(&other, depth + 1)?;
        }
        self.found.push(Module { name: name.to_owned(), contents });
        Ok(())
    }
}

/// The name of a module by that of its file.
fn name_of(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    file.split('.').next().unwrap_or_default().replace('-', "_")
}

/// All modules below a folder, by name.
fn collect(folder: &Path, into: &mut BTreeMap<String, PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, into)?;
        } else if path.to_string_lossy().contains(".ko") {
            into.insert(name_of(&path), path);
        }
    }
    Ok(())
}

/// The modules that one needs: the entry `depends=` of its section `.modinfo`, which every module has
/// (scripts/mod/modpost.c of the kernel).
fn needs(module: &[u8]) -> Option<Vec<String>> {
    const ENTRY: &[u8] = b"\0depends=";
    let at = module.windows(ENTRY.len()).position(|window| window == ENTRY)? + ENTRY.len();
    let text = module.get(at..)?.split(|byte| *byte == 0).next()?;
    let text = std::str::from_utf8(text).ok()?;
    Some(
        text.split(',')
            .filter(|name| !name.is_empty())
            .map(|name| name.replace('-', "_"))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bzImage whose payload is this.
    fn boxed(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0_u8; 1024];
        bytes[0x1f1] = 1;
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
        let length = u32::try_from(payload.len()).unwrap();
        bytes[0x24c..0x250].copy_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(payload);
        bytes
    }

    fn lz4(kernel: &[u8], says: usize) -> Vec<u8> {
        let mut payload = LZ4_LEGACY.to_vec();
        for block in kernel.chunks(LZ4_BLOCK) {
            let block = lz4_flex::block::compress(block);
            payload.extend_from_slice(&u32::try_from(block.len()).unwrap().to_le_bytes());
            payload.extend_from_slice(&block);
        }
        payload.extend_from_slice(&u32::try_from(says).unwrap().to_le_bytes());
        payload
    }

    #[test]
    fn a_kernel_is_unpacked_or_refused() {
        let mut kernel = b"\x7fELF\x02\x01".to_vec();
        kernel.extend((0..LZ4_BLOCK + 4096).map(|at| u8::try_from(at % 251).unwrap()));
        assert_eq!(uncompressed(kernel.clone()).unwrap(), kernel);
        let packed = lz4(&kernel, kernel.len());
        assert_eq!(uncompressed(boxed(&packed)).unwrap(), kernel);
        for (bytes, why) in [
            (boxed(&lz4(&kernel, kernel.len() - 1)), "longer than it says"),
            (boxed(&lz4(&kernel, kernel.len() + 1)), "shorter than it says"),
            (boxed(&packed[..packed.len() / 2]), "does not unpack"),
            (boxed(&lz4(b"no kernel", 9)), "no ELF file"),
            (boxed(b"\xfd7zXZ\0"), "extract-vmlinux"),
            (boxed(&packed)[..2000].to_vec(), "neither an ELF file nor a bzImage"),
            (b"\x7fELF\x01".to_vec(), "neither an ELF file nor a bzImage"),
        ] {
            let refused = uncompressed(bytes).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn what_a_driver_needs_comes_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let drivers = folder.path().join("kernel/drivers");
        fs::create_dir_all(&drivers).unwrap();
        let write = |name: &str, needs: &str| {
            let text = format!("\x7fELF\x02\x01 .modinfo\0depends={needs}\0name=x\0");
            fs::write(drivers.join(format!("{name}.ko")), text).unwrap();
        };
        fs::write(folder.path().join("modules.builtin"), "kernel/fs/ext4/ext4.ko\n").unwrap();
        write("virtio_ring", "");
        write("virtio", "virtio_ring");
        write("virtio-mmio", "virtio,virtio_ring");
        write("virtio_blk", "virtio");
        write("vmw_vsock_virtio_transport", "vsock,virtio");
        write("vsock", "");
        write("squashfs", "");
        write("unused", "");
        let missing = modules(folder.path()).err().unwrap().to_string();
        assert!(missing.contains("`overlay`") && missing.contains("has none"), "{missing}");
        write("overlay", "");
        let names: Vec<String> =
            modules(folder.path()).unwrap().into_iter().map(|module| module.name).collect();
        assert_eq!(
            names,
            [
                "virtio_ring",
                "virtio",
                "virtio_mmio",
                "virtio_blk",
                "vsock",
                "vmw_vsock_virtio_transport",
                "squashfs",
                "overlay"
            ]
        );
        write("virtio_ring", "virtio");
        let endless = modules(folder.path()).err().unwrap().to_string();
        assert!(endless.contains("needs itself"), "{endless}");
        fs::write(drivers.join("virtio_ring.ko.xz"), b"\xfd7zXZ").unwrap();
        fs::remove_file(drivers.join("virtio_ring.ko")).unwrap();
        let packed = modules(folder.path()).err().unwrap().to_string();
        assert!(packed.contains("compressed"), "{packed}");
    }
}
