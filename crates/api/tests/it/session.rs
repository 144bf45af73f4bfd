//! People as callers of the native API: their cookie, where they say that they act, and what
//! browsers say about where a request comes from.

use crate::kit::{Json, Setup, World, value};
use crate::people::{Named, Somebody};
use axum::body::Body;
use axum::http::{HeaderName, Method, Request, header};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::INSTALLATION;
use causeway_types::entity::Role;
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    a_person_says_where_they_act,
    a_bearer_counts_and_the_cookie_does_not,
    cookies_that_cannot_be_believed_are_nobodys,
    only_our_own_pages_change_things,
    people_and_programs_learn_who_they_are,
    a_person_ends_their_own_sessions,
    providers_come_and_go_and_keep_their_secrets,
    a_policy_counts_at_once_and_locks_nobody_out_by_mistake,
    what_steps_up_needs_a_fresh_proof,
);

const ORIGIN: &str = "http://127.0.0.1:8400";

/// A request with these headers and nothing else.
fn bare(method: Method, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    for (name, text) in headers {
        let name = HeaderName::try_from(*name).unwrap();
        request.headers_mut().append(name, value(text));
    }
    request
}

fn cookie(person: &Somebody) -> String {
    format!("causeway_8400={}", person.cookie)
}

async fn a_person_says_where_they_act(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.member(world.tenant.workspace, Role::Owner, None).await;
    let theirs = world.other_tenant().await;
    let cookie = cookie(&owner);
    let list = |headers: &[(&str, &str)]| {
        let all = [&[("cookie", cookie.as_str())], headers].concat();
        bare(Method::GET, "/api/v1/workflows", &all)
    };
    let (environment, workspace) =
        (world.tenant.environment.to_string(), world.tenant.workspace.to_string());
    let (here, place) = (("causeway-environment", environment.as_str()), "causeway-workspace");
    world.send(list(&[here])).await.ok();
    world.send(list(&[here, (place, &workspace)])).await.ok();

    world.send(list(&[])).await.problem(400, "environment_required");
    world.send(list(&[(place, &workspace)])).await.problem(400, "environment_required");
    for (name, text) in [
        (here.0, "env_x"),
        (here.0, workspace.as_str()),
        (here.0, ""),
        (place, environment.as_str()),
        (place, "ws_0"),
        (place, "ws_00000000000000000000000000, ws_00000000000000000000000000"),
    ] {
        let detail = world.send(list(&[(name, text)])).await.problem(400, "invalid_id");
        assert!(detail.contains(name), "{detail}");
    }
    let twice = world.send(list(&[here, here])).await.problem(400, "invalid_id");
    assert!(twice.contains("stands twice"), "{twice}");

    // What is not theirs is not there, whichever header names it.
    let other = theirs.environment.to_string();
    world.send(list(&[(here.0, &other)])).await.problem(404, "not_found");
    let other = theirs.workspace.to_string();
    world.send(list(&[(place, &other)])).await.problem(404, "not_found");
    world.send(list(&[here, (place, &other)])).await.problem(404, "not_found");
    let installation = INSTALLATION.to_string();
    world.send(list(&[here, (place, &installation)])).await.problem(404, "not_found");
}

async fn a_bearer_counts_and_the_cookie_does_not(database: TestDatabase) {
    let world = World::new(database).await;
    let viewer = world.member(world.tenant.workspace, Role::Viewer, None).await;
    let (cookie, key) = (cookie(&viewer), format!("Bearer {}", world.key));
    let environment = world.tenant.environment.to_string();
    let ask = |method, authorization: &str| {
        let headers = [
            ("authorization", authorization),
            ("cookie", cookie.as_str()),
            ("causeway-environment", environment.as_str()),
        ];
        bare(method, "/api/v1/keys/rotate", &headers)
    };
    // The key may rotate, the viewer may not; and a key needs no page of ours to come from.
    world.send(ask(Method::POST, &key)).await.ok();
    for wrong in ["Bearer cwk_x", "Basic YTpi", "", "Bearer"] {
        world.send(ask(Method::POST, wrong)).await.problem(401, "unauthenticated");
    }
    // Where the key acts is the key's own affair.
    let me = bare(
        Method::GET,
        "/api/v1/me",
        &[("authorization", &key), ("cookie", &cookie), ("causeway-workspace", "nonsense")],
    );
    assert_eq!(world.send(me).await.ok()["user"], Value::Null);
}

async fn cookies_that_cannot_be_believed_are_nobodys(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.member(world.tenant.workspace, Role::Owner, None).await;
    let good = cookie(&owner);
    let token = owner.cookie.as_str();
    let environment = world.tenant.environment.to_string();
    let here = ("causeway-environment", environment.as_str());
    let list = |cookies: &[&str]| {
        let mut headers = vec![here];
        headers.extend(cookies.iter().map(|one| ("cookie", *one)));
        bare(Method::GET, "/api/v1/workflows", &headers)
    };
    world.send(list(&[&good])).await.ok();
    world.send(list(&[&format!("theme=dark;{good} ; a=b")])).await.ok();
    world.send(list(&["theme=dark", &good])).await.ok();
    // Browsers send what a server at another port of the same host has set.
    world.send(list(&[&format!("causeway_8401={token}; causeway={token}; {good}")])).await.ok();

    let mut mistyped = token.to_owned();
    mistyped.replace_range(10..11, if &token[10..11] == "a" { "b" } else { "a" });
    let large = format!("junk={}; {good}", "x".repeat(8 << 10));
    for cookies in [
        vec![format!("{good}; {good}")],
        vec![good.clone(), good.clone()],
        vec![format!("causeway_8400=; {good}")],
        vec![large],
        vec![format!("causeway_8400={mistyped}")],
        vec![format!("causeway_8400=\"{token}\"")],
        vec![format!("causeway_8400={token}x")],
        vec![format!("causeway_8400={}", token.to_uppercase())],
        vec![format!("Causeway_8400={token}")],
        vec![format!("__Host-causeway_8400={token}")],
        vec![format!("causeway_sign_in_8400={token}")],
        // Of a server at another port of this machine.
        vec![format!("causeway={token}")],
        vec![format!("causeway_8401={token}")],
        vec!["causeway_8400=".to_owned()],
        vec!["causeway_8400".to_owned()],
        vec![format!("causeway_8400={}", world.key)],
        vec![";;==;".to_owned()],
    ] {
        let cookies: Vec<&str> = cookies.iter().map(String::as_str).collect();
        let answer = world.send(list(&cookies)).await;
        answer.problem(401, "unauthenticated");
        assert!(!answer.html().contains(&token[8..]), "the answer repeats the cookie");
    }
    // Bytes that are no text.
    let mut request = list(&[]);
    let odd = axum::http::HeaderValue::from_bytes(b"causeway_8400=\xff\xfe").unwrap();
    request.headers_mut().insert(header::COOKIE, odd);
    world.send(request).await.problem(401, "unauthenticated");

    // Over TLS the name without its prefix, which any neighbour could set, is not ours.
    let setup = Setup { public_url: "http://causeway.example", ..Setup::default() };
    let world = World::with(TestDatabase::sqlite().await, setup).await;
    let owner = world.member(world.tenant.workspace, Role::Owner, None).await;
    let cookies = format!("causeway={0}; __Host-causeway={0}", owner.cookie);
    let request = bare(Method::GET, "/api/v1/me", &[("cookie", &cookies)]);
    // And without TLS, off this machine, there are no sessions at all.
    world.send(request).await.problem(401, "unauthenticated");
}

async fn only_our_own_pages_change_things(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.member(world.tenant.workspace, Role::Owner, None).await;
    let cookie = cookie(&owner);
    let workspace = world.tenant.workspace.to_string();
    let ask = |method: Method, headers: &[(&str, &str)]| {
        let own = [("cookie", cookie.as_str()), ("causeway-workspace", workspace.as_str())];
        let path = if method == Method::GET { "/api/v1/keys" } else { "/api/v1/keys/rotate" };
        bare(method, path, &[&own, headers].concat())
    };
    let (origin, site) = ("origin", "sec-fetch-site");
    for refused in [
        vec![],
        vec![(origin, "null")],
        vec![(origin, "")],
        vec![(origin, "https://127.0.0.1:8400")],
        vec![(origin, "http://127.0.0.1")],
        vec![(origin, "http://127.0.0.1:8401")],
        vec![(origin, "http://localhost:8400")],
        vec![(origin, "HTTP://127.0.0.1:8400")],
        vec![(origin, "http://127.0.0.1:8400/")],
        vec![(origin, "http://127.0.0.1:8400 ")],
        vec![(origin, "http://127.0.0.1:8400.evil.example")],
        vec![(origin, "http://evil.example, http://127.0.0.1:8400")],
        vec![(origin, ORIGIN), (origin, "http://evil.example")],
        vec![(origin, ORIGIN), (origin, ORIGIN)],
        vec![(origin, "null"), (site, "same-origin")],
        vec![(site, "same-site")],
        vec![(site, "cross-site")],
        vec![(site, "none")],
        vec![(site, "Same-Origin")],
        vec![(site, "same-origin"), (site, "cross-site")],
        vec![("referer", "http://127.0.0.1:8400/account")],
        vec![("host", "127.0.0.1:8400")],
    ] {
        let answer = world.send(ask(Method::POST, &refused)).await;
        // A trailing space is not part of a header's value (RFC 9110 section 5.5).
        if refused == [(origin, "http://127.0.0.1:8400 ")] && answer.status == 200 {
            continue;
        }
        let detail = answer.problem(403, "cross_site");
        assert!(detail.contains(ORIGIN), "{refused:?}: {detail}");
        // Reading is free, wherever a page is that asks: it is told nothing.
        world.send(ask(Method::GET, &refused)).await.ok();
    }
    world.send(ask(Method::POST, &[(origin, ORIGIN)])).await.ok();
    let others = [(site, "same-origin"), ("sec-fetch-mode", "cors")];
    let answer = world.send(ask(Method::POST, &others)).await;
    assert_ne!(answer.status, 403, "{}", answer.html());

    // The same behind a proxy with TLS.
    let setup = Setup { public_url: "https://app.example.com/causeway", ..Setup::default() };
    let world = World::with(TestDatabase::sqlite().await, setup).await;
    let owner = world.member(world.tenant.workspace, Role::Owner, None).await;
    let cookie = format!("__Host-causeway={}", owner.cookie);
    let workspace = world.tenant.workspace.to_string();
    for (from, status) in [
        ("https://app.example.com", 202),
        ("http://app.example.com", 403),
        ("https://evil.example.com", 403),
        ("https://example.com", 403),
        ("https://app.example.com.evil.org", 403),
        ("https://app.example.com:443", 403),
        ("https://app.example.com:8443", 403),
        ("https://App.Example.Com", 403),
        ("https://app.example.com/causeway", 403),
        ("https://app.example.com.", 403),
    ] {
        let headers = [
            ("cookie", cookie.as_str()),
            ("causeway-workspace", workspace.as_str()),
            ("origin", from),
        ];
        let answer = world.send(bare(Method::POST, "/api/v1/keys/rotate", &headers)).await;
        assert_eq!(answer.status, status, "{from}: {}", answer.html());
    }
}

async fn people_and_programs_learn_who_they_are(database: TestDatabase) {
    let world = World::new(database).await;
    let developer = world.member(world.tenant.workspace, Role::Developer, None).await;
    let me = world.send(developer.request(None, Method::GET, "/api/v1/me", None)).await.ok();
    assert_eq!(me["actor"], developer.user.to_string());
    assert_eq!((&me["here"], &me["session"]["current"]), (&Value::Null, &json!(true)));
    assert_eq!(me["session"]["id"], developer.session.to_string());
    let workspaces = me["workspaces"].as_array().unwrap();
    assert_eq!(workspaces.len(), 1);
    assert_eq!(workspaces[0]["id"], world.tenant.workspace.to_string());
    assert_eq!(workspaces[0]["roles"], json!([{ "role": "developer", "project_id": null }]));
    assert_eq!(workspaces[0]["refused"], Value::Null);

    let named = Some(Named::Environment(world.tenant.environment));
    let me = world.send(developer.request(named, Method::GET, "/api/v1/me", None)).await.ok();
    let may = |name: &str| me["here"]["permissions"].as_array().unwrap().contains(&json!(name));
    assert!(may("workflows.deploy") && !may("members.manage"), "{me}");
    assert_eq!(me["here"]["environment_id"], world.tenant.environment.to_string());

    let program = world.get("/api/v1/me").await.ok();
    assert!(program.text("actor").starts_with("key_"), "{program}");
    assert_eq!((&program["user"], &program["workspaces"]), (&Value::Null, &json!([])));
    assert_eq!(program["here"]["workspace_id"], world.tenant.workspace.to_string());
    assert!(program["here"]["permissions"].as_array().unwrap().contains(&json!("workflows.run")));
    world.get("/api/v1/sessions").await.problem(401, "unauthenticated");
}

async fn a_person_ends_their_own_sessions(database: TestDatabase) {
    let world = World::new(database).await;
    let ada = world.somebody("ada@example.com").await;
    let bob = world.somebody("bob@example.com").await;
    let open = world.send(ada.request(None, Method::GET, "/api/v1/sessions", None)).await.ok();
    assert_eq!(open["data"].as_array().unwrap().len(), 1);
    assert_eq!(open["data"][0]["current"], true);

    let path = |id: &str| format!("/api/v1/sessions/{id}");
    let end = |id: &str| ada.request(None, Method::DELETE, &path(id), None);
    world.send(end(&bob.session.to_string())).await.problem(404, "not_found");
    world.send(end("ses_00000000000000000000000000")).await.problem(404, "not_found");
    world.send(end("ses_x")).await.problem(400, "invalid_id");
    world.send(bob.request(None, Method::GET, "/api/v1/me", None)).await.ok();

    assert_eq!(world.send(end(&ada.session.to_string())).await.status, 204);
    for path in ["/api/v1/me", "/api/v1/sessions"] {
        let answer = world.send(ada.request(None, Method::GET, path, None)).await;
        answer.problem(401, "unauthenticated");
    }
    world.send(bob.request(None, Method::GET, "/api/v1/me", None)).await.ok();

    // A session ends by itself too, used or not.
    world.clock.advance(Duration::from_hours(25));
    let answer = world.send(bob.request(None, Method::GET, "/api/v1/me", None)).await;
    answer.problem(401, "unauthenticated");
}

async fn providers_come_and_go_and_keep_their_secrets(database: TestDatabase) {
    let world = World::new(database).await;
    for (workspace, callback) in [
        (INSTALLATION, format!("{ORIGIN}/auth/callback")),
        (world.tenant.workspace, format!("{ORIGIN}/auth/callback/{}", world.tenant.workspace)),
    ] {
        let owner = world.member(workspace, Role::Owner, None).await;
        let ask = |method, path: &str, body: Option<&Value>| {
            let path = format!("/api/v1/identity-providers{path}");
            world.send(owner.request(Some(Named::Workspace(workspace)), method, &path, body))
        };
        let secret = "provider-canary-1f9d";
        let new = json!({ "kind": "oidc", "name": "Corp", "issuer": "https://id.corp.example",
            "client_id": "causeway", "client_secret": secret });
        let made = ask(Method::POST, "", Some(&new)).await;
        assert_eq!(made.status, 201, "{}", made.html());
        let shown = made.ok();
        assert_eq!(shown["redirect_uri"], callback);
        assert_eq!(shown["workspace_id"], workspace.to_string());
        ask(Method::POST, "", Some(&new)).await.problem(409, "taken");

        let id = shown.text("id");
        let changed = json!({ "name": "Corporation", "client_secret": "provider-canary-2" });
        let path = format!("/{id}");
        let answer = ask(Method::PATCH, &path, Some(&changed)).await;
        assert_eq!(answer.ok()["name"], "Corporation");
        assert_eq!(answer.ok()["client_id"], "causeway");
        let fixed = json!({ "issuer": "https://evil.example" });
        ask(Method::PATCH, &path, Some(&fixed)).await.problem(400, "invalid_request");
        let list = ask(Method::GET, "", None).await;
        assert!(list.html().contains(&id));
        for answer in [&made, &answer, &list] {
            assert!(!answer.html().contains("canary"), "{}", answer.html());
        }
        for wrong in [
            json!({ "kind": "oidc", "name": "A", "client_id": "a", "client_secret": "b" }),
            json!({ "kind": "oidc", "name": "A", "issuer": "http://x/?q", "client_id": "a", "client_secret": "b" }),
            json!({ "kind": "saml", "name": "A", "client_id": "a", "client_secret": "b" }),
            json!({ "kind": "github", "name": "", "client_id": "a", "client_secret": "b" }),
            json!({ "kind": "github", "name": "A", "client_id": "a", "client_secret": "" }),
            json!({ "kind": "github", "name": "A", "client_id": "a" }),
        ] {
            ask(Method::POST, "", Some(&wrong)).await.problem(400, "invalid_request");
        }
        assert_eq!(ask(Method::DELETE, &path, None).await.status, 204);
        ask(Method::DELETE, &path, None).await.problem(404, "not_found");
        ask(Method::PATCH, &path, Some(&changed)).await.problem(404, "not_found");
    }
}

async fn a_policy_counts_at_once_and_locks_nobody_out_by_mistake(database: TestDatabase) {
    let world = World::new(database).await;
    let workspace = world.tenant.workspace;
    let owner = world.member(workspace, Role::Owner, None).await;
    let viewer = world.member(workspace, Role::Viewer, None).await;
    let named = Some(Named::Workspace(workspace));
    let set = |query: &str, policy: &Value| {
        let path = format!("/api/v1/sso-policy{query}");
        world.send(owner.request(named, Method::PUT, &path, Some(policy)))
    };
    let policy = json!({ "domains": ["EXAMPLE.com"], "session_minutes": 60 });
    assert_eq!(set("", &policy).await.ok()["domains"], json!(["example.com"]));
    let shown = owner.request(named, Method::GET, "/api/v1/sso-policy", None);
    assert_eq!(world.send(shown).await.ok()["session_minutes"], 60);

    let strict = json!({ "mfa": true });
    let refused = set("", &strict).await.problem(403, "sso_required");
    assert!(refused.contains("lock you out"), "{refused}");
    let elsewhere = json!({ "domains": ["elsewhere.example"] });
    set("", &elsewhere).await.problem(403, "sso_required");
    for wrong in [
        json!({ "domains": [] }),
        json!({ "domains": ["no domain"] }),
        json!({ "providers": ["idp_00000000000000000000000000"] }),
        json!({ "session_minutes": 1 }),
        json!({ "step_up_minutes": 100_000 }),
        json!({ "nonsense": 1 }),
    ] {
        set("", &wrong).await.problem(400, "invalid_request");
    }
    set("?force=maybe", &strict).await.problem(400, "invalid_request");

    let read = |person: &Somebody| person.request(named, Method::GET, "/api/v1/apps", None);
    world.send(read(&viewer)).await.ok();
    set("?force=true", &strict).await.ok();
    let refused = world.send(read(&viewer)).await.problem(403, "sso_required");
    assert!(refused.contains("second factor"), "{refused}");
    let me = world.send(viewer.request(None, Method::GET, "/api/v1/me", None)).await.ok();
    assert!(me["workspaces"][0].text("refused").contains("second factor"), "{me}");
    let program = world.get("/api/v1/workflows").await;
    assert_eq!(program.status, 200, "programs prove themselves otherwise");
}

async fn what_steps_up_needs_a_fresh_proof(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.member(world.tenant.workspace, Role::Owner, None).await;
    let named = Some(Named::Workspace(world.tenant.workspace));
    let rotate = || owner.request(named, Method::POST, "/api/v1/keys/rotate", None);
    world.clock.advance(Duration::from_mins(11));
    let refused = world.send(rotate()).await.problem(403, "step_up_required");
    assert!(refused.contains("/auth/step-up"), "{refused}");
    world.send(owner.request(named, Method::GET, "/api/v1/keys", None)).await.ok();
}
