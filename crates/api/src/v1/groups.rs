//! Groups of members.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod members;
pub(crate) mod show;

use super::role_grants::RoleGrantBody;
use causeway_identity::GroupDetail;
use causeway_types::entity::Group;
use causeway_types::{GroupId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A group of members.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
pub(crate) struct GroupBody {
    /// Its id.
    id: GroupId,
    /// Its name, unique in the workspace.
    name: String,
    /// What the company's directory calls it.
    external_id: Option<String>,
    /// When it was made.
    created_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
}

impl From<Group> for GroupBody {
    fn from(group: Group) -> Self {
        Self {
            id: group.id,
            name: group.name,
            external_id: group.external_id,
            created_at: group.created_at,
            updated_at: group.updated_at,
        }
    }
}

/// A group with its roles.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GroupDetail)]
pub(crate) struct GroupDetailBody {
    /// The group.
    group: GroupBody,
    /// The roles granted to it, which each of its members has.
    roles: Vec<RoleGrantBody>,
    /// How many members it has.
    members: usize,
}

impl From<GroupDetail> for GroupDetailBody {
    fn from(detail: GroupDetail) -> Self {
        Self {
            group: detail.group.into(),
            roles: detail.roles.into_iter().map(RoleGrantBody::from).collect(),
            members: detail.members,
        }
    }
}

/// What a group is called.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupName {
    /// Its name, unique in the workspace: 1 to 100 characters.
    name: String,
}
