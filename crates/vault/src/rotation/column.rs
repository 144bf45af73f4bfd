//! The columns that hold seals, in the order in which a rotation walks through them.

use causeway_store::{ReadConn, WriteTx, db};
use causeway_types::entity::{SealedRecord, SealedScope};
use causeway_types::place::Sealed;
use causeway_types::{DataKeyId, Place, WorkspaceId};
use data_encoding::HEXLOWER;

/// A column that holds seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    ClientSecret,
    FlowVerifier,
    Credential,
    RefreshAnswer,
    TriggerToken,
    VersionBundle,
    EventBody,
    StepRecord,
    Response,
    IdempotentResponse,
    ProviderSecret,
    SignInSecrets,
    SigningKey,
    WebhookTarget,
    WebhookBody,
    WebhookAnswer,
    ConnectToken,
    OverrideFields,
    ItemList,
    ComponentBundle,
    ComponentDefinition,
    DynamicProps,
}

/// A seal of a page. The place is missing if the record's id is not one.
pub(super) struct Row {
    pub(super) record: String,
    pub(super) place: Option<Place>,
    pub(super) sealed: Sealed,
}

impl Column {
    pub(super) const ALL: [Self; 22] = [
        Self::ClientSecret,
        Self::FlowVerifier,
        Self::Credential,
        Self::RefreshAnswer,
        Self::TriggerToken,
        Self::VersionBundle,
        Self::EventBody,
        Self::StepRecord,
        Self::Response,
        Self::IdempotentResponse,
        Self::ProviderSecret,
        Self::SignInSecrets,
        Self::SigningKey,
        Self::WebhookTarget,
        Self::WebhookBody,
        Self::WebhookAnswer,
        Self::ConnectToken,
        Self::OverrideFields,
        Self::ItemList,
        Self::ComponentBundle,
        Self::ComponentDefinition,
        Self::DynamicProps,
    ];

    /// The kind of record, as it stands in a rotation's `at_kind`: the same word as in the seals'
    /// associated data.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::ClientSecret => "oauth_client",
            Self::FlowVerifier => "oauth_flow",
            Self::Credential => "connection",
            Self::RefreshAnswer => "connection_refresh",
            Self::TriggerToken => "trigger",
            Self::VersionBundle => "version",
            Self::EventBody => "event",
            Self::StepRecord => "step",
            Self::Response => "invocation",
            Self::IdempotentResponse => "idempotency",
            Self::ProviderSecret => "identity_provider",
            Self::SignInSecrets => "sign_in_flow",
            Self::SigningKey => "signing_key",
            Self::WebhookTarget => "webhook_endpoint",
            Self::WebhookBody => "webhook_message",
            Self::WebhookAnswer => "webhook_attempt",
            Self::ConnectToken => "connect_session",
            Self::OverrideFields => "app_override",
            Self::ItemList => "item_list",
            Self::ComponentBundle => "component",
            Self::ComponentDefinition => "component_definition",
            Self::DynamicProps => "dynamic_props",
        }
    }

    /// Rows of a page: fewer where a seal may be megabytes long, so that a page fits in memory.
    const fn page_size(self) -> i64 {
        match self {
            Self::VersionBundle | Self::ItemList | Self::ComponentBundle => 8,
            Self::EventBody | Self::StepRecord | Self::Response | Self::IdempotentResponse => 64,
            _ => 256,
        }
    }

    fn place(self, record: &str) -> Option<Place> {
        Some(match self {
            Self::ClientSecret => Place::OAuthClientSecret(record.parse().ok()?),
            Self::FlowVerifier => Place::OAuthFlowVerifier(record.parse().ok()?),
            Self::Credential => Place::ConnectionCredential(record.parse().ok()?),
            Self::RefreshAnswer => Place::RefreshAnswer(record.parse().ok()?),
            Self::TriggerToken => Place::TriggerToken(record.parse().ok()?),
            Self::VersionBundle => Place::VersionBundle(record.parse().ok()?),
            Self::EventBody => Place::EventBody(record.parse().ok()?),
            Self::StepRecord => Place::StepRecord(record.parse().ok()?),
            Self::Response => Place::InvocationResponse(record.parse().ok()?),
            Self::ProviderSecret => Place::ProviderSecret(record.parse().ok()?),
            Self::SignInSecrets => Place::SignInSecrets(record.parse().ok()?),
            Self::SigningKey => Place::SigningKey(record.parse().ok()?),
            Self::WebhookTarget => Place::WebhookTarget(record.parse().ok()?),
            Self::WebhookBody => Place::WebhookBody(record.parse().ok()?),
            Self::WebhookAnswer => Place::WebhookAnswer(record.parse().ok()?),
            Self::ConnectToken => Place::ConnectToken(record.parse().ok()?),
            Self::OverrideFields => Place::AppOverrideFields(record.parse().ok()?),
            Self::ItemList => Place::ItemList(record.parse().ok()?),
            Self::ComponentBundle => Place::ComponentBundle(record.parse().ok()?),
            Self::ComponentDefinition => Place::ComponentDefinition(record.parse().ok()?),
            Self::DynamicProps => Place::DynamicProps(record.parse().ok()?),
            Self::IdempotentResponse => Place::IdempotentResponse(scope(record).try_into().ok()?),
        })
    }

    /// The seals after a record that are not under the data key.
    pub(super) async fn page(
        self,
        conn: &mut ReadConn,
        workspace: WorkspaceId,
        after: &str,
        key: DataKeyId,
    ) -> causeway_store::Result<Vec<Row>> {
        let (key, limit) = (&key.to_bytes()[..], self.page_size());
        let records: Vec<SealedRecord> = match self {
            Self::ClientSecret => db!(conn, reseal::client_secrets(workspace, after, key, limit)),
            Self::FlowVerifier => db!(conn, reseal::flow_verifiers(workspace, after, key, limit)),
            Self::Credential => db!(conn, reseal::credentials(workspace, after, key, limit)),
            Self::RefreshAnswer => db!(conn, reseal::refresh_answers(workspace, after, key, limit)),
            Self::TriggerToken => db!(conn, reseal::trigger_tokens(workspace, after, key, limit)),
            Self::VersionBundle => db!(conn, reseal::version_bundles(workspace, after, key, limit)),
            Self::EventBody => db!(conn, reseal::event_bodies(workspace, after, key, limit)),
            Self::StepRecord => db!(conn, reseal::step_records(workspace, after, key, limit)),
            Self::Response => db!(conn, reseal::responses(workspace, after, key, limit)),
            Self::ProviderSecret => {
                db!(conn, reseal::provider_secrets(workspace, after, key, limit))
            }
            Self::SignInSecrets => db!(conn, reseal::sign_in_secrets(workspace, after, key, limit)),
            Self::SigningKey => db!(conn, reseal::signing_keys(workspace, after, key, limit)),
            Self::WebhookTarget => db!(conn, reseal::webhook_targets(workspace, after, key, limit)),
            Self::WebhookBody => db!(conn, reseal::webhook_bodies(workspace, after, key, limit)),
            Self::WebhookAnswer => db!(conn, reseal::webhook_answers(workspace, after, key, limit)),
            Self::ConnectToken => db!(conn, reseal::connect_tokens(workspace, after, key, limit)),
            Self::OverrideFields => {
                db!(conn, reseal::override_fields(workspace, after, key, limit))
            }
            Self::ItemList => db!(conn, reseal::item_lists(workspace, after, key, limit)),
            Self::ComponentBundle => {
                db!(conn, reseal::component_bundles(workspace, after, key, limit))
            }
            Self::ComponentDefinition => {
                db!(conn, reseal::component_definitions(workspace, after, key, limit))
            }
            Self::DynamicProps => db!(conn, reseal::dynamic_props(workspace, after, key, limit)),
            Self::IdempotentResponse => {
                let after = scope(after);
                db!(conn, reseal::idempotent_responses(workspace, &after, key, limit))
                    .map(|rows| rows.into_iter().map(named).collect())
            }
        }?;
        Ok(records
            .into_iter()
            .map(|row| Row {
                place: self.place(&row.record),
                record: row.record,
                sealed: row.sealed,
            })
            .collect())
    }

    /// Replaces a seal that has not changed, and says whether it did.
    pub(super) async fn replace(
        self,
        tx: &mut WriteTx,
        workspace: WorkspaceId,
        record: &str,
        old: &Sealed,
        new: &Sealed,
    ) -> causeway_store::Result<bool> {
        let changed = match self {
            Self::ClientSecret => {
                db!(tx, reseal::replace_client_secret(workspace, record, old, new))
            }
            Self::FlowVerifier => {
                db!(tx, reseal::replace_flow_verifier(workspace, record, old, new))
            }
            Self::Credential => db!(tx, reseal::replace_credential(workspace, record, old, new)),
            Self::RefreshAnswer => {
                db!(tx, reseal::replace_refresh_answer(workspace, record, old, new))
            }
            Self::TriggerToken => {
                db!(tx, reseal::replace_trigger_token(workspace, record, old, new))
            }
            Self::VersionBundle => {
                db!(tx, reseal::replace_version_bundle(workspace, record, old, new))
            }
            Self::EventBody => db!(tx, reseal::replace_event_body(workspace, record, old, new)),
            Self::StepRecord => db!(tx, reseal::replace_step_record(workspace, record, old, new)),
            Self::Response => db!(tx, reseal::replace_response(workspace, record, old, new)),
            Self::ProviderSecret => {
                db!(tx, reseal::replace_provider_secret(workspace, record, old, new))
            }
            Self::SignInSecrets => {
                db!(tx, reseal::replace_sign_in_secrets(workspace, record, old, new))
            }
            Self::SigningKey => db!(tx, reseal::replace_signing_key(workspace, record, old, new)),
            Self::WebhookTarget => {
                db!(tx, reseal::replace_webhook_target(workspace, record, old, new))
            }
            Self::WebhookBody => db!(tx, reseal::replace_webhook_body(workspace, record, old, new)),
            Self::WebhookAnswer => {
                db!(tx, reseal::replace_webhook_answer(workspace, record, old, new))
            }
            Self::ConnectToken => {
                db!(tx, reseal::replace_connect_token(workspace, record, old, new))
            }
            Self::OverrideFields => {
                db!(tx, reseal::replace_override_fields(workspace, record, old, new))
            }
            Self::ItemList => db!(tx, reseal::replace_item_list(workspace, record, old, new)),
            Self::ComponentBundle => {
                db!(tx, reseal::replace_component_bundle(workspace, record, old, new))
            }
            Self::ComponentDefinition => {
                db!(tx, reseal::replace_component_definition(workspace, record, old, new))
            }
            Self::DynamicProps => {
                db!(tx, reseal::replace_dynamic_props(workspace, record, old, new))
            }
            Self::IdempotentResponse => {
                let scope = scope(record);
                db!(tx, reseal::replace_idempotent_response(workspace, &scope, old, new))
            }
        }?;
        Ok(changed > 0)
    }
}

fn named(row: SealedScope) -> SealedRecord {
    SealedRecord { record: HEXLOWER.encode(&row.scope), sealed: row.sealed }
}

/// The digest that a record's name stands for; nothing for the start of the walk.
fn scope(record: &str) -> Vec<u8> {
    HEXLOWER.decode(record.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_the_kind_of_its_place() {
        let id = "01jd8r4t5v6w7x8y9z0a1b2c3d";
        let prefixes = [
            "oac", "oaf", "conn", "conn", "trg", "ver", "evt", "stp", "inv", "idp", "sif", "sgn",
            "whe", "msg", "wha", "cs", "ovr", "inv", "sc", "sc", "dyp",
        ];
        let columns = Column::ALL.into_iter().filter(|one| *one != Column::IdempotentResponse);
        for (column, prefix) in columns.zip(prefixes) {
            let place = column.place(&format!("{prefix}_{id}")).unwrap();
            assert_eq!(place.kind_and_field().0, column.kind());
            assert_eq!(place.record(), format!("{prefix}_{id}"));
            assert!(column.place("nonsense").is_none());
        }
        let digest = "ab".repeat(32);
        let place = Column::IdempotentResponse.place(&digest).unwrap();
        assert_eq!(place.kind_and_field().0, Column::IdempotentResponse.kind());
        assert_eq!(place.record(), digest);
        assert!(Column::IdempotentResponse.place("abcd").is_none());
    }
}
