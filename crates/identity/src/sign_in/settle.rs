//! What a believed answer comes to: one transaction in which somebody comes in.

use super::events::Events;
use super::heads::{self, Found};
use super::person::{self, Known};
use super::places;
use super::{Arrived, Inner, Refusal, SignInError, SignedIn, Visit};
use crate::claim;
use crate::provider::Told;
use crate::session::{MAX_USER_AGENT, SessionError};
use crate::sso::Proof;
use crate::token::{self, Plain};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{IdentityProvider, Session, SignInFlow, SignInPurpose, User};
use causeway_types::{Actor, SessionId, Timestamp};

/// Somebody whom a provider vouched for.
pub(super) struct Arrival<'a> {
    pub(super) flow: &'a SignInFlow,
    pub(super) provider: &'a IdentityProvider,
    pub(super) told: &'a Told,
    pub(super) visit: &'a Visit<'a>,
}

impl Arrival<'_> {
    /// What a session that begins at `now` shows.
    fn proof(&self, now: Timestamp) -> Proof {
        Proof {
            provider: self.provider.id,
            kind: self.provider.kind,
            realm: self.provider.workspace_id,
            domain: self.told.email.domain().to_owned(),
            hosted_domain: self.told.hosted_domain.clone(),
            authentication: self.told.authentication.clone(),
            since: now,
        }
    }

    /// When the provider authenticated the person: now, unless it says when.
    fn authenticated_at(&self, now: Timestamp) -> Timestamp {
        self.told.authenticated_at.unwrap_or(now)
    }

    fn mfa_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.told.authentication.is_multi_factor().then(|| self.authenticated_at(now))
    }
}

impl Inner {
    pub(super) async fn settle(&self, arrival: &Arrival<'_>) -> Result<SignedIn, SignInError> {
        let now = self.clock.now();
        let mut tx = self.store.write(Actor::Anonymous).await?;
        if arrival.flow.purpose == SignInPurpose::Claim {
            // Before the chains, in the order that a bootstrap takes.
            crate::bootstrap::lock(&mut tx, now).await?;
        }
        let mut events = Events::default();
        // Rows of sessions before chains ([`heads::lock`]).
        match arrival.flow.session_id {
            Some(own) => db!(tx, session::touch(own, now))?,
            None => self.end_former(&mut tx, arrival.visit, now, &mut events).await?,
        }
        let Found { known, prepared } = heads::lock(&mut tx, arrival, &events).await?;
        if arrival.flow.purpose == SignInPurpose::StepUp {
            return self.step_up(tx, events, known, arrival, now).await;
        }
        let user = person::ensure(&mut tx, known, arrival, self, now, &mut events).await?;
        let proof = arrival.proof(now);
        let arrived = match arrival.flow.purpose {
            SignInPurpose::SignIn | SignInPurpose::StepUp => Arrived::SignedIn,
            SignInPurpose::Claim => {
                let digest = arrival.flow.purpose_digest.as_deref().unwrap_or_default();
                let workspace =
                    claim::claim(&mut tx, self, &user, digest, now, &mut events).await?;
                Arrived::Claimed { workspace }
            }
            SignInPurpose::Invitation => {
                let digest = arrival.flow.purpose_digest.as_deref().unwrap_or_default();
                let workspace =
                    places::join(&mut tx, self, &user, &proof, digest, now, &mut events).await?;
                Arrived::Joined { workspace }
            }
        };
        let refused = places::take_up(&mut tx, &user, &proof, prepared, now, &mut events).await?;
        let stay = places::stay(&mut tx, &user, &proof, refused, now).await?;
        let plain = Plain::<token::Session>::generate(&*self.random);
        let session = Session {
            id: SessionId::generate(now, &*self.random),
            user_id: user.id,
            provider_id: arrival.provider.id,
            digest: plain.keyed_digest(&self.token_key).to_vec(),
            email: arrival.told.email.to_string(),
            hosted_domain: arrival.told.hosted_domain.clone(),
            authentication: arrival.told.authentication.to_text(),
            authenticated_at: arrival.authenticated_at(now),
            mfa_at: arrival.mfa_at(now),
            address: arrival.visit.address.to_canonical().to_string(),
            user_agent: cut_user_agent(arrival.visit.user_agent),
            created_at: now,
            last_seen_at: now,
            expires_at: now.plus(stay.length),
            revoked_at: None,
        };
        db!(tx, session::insert(&session))?;
        let event = || Audit::SignedIn {
            user: user.id,
            session: session.id,
            provider: arrival.provider.id,
            mfa: session.mfa_at.is_some(),
        };
        let realm = user.workspace_id;
        for workspace in stay.places.into_iter().filter(|place| *place != realm) {
            events.push(workspace, event());
        }
        events.commit(tx, now, (realm, event())).await?;
        Ok(SignedIn {
            arrived,
            cookie: plain.reveal(),
            expires_at: session.expires_at,
            user: user.id,
            return_path: arrival.flow.return_path.clone(),
        })
    }

    /// Gives the session that steps up a fresh proof and a new cookie.
    async fn step_up(
        &self,
        mut tx: WriteTx,
        mut events: Events,
        known: Known,
        arrival: &Arrival<'_>,
        now: Timestamp,
    ) -> Result<SignedIn, SignInError> {
        let Known::Here(user) = known else { return Err(Refusal::AnotherPerson.into()) };
        let over = || SignInError::Session(SessionError::Refused);
        let id = arrival.flow.session_id.ok_or_else(over)?;
        let own = db!(tx, session::get(user.id, id))?.ok_or(Refusal::AnotherPerson)?;
        if !crate::session::is_open(&own, now) {
            return Err(over());
        }
        tx.act_as(Actor::User(user.id));
        let user = person::follow(&mut tx, user, arrival, now, &mut events).await?;
        let plain = Plain::<token::Session>::generate(&*self.random);
        let session = Session {
            digest: plain.keyed_digest(&self.token_key).to_vec(),
            email: arrival.told.email.to_string(),
            hosted_domain: arrival.told.hosted_domain.clone(),
            authentication: arrival.told.authentication.to_text(),
            authenticated_at: arrival.authenticated_at(now),
            mfa_at: arrival.mfa_at(now),
            last_seen_at: now,
            ..own
        };
        if !db!(tx, session::step_up(&session))? {
            return Err(over());
        }
        let event = || Audit::SteppedUp {
            user: user.id,
            session: session.id,
            mfa: session.mfa_at.is_some(),
        };
        let realm = user.workspace_id;
        for workspace in places::active(&mut tx, &user).await? {
            if workspace != realm {
                events.push(workspace, event());
            }
        }
        events.commit(tx, now, (realm, event())).await?;
        Ok(SignedIn {
            arrived: Arrived::SteppedUp,
            cookie: plain.reveal(),
            expires_at: session.expires_at,
            user: user.id,
            return_path: arrival.flow.return_path.clone(),
        })
    }

    /// Ends the session that the browser had: its cookie is replaced, so nobody else may have it.
    async fn end_former(
        &self,
        tx: &mut WriteTx,
        visit: &Visit<'_>,
        now: Timestamp,
        events: &mut Events,
    ) -> Result<(), SignInError> {
        let Some(plain) =
            visit.session.and_then(|cookie| Plain::<token::Session>::parse(cookie).ok())
        else {
            return Ok(());
        };
        let digest = plain.keyed_digest(&self.token_key);
        let found = db!(tx, session::by_digest(digest.as_bytes()))?;
        let Some(former) = found.filter(|one| digest.matches(&one.digest)) else { return Ok(()) };
        let owner: Option<User> = db!(tx, user::by_id(former.user_id))?;
        let ended = db!(tx, session::revoke(former.user_id, former.id, now))?;
        if let (true, Some(owner)) = (ended, owner) {
            let event = Audit::SessionRevoked { user: owner.id, session: former.id };
            events.push(owner.workspace_id, event);
        }
        Ok(())
    }
}

fn cut_user_agent(text: Option<&str>) -> String {
    let plain = text.unwrap_or_default().chars().filter(|one| !one.is_control());
    plain.take(MAX_USER_AGENT).collect()
}
