//! Who is in a workspace and what they may do there: members, groups, roles, invitations, and the
//! workspaces and projects themselves.
//!
//! - A *member* is a person's place in a workspace. Removed or deactivated, they are out at once.
//! - A *role* is granted to a member or to a *group*, in all of the workspace or in one project.
//! - An *owner* is an active member with the role `owner` in all of the workspace, by themselves
//!   or through a group. No change leaves a workspace that has an owner without one, and only
//!   owners make, change and remove owners.
//! - An *invitation* makes whoever proves to have its e-mail address a member.

mod authority;
mod change;
mod ownership;
mod read;

pub(crate) use authority::{Authority, held};
pub(crate) use change::{Events, Held, set_state};
pub(crate) use ownership::Owners;
pub use read::{GroupOf, MemberDetail};

use crate::email::EmailError;
use crate::permit::Denied;
use crate::token::TokenKey;
use causeway_store::Store;
use causeway_types::entity::Role;
use causeway_types::{Clock, Code, Coded, Randomness};
use causeway_vault::Vault;
use std::borrow::Cow;
use std::sync::Arc;

/// The longest name of a workspace, a project or a group, in characters.
pub const MAX_NAME: usize = 100;

/// What the engine stands on.
pub struct MembersParts {
    /// The database.
    pub store: Store,
    /// For the data keys of new workspaces.
    pub vault: Vault,
    /// For the digests of invitations.
    pub token_key: TokenKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids and links.
    pub random: Arc<dyn Randomness>,
}

/// Members, groups, roles, invitations, workspaces and projects. Cheap to clone.
#[derive(Clone)]
pub struct Members {
    parts: Arc<MembersParts>,
}

impl Members {
    /// Puts the parts together.
    pub fn new(parts: MembersParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.parts.store
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.parts.vault
    }

    pub(crate) fn token_key(&self) -> &TokenKey {
        &self.parts.token_key
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.parts.clock
    }

    pub(crate) fn random(&self) -> &dyn Randomness {
        &*self.parts.random
    }
}

/// Something that is looked for by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A member.
    Member,
    /// A group.
    Group,
    /// A role that was granted.
    RoleGrant,
    /// An invitation that is open.
    Invitation,
    /// A project.
    Project,
    /// The workspace.
    Workspace,
}

impl Thing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Group => "group",
            Self::RoleGrant => "role grant",
            Self::Invitation => "open invitation",
            Self::Project => "project",
            Self::Workspace => "workspace",
        }
    }
}

/// What cannot be there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twice {
    /// A group of this name.
    GroupName,
    /// A project of this name.
    ProjectName,
    /// A role that was granted already.
    RoleGrant,
    /// An active member with this e-mail address.
    ActiveMember,
    /// A deactivated member with this e-mail address.
    DeactivatedMember,
}

/// Members, groups, roles or invitations could not be changed or read.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// The store failed.
    #[error("reading or changing the members of a workspace")]
    Store(#[from] causeway_store::Error),
    /// The caller may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The caller may change members, but not give or take this role.
    #[error("giving or taking the role {role}, which the caller may not")]
    Beyond {
        /// The role.
        role: Role,
        /// Whether the caller is a program.
        program: bool,
    },
    /// There is no such thing in the workspace.
    #[error("looking up a {}", thing.as_str())]
    NotFound {
        /// What.
        thing: Thing,
    },
    /// It is there already.
    #[error("making something that is there already: {0:?}")]
    Taken(Twice),
    /// The workspace would be left without an owner.
    #[error("taking the workspace's last owner")]
    LastOwner,
    /// The name cannot be used.
    #[error("reading a name: it is empty, too long or holds control characters")]
    Name,
    /// The e-mail address cannot be used.
    #[error("reading the e-mail address of an invitation")]
    Email(#[source] EmailError),
    /// The time for which an invitation is open is out of bounds.
    #[error("reading for how long an invitation is open")]
    Lifetime,
    /// A group would have more members, or a workspace more projects, than it may.
    #[error("counting: there would be more than {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most.
        most: usize,
    },
    /// A program tried to leave.
    #[error("leaving a workspace as something that is no member")]
    NoMember,
}

impl Coded for MembersError {
    fn code(&self) -> Code {
        match self {
            Self::Store(source) => source.code(),
            Self::Denied(source) => source.code(),
            Self::Beyond { .. } => Code::Denied,
            Self::NotFound { .. } | Self::NoMember => Code::NotFound,
            Self::Taken(_) => Code::Taken,
            Self::LastOwner => Code::LastOwner,
            Self::Name | Self::Lifetime | Self::TooMany { .. } => Code::InvalidRequest,
            Self::Email(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Store(source) => source.public(),
            Self::Denied(source) => source.public(),
            Self::Beyond { role: Role::Owner, program: false } => {
                "Only an owner may give or take the role `owner`, and change or remove whoever has it."
                    .into()
            }
            Self::Beyond { role: Role::Owner, program: true } => {
                "No program may give or take the role `owner`, or change or remove whoever has it. An owner does that signed in."
                    .into()
            }
            Self::Beyond { role, program: true } => format!(
                "A program gives only roles whose every permission it has itself, and your scopes do not name all of `{role}`."
            )
            .into(),
            Self::Beyond { role, program: false } => {
                format!("You may not give or take the role `{role}`.").into()
            }
            Self::NotFound { thing } => {
                format!("There is no such {} in this workspace.", thing.as_str()).into()
            }
            Self::Taken(Twice::GroupName) => {
                "Another group of this workspace has this name. Choose another.".into()
            }
            Self::Taken(Twice::ProjectName) => {
                "Another project of this workspace has this name. Choose another.".into()
            }
            Self::Taken(Twice::RoleGrant) => "This role was granted there already.".into(),
            Self::Taken(Twice::ActiveMember) => {
                "Whoever has this e-mail address is a member already.".into()
            }
            Self::Taken(Twice::DeactivatedMember) => {
                "Whoever has this e-mail address is a deactivated member: reactivate them instead."
                    .into()
            }
            Self::LastOwner => {
                "The workspace would be left without an active owner. Make somebody else an owner first."
                    .into()
            }
            Self::Name => format!(
                "A name has 1 to {MAX_NAME} characters, no control characters, and no spaces around it."
            )
            .into(),
            Self::Email(source) => source.public(),
            Self::Lifetime => "An invitation is open for 3600 to 2592000 seconds.".into(),
            Self::TooMany { what, most } => format!("There may be at most {most} {what}.").into(),
            Self::NoMember => "Only a person who is a member of the workspace can leave it.".into(),
        }
    }
}

/// What the directory calls a member or a group, after a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum ExternalId {
    /// As before.
    #[default]
    Kept,
    /// This, or nothing any more.
    Now(Option<String>),
}

impl ExternalId {
    /// Puts it where it stands. True if that changed anything.
    pub(crate) fn set(self, place: &mut Option<String>) -> bool {
        match self {
            Self::Now(id) if *place != id => {
                *place = id;
                true
            }
            Self::Kept | Self::Now(_) => false,
        }
    }
}

/// Checks the name of a workspace, a project or a group.
pub(crate) fn check_name(name: &str) -> Result<(), MembersError> {
    let length = name.chars().take(MAX_NAME + 1).count();
    if length == 0 || length > MAX_NAME || name.trim() != name || name.contains(char::is_control) {
        return Err(MembersError::Name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_bounds() {
        for name in ["a", "Ä ö", &"x".repeat(MAX_NAME)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", " a", "a ", "a\nb", "a\0", &"x".repeat(MAX_NAME + 1)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
