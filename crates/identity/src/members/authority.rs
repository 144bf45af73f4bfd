//! How much whoever manages members may give and take: nobody gives more than they have, and only
//! owners touch owners.

use super::MembersError;
use crate::action::{ActionName, ManageMembers};
use crate::permit::{Caller, DeniedReason, Permit};
use crate::role;
use causeway_types::entity::{HeldRole, Role, RoleGrant};
use causeway_types::{Actor, INSTALLATION};

/// What a caller may give and take.
pub(crate) enum Authority<'a> {
    /// A person, by the roles that they hold in all of the workspace.
    Person(Vec<Role>),
    /// A program, by its scopes.
    Program(&'a Caller),
    /// The company's directory, over SCIM. It fills groups that were given roles, and makes no
    /// owners.
    Directory,
}

impl<'a> Authority<'a> {
    /// What the caller with this permit may give and take.
    ///
    /// # Errors
    /// [`MembersError::Denied`] if the permit is not the caller's.
    pub(crate) fn of(
        permit: &Permit<ManageMembers>,
        caller: &'a Caller,
    ) -> Result<Self, MembersError> {
        if caller.actor() != permit.actor() || caller.workspace() != permit.workspace() {
            return Err(permit.deny(DeniedReason::NotGranted).into());
        }
        Ok(match caller.actor() {
            Actor::ApiKey(_) | Actor::MachineClient(_) => Self::Program(caller),
            _ => Self::Person(
                caller
                    .roles()
                    .iter()
                    .filter(|held| held.project_id.is_none())
                    .map(|held| held.role)
                    .collect(),
            ),
        })
    }

    /// Whether a role may be given to somebody.
    ///
    /// # Errors
    /// [`MembersError::Beyond`] if not.
    pub(crate) fn may_give(&self, role: Role) -> Result<(), MembersError> {
        let may = match self {
            Self::Person(roles) => roles.iter().any(|own| role::may_grant(*own, role)),
            Self::Program(caller) => role != Role::Owner && holds_all_of(caller, role),
            Self::Directory => role != Role::Owner,
        };
        self.judge(may, role)
    }

    /// Whether a role may be taken from somebody, or somebody who has it be changed.
    ///
    /// # Errors
    /// [`MembersError::Beyond`] if not.
    pub(crate) fn may_take(&self, role: Role) -> Result<(), MembersError> {
        let may = match self {
            Self::Person(roles) => roles.iter().any(|own| role::may_grant(*own, role)),
            Self::Program(_) => role != Role::Owner,
            Self::Directory => true,
        };
        self.judge(may, role)
    }

    /// The same for all the roles that somebody holds.
    pub(crate) fn may_give_all(&self, held: &[HeldRole]) -> Result<(), MembersError> {
        held.iter().try_for_each(|held| self.may_give(held.role))
    }

    /// The same for all the roles that somebody holds.
    pub(crate) fn may_take_all(&self, held: &[HeldRole]) -> Result<(), MembersError> {
        held.iter().try_for_each(|held| self.may_take(held.role))
    }

    fn judge(&self, may: bool, role: Role) -> Result<(), MembersError> {
        if may {
            return Ok(());
        }
        Err(MembersError::Beyond { role, program: !matches!(self, Self::Person(_)) })
    }
}

/// Whether a program has all that a role carries. No role is confined to some apps or requests.
fn holds_all_of(caller: &Caller, role: Role) -> bool {
    if caller.scopes().is_none_or(|scopes| scopes.apps.is_some() || scopes.proxy.is_some()) {
        return false;
    }
    let carries = if caller.workspace() == INSTALLATION {
        role::carries_in_installation
    } else {
        role::carries
    };
    ActionName::ALL.iter().all(|action| !carries(role, *action) || caller.may(*action))
}

/// The roles of grants.
pub(crate) fn held(grants: &[RoleGrant]) -> Vec<HeldRole> {
    grants.iter().map(|grant| HeldRole { role: grant.role, project_id: grant.project_id }).collect()
}
