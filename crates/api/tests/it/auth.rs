//! The pages on which people come in, as far as this server makes them. How somebody signs in at a
//! real provider is shown by the tests of the whole binary, in a real browser.

use crate::kit::{Answer, Json, Setup, World, value};
use crate::people::{Named, Somebody};
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, header};
use causeway_api::FORM_BODY_LIMIT;
use causeway_identity::make_claim_link;
use causeway_identity::token::{self, Plain};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, db, on_both};
use causeway_types::entity::{Invitation, Role};
use causeway_types::{Actor, Clock, InvitationId, OsRandom, Timestamp};
use serde_json::json;
use std::time::Duration;
use url::form_urlencoded::byte_serialize;

on_both!(
    the_sign_in_page_offers_the_providers,
    a_return_path_leads_nowhere_else,
    whoever_has_the_claim_link_sets_up_a_provider,
    a_claim_link_that_does_not_work_tells_nothing,
    whoever_guesses_waits,
    an_invitation_says_who_is_asked_where,
    forms_from_elsewhere_do_nothing,
    the_account_page_shows_and_ends_sessions,
    somebody_is_invited_from_the_account_page,
    signing_out_ends_the_session,
    stepping_up_goes_through_a_page,
    answers_of_no_flow_are_refused,
    without_tls_nobody_signs_in,
    cookies_demand_tls_where_there_is_tls,
    what_people_and_providers_are_called_is_no_markup,
);

const ORIGIN: &str = "http://127.0.0.1:8400";

/// A page of ours: its style and nothing else, framed by nobody, kept by nobody, and telling only
/// this server where its forms come from.
#[track_caller]
fn page(answer: &Answer, status: u16) -> &str {
    let html = answer.html();
    assert_eq!(answer.status, status, "{html}");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("; base-uri 'none'; frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert_eq!(answer.header("referrer-policy"), "same-origin");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!html.contains("<script") && !html.contains(" style="), "{html}");
    assert_eq!(html.matches("<h1>").count(), 1, "{html}");
    html
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// A form as our own page sends it.
fn form(path: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ORIGIN, ORIGIN)
        .body(Body::from(body.finish()))
        .unwrap()
}

/// The same request in somebody's session.
fn of(person: &Somebody, mut request: Request<Body>) -> Request<Body> {
    request
        .headers_mut()
        .insert(header::COOKIE, value(&format!("causeway_8400={}", person.cookie)));
    request
}

/// A page without what differs from run to run.
fn golden(html: &str) -> String {
    let style = html.find("<style>").unwrap()..html.find("</style>").unwrap();
    let mut html = html.to_owned();
    html.replace_range(style, "<style>…");
    for (prefix, length) in
        [("cwc_", 64), ("cwi_", 64), ("idp_", 30), ("ses_", 30), ("proj_", 31), ("ws_", 29)]
    {
        while let Some(at) = html.find(prefix) {
            html.replace_range(at..at + length, "ID");
        }
    }
    while let Some(at) = html.find("datetime=\"") {
        let end = at + html[at..].find('<').unwrap();
        html.replace_range(at..end, "TIME");
    }
    while let Some(at) = html.find("noise.") {
        let end = at + html[at..].find('@').unwrap();
        html.replace_range(at..end, "somebody");
    }
    html.replace("><", ">\n<")
}

/// The token of a new claim link.
async fn claim(world: &World) -> String {
    let (store, key) = (world.store(), world.own_keys.token());
    let link = make_claim_link(store, key, &*world.clock, &OsRandom, Actor::Machine).await;
    link.unwrap().token.expose().clone()
}

/// The token of a new invitation into the workspace.
async fn invite(world: &World, email: &str, expires_at: Timestamp) -> String {
    let plain = Plain::<token::Invitation>::generate(&OsRandom);
    let now = world.clock.now();
    let invitation = Invitation {
        id: InvitationId::generate(now, &OsRandom),
        workspace_id: world.tenant.workspace,
        email: email.to_owned(),
        role: Role::Developer,
        project_id: Some(world.tenant.project),
        token_digest: plain.keyed_digest(world.own_keys.token()).to_vec(),
        invited_by: Actor::Machine.to_string(),
        created_at: now,
        expires_at,
        accepted_at: None,
        revoked_at: None,
    };
    let mut tx = world.store().write(Actor::Machine).await.unwrap();
    db!(tx, invitation::insert(&invitation)).unwrap();
    let event = Audit::MemberInvited {
        invitation: invitation.id,
        email: email.to_owned(),
        role: invitation.role,
        project: invitation.project_id,
    };
    tx.commit(world.tenant.workspace, now, event).await.unwrap();
    plain.reveal().expose().clone()
}

async fn the_sign_in_page_offers_the_providers(database: TestDatabase) {
    let world = World::new(database).await;
    let nothing = world.send(get("/auth/sign-in")).await;
    insta::assert_snapshot!("sign_in_without_provider", golden(page(&nothing, 200)));

    let person = world.somebody("ada@example.com").await;
    let shown = world.send(get("/auth/sign-in?return=/workflows%3Fa%3Db")).await;
    insta::assert_snapshot!("sign_in", golden(page(&shown, 200)));
    let again = world.send(of(&person, get("/auth/sign-in?return=/workflows"))).await;
    let html = page(&again, 200);
    assert!(html.contains("signed in as <strong>ada@example.com</strong>"), "{html}");
    assert!(html.contains("<a class=\"button\" href=\"/workflows\">Go on</a>"), "{html}");
    // A cookie that is nobody's is as good as none.
    let stranger = Somebody { cookie: "cwo_x".into(), ..person };
    let html = world.send(of(&stranger, get("/auth/sign-in"))).await;
    assert!(!page(&html, 200).contains("signed in as"));

    // A workspace's own providers are offered to those who name it.
    let owner = world.member(world.tenant.workspace, Role::Owner, None).await;
    let new =
        json!({ "kind": "github", "name": "Acme's own", "client_id": "a", "client_secret": "b" });
    let named = Some(Named::Workspace(world.tenant.workspace));
    world
        .send(owner.request(named, Method::POST, "/api/v1/identity-providers", Some(&new)))
        .await
        .ok();
    for (query, offered) in [
        (String::new(), false),
        (format!("?workspace={}", world.tenant.workspace), true),
        ("?workspace=ws_00000000000000000000000000".into(), false),
        ("?workspace=nonsense".into(), false),
        ("?workspace=%ff&workspace=x".into(), false),
    ] {
        let answer = world.send(get(&format!("/auth/sign-in{query}"))).await;
        let html = page(&answer, 200);
        assert_eq!(html.contains("Acme&#39;s own"), offered, "{query}: {html}");
        assert!(html.contains("Continue with Example"), "{query}");
    }
    let sent = world.send(get("/auth/sign-in/idp_00000000000000000000000000")).await;
    assert_eq!(sent.status, 405, "a link signs nobody in");
}

async fn a_return_path_leads_nowhere_else(database: TestDatabase) {
    let world = World::new(database).await;
    world.somebody("ada@example.com").await;
    for path in
        ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "x"]
    {
        let text: String = byte_serialize(path.as_bytes()).collect();
        let answer = world.send(get(&format!("/auth/sign-in?return={text}"))).await;
        let html = page(&answer, 200);
        assert!(html.contains("name=\"return\" value=\"/account\""), "{path}: {html}");
        assert!(!html.contains("evil"), "{path}: {html}");
    }
}

async fn whoever_has_the_claim_link_sets_up_a_provider(database: TestDatabase) {
    let world = World::new(database).await;
    let token = claim(&world).await;
    let (link, add) = (format!("/auth/claim/{token}"), format!("/auth/claim/{token}/providers"));
    let empty = world.send(get(&link)).await;
    insta::assert_snapshot!("claim_without_provider", golden(page(&empty, 200)));

    let secret = "claim-canary-77aa";
    for (fields, status, say) in [
        (
            vec![
                ("kind", "oidc"),
                ("name", "Corp"),
                ("client_id", "abc"),
                ("client_secret", secret),
            ],
            400,
            "issuer",
        ),
        (
            vec![
                ("kind", "oidc"),
                ("name", "Corp <b>"),
                ("issuer", "nonsense\"'"),
                ("client_id", "abc"),
                ("client_secret", secret),
            ],
            400,
            "Corp &lt;b&gt;",
        ),
        (
            vec![("kind", "github"), ("name", ""), ("client_id", "abc"), ("client_secret", secret)],
            400,
            "name",
        ),
    ] {
        let answer = world.send(form(&add, &fields)).await;
        let html = page(&answer, status);
        assert!(html.contains("role=\"alert\"") && html.contains(say), "{fields:?}: {html}");
        assert!(html.contains(" open>") && html.contains("value=\"abc\""), "{html}");
        assert!(!html.contains("canary"), "the secret is not shown again");
    }
    for broken in [vec![], vec![("kind", "saml")], vec![("kind", "google"), ("name", "Google")]] {
        let answer = world.send(form(&add, &broken)).await;
        assert!(page(&answer, 422).contains("did not arrive whole"), "{broken:?}");
    }
    let large = "x".repeat(FORM_BODY_LIMIT);
    page(&world.send(form(&add, &[("kind", "google"), ("name", &large)])).await, 413);

    let good = [
        ("kind", "google"),
        ("name", " Google "),
        ("issuer", ""),
        ("client_id", "abc.apps"),
        ("client_secret", secret),
    ];
    let added = world.send(form(&add, &good)).await;
    assert_eq!((added.status, added.header("location")), (303, link.as_str()));
    let shown = world.send(get(&link)).await;
    insta::assert_snapshot!("claim", golden(page(&shown, 200)));
}

async fn a_claim_link_that_does_not_work_tells_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    let old = claim(&world).await;
    let new = claim(&world).await;
    let fields =
        [("kind", "google"), ("name", "Google"), ("client_id", "a"), ("client_secret", "b")];
    let mut mistyped = new.clone();
    mistyped.replace_range(10..11, if &new[10..11] == "a" { "b" } else { "a" });
    for token in [old.as_str(), &mistyped, "cwc_x", "x", "%ff", "%00", "%3Cb%3E"] {
        for request in [
            get(&format!("/auth/claim/{token}")),
            form(&format!("/auth/claim/{token}/providers"), &fields),
            form(&format!("/auth/claim/{token}/sign-in/idp_00000000000000000000000000"), &[]),
        ] {
            let answer = world.send(request).await;
            let html = page(&answer, 409);
            assert!(html.contains("causeway claim-link"), "{token}: {html}");
            assert!(!html.contains("<form"), "{token}: {html}");
        }
        // Guesses are counted.
        world.clock.advance(Duration::from_mins(10));
    }
    page(&world.send(get(&format!("/auth/claim/{new}"))).await, 200);
    world.clock.advance(Duration::from_hours(25));
    page(&world.send(get(&format!("/auth/claim/{new}"))).await, 409);
}

async fn whoever_guesses_waits(database: TestDatabase) {
    let world = World::new(database).await;
    let token = claim(&world).await;
    let guess = || get("/auth/claim/cwc_x");
    let mut guesses = 0;
    let refused = loop {
        let answer = world.send(guess()).await;
        guesses += 1;
        if answer.status != 409 {
            break answer;
        }
        assert!(guesses < 100, "nobody counts");
    };
    let html = page(&refused, 429);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!(html.contains(&format!("Try again in {wait} seconds")), "{wait}: {html}");
    // Who has the link waits as well, for as long as he was told and no longer.
    page(&world.send(get(&format!("/auth/claim/{token}"))).await, 429);
    world.clock.advance(Duration::from_secs(wait));
    page(&world.send(get(&format!("/auth/claim/{token}"))).await, 200);
}

async fn an_invitation_says_who_is_asked_where(database: TestDatabase) {
    let world = World::new(database).await;
    world.somebody("ada@example.com").await;
    let soon = world.clock.now().plus(Duration::from_hours(1));
    let token = invite(&world, "bob@example.com", soon).await;
    let shown = world.send(get(&format!("/auth/invitations/{token}"))).await;
    insta::assert_snapshot!("invitation", golden(page(&shown, 200)));

    let mut mistyped = token.clone();
    mistyped.replace_range(10..11, if &token[10..11] == "a" { "b" } else { "a" });
    for wrong in [mistyped.as_str(), "cwi_x", "%ff", "%3Cb%3E"] {
        let answer = world.send(get(&format!("/auth/invitations/{wrong}"))).await;
        assert!(page(&answer, 409).contains("Ask whoever invited you"), "{wrong}");
    }
    world.clock.advance(Duration::from_hours(1));
    let late = world.send(get(&format!("/auth/invitations/{token}"))).await;
    assert!(!page(&late, 409).contains("bob@example.com"));
}

async fn forms_from_elsewhere_do_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    let person = world.somebody("ada@example.com").await;
    let token = claim(&world).await;
    let provider = "idp_00000000000000000000000000";
    for path in [
        format!("/auth/sign-in/{provider}"),
        "/auth/step-up".into(),
        "/auth/sign-out".into(),
        format!("/auth/claim/{token}/providers"),
        format!("/auth/claim/{token}/sign-in/{provider}"),
        format!("/auth/invitations/cwi_x/accept/{provider}"),
        "/account/sessions/revoke".into(),
        format!("/account/sessions/{}/revoke", person.session),
    ] {
        for from in
            [None, Some("null"), Some("https://evil.example"), Some("http://127.0.0.1:8401")]
        {
            let mut request = of(&person, form(&path, &[]));
            request.headers_mut().remove(header::ORIGIN);
            if let Some(from) = from {
                request.headers_mut().insert(header::ORIGIN, value(from));
            }
            let answer = world.send(request).await;
            assert!(page(&answer, 403).contains("role=\"alert\""), "{path} from {from:?}");
        }
        assert_eq!(
            world.send(of(&person, get(&path))).await.status == 405,
            path != "/auth/step-up"
        );
    }
    world.send(person.request(None, Method::GET, "/api/v1/me", None)).await.ok();
}

async fn the_account_page_shows_and_ends_sessions(database: TestDatabase) {
    let world = World::new(database).await;
    let gone = world.send(get("/account")).await;
    assert_eq!((gone.status, gone.header("location")), (303, "/auth/sign-in?return=/account"));
    let person =
        world.member(world.tenant.workspace, Role::Operator, Some(world.tenant.project)).await;
    let shown = world.send(of(&person, get("/account"))).await;
    let html = page(&shown, 200);
    let policy = shown.header("content-security-policy");
    assert!(policy.ends_with("; form-action 'self'"), "{policy}");
    for part in ["Acme", "operator in proj_", "This browser", "192.0.2.7", "Sign out everywhere"] {
        assert!(html.contains(part), "{part}: {html}");
    }

    // Somebody else's session is left alone, and it is not told that it exists.
    let other = world.somebody("bob@example.com").await;
    let path = format!("/account/sessions/{}/revoke", other.session);
    let answer = world.send(of(&person, form(&path, &[]))).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/account"));
    world.send(other.request(None, Method::GET, "/api/v1/me", None)).await.ok();

    let answer = world.send(of(&person, form("/account/sessions/revoke", &[]))).await;
    assert!(page(&answer, 200).contains("You are signed out."));
    assert_eq!(world.send(of(&person, get("/account"))).await.status, 303);
}

async fn somebody_is_invited_from_the_account_page(database: TestDatabase) {
    let world = World::new(database).await;
    let workspace = world.tenant.workspace;
    let path = format!("/account/workspaces/{workspace}/invite");
    let fields = [("email", " Bob@example.com"), ("role", "viewer")];
    let admin = world.member(workspace, Role::Admin, None).await;
    let account = world.send(of(&admin, get("/account"))).await;
    assert!(page(&account, 200).contains(&path));
    let shown = world.send(of(&admin, get(&path))).await;
    let html = page(&shown, 200);
    assert!(html.contains("<option selected>developer</option>"), "{html}");
    assert!(!html.contains("<option>owner</option>"), "only owners make owners: {html}");

    let made = world.send(of(&admin, form(&path, &fields))).await;
    let html = page(&made, 200);
    let link = html.split(&format!("{ORIGIN}/auth/invitations/")).nth(1).unwrap();
    let link = format!("/auth/invitations/{}", &link[..64]);
    assert!(page(&world.send(get(&link)).await, 200).contains("bob@example.com"));

    let wrong = [("email", "bob\"><b>"), ("role", "viewer")];
    let answer = world.send(of(&admin, form(&path, &wrong))).await;
    let html = page(&answer, 400);
    assert!(html.contains("role=\"alert\"") && html.contains("bob&quot;&gt;&lt;b&gt;"), "{html}");
    let owner = [("email", "bob@example.com"), ("role", "owner")];
    page(&world.send(of(&admin, form(&path, &owner))).await, 403);
    for broken in [vec![], vec![("email", "a@b.example")], vec![("email", "a"), ("role", "king")]] {
        page(&world.send(of(&admin, form(&path, &broken))).await, 422);
    }

    // Who may not is told so, and the place of others is not there.
    let viewer = world.member(workspace, Role::Viewer, None).await;
    assert!(!world.send(of(&viewer, get("/account"))).await.html().contains(&path));
    let here = world.member(workspace, Role::Admin, Some(world.tenant.project)).await;
    let stranger = world.member(world.other_tenant().await.workspace, Role::Owner, None).await;
    for (person, status) in [(&viewer, 403), (&here, 403), (&stranger, 404)] {
        for request in [get(&path), form(&path, &fields)] {
            page(&world.send(of(person, request)).await, status);
        }
    }
    let mut foreign = of(&admin, form(&path, &fields));
    foreign.headers_mut().insert(header::ORIGIN, value("https://evil.example"));
    page(&world.send(foreign).await, 403);
    for (request, to) in [
        (get(&path), "/auth/sign-in?return=/account"),
        (of(&admin, get("/account/workspaces/nonsense/invite")), "/account"),
    ] {
        let answer = world.send(request).await;
        assert_eq!((answer.status, answer.header("location")), (303, to));
    }

    // A stale proof leads to a fresh one, and back.
    world.clock.advance(Duration::from_mins(11));
    let answer = world.send(of(&admin, get(&path))).await;
    let to = format!("/auth/step-up?return={path}");
    assert_eq!((answer.status, answer.header("location")), (303, to.as_str()));
}

async fn signing_out_ends_the_session(database: TestDatabase) {
    let world = World::new(database).await;
    let person = world.somebody("ada@example.com").await;
    let answer = world.send(of(&person, form("/auth/sign-out", &[]))).await;
    assert!(page(&answer, 200).contains("role=\"status\""));
    let set = answer.header("set-cookie");
    assert_eq!(set, "causeway_8400=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    let me = world.send(person.request(None, Method::GET, "/api/v1/me", None)).await;
    me.problem(401, "unauthenticated");
    // Twice, and without a session, is no error.
    page(&world.send(of(&person, form("/auth/sign-out", &[]))).await, 200);
    page(&world.send(form("/auth/sign-out", &[])).await, 200);
}

async fn stepping_up_goes_through_a_page(database: TestDatabase) {
    let world = World::new(database).await;
    let gone = world.send(get("/auth/step-up?return=/keys")).await;
    assert_eq!((gone.status, gone.header("location")), (303, "/auth/sign-in"));
    let person = world.somebody("ada@example.com").await;
    let shown = world.send(of(&person, get("/auth/step-up?return=/keys"))).await;
    insta::assert_snapshot!("step_up", golden(page(&shown, 200)));
    // Without a session there is nobody to prove.
    let answer = world.send(form("/auth/step-up", &[("return", "/keys")])).await;
    assert!(page(&answer, 401).contains("role=\"alert\""));
}

async fn answers_of_no_flow_are_refused(database: TestDatabase) {
    let world = World::new(database).await;
    let workspace = world.tenant.workspace;
    for query in [
        "",
        "?",
        "?state=x&code=y",
        "?code=y",
        "?error=access_denied&error_description=%3Cb%3E",
        "?state=a&state=b",
        "?state=%ff",
        "?%ff=%00",
        &format!("?state={}", "x".repeat(6000)),
    ] {
        for realm in [String::new(), format!("/{workspace}")] {
            let answer = world.send(get(&format!("/auth/callback{realm}{query}"))).await;
            let html = page(&answer, 400);
            assert!(html.contains("role=\"alert\"") && html.contains("/auth/sign-in"), "{html}");
            assert!(!html.contains("<b>"), "{html}");
            assert!(!answer.header("set-cookie").contains("causeway_8400="), "nobody is signed in");
        }
        world.clock.advance(Duration::from_mins(10));
    }
    page(&world.send(get("/auth/callback/nonsense?state=x")).await, 404);
}

async fn without_tls_nobody_signs_in(database: TestDatabase) {
    let setup = Setup { public_url: "http://causeway.example", ..Setup::default() };
    let world = World::with(database, setup).await;
    let token = claim(&world).await;
    for path in ["/auth/sign-in", "/account", &format!("/auth/claim/{token}"), "/auth/callback"] {
        let answer = world.send(get(path)).await;
        let html = page(&answer, 400);
        assert!(html.contains("HTTPS only") && html.contains("public_url"), "{path}: {html}");
        assert_eq!(answer.header("set-cookie"), "");
    }
}

async fn cookies_demand_tls_where_there_is_tls(database: TestDatabase) {
    let setup = Setup { public_url: "https://app.example.com/causeway", ..Setup::default() };
    let world = World::with(database, setup).await;
    let person = world.somebody("ada@example.com").await;
    let shown = world.send(get("/auth/sign-in")).await;
    let set = shown.header("set-cookie");
    assert!(set.starts_with("__Host-causeway_sign_in=cwb_"), "{set}");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{set}");
    // Addresses hold under the public URL's own path.
    assert!(page(&shown, 200).contains("action=\"/causeway/auth/sign-in/idp_"));

    let mut request = form("/auth/sign-out", &[]);
    let headers = request.headers_mut();
    headers.insert(header::ORIGIN, HeaderValue::from_static("https://app.example.com"));
    headers.insert(header::COOKIE, value(&format!("__Host-causeway={}", person.cookie)));
    let answer = world.send(request).await;
    page(&answer, 200);
    let set = answer.header("set-cookie");
    assert_eq!(set, "__Host-causeway=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
}

async fn what_people_and_providers_are_called_is_no_markup(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.member(causeway_types::INSTALLATION, Role::Owner, None).await;
    let hostile = "<b onx='1'>&\"x";
    let new = json!({ "kind": "github", "name": hostile, "client_id": "a", "client_secret": "b" });
    let named = Some(Named::Workspace(causeway_types::INSTALLATION));
    let made = owner.request(named, Method::POST, "/api/v1/identity-providers", Some(&new));
    assert_eq!(world.send(made).await.ok().text("name"), hostile);
    let mut request = of(&owner, get("/account"));
    request.headers_mut().insert(header::USER_AGENT, value(hostile));
    for request in [
        request,
        get("/auth/sign-in"),
        get(&format!("/auth/claim/{}", claim_or_none(&world).await)),
    ] {
        let answer = world.send(request).await;
        assert!(!answer.html().contains("<b "), "{}", answer.html());
    }
}

/// A claim link, unless somebody owns the installation.
async fn claim_or_none(world: &World) -> String {
    let (store, key) = (world.store(), world.own_keys.token());
    let link = make_claim_link(store, key, &*world.clock, &OsRandom, Actor::Machine).await;
    link.map(|link| link.token.expose().clone()).unwrap_or_default()
}
