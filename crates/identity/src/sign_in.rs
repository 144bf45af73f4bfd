//! Signing in: the round trip to a provider, and what comes of it.
//!
//! A *flow* is one round trip. It is bound to the browser that began it by that browser's cookie,
//! is used once, and lasts ten minutes. What comes back is believed only if the provider signed
//! it, or said it over a connection that Causeway opened to it.

mod begin;
mod callback;
mod complete;
mod error;
mod events;
mod heads;
mod person;
mod places;
mod settle;
mod state;
mod throttle;

pub use callback::Callback;
pub use error::{Refusal, SignInError};
pub(crate) use events::Events;
pub(crate) use places::Seat;

use crate::invitations::inviter_of;
use crate::provider::{Known, Offered};
use crate::session::Sessions;
use crate::sso::SsoRules;
use crate::token::{self, Plain, TokenKey};
use causeway_net::HttpClient;
use causeway_store::{Bookkeeping, Store, db};
use causeway_types::entity::{Invitation, Role};
use causeway_types::{
    Actor, Clock, INSTALLATION, ProjectId, ProviderId, Randomness, SecretString, Timestamp, UserId,
    WorkspaceId,
};
use causeway_vault::Vault;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use throttle::Throttle;
use url::Url;

/// How long a session's record is kept after its end.
const KEPT: Duration = Duration::from_hours(168);

/// What signing in is made of.
pub struct SignInParts {
    /// Keeps people and sessions.
    pub store: Store,
    /// Seals the providers' client secrets.
    pub vault: Vault,
    /// Reaches the providers.
    pub http: HttpClient,
    /// Digests tokens.
    pub token_key: TokenKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids, tokens, states and nonces.
    pub random: Arc<dyn Randomness>,
    /// The server's public base address, which browsers come back to.
    pub public_url: Url,
}

/// Signs people in. Cheap to clone; clones share what they know of providers, and the counts of
/// attempts.
#[derive(Clone)]
pub struct SignIn {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    http: HttpClient,
    pub(crate) token_key: TokenKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Randomness>,
    public_url: Url,
    sessions: Sessions,
    known: Known,
    throttle: Throttle,
}

/// What a sign-in is for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// To come in.
    SignIn {
        /// Through this provider.
        provider: ProviderId,
    },
    /// To prove again who one is: the visit's session says who, and through which provider.
    StepUp,
    /// To become the owner of a new installation.
    Claim {
        /// Through this provider, one of the installation's.
        provider: ProviderId,
        /// The claim link's token.
        token: &'a str,
    },
    /// To accept an invitation.
    Invitation {
        /// Through this provider.
        provider: ProviderId,
        /// The invitation's token.
        token: &'a str,
    },
}

/// Where a request comes from.
#[derive(Clone, Copy)]
pub struct Visit<'a> {
    /// The browser's cookie; a new one, if it sent none.
    pub browser: &'a Plain<token::Browser>,
    /// The cookie of its session, if it sent one.
    pub session: Option<&'a str>,
    /// The client's address.
    pub address: IpAddr,
    /// What the browser calls itself.
    pub user_agent: Option<&'a str>,
}

/// Somebody came in.
pub struct SignedIn {
    /// What for.
    pub arrived: Arrived,
    /// The session's new cookie. The one before it works no more.
    pub cookie: SecretString,
    /// When the session ends whatever happens.
    pub expires_at: Timestamp,
    /// Who.
    pub user: UserId,
    /// Where the browser goes now: a path of this server.
    pub return_path: String,
}

/// What a sign-in came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// A new session.
    SignedIn,
    /// The session has a fresh proof.
    SteppedUp,
    /// The installation has its first owner.
    Claimed {
        /// The workspace that they own beside the installation.
        workspace: WorkspaceId,
    },
    /// An invitation was accepted.
    Joined {
        /// Into this workspace.
        workspace: WorkspaceId,
    },
}

/// An invitation as whoever holds its link sees it.
#[derive(Debug, Clone)]
pub struct InvitationView {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its name.
    pub workspace_name: String,
    /// Whom it is for.
    pub email: String,
    /// What whoever invited is called, if they are a person who is still known.
    pub inviter: Option<String>,
    /// The role that it gives.
    pub role: Role,
    /// Where the role counts: None is all of the workspace.
    pub project: Option<ProjectId>,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
    /// With what it can be accepted.
    pub providers: Vec<Offered>,
}

/// What was deleted because its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Sign-ins that nobody can finish any more.
    pub flows: u64,
    /// Sessions.
    pub sessions: u64,
}

impl SignIn {
    /// Puts the parts together.
    pub fn new(parts: SignInParts) -> Self {
        let SignInParts { store, vault, http, token_key, clock, random, public_url } = parts;
        let sessions = Sessions::new(store.clone(), token_key.clone(), clock.clone());
        let inner = Inner {
            store,
            vault,
            http,
            token_key,
            clock,
            random,
            public_url,
            sessions,
            known: Known::default(),
            throttle: Throttle::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The sessions that come of it.
    pub fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// Where the providers of a realm send browsers back to: the redirect URI to register there.
    /// Each realm has its own, so that a workspace's provider cannot pass another's answer on as
    /// its own (RFC 9700 section 4.4.2).
    pub fn callback_url(&self, realm: WorkspaceId) -> Url {
        self.inner.callback_url(realm)
    }

    /// The providers that a sign-in page offers: the installation's, and a workspace's own if one
    /// is named; of both those that the workspace's rules believe.
    ///
    /// # Errors
    /// [`SignInError::Rules`], [`SignInError::Store`].
    pub async fn offered(
        &self,
        workspace: Option<WorkspaceId>,
    ) -> Result<Vec<Offered>, SignInError> {
        let mut conn = self.inner.store.read().await?;
        let rules = match workspace {
            Some(id) => SsoRules::load(&mut conn, id).await?,
            None => SsoRules::default(),
        };
        let mut offered = Vec::new();
        for realm in BTreeSet::from([INSTALLATION, workspace.unwrap_or(INSTALLATION)]) {
            let rows = db!(conn, provider::list(realm))?;
            let believed = rows.into_iter().filter(|row| rules.believes(row.id));
            offered.extend(believed.map(|row| Offered {
                id: row.id,
                kind: row.kind,
                name: row.name,
            }));
        }
        Ok(offered)
    }

    /// What an invitation is for.
    ///
    /// # Errors
    /// [`SignInError::LinkSpent`], [`SignInError::Limited`], [`SignInError::Rules`],
    /// [`SignInError::Store`].
    pub async fn invitation(
        &self,
        token: &str,
        address: IpAddr,
    ) -> Result<InvitationView, SignInError> {
        let found = self.inner.open_invitation(token, address).await?;
        let workspace = found.workspace_id;
        let providers = self.offered(Some(workspace)).await?;
        let mut conn = self.inner.store.read().await?;
        let row = db!(conn, workspace::get(workspace))?.ok_or(SignInError::LinkSpent)?;
        Ok(InvitationView {
            workspace,
            workspace_name: row.name,
            inviter: inviter_of(&mut conn, &found).await?,
            email: found.email,
            role: found.role,
            project: found.project_id,
            expires_at: found.expires_at,
            providers,
        })
    }

    /// Deletes what is over: flows, and sessions that ended a week ago.
    ///
    /// # Errors
    /// [`SignInError::Store`].
    pub async fn prune(&self) -> Result<Pruned, SignInError> {
        let now = self.inner.clock.now();
        let mut tx = self.inner.store.write(Actor::Anonymous).await?;
        let flows = db!(tx, sign_in::prune(now))?;
        let sessions = db!(tx, session::prune(now.minus(KEPT)))?;
        tx.commit_bookkeeping(Bookkeeping::Expired).await?;
        Ok(Pruned { flows, sessions })
    }
}

impl Inner {
    fn callback_url(&self, realm: WorkspaceId) -> Url {
        let mut url = self.public_url.clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["auth", "callback"]);
            if realm != INSTALLATION {
                path.push(&realm.to_string());
            }
        }
        url
    }

    /// The open invitation to which a link's token belongs.
    async fn open_invitation(
        &self,
        token: &str,
        address: IpAddr,
    ) -> Result<Invitation, SignInError> {
        let now = self.clock.now();
        self.check_attempts(address, now)?;
        let Ok(plain) = Plain::<token::Invitation>::parse(token) else {
            return Err(self.bad_link(address).await);
        };
        let digest = plain.keyed_digest(&self.token_key);
        let found = {
            let mut conn = self.store.read().await?;
            db!(conn, invitation::by_digest(digest.as_bytes()))?
        };
        match found {
            Some(one) if digest.matches(&one.token_digest) && places::is_open(&one, now) => Ok(one),
            _ => Err(self.bad_link(address).await),
        }
    }

    /// Whether an address may try a link.
    pub(crate) fn check_attempts(
        &self,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), SignInError> {
        self.throttle.check(address, now)
    }
}
