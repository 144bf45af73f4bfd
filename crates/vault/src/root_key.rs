//! Root keys: what wraps data keys, and where it is kept.

mod file;
mod kms;

pub use file::FileKey;
pub use kms::{KeyArn, KmsKey};

use causeway_types::place::Sealed;
use causeway_types::{DataKeyId, Randomness, SecretBytes, WorkspaceId};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A root key that cannot be used. Every text says what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The setting is of no known form.
    #[error(
        "reading the root key setting `{given}`: it must be `file:PATH` or `aws-kms:ARN`, where ARN is that of a key and not of an alias (arn:aws:kms:REGION:ACCOUNT:key/ID)"
    )]
    Setting {
        /// What was given.
        given: String,
    },
    /// The file does not exist.
    #[error(
        "reading the root key file {}: it does not exist. If this installation has data already, put the file back from your copy, because nothing else opens that data; `causeway bootstrap` makes a new one", .path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file stands inside the data folder, so that a copy of that folder would open itself.
    #[error(
        "using the root key file {}: it is inside the data folder {}, and whoever copies that folder would have both. Move the file elsewhere and name its new place with `--root-key file:PATH`", .path.display(), .data_folder.display()
    )]
    InDataFolder {
        /// The file.
        path: PathBuf,
        /// The data folder.
        data_folder: PathBuf,
    },
    /// The file may be read by others than its owner.
    #[error(
        "using the root key file {}: others than its owner may use it (its mode is {mode:03o}). Run `chmod 600 {}`", .path.display(), .path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file exists already, and a root key is never overwritten.
    #[error("making the root key file {}: it exists, and is not overwritten", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file's contents are not a root key.
    #[error("reading the root key file {}: {reason}. Put the file back from your copy", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file could not be read or written.
    #[error("{action} {}", .path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A wrapped data key does not open with this root key.
    #[error(
        "unwrapping with the root key {root_key}: it is not the one that wrapped this data key, or the stored data key was changed"
    )]
    Refused {
        /// The root key's name.
        root_key: String,
    },
    /// KMS does not know the key.
    #[error(
        "using the KMS key {arn}: KMS has no such key. Check the ARN, its region and its account"
    )]
    KmsUnknownKey {
        /// The key.
        arn: String,
        /// KMS's answer.
        #[source]
        source: kms::Source,
    },
    /// KMS does not let these credentials use the key.
    #[error(
        "using the KMS key {arn}: KMS denies it. Allow kms:Encrypt and kms:Decrypt on the key to the credentials that Causeway runs with"
    )]
    KmsDenied {
        /// The key.
        arn: String,
        /// KMS's answer.
        #[source]
        source: kms::Source,
    },
    /// The key is disabled or about to be deleted.
    #[error(
        "using the KMS key {arn}: it is disabled or scheduled for deletion. Enable it, or cancel its deletion, in KMS"
    )]
    KmsDisabled {
        /// The key.
        arn: String,
        /// KMS's answer.
        #[source]
        source: kms::Source,
    },
    /// No credentials were found, or KMS does not accept them.
    #[error(
        "using the KMS key {arn}: no usable AWS credentials. Give Causeway a role, a profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    KmsCredentials {
        /// The key.
        arn: String,
        /// Why.
        #[source]
        source: kms::Source,
    },
    /// KMS does not answer.
    #[error(
        "using the KMS key {arn}: KMS does not answer. Check the network, and AWS_ENDPOINT_URL if it is set"
    )]
    KmsUnreachable {
        /// The key.
        arn: String,
        /// Why.
        #[source]
        source: kms::Source,
    },
    /// KMS answered something else.
    #[error("using the KMS key {arn}: KMS answered with an error")]
    Kms {
        /// The key.
        arn: String,
        /// KMS's answer.
        #[source]
        source: kms::Source,
    },
}

/// Which root key to use, as `--root-key` takes it: `file:PATH` or `aws-kms:ARN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootKeySpec {
    /// A file.
    File(PathBuf),
    /// A key in AWS KMS.
    AwsKms(KeyArn),
}

impl FromStr for RootKeySpec {
    type Err = RootKeyError;

    fn from_str(text: &str) -> Result<Self, RootKeyError> {
        let unknown = || RootKeyError::Setting { given: text.to_owned() };
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("aws-kms", arn)) => KeyArn::new(arn).map(Self::AwsKms).ok_or_else(unknown),
            _ => Err(unknown()),
        }
    }
}

impl RootKeySpec {
    /// The root key of a user who named none: `causeway/root.key` in the folder where the user's
    /// programs keep their configuration.
    pub fn in_configuration(folder: &Path) -> Self {
        Self::File(folder.join("causeway").join("root.key"))
    }

    /// Loads the root key. A key in KMS is not asked yet; [`Vault::unlock`](crate::Vault::unlock)
    /// and the first wrap do.
    pub async fn load(&self, data_folder: &Path) -> Result<RootKey, RootKeyError> {
        match self {
            Self::File(path) => FileKey::load(path, data_folder).map(RootKey::File),
            Self::AwsKms(arn) => Ok(RootKey::AwsKms(KmsKey::from_environment(arn.clone()).await)),
        }
    }

    /// Loads the root key, making its file first if there is none. For setting an installation
    /// up; an existing one whose file is gone has to fail instead of getting a new key.
    pub async fn load_or_create(
        &self,
        data_folder: &Path,
        random: &dyn Randomness,
    ) -> Result<RootKey, RootKeyError> {
        if let Self::File(path) = self {
            match FileKey::create(path, data_folder, random) {
                Ok(key) => return Ok(RootKey::File(key)),
                Err(RootKeyError::Exists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.load(data_folder).await
    }
}

/// A root key.
pub enum RootKey {
    /// Kept in a file.
    File(FileKey),
    /// Kept in AWS KMS.
    AwsKms(KmsKey),
}

impl RootKey {
    /// Its name, as data keys' records keep it: for a file the key's fingerprint, so that the
    /// file may be moved; for KMS the ARN.
    pub fn name(&self) -> &str {
        match self {
            Self::File(key) => key.name(),
            Self::AwsKms(key) => key.name(),
        }
    }

    /// Wraps a data key, bound to its workspace and its id.
    pub(crate) async fn wrap(
        &self,
        workspace: WorkspaceId,
        id: DataKeyId,
        data_key: &SecretBytes,
        random: &dyn Randomness,
    ) -> Result<Sealed, RootKeyError> {
        match self {
            Self::File(key) => key.wrap(workspace, id, data_key, random),
            Self::AwsKms(key) => key.wrap(workspace, id, data_key).await,
        }
    }

    /// Unwraps a data key.
    pub(crate) async fn unwrap(
        &self,
        workspace: WorkspaceId,
        id: DataKeyId,
        wrapped: &Sealed,
    ) -> Result<SecretBytes, RootKeyError> {
        match self {
            Self::File(key) => key.unwrap(workspace, id, wrapped),
            Self::AwsKms(key) => key.unwrap(workspace, id, wrapped).await,
        }
    }
}

impl std::fmt::Display for RootKey {
    /// The name, and for a file where it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(key) => write!(f, "{} (from {})", key.name(), key.path().display()),
            Self::AwsKms(key) => f.write_str(key.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_both_kinds_are_read_and_others_named() {
        assert_eq!(
            "file:/etc/causeway/root.key".parse::<RootKeySpec>().unwrap(),
            RootKeySpec::File("/etc/causeway/root.key".into())
        );
        let arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert!(matches!(format!("aws-kms:{arn}").parse(), Ok(RootKeySpec::AwsKms(_))));
        for wrong in [
            "",
            "file:",
            "plain",
            "/etc/root.key",
            "aws-kms:alias/mine",
            "aws-kms:arn:aws:kms:eu-central-1:123456789012:alias/mine",
            "aws-kms:arn:aws:s3:::bucket",
            "aws-kms:arn:aws:kms::123456789012:key/1",
        ] {
            let error = wrong.parse::<RootKeySpec>().unwrap_err();
            assert!(error.to_string().contains("`file:PATH` or `aws-kms:ARN`"), "{wrong}: {error}");
        }
    }
}
