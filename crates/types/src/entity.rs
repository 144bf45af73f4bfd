//! The records that the store keeps, with typed ids and states.

mod bound;
mod component;
mod connection;
mod connection_revocation;
mod contract;
mod flow;
mod item;
mod keys;
mod ledger;
mod machine;
mod member;
mod package;
mod schedule;
mod session;
mod usage;
mod webhook;
mod workspace;

pub use bound::WorkflowBound;
pub use component::{Component, ComponentKind, ComponentSeals, DynamicProps};
pub use connection::{
    ConnectSession, ConnectSettings, Connection, ConnectionFilter, ConnectionOverview,
    ConnectionRefresh, ConnectionState, Customer, DueConnection, OAuthClient, OAuthFlow,
    RefreshPhase, Scheme,
};
pub use connection_revocation::{
    ConnectionRevocation, DueRevocation, RevocationFailure, RevocationOutcome, RevocationTally,
};
pub use contract::{
    AccountFilter, AppOverride, ConnectToken, NarrowedSession, OAuthClientOverview, ProjectLogo,
};
pub use flow::{
    Advance, Claimed, Event, FiredBy, Gate, Invocation, InvocationState, LinkDigests, Node, Step,
    StepState, Suspended, Trigger, TriggerKind, Version, WaitsFor, Workflow,
};
pub use item::{EndedItem, ItemCounts, ItemOf, NewItem};
pub use keys::{DataKey, DataKeyState, KeyRotation, RotationState, SealedRecord, SealedScope};
pub use ledger::{AuditCheckpoint, AuditFilter, AuditHead, AuditRow, EarlierRequest};
pub use machine::{ApiKey, KeyPurpose, MachineClient, SigningKey};
pub use member::{
    AccessRequest, AccessState, Group, HeldRole, IdentityProvider, Invitation, Member,
    MemberOrigin, MemberState, ProviderKind, Role, RoleGrant, User,
};
pub use package::{ActiveLayer, Ecosystem, PackageFilter, PackageUse, VersionPackage};
pub use schedule::{CatchUp, DueSchedule, Schedule};
pub use session::{ClaimLink, Session, SignInFlow, SignInPurpose, VulnerabilityReport};
pub use usage::{RateBudget, UsageCount, UsageKind};
pub use webhook::{
    WebhookAttempt, WebhookDeadReason, WebhookDelivery, WebhookDeliveryFilter,
    WebhookDeliveryState, WebhookDisabledReason, WebhookEndpoint, WebhookEndpointState,
    WebhookEvent, WebhookMessage, WebhookOrder, WebhookPurpose, WebhookSignature, WebhookTaker,
    WebhooksWaiting,
};
pub use workspace::{Environment, EnvironmentKind, Project, Workspace};
