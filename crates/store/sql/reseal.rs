//! The columns that hold seals, for a rotation to walk through: each kind of place has a page of
//! the seals that are not under a given data key, and a way to replace one that has not changed.
//!
//! Bytes 2 to 17 of a seal are its data key's id; an empty column holds no seal.

use crate::DbConn;
use causeway_types::WorkspaceId;
use causeway_types::entity::{SealedRecord, SealedScope};
use causeway_types::place::Sealed;

/// Writes the two functions of one column whose record has an id.
macro_rules! column {
    ($page:ident, $replace:ident, $table:literal, $id:literal, $column:literal) => {
        /// Seals after a record, by its id, that are not under the data key.
        pub async fn $page(
            c: &mut DbConn,
            workspace: WorkspaceId,
            after: &str,
            key: &[u8],
            limit: i64,
        ) -> sqlx::Result<Vec<SealedRecord>> {
            sqlx::query_as!(
                SealedRecord,
                "SELECT "
                    + $id
                    + " AS \"record!\", "
                    + $column
                    + " AS \"sealed!: _\" FROM "
                    + $table
                    + " WHERE workspace_id = $1 AND "
                    + $id
                    + " > $2 AND length("
                    + $column
                    + ") > 0 AND substr("
                    + $column
                    + ", 2, 16) <> $3 ORDER BY "
                    + $id
                    + " LIMIT $4",
                workspace as _,
                after,
                key,
                limit
            )
            .fetch_all(c)
            .await
        }

        /// Replaces a seal, unless it is no longer the one that was read.
        pub async fn $replace(
            c: &mut DbConn,
            workspace: WorkspaceId,
            record: &str,
            old: &Sealed,
            new: &Sealed,
        ) -> sqlx::Result<u64> {
            sqlx::query!(
                "UPDATE "
                    + $table
                    + " SET "
                    + $column
                    + " = $4 WHERE workspace_id = $1 AND "
                    + $id
                    + " = $2 AND "
                    + $column
                    + " = $3",
                workspace as _,
                record,
                old as _,
                new as _
            )
            .execute(c)
            .await
            .map(|done| done.rows_affected())
        }
    };
}

column!(client_secrets, replace_client_secret, "oauth_client", "id", "secret");
column!(flow_verifiers, replace_flow_verifier, "oauth_flow", "id", "verifier");
column!(credentials, replace_credential, "connection", "id", "credential");
column!(refresh_answers, replace_refresh_answer, "connection_refresh", "connection_id", "answer");
column!(trigger_tokens, replace_trigger_token, "workflow_trigger", "id", "token");
column!(version_bundles, replace_version_bundle, "version", "id", "bundle");
column!(event_bodies, replace_event_body, "event", "id", "body");
column!(step_records, replace_step_record, "step", "id", "record");
column!(responses, replace_response, "invocation", "id", "response");
column!(item_lists, replace_item_list, "invocation", "id", "items");
column!(provider_secrets, replace_provider_secret, "identity_provider", "id", "secret");
column!(sign_in_secrets, replace_sign_in_secrets, "sign_in_flow", "id", "secrets");
column!(signing_keys, replace_signing_key, "signing_key", "id", "secret");
column!(webhook_targets, replace_webhook_target, "webhook_endpoint", "id", "target");
column!(webhook_bodies, replace_webhook_body, "webhook_message", "id", "body");
column!(webhook_answers, replace_webhook_answer, "webhook_attempt", "id", "answer");
column!(connect_tokens, replace_connect_token, "connect_session", "id", "token");
column!(override_fields, replace_override_fields, "app_override", "id", "fields");
column!(component_bundles, replace_component_bundle, "component", "id", "bundle");
column!(component_definitions, replace_component_definition, "component", "id", "definition");
column!(dynamic_props, replace_dynamic_props, "dynamic_props", "id", "definitions");

/// The same for answers to repeated requests, whose record is the digest of a scope.
pub async fn idempotent_responses(
    c: &mut DbConn,
    workspace: WorkspaceId,
    after: &[u8],
    key: &[u8],
    limit: i64,
) -> sqlx::Result<Vec<SealedScope>> {
    sqlx::query_as!(
        SealedScope,
        r#"SELECT scope, response AS "sealed!: _" FROM idempotency
           WHERE workspace_id = $1 AND scope > $2 AND length(response) > 0
             AND substr(response, 2, 16) <> $3
           ORDER BY scope LIMIT $4"#,
        workspace as _,
        after,
        key,
        limit
    )
    .fetch_all(c)
    .await
}

pub async fn replace_idempotent_response(
    c: &mut DbConn,
    workspace: WorkspaceId,
    scope: &[u8],
    old: &Sealed,
    new: &Sealed,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE idempotency SET response = $4
         WHERE workspace_id = $1 AND scope = $2 AND response = $3",
        workspace as _,
        scope,
        old as _,
        new as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// How many seals of the workspace are not under the data key.
pub async fn count(c: &mut DbConn, workspace: WorkspaceId, key: &[u8]) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT
             (SELECT COUNT(*) FROM oauth_client WHERE workspace_id = $1 AND length(secret) > 0 AND substr(secret, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM oauth_flow WHERE workspace_id = $1 AND length(verifier) > 0 AND substr(verifier, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM connection WHERE workspace_id = $1 AND length(credential) > 0 AND substr(credential, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM connection_refresh WHERE workspace_id = $1 AND length(answer) > 0 AND substr(answer, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM workflow_trigger WHERE workspace_id = $1 AND length(token) > 0 AND substr(token, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM version WHERE workspace_id = $1 AND length(bundle) > 0 AND substr(bundle, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM event WHERE workspace_id = $1 AND length(body) > 0 AND substr(body, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM step WHERE workspace_id = $1 AND length(record) > 0 AND substr(record, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM invocation WHERE workspace_id = $1 AND length(response) > 0 AND substr(response, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM invocation WHERE workspace_id = $1 AND length(items) > 0 AND substr(items, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM idempotency WHERE workspace_id = $1 AND length(response) > 0 AND substr(response, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM identity_provider WHERE workspace_id = $1 AND length(secret) > 0 AND substr(secret, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM sign_in_flow WHERE workspace_id = $1 AND length(secrets) > 0 AND substr(secrets, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM signing_key WHERE workspace_id = $1 AND length(secret) > 0 AND substr(secret, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM webhook_endpoint WHERE workspace_id = $1 AND length(target) > 0 AND substr(target, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM webhook_message WHERE workspace_id = $1 AND length(body) > 0 AND substr(body, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM webhook_attempt WHERE workspace_id = $1 AND length(answer) > 0 AND substr(answer, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM connect_session WHERE workspace_id = $1 AND length(token) > 0 AND substr(token, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM app_override WHERE workspace_id = $1 AND length(fields) > 0 AND substr(fields, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM component WHERE workspace_id = $1 AND length(bundle) > 0 AND substr(bundle, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM component WHERE workspace_id = $1 AND length(definition) > 0 AND substr(definition, 2, 16) <> $2)
           + (SELECT COUNT(*) FROM dynamic_props WHERE workspace_id = $1 AND length(definitions) > 0 AND substr(definitions, 2, 16) <> $2)
           AS "n!: i64""#,
        workspace as _,
        key
    )
    .fetch_one(c)
    .await
}
