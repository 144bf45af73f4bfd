//! Records as lines for people.

use crate::client::text;
use serde_json::Value;

/// A line for an invocation.
pub(crate) fn invocation(invocation: &Value) -> String {
    let error = text(invocation, "error_code");
    let error = if error.is_empty() { String::new() } else { format!("  {error}") };
    let until = match text(invocation, "wake_at") {
        "" => String::new(),
        until => format!("  until {until}"),
    };
    let of = match text(invocation, "waits_for") {
        "turn" => "  for its turn",
        "items" => "  for its items",
        "resume" => "  to be resumed",
        _ => "",
    };
    let number = invocation.get("item_index").and_then(Value::as_i64);
    let item = number.map_or_else(String::new, |number| format!("  item {number}"));
    format!(
        "{}  {}  {:<9}{item}{error}{until}{of}",
        text(invocation, "created_at"),
        text(invocation, "id"),
        text(invocation, "state"),
    )
}

/// A line for a trigger: its URL, or its times.
pub(crate) fn trigger(trigger: &Value) -> String {
    let what = match text(trigger, "kind") {
        "http" => match text(trigger, "url") {
            "" => "has a URL".to_owned(),
            url => url.to_owned(),
        },
        "schedule" => schedule(trigger.get("schedule").unwrap_or(&Value::Null)),
        _ => "`causeway run`".to_owned(),
    };
    format!("trigger {} ({}): {what}", text(trigger, "name"), text(trigger, "kind"))
}

/// When a schedule fires, and when it does so next.
fn schedule(schedule: &Value) -> String {
    let when = match schedule.get("every_seconds").and_then(Value::as_i64) {
        Some(seconds) => format!("every {seconds} s"),
        None => format!("{} in {}", text(schedule, "cron"), text(schedule, "timezone")),
    };
    let next = schedule.get("next").and_then(Value::as_array).into_iter().flatten();
    let next: Vec<&str> = next.filter_map(Value::as_str).collect();
    format!("{when}, next {}", next.join(", "))
}

/// The lines for a finished step: outcome, logs, results, error.
pub(crate) fn step(step: &Value) -> String {
    let wall = step.pointer("/usage/wall_us").and_then(Value::as_u64).unwrap_or(0);
    let attempt = match step.get("attempt").and_then(Value::as_i64) {
        None | Some(1) => String::new(),
        Some(number) => format!(", attempt {number}"),
    };
    let mut lines = vec![format!(
        "  step {}{attempt}  {}  {} ms",
        text(step, "name"),
        text(step, "state"),
        wall.div_ceil(1000)
    )];
    for line in step.get("logs").and_then(Value::as_array).into_iter().flatten() {
        let mark = if text(line, "stream") == "stderr" { '!' } else { '|' };
        lines.extend(text(line, "text").lines().map(|text| format!("    {mark} {text}")));
    }
    if step.get("logs_truncated").and_then(Value::as_bool) == Some(true) {
        lines.push("    (more was printed than is kept)".to_owned());
    }
    for one in step.get("egress").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("    {}", egress(one)));
    }
    for (name, value) in step.get("exports").and_then(Value::as_object).into_iter().flatten() {
        lines.push(format!("    {name} = {value}"));
    }
    match step.get("return_value") {
        None | Some(Value::Null) => {}
        Some(value) => lines.push(format!("    returned {value}")),
    }
    if let Some(error) = step.get("error").filter(|error| !error.is_null()) {
        lines.push(format!("    error {}: {}", text(error, "code"), text(error, "message")));
        lines.extend(
            text(error, "stack").lines().skip(1).map(|line| format!("      {}", line.trim())),
        );
    }
    lines.join("\n")
}

/// What a step connected to.
fn egress(one: &Value) -> String {
    let number = |field| one.get(field).and_then(Value::as_u64).unwrap_or(0);
    let (method, code) = (text(one, "method"), text(one, "code"));
    let said = match number("status") {
        0 if code.is_empty() => String::new(),
        0 => format!(" {code}"),
        status => format!(" {status}"),
    };
    format!(
        "> {method}{}{}:{} {}{said}, {} bytes out, {} in",
        if method.is_empty() { "" } else { " " },
        text(one, "host"),
        number("port"),
        text(one, "decision"),
        number("sent"),
        number("received"),
    )
}

/// Something that the stream of news said.
pub(crate) fn news(news: &Value) -> String {
    match text(news, "type") {
        "step" => news.get("step").map(step).unwrap_or_default(),
        _ => news.get("invocation").map(invocation).unwrap_or_default(),
    }
}
