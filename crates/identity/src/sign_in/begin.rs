//! The way out: a flow is made, and the browser is sent to the provider.

use super::callback::checked_return_path;
use super::state::FlowSecret;
use super::{Inner, Purpose, SignIn, SignInError, Visit};
use crate::provider::{self, Ask, Hints};
use crate::session::SessionError;
use crate::sso::SsoRules;
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{IdentityProvider, SignInFlow, SignInPurpose};
use causeway_types::{
    Actor, INSTALLATION, Place, ProviderId, SessionId, SignInFlowId, WorkspaceId,
};
use std::time::Duration;
use url::Url;

/// How long somebody may take at the provider.
const FLOW_LIFETIME: Duration = Duration::from_mins(10);

/// What a flow is begun with.
struct Start {
    row: IdentityProvider,
    purpose: SignInPurpose,
    /// The digest of the claim link or the invitation.
    digest: Option<Vec<u8>>,
    session: Option<SessionId>,
    actor: Actor,
    /// The workspace whose rules say what to ask the provider for.
    rules_of: WorkspaceId,
}

impl Start {
    fn new(row: IdentityProvider, purpose: SignInPurpose) -> Self {
        let rules_of = row.workspace_id;
        Self { row, purpose, digest: None, session: None, actor: Actor::Anonymous, rules_of }
    }
}

impl SignIn {
    /// Begins a sign-in: the address to which the browser goes.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn begin(
        &self,
        purpose: Purpose<'_>,
        visit: &Visit<'_>,
        return_path: &str,
    ) -> Result<Url, SignInError> {
        let inner = &self.inner;
        let return_path = checked_return_path(return_path)?;
        inner.throttle.begin(visit.address, inner.clock.now())?;
        let start = inner.start(purpose, visit).await?;
        let now = inner.clock.now();
        inner.throttle.begin_through(start.row.id, now)?;
        let rules = {
            let mut conn = inner.store.read().await?;
            SsoRules::load(&mut conn, start.rules_of).await?
        };
        let hints = Hints {
            again: start.purpose == SignInPurpose::StepUp,
            hosted_domain: match rules.domains.as_deref() {
                Some([one]) => Some(one.clone()),
                _ => None,
            },
            acr: if rules.mfa { rules.acr } else { Vec::new() },
        };
        let id = SignInFlowId::generate(now, &*inner.random);
        let secret = FlowSecret::generate(&*inner.random);
        let realm = start.row.workspace_id;
        let place = Place::SignInSecrets(id);
        let flow = SignInFlow {
            id,
            workspace_id: realm,
            provider_id: start.row.id,
            purpose: start.purpose,
            purpose_digest: start.digest,
            session_id: start.session,
            browser_digest: visit.browser.keyed_digest(&inner.token_key).to_vec(),
            secrets: inner.vault.seal(realm, &place, secret.to_seal()).await?,
            return_path,
            created_at: now,
            expires_at: now.plus(FLOW_LIFETIME),
            used_at: None,
        };
        let ask = Ask {
            redirect_uri: inner.callback_url(realm).into(),
            state: secret.sign(&flow),
            nonce: secret.nonce(),
            challenge: secret.challenge(),
            hints,
        };
        // Asked before the flow is written: a provider that does not answer leaves nothing behind.
        let url = provider::authorization_url(&inner.http, &inner.known, &start.row, &ask, now)
            .await
            .map_err(SignInError::Provider)?;
        let mut tx = inner.store.write(start.actor).await?;
        db!(tx, sign_in::insert(&flow))?;
        tx.commit_bookkeeping(Bookkeeping::SignInProgress).await?;
        Ok(url)
    }
}

impl Inner {
    async fn start(&self, purpose: Purpose<'_>, visit: &Visit<'_>) -> Result<Start, SignInError> {
        match purpose {
            Purpose::SignIn { provider } => {
                Ok(Start::new(self.provider(provider).await?, SignInPurpose::SignIn))
            }
            Purpose::StepUp => {
                let over = || SignInError::Session(SessionError::Refused);
                let cookie = visit.session.ok_or_else(over)?;
                let own = self.sessions.open(cookie).await.map_err(SignInError::Session)?;
                let row = self.provider(own.provider_id).await?;
                let start = Start::new(row, SignInPurpose::StepUp);
                let actor = Actor::User(own.user_id);
                Ok(Start { session: Some(own.id), actor, ..start })
            }
            Purpose::Claim { provider, token } => {
                let digest = self.claim_digest(token, visit.address).await?;
                let row = self.provider(provider).await?;
                // Whoever claims becomes an owner of the installation, so a workspace's
                // administrators have no say in who that is.
                if row.workspace_id != INSTALLATION {
                    return Err(SignInError::UnknownProvider(provider));
                }
                let start = Start::new(row, SignInPurpose::Claim);
                Ok(Start { digest: Some(digest), ..start })
            }
            Purpose::Invitation { provider, token } => {
                let invitation = self.open_invitation(token, visit.address).await?;
                let row = self.provider(provider).await?;
                if ![INSTALLATION, invitation.workspace_id].contains(&row.workspace_id) {
                    return Err(SignInError::UnknownProvider(provider));
                }
                let start = Start::new(row, SignInPurpose::Invitation);
                let digest = Some(invitation.token_digest);
                Ok(Start { digest, rules_of: invitation.workspace_id, ..start })
            }
        }
    }

    async fn provider(&self, id: ProviderId) -> Result<IdentityProvider, SignInError> {
        let mut conn = self.store.read().await?;
        db!(conn, provider::by_id(id))?.ok_or(SignInError::UnknownProvider(id))
    }
}
