//! Whom a provider's answer is about: an account of the provider's realm.

use super::events::Events;
use super::settle::Arrival;
use super::{Inner, Refusal, SignInError};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{MemberOrigin, User};
use causeway_types::{Actor, Timestamp, UserId};

/// Who it is, as far as the realm knows.
pub(super) enum Known {
    /// Somebody whom this provider has named before.
    Here(User),
    /// Somebody who has this address, and whom this provider has never named.
    ByAddress(User),
    /// Nobody yet.
    Nobody,
}

/// Finds the account: by the provider's subject, or else by the address that it has verified.
pub(super) async fn find(tx: &mut WriteTx, arrival: &Arrival<'_>) -> Result<Known, SignInError> {
    let (provider, told) = (arrival.provider, arrival.told);
    if let Some(user) = db!(tx, user::by_identity(provider.id, &told.subject))? {
        return Ok(Known::Here(user));
    }
    let realm = provider.workspace_id;
    let Some(user) = db!(tx, user::by_email(realm, told.email.as_str()))? else {
        return Ok(Known::Nobody);
    };
    // The address has been given to another person there.
    if db!(tx, user::is_linked(provider.id, user.id))? {
        return Err(Refusal::AnotherSubject.into());
    }
    Ok(Known::ByAddress(user))
}

/// The account, made or linked if need be.
pub(super) async fn ensure(
    tx: &mut WriteTx,
    known: Known,
    arrival: &Arrival<'_>,
    inner: &Inner,
    now: Timestamp,
    events: &mut Events,
) -> Result<User, SignInError> {
    let (provider, told) = (arrival.provider, arrival.told);
    let user = match known {
        Known::Here(user) => {
            tx.act_as(Actor::User(user.id));
            return follow(tx, user, arrival, now, events).await;
        }
        Known::ByAddress(user) => {
            let event = Audit::IdentityLinked { user: user.id, provider: provider.id };
            events.push(provider.workspace_id, event);
            user
        }
        Known::Nobody => {
            let user = User {
                id: UserId::generate(now, &*inner.random),
                workspace_id: provider.workspace_id,
                email: told.email.to_string(),
                name: told.name.clone(),
                created_at: now,
                signed_in_at: now,
            };
            db!(tx, user::insert(&user))?;
            user
        }
    };
    tx.act_as(Actor::User(user.id));
    db!(tx, user::link(provider.id, &told.subject, user.id, now))?;
    follow(tx, user, arrival, now, events).await
}

/// Takes over what the provider says now: name and address. The places that the person has follow
/// the address, but for those that a directory keeps.
pub(super) async fn follow(
    tx: &mut WriteTx,
    user: User,
    arrival: &Arrival<'_>,
    now: Timestamp,
    events: &mut Events,
) -> Result<User, SignInError> {
    let told = arrival.told;
    let email = told.email.as_str();
    let owner = db!(tx, user::by_email(user.workspace_id, email))?;
    if owner.is_some_and(|owner| owner.id != user.id) {
        return Err(Refusal::AddressTaken.into());
    }
    db!(tx, user::signed_in(user.id, email, &told.name, now))?;
    if user.email != email {
        for mut member in db!(tx, member::of_user(user.id))? {
            let workspace = member.workspace_id;
            let free = db!(tx, member::by_email(workspace, email))?.is_none();
            if member.origin == MemberOrigin::Scim || !free {
                continue;
            }
            email.clone_into(&mut member.email);
            member.updated_at = now;
            db!(tx, member::update(&member))?;
            let changed = vec!["email".to_owned()];
            events.push(workspace, Audit::MemberUpdated { member: member.id, changed });
        }
    }
    Ok(User { email: email.to_owned(), name: told.name.clone(), signed_in_at: now, ..user })
}
