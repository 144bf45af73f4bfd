//! The commands for members, roles and projects, declared.

use super::ClientArgs;
use causeway_types::entity::Role;
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum MembersCommand {
    /// List the workspace's members.
    List {
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Invite somebody. The link is shown this once.
    Invite {
        #[command(flatten)]
        client: ClientArgs,
        /// Whom: the e-mail address that they sign in with.
        email: String,
        /// The role that they get.
        #[arg(long)]
        role: Role,
        /// The project in which it counts. Default: all of the workspace.
        #[arg(long, value_name = "ID")]
        project: Option<String>,
        /// For how many days the invitation is open, 1 to 30.
        #[arg(long, default_value_t = 7, value_name = "DAYS")]
        open_days: u64,
    },
    /// Remove a member: they are out at once.
    Remove {
        #[command(flatten)]
        client: ClientArgs,
        /// The member's id.
        id: String,
    },
}

/// Whose role, which, and where.
#[derive(Args)]
pub(crate) struct RoleArgs {
    /// The member who gets or loses it.
    #[arg(long, value_name = "ID", required_unless_present = "group", conflicts_with = "group")]
    pub(crate) member: Option<String>,
    /// The group whose members get or lose it.
    #[arg(long, value_name = "ID")]
    pub(crate) group: Option<String>,
    /// The role: owner, admin, developer, operator, viewer or auditor.
    #[arg(long)]
    pub(crate) role: Role,
    /// The project in which it counts. Default: all of the workspace.
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum RolesCommand {
    /// Give a role to a member or a group.
    Grant {
        #[command(flatten)]
        client: ClientArgs,
        #[command(flatten)]
        role: RoleArgs,
    },
    /// Take a role from a member or a group.
    Revoke {
        #[command(flatten)]
        client: ClientArgs,
        #[command(flatten)]
        role: RoleArgs,
    },
}

#[derive(Subcommand)]
pub(crate) enum ProjectsCommand {
    /// List the workspace's projects with their environments.
    List {
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Make a project with its two environments.
    Create {
        #[command(flatten)]
        client: ClientArgs,
        /// Its name.
        name: String,
    },
}
