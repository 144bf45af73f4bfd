//! The first workspace, and keys for whoever has the machine.

use crate::scope::Scopes;
use crate::token::{self, Plain, TokenKey};
use crate::workspaces::insert_workspace;
use causeway_store::{Audit, Store, WriteTx, db};
use causeway_types::entity::{ApiKey, Environment, EnvironmentKind, MachineClient};
use causeway_types::{
    Actor, ApiKeyId, Clock, Code, Coded, EnvironmentId, INSTALLATION, MachineClientId, NodeId,
    ProjectId, Randomness, SecretString, Timestamp, WorkspaceId,
};
use causeway_vault::Vault;
use std::borrow::Cow;

/// What the first workspace is called, and where the new key leads.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// The workspace's name; used only if there is none yet.
    pub workspace_name: String,
    /// The project's name; used only if there is none yet.
    pub project_name: String,
    /// The environment that the new API key and machine client open.
    pub environment: EnvironmentKind,
}

/// An installation and the new keys to it. The secrets are nowhere else: show them now.
pub struct Installation {
    /// Whether the workspace was made now; otherwise only the keys are new.
    pub created: bool,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The project.
    pub project: ProjectId,
    /// Its `development` environment.
    pub development: EnvironmentId,
    /// Its `production` environment.
    pub production: EnvironmentId,
    /// The record of the new API key.
    pub api_key_id: ApiKeyId,
    /// The new API key.
    pub api_key: SecretString,
    /// The new machine client; its id is the OAuth `client_id`.
    pub client_id: MachineClientId,
    /// Its secret.
    pub client_secret: SecretString,
}

/// The first workspace could not be made, or its keys could not.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The store failed.
    #[error("writing the workspace")]
    Store(#[from] causeway_store::Error),
    /// The workspace's data key could not be made.
    #[error("making the workspace's data key")]
    Vault(#[from] causeway_vault::VaultError),
    /// The first workspace lacks an environment.
    #[error("finding the {} environment of {workspace}", kind.as_str())]
    NoEnvironment {
        /// The workspace.
        workspace: WorkspaceId,
        /// The environment that is missing.
        kind: EnvironmentKind,
    },
}

impl Coded for BootstrapError {
    fn code(&self) -> Code {
        match self {
            Self::Store(source) => source.code(),
            Self::Vault(source) => source.code(),
            Self::NoEnvironment { .. } => Code::Internal,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Store(source) => source.public(),
            Self::Vault(source) => source.public(),
            Self::NoEnvironment { .. } => {
                "The database holds a workspace without its environments. Restore it from a backup."
                    .into()
            }
        }
    }
}

/// Makes the first workspace with a project, its two environments, a data key, an API key and a
/// machine client, all in one transaction. If there is a workspace already, only the API key and
/// the machine client are new: so a lost key is replaced by whoever has the machine.
///
/// # Errors
/// See [`BootstrapError`]; nothing is kept then.
pub async fn bootstrap(
    store: &Store,
    vault: &Vault,
    token_key: &TokenKey,
    clock: &dyn Clock,
    random: &dyn Randomness,
    wanted: &Bootstrap,
) -> Result<Installation, BootstrapError> {
    let now = clock.now();
    let mut tx = store.write(Actor::Machine).await?;
    lock(&mut tx, now).await?;
    let (environments, created) = first_workspace(&mut tx, vault, now, random, wanted).await?;
    let target = environments.get(wanted.environment);
    let (key, api_key) = new_api_key(target, token_key, now, random);
    db!(tx, api_key::insert(&key))?;
    let (client, client_secret) = new_machine_client(target, token_key, now, random);
    db!(tx, machine_client::insert(&client))?;
    let workspace = target.workspace_id;
    let event = if created {
        Audit::WorkspaceCreated { workspace, name: wanted.workspace_name.clone() }
    } else {
        Audit::ApiKeyCreated { key: key.id, name: key.name.clone() }
    };
    tx.commit(workspace, now, event).await?;
    Ok(Installation {
        created,
        workspace,
        project: target.project_id,
        development: environments.development.id,
        production: environments.production.id,
        api_key_id: key.id,
        api_key,
        client_id: client.id,
        client_secret,
    })
}

pub(crate) struct Environments {
    development: Environment,
    production: Environment,
}

impl Environments {
    /// The workspace that they belong to.
    pub(crate) fn workspace(&self) -> WorkspaceId {
        self.development.workspace_id
    }

    fn get(&self, kind: EnvironmentKind) -> &Environment {
        match kind {
            EnvironmentKind::Development => &self.development,
            EnvironmentKind::Production => &self.production,
        }
    }
}

/// Lets one bootstrap at a time pass on both databases. Writing the row of a node that cannot
/// exist makes a second transaction wait until this one ends, and leaves nothing.
pub(crate) async fn lock(tx: &mut WriteTx, now: Timestamp) -> causeway_store::Result<()> {
    let nobody =
        causeway_types::entity::Node { id: NodeId::lowest(), started_at: now, lease_until: now };
    db!(tx, node::heartbeat(&nobody))?;
    db!(tx, node::remove(nobody.id))
}

/// The environments of the oldest workspace, and whether it was made now because there was none.
/// Its event is the caller's to write.
pub(crate) async fn first_workspace(
    tx: &mut WriteTx,
    vault: &Vault,
    now: Timestamp,
    random: &dyn Randomness,
    wanted: &Bootstrap,
) -> Result<(Environments, bool), BootstrapError> {
    let oldest =
        db!(tx, workspace::all())?.into_iter().find(|workspace| workspace.id != INSTALLATION);
    if let Some(workspace) = oldest {
        let found = db!(tx, workspace::environments(workspace.id))?;
        return Ok((environments(workspace.id, &found)?, false));
    }
    let names = (wanted.workspace_name.as_str(), wanted.project_name.as_str());
    let made = insert_workspace::<BootstrapError>(tx, vault, names, now, random).await?;
    let (workspace, project) = made;
    Ok((environments(workspace.id, &project.environments)?, true))
}

fn environments(
    workspace: WorkspaceId,
    found: &[Environment],
) -> Result<Environments, BootstrapError> {
    let first = |kind| {
        found
            .iter()
            .find(|environment| environment.kind == kind)
            .cloned()
            .ok_or(BootstrapError::NoEnvironment { workspace, kind })
    };
    Ok(Environments {
        development: first(EnvironmentKind::Development)?,
        production: first(EnvironmentKind::Production)?,
    })
}

fn new_api_key(
    target: &Environment,
    token_key: &TokenKey,
    now: Timestamp,
    random: &dyn Randomness,
) -> (ApiKey, SecretString) {
    let (tenant, plain) = (target.tenant(), Plain::<token::ApiKey>::generate(random));
    let key = ApiKey {
        id: ApiKeyId::generate(now, random),
        workspace_id: tenant.workspace,
        project_id: tenant.project,
        environment_id: tenant.environment,
        name: "bootstrap".to_owned(),
        hint: plain.hint(),
        digest: plain.keyed_digest(token_key).to_vec(),
        scopes: Scopes::of_the_machine().to_text(),
        created_by: Actor::Machine.to_string(),
        created_at: now,
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    (key, plain.reveal())
}

fn new_machine_client(
    target: &Environment,
    token_key: &TokenKey,
    now: Timestamp,
    random: &dyn Randomness,
) -> (MachineClient, SecretString) {
    let (tenant, plain) = (target.tenant(), Plain::<token::ClientSecret>::generate(random));
    let client = MachineClient {
        id: MachineClientId::generate(now, random),
        workspace_id: tenant.workspace,
        project_id: tenant.project,
        environment_id: tenant.environment,
        name: "bootstrap".to_owned(),
        digest: Some(plain.keyed_digest(token_key).to_vec()),
        old_digest: None,
        old_until: None,
        public_keys: None,
        scopes: Scopes::default().to_text(),
        created_by: Actor::Machine.to_string(),
        created_at: now,
        last_used_at: None,
        revoked_at: None,
    };
    (client, plain.reveal())
}
