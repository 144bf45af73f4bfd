//! `/account`: who one is here, where one may do what, and the browsers that one is signed in with.

use super::{ACCOUNT, Visiting, go_to, invite, link, moment};
use crate::html::{self, Document, Markup};
use crate::{Api, cookies};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use causeway_identity::{Me, SessionError, SessionView};
use causeway_types::entity::HeldRole;
use causeway_types::{Code, Coded, INSTALLATION, SessionId};

/// Shows the page.
pub(crate) async fn show(State(api): State<Api>, visiting: Visiting) -> Response {
    let Some(cookie) = visiting.session() else { return to_sign_in(&api) };
    let sessions = api.sign_in().sessions();
    let me = match sessions.who(cookie).await {
        Ok(me) => me,
        Err(error) => return refused(&api, error),
    };
    let open = match sessions.list(cookie).await {
        Ok(open) => open,
        Err(error) => return refused(&api, error),
    };
    page(&api, &me, &open).into_response()
}

/// Ends one of the person's other sessions.
pub(crate) async fn revoke(
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    visiting: Visiting,
) -> Response {
    let Some(cookie) = visiting.session() else { return to_sign_in(&api) };
    let Some(id) = id.ok().and_then(|Path(id)| id.parse::<SessionId>().ok()) else {
        return go_to(&api, ACCOUNT);
    };
    match api.sign_in().sessions().revoke(cookie, id).await {
        // One that has ended meanwhile is ended as well.
        Ok(()) => go_to(&api, ACCOUNT),
        Err(error) if error.code() == Code::NotFound => go_to(&api, ACCOUNT),
        Err(error) => refused(&api, error),
    }
}

/// Ends all of the person's sessions.
pub(crate) async fn revoke_all(State(api): State<Api>, visiting: Visiting) -> Response {
    let Some(cookie) = visiting.session() else { return signed_out(&api) };
    match api.sign_in().sessions().revoke_all(cookie).await {
        Ok(_) => signed_out(&api),
        Err(error) if error.code() == Code::Unauthenticated => signed_out(&api),
        Err(error) => html::refusal(error).into_response(),
    }
}

/// Ends the session.
pub(crate) async fn sign_out(State(api): State<Api>, visiting: Visiting) -> Response {
    let Some(cookie) = visiting.session() else { return signed_out(&api) };
    match api.sign_in().sessions().sign_out(cookie).await {
        Ok(()) => signed_out(&api),
        Err(error) if error.code() == Code::Unauthenticated => signed_out(&api),
        // The session may still be open: nobody is told otherwise, and the browser keeps it.
        Err(error) => html::refusal(error).into_response(),
    }
}

fn signed_out(api: &Api) -> Response {
    let mut body = Markup::of("<p role=\"status\">You are signed out.</p>", &[]);
    body.join(&link(api, "/auth/sign-in", "Sign in"));
    let mut response = Document::new("Signed out", body).into_response();
    cookies::clear_session(api, &mut response);
    response
}

pub(super) fn to_sign_in(api: &Api) -> Response {
    go_to(api, "/auth/sign-in?return=/account")
}

/// A session that is over leads to the sign-in; anything else is told.
fn refused(api: &Api, error: SessionError) -> Response {
    if error.code() == Code::Unauthenticated {
        return to_sign_in(api);
    }
    html::refusal(error).into_response()
}

fn page(api: &Api, me: &Me, open: &[SessionView]) -> Document {
    let mut body = Markup::default();
    body.add("<dl>", &[]);
    if !me.user.name.is_empty() {
        body.add("<div><dt>Name</dt><dd>{}</dd></div>", &[&me.user.name]);
    }
    body.add(
        "<div><dt>E-mail</dt><dd>{}</dd></div><div><dt>Signed in</dt><dd>",
        &[&me.user.email],
    )
        .join(&moment(me.session.authenticated_at))
        .add("{}</dd></div></dl>", &[if me.session.mfa { &", with a second factor" } else { &"" }])
        .join(&workspaces(api, me))
        .join(&sessions(api, open))
        .add(
            "<div class=\"ends\"><form method=\"post\" action=\"{}\"><button class=\"small\">Sign out</button></form>",
            &[&api.at("/auth/sign-out")],
        )
        .add(
            "<form method=\"post\" action=\"{}\"><button class=\"small plain\">Sign out everywhere</button></form></div>",
            &[&api.at("/account/sessions/revoke")],
        );
    Document::new("Your account", body).wide()
}

fn workspaces(api: &Api, me: &Me) -> Markup {
    let mut body = Markup::of("<h2>Workspaces</h2>", &[]);
    if me.workspaces.is_empty() {
        body.add(
            "<p class=\"note\">You are a member of no workspace. Ask for an invitation.</p>",
            &[],
        );
        return body;
    }
    body.add("<ul class=\"rows\">", &[]);
    for workspace in &me.workspaces {
        let name = if workspace.id == INSTALLATION {
            "This installation"
        } else {
            workspace.name.as_str()
        };
        body.add(
            "<li><div><strong>{}</strong><small><code>{}</code></small>",
            &[&name, &workspace.id],
        );
        if let Some(refused) = &workspace.refused {
            let again = format!("/auth/sign-in?return={ACCOUNT}&workspace={}", workspace.id);
            body.add(
                "<small>{} <a href=\"{}\">Sign in to it</a></small>",
                &[refused, &api.at(&again)],
            );
        }
        if workspace.refused.is_none() && invite::may_invite(&workspace.roles) {
            let path = api.at(&invite::path_of(workspace.id));
            body.add(
                "<small><a href=\"{}\" aria-label=\"Invite somebody to {}\">Invite somebody</a></small>",
                &[&path, &name],
            );
        }
        body.add("</div><div class=\"tags\">", &[]);
        for held in &workspace.roles {
            body.join(&role(held));
        }
        body.add("</div></li>", &[]);
    }
    body.add("</ul>", &[]);
    body
}

fn role(held: &HeldRole) -> Markup {
    match held.project_id {
        None => Markup::of("<span class=\"tag\">{}</span> ", &[&held.role]),
        Some(project) => {
            Markup::of("<span class=\"tag\">{} in {}</span> ", &[&held.role, &project])
        }
    }
}

fn sessions(api: &Api, open: &[SessionView]) -> Markup {
    let mut body =
        Markup::of("<h2>Browsers in which you are signed in</h2><ul class=\"rows\">", &[]);
    for session in open {
        let browser = browser(&session.user_agent);
        body.add("<li><div><strong>{}</strong><small>{}, since ", &[&browser, &session.address])
            .join(&moment(session.created_at))
            .add(", last used ", &[])
            .join(&moment(session.last_seen_at))
            .add("</small></div>", &[]);
        if session.current {
            body.add("<span class=\"tag\">This browser</span></li>", &[]);
        } else {
            let path = api.at(&format!("/account/sessions/{}/revoke", session.id));
            body.add(
                "<form method=\"post\" action=\"{}\"><button class=\"small plain\" aria-label=\"Sign out {} at {}\">Sign out</button></form></li>",
                &[&path, &browser, &session.address],
            );
        }
    }
    body.add("</ul>", &[]);
    body
}

/// What people call a browser that calls itself so. Most claim to be several others too, so the
/// order counts.
fn browser(user_agent: &str) -> String {
    let named = |words: &[(&'static str, &'static str)]| {
        words.iter().find(|(word, _)| user_agent.contains(word)).map(|(_, name)| *name)
    };
    let program = named(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = named(&[
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "an iPhone"),
        ("iPad", "an iPad"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(program), None) => program.to_owned(),
        _ if user_agent.is_empty() => "A browser without a name".to_owned(),
        _ => user_agent.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_have_the_names_that_people_know() {
        for (user_agent, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on an iPhone",
            ),
            ("curl/8.0", "curl/8.0"),
            ("", "A browser without a name"),
        ] {
            assert_eq!(browser(user_agent), name);
        }
    }
}
