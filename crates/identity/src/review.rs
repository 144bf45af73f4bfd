//! The access review: who has what in a workspace, and who does not use it.

use crate::action;
use crate::permit::Permit;
use crate::scope::Scopes;
use causeway_store::{Error, ReadConn, Store, db};
use causeway_types::entity::{
    AccessRequest, ApiKey, Group, HeldRole, MachineClient, Member, MemberState, Role,
};
use causeway_types::{EnvironmentId, GroupId, MemberId, ProjectId, Timestamp, WorkspaceId};
use std::collections::HashMap;

/// After how many days without use an access is flagged.
pub const UNUSED_AFTER: i64 = 90;
/// Records read in one go.
const PAGE: i64 = 500;

/// Who has what in a workspace.
#[derive(Debug, Clone)]
pub struct AccessReview {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// When this was true.
    pub made_at: Timestamp,
    /// Its members, the deactivated ones too.
    pub members: Vec<MemberAccess>,
    /// Its groups.
    pub groups: Vec<GroupAccess>,
    /// API keys that are neither revoked nor expired.
    pub api_keys: Vec<ProgramAccess>,
    /// Machine clients that are not revoked.
    pub machine_clients: Vec<ProgramAccess>,
    /// Approved access of the staff whose time is not over.
    pub staff: Vec<StaffInside>,
}

/// What a member may do.
#[derive(Debug, Clone)]
pub struct MemberAccess {
    /// The member.
    pub member: Member,
    /// Their roles, their own first.
    pub roles: Vec<RoleOf>,
    /// Whether they use them. Of a deactivated member nothing is flagged.
    pub usage: Usage,
}

/// A role, and where it comes from.
#[derive(Debug, Clone)]
pub struct RoleOf {
    /// The role.
    pub role: Role,
    /// Where it counts; None is in all of the workspace.
    pub project: Option<ProjectId>,
    /// The group through which it is held; None is directly.
    pub group: Option<(GroupId, String)>,
}

/// What the members of a group may do.
#[derive(Debug, Clone)]
pub struct GroupAccess {
    /// The group.
    pub group: Group,
    /// How many members it has.
    pub members: usize,
    /// Its roles.
    pub roles: Vec<HeldRole>,
}

/// What a program may do.
#[derive(Debug, Clone)]
pub struct ProgramAccess {
    /// The id of its key or client.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The project.
    pub project: ProjectId,
    /// The environment.
    pub environment: EnvironmentId,
    /// What it may do there. None if the record is damaged; then it may do nothing.
    pub scopes: Option<Scopes>,
    /// Who made it.
    pub created_by: String,
    /// Until when it works.
    pub expires_at: Option<Timestamp>,
    /// Whether it is used.
    pub usage: Usage,
}

/// A member of the staff who may come in now.
#[derive(Debug, Clone)]
pub struct StaffInside {
    /// The approved request.
    pub request: AccessRequest,
    /// Their e-mail address.
    pub email: String,
}

/// Whether an access is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Since when it is there.
    pub created_at: Timestamp,
    /// When it was used last.
    pub last_used_at: Option<Timestamp>,
    /// Whole days since then, or since it is there if it was never used.
    pub unused_for_days: i64,
    /// Whether that is [`UNUSED_AFTER`] days or more.
    pub unused: bool,
}

impl Usage {
    fn new(created_at: Timestamp, last_used_at: Option<Timestamp>, now: Timestamp) -> Self {
        let since = now.since(last_used_at.unwrap_or(created_at));
        let unused_for_days = i64::try_from(since.as_secs() / 86_400).unwrap_or(i64::MAX);
        let unused = unused_for_days >= UNUSED_AFTER;
        Self { created_at, last_used_at, unused_for_days, unused }
    }
}

impl AccessReview {
    /// Looks at everything that gives access to the workspace.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn make(
        store: &Store,
        permit: &Permit<action::ReviewAccess>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let workspace = permit.workspace();
        let mut conn = store.read().await?;
        let mut granted = Granted::read(&mut conn, workspace).await?;
        let (groups, through) = read_groups(&mut conn, workspace, &granted).await?;
        let mut members = Vec::new();
        for member in read_members(&mut conn, workspace).await? {
            let mut roles = granted.members.remove(&member.id).unwrap_or_default();
            roles.extend(through.get(&member.id).into_iter().flatten().cloned());
            let mut usage = Usage::new(member.created_at, member.last_active_at, now);
            usage.unused &= member.state == MemberState::Active;
            members.push(MemberAccess { member, roles, usage });
        }
        let api_keys = db!(conn, api_key::of_workspace(workspace))?
            .into_iter()
            .filter(|key| key.expires_at.is_none_or(|end| now < end))
            .map(|key| ProgramAccess::of_key(key, now))
            .collect();
        let machine_clients = db!(conn, machine_client::of_workspace(workspace))?
            .into_iter()
            .map(|client| ProgramAccess::of_client(client, now))
            .collect();
        let mut staff = Vec::new();
        for request in db!(conn, access_request::in_force(workspace, now))? {
            let user = db!(conn, user::by_id(request.user_id))?;
            let email = user.map(|user| user.email).unwrap_or_default();
            staff.push(StaffInside { request, email });
        }
        Ok(Self { workspace, made_at: now, members, groups, api_keys, machine_clients, staff })
    }

    /// How many accesses were not used for [`UNUSED_AFTER`] days.
    pub fn unused(&self) -> usize {
        let members = self.members.iter().map(|one| one.usage);
        let programs = self.api_keys.iter().chain(&self.machine_clients).map(|one| one.usage);
        members.chain(programs).filter(|usage| usage.unused).count()
    }
}

/// The roles of a workspace, by whom they are granted to.
#[derive(Default)]
struct Granted {
    members: HashMap<MemberId, Vec<RoleOf>>,
    groups: HashMap<GroupId, Vec<HeldRole>>,
}

impl Granted {
    async fn read(conn: &mut ReadConn, workspace: WorkspaceId) -> Result<Self, Error> {
        let mut granted = Self::default();
        for grant in db!(conn, role_grant::all(workspace))? {
            let (role, project) = (grant.role, grant.project_id);
            if let Some(member) = grant.member_id {
                let held = RoleOf { role, project, group: None };
                granted.members.entry(member).or_default().push(held);
            }
            if let Some(group) = grant.group_id {
                let held = HeldRole { role, project_id: project };
                granted.groups.entry(group).or_default().push(held);
            }
        }
        Ok(granted)
    }
}

/// The groups, and the roles that each member holds through them.
async fn read_groups(
    conn: &mut ReadConn,
    workspace: WorkspaceId,
    granted: &Granted,
) -> Result<(Vec<GroupAccess>, HashMap<MemberId, Vec<RoleOf>>), Error> {
    let mut groups = Vec::new();
    let mut through: HashMap<MemberId, Vec<RoleOf>> = HashMap::new();
    let mut after = GroupId::lowest();
    loop {
        let page = db!(conn, group::page(workspace, after, PAGE))?;
        let Some(last) = page.last() else { return Ok((groups, through)) };
        after = last.id;
        for group in page {
            let roles = granted.groups.get(&group.id).cloned().unwrap_or_default();
            let members = db!(conn, group::members(workspace, group.id))?;
            for member in &members {
                through.entry(*member).or_default().extend(roles.iter().map(|held| RoleOf {
                    role: held.role,
                    project: held.project_id,
                    group: Some((group.id, group.name.clone())),
                }));
            }
            groups.push(GroupAccess { group, members: members.len(), roles });
        }
    }
}

async fn read_members(conn: &mut ReadConn, workspace: WorkspaceId) -> Result<Vec<Member>, Error> {
    let mut members = Vec::new();
    let mut after = MemberId::lowest();
    loop {
        let page = db!(conn, member::page(workspace, after, PAGE))?;
        let Some(last) = page.last() else { return Ok(members) };
        after = last.id;
        members.extend(page);
    }
}

impl ProgramAccess {
    fn of_key(key: ApiKey, now: Timestamp) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            project: key.project_id,
            environment: key.environment_id,
            scopes: Scopes::from_text(&key.scopes).ok(),
            created_by: key.created_by,
            expires_at: key.expires_at,
            usage: Usage::new(key.created_at, key.last_used_at, now),
        }
    }

    fn of_client(client: MachineClient, now: Timestamp) -> Self {
        Self {
            id: client.id.to_string(),
            name: client.name,
            project: client.project_id,
            environment: client.environment_id,
            scopes: Scopes::from_text(&client.scopes).ok(),
            created_by: client.created_by,
            expires_at: None,
            usage: Usage::new(client.created_at, client.last_used_at, now),
        }
    }
}

#[cfg(test)]
mod tests;
