//! What tests share: real counterparts, started for a test run and stopped with it.

pub mod moto;
pub mod oidc_provider;
pub mod postgres;
pub mod smtp;
#[cfg(feature = "web")]
pub mod web;
pub mod webhook_receiver;
