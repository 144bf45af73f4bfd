use super::KeysBody;
use crate::extract::Authorized;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;

/// Make a new data key and seal every record again under it, in the background.
#[utoipa::path(
    post, path = "/keys/rotate", tag = "keys", operation_id = "rotate_keys",
    responses((status = 202, description = "The rotation has begun.", body = KeysBody), (status = "default", response = Problem))
)]
pub(crate) async fn rotate(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::RotateKeys>,
) -> Result<(StatusCode, Json<KeysBody>), Problem> {
    let (workspace, actor) = (permit.workspace(), permit.actor());
    let rotation = api.vault().start_rotation(workspace, actor).await?;
    let vault = api.vault().clone();
    tokio::spawn(async move {
        // Callers see how far it is in the store.
        let mut quietly = |_| {};
        let run = vault.run_rotation(workspace, rotation.id, actor, &mut quietly);
        if let Err(error) = Box::pin(run).await {
            // The server takes unfinished rotations up again every minute.
            tracing::warn!(
                rotation.id = %rotation.id,
                error = causeway_types::chain(&error),
                "a key rotation was interrupted"
            );
        }
    });
    Ok((StatusCode::ACCEPTED, Json(api.keys(workspace).await?)))
}
