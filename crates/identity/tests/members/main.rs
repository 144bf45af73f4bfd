//! Members, groups, roles, invitations, workspaces and SCIM, on both databases.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here fails the test"
)]

mod groups;
mod invitations;
mod members;
mod races;
mod roles;
mod scim_fuzz;
mod scim_groups;
mod scim_users;
mod workspaces;
mod world;
