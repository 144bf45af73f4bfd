//! The interfaces through their real router, on the real store (both databases), vault, catalogue
//! and engines. Every answer of the native API is checked against its document on the way.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here fails the test"
)]

mod access;
mod apps;
mod audit;
mod audit_routes;
mod auth;
mod connect_page;
mod connect_shell;
mod connections;
mod denied;
mod disclosure;
mod docs;
mod document;
mod edge;
mod foreign;
mod fuzz;
mod idempotency;
mod ingress;
mod input;
mod kit;
mod machine;
mod matrix;
mod members;
mod ops;
mod pages;
mod people;
mod pipedream;
mod problems;
mod proxy;
mod run;
mod schema;
mod schemathesis;
mod scim;
mod session;
mod staff;
mod suspended;
mod webhooks;
