//! Root keys in files.

use causeway_types::OsRandom;
use causeway_vault::{FileKey, RootKeyError, RootKeySpec};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

struct Place {
    folder: tempfile::TempDir,
    key: PathBuf,
    data: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let key = folder.path().join("configuration/causeway/root.key");
    Place { folder, key, data }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_is_made_for_its_owner_only() {
    let Place { key, data, folder } = place();
    FileKey::create(&key, &data, &OsRandom).ok().unwrap();
    assert_eq!(mode(&key), 0o600);
    assert_eq!(mode(key.parent().unwrap()), 0o700);
    let text = std::fs::read_to_string(&key).unwrap();
    assert!(text.lines().last().unwrap().starts_with("causeway-root-key-v1 "));
    let left: Vec<_> = std::fs::read_dir(key.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no draft is left: {left:?}");
    FileKey::load(&key, &data).ok().unwrap();
    // Never overwritten.
    let error = FileKey::create(&key, &data, &OsRandom).err().unwrap();
    assert!(matches!(error, RootKeyError::Exists { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&key).unwrap(), text);
    drop(folder);
}

#[tokio::test]
async fn a_missing_file_fails_unless_one_is_to_be_made() {
    let Place { key, data, folder: _folder } = place();
    let spec = RootKeySpec::File(key.clone());
    let error = spec.load(&data).await.err().unwrap();
    assert!(matches!(error, RootKeyError::Missing { .. }));
    assert!(error.to_string().contains(&key.display().to_string()), "{error}");
    let made = spec.load_or_create(&data, &OsRandom).await.unwrap();
    let again = spec.load_or_create(&data, &OsRandom).await.unwrap();
    assert_eq!(made.name(), again.name());
    assert!(made.name().starts_with("file:"));
    assert_eq!(made.name().len(), "file:".len() + 32);
}

#[test]
fn a_file_that_others_may_use_is_refused() {
    let Place { key, data, folder: _folder } = place();
    FileKey::create(&key, &data, &OsRandom).ok().unwrap();
    for wrong in [0o640, 0o604, 0o620, 0o601, 0o644, 0o666] {
        set_mode(&key, wrong);
        let text = FileKey::load(&key, &data).err().unwrap().to_string();
        assert!(text.contains(&format!("chmod 600 {}", key.display())), "{text}");
        assert!(text.contains(&format!("{wrong:o}")), "{text}");
    }
    for right in [0o600, 0o400] {
        set_mode(&key, right);
        FileKey::load(&key, &data).ok().unwrap();
    }
}

#[test]
fn a_key_inside_the_data_folder_is_refused() {
    let Place { key, data, folder } = place();
    for inside in [data.join("root.key"), data.join("deeper/root.key")] {
        let error = FileKey::create(&inside, &data, &OsRandom).err().unwrap();
        assert!(matches!(error, RootKeyError::InDataFolder { .. }), "{error}");
        assert!(!inside.exists());
    }
    FileKey::create(&key, &data, &OsRandom).ok().unwrap();
    // Through a link in either direction it is still inside.
    let inside = data.join("root.key");
    std::fs::copy(&key, &inside).unwrap();
    set_mode(&inside, 0o600);
    let link = folder.path().join("link.key");
    std::os::unix::fs::symlink(&inside, &link).unwrap();
    let alias = folder.path().join("alias");
    std::os::unix::fs::symlink(&data, &alias).unwrap();
    for path in [&inside, &link, &alias.join("root.key")] {
        let error = FileKey::load(path, &data).err().unwrap();
        assert!(matches!(error, RootKeyError::InDataFolder { .. }), "{}", path.display());
    }
    // A neighbour whose name begins alike is not inside.
    let neighbour = folder.path().join("data-keys/root.key");
    FileKey::create(&neighbour, &data, &OsRandom).ok().unwrap();
}

#[test]
fn a_damaged_file_is_named_with_its_damage() {
    let Place { key, data, folder: _folder } = place();
    FileKey::create(&key, &data, &OsRandom).ok().unwrap();
    let sound = std::fs::read_to_string(&key).unwrap();
    let line = sound.lines().last().unwrap();
    let digits = line.split(' ').nth(1).unwrap();
    let swapped: String = digits
        .chars()
        .enumerate()
        .map(|(at, c)| {
            if at > 0 {
                c
            } else if c == '0' {
                '1'
            } else {
                '0'
            }
        })
        .collect();
    for (damaged, reason) in [
        (String::new(), "holds no key"),
        ("# only a comment\n".to_owned(), "holds no key"),
        (line.replace("v1", "v2"), "causeway-root-key-v1"),
        (line.replace(digits, &swapped), "checksum does not fit"),
        (line.replace(digits, &digits[..62]), "checksum does not fit"),
        (line.replace(digits, "xyz"), "64 lower-case hexadecimal digits"),
        ("causeway-root-key-v1".to_owned(), "key is missing"),
        (format!("causeway-root-key-v1 {digits}"), "checksum is missing"),
    ] {
        std::fs::write(&key, &damaged).unwrap();
        let error = FileKey::load(&key, &data).err().unwrap();
        let text = error.to_string();
        assert!(text.contains(reason), "{damaged:?}: {text}");
        assert!(!text.contains(digits), "the key is not in the message");
    }
    std::fs::write(&key, [0xff_u8; 40]).unwrap();
    let text = FileKey::load(&key, &data).err().unwrap().to_string();
    assert!(text.contains("not text"), "{text}");
    // Spaces and line ends of another system do no harm.
    std::fs::write(&key, format!("\r\n  {line}  \r\n")).unwrap();
    FileKey::load(&key, &data).ok().unwrap();
}

#[test]
fn of_two_who_make_the_key_at_once_one_wins() {
    let Place { key, data, folder: _folder } = place();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| FileKey::create(&key, &data, &OsRandom).is_ok()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|made| **made).count(), 1);
    FileKey::load(&key, &data).ok().unwrap();
}
