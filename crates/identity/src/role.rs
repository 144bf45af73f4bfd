//! What each role may do. Whatever is not named here is denied.

use crate::action::ActionName::{
    self, ApproveStaff, CancelInvocation, DecideAccess, DeleteInvocation, Deploy, ExportAudit,
    ExportCredentials, ManageAudit, ManageConnectSettings, ManageMachineAccess, ManageMembers,
    ManageOAuthClients, ManageProjects, ManageSso, ManageWebhooks, ManageWorkspaces, ReadApps,
    ReadAudit, ReadConnections, ReadInvocations, ReadKeys, ReadMachineAccess, ReadMembers,
    ReadReports, ReadSso, ReadWebhooks, ReadWorkflows, ReadWorkspace, ReplayInvocation,
    ReplayWebhooks, RequestAccess, ResumeInvocation, ReviewAccess, RotateKeys, RunComponents,
    RunWorkflow, UseProxy, WriteConnections,
};
use causeway_types::entity::Role;

const LOOK: &[ActionName] =
    &[ReadWorkspace, ReadWorkflows, ReadInvocations, ReadConnections, ReadWebhooks, ReadApps];
const OPERATE: &[ActionName] = &[
    RunWorkflow,
    ReplayInvocation,
    CancelInvocation,
    ResumeInvocation,
    DeleteInvocation,
    WriteConnections,
    ReplayWebhooks,
    ReadMachineAccess,
];
const BUILD: &[ActionName] = &[
    Deploy,
    RunComponents,
    UseProxy,
    ManageOAuthClients,
    ManageWebhooks,
    ManageMachineAccess,
    ReadMembers,
];
const EXAMINE: &[ActionName] = &[
    ReadWorkspace,
    ReadMembers,
    ReadMachineAccess,
    ReadSso,
    ReadKeys,
    ReadApps,
    ReadAudit,
    ExportAudit,
    ReviewAccess,
];
const ADMINISTER: &[ActionName] = &[
    ManageProjects,
    ManageMembers,
    ManageAudit,
    RotateKeys,
    ManageConnectSettings,
    ExportCredentials,
];
/// Whoever sets how people sign in can let himself in as anybody, owners included.
const OWN: &[ActionName] = &[DecideAccess, ManageSso];
/// What the staff's roles carry beside, in the installation.
const STAFF: &[ActionName] = &[RequestAccess, ReadReports];
const STAFF_LEADS: &[ActionName] = &[ApproveStaff, ManageWorkspaces];

/// The bundles of actions that a role is made of.
fn bundles(role: Role) -> &'static [&'static [ActionName]] {
    match role {
        Role::Owner => &[LOOK, OPERATE, BUILD, EXAMINE, ADMINISTER, OWN],
        Role::Admin => &[LOOK, OPERATE, BUILD, EXAMINE, ADMINISTER],
        Role::Developer => &[LOOK, OPERATE, BUILD],
        Role::Operator => &[LOOK, OPERATE],
        Role::Viewer => &[LOOK],
        Role::Auditor => &[EXAMINE],
    }
}

/// Whether a role carries an action in a workspace.
pub fn carries(role: Role, action: ActionName) -> bool {
    bundles(role).iter().any(|bundle| bundle.contains(&action))
}

/// Whether a role in the installation itself carries an action there.
pub fn carries_in_installation(role: Role, action: ActionName) -> bool {
    let staff = matches!(role, Role::Owner | Role::Admin | Role::Operator);
    let leads = matches!(role, Role::Owner | Role::Admin);
    carries(role, action)
        || (staff && STAFF.contains(&action))
        || (leads && STAFF_LEADS.contains(&action))
}

/// Whether somebody with the role `own` may give or take the role `other`: nobody hands out more
/// than they have, and only owners make owners.
pub fn may_grant(own: Role, other: Role) -> bool {
    carries(own, ManageMembers) && (other != Role::Owner || own == Role::Owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ActionName::{ProvisionMembers, UseConnections};

    #[test]
    fn no_role_opens_credentials_provisions_or_is_staff() {
        for role in Role::ALL {
            for action in [UseConnections, ProvisionMembers, RequestAccess, ApproveStaff] {
                assert!(!carries(*role, action), "{role} {action}");
            }
        }
    }

    #[test]
    fn every_action_is_some_roles_or_deliberately_nobodys() {
        for action in ActionName::ALL {
            let nobodys = matches!(action, UseConnections | ProvisionMembers);
            assert_eq!(carries_in_installation(Role::Owner, *action), !nobodys, "{action}");
        }
    }

    #[test]
    fn an_auditor_changes_nothing_and_sees_no_contents() {
        for action in [Deploy, RunWorkflow, WriteConnections, ManageMembers, ReadInvocations] {
            assert!(!carries(Role::Auditor, action), "{action}");
        }
    }

    #[test]
    fn only_owners_make_owners() {
        for role in Role::ALL {
            assert_eq!(may_grant(*role, Role::Owner), *role == Role::Owner, "{role}");
            assert_eq!(
                may_grant(*role, Role::Viewer),
                matches!(role, Role::Owner | Role::Admin),
                "{role}"
            );
        }
    }
}
