//! Requests for access to workspaces, as the staff sees them.

pub(crate) mod approve;
pub(crate) mod create;
pub(crate) mod deny;
pub(crate) mod end;
pub(crate) mod list;
