//! What webhooks tell of: ids and names, never a credential.

use causeway_types::entity::WebhookEvent;
use causeway_types::{ConnectionId, CustomerId, Tenant, Timestamp};
use serde::Serialize;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `connection.created`: a customer has connected an account.
    ConnectionCreated(ConnectionSubject),
    /// `connection.needs_reauth`: a connection works no more until its customer connects again.
    ConnectionNeedsReauth {
        /// The connection.
        connection: ConnectionSubject,
        /// Why, as in the connection's `state_reason`: a code, perhaps with `: ` and a text.
        reason: String,
    },
    /// `connection.recovered`: a connection that needed its customer works again.
    ConnectionRecovered(ConnectionSubject),
    /// `connection.revoked`: a connection was given up.
    ConnectionRevoked(ConnectionSubject),
}

/// The connection that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionSubject {
    /// Its id.
    pub id: ConnectionId,
    /// Its name.
    pub name: String,
    /// The slug of the app.
    pub app: String,
    /// The customer.
    pub customer_id: CustomerId,
    /// The company's own id of the customer.
    pub customer: String,
}

/// The body, of the form that Standard Webhooks recommends.
#[derive(Serialize)]
struct Body<'a> {
    r#type: WebhookEvent,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    project_id: causeway_types::ProjectId,
    environment_id: causeway_types::EnvironmentId,
    connection: &'a ConnectionSubject,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Event {
    /// Its type.
    pub fn kind(&self) -> WebhookEvent {
        match self {
            Self::ConnectionCreated(_) => WebhookEvent::ConnectionCreated,
            Self::ConnectionNeedsReauth { .. } => WebhookEvent::ConnectionNeedsReauth,
            Self::ConnectionRecovered(_) => WebhookEvent::ConnectionRecovered,
            Self::ConnectionRevoked(_) => WebhookEvent::ConnectionRevoked,
        }
    }

    /// The body of its message, byte by byte.
    pub(crate) fn body(&self, tenant: Tenant, now: Timestamp) -> serde_json::Result<Vec<u8>> {
        let (connection, reason) = match self {
            Self::ConnectionNeedsReauth { connection, reason } => {
                (connection, Some(reason.as_str()))
            }
            Self::ConnectionCreated(connection)
            | Self::ConnectionRecovered(connection)
            | Self::ConnectionRevoked(connection) => (connection, None),
        };
        let data = Data {
            project_id: tenant.project,
            environment_id: tenant.environment,
            connection,
            reason,
        };
        serde_json::to_vec(&Body { r#type: self.kind(), timestamp: now, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::{EnvironmentId, ProjectId, WorkspaceId};
    use serde_json::{Value, json};

    #[test]
    fn a_body_has_type_time_and_data() {
        let connection = ConnectionSubject {
            id: ConnectionId::lowest(),
            name: "acme-crm".into(),
            app: "hubspot".into(),
            customer_id: CustomerId::lowest(),
            customer: "acme".into(),
        };
        let tenant = Tenant {
            workspace: WorkspaceId::lowest(),
            project: ProjectId::lowest(),
            environment: EnvironmentId::lowest(),
        };
        let event =
            Event::ConnectionNeedsReauth { connection, reason: "grant_denied: it is gone".into() };
        let body = event.body(tenant, Timestamp::from_micros(0)).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let zeros = "00000000000000000000000000";
        assert_eq!(
            body,
            json!({
                "type": "connection.needs_reauth",
                "timestamp": "1970-01-01T00:00:00.000000Z",
                "data": {
                    "project_id": format!("proj_{zeros}"),
                    "environment_id": format!("env_{zeros}"),
                    "connection": {
                        "id": format!("conn_{zeros}"), "name": "acme-crm", "app": "hubspot",
                        "customer_id": format!("cus_{zeros}"), "customer": "acme",
                    },
                    "reason": "grant_denied: it is gone",
                },
            })
        );
    }
}
