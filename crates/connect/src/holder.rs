//! Connect tokens: links whose token also lets its customer call the API, on what is his own.
//!
//! A *token* is a connect session like any other, made with a *scope*. Until a connection has come
//! of it, or its time is over, whoever holds it (the *holder*) acts as the customer: he lists his
//! connections, makes one, deletes them, calls apps with them, and sees no other customer's.

use crate::error::InvalidInput;
use crate::link::LinkError;
use crate::overrides::FilledError;
use crate::sessions::{NewSession, SessionCreated, SessionError, tenant_of};
use crate::{Connect, Inner};
use causeway_identity::action::{Action, ActionName, CustomerAction};
use causeway_identity::{Denied, DeniedReason, Permit, action};
use causeway_store::db;
use causeway_types::entity::ConnectSession;
use causeway_types::{Actor, Code, Coded, ConnectSessionId, Tenant};
use causeway_vault::VaultError;
use std::borrow::Cow;
use std::time::Duration;

/// The longest that a token works, and how long it does if nothing is said.
pub const TOKEN_LIFETIME: Duration = Duration::from_hours(4);
/// The scope of a token for which none is named.
const EVERYTHING: &str = "connect:*";
/// Longest scope, in bytes.
const SCOPE: usize = 1024;

/// A token to make.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// What its customer shall connect.
    pub session: NewSession,
    /// What may be done with it: words of the Pipedream contract, like `connect:accounts:read`,
    /// separated by spaces; everything if `None`.
    pub scope: Option<String>,
}

/// What may be done with a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rights(Vec<ActionName>);

/// The customer who holds a token, as far as the token proves it.
#[derive(Debug, Clone)]
pub struct Holder {
    session: ConnectSessionId,
    tenant: Tenant,
    external_id: String,
    origins: Vec<String>,
    rights: Rights,
}

/// A token cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its session cannot be made.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A field has the wrong form.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// It is unknown, used or expired, or a link and nothing else.
    #[error("looking up a connect token")]
    Refused(#[source] Option<LinkError>),
    /// It was made for something else than what is asked of it.
    #[error("using a connect token for another {what} than its own")]
    Other {
        /// What is another.
        what: &'static str,
    },
    /// What its override fills in cannot be read.
    #[error(transparent)]
    Filled(#[from] FilledError),
    /// The token could not be sealed or opened.
    #[error("sealing or opening a connect token")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("reading or writing a connect token")]
    Store(#[from] causeway_store::Error),
}

impl From<LinkError> for TokenError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Store(source) => Self::Store(source),
            other => Self::Refused(Some(other)),
        }
    }
}

impl Coded for TokenError {
    fn code(&self) -> Code {
        match self {
            Self::Session(source) => source.code(),
            Self::Invalid(_) => Code::InvalidRequest,
            Self::Refused(_) => Code::Unauthenticated,
            Self::Other { .. } => Code::NotFound,
            Self::Filled(source) => source.code(),
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Session(source) => source.public(),
            Self::Invalid(source) => source.public(),
            Self::Refused(_) => {
                "The connect token is unknown, has been used or has expired. Make a new one.".into()
            }
            Self::Other { what } => format!(
                "The connect token is not for this {what}, or this customer has no such {what}."
            )
            .into(),
            Self::Filled(source) => source.public(),
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Rights {
    /// Reads a scope. Words of the contract that nothing here answers to are passed over.
    fn read(scope: &str) -> Self {
        use ActionName::{ReadConnections, RunComponents, UseProxy, WriteConnections};
        let named = |word| -> &[ActionName] {
            match word {
                "*" | "connect:*" => &[ReadConnections, WriteConnections, UseProxy, RunComponents],
                "connect:accounts:*" => &[ReadConnections, WriteConnections],
                "connect:accounts:read" => &[ReadConnections],
                "connect:accounts:write" => &[WriteConnections],
                "connect:actions:*" => &[RunComponents],
                "connect:proxy" | "connect:proxy:*" => &[UseProxy],
                _ => &[],
            }
        };
        Self(scope.split_ascii_whitespace().flat_map(named).copied().collect())
    }

    fn carry(&self, action: ActionName) -> bool {
        self.0.contains(&action)
    }
}

impl Holder {
    /// The environment.
    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The company's own id for the customer.
    pub fn customer(&self) -> &str {
        &self.external_id
    }

    /// The customer as the audit chain names him.
    pub fn actor(&self) -> Actor {
        Actor::Customer(self.session)
    }

    /// Whether pages of this origin may call with the token.
    pub fn is_called_from(&self, origin: &str) -> bool {
        self.origins.iter().any(|one| one == origin)
    }

    pub(crate) fn session(&self) -> ConnectSessionId {
        self.session
    }

    /// Whether the token is for this action at all.
    pub(crate) fn covers<A: CustomerAction>(&self) -> Result<(), Denied> {
        if self.rights.carry(A::NAME) {
            return Ok(());
        }
        let (actor, workspace) = (self.actor(), self.tenant.workspace);
        Err(Denied { action: A::NAME, actor, workspace, reason: DeniedReason::NotGranted })
    }

    /// A permit for what was seen to be the customer's own.
    pub(crate) fn permit<A: CustomerAction + Action<Within = Tenant>>(&self) -> Permit<A> {
        Permit::for_customer(self.session, self.tenant)
    }
}

impl Connect {
    /// Makes a token. It works for four hours at most, and makes one connection.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn create_token(
        &self,
        permit: &Permit<action::WriteConnections>,
        new: NewToken,
    ) -> Result<SessionCreated, TokenError> {
        let scope = new.scope.unwrap_or_else(|| EVERYTHING.to_owned());
        check_scope(&scope)?;
        let lifetime = new.session.lifetime.unwrap_or(TOKEN_LIFETIME);
        if lifetime > TOKEN_LIFETIME {
            let message = "a token works for 60 to 14,400 seconds";
            return Err(InvalidInput::new("expires_in", message).into());
        }
        let session = NewSession { lifetime: Some(lifetime), ..new.session };
        Ok(self.make_session(permit, session, Some(&scope)).await?)
    }

    /// The customer who holds a token: `cwl_…`, as links carry it.
    ///
    /// # Errors
    /// [`TokenError::Refused`]. What is wrong with it is not told.
    pub async fn holder(&self, token: &str) -> Result<Holder, TokenError> {
        let inner = &self.inner;
        let session = inner.session_of(token).await?;
        inner.still_open(&session)?;
        inner.held(&session).await
    }
}

impl Inner {
    /// The holder of a session's token.
    pub(crate) async fn held(&self, session: &ConnectSession) -> Result<Holder, TokenError> {
        let tenant = tenant_of(session);
        let mut conn = self.store.read().await?;
        let token = db!(conn, connect_token::get(tenant.workspace, session.id))?;
        let scope = token.and_then(|token| token.scope).ok_or(TokenError::Refused(None))?;
        let customer = db!(conn, customer::get(tenant, session.customer_id))?
            .ok_or(TokenError::Refused(None))?;
        Ok(Holder {
            session: session.id,
            tenant,
            external_id: customer.external_id,
            origins: session.allowed_origins.split_whitespace().map(Into::into).collect(),
            rights: Rights::read(&scope),
        })
    }

    /// The session that a holder has, if it is still his to use: no connection has come of it, and
    /// no browser has gone on with it, whose customer would find somebody else's account there.
    pub(crate) async fn unbound_session(
        &self,
        tenant: Tenant,
        id: ConnectSessionId,
    ) -> Result<ConnectSession, LinkError> {
        let mut conn = self.store.read().await?;
        let session = db!(conn, connect_session::get_in(tenant, id))?.ok_or(LinkError::Unknown)?;
        self.still_open(&session)?;
        match session.browser_digest {
            Some(_) => Err(LinkError::OtherBrowser),
            None => Ok(session),
        }
    }
}

fn check_scope(scope: &str) -> Result<(), InvalidInput> {
    let known = |word: &str| word == "*" || word.starts_with("connect:");
    let visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let fits = !scope.trim().is_empty() && scope.len() <= SCOPE && scope.bytes().all(visible);
    if fits && scope.split_ascii_whitespace().all(known) {
        return Ok(());
    }
    Err(InvalidInput::new(
        "scope",
        "words like `connect:*` and `connect:accounts:read`, with spaces between them, at most 1,024 bytes",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_carries_what_its_words_say() {
        let may = |scope: &str, action| Rights::read(scope).carry(action);
        assert!(may("connect:*", ActionName::UseProxy));
        assert!(may("connect:accounts:read", ActionName::ReadConnections));
        assert!(!may("connect:accounts:read", ActionName::WriteConnections));
        assert!(may("connect:accounts:* connect:proxy:*", ActionName::UseProxy));
        assert!(!may("connect:actions:*", ActionName::ReadConnections));
        assert!(may("connect:actions:*", ActionName::RunComponents));
        assert!(!may("connect:accounts:*", ActionName::RunComponents));
        assert!(!may("connect:*", ActionName::ExportCredentials));
    }

    #[test]
    fn a_scope_has_words_of_the_contract() {
        for good in ["*", "connect:*", "connect:accounts:read connect:tokens:create"] {
            assert!(check_scope(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "accounts", "connect:* admin", "connect:\n", &"connect:x ".repeat(200)]
        {
            assert!(check_scope(bad).is_err(), "{bad}");
        }
    }
}
