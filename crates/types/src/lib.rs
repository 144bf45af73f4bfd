//! The words of Causeway as types: ids, tenant, actor, time, secrets, states and problem codes.
//!
//! Nothing here does I/O, so everything here can be tested and fuzzed without a runtime.

pub mod column;
pub mod entity;
pub mod id;
pub mod place;
pub mod problem;
pub mod random;
pub mod secret;
pub mod tenant;
pub mod time;
pub mod url;

pub use column::UnknownWord;
pub use id::{
    AccessRequestId, ApiKeyId, AppOverrideId, ComponentId, ConnectSessionId, ConnectionId,
    ConnectionRevocationId, CustomerId, DataKeyId, DynamicPropsId, EnvironmentId, EventId, GroupId,
    InvitationId, InvocationId, MachineClientId, MemberId, NodeId, OAuthClientId, OAuthFlowId,
    ParseIdError, ProjectId, ProviderId, ReportId, RoleGrantId, RotationId, SandboxId, SessionId,
    SignInFlowId, SigningKeyId, StepId, TriggerId, UserId, VersionId, VersionPackageId,
    WebhookAttemptId, WebhookDeliveryId, WebhookEndpointId, WebhookMessageId, WorkflowId,
    WorkspaceId,
};
pub use place::Place;
pub use problem::{Code, Coded, Kind, chain};
pub use random::{OsRandom, Randomness};
pub use secret::{Secret, SecretBytes, SecretString};
pub use tenant::{Actor, INSTALLATION, Tenant};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
pub use url::RedactedUrl;
