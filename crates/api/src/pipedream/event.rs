//! What is reported of a connect session, when a connection has come of it or an attempt came to
//! nothing: `CONNECTION_SUCCESS` or `CONNECTION_ERROR`. It holds no credential.

use super::account::Account;
use super::ids;
use causeway_catalog::Catalog;
use causeway_connect::{Outcome, Report};
use causeway_types::SecretBytes;
use causeway_types::entity::{EnvironmentKind, WebhookEvent};
use serde::Serialize;

/// The body of such a report.
#[derive(Serialize)]
struct ConnectionEvent<'a> {
    event: WebhookEvent,
    connect_token: &'a str,
    environment: EnvironmentKind,
    /// Larger than what a double holds exactly.
    connect_session_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Puts a report into the words of the contract. The token is that of the contract, or a link's own.
pub fn connection_event(catalog: &Catalog, report: Report) -> SecretBytes {
    let token = if report.is_link { report.token } else { ids::token(&report.token) };
    let (event, account, error) = match report.outcome {
        Outcome::Connected(made) => {
            (WebhookEvent::ConnectionSuccess, Some(Account::of(catalog, *made)), None)
        }
        Outcome::Failed(sentence) => (WebhookEvent::ConnectionError, None, Some(sentence)),
    };
    let body = ConnectionEvent {
        event,
        connect_token: token.expose(),
        environment: report.environment,
        connect_session_id: ids::session_number(report.session),
        account,
        error,
    };
    // Texts and numbers can be written.
    SecretBytes::new(serde_json::to_vec(&body).unwrap_or_default())
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
            token: SecretString::new("cwl_x".into()),
            is_link: false,
            environment: EnvironmentKind::Production,
            outcome: Outcome::Failed("The customer said no.".into()),
        };
        let catalog = Catalog::load(None).unwrap();
        let body = connection_event(&catalog, report);
        assert_eq!(
            String::from_utf8(body.expose().clone()).unwrap(),
            r#"{"event":"CONNECTION_ERROR","connect_token":"ctok_x","environment":"production","connect_session_id":9223372036854775807,"error":"The customer said no."}"#
        );
    }
}
