//! Members of the workspace.

pub(crate) mod deactivate;
pub(crate) mod list;
pub(crate) mod reactivate;
pub(crate) mod remove;
pub(crate) mod show;

use super::role_grants::RoleGrantBody;
use causeway_identity::{GroupOf, MemberDetail};
use causeway_types::entity::{Member, MemberOrigin, MemberState};
use causeway_types::{GroupId, MemberId, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;

/// A person's place in the workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub(crate) struct MemberBody {
    /// Its id.
    id: MemberId,
    /// The person, once they have signed in.
    user_id: Option<UserId>,
    /// Their e-mail address.
    email: String,
    /// Their name.
    name: String,
    /// What the company's directory calls them.
    external_id: Option<String>,
    /// How they became a member.
    origin: MemberOrigin,
    /// Whether they may come in.
    state: MemberState,
    /// When they became a member.
    created_at: Timestamp,
    /// When this was changed last.
    updated_at: Timestamp,
    /// When they last did something here, to a minute.
    last_active_at: Option<Timestamp>,
}

impl From<Member> for MemberBody {
    fn from(member: Member) -> Self {
        Self {
            id: member.id,
            user_id: member.user_id,
            email: member.email,
            name: member.name,
            external_id: member.external_id,
            origin: member.origin,
            state: member.state,
            created_at: member.created_at,
            updated_at: member.updated_at,
            last_active_at: member.last_active_at,
        }
    }
}

/// A member with what they may do, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemberDetail)]
pub(crate) struct MemberDetailBody {
    /// The member.
    member: MemberBody,
    /// The roles granted to them.
    roles: Vec<RoleGrantBody>,
    /// The groups that they are in.
    groups: Vec<GroupOfBody>,
}

/// A group that a member is in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GroupOfMember)]
pub(crate) struct GroupOfBody {
    /// Its id.
    id: GroupId,
    /// Its name.
    name: String,
    /// The roles granted to it.
    roles: Vec<RoleGrantBody>,
}

impl From<MemberDetail> for MemberDetailBody {
    fn from(detail: MemberDetail) -> Self {
        Self {
            member: detail.member.into(),
            roles: detail.roles.into_iter().map(RoleGrantBody::from).collect(),
            groups: detail.groups.into_iter().map(GroupOfBody::from).collect(),
        }
    }
}

impl From<GroupOf> for GroupOfBody {
    fn from(of: GroupOf) -> Self {
        Self {
            id: of.group.id,
            name: of.group.name,
            roles: of.roles.into_iter().map(RoleGrantBody::from).collect(),
        }
    }
}
