//! A root key in a file: one line of text with a version and a checksum, readable by its owner
//! only, never inside the data folder.

use super::RootKeyError;
use aws_lc_rs::digest;
use causeway_crypto::{KEY_BYTES, WrappingKey};
use causeway_types::place::Sealed;
use causeway_types::{DataKeyId, Randomness, SecretBytes, WorkspaceId};
use data_encoding::HEXLOWER;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const VERSION: &str = "causeway-root-key-v1";
const COMMENT: &str = "\
# Causeway's root key. Whoever has this file and the database can read everything stored there;
# without this file nobody can. Keep a copy in a safe place, apart from the database's backups.
";

/// A root key from a file.
pub struct FileKey {
    path: PathBuf,
    name: String,
    key: WrappingKey,
}

impl FileKey {
    /// Makes a new key and its file, which must not exist. Folders that are missing are made for
    /// their owner only.
    pub fn create(
        path: &Path,
        data_folder: &Path,
        random: &dyn Randomness,
    ) -> Result<Self, RootKeyError> {
        let folder = folder_of(path);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed("making the folder", folder))?;
        keep_apart(path, data_folder)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        random.fill(&mut *key);
        // Written under another name and then linked, which fails if the name is taken: nobody
        // sees half a file, and of two who do this at once one wins.
        let mut unique = [0; 8];
        random.fill(&mut unique);
        let draft = folder.join(format!(".root-key-{}", HEXLOWER.encode(&unique)));
        write(&draft, &key).map_err(failed("writing the root key file", &draft))?;
        let linked = std::fs::hard_link(&draft, path);
        std::fs::remove_file(&draft).map_err(failed("removing the draft", &draft))?;
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(RootKeyError::Exists { path: path.to_owned() });
            }
            Err(error) => return Err(failed("making the root key file", path)(error)),
        }
        std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed("writing the folder", folder))?;
        Self::load(path, data_folder)
    }

    /// Loads a key. Refuses a file that others than its owner may use, or that is inside the data
    /// folder.
    pub fn load(path: &Path, data_folder: &Path) -> Result<Self, RootKeyError> {
        let mut file = std::fs::File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => RootKeyError::Missing { path: path.to_owned() },
            _ => failed("opening the root key file", path)(error),
        })?;
        keep_apart(path, data_folder)?;
        let mode = file
            .metadata()
            .map_err(failed("looking at the root key file", path))?
            .permissions()
            .mode()
            & 0o777;
        if mode & 0o077 != 0 {
            return Err(RootKeyError::Exposed { path: path.to_owned(), mode });
        }
        let text = read(&mut file).map_err(failed("reading the root key file", path))?;
        let malformed = |reason| RootKeyError::Malformed { path: path.to_owned(), reason };
        let key = parse(&text).map_err(malformed)?;
        let key = WrappingKey::new(&key).map_err(|_| malformed("its key is not 32 bytes long"))?;
        let name = format!("file:{}", HEXLOWER.encode(&key.fingerprint()));
        Ok(Self { path: path.to_owned(), name, key })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn wrap(
        &self,
        workspace: WorkspaceId,
        id: DataKeyId,
        data_key: &SecretBytes,
        random: &dyn Randomness,
    ) -> Result<Sealed, RootKeyError> {
        self.key
            .wrap(workspace, id, data_key, random)
            .map_err(|_| RootKeyError::Refused { root_key: self.name.clone() })
    }

    pub(super) fn unwrap(
        &self,
        workspace: WorkspaceId,
        id: DataKeyId,
        wrapped: &Sealed,
    ) -> Result<SecretBytes, RootKeyError> {
        self.key
            .unwrap(workspace, id, wrapped)
            .map_err(|_| RootKeyError::Refused { root_key: self.name.clone() })
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Compares real paths, so that no link hides that one is inside the other. A data folder that
/// does not exist yet holds nothing.
fn keep_apart(path: &Path, data_folder: &Path) -> Result<(), RootKeyError> {
    let Ok(data) = data_folder.canonicalize() else { return Ok(()) };
    let folder = folder_of(path);
    let real = folder.canonicalize().map_err(failed("looking for the folder", folder))?;
    let target = path.canonicalize().unwrap_or_else(|_| real.clone());
    if real.starts_with(&data) || target.starts_with(&data) {
        return Err(RootKeyError::InDataFolder {
            path: path.to_owned(),
            data_folder: data_folder.to_owned(),
        });
    }
    Ok(())
}

fn write(path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    let mut line = Zeroizing::new(String::with_capacity(256));
    line.push_str(VERSION);
    line.push(' ');
    HEXLOWER.encode_append(key, &mut line);
    line.push(' ');
    line.push_str(&checksum(key));
    line.push('\n');
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(COMMENT.as_bytes())?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// Reads at most 4 KiB into a buffer that does not move and is wiped.
fn read(file: &mut std::fs::File) -> io::Result<Zeroizing<Vec<u8>>> {
    use io::Read as _;
    let mut text = Zeroizing::new(Vec::with_capacity(4096));
    file.take(4096).read_to_end(&mut text)?;
    Ok(text)
}

fn parse(text: &[u8]) -> Result<SecretBytes, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .ok_or("it holds no key")?;
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some(VERSION) {
        return Err("it does not begin with `causeway-root-key-v1`");
    }
    let key = words.next().ok_or("its key is missing")?;
    let found = words.next().ok_or("its checksum is missing")?;
    let key = HEXLOWER
        .decode(key.as_bytes())
        .map(SecretBytes::new)
        .map_err(|_| "its key is not 64 lower-case hexadecimal digits")?;
    if checksum(key.expose()) != found {
        return Err("its checksum does not fit its key, so a digit was changed or lost");
    }
    Ok(key)
}

/// Catches a key that was copied wrongly: eight digits of SHA-256. It says nothing useful about
/// the key, and stands next to it anyway.
fn checksum(key: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"causeway root key checksum");
    context.update(key);
    HEXLOWER.encode(context.finish().as_ref().split_at(4).0)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RootKeyError {
    move |source| RootKeyError::File { action, path: path.to_owned(), source }
}
