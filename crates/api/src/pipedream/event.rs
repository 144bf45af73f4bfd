//! What is posted to the `webhook_uri` of a connect token when a connection has come of it, or has
//! not: `CONNECTION_SUCCESS` or `CONNECTION_ERROR`. It holds no credential.

use super::account::Account;
use super::ids;
use causeway_catalog::Catalog;
use causeway_connect::Report;
use causeway_types::entity::EnvironmentKind;
use serde::Serialize;

/// The body of such a report.
#[derive(Debug, Serialize)]
pub struct ConnectionEvent<'a> {
    event: &'static str,
    connect_token: String,
    environment: EnvironmentKind,
    /// Larger than what a double holds exactly.
    connect_session_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> ConnectionEvent<'a> {
    /// A report: of the connection, or, without one, of the error in a sentence.
    pub fn new(catalog: &Catalog, report: Report, error: &'a str) -> Self {
        let failed = report.connection.is_none();
        Self {
            event: if failed { "CONNECTION_ERROR" } else { "CONNECTION_SUCCESS" },
            connect_token: ids::token(&report.token).expose().clone(),
            environment: report.environment,
            connect_session_id: ids::session_number(report.session),
            account: report.connection.map(|one| Account::of(catalog, one)),
            error: failed.then_some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::{ConnectSessionId, SecretString};

    #[test]
    fn a_large_number_arrives_as_it_is() {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&u64::MAX.to_be_bytes());
        let report = Report {
            session: ConnectSessionId::from_bytes(bytes),
            url: "https://acme.example/hook".into(),
            token: SecretString::new("cwl_x".into()),
            environment: EnvironmentKind::Production,
            connection: None,
        };
        let catalog = Catalog::load(None).unwrap();
        let event = ConnectionEvent::new(&catalog, report, "The customer said no.");
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"event":"CONNECTION_ERROR","connect_token":"ctok_x","environment":"production","connect_session_id":9223372036854775807,"error":"The customer said no."}"#
        );
    }
}
