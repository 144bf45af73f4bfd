//! What may be done with one connection.

use super::ProxyError;
use crate::Connect;
use crate::error::InvalidInput;
use causeway_identity::{Permit, ProxyRule, Scopes, action};
use causeway_store::{Audit, db};
use causeway_types::entity::Connection;
use causeway_types::{Code, Coded, ConnectionId};
use http::Method;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What may be done with a connection through the proxy and by workflows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallPolicy {
    /// The requests that may be made. None: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<ProxyRule>>,
    /// How many may be made. None: as many as the app allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<CallRate>,
}

/// How many calls may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRate {
    /// Calls…
    pub calls: u32,
    /// …in this many seconds.
    pub seconds: u32,
}

impl CallPolicy {
    /// Checks a policy that somebody sets.
    ///
    /// # Errors
    /// A rule or rate of the wrong form.
    pub(crate) fn validate(&self) -> Result<(), InvalidInput> {
        let scopes = Scopes { proxy: self.rules.clone(), ..Scopes::default() };
        scopes.check().map_err(|wrong| InvalidInput::new("rules", wrong.to_string()))?;
        match self.rate {
            Some(rate) if rate.calls == 0 || !(1..=86_400).contains(&rate.seconds) => {
                Err(InvalidInput::new("rate", "a rate is at least 1 call in 1 to 86,400 seconds"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a request may be made.
    pub(super) fn check(&self, method: &Method, path: &str) -> Result<(), ProxyError> {
        if ProxyRule::allow(self.rules.as_deref(), method.as_str(), path) {
            return Ok(());
        }
        Err(ProxyError::Policy { method: method.clone() })
    }
}

/// A policy was not set or shown.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// There is no such connection.
    #[error("finding the connection")]
    Unknown,
    /// The policy has the wrong form.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The stored one does not read.
    #[error("reading the policy of {0}")]
    Corrupt(ConnectionId),
    /// The store failed.
    #[error("writing the policy")]
    Store(#[from] causeway_store::Error),
}

impl Coded for PolicyError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::Invalid(_) => Code::InvalidRequest,
            Self::Corrupt(_) => Code::Internal,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unknown => "There is no such connection in this environment.".into(),
            Self::Invalid(source) => source.public(),
            Self::Corrupt(id) => {
                format!("The policy of {id} cannot be read, so nothing is allowed. Set it again.")
                    .into()
            }
            Self::Store(source) => source.public(),
        }
    }
}

impl Connect {
    /// What may be done with a connection; `None`: everything.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub async fn call_policy(
        &self,
        permit: &Permit<action::ReadConnections>,
        id: ConnectionId,
    ) -> Result<Option<CallPolicy>, PolicyError> {
        let mut conn = self.inner.store.read().await?;
        let one = db!(conn, connection::overview(permit.tenant(), id))?
            .filter(|one| permit.covers_app(&one.app).is_ok())
            .ok_or(PolicyError::Unknown)?;
        let read = |text: &String| serde_json::from_str(text);
        one.policy.as_ref().map(read).transpose().map_err(|_| PolicyError::Corrupt(id))
    }

    /// Sets what may be done with a connection; with `None`, everything may.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub async fn set_call_policy(
        &self,
        permit: &Permit<action::WriteConnections>,
        id: ConnectionId,
        policy: Option<CallPolicy>,
    ) -> Result<(), PolicyError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let now = inner.clock.now();
        let text = match &policy {
            Some(policy) => {
                policy.validate()?;
                Some(serde_json::to_string(policy).map_err(|_| PolicyError::Corrupt(id))?)
            }
            None => None,
        };
        let mut tx = inner.store.write(permit.actor()).await?;
        let present = db!(tx, connection::overview(tenant, id))?;
        if present.is_none_or(|one| permit.covers_app(&one.app).is_err())
            || !db!(tx, connection::set_policy(tenant, id, text.as_deref(), now))?
        {
            return Err(PolicyError::Unknown);
        }
        let event = Audit::ConnectionPolicySet { connection: id, confined: policy.is_some() };
        tx.commit(tenant.workspace, now, event).await?;
        inner.remembered.forget(tenant, id);
        Ok(())
    }
}

/// The policy of a connection. One that does not read forbids everything.
pub(super) fn of(connection: &Connection) -> Result<CallPolicy, ProxyError> {
    let Some(text) = &connection.policy else { return Ok(CallPolicy::default()) };
    serde_json::from_str(text).map_err(|_| ProxyError::CorruptPolicy { connection: connection.id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_what_passes() {
        let rule = ProxyRule { methods: vec!["GET".into()], paths: vec!["/v1/**".into()] };
        let policy = CallPolicy { rules: Some(vec![rule]), rate: None };
        assert!(policy.check(&Method::GET, "/v1/x/y").is_ok());
        assert!(policy.check(&Method::POST, "/v1/x").is_err());
        assert!(policy.check(&Method::GET, "/v2/x").is_err());
        let nothing = CallPolicy { rules: Some(Vec::new()), rate: None };
        assert!(nothing.check(&Method::GET, "/").is_err());
        assert!(CallPolicy::default().check(&Method::DELETE, "/").is_ok());
        let never = CallPolicy { rate: Some(CallRate { calls: 0, seconds: 1 }), rules: None };
        assert!(never.validate().is_err());
    }
}
