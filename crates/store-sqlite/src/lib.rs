//! The store's queries, checked at compile time against SQLite. The texts stand once, in
//! `crates/store/sql`; what the dialects must say differently stands in `dialect`.

/// The connection that every query here takes.
pub type DbConn = sqlx::SqliteConnection;

pub mod dialect;
pub mod firing;
pub mod gate;
pub mod notice;
pub mod webhook_claims;

#[path = "../../store/sql/access_request.rs"]
pub mod access_request;
#[path = "../../store/sql/account.rs"]
pub mod account;
#[path = "../../store/sql/api_key.rs"]
pub mod api_key;
#[path = "../../store/sql/app_override.rs"]
pub mod app_override;
#[path = "../../store/sql/audit.rs"]
pub mod audit;
#[path = "../../store/sql/bound.rs"]
pub mod bound;
#[path = "../../store/sql/claim.rs"]
pub mod claim;
#[path = "../../store/sql/component.rs"]
pub mod component;
#[path = "../../store/sql/connect_session.rs"]
pub mod connect_session;
#[path = "../../store/sql/connect_token.rs"]
pub mod connect_token;
#[path = "../../store/sql/connection.rs"]
pub mod connection;
#[path = "../../store/sql/connection_refresh.rs"]
pub mod connection_refresh;
#[path = "../../store/sql/connection_revocation.rs"]
pub mod connection_revocation;
#[path = "../../store/sql/customer.rs"]
pub mod customer;
#[path = "../../store/sql/data_key.rs"]
pub mod data_key;
#[path = "../../store/sql/group.rs"]
pub mod group;
#[path = "../../store/sql/idempotency.rs"]
pub mod idempotency;
#[path = "../../store/sql/invitation.rs"]
pub mod invitation;
#[path = "../../store/sql/invocation.rs"]
pub mod invocation;
#[path = "../../store/sql/item.rs"]
pub mod item;
#[path = "../../store/sql/machine_client.rs"]
pub mod machine_client;
#[path = "../../store/sql/member.rs"]
pub mod member;
#[path = "../../store/sql/node.rs"]
pub mod node;
#[path = "../../store/sql/oauth_client.rs"]
pub mod oauth_client;
#[path = "../../store/sql/package.rs"]
pub mod package;
#[path = "../../store/sql/project.rs"]
pub mod project;
#[path = "../../store/sql/provider.rs"]
pub mod provider;
#[path = "../../store/sql/rate_budget.rs"]
pub mod rate_budget;
#[path = "../../store/sql/report.rs"]
pub mod report;
#[path = "../../store/sql/reseal.rs"]
pub mod reseal;
#[path = "../../store/sql/revocation.rs"]
pub mod revocation;
#[path = "../../store/sql/role_grant.rs"]
pub mod role_grant;
#[path = "../../store/sql/schedule.rs"]
pub mod schedule;
#[path = "../../store/sql/session.rs"]
pub mod session;
#[path = "../../store/sql/sign_in.rs"]
pub mod sign_in;
#[path = "../../store/sql/signing_key.rs"]
pub mod signing_key;
#[path = "../../store/sql/sso_policy.rs"]
pub mod sso_policy;
#[path = "../../store/sql/suspended.rs"]
pub mod suspended;
#[path = "../../store/sql/usage.rs"]
pub mod usage;
#[path = "../../store/sql/user.rs"]
pub mod user;
#[path = "../../store/sql/webhook.rs"]
pub mod webhook;
#[path = "../../store/sql/webhook_endpoint.rs"]
pub mod webhook_endpoint;
#[path = "../../store/sql/workflow.rs"]
pub mod workflow;
#[path = "../../store/sql/workspace.rs"]
pub mod workspace;

/// Creates the tables, or brings them up to this version.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();
