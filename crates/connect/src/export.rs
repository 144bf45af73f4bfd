//! Credentials in clear for the company itself: only where an environment's settings let them out,
//! only for who may, and each written down before it is shown.

use crate::credential::{ACCESS_TOKEN, ACCESS_TOKEN_SECRET, Stored};
use crate::error::CredentialError;
use crate::refresh::Purpose;
use crate::{Connect, Inner};
use causeway_identity::{Denied, Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::{Connection, ConnectionState};
use causeway_types::{Code, Coded, ConnectionId, SecretBytes, Tenant};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

/// Credentials that are renewed at once for an export.
const AT_ONCE: usize = 8;

/// A credential in clear.
pub struct Exported {
    /// The connection.
    pub connection: ConnectionId,
    /// Its values by name, as a JSON object: the fields of the app and the scheme, what is kept of
    /// answers, `oauth_client_id`, `oauth_access_token`, `oauth_refresh_token` and the like.
    pub values: SecretBytes,
}

/// Credentials cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The environment's settings forbid it.
    #[error("exporting credentials, which the environment's settings forbid")]
    Off,
    /// The caller is confined to other apps.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// One cannot be had.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The store failed.
    #[error("writing down that credentials are exported")]
    Store(#[from] causeway_store::Error),
}

impl Coded for ExportError {
    fn code(&self) -> Code {
        match self {
            Self::Off => Code::CredentialExportOff,
            Self::Denied(source) => source.code(),
            Self::Credential(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Off => {
                "The settings of this environment keep credentials in. Call the app through the proxy, or let `credential_export` be set with `PUT /api/v1/connect-settings`.".into()
            }
            Self::Denied(source) => source.public(),
            Self::Credential(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Connect {
    /// Whether credentials of an environment may leave Causeway in clear: through an
    /// export, or into a step's own code.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn lets_credentials_out(&self, tenant: Tenant) -> causeway_store::Result<bool> {
        Ok(self.inner.settings_of(tenant).await?.credential_export != 0)
    }

    /// Takes credentials out in clear, renewed first where they have to be and can be. One that
    /// cannot be renewed is given as it is: its connection says why. Each is written into the audit
    /// chain before anything is returned.
    ///
    /// # Errors
    /// [`ExportError`]; nothing is given out then.
    pub async fn export_credentials(
        &self,
        permit: &Permit<action::ExportCredentials>,
        ids: &[ConnectionId],
    ) -> Result<Vec<Exported>, ExportError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        if !self.lets_credentials_out(tenant).await? {
            return Err(ExportError::Off);
        }
        let mut exported = inner.opened_all(tenant, ids).await?;
        for (connection, _) in &exported {
            permit.covers_app(&connection.app)?;
        }
        exported.sort_by_key(|(connection, _)| connection.id);
        let now = inner.clock.now();
        let event = |id| Audit::CredentialExported { connection: id };
        let Some(((last, _), others)) = exported.split_last() else { return Ok(Vec::new()) };
        let mut tx = inner.store.write(permit.actor()).await?;
        for (connection, _) in others {
            tx.record(tenant.workspace, now, event(connection.id)).await?;
        }
        tx.commit(tenant.workspace, now, event(last.id)).await?;
        let shown = |(connection, values)| Exported { connection, values };
        Ok(exported
            .into_iter()
            .map(|(connection, values)| shown((connection.id, values)))
            .collect())
    }
}

impl Inner {
    /// Opens some credentials.
    async fn opened_all(
        self: &Arc<Self>,
        tenant: Tenant,
        ids: &[ConnectionId],
    ) -> Result<Vec<(Connection, SecretBytes)>, CredentialError> {
        let mut running = JoinSet::new();
        let mut opened = Vec::with_capacity(ids.len());
        for id in ids.iter().copied() {
            if running.len() >= AT_ONCE
                && let Some(done) = running.join_next().await
            {
                opened.push(ended(done, id)?);
            }
            let own = Arc::clone(self);
            running.spawn(async move { own.opened_one(tenant, id).await });
        }
        while let Some(done) = running.join_next().await {
            opened.push(ended(done, ConnectionId::lowest())?);
        }
        Ok(opened)
    }

    async fn opened_one(
        self: &Arc<Self>,
        tenant: Tenant,
        id: ConnectionId,
    ) -> Result<(Connection, SecretBytes), CredentialError> {
        let (connection, stored) = match self.usable(tenant, id).await {
            Ok(open) => (open.connection, open.stored),
            Err(CredentialError::NeedsReauth { .. } | CredentialError::Failing { .. }) => {
                let mut conn = self.store.read().await?;
                let connection = db!(conn, connection::get(tenant, id))?
                    .filter(|one| one.state != ConnectionState::Revoked)
                    .ok_or(CredentialError::Unknown)?;
                drop(conn);
                let stored = self.open_stored(tenant, &connection, Purpose::Use).await?;
                (connection, stored)
            }
            Err(error) => return Err(error),
        };
        let client_id = match connection.oauth_client_id {
            Some(client) => {
                let mut conn = self.store.read().await?;
                let found = db!(conn, oauth_client::get(tenant, client))?;
                found.map(|client| client.client_id)
            }
            None => None,
        };
        let values = to_json(&stored, &connection, client_id.as_deref());
        Ok((connection, values))
    }
}

fn ended<T>(
    done: Result<Result<T, CredentialError>, tokio::task::JoinError>,
    connection: ConnectionId,
) -> Result<T, CredentialError> {
    done.map_err(|_| CredentialError::Stopped { connection })?
}

/// The values in the buffer of a secret, large enough at once that growing leaves no copies behind:
/// an escape makes six bytes of one.
fn to_json(stored: &Stored, connection: &Connection, client_id: Option<&str>) -> SecretBytes {
    let mut values: BTreeMap<&str, &str> = stored
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose().as_str()))
        .collect();
    if let Some(tokens) = &stored.tokens {
        let refresh = tokens.refresh.as_ref().map(|token| token.expose().as_str());
        for (name, value) in [
            (ACCESS_TOKEN, stored.value(ACCESS_TOKEN)),
            (ACCESS_TOKEN_SECRET, stored.value(ACCESS_TOKEN_SECRET)),
            ("oauth_refresh_token", refresh),
            ("oauth_client_id", client_id),
            ("oauth_uid", connection.account_id.as_deref()),
        ] {
            if let Some(value) = value {
                values.insert(name, value);
            }
        }
    }
    let size: usize = values.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    let mut buffer = Zeroizing::new(Vec::with_capacity(size * 6 + 64));
    // Writing texts into memory cannot fail.
    let _ = serde_json::to_writer(&mut *buffer, &values);
    SecretBytes::new(std::mem::take(&mut *buffer))
}
