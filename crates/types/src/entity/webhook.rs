//! Webhooks that are sent out: endpoints, messages, their deliveries, and attempts at these.

use crate::column::words;
use crate::place::Sealed;
use crate::{
    EnvironmentId, NodeId, Timestamp, WebhookAttemptId, WebhookDeliveryId, WebhookEndpointId,
    WebhookMessageId, WorkspaceId,
};

words! {
    /// What a webhook tells of: the `type` in its body, or the `event` in a report.
    WebhookEvent {
        /// A customer has connected an account.
        ConnectionCreated = "connection.created",
        /// A connection works no more until its customer connects again.
        ConnectionNeedsReauth = "connection.needs_reauth",
        /// A connection that needed its customer works again.
        ConnectionRecovered = "connection.recovered",
        /// A connection was given up.
        ConnectionRevoked = "connection.revoked",
        /// A report: a connect session has made or renewed its connection.
        ConnectionSuccess = "CONNECTION_SUCCESS",
        /// A report: an attempt to connect in a connect session came to nothing.
        ConnectionError = "CONNECTION_ERROR",
    }
}

impl WebhookEvent {
    /// Whether it is the report of a connect session's outcome, which goes to whoever was named for
    /// it and not to endpoints for events.
    pub const fn is_report(self) -> bool {
        matches!(self, Self::ConnectionSuccess | Self::ConnectionError)
    }
}

words! {
    /// What an endpoint is there for.
    WebhookPurpose {
        /// For events, as somebody has set it up.
        Events = "events",
        /// The project webhook: the outcomes of connect sessions.
        Project = "project",
        /// The outcome of one connect session.
        Session = "session",
    }
}

words! {
    /// In which order an endpoint gets its messages.
    WebhookOrder {
        /// As they come, several at a time.
        Any = "any",
        /// One after the other: the next one only when the one before was delivered or given up.
        Strict = "strict",
    }
}

words! {
    /// How a message proves where it comes from.
    WebhookSignature {
        /// Standard Webhooks, with the header names of Svix beside its own.
        Standard = "standard",
        /// One header `x-pd-signature: t=…,v1=…`.
        XPd = "x_pd",
    }
}

words! {
    /// Whether an endpoint gets messages.
    WebhookEndpointState {
        /// It does.
        Enabled = "enabled",
        /// It does not; what is meant for it is dead until somebody replays it.
        Disabled = "disabled",
    }
}

words! {
    /// Why an endpoint gets no messages.
    WebhookDisabledReason {
        /// Somebody disabled it.
        Request = "request",
        /// It answered 410 Gone.
        Gone = "gone",
        /// For days, nothing could be delivered.
        Failing = "failing",
    }
}

words! {
    /// How far a delivery is.
    WebhookDeliveryState {
        /// It waits for its next attempt, or that is under way.
        Pending = "pending",
        /// The endpoint took it.
        Delivered = "delivered",
        /// It was given up: the dead letter.
        Dead = "dead",
    }
}

words! {
    /// Why a delivery was given up.
    WebhookDeadReason {
        /// Every attempt failed.
        Exhausted = "exhausted",
        /// The endpoint answered 410 Gone.
        Gone = "gone",
        /// The endpoint was disabled.
        EndpointDisabled = "endpoint_disabled",
    }
}

/// A server that webhooks are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: WebhookEndpointId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// What it is there for.
    pub purpose: WebhookPurpose,
    /// Its URL and its secrets, sealed together: a URL often holds a token.
    pub target: Sealed,
    /// What people call it.
    pub description: String,
    /// The types of events that it wants, separated by spaces; empty for all.
    pub event_types: String,
    /// In which order it gets them.
    pub delivery_order: WebhookOrder,
    /// How messages are signed.
    pub signature: WebhookSignature,
    /// Whether it gets messages.
    pub state: WebhookEndpointState,
    /// Why not.
    pub disabled_reason: Option<WebhookDisabledReason>,
    /// Since when not.
    pub disabled_at: Option<Timestamp>,
    /// The first failure since which nothing was delivered.
    pub failing_since: Option<Timestamp>,
    /// The last of these failures.
    pub failed_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When somebody last changed it.
    pub updated_at: Timestamp,
}

/// An endpoint as far as it has to be known to give it a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookTaker {
    /// The endpoint.
    pub id: WebhookEndpointId,
    /// The types of events that it wants, separated by spaces; empty for all.
    pub event_types: String,
    /// Whether it gets messages.
    pub state: WebhookEndpointState,
}

/// What is sent, to however many endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookMessage {
    /// Its id: the `webhook-id` that receivers see, the same at every attempt.
    pub id: WebhookMessageId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// What it tells of.
    pub kind: WebhookEvent,
    /// The body, byte by byte as it is sent, sealed.
    pub body: Sealed,
    /// When it happened.
    pub created_at: Timestamp,
}

/// A message on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// Its id.
    pub id: WebhookDeliveryId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The message.
    pub message_id: WebhookMessageId,
    /// The endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// Its place in the endpoint's order: greater than that of whatever was committed before. Two
    /// that were made at the same moment may have the same, and go by their ids.
    pub position: i64,
    /// How far it is.
    pub state: WebhookDeliveryState,
    /// Why it was given up.
    pub dead_reason: Option<WebhookDeadReason>,
    /// Attempts in all.
    pub attempts: i64,
    /// Attempts since it was made or last replayed: the rung of the ladder.
    pub tries: i64,
    /// When it may be taken up: the next attempt, or the end of the lease of whoever is at it.
    pub due_at: Option<Timestamp>,
    /// The node that is at it.
    pub owner: Option<NodeId>,
    /// Grows with everybody who takes it up.
    pub fence: i64,
    /// When the message was made.
    pub created_at: Timestamp,
    /// When it was delivered or given up.
    pub ended_at: Option<Timestamp>,
}

/// Which deliveries a listing shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookDeliveryFilter {
    /// Those to this endpoint.
    pub endpoint: Option<WebhookEndpointId>,
    /// Those of this message.
    pub message: Option<WebhookMessageId>,
    /// Those in this state.
    pub state: Option<WebhookDeliveryState>,
}

/// An endpoint for which something is pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhooksWaiting {
    /// The endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// Its workspace.
    pub workspace_id: WorkspaceId,
    /// Whether it gets messages.
    pub state: WebhookEndpointState,
    /// In which order.
    pub delivery_order: WebhookOrder,
    /// Since when nothing could be delivered.
    pub failing_since: Option<Timestamp>,
    /// When the next may be taken up.
    pub due_at: Timestamp,
}

/// One attempt to deliver, after its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAttempt {
    /// Its id.
    pub id: WebhookAttemptId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The delivery.
    pub delivery_id: WebhookDeliveryId,
    /// Which attempt of the delivery, from 1.
    pub number: i64,
    /// The status of the answer, if one came.
    pub status: Option<i64>,
    /// Why none came, as a code; none if one did.
    pub error_code: Option<String>,
    /// The first KiB of the answer's body, masked and sealed; none if it was empty.
    pub answer: Option<Sealed>,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in microseconds.
    pub duration_us: i64,
}
