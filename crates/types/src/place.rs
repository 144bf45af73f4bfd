//! The places where sealed values stand. A seal is bound to its place: moved to another record
//! or field, it does not open.

use crate::{
    AppOverrideId, ComponentId, ConnectSessionId, ConnectionId, DynamicPropsId, EventId,
    InvocationId, OAuthClientId, OAuthFlowId, ProviderId, SignInFlowId, SigningKeyId, StepId,
    TriggerId, VersionId, WebhookAttemptId, WebhookEndpointId, WebhookMessageId,
};

/// Every kind of sealed value that Causeway stores, with the record that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The secret of the company's own OAuth client at an app.
    OAuthClientSecret(OAuthClientId),
    /// The PKCE verifier of a flow under way.
    OAuthFlowVerifier(OAuthFlowId),
    /// A connection's credential.
    ConnectionCredential(ConnectionId),
    /// The raw answer of a token endpoint, kept from its arrival until it has been applied.
    RefreshAnswer(ConnectionId),
    /// The unguessable part of a trigger's URL.
    TriggerToken(TriggerId),
    /// The files of a version.
    VersionBundle(VersionId),
    /// An event.
    EventBody(EventId),
    /// A step's return value, exports, logs and error.
    StepRecord(StepId),
    /// What an HTTP trigger's caller was answered.
    InvocationResponse(InvocationId),
    /// The list of an invocation's loop.
    ItemList(InvocationId),
    /// The secret of Causeway's own OAuth client at an identity provider.
    ProviderSecret(ProviderId),
    /// PKCE verifier and nonce of a sign-in under way.
    SignInSecrets(SignInFlowId),
    /// A key with which Causeway signs or computes digests of tokens.
    SigningKey(SigningKeyId),
    /// URL and secrets of an endpoint that webhooks are sent to.
    WebhookTarget(WebhookEndpointId),
    /// The body of a webhook.
    WebhookBody(WebhookMessageId),
    /// The beginning of what an endpoint answered to a webhook.
    WebhookAnswer(WebhookAttemptId),
    /// The token of a connect session, and where its outcome is reported to.
    ConnectToken(ConnectSessionId),
    /// What an app override fills in.
    AppOverrideFields(AppOverrideId),
    /// The files of a component.
    ComponentBundle(ComponentId),
    /// What a component says of itself, its props among it.
    ComponentDefinition(ComponentId),
    /// The definitions of the props that a component has with certain values.
    DynamicProps(DynamicPropsId),
    /// The answer kept for a repeated request with the same `Idempotency-Key`, by the SHA-256
    /// of the key's scope.
    IdempotentResponse([u8; 32]),
}

impl Place {
    /// The kind of record and the name of the field, as they enter the seal's associated data.
    pub const fn kind_and_field(&self) -> (&'static str, &'static str) {
        match self {
            Self::OAuthClientSecret(_) => ("oauth_client", "secret"),
            Self::OAuthFlowVerifier(_) => ("oauth_flow", "verifier"),
            Self::ConnectionCredential(_) => ("connection", "credential"),
            Self::RefreshAnswer(_) => ("connection_refresh", "answer"),
            Self::TriggerToken(_) => ("trigger", "token"),
            Self::VersionBundle(_) => ("version", "bundle"),
            Self::EventBody(_) => ("event", "body"),
            Self::StepRecord(_) => ("step", "record"),
            Self::InvocationResponse(_) => ("invocation", "response"),
            Self::ItemList(_) => ("item_list", "items"),
            Self::ProviderSecret(_) => ("identity_provider", "secret"),
            Self::SignInSecrets(_) => ("sign_in_flow", "secrets"),
            Self::SigningKey(_) => ("signing_key", "secret"),
            Self::WebhookTarget(_) => ("webhook_endpoint", "target"),
            Self::WebhookBody(_) => ("webhook_message", "body"),
            Self::WebhookAnswer(_) => ("webhook_attempt", "answer"),
            Self::ConnectToken(_) => ("connect_session", "token"),
            Self::AppOverrideFields(_) => ("app_override", "fields"),
            Self::ComponentBundle(_) => ("component", "bundle"),
            Self::ComponentDefinition(_) => ("component_definition", "definition"),
            Self::DynamicProps(_) => ("dynamic_props", "definitions"),
            Self::IdempotentResponse(_) => ("idempotency", "response"),
        }
    }

    /// The id of the record, as it enters the seal's associated data.
    pub fn record(&self) -> String {
        match self {
            Self::OAuthClientSecret(id) => id.to_string(),
            Self::OAuthFlowVerifier(id) => id.to_string(),
            Self::ConnectionCredential(id) | Self::RefreshAnswer(id) => id.to_string(),
            Self::TriggerToken(id) => id.to_string(),
            Self::VersionBundle(id) => id.to_string(),
            Self::EventBody(id) => id.to_string(),
            Self::StepRecord(id) => id.to_string(),
            Self::InvocationResponse(id) | Self::ItemList(id) => id.to_string(),
            Self::ProviderSecret(id) => id.to_string(),
            Self::SignInSecrets(id) => id.to_string(),
            Self::SigningKey(id) => id.to_string(),
            Self::WebhookTarget(id) => id.to_string(),
            Self::WebhookBody(id) => id.to_string(),
            Self::WebhookAnswer(id) => id.to_string(),
            Self::ConnectToken(id) => id.to_string(),
            Self::AppOverrideFields(id) => id.to_string(),
            Self::ComponentBundle(id) | Self::ComponentDefinition(id) => id.to_string(),
            Self::DynamicProps(id) => id.to_string(),
            Self::IdempotentResponse(digest) => data_encoding::HEXLOWER.encode(digest),
        }
    }
}

/// Ciphertext with its header: version byte, key id, salt, tag. Only the vault makes and opens it,
/// and only this type may be bound to a sealed column.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Wraps bytes that the vault sealed or that a column held.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes as stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

#[cfg(feature = "sqlx")]
mod column {
    use super::Sealed;

    impl<DB: sqlx::Database> sqlx::Type<DB> for Sealed
    where
        Vec<u8>: sqlx::Type<DB>,
    {
        fn type_info() -> DB::TypeInfo {
            <Vec<u8> as sqlx::Type<DB>>::type_info()
        }
        fn compatible(ty: &DB::TypeInfo) -> bool {
            <Vec<u8> as sqlx::Type<DB>>::compatible(ty)
        }
    }
    impl<'q, DB: sqlx::Database> sqlx::Encode<'q, DB> for Sealed
    where
        Vec<u8>: sqlx::Encode<'q, DB>,
    {
        fn encode_by_ref(
            &self,
            buffer: &mut <DB as sqlx::Database>::ArgumentBuffer,
        ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
            self.0.encode_by_ref(buffer)
        }
    }
    impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for Sealed
    where
        Vec<u8>: sqlx::Decode<'r, DB>,
    {
        fn decode(
            value: <DB as sqlx::Database>::ValueRef<'r>,
        ) -> Result<Self, sqlx::error::BoxDynError> {
            Ok(Self(<Vec<u8> as sqlx::Decode<'r, DB>>::decode(value)?))
        }
    }
}
