//! Components.

pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod publish;
pub(crate) mod show;

use causeway_flow::ComponentDetail;
use causeway_types::entity::{Component, ComponentKind};
use causeway_types::{ComponentId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A published version of a component.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Component)]
pub(crate) struct ComponentBody {
    /// Its id.
    id: ComponentId,
    /// Its author's name for it, which all its versions have.
    key: String,
    /// Three numbers, as in `1.0.2`.
    version: String,
    /// `action` or `source`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: ComponentKind,
    /// What people call it.
    name: String,
    /// What it does, in a few words.
    description: Option<String>,
    /// The slugs of the apps that it uses.
    apps: Vec<String>,
    /// SHA-256 of its content, and of what it was published with.
    digest: String,
    /// When it was published.
    created_at: Timestamp,
}

/// A component with what it says of itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ComponentDetail)]
pub(crate) struct ComponentDetailBody {
    #[serde(flatten)]
    component: ComponentBody,
    /// The path of its file in its folder.
    entry: String,
    /// The hosts that its code may reach beyond those of its apps.
    egress: Vec<String>,
    /// What it says of its effects.
    annotations: Option<Value>,
    /// The definitions of its props: each has `name` and `type`, and what else its author wrote.
    props: Vec<Value>,
}

impl From<Component> for ComponentBody {
    fn from(one: Component) -> Self {
        Self {
            id: one.id,
            key: one.key,
            version: one.version,
            kind: one.kind,
            name: one.name,
            description: one.description,
            apps: one.apps.split_whitespace().map(str::to_owned).collect(),
            digest: one.digest,
            created_at: one.created_at,
        }
    }
}

impl From<ComponentDetail> for ComponentDetailBody {
    fn from(detail: ComponentDetail) -> Self {
        let props = detail.definition.props.iter();
        Self {
            component: detail.component.into(),
            entry: detail.definition.entry,
            egress: detail.definition.egress,
            annotations: detail.definition.annotations,
            // They came as JSON.
            props: props.map(|prop| serde_json::to_value(prop).unwrap_or_default()).collect(),
        }
    }
}
