//! `causeway access-review`: who has what, and who does not use it.

use crate::cli::ClientArgs;
use crate::client::{Client, text};
use crate::output::Output;
use serde_json::Value;

pub(crate) async fn run(args: ClientArgs, output: Output) -> anyhow::Result<()> {
    let review = Client::new(&args).await?.get("access-review", &[]).await?;
    output.result(&review, render);
    Ok(())
}

fn render(review: &Value) -> String {
    let mut lines = vec![format!(
        "Access to {} at {}. * marks what was not used for 90 days: {}.",
        text(review, "workspace_id"),
        text(review, "made_at"),
        review.get("unused").and_then(Value::as_u64).unwrap_or(0)
    )];
    let mut section = |title: &str, field: &str, line: fn(&Value) -> String| {
        let records = review.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        lines.push(format!("\n{title} ({})", records.len()));
        lines.extend(records.iter().map(line));
    };
    section("Members", "members", member);
    section("Groups", "groups", group);
    section("API keys", "api_keys", program);
    section("Machine clients", "machine_clients", program);
    section("Staff inside now", "staff", staff);
    lines.join("\n")
}

fn member(member: &Value) -> String {
    let state = match text(member, "state") {
        "active" => "",
        _ => "  (deactivated)",
    };
    format!(
        "{} {:<40} {}{state}  {}",
        mark(member),
        text(member, "email"),
        usage(member),
        roles(member)
    )
}

fn group(group: &Value) -> String {
    let members = group.get("members").and_then(Value::as_u64).unwrap_or(0);
    format!("  {:<40} {members} members  {}", text(group, "name"), roles(group))
}

fn program(program: &Value) -> String {
    let actions = program.get("actions").and_then(Value::as_array);
    let actions: Vec<&str> = actions.into_iter().flatten().filter_map(Value::as_str).collect();
    format!(
        "{} {}  {:<20} {}  {}",
        mark(program),
        text(program, "id"),
        text(program, "name"),
        usage(program),
        actions.join(" ")
    )
}

fn staff(staff: &Value) -> String {
    format!(
        "  {:<40} {} until {}: {}",
        text(staff, "email"),
        text(staff, "role"),
        text(staff, "expires_at"),
        text(staff, "reason")
    )
}

fn mark(record: &Value) -> &'static str {
    let unused = record.pointer("/usage/unused").and_then(Value::as_bool).unwrap_or(false);
    if unused { "*" } else { " " }
}

fn usage(record: &Value) -> String {
    let days = record.pointer("/usage/unused_for_days").and_then(Value::as_i64).unwrap_or(0);
    match record.pointer("/usage/last_used_at").and_then(Value::as_str) {
        Some(_) => format!("used {days} days ago"),
        None => format!("never used in {days} days"),
    }
}

fn roles(record: &Value) -> String {
    let part = |held: &Value, before: &str, field: &str| match text(held, field) {
        "" => String::new(),
        name => format!(" {before} {name}"),
    };
    let role = |held: &Value| {
        let (project, group) = (part(held, "in", "project_id"), part(held, "by", "group"));
        format!("{}{project}{group}", text(held, "role"))
    };
    let held = record.get("roles").and_then(Value::as_array);
    held.into_iter().flatten().map(role).collect::<Vec<_>>().join(", ")
}
