//! Customers, and what goes with them when they are deleted.

use crate::DbConn;
use causeway_types::entity::Customer;
use causeway_types::{ConnectionId, CustomerId, Tenant};

/// Adds a customer, unless the environment has one of this external id.
pub async fn insert(c: &mut DbConn, v: &Customer) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO customer (id, workspace_id, environment_id, external_id, created_at_us)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (environment_id, external_id) DO NOTHING",
        v.id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.external_id,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn by_external_id(
    c: &mut DbConn,
    tenant: Tenant,
    external_id: &str,
) -> sqlx::Result<Option<Customer>> {
    sqlx::query_as!(
        Customer,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _",
             environment_id AS "environment_id: _", external_id, created_at_us AS "created_at: _"
           FROM customer WHERE workspace_id = $1 AND environment_id = $2 AND external_id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        external_id
    )
    .fetch_optional(c)
    .await
}

pub async fn get(c: &mut DbConn, tenant: Tenant, id: CustomerId) -> sqlx::Result<Option<Customer>> {
    sqlx::query_as!(
        Customer,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _",
             environment_id AS "environment_id: _", external_id, created_at_us AS "created_at: _"
           FROM customer WHERE workspace_id = $1 AND environment_id = $2 AND id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// A page of those younger than `after`, oldest first.
pub async fn page_after(
    c: &mut DbConn,
    tenant: Tenant,
    after: CustomerId,
    limit: i64,
) -> sqlx::Result<Vec<Customer>> {
    sqlx::query_as!(
        Customer,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _",
             environment_id AS "environment_id: _", external_id, created_at_us AS "created_at: _"
           FROM customer WHERE workspace_id = $1 AND environment_id = $2 AND id > $3
           ORDER BY id LIMIT $4"#,
        tenant.workspace as _,
        tenant.environment as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// A page of those older than `before`, youngest first.
pub async fn page_before(
    c: &mut DbConn,
    tenant: Tenant,
    before: CustomerId,
    limit: i64,
) -> sqlx::Result<Vec<Customer>> {
    sqlx::query_as!(
        Customer,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _",
             environment_id AS "environment_id: _", external_id, created_at_us AS "created_at: _"
           FROM customer WHERE workspace_id = $1 AND environment_id = $2 AND id < $3
           ORDER BY id DESC LIMIT $4"#,
        tenant.workspace as _,
        tenant.environment as _,
        before as _,
        limit
    )
    .fetch_all(c)
    .await
}

pub async fn count(c: &mut DbConn, tenant: Tenant) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM customer
           WHERE workspace_id = $1 AND environment_id = $2"#,
        tenant.workspace as _,
        tenant.environment as _
    )
    .fetch_one(c)
    .await
}

/// The connections of a customer, those that are being deleted among them.
pub async fn connections(
    c: &mut DbConn,
    tenant: Tenant,
    id: CustomerId,
) -> sqlx::Result<Vec<ConnectionId>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: ConnectionId" FROM connection
           WHERE workspace_id = $1 AND environment_id = $2 AND customer_id = $3 ORDER BY id"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_all(c)
    .await
}

/// Ends a customer's connect sessions, so that nothing new comes of them.
pub async fn delete_sessions(c: &mut DbConn, tenant: Tenant, id: CustomerId) -> sqlx::Result<u64> {
    sqlx::query!(
        "DELETE FROM connect_session
         WHERE workspace_id = $1 AND environment_id = $2 AND customer_id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// Deletes a customer who has neither connections nor sessions.
pub async fn delete(c: &mut DbConn, tenant: Tenant, id: CustomerId) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM customer WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
