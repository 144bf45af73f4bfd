//! Asking the app, before a refresh token is sent again, whether it has replaced it (RFC 7662).

use super::outcome::Failure;
use super::renewal::Renewal;
use super::{APP_ERROR, Open, UNREACHABLE};
use crate::Inner;
use crate::apply::Moment;
use crate::crash::CrashPoint;
use crate::error::CredentialError;
use crate::token_endpoint::{self, EndpointError, Prepared};
use causeway_net::RequestLimits;
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::ConnectionRefresh;
use causeway_types::{Actor, Tenant};
use serde::Deserialize;
use std::time::Duration;

/// Time for the question. With a token request after it, it fits into the lease.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// What the app says of a refresh token.
enum Said {
    /// It has not been replaced.
    Active,
    /// It is not good any more.
    Inactive,
    /// It does not tell this client.
    Refused,
    /// It cannot say now.
    Unavailable { code: &'static str, sentence: String, retry_after: Option<Duration> },
}

/// RFC 7662, section 2.2. Nothing else of the answer is read.
#[derive(Deserialize)]
struct Answer {
    active: bool,
}

impl Inner {
    /// Asks, under a lease whose earlier holders may have sent the refresh token. True if it may
    /// be sent now: then the intent is written. Otherwise the failure is.
    pub(super) async fn ask_first(
        &self,
        tenant: Tenant,
        due: &Open,
        renewal: &Renewal<'_>,
        lease: &ConnectionRefresh,
    ) -> Result<bool, CredentialError> {
        // All checked when the lease was taken.
        let (Some(introspection), Some(token), Some(client)) =
            (renewal.introspection(), due.refresh_token(), &due.client)
        else {
            return Ok(false);
        };
        let moment = Moment { now: self.clock.now(), random: &*self.random };
        let question = renewal.asker(client, due.values(), moment).question(introspection, token);
        let failure = match self.introspect(question).await {
            Said::Active => return self.write_intent(tenant, lease).await,
            // Then the row says what becomes of the token, as if it named no introspection.
            Said::Refused => {
                tracing::warn!(connection = %lease.connection_id, "the app does not let its OAuth client introspect tokens");
                if !renewal.is_spent(lease) {
                    return self.write_intent(tenant, lease).await;
                }
                Failure::answer_may_be_lost()
            }
            Said::Inactive => Failure::answer_lost(),
            Said::Unavailable { code, sentence, retry_after } => {
                Failure::undecided(code, &sentence, lease, retry_after)
            }
        };
        self.write_failure(tenant, lease, &due.connection, failure).await?;
        Ok(false)
    }

    /// Writes the intent. False if the lease has gone to somebody else.
    async fn write_intent(
        &self,
        tenant: Tenant,
        lease: &ConnectionRefresh,
    ) -> Result<bool, CredentialError> {
        let (workspace, id) = (tenant.workspace, lease.connection_id);
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        let held = db!(tx, connection_refresh::record_intent(workspace, id, lease.fence))?;
        self.crash.reached(CrashPoint::BeforeIntent);
        tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
        Ok(held)
    }

    /// Asks the introspection endpoint.
    async fn introspect(&self, question: Result<Prepared, EndpointError>) -> Said {
        let unreachable = |error: &dyn std::fmt::Display| Said::Unavailable {
            code: UNREACHABLE,
            sentence: format!("Asking whether the refresh token has been replaced: {error}"),
            retry_after: None,
        };
        let request = match question {
            Ok(request) => request.into_request(),
            Err(error) => return unreachable(&error),
        };
        let limits =
            RequestLimits { total: TIMEOUT, max_response_bytes: MOST_BYTES, max_redirects: 0 };
        let response = match self.http.request(request, limits).await {
            Ok(response) => response,
            Err(error) => return unreachable(&error),
        };
        let status = response.status();
        let retry_after = token_endpoint::retry_after(response.headers());
        if matches!(status.as_u16(), 401 | 403) {
            return Said::Refused;
        }
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(error) => return unreachable(&error),
        };
        match serde_json::from_slice(&body) {
            Ok(Answer { active: true }) if status.is_success() => Said::Active,
            Ok(Answer { active: false }) if status.is_success() => Said::Inactive,
            _ => Said::Unavailable {
                code: APP_ERROR,
                sentence: format!(
                    "Asked whether the refresh token has been replaced, the app answered with status {} and did not say",
                    status.as_u16()
                ),
                retry_after,
            },
        }
    }
}
