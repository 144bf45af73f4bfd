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

/// What KMS may answer, and what the operator is told.
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

    // A disabled key does not wrap.
    client(moto.endpoint()).await.disable_key().key_id(arn.as_str()).send().await.unwrap();
    let error = wrap_error(&store, &vault).await;
    assert!(matches!(error, RootKeyError::KmsDisabled { .. }), "{error:?}");
    assert!(error.to_string().contains("disabled or scheduled for deletion"), "{error}");

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

async fn wrap_error(store: &Store, vault: &Vault) -> RootKeyError {
    let mut tx = store.write(Actor::Machine).await.unwrap();
    let workspace = WorkspaceId::generate(clock().now(), &OsRandom);
    match vault.create_data_key(&mut tx, workspace, clock().now()).await.err().unwrap() {
        VaultError::Wrap { source, .. } => source,
        other => panic!("{other:?}"),
    }
}
