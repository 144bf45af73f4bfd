//! How a new installation gets its first owner: by a link that only whoever has the machine can
//! make. There is no default password, and no first visitor who wins.

use crate::bootstrap::{Bootstrap, first_workspace};
use crate::sign_in::{Events, Inner, Seat, SignIn, SignInError};
use crate::token::{self, Plain, TokenKey};
use causeway_store::{Audit, Store, WriteTx, db};
use causeway_types::entity::{ClaimLink, EnvironmentKind, MemberOrigin, Role, User};
use causeway_types::{
    Actor, Clock, Code, Coded, INSTALLATION, Randomness, SecretString, Timestamp, WorkspaceId,
};
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

/// How long a claim link works.
pub const CLAIM_LIFETIME: Duration = Duration::from_hours(24);

/// What the first workspace is called until somebody renames it.
const FIRST_WORKSPACE: &str = "Workspace";
/// What its project is called.
const FIRST_PROJECT: &str = "Main";

/// A claim link that was made now. Its token is nowhere else: show it now.
pub struct NewClaimLink {
    /// The token.
    pub token: SecretString,
    /// Until when it works.
    pub expires_at: Timestamp,
}

/// Whether an installation is claimed could not be told, or no link be made.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The installation has an owner.
    #[error("making a claim link: the installation has an owner")]
    Claimed,
    /// The store failed.
    #[error("asking whether the installation is claimed")]
    Store(#[from] causeway_store::Error),
}

impl Coded for ClaimError {
    fn code(&self) -> Code {
        match self {
            Self::Claimed => Code::LinkSpent,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Claimed => {
                "The installation has an owner already. Ask them for an invitation.".into()
            }
            Self::Store(source) => source.public(),
        }
    }
}

/// Whether the installation is in somebody's hands: it has an owner, or whoever has the machine
/// made keys to it.
///
/// # Errors
/// [`ClaimError::Store`].
pub async fn is_claimed(store: &Store) -> Result<bool, ClaimError> {
    let mut conn = store.read().await?;
    Ok(db!(conn, member::count_owners(INSTALLATION))? > 0 || db!(conn, api_key::any())?)
}

/// Makes a claim link. It works for 24 hours and once; the link made before works no more.
///
/// # Errors
/// See [`ClaimError`].
pub async fn make_claim_link(
    store: &Store,
    token_key: &TokenKey,
    clock: &dyn Clock,
    random: &dyn Randomness,
    actor: Actor,
) -> Result<NewClaimLink, ClaimError> {
    let now = clock.now();
    let plain = Plain::<token::Claim>::generate(random);
    let link = ClaimLink {
        token_digest: plain.keyed_digest(token_key).to_vec(),
        created_at: now,
        expires_at: now.plus(CLAIM_LIFETIME),
        used_at: None,
    };
    let mut tx = store.write(actor).await?;
    if db!(tx, member::count_owners(INSTALLATION))? > 0 {
        return Err(ClaimError::Claimed);
    }
    db!(tx, claim::set(&link))?;
    tx.commit(INSTALLATION, now, Audit::ClaimLinkMade {}).await?;
    Ok(NewClaimLink { token: plain.reveal(), expires_at: link.expires_at })
}

impl SignIn {
    /// Whether a claim link works.
    ///
    /// # Errors
    /// [`SignInError::LinkSpent`], [`SignInError::Limited`], [`SignInError::Store`].
    pub async fn check_claim(&self, token: &str, address: IpAddr) -> Result<(), SignInError> {
        self.inner.claim_digest(token, address).await.map(|_| ())
    }
}

impl Inner {
    /// The digest of a claim link that works.
    pub(crate) async fn claim_digest(
        &self,
        token: &str,
        address: IpAddr,
    ) -> Result<Vec<u8>, SignInError> {
        let now = self.clock.now();
        self.check_attempts(address, now)?;
        let Ok(plain) = Plain::<token::Claim>::parse(token) else {
            return Err(self.bad_link(address).await);
        };
        let digest = plain.keyed_digest(&self.token_key);
        let (link, owned) = {
            let mut conn = self.store.read().await?;
            let owners = db!(conn, member::count_owners(INSTALLATION))?;
            (db!(conn, claim::get())?, owners > 0)
        };
        let works = link.is_some_and(|link| {
            digest.matches(&link.token_digest) && link.used_at.is_none() && link.expires_at > now
        });
        if !works || owned {
            return Err(self.bad_link(address).await);
        }
        Ok(digest.to_vec())
    }
}

/// Makes the person an owner of the installation and of its oldest workspace, which is made if
/// there is none. The transaction holds the lock of a bootstrap.
pub(crate) async fn claim(
    tx: &mut WriteTx,
    inner: &Inner,
    user: &User,
    digest: &[u8],
    now: Timestamp,
    events: &mut Events,
) -> Result<WorkspaceId, SignInError> {
    if db!(tx, member::count_owners(INSTALLATION))? > 0 || !db!(tx, claim::use_up(digest, now))? {
        return Err(SignInError::LinkSpent);
    }
    let wanted = Bootstrap {
        workspace_name: FIRST_WORKSPACE.to_owned(),
        project_name: FIRST_PROJECT.to_owned(),
        environment: EnvironmentKind::Development,
    };
    let (environments, created) = first_workspace(tx, &inner.vault, now, &*inner.random, &wanted)
        .await
        .map_err(SignInError::Workspace)?;
    let workspace = environments.workspace();
    if created {
        let event = Audit::WorkspaceCreated { workspace, name: wanted.workspace_name };
        events.push(workspace, event);
    }
    for workspace in [INSTALLATION, workspace] {
        let seat = Seat {
            workspace,
            user,
            origin: MemberOrigin::Claim,
            invitation: None,
            role: Role::Owner,
            project: None,
        };
        seat.give(tx, &*inner.random, now, events).await?;
    }
    let event = Audit::InstallationClaimed { user: user.id, email: user.email.clone() };
    events.push(INSTALLATION, event);
    Ok(workspace)
}
