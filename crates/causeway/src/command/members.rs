//! `causeway members`, `causeway roles`.

use super::api_keys::everything;
use crate::cli::{MembersCommand, RoleArgs, RolesCommand};
use crate::client::{Client, list, text};
use crate::output::Output;
use anyhow::Context;
use serde_json::{Value, json};

const DAY: u64 = 86_400;

pub(crate) async fn run(command: MembersCommand, output: Output) -> anyhow::Result<()> {
    match command {
        MembersCommand::List { client } => {
            let all = everything(&Client::new(&client).await?, "members").await?;
            output.result(&all, |all| list(all).map(line).collect::<Vec<_>>().join("\n"));
        }
        MembersCommand::Invite { client, email, role, project, open_days } => {
            let body = json!({
                "email": email,
                "role": role,
                "project_id": project,
                "expires_in": open_days.saturating_mul(DAY),
            });
            let made = Client::new(&client).await?.post("invitations", Some(&body)).await?;
            output.result(&made, |made| {
                let invitation = made.get("invitation").unwrap_or(&Value::Null);
                format!(
                    "Give {} this link. It works once, until {}, and is shown this once:\n{}",
                    text(invitation, "email"),
                    text(invitation, "expires_at"),
                    text(made, "url")
                )
            });
        }
        MembersCommand::Remove { client, id } => {
            Client::new(&client).await?.delete(&format!("members/{id}")).await?;
            output.result(&json!({ "removed": id }), |_| format!("Removed {id}."));
        }
    }
    Ok(())
}

pub(crate) async fn roles(command: RolesCommand, output: Output) -> anyhow::Result<()> {
    match command {
        RolesCommand::Grant { client, role } => {
            let body = json!({
                "member_id": role.member,
                "group_id": role.group,
                "role": role.role,
                "project_id": role.project,
            });
            let grant = Client::new(&client).await?.post("role-grants", Some(&body)).await?;
            output.result(&grant, |grant| {
                format!("{}  {} to {}", text(grant, "id"), text(grant, "role"), whose(grant))
            });
        }
        RolesCommand::Revoke { client, role } => {
            let client = Client::new(&client).await?;
            let id = find(&client, &role).await?;
            client.delete(&format!("role-grants/{id}")).await?;
            output.result(&json!({ "revoked": id }), |_| format!("Revoked {id}."));
        }
    }
    Ok(())
}

/// The grant by which somebody has a role: a member's own, or a group's.
async fn find(client: &Client, wanted: &RoleArgs) -> anyhow::Result<String> {
    let (kind, id) = match (&wanted.member, &wanted.group) {
        (Some(member), _) => ("members", member),
        (None, group) => ("groups", group.as_ref().context("name a member or a group")?),
    };
    let shown = client.get(&format!("{kind}/{id}"), &[]).await?;
    let project = wanted.project.as_deref().unwrap_or_default();
    let grants = shown.get("roles").and_then(Value::as_array);
    let found = grants.into_iter().flatten().find(|grant| {
        text(grant, "role") == wanted.role.as_str() && text(grant, "project_id") == project
    });
    let grant = found.with_context(|| {
        format!(
            "{id} was not given the role {} there: what a group carries is the group's",
            wanted.role
        )
    })?;
    Ok(text(grant, "id").to_owned())
}

fn whose(grant: &Value) -> &str {
    match text(grant, "member_id") {
        "" => text(grant, "group_id"),
        member => member,
    }
}

fn line(member: &Value) -> String {
    format!(
        "{}  {:<12}{:<32}{}",
        text(member, "id"),
        text(member, "state"),
        text(member, "email"),
        text(member, "name")
    )
}
