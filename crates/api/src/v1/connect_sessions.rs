//! Connect sessions.

pub(crate) mod create;
pub(crate) mod show;
