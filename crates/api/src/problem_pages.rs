//! `/problems/<code>`: what every problem's `type` leads to. The texts are those of
//! `docs/problems`, as pages for people and as Markdown for whoever asks for that.

use crate::html::{Document, Markup};
use crate::{Api, Problem};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use causeway_types::Code;

/// Declares the pages that are part of the binary.
macro_rules! pages {
    ($($code:literal)*) => {
        /// Each code's page, as it stands in `docs/problems`.
        const PAGES: &[(&str, &str)] = &[
            $(($code, include_str!(concat!("../../../docs/problems/", $code, ".md"))),)*
        ];
    };
}

// A test compares this list with the registry of codes.
pages![
    "access_settled" "audit_broken" "authorization_refused" "body_too_large" "call_not_allowed"
    "component_version_taken" "connect_link_spent" "connection_name_taken" "credential_export_off" "credential_refused"
    "cross_site" "denied" "egress_refused" "environment_required" "foreign_registry"
    "host_not_allowed" "idempotency_in_progress" "idempotency_mismatch" "install_script_failed"
    "installer_unavailable" "integrity_mismatch" "internal" "invalid_code" "invalid_component" "invalid_cursor"
    "invalid_email" "invalid_id" "invalid_json" "invalid_lock" "invalid_manifest" "invalid_request"
    "invocation_active" "invocation_ended" "last_owner" "link_spent" "missing_connection" "missing_oauth_client"
    "needs_reauth" "not_deployed" "not_found" "oauth_client_in_use" "packages_unresolved"
    "project_in_use" "queue_full" "rate_limited" "registry_unavailable" "release_too_young"
    "response_timeout" "root_key_unavailable" "rotation_active" "sandbox_unavailable"
    "shutting_down" "sign_in_failed" "sso_required" "state_mismatch" "step_up_required"
    "store_unavailable" "syntax_error" "taken" "unauthenticated" "unknown_app" "unknown_route"
    "unsafe_package" "unsupported_scheme" "upstream_failed" "upstream_timeout"
    "webhook_endpoint_disabled" "workflow_failed" "wrong_method"
];

/// Shows the page of one code.
pub(crate) async fn show(
    State(api): State<Api>,
    Path(code): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let page = PAGES.iter().find(|(name, _)| *name == code);
    let (name, text) = page.ok_or_else(|| {
        Problem::new(
            Code::UnknownRoute,
            format!("There is no problem of this name. {} lists them.", api.public("/problems")),
        )
    })?;
    if wants_markdown(&headers) {
        let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
        return Ok((kind, *text).into_response());
    }
    Ok(Document::new(*name, render(text, &api.at("/problems"))).into_response())
}

/// Lists the problems.
pub(crate) async fn list(State(api): State<Api>) -> Document {
    let mut body = Markup::of("<ul>", &[]);
    for code in Code::ALL {
        let address = api.at(&format!("/problems/{code}"));
        body.add("<li><a href=\"{}\">{}</a>: {}</li>", &[&address, code, &code.title()]);
    }
    body.add("</ul>", &[]);
    Document::new("Problems", body).wide()
}

/// Whether `Accept` names Markdown, which no browser's does by itself.
fn wants_markdown(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/markdown"))
}

/// The paragraphs after the heading, with `**bold**`, `` `code` `` and links: all that these pages
/// have. Links to other problems lead there; what other pages say is not part of the binary.
fn render(text: &'static str, problems: &str) -> Markup {
    let mut body = Markup::default();
    for paragraph in text.split("\n\n").map(str::trim) {
        if paragraph.is_empty() || paragraph.starts_with("# ") {
            continue;
        }
        body.add("<p>", &[]);
        for (index, part) in paragraph.split('`').enumerate() {
            if index % 2 == 1 {
                body.add("<code>{}</code>", &[&part]);
                continue;
            }
            for (index, part) in part.split("**").enumerate() {
                let (before, after) =
                    if index % 2 == 1 { ("<strong>", "</strong>") } else { ("", "") };
                body.add(before, &[]);
                add_links(&mut body, part, problems);
                body.add(after, &[]);
            }
        }
        body.add("</p>", &[]);
    }
    body
}

fn add_links(body: &mut Markup, mut text: &str, problems: &str) {
    while let Some((before, name, target, rest)) = next_link(text) {
        body.add("{}", &[&before]);
        match target.strip_suffix(".md").filter(|page| !page.contains('/')) {
            Some(page) => body.add("<a href=\"{}/{}\">{}</a>", &[&problems, &page, &name]),
            None => body.add("{}", &[&name]),
        };
        text = rest;
    }
    body.add("{}", &[&text]);
}

/// What stands before the next `[name](target)`, the link, and what follows.
fn next_link(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, rest) = text.split_once('[')?;
    let (name, rest) = rest.split_once("](")?;
    let (target, rest) = rest.split_once(')')?;
    Some((before, name, target, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page() {
        let pages: Vec<&str> = PAGES.iter().map(|(name, _)| *name).collect();
        let mut codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        codes.sort_unstable();
        assert_eq!(pages, codes, "list them in `pages!`, in the order of the alphabet");
    }

    #[test]
    fn a_link_leads_to_another_problem_or_is_text() {
        let text = "# x\n\n**See** [denied](denied.md) and [the guide](../guide.md), `[a](b)`.\n";
        let page = render(text, "/base/problems");
        assert_eq!(
            page.as_str(),
            "<p><strong>See</strong> <a href=\"/base/problems/denied\">denied</a> and the guide, <code>[a](b)</code>.</p>"
        );
    }

    #[test]
    fn the_pages_have_no_more_than_is_rendered() {
        for (name, text) in PAGES {
            assert!(text.starts_with(&format!("# {name}\n")), "{name}");
            assert_eq!(text.matches('`').count() % 2, 0, "{name}");
            for line in text.lines().skip(1) {
                assert!(
                    !line.starts_with(['#', '-', '|', '>', '*', ' ']) || line.starts_with("**"),
                    "{name}: {line}"
                );
                assert_eq!(line.matches('[').count(), line.matches("](").count(), "{name}: {line}");
            }
        }
    }
}
