//! A root key in AWS KMS, which never leaves it: KMS wraps and unwraps data keys.
//!
//! The encryption context names the workspace and the data key. KMS binds it to the ciphertext
//! and writes it to CloudTrail, and a key policy may restrict by it (`kms:EncryptionContext:…`).

use super::RootKeyError;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use causeway_types::place::Sealed;
use causeway_types::{DataKeyId, SecretBytes, WorkspaceId};
use std::time::Duration;

/// What the SDK says went wrong.
pub(super) type Source = Box<dyn std::error::Error + Send + Sync>;

/// The ARN of a KMS key. An alias is refused: it may come to mean another key, which would not
/// open what the first one wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyArn {
    text: String,
    region: String,
}

impl KeyArn {
    /// Reads `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`.
    pub fn new(text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let (arn, _partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let sound = arn == "arn"
            && service == "kms"
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && resource.strip_prefix("key/").is_some_and(|id| !id.is_empty());
        sound.then(|| Self { text: text.to_owned(), region: region.to_owned() })
    }

    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A root key in KMS.
pub struct KmsKey {
    arn: KeyArn,
    name: String,
    client: Client,
}

impl KmsKey {
    /// A key used with the credentials and the endpoint that AWS's own environment variables,
    /// files and metadata services give (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`
    /// and so on).
    pub async fn from_environment(arn: KeyArn) -> Self {
        let config = Box::pin(aws_config::defaults(BehaviorVersion::latest()).load()).await;
        Self::new(arn, &config)
    }

    /// A key used with this configuration; its region comes from the ARN. A call takes 10 s at
    /// most, in three attempts.
    pub fn new(arn: KeyArn, config: &SdkConfig) -> Self {
        let config = aws_sdk_kms::config::Builder::from(config)
            .region(Region::new(arn.region.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_attempt_timeout(Duration::from_secs(3))
                    .operation_timeout(Duration::from_secs(10))
                    .build(),
            )
            .build();
        Self { name: format!("aws-kms:{}", arn.text), arn, client: Client::from_conf(config) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn wrap(
        &self,
        workspace: WorkspaceId,
        id: DataKeyId,
        data_key: &SecretBytes,
    ) -> Result<Sealed, RootKeyError> {
        let answer = self
            .client
            .encrypt()
            .key_id(self.arn.as_str())
            .encryption_context("workspace", workspace.to_string())
            .encryption_context("data_key", id.to_string())
            .plaintext(Blob::new(data_key.expose().clone()))
            .send();
        let answer = Box::pin(answer).await.map_err(|error| self.failed(error))?;
        let wrapped = answer.ciphertext_blob.ok_or_else(|| self.empty())?;
        Ok(Sealed::from_bytes(wrapped.into_inner()))
    }

    pub(super) async fn unwrap(
        &self,
        workspace: WorkspaceId,
        id: DataKeyId,
        wrapped: &Sealed,
    ) -> Result<SecretBytes, RootKeyError> {
        let answer = self
            .client
            .decrypt()
            .key_id(self.arn.as_str())
            .encryption_context("workspace", workspace.to_string())
            .encryption_context("data_key", id.to_string())
            .ciphertext_blob(Blob::new(wrapped.as_bytes()))
            .send();
        let answer = Box::pin(answer).await.map_err(|error| self.failed(error))?;
        let data_key = answer.plaintext.ok_or_else(|| self.empty())?;
        Ok(SecretBytes::new(data_key.into_inner()))
    }

    fn empty(&self) -> RootKeyError {
        RootKeyError::Kms { arn: self.arn.text.clone(), source: "the answer is empty".into() }
    }

    /// Sorts KMS's errors by what their reader can do. The codes are those of the KMS API
    /// reference, "Common Errors", and of its pages on Encrypt and Decrypt.
    fn failed<E, R>(&self, error: SdkError<E, R>) -> RootKeyError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let arn = self.arn.text.clone();
        let code = error.code().map(str::to_owned);
        let lost = match &error {
            SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
            SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout(),
            _ => false,
        };
        let unsent =
            matches!(&error, SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_));
        let source: Source = Box::new(error);
        match code.as_deref() {
            Some("InvalidCiphertextException" | "IncorrectKeyException") => {
                RootKeyError::Refused { root_key: self.name.clone() }
            }
            Some("NotFoundException" | "InvalidArnException") => {
                RootKeyError::KmsUnknownKey { arn, source }
            }
            Some("AccessDeniedException" | "AccessDenied") => {
                RootKeyError::KmsDenied { arn, source }
            }
            Some("DisabledException" | "KMSInvalidStateException" | "KeyUnavailableException") => {
                RootKeyError::KmsDisabled { arn, source }
            }
            Some(
                "UnrecognizedClientException"
                | "InvalidSignatureException"
                | "InvalidClientTokenId"
                | "ExpiredTokenException"
                | "IncompleteSignature"
                | "SignatureDoesNotMatch"
                | "MissingAuthenticationToken"
                | "NotAuthorized",
            ) => RootKeyError::KmsCredentials { arn, source },
            Some("DependencyTimeoutException" | "KMSInternalException" | "ServiceUnavailable") => {
                RootKeyError::KmsUnreachable { arn, source }
            }
            _ if lost => RootKeyError::KmsUnreachable { arn, source },
            // Before a request is sent, what else can fail is finding credentials to sign it.
            _ if unsent => RootKeyError::KmsCredentials { arn, source },
            _ => RootKeyError::Kms { arn, source },
        }
    }
}
