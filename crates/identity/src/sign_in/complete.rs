//! The way back: what the provider says is checked, and somebody comes in, or not.
//!
//! The order matters. A flow is used up only by the browser that began it, so nobody else can
//! spoil it; and it is used up before anything is asked of the provider, so it is tried once.

use super::settle::Arrival;
use super::state::{self, FlowSecret};
use super::{Callback, Inner, Refusal, SignIn, SignInError, SignedIn, Visit};
use crate::provider::{self, Exchange, TellError, Told};
use causeway_store::{Audit, Bookkeeping, db};
use causeway_types::entity::{IdentityProvider, SignInFlow, SignInPurpose};
use causeway_types::{Actor, INSTALLATION, Place, ProviderId, Timestamp, WorkspaceId, chain};
use std::net::IpAddr;

/// What is known of an attempt, for the event that says why it failed.
#[derive(Default)]
struct Trace {
    realm: Option<WorkspaceId>,
    provider: Option<ProviderId>,
    email: Option<String>,
}

impl SignIn {
    /// Ends a sign-in that came back to the callback of `realm`. Whatever comes of it, the flow is
    /// used up, if it is this browser's.
    ///
    /// # Errors
    /// See [`SignInError`]. What is refused stands in the realm's audit chain with its reason.
    pub async fn complete(
        &self,
        realm: WorkspaceId,
        callback: Callback,
        visit: &Visit<'_>,
    ) -> Result<SignedIn, SignInError> {
        let inner = &self.inner;
        inner.throttle.check(visit.address, inner.clock.now())?;
        let mut trace = Trace::default();
        match Box::pin(inner.attempt(realm, callback, visit, &mut trace)).await {
            Ok(signed_in) => Ok(signed_in),
            Err(SignInError::Sso(refused)) => {
                let refused = refused.named(&inner.store).await?;
                Err(inner.note_refusal(refused.into(), trace, visit.address).await)
            }
            Err(error) => Err(inner.note_refusal(error, trace, visit.address).await),
        }
    }
}

impl Inner {
    async fn attempt(
        &self,
        realm: WorkspaceId,
        callback: Callback,
        visit: &Visit<'_>,
        trace: &mut Trace,
    ) -> Result<SignedIn, SignInError> {
        let (flow, secret) = self.matched(realm, &callback, visit, trace).await?;
        let row = {
            let mut conn = self.store.read().await?;
            db!(conn, provider::by_id(flow.provider_id))?.ok_or(Refusal::State)?
        };
        let told = self.told(&row, &flow, &secret, callback).await?;
        trace.email = Some(told.email.to_string());
        let arrival = Arrival { flow: &flow, provider: &row, told: &told, visit };
        self.settle(&arrival).await
    }

    /// The flow that the answer belongs to, used up.
    async fn matched(
        &self,
        realm: WorkspaceId,
        callback: &Callback,
        visit: &Visit<'_>,
        trace: &mut Trace,
    ) -> Result<(SignInFlow, FlowSecret), SignInError> {
        let now = self.clock.now();
        let Some(received) = state::read(&callback.state) else {
            self.throttle.check_provider(None, now)?;
            return Err(Refusal::State.into());
        };
        let found = {
            let mut conn = self.store.read().await?;
            db!(conn, sign_in::by_id(received.flow))?
        };
        let provider = found.as_ref().map(|flow| flow.provider_id);
        self.throttle.check_provider(provider, now)?;
        let flow = found.ok_or(Refusal::State)?;
        (trace.realm, trace.provider) = (Some(flow.workspace_id), provider);
        let place = Place::SignInSecrets(flow.id);
        let opened = self.vault.open(flow.workspace_id, &place, &flow.secrets).await?;
        let secret = FlowSecret::from_opened(opened).ok_or(Refusal::State)?;
        if !secret.verify(&received, &flow) {
            return Err(Refusal::State.into());
        }
        if !visit.browser.keyed_digest(&self.token_key).matches(&flow.browser_digest) {
            return Err(Refusal::Browser.into());
        }
        if flow.used_at.is_some() || flow.expires_at <= now {
            return Err(Refusal::Spent.into());
        }
        let mut tx = self.store.write(Actor::Anonymous).await?;
        let first = db!(tx, sign_in::use_up(flow.id, now))?;
        tx.commit_bookkeeping(Bookkeeping::SignInProgress).await?;
        if !first {
            return Err(Refusal::Spent.into());
        }
        if flow.workspace_id != realm {
            return Err(Refusal::Realm.into());
        }
        Ok((flow, secret))
    }

    /// What the provider says of whoever came back.
    async fn told(
        &self,
        row: &IdentityProvider,
        flow: &SignInFlow,
        secret: &FlowSecret,
        callback: Callback,
    ) -> Result<Told, SignInError> {
        let now = self.clock.now();
        let iss = callback.iss.as_deref();
        provider::check_issuer(&self.http, &self.known, row, iss, now).await.map_err(believe)?;
        if let Some(error) = &callback.error {
            tracing::info!(provider = %row.id, error = provider::word(error), "the provider refused");
            return Err(Refusal::Denied.into());
        }
        let code = callback.code.filter(|code| !code.expose().is_empty()).ok_or(Refusal::NoCode)?;
        let place = Place::ProviderSecret(row.id);
        let client_secret = self
            .vault
            .open(row.workspace_id, &place, &row.secret)
            .await?
            .into_text()
            .ok_or(SignInError::Provider(provider::AskError::Request("the token endpoint")))?;
        let exchange = Exchange {
            client_secret: &client_secret,
            code: &code,
            redirect_uri: self.callback_url(row.workspace_id).into(),
            verifier: secret.verifier(),
            nonce: secret.nonce(),
            again: flow.purpose == SignInPurpose::StepUp,
            begun_at: flow.created_at,
            now,
        };
        provider::tell(&self.http, &self.known, row, &exchange).await.map_err(believe)
    }

    /// Counts a link that does not work, and writes it into the audit chain.
    pub(crate) async fn bad_link(&self, address: IpAddr) -> SignInError {
        match self.throttle.check_provider(None, self.clock.now()) {
            Ok(()) => self.note_refusal(SignInError::LinkSpent, Trace::default(), address).await,
            Err(limited) => limited,
        }
    }

    /// Counts a failed attempt and writes it into the audit chain.
    async fn note_refusal(&self, error: SignInError, trace: Trace, address: IpAddr) -> SignInError {
        let now = self.clock.now();
        let Some(reason) = error.reason() else { return error };
        tracing::info!(reason, error = chain(&error), "a sign-in was refused");
        self.throttle.failed(address, now);
        self.throttle.provider_failed(trace.provider, now);
        let realm = trace.realm.unwrap_or(INSTALLATION);
        let event = Audit::SignInRefused {
            provider: trace.provider,
            reason: reason.to_owned(),
            email: trace.email,
        };
        match self.record_refusal(realm, now, event).await {
            Ok(()) => error,
            // What cannot be recorded did not happen: the caller learns that instead.
            Err(failed) => failed.into(),
        }
    }

    async fn record_refusal(
        &self,
        realm: WorkspaceId,
        now: Timestamp,
        event: Audit,
    ) -> causeway_store::Result<()> {
        self.store.write(Actor::Anonymous).await?.commit(realm, now, event).await
    }
}

fn believe(error: TellError) -> SignInError {
    match error {
        TellError::Refused(refusal) => SignInError::Refused(refusal),
        TellError::Ask(source) => SignInError::Provider(source),
    }
}
