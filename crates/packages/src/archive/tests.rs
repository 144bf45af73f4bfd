use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

/// An archive of tar, uncompressed: kind, path and contents of each entry.
fn tar(entries: &[(u8, &str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (kind, path, contents) in entries {
        let mut block = [0_u8; 512];
        let (name, size) = (path.as_bytes(), format!("{:011o}\0", contents.len()));
        block[..name.len()].copy_from_slice(name);
        block[124..136].copy_from_slice(size.as_bytes());
        block[156] = *kind;
        block[257..263].copy_from_slice(b"ustar\0");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&block);
        archive.extend_from_slice(contents);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.extend_from_slice(&[0; 1024]);
    archive
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn package(place: &str) -> Package {
    Package {
        name: "a".into(),
        version: "1.0.0".into(),
        integrity: String::new(),
        source: String::new(),
        place: place.into(),
        has_script: false,
    }
}

const MANIFEST: (u8, &str, &[u8]) =
    (b'0', "package/package.json", br#"{"name":"a","version":"1.0.0"}"#);

fn unpack_npm(entries: &[(u8, &str, &[u8])]) -> Result<tempfile::TempDir, UnpackError> {
    let folder = tempfile::tempdir().unwrap();
    npm(gzip(&tar(entries)).as_slice(), &package("a"), &mut Tree::new(folder.path()))?;
    Ok(folder)
}

#[test]
fn an_archive_of_npm_is_unpacked_to_its_place() {
    let long = format!("package/{}/x.js", "d".repeat(150));
    let record = format!("path={long}\n");
    let record = format!("{} {record}", record.len() + 4);
    let folder = unpack_npm(&[
        MANIFEST,
        (b'5', "package/lib/", b""),
        (b'0', "package/lib/i.js", b"1"),
        (b'x', "pax", record.as_bytes()),
        (b'0', "short", b"2"),
        (b'g', "pax", b""),
        (b'0', "other-root/j.js", b"3"),
    ])
    .unwrap();
    let read = |path: &str| fs::read_to_string(folder.path().join("a").join(path)).unwrap();
    assert_eq!(read("lib/i.js"), "1");
    assert_eq!(read(&format!("{}/x.js", "d".repeat(150))), "2");
    assert_eq!(read("j.js"), "3");
}

#[test]
fn whatever_leads_out_of_its_place_is_refused() {
    for (kind, path, word) in [
        (b'0', "package/../../evil", "elsewhere"),
        (b'0', "../evil", "elsewhere"),
        (b'0', "/etc/evil", "elsewhere"),
        (b'0', "package//etc/evil", "elsewhere"),
        (b'5', "package/../..", "elsewhere"),
        (b'2', "package/link", "link"),
        (b'1', "package/hard", "link"),
        (b'3', "package/null", "neither"),
        (b'4', "package/disk", "neither"),
        (b'6', "package/fifo", "neither"),
        (b'0', "package/package.json/x", "a file and a folder"),
    ] {
        let refused = unpack_npm(&[MANIFEST, (kind, path, b"")]).unwrap_err().to_string();
        assert!(refused.contains(word), "{path}: {refused}");
    }
}

#[test]
fn an_archive_of_another_package_is_refused() {
    for manifest in [
        r#"{"name":"evil","version":"1.0.0"}"#,
        r#"{"name":"a","version":"1.0.1"}"#,
        r#"{"name":"a"}"#,
        "{",
    ] {
        let entry = (b'0', "package/package.json", manifest.as_bytes());
        assert!(matches!(unpack_npm(&[entry]), Err(UnpackError::Refused(_))), "{manifest}");
    }
    assert!(unpack_npm(&[]).is_err());
}

#[test]
fn a_bomb_is_refused_before_it_fills_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(folder.path());
    tree.bytes = MAX_LAYER_BYTES - 10;
    let refused = tree.file("a", &mut io::repeat(0)).unwrap_err().to_string();
    assert!(refused.contains("512 MiB"), "{refused}");
    tree.files = MAX_LAYER_FILES;
    let refused = tree.file("b", &mut io::empty()).unwrap_err().to_string();
    assert!(refused.contains("50000 files"), "{refused}");
}

/// An archive of zip; an entry is its path in the directory, its own path, its kind and its contents.
fn zip_of(entries: &[(&str, &str, u32, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (path, own, kind, contents) in entries {
        let start = u32::try_from(archive.len()).unwrap();
        let mut sum = flate2::Crc::new();
        sum.update(contents);
        let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(contents).unwrap();
        let packed = packed.finish().unwrap();
        let mut common = Vec::new();
        for half in [20_u16, 0, 8, 0, 0] {
            common.extend_from_slice(&half.to_le_bytes());
        }
        let sizes = [
            sum.sum(),
            u32::try_from(packed.len()).unwrap(),
            u32::try_from(contents.len()).unwrap(),
        ];
        for word in sizes {
            common.extend_from_slice(&word.to_le_bytes());
        }
        let length = |text: &str| u16::try_from(text.len()).unwrap().to_le_bytes();
        archive.extend_from_slice(b"PK\x03\x04");
        archive.extend_from_slice(&common);
        archive.extend_from_slice(&length(own));
        archive.extend_from_slice(&[0, 0]);
        archive.extend_from_slice(own.as_bytes());
        archive.extend_from_slice(&packed);
        directory.extend_from_slice(b"PK\x01\x02\x14\x03");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&length(path));
        directory.extend_from_slice(&[0; 8]);
        directory.extend_from_slice(&(kind << 16).to_le_bytes());
        directory.extend_from_slice(&start.to_le_bytes());
        directory.extend_from_slice(path.as_bytes());
    }
    let start = u32::try_from(archive.len()).unwrap();
    archive.extend_from_slice(&directory);
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    archive.extend_from_slice(&count);
    archive.extend_from_slice(&count);
    archive.extend_from_slice(&u32::try_from(directory.len()).unwrap().to_le_bytes());
    archive.extend_from_slice(&start.to_le_bytes());
    archive.extend_from_slice(&[0, 0]);
    archive
}

fn unpack_wheel(entries: &[(&str, &str, u32, &[u8])]) -> Result<tempfile::TempDir, UnpackError> {
    let folder = tempfile::tempdir().unwrap();
    wheel(io::Cursor::new(zip_of(entries)), &package("a.whl"), &mut Tree::new(folder.path()))?;
    Ok(folder)
}

const METADATA: (&str, &str, u32, &[u8]) =
    ("a-1.0.dist-info/METADATA", "a-1.0.dist-info/METADATA", 0o100_644, b"Name: a");

#[test]
fn a_wheel_is_unpacked_with_its_modules_alone() {
    let folder = unpack_wheel(&[
        METADATA,
        ("a/__init__.py", "a/__init__.py", 0o100_644, b"x = 1"),
        ("a-1.0.data/purelib/b.py", "a-1.0.data/purelib/b.py", 0, b"y = 2"),
        ("a-1.0.data/scripts/run", "a-1.0.data/scripts/run", 0, b"#!"),
        ("a/", "a/", 0o040_755, b""),
    ])
    .unwrap();
    let read = |path: &str| fs::read_to_string(folder.path().join(path));
    assert_eq!(
        (read("a/__init__.py").unwrap().as_str(), read("b.py").unwrap().as_str()),
        ("x = 1", "y = 2")
    );
    assert!(read("a-1.0.data/scripts/run").is_err() && read("run").is_err());
}

#[test]
fn a_wheel_that_leads_elsewhere_or_says_two_things_is_refused() {
    for (path, own, kind, word) in [
        ("../evil.py", "../evil.py", 0, "elsewhere"),
        ("/evil.py", "/evil.py", 0, "elsewhere"),
        ("a-1.0.data/purelib/../../evil.py", "x", 0, "elsewhere"),
        ("link", "link", 0o120_777, "link"),
        ("pipe", "pipe", 0o010_644, "device"),
        ("one.py", "two.py", 0, "two things"),
        ("a-1.0.dist-info/METADATA", "a-1.0.dist-info/METADATA", 0, "twice"),
    ] {
        let refused = unpack_wheel(&[METADATA, (path, own, kind, b"x")]).unwrap_err().to_string();
        assert!(refused.contains(word), "{path}: {refused}");
    }
    let other = ("b-1.0.dist-info/METADATA", "b-1.0.dist-info/METADATA", 0, b"".as_slice());
    assert!(unpack_wheel(&[other]).unwrap_err().to_string().contains("another package"));
}

#[test]
fn a_damaged_file_of_a_wheel_is_refused() {
    let mut archive = zip_of(&[METADATA]);
    archive[60] ^= 1;
    let folder = tempfile::tempdir().unwrap();
    let unpacked =
        wheel(io::Cursor::new(archive), &package("a.whl"), &mut Tree::new(folder.path()));
    assert!(unpacked.is_err());
}

/// Every regular file below a folder, to see that nothing was written beside it.
fn files_below(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

proptest! {
    #[test]
    fn no_bytes_write_beside_the_folder(mut bytes in proptest::collection::vec(any::<u8>(), 0..2000), at in 0_usize..3000, flip in any::<u8>()) {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("layer");
        fs::create_dir(&inner).unwrap();
        let mut good = tar(&[MANIFEST, (b'0', "package/x", b"y")]);
        let at = at % good.len();
        good[at] ^= flip;
        bytes.extend_from_slice(&good);
        for archive in [gzip(&good), gzip(&bytes), bytes.clone()] {
            drop(npm(archive.as_slice(), &package("a"), &mut Tree::new(&inner)));
        }
        let mut zipped = zip_of(&[METADATA, ("x.py", "x.py", 0, b"1")]);
        let at = at % zipped.len();
        zipped[at] ^= flip;
        drop(wheel(io::Cursor::new(zipped), &package("a"), &mut Tree::new(&inner)));
        prop_assert_eq!(files_below(outer.path()), 1);
    }
}
