//! How many calls an app still takes, shared by all nodes.

use crate::DbConn;
use causeway_types::Timestamp;
use causeway_types::entity::RateBudget;

/// Takes `v.used` calls from a budget, and begins a new window, until `v.ends_at`, if the last one
/// has ended. What it answers counts these calls, also beyond the limit.
pub async fn take(c: &mut DbConn, v: &RateBudget, now: Timestamp) -> sqlx::Result<RateBudget> {
    sqlx::query_as!(
        RateBudget,
        r#"INSERT INTO rate_budget (key, workspace_id, ends_at_us, used, blocked_until_us)
           VALUES ($1, $2, $3, $4, 0)
           ON CONFLICT (key) DO UPDATE SET
             used = CASE WHEN rate_budget.ends_at_us <= $5 THEN excluded.used
                         ELSE rate_budget.used + excluded.used END,
             ends_at_us = CASE WHEN rate_budget.ends_at_us <= $5 THEN excluded.ends_at_us
                               ELSE rate_budget.ends_at_us END
           RETURNING key, workspace_id AS "workspace_id: _", ends_at_us AS "ends_at: _", used,
             blocked_until_us AS "blocked_until: _""#,
        v.key,
        v.workspace_id as _,
        v.ends_at as _,
        v.used,
        now as _
    )
    .fetch_one(c)
    .await
}

/// Blocks a budget until `v.blocked_until`.
pub async fn block(c: &mut DbConn, v: &RateBudget) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO rate_budget (key, workspace_id, ends_at_us, used, blocked_until_us)
         VALUES ($1, $2, $3, 0, $4)
         ON CONFLICT (key) DO UPDATE SET blocked_until_us = excluded.blocked_until_us
         WHERE rate_budget.blocked_until_us < excluded.blocked_until_us",
        v.key,
        v.workspace_id as _,
        v.ends_at as _,
        v.blocked_until as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Forgets the budgets whose window and block ended before `before`: the node's own work.
pub async fn prune(c: &mut DbConn, before: Timestamp) -> sqlx::Result<u64> {
    sqlx::query!(
        "DELETE FROM rate_budget WHERE ends_at_us < $1 AND blocked_until_us < $1",
        before as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}
