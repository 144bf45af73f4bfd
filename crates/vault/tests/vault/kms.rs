//! Root keys in AWS KMS, played by moto, which really encrypts.

use crate::house::{set_up, unlock};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::config::Credentials;
use aws_sdk_kms::primitives::Blob;
use causeway_store::testing::TestDatabase;
use causeway_store::{Store, db, on_both};
use causeway_testkit::moto::Moto;
use causeway_types::{
    Actor, Clock as _, ConnectionId, EnvironmentId, ManualClock, OsRandom, Place, ProjectId,
    Tenant, Timestamp, WorkflowId, WorkspaceId,
};
use causeway_vault::{FileKey, KeyArn, KmsKey, RootKey, RootKeyError, Vault, VaultError, rewrap};
use std::error::Error as _;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

on_both!(data_keys_are_wrapped_by_kms, a_key_file_is_exchanged_for_kms_and_back);

async fn configuration(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .load()
        .await
}

async fn client(endpoint: &str) -> aws_sdk_kms::Client {
    aws_sdk_kms::Client::new(&configuration(endpoint).await)
}

async fn new_key(moto: &Moto) -> KeyArn {
    let made = client(moto.endpoint()).await.create_key().send().await.unwrap();
    KeyArn::new(made.key_metadata().unwrap().arn().unwrap()).unwrap()
}

async fn root(moto: &Moto, arn: &KeyArn) -> RootKey {
    RootKey::AwsKms(KmsKey::new(arn.clone(), &configuration(moto.endpoint()).await))
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_micros(1_790_000_000_000_000)))
}

fn place() -> Place {
    Place::ConnectionCredential(ConnectionId::lowest())
}

/// A workspace with a data key, and a seal under it.
async fn furnished(store: &Store, vault: &Vault) -> (WorkspaceId, causeway_types::place::Sealed) {
    let now = clock().now();
    let tenant = Tenant {
        workspace: WorkspaceId::generate(now, &OsRandom),
        project: ProjectId::generate(now, &OsRandom),
        environment: EnvironmentId::generate(now, &OsRandom),
    };
    set_up(store, vault, tenant, WorkflowId::generate(now, &OsRandom), now).await;
    let sealed = vault.seal(tenant.workspace, &place(), b"canary").await.unwrap();
    (tenant.workspace, sealed)
}

async fn data_keys_are_wrapped_by_kms(database: TestDatabase) {
    let moto = Moto::start().unwrap();
    let (store, clock) = (database.store.clone(), clock());
    let arn = new_key(&moto).await;
    let vault = unlock(&store, root(&moto, &arn).await, &clock).await.unwrap();
    assert_eq!(vault.root_key(), format!("aws-kms:{}", arn.as_str()));
    let (workspace, sealed) = furnished(&store, &vault).await;

    // Another process, the same key.
    let again = unlock(&store, root(&moto, &arn).await, &clock).await.unwrap();
    assert_eq!(again.check().await.unwrap(), 1);
    assert_eq!(again.open(workspace, &place(), &sealed).await.unwrap().expose(), b"canary");

    // KMS really encrypted: with the encryption context of the right workspace and data key it
    // gives 32 bytes that are nowhere in what is stored, and with another it refuses.
    let mut conn = store.read().await.unwrap();
    let key = db!(conn, data_key::of_workspace(workspace)).unwrap().remove(0);
    let decrypt = async |workspace: &str, data_key: &str| {
        client(moto.endpoint())
            .await
            .decrypt()
            .ciphertext_blob(Blob::new(key.wrapped.as_bytes()))
            .encryption_context("workspace", workspace)
            .encryption_context("data_key", data_key)
            .send()
            .await
    };
    let (own, id) = (workspace.to_string(), key.id.to_string());
    let plain = decrypt(&own, &id).await.unwrap().plaintext.unwrap().into_inner();
    assert_eq!(plain.len(), 32);
    let wrapped = key.wrapped.as_bytes();
    assert!(!wrapped.windows(8).any(|part| plain.windows(8).any(|known| known == part)));
    let stranger = WorkspaceId::generate(clock.now(), &OsRandom).to_string();
    assert!(decrypt(&stranger, &id).await.is_err());
    assert!(decrypt(&own, "dk_another").await.is_err());

    // A data key that was moved to another workspace's row does not unwrap.
    let (other, _) = furnished(&store, &vault).await;
    let mut tx = store.write(Actor::Machine).await.unwrap();
    let theirs = db!(tx, data_key::of_workspace(other)).unwrap().remove(0);
    db!(tx, data_key::rewrap(other, theirs.id, &theirs.wrapped, &key.root_key, &key.wrapped))
        .unwrap();
    tx.commit_bookkeeping(causeway_store::Bookkeeping::Rotation).await.unwrap();
    vault.forget(other);
    let error = vault.seal(other, &place(), b"x").await.err().unwrap();
    assert!(refused(&error), "{error:?}");

    // Another key of the same KMS.
    let another = new_key(&moto).await;
    let error = unlock(&store, root(&moto, &another).await, &clock).await.err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, VaultError::WrongRootKey { .. }));
    assert!(text.contains(arn.as_str()) && text.contains(another.as_str()), "{text}");
}

fn refused(error: &VaultError) -> bool {
    matches!(error, VaultError::Unwrap { source: RootKeyError::Refused { .. }, .. })
}

async fn a_key_file_is_exchanged_for_kms_and_back(database: TestDatabase) {
    let moto = Moto::start().unwrap();
    let (store, clock) = (database.store.clone(), clock());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    let file = || RootKey::File(FileKey::load(&path, database.folder()).ok().unwrap());
    FileKey::create(&path, database.folder(), &OsRandom).ok().unwrap();
    let vault = unlock(&store, file(), &clock).await.unwrap();
    let (workspace, sealed) = furnished(&store, &vault).await;
    let arn = new_key(&moto).await;
    let kms = root(&moto, &arn).await;
    for (from, to) in [(&file(), &kms), (&kms, &file())] {
        assert_eq!(rewrap(&store, from, to, Actor::Machine, &*clock, &OsRandom).await.unwrap(), 1);
        let to = if matches!(to, RootKey::File(_)) { file() } else { root(&moto, &arn).await };
        let vault = unlock(&store, to, &clock).await.unwrap();
        assert_eq!(vault.open(workspace, &place(), &sealed).await.unwrap().expose(), b"canary");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_kms_say_what_to_do() {
    let moto = Moto::start().unwrap();
    let database = TestDatabase::sqlite().await;
    let (store, clock) = (database.store.clone(), clock());
    let arn = new_key(&moto).await;
    let vault = unlock(&store, root(&moto, &arn).await, &clock).await.unwrap();
    furnished(&store, &vault).await;

    // The right name, but the ciphertext is another key's.
    let another = new_key(&moto).await;
    let elsewhere = root(&moto, &another).await;
    let mut tx = store.write(Actor::Machine).await.unwrap();
    let key = db!(tx, data_key::all()).unwrap().remove(0);
    let name = elsewhere.name().to_owned();
    db!(tx, data_key::rewrap(key.workspace_id, key.id, &key.wrapped, &name, &key.wrapped)).unwrap();
    tx.commit_bookkeeping(causeway_store::Bookkeeping::Rotation).await.unwrap();
    let error = unlock(&store, elsewhere, &clock).await.err().unwrap();
    // AWS answers IncorrectKeyException here, moto AccessDeniedException.
    assert!(
        refused(&error)
            || matches!(error, VaultError::Unwrap { source: RootKeyError::KmsDenied { .. }, .. }),
        "{error:?}"
    );

    // No such key.
    let region_and_account = arn.as_str().rsplit_once('/').unwrap().0;
    let missing = format!("{region_and_account}/00000000-0000-0000-0000-000000000000");
    let missing = KeyArn::new(&missing).unwrap();
    let fresh = TestDatabase::sqlite().await;
    let vault = unlock(&fresh.store, root(&moto, &missing).await, &clock).await.unwrap();
    let error = wrap_error(&fresh.store, &vault).await;
    assert!(matches!(error, RootKeyError::KmsUnknownKey { .. }), "{error:?}");
    assert!(error.to_string().contains(missing.as_str()), "{error}");

    // KMS is down.
    let down = root(&moto, &arn).await;
    drop(moto);
    let vault = unlock(&fresh.store, down, &clock).await.unwrap();
    let error = wrap_error(&fresh.store, &vault).await;
    assert!(matches!(error, RootKeyError::KmsUnreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("AWS_ENDPOINT_URL"), "{error}");
    assert!(error.source().is_some(), "the SDK's own error is in the chain");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_credentials_are_named() {
    let moto = Moto::start().unwrap();
    let database = TestDatabase::sqlite().await;
    let arn = new_key(&moto).await;
    let nobody = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(moto.endpoint())
        .build();
    let root = RootKey::AwsKms(KmsKey::new(arn, &nobody));
    let vault = unlock(&database.store, root, &clock()).await.unwrap();
    let error = wrap_error(&database.store, &vault).await;
    assert!(matches!(error, RootKeyError::KmsCredentials { .. }), "{error:?}");
    assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
}

/// Errors that KMS has and moto does not, in the form of the KMS API reference: an answer with
/// status 400 whose `__type` names the error.
#[tokio::test(flavor = "multi_thread")]
async fn other_answers_of_kms_are_sorted_by_what_to_do() {
    let database = TestDatabase::sqlite().await;
    let arn = KeyArn::new("arn:aws:kms:eu-central-1:123456789012:key/some").unwrap();
    for (answer, expected) in [
        ("DisabledException", "disabled or scheduled for deletion"),
        ("KMSInvalidStateException", "disabled or scheduled for deletion"),
        ("AccessDeniedException", "Allow kms:Encrypt and kms:Decrypt"),
        ("UnrecognizedClientException", "no usable AWS credentials"),
        ("ExpiredTokenException", "no usable AWS credentials"),
        ("IncorrectKeyException", "not the one that wrapped this data key"),
        ("InvalidCiphertextException", "not the one that wrapped this data key"),
        ("DependencyTimeoutException", "KMS does not answer"),
        ("ValidationException", "KMS answered with an error"),
    ] {
        let endpoint = answering(answer).await;
        let key = KmsKey::new(arn.clone(), &configuration(&endpoint).await);
        let vault = unlock(&database.store, RootKey::AwsKms(key), &clock()).await.unwrap();
        let error = wrap_error(&database.store, &vault).await;
        assert!(error.to_string().contains(expected), "{answer}: {error}");
        assert!(error.to_string().contains(arn.as_str()), "{answer}: {error}");
    }
}

/// A server that answers every request with one error.
async fn answering(error: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // What is asked does not matter, but it has to be read to its end, a JSON object's.
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            let body = format!(r#"{{"__type":"{error}","message":"no"}}"#);
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    endpoint
}

async fn wrap_error(store: &Store, vault: &Vault) -> RootKeyError {
    let mut tx = store.write(Actor::Machine).await.unwrap();
    let workspace = WorkspaceId::generate(clock().now(), &OsRandom);
    match vault.create_data_key(&mut tx, workspace, clock().now()).await.err().unwrap() {
        VaultError::Wrap { source, .. } => source,
        other => panic!("{other:?}"),
    }
}
