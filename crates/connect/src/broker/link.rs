//! A connection as a step's code gets it.

use super::placeholder;
use crate::credential::{self, ACCESS_TOKEN, ACCESS_TOKEN_SECRET};
use crate::error::CredentialError;
use crate::refresh::Open;
use crate::{Connect, form};
use causeway_catalog::{App, HostPattern};
use causeway_identity::{Permit, action};
use causeway_types::entity::Scheme;
use causeway_types::{ConnectionId, SecretBytes, Timestamp};
use std::collections::BTreeMap;
use url::Url;

/// What the placeholders of one sandbox are made of.
pub type Seed = [u8; 32];

/// What code gets of a connection's secrets.
#[derive(Clone, Copy)]
pub enum Exposure<'a> {
    /// Placeholders of this sandbox, which the broker swaps.
    Placeholders(&'a Seed),
    /// The secrets themselves.
    Secrets,
}

/// A connection that a step is linked to.
pub struct Link {
    connection: ConnectionId,
    name: String,
    app: String,
    scheme: Scheme,
    hosts: Vec<HostPattern>,
    /// The placeholders by the field that each stands for; `None` if the code has the secrets.
    placeholders: Option<Vec<(String, String)>>,
    auth: SecretBytes,
    secrets: Vec<SecretBytes>,
    expires_at: Option<Timestamp>,
}

impl Connect {
    /// Links a step to a connection, given by its name or id. The credential is opened, and
    /// renewed if it is due, so that a step whose account is out of order does not begin.
    ///
    /// # Errors
    /// [`CredentialError`]. `NeedsReauth` and `Failing` say why.
    pub async fn link(
        &self,
        permit: &Permit<action::UseConnections>,
        name_or_id: &str,
        exposure: Exposure<'_>,
    ) -> Result<Link, CredentialError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let id = inner.named(tenant, name_or_id).await?;
        let Open { connection, stored, .. } = *inner.usable(tenant, id).await?;
        let app = inner.catalog.get(&connection.app);
        let app = app.as_deref();
        let hosts = self.hosts(&connection);
        let secrets = stored.secrets(connection.scheme, app);
        let values = stored.shown();
        let (placeholders, auth) = match exposure {
            Exposure::Secrets => (None, credential::auth_json(&values)),
            Exposure::Placeholders(seed) => {
                let made: Vec<(String, String)> = values
                    .iter()
                    .filter(|(field, _)| is_secret(app, connection.scheme, field))
                    .map(|(field, secret)| {
                        let text = placeholder::make(app, id, field, secret, seed);
                        ((*field).to_owned(), text)
                    })
                    .collect();
                let mut shown: BTreeMap<&str, &str> = values;
                shown.extend(made.iter().map(|(field, text)| (field.as_str(), text.as_str())));
                let auth = credential::auth_json(&shown);
                (Some(made), auth)
            }
        };
        let expires_at = stored.tokens.as_ref().and_then(|tokens| tokens.expires_at);
        Ok(Link {
            connection: id,
            name: connection.name,
            app: connection.app,
            scheme: connection.scheme,
            hosts,
            placeholders,
            auth,
            secrets,
            expires_at,
        })
    }
}

impl Link {
    /// What the code sees as `connections.<name>.$auth`: a JSON object.
    pub fn auth(&self) -> &SecretBytes {
        &self.auth
    }

    /// The secrets that must be masked wherever the step writes, whether its code has them or not.
    pub fn secrets(&self) -> &[SecretBytes] {
        &self.secrets
    }

    /// When the secrets stop working. Code that has them itself has no others until its next step.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The connection.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the code has the secrets.
    pub(super) fn is_exposed(&self) -> bool {
        self.placeholders.is_none()
    }

    /// The fields with the placeholders that stand for them.
    pub(super) fn placeholders(&self) -> &[(String, String)] {
        self.placeholders.as_deref().unwrap_or_default()
    }

    /// Whether a URL is at one of the app's hosts.
    pub(super) fn covers(&self, url: &Url) -> bool {
        self.hosts.iter().any(|host| host.covers(url))
    }

    /// Whether the broker sends what goes to this URL.
    pub(super) fn brokers(&self, url: &Url) -> bool {
        !self.is_exposed() && self.covers(url)
    }

    /// The port at which a host takes requests, if it is one of the app's.
    pub(super) fn port_at(&self, host: &str) -> Option<u16> {
        self.hosts.iter().find(|own| own.covers_host(host, own.port())).map(HostPattern::port)
    }
}

/// Whether a value is kept from the code. Without the app's row, everything is.
fn is_secret(app: Option<&App>, scheme: Scheme, field: &str) -> bool {
    matches!(field, ACCESS_TOKEN | ACCESS_TOKEN_SECRET)
        || app.is_none_or(|app| form::is_secret(app, scheme, field))
}
