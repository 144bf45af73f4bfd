//! How many calls an app still takes: what its row says, what its answers say, and what the
//! connection's policy allows.
//!
//! A *budget* is a number of calls in a window of time, for a connection or for the company's
//! client. Its row in the database is shared by all nodes: each takes a share of the window in one
//! statement and spends it from memory. An answer that says that nothing is left, or a 429,
//! blocks the budget until the time that it names, on every node that asks for a share.

use super::{CallRate, ProxyError};
use crate::Inner;
use causeway_catalog::{App, RateHeaders, RateScope, ResetForm};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{Connection, RateBudget};
use causeway_types::{Actor, Tenant, Timestamp, chain};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shares kept in memory at once; ended ones are forgotten beyond that.
const KEPT: usize = 20_000;
/// A node takes this part of a window at once.
const SHARE: u32 = 20;
/// How long a 429 without a word on when blocks.
const UNSAID: Duration = Duration::from_secs(5);
/// The longest that an answer is believed to block.
const LONGEST: Duration = Duration::from_hours(24);

/// The shares of this node.
#[derive(Default)]
pub(crate) struct Budgets {
    shares: Mutex<HashMap<String, Share>>,
}

#[derive(Debug, Clone, Copy)]
struct Share {
    left: u32,
    ends_at: Timestamp,
    blocked_until: Timestamp,
}

/// What came of taking a call from the share in memory.
enum Taken {
    /// It may be made.
    One,
    /// Not before this time is over.
    Wait(Duration),
    /// A new share has to be taken.
    ShareSpent,
}

/// A budget of a call.
struct Budget {
    key: String,
    calls: u32,
    window: Duration,
    own: bool,
}

impl Budgets {
    /// Takes a call from each budget that concerns it.
    pub(super) async fn admit(
        &self,
        inner: &Inner,
        tenant: Tenant,
        app: &App,
        connection: &Connection,
        rate: Option<CallRate>,
    ) -> Result<(), ProxyError> {
        let now = inner.clock.now();
        let name = || app.name.clone();
        let wait = self.blocked(&learned_key(connection), now);
        if let Some(wait) = wait {
            return Err(ProxyError::Limited { app: name(), wait, own: false });
        }
        for budget in budgets(app, connection, rate) {
            if let Some(wait) = self.take(inner, tenant, &budget, now).await? {
                return Err(ProxyError::Limited { app: name(), wait, own: budget.own });
            }
        }
        Ok(())
    }

    /// Takes one call; the time to wait if there is none.
    async fn take(
        &self,
        inner: &Inner,
        tenant: Tenant,
        budget: &Budget,
        now: Timestamp,
    ) -> Result<Option<Duration>, ProxyError> {
        match self.take_kept(&budget.key, now) {
            Taken::One => return Ok(None),
            Taken::Wait(time) => return Ok(Some(time)),
            Taken::ShareSpent => {}
        }
        let want = (budget.calls / SHARE).max(1);
        let row = RateBudget {
            key: budget.key.clone(),
            workspace_id: tenant.workspace,
            ends_at: now.plus(budget.window),
            used: i64::from(want),
            blocked_until: Timestamp::from_micros(0),
        };
        let mut tx = inner.store.write(Actor::Node(inner.node)).await?;
        let row = db!(tx, rate_budget::take(&row, now))?;
        tx.commit_bookkeeping(Bookkeeping::RateBudget).await?;
        let before = row.used - i64::from(want);
        let granted = (i64::from(budget.calls) - before).clamp(0, i64::from(want));
        let granted = u32::try_from(granted).unwrap_or(0);
        let share = Share { left: granted, ends_at: row.ends_at, blocked_until: row.blocked_until };
        self.keep(budget.key.clone(), share, now);
        Ok(match self.take_kept(&budget.key, now) {
            Taken::One => None,
            Taken::Wait(time) => Some(time),
            Taken::ShareSpent => Some(row.ends_at.since(now)),
        })
    }

    /// Takes a call from the share in memory.
    fn take_kept(&self, key: &str, now: Timestamp) -> Taken {
        let mut shares = self.shares();
        let Some(share) = shares.get_mut(key) else { return Taken::ShareSpent };
        if now < share.blocked_until {
            return Taken::Wait(share.blocked_until.since(now));
        }
        if share.ends_at <= now || share.left == 0 {
            return Taken::ShareSpent;
        }
        share.left -= 1;
        Taken::One
    }

    fn blocked(&self, key: &str, now: Timestamp) -> Option<Duration> {
        let until = self.shares().get(key)?.blocked_until;
        (now < until).then(|| until.since(now))
    }

    fn keep(&self, key: String, share: Share, now: Timestamp) {
        let mut shares = self.shares();
        if shares.len() >= KEPT {
            shares.retain(|_, share| now < share.ends_at || now < share.blocked_until);
        }
        shares.insert(key, share);
    }

    /// Takes what an answer says of what is left.
    pub(super) async fn learn(
        &self,
        inner: &Inner,
        tenant: Tenant,
        app: &App,
        connection: &Connection,
        (status, headers): (StatusCode, &HeaderMap),
    ) {
        let now = inner.clock.now();
        let Some(wait) = said(app.api.rate_headers.as_ref(), status, headers, now) else {
            return;
        };
        let until = now.plus(wait.min(LONGEST));
        let key = learned_key(connection);
        self.keep(key.clone(), Share { left: 0, ends_at: until, blocked_until: until }, now);
        let mut keys = vec![key];
        keys.extend(budgets(app, connection, None).into_iter().map(|budget| budget.key));
        if let Err(error) = self.block(inner, tenant, &keys, until, now).await {
            tracing::warn!(
                error = chain(&error),
                "other nodes do not know yet that the app takes no more calls"
            );
        }
    }

    async fn block(
        &self,
        inner: &Inner,
        tenant: Tenant,
        keys: &[String],
        until: Timestamp,
        now: Timestamp,
    ) -> causeway_store::Result<()> {
        let mut tx = inner.store.write(Actor::Node(inner.node)).await?;
        for key in keys {
            let row = RateBudget {
                key: key.clone(),
                workspace_id: tenant.workspace,
                ends_at: now,
                used: 0,
                blocked_until: until,
            };
            db!(tx, rate_budget::block(&row))?;
        }
        tx.commit_bookkeeping(Bookkeeping::RateBudget).await
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<String, Share>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Deletes the budgets whose window and block ended a day ago.
    pub(crate) async fn forget_budgets(&self) -> causeway_store::Result<()> {
        let before = self.clock.now().minus(LONGEST);
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        if db!(tx, rate_budget::prune(before))? > 0 {
            tx.commit_bookkeeping(Bookkeeping::RateBudget).await?;
        }
        Ok(())
    }
}

/// The key under which answers block a connection.
fn learned_key(connection: &Connection) -> String {
    format!("{}:learned", connection.id)
}

/// The budgets of a call, the connection's own first.
fn budgets(app: &App, connection: &Connection, rate: Option<CallRate>) -> Vec<Budget> {
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let own = rate.map(|rate| Budget {
        key: format!("{}:policy", connection.id),
        calls: rate.calls,
        window: seconds(rate.seconds),
        own: true,
    });
    let of_app = app.api.rate_limits.iter().map(|limit| {
        let whose = match (limit.per, connection.oauth_client_id) {
            (RateScope::Client, Some(client)) => client.to_string(),
            _ => connection.id.to_string(),
        };
        Budget {
            key: format!("{whose}:{}/{}", limit.requests, limit.seconds),
            calls: limit.requests,
            window: seconds(limit.seconds),
            own: false,
        }
    });
    own.into_iter().chain(of_app).collect()
}

/// How long an answer says that no further call is taken.
fn said(
    row: Option<&RateHeaders>,
    status: StatusCode,
    headers: &HeaderMap,
    now: Timestamp,
) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.split(';').next()?.trim().parse::<f64>().ok();
    let remaining = row.and_then(|row| number(&row.remaining)).or_else(|| standard(headers, "r="));
    let refused = status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key(RETRY_AFTER))
        || (remaining == Some(0.0)
            && row.is_some_and(|row| row.statuses.contains(&status.as_u16())));
    let spent = remaining.is_some_and(|left| left <= 0.0);
    if !refused && !spent {
        return None;
    }
    let after = text(RETRY_AFTER.as_str()).and_then(|text| retry_after(text, now));
    let reset = || {
        let row = row?;
        let value = text(row.reset.as_ref()?)?;
        reset_wait(value, row.reset_form, now)
    };
    let window =
        || standard(headers, "t=").map(|s| Duration::from_secs_f64(s.clamp(0.0, 86_400.0)));
    let wait = after.or_else(reset).or_else(window);
    if refused { Some(wait.unwrap_or(UNSAID)) } else { wait }
}

/// A parameter of `RateLimit` (draft-ietf-httpapi-ratelimit-headers), of its first policy.
fn standard(headers: &HeaderMap, parameter: &str) -> Option<f64> {
    let value = headers.get("ratelimit")?.to_str().ok()?;
    let first = value.split(',').next()?;
    first.split(';').find_map(|part| part.trim().strip_prefix(parameter))?.parse().ok()
}

/// Both forms of `Retry-After` (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let since_epoch = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    let at = Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).ok()?);
    Some(at.since(now))
}

fn reset_wait(value: &str, form: ResetForm, now: Timestamp) -> Option<Duration> {
    let number = || value.parse::<f64>().ok().filter(|number| *number >= 0.0);
    let epoch = |seconds: f64| {
        let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let micros = i64::try_from(seconds.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(micros).since(now)
    };
    match form {
        ResetForm::Seconds => Some(Duration::from_secs_f64(number()?.min(86_400.0))),
        ResetForm::Milliseconds => Some(Duration::from_secs_f64(number()?.min(86_400e3) / 1e3)),
        ResetForm::EpochSeconds => Some(epoch(number()?)),
        ResetForm::EpochMilliseconds => Some(epoch(number()? / 1e3)),
        ResetForm::Rfc3339 => {
            let at: jiff::Timestamp = value.parse().ok()?;
            Some(Timestamp::from_micros(at.as_microsecond()).since(now))
        }
    }
}
