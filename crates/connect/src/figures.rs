//! Figures of use, and limits that programs set themselves.

use crate::Connect;
use causeway_identity::{Permit, action};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{RateBudget, UsageCount};
use causeway_types::{Actor, Code, Coded, Tenant, Timestamp};
use data_encoding::HEXLOWER;
use std::borrow::Cow;
use std::time::Duration;

/// The longest window of a limit, in seconds: a day.
const WINDOW: u32 = 86_400;
/// The most requests of a limit.
const REQUESTS: u32 = 1_000_000;
/// What the token of a limit begins with.
const PREFIX: &str = "rl";
/// Bytes that tell a limit from others.
const NONCE: usize = 12;

/// A limit that a program sets itself: whoever sends its token counts against it.
///
/// Its token holds all that there is to know of it. It is no secret and opens nothing: a caller who
/// leaves it out, or makes one up, gets no more than without it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SelfLimit {
    requests: u32,
    seconds: u32,
    /// Tells it from others of the same measure.
    nonce: [u8; NONCE],
}

/// A limit that a program set itself cannot be made, read or is reached.
#[derive(Debug, thiserror::Error)]
pub enum SelfLimitError {
    /// It is out of bounds.
    #[error("making a limit out of bounds")]
    Bounds,
    /// The text is not the token of a limit.
    #[error("reading the token of a limit")]
    Malformed,
    /// It is reached.
    #[error("a request beyond its own limit; again in {} s", wait.as_secs())]
    Reached {
        /// When the next one can be made.
        wait: Duration,
    },
    /// The store failed.
    #[error("counting a request")]
    Store(#[from] causeway_store::Error),
}

impl Coded for SelfLimitError {
    fn code(&self) -> Code {
        match self {
            Self::Bounds | Self::Malformed => Code::InvalidRequest,
            Self::Reached { .. } => Code::RateLimited,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Bounds => {
                "A limit is 1 to 1,000,000 requests (`requests_per_window`) in 1 to 86,400 seconds (`window_size_seconds`).".into()
            }
            Self::Malformed => {
                "`x-pd-rate-limit` is not a token of `POST /v1/connect/rate_limits`.".into()
            }
            Self::Reached { wait } => format!(
                "The limit of this `x-pd-rate-limit` is reached. Try again in {} s.",
                wait.as_secs().max(1)
            )
            .into(),
            Self::Store(source) => source.public(),
        }
    }
}

impl SelfLimit {
    fn new(requests: u32, seconds: u32, nonce: [u8; NONCE]) -> Option<Self> {
        let fits = (1..=REQUESTS).contains(&requests) && (1..=WINDOW).contains(&seconds);
        fits.then_some(Self { requests, seconds, nonce })
    }

    fn read(token: &str) -> Option<Self> {
        let mut parts = token.splitn(4, '_');
        let (_, requests, seconds, nonce) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let nonce = HEXLOWER.decode(nonce.as_bytes()).ok()?.try_into().ok()?;
        let limit = Self::new(requests.parse().ok()?, seconds.parse().ok()?, nonce)?;
        (limit.token() == token).then_some(limit)
    }

    fn token(&self) -> String {
        format!("{PREFIX}_{}_{}_{}", self.requests, self.seconds, HEXLOWER.encode(&self.nonce))
    }
}

impl Connect {
    /// How much was used in the permit's environment from `from` on, before `to`, by hour.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn used(
        &self,
        permit: &Permit<action::ReadConnections>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<UsageCount>, causeway_store::Error> {
        // What this node has counted and not written yet belongs to it.
        self.inner.write_usage().await?;
        let mut conn = self.inner.store.read().await?;
        db!(conn, usage::between(permit.tenant(), from, to))
    }

    /// Makes a limit, and returns its token.
    ///
    /// # Errors
    /// [`SelfLimitError::Bounds`].
    pub fn self_limit(&self, requests: u32, seconds: u32) -> Result<String, SelfLimitError> {
        let mut nonce = [0; NONCE];
        self.inner.random.fill(&mut nonce);
        SelfLimit::new(requests, seconds, nonce)
            .map(|limit| limit.token())
            .ok_or(SelfLimitError::Bounds)
    }

    /// Counts a request against a limit, on all nodes together.
    ///
    /// # Errors
    /// [`SelfLimitError::Reached`]; [`SelfLimitError::Malformed`].
    pub async fn count_against(&self, tenant: Tenant, token: &str) -> Result<(), SelfLimitError> {
        let inner = &self.inner;
        let limit = SelfLimit::read(token).ok_or(SelfLimitError::Malformed)?;
        let now = inner.clock.now();
        let row = RateBudget {
            key: format!("self:{}:{token}", tenant.environment),
            workspace_id: tenant.workspace,
            ends_at: now.plus(Duration::from_secs(limit.seconds.into())),
            used: 1,
            blocked_until: Timestamp::from_micros(0),
        };
        let mut tx = inner.store.write(Actor::Node(inner.node)).await?;
        let counted = db!(tx, rate_budget::take(&row, now))?;
        tx.commit_bookkeeping(Bookkeeping::RateBudget).await?;
        if counted.used > i64::from(limit.requests) {
            return Err(SelfLimitError::Reached { wait: counted.ends_at.since(now) });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_its_limit() {
        let limit = SelfLimit::new(100, 60, [7; NONCE]).unwrap();
        let token = limit.token();
        assert_eq!(token, format!("rl_100_60_{}", "07".repeat(NONCE)));
        assert_eq!(SelfLimit::read(&token), Some(limit));
        for bad in ["", "rl", "rl_1_1", "rl_0_60_x", &token.replace("100", "0100"), &token[1..]] {
            assert_eq!(SelfLimit::read(bad), None, "{bad}");
        }
        assert!(SelfLimit::new(0, 1, [0; NONCE]).is_none());
        assert!(SelfLimit::new(1, 86_401, [0; NONCE]).is_none());
    }
}
