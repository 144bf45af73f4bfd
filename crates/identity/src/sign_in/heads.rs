//! The chains that a sign-in writes to, locked before it decides anything.

use super::SignInError;
use super::events::Events;
use super::person::{self, Known};
use super::settle::Arrival;
use causeway_store::{WriteTx, db};
use causeway_types::entity::{Member, SignInPurpose};
use causeway_types::{INSTALLATION, WorkspaceId};
use std::collections::BTreeSet;
use std::ops::Bound;

/// What is found behind the locks, and stays true until the transaction ends.
pub(super) struct Found {
    /// Whom the provider names.
    pub(super) known: Known,
    /// The places that directories prepared for the address, in chains that are locked.
    pub(super) prepared: Vec<Member>,
}

/// Locks the heads of all chains that the sign-in may write to.
///
/// One sign-in of a realm at a time: what is found out about a person stays true. The heads are
/// locked in ascending order, the installation's before those of workspaces, as everybody does who
/// writes to more than one; rows of sessions come before them and rows of members after them. So
/// nobody waits in a circle.
pub(super) async fn lock(
    tx: &mut WriteTx,
    arrival: &Arrival<'_>,
    events: &Events,
) -> Result<Found, SignInError> {
    let realm = arrival.provider.workspace_id;
    let mut heads: BTreeSet<WorkspaceId> = events.workspaces().collect();
    heads.insert(realm);
    for head in heads.range(..=realm) {
        db!(tx, audit::lock_head(*head))?;
    }
    let known = person::find(tx, arrival).await?;
    let mut prepared = db!(tx, member::unclaimed(arrival.told.email.as_str()))?;
    // Another workspace's administrators learn nothing of this one.
    prepared.retain(|place| [INSTALLATION, place.workspace_id].contains(&realm));
    heads.extend(prepared.iter().map(|place| place.workspace_id));
    if let Known::Here(user) | Known::ByAddress(user) = &known {
        let places = db!(tx, member::of_user(user.id))?;
        heads.extend(places.iter().map(|place| place.workspace_id));
    }
    heads.extend(wanted(tx, arrival).await?);
    // A realm of a workspace's own knows nobody of another: what is still to lock comes after it.
    for head in heads.range((Bound::Excluded(realm), Bound::Unbounded)) {
        db!(tx, audit::lock_head(*head))?;
    }
    Ok(Found { known, prepared })
}

/// The workspace that the sign-in is to lead into.
async fn wanted(
    tx: &mut WriteTx,
    arrival: &Arrival<'_>,
) -> Result<Option<WorkspaceId>, SignInError> {
    Ok(match arrival.flow.purpose {
        SignInPurpose::SignIn | SignInPurpose::StepUp => None,
        SignInPurpose::Claim => {
            let all = db!(tx, workspace::all())?;
            all.into_iter().map(|workspace| workspace.id).find(|id| *id != INSTALLATION)
        }
        SignInPurpose::Invitation => {
            let digest = arrival.flow.purpose_digest.as_deref().unwrap_or_default();
            db!(tx, invitation::by_digest(digest))?.map(|found| found.workspace_id)
        }
    })
}
