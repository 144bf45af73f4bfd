//! The workspace's data keys.

pub(crate) mod rotate;
pub(crate) mod show;

use crate::{Api, Problem};
use causeway_store::db;
use causeway_types::entity::{DataKeyState, RotationState};
use causeway_types::{DataKeyId, RotationId, Timestamp, WorkspaceId};
use serde::Serialize;
use utoipa::ToSchema;

/// The data keys of the workspace and the last rotation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeysBody {
    /// The keys, oldest first.
    data_keys: Vec<DataKeyBody>,
    /// The last rotation, if there was one.
    rotation: Option<RotationBody>,
}

/// A data key; never the key itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DataKeyBody {
    /// Its id.
    id: DataKeyId,
    /// `active` seals; `retired` opens what it sealed before.
    state: DataKeyState,
    /// The root key that wraps it.
    root_key: String,
    /// When it was made.
    created_at: Timestamp,
}

/// A rotation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RotationBody {
    /// Its id.
    id: RotationId,
    /// `running`; `settling` once every record is sealed again and other nodes' copies of the
    /// old key have to expire; `done`.
    state: &'static str,
    /// Records passed.
    done: i64,
    /// Records that there were at the start.
    total: i64,
    /// How fast, on average.
    records_per_second: i64,
    /// When it began.
    started_at: Timestamp,
    /// When it ended, if it has.
    finished_at: Option<Timestamp>,
}

impl Api {
    async fn keys(&self, workspace: WorkspaceId) -> Result<KeysBody, Problem> {
        let rotation = self.vault().rotation(workspace).await?;
        let mut conn = self.store().read().await?;
        let keys = db!(conn, data_key::of_workspace(workspace))?;
        Ok(KeysBody {
            data_keys: keys
                .into_iter()
                .map(|key| DataKeyBody {
                    id: key.id,
                    state: key.state,
                    root_key: key.root_key,
                    created_at: key.created_at,
                })
                .collect(),
            rotation: rotation.map(|rotation| {
                let settling = rotation.is_settling();
                let took = rotation.updated_at.since(rotation.started_at).as_millis().max(1);
                let took = i64::try_from(took).unwrap_or(i64::MAX);
                RotationBody {
                    id: rotation.id,
                    state: match rotation.state {
                        RotationState::Done => "done",
                        RotationState::Running if settling => "settling",
                        RotationState::Running => "running",
                    },
                    done: rotation.done,
                    total: rotation.total,
                    records_per_second: rotation.done.saturating_mul(1000) / took,
                    started_at: rotation.started_at,
                    finished_at: rotation.finished_at,
                }
            }),
        })
    }
}
