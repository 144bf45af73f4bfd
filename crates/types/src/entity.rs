//! The records that the store keeps, with typed ids and states.

mod connection;
mod flow;
mod keys;
mod ledger;
mod workspace;

pub use connection::{
    ConnectSession, Connection, ConnectionOverview, ConnectionRefresh, ConnectionState, Customer,
    DueConnection, OAuthClient, OAuthFlow, RefreshPhase, Scheme,
};
pub use flow::{
    Advance, Claimed, Event, Invocation, InvocationState, Node, Step, StepState, Trigger,
    TriggerKind, Version, Workflow,
};
pub use keys::{DataKey, DataKeyState, KeyRotation, RotationState, SealedRecord, SealedScope};
pub use ledger::{AuditHead, AuditRow, EarlierRequest};
pub use workspace::{ApiKey, Environment, EnvironmentKind, MachineClient, Project, Workspace};
