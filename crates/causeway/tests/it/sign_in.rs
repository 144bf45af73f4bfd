//! People come in: a real Chromium, the built binary, and real or documented identity providers.
//! The pages that it passes are looked at on the way: `target/tmp/pages` has the pictures.

mod chromium;

use crate::kit::{Answer, Home, Needles, Server, eventually};
use causeway_simulators::{GithubAccount, GithubEmail, GithubOptions, GithubStandIn};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_testkit::oidc_provider::{CLIENT_ID, CLIENT_SECRET, OidcProvider};
use causeway_types::INSTALLATION;
use chromium::Chromium;
use serde_json::{Value, json};

on_both!(
    whoever_has_the_machine_becomes_the_owner,
    an_invited_person_joins_and_nobody_else_does,
    a_second_factor_is_demanded_and_seen,
    a_google_account_of_the_company_is_told_from_others,
    github_tells_who_somebody_is,
    a_session_that_is_ended_elsewhere_is_over,
    other_sites_change_nothing,
);

/// An installation, its running server, and a provider that knows it.
struct Place {
    home: Home,
    server: Server,
    provider: OidcProvider,
}

impl Place {
    /// Nobody has claimed it.
    fn unclaimed(database: TestDatabase) -> Self {
        let home = Home::unclaimed(database, &["--net-allow=127.0.0.0/8", "--listen=0.0.0.0:0"]);
        let server = home.serve_logging("info,causeway=trace");
        let provider = OidcProvider::start(&server.url("/auth/callback")).unwrap();
        Self { home, server, provider }
    }

    /// Ada owns it, and is signed in with this browser.
    fn claimed(database: TestDatabase) -> (Self, Chromium) {
        let place = Self::unclaimed(database);
        place.set_provider("oidc", "Corp");
        let mut browser = Chromium::start();
        browser.open(&place.claim_url());
        browser.press("Continue with Corp").says(&["Your account", "ada@example.com", "owner"]);
        (place, browser)
    }

    fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// Sets the provider, on the machine.
    fn set_provider(&self, kind: &str, name: &str) -> Value {
        let issuer = self.provider.url();
        self.set(&["--kind", kind, "--name", name, "--issuer", issuer, "--client-id", CLIENT_ID])
    }

    fn set(&self, flags: &[&str]) -> Value {
        let secret = self.home.path("provider-secret");
        std::fs::write(&secret, format!("{CLIENT_SECRET}\n")).unwrap();
        let secret = format!("--client-secret=@{}", secret.display());
        let command = [&["providers", "set", "--json", &secret], flags].concat();
        self.home.run_server_command(&command).json()
    }

    fn claim_url(&self) -> String {
        let public_url = self.url("");
        let command = ["claim-link", "--json", "--public-url", &public_url];
        let made = self.home.run_server_command(&command).json();
        made["claim_url"].as_str().unwrap().to_owned()
    }

    /// Says whom the provider signs in next.
    async fn signs_in(&self, who: Value) {
        let url = format!("{}/test/identity", self.provider.url());
        let told = self.server.send(http::Request::put(url), who.to_string()).await;
        assert_eq!(told.status, 204, "{told:?}");
    }

    /// What the cookie of a session is called: browsers do not tell the ports of a host apart.
    fn session_cookie(&self) -> String {
        format!("causeway_{}", self.server.address("listening").port())
    }

    /// The cookie of a browser's session.
    fn session(&self, browser: &mut Chromium) -> Option<Value> {
        let name = self.session_cookie();
        browser.cookies().into_iter().find(|cookie| cookie["name"] == name)
    }

    /// A request in a browser's session, as the console sends it.
    async fn ask(
        &self,
        browser: &mut Chromium,
        method: &str,
        path: &str,
        workspace: &str,
        body: &Value,
    ) -> Answer {
        let session = self.session(browser).unwrap();
        let value = session["value"].as_str().unwrap();
        let request = http::Request::builder()
            .method(method)
            .uri(self.url(path))
            .header("cookie", format!("{}={value}", self.session_cookie()))
            .header("origin", self.url(""))
            .header("causeway-workspace", workspace)
            .header("content-type", "application/json");
        self.server.send(request, body.to_string()).await
    }

    /// Whether the server answers beyond the loopback, for which another address of this machine
    /// stands.
    async fn answers_the_network(&self) -> bool {
        let port = self.server.address("listening").port();
        let request = http::Request::get(format!("http://127.0.0.2:{port}/healthz"));
        self.server.try_send(request, "").await.is_ok()
    }

    /// The workspace that is not the installation itself.
    async fn workspace(&self, browser: &mut Chromium) -> String {
        let me =
            self.ask(browser, "GET", "/api/v1/me", &INSTALLATION.to_string(), &json!({})).await;
        let me = me.json();
        let workspaces = me["workspaces"].as_array().unwrap();
        let mut ids = workspaces.iter().map(|one| one["id"].as_str().unwrap());
        ids.find(|id| *id != INSTALLATION.to_string()).unwrap().to_owned()
    }

    /// Invites somebody, and gives the link.
    async fn invite(&self, browser: &mut Chromium, workspace: &str, email: &str) -> String {
        let body = json!({ "email": email, "role": "developer" });
        let made = self.ask(browser, "POST", "/api/v1/invitations", workspace, &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["url"].as_str().unwrap().to_owned()
    }
}

async fn whoever_has_the_machine_becomes_the_owner(database: TestDatabase) {
    let place = Place::unclaimed(database);
    // Without a terminal the server's log says what to do, and nothing that others could use.
    let log = place.server.log();
    assert!(log.contains("run `causeway claim-link`") && !log.contains("cwc_"), "{log}");
    let mut browser = Chromium::start();
    browser.open(&place.url("/auth/sign-in")).says(&["Nobody can sign in yet", "claim-link"]);
    browser.look("sign-in-empty");

    let link = place.claim_url();
    let callback = place.url("/auth/callback");
    browser.open(&link).says(&["Claim this installation", "no owner yet", &callback]);
    browser.look("claim-empty");
    browser.unfold("Another provider (OpenID Connect)");
    browser.fill("Name on the sign-in button", "Corp");
    browser.fill("Issuer (https://…)", &format!("{}/?wrong", place.provider.url()));
    browser.fill("Client ID", CLIENT_ID);
    browser.fill("Client secret", "mistyped");
    browser.press("Set up the provider").says(&["The issuer must be"]);
    browser.look("claim-wrong");
    browser.fill("Issuer (https://…)", place.provider.url());
    browser.fill("Client secret", "mistyped");
    browser.press("Set up the provider").says(&["Continue with Corp"]);
    browser.look("claim");
    browser.press("Continue with Corp").says(&["did not answer as it should"]);
    browser.look("provider-failed");
    assert!(!place.answers_the_network().await);

    // The same name again mends the typing error; the link still works.
    browser.open(&link);
    browser.unfold("Another provider (OpenID Connect)");
    browser.fill("Name on the sign-in button", "Corp");
    browser.fill("Issuer (https://…)", place.provider.url());
    browser.fill("Client ID", CLIENT_ID);
    browser.fill("Client secret", CLIENT_SECRET);
    browser.press("Set up the provider");
    let account = browser.press("Continue with Corp");
    assert_eq!(account.url, place.url("/account"));
    account.says(&["Your account", "Ada", "ada@example.com", "This installation", "owner"]);
    browser.look("account");
    eventually("the address that was configured", async || {
        place.answers_the_network().await.then_some(())
    })
    .await;
    let cookies = browser.cookies();
    let session = place.session(&mut browser).unwrap();
    assert_eq!((&session["httpOnly"], &session["sameSite"]), (&json!(true), &json!("Lax")));
    assert_eq!(session["path"], "/");
    let claim = link.rsplit_once('/').unwrap().1;
    let mut secrets = vec![("the claim link", claim), ("the client secret", CLIENT_SECRET)];
    secrets.extend(cookies.iter().filter_map(|cookie| {
        let name = cookie["name"].as_str().filter(|name| name.starts_with("causeway"))?;
        Some((name, cookie["value"].as_str()?))
    }));
    assert_eq!(secrets.len(), 4, "two cookies: {cookies:?}");
    let secrets = Needles::new(secrets);
    let log = place.server.log();
    assert!(log.contains("\"TRACE\""), "the log is as detailed as it gets");
    secrets.assert_absent("the server's log", log);
    secrets.assert_absent_at_rest(&place.home);

    browser.open(&link).says(&["used or has expired", "claim-link"]).says_not(&["Corp"]);
    browser.look("claim-spent");
    let refused = place.home.run_server_command(&["claim-link"]);
    assert!(refused.refusal().contains("has an owner"), "{refused:#?}");

    // Out and in again, with nothing but a keyboard.
    browser.open(&place.url("/account"));
    browser.press("Sign out").says(&["You are signed out."]);
    browser.look("signed-out");
    let page = browser.open(&place.url("/account"));
    assert_eq!(page.url, place.url("/auth/sign-in?return=/account"), "the session is over");
    browser.look("sign-in");
    browser.key("Tab");
    assert_eq!(browser.focused(), "Continue with Corp");
    assert_eq!(browser.enter().url, place.url("/account"));

    // A fresh proof, on the way to somewhere.
    browser.open(&place.url("/auth/step-up?return=/account%3Fagain")).says(&["fresh proof"]);
    browser.look("step-up");
    assert_eq!(browser.press("Sign in again").url, place.url("/account?again"));
    // One who is signed in and comes to the sign-in page may go on, or be somebody else.
    browser.open(&place.url("/auth/sign-in")).says(&["You are signed in as ada@example.com."]);
    browser.look("sign-in-again");
    browser.follow("Go on").says(&["Your account"]);
}

async fn an_invited_person_joins_and_nobody_else_does(database: TestDatabase) {
    let (place, mut ada) = Place::claimed(database);
    let invite = |ada: &mut Chromium| {
        ada.open(&place.url("/account"));
        ada.follow("Invite somebody to Workspace").says(&["Invite somebody"]);
        ada.look("invite");
        ada.fill("E-mail address", "Bob@Example.com");
        let made = ada.press("Make the link");
        ada.look("invited");
        made.says(&["bob@example.com"]);
        made.text.lines().find(|line| line.contains("/auth/invitations/")).unwrap().to_owned()
    };
    let before = invite(&mut ada);
    let link = invite(&mut ada);
    ada.open(&before).says(&["used or has expired", "Ask whoever invited you"]);

    // Somebody whom the provider knows, and nobody has invited.
    place.signs_in(json!({ "sub": "eve", "email": "eve@example.com", "name": "Eve" })).await;
    let mut eve = Chromium::start();
    eve.open(&place.url("/auth/sign-in"));
    eve.press("Continue with Corp").says(&["nobody has invited this account"]);
    eve.look("not-invited");
    eve.open(&link).says(&["invites you to join", "developer", "bob@example.com"]);
    eve.look("invitation");
    eve.press("Accept with Corp").says(&["for another e-mail address"]);
    eve.look("invitation-of-another");
    assert_eq!(eve.open(&place.url("/account")).url, place.url("/auth/sign-in?return=/account"));

    // An address that the provider has not verified is nobody's.
    let unverified = json!({ "sub": "bob2", "email": "bob@example.com", "email_verified": false });
    place.signs_in(unverified).await;
    let mut mallory = Chromium::start();
    mallory.open(&link);
    mallory.press("Accept with Corp").says(&["could not be completed"]);
    mallory.look("sign-in-failed");

    place.signs_in(json!({ "sub": "bob", "email": "Bob@Example.com", "name": "Bob" })).await;
    let mut bob = Chromium::start();
    bob.open(&link);
    let account = bob.press("Accept with Corp");
    assert_eq!(account.url, place.url("/account"));
    account
        .says(&["Bob", "bob@example.com", "developer"])
        .says_not(&["owner", "This installation"]);
    bob.open(&link).says(&["used or has expired"]);
    bob.look("invitation-spent");
}

async fn a_second_factor_is_demanded_and_seen(database: TestDatabase) {
    let (place, mut ada) = Place::claimed(database);
    let workspace = place.workspace(&mut ada).await;
    let strict = json!({ "mfa": true });
    let path = "/api/v1/sso-policy";
    let mistake = place.ask(&mut ada, "PUT", path, &workspace, &strict).await;
    assert_eq!(mistake.json()["code"], "sso_required", "{mistake:?}");
    for one in [&workspace, &INSTALLATION.to_string()] {
        let forced = format!("{path}?force=true");
        let set = place.ask(&mut ada, "PUT", &forced, one, &strict).await;
        assert_eq!(set.status, 200, "{set:?}");
    }
    ada.open(&place.url("/account")).says(&["demands a sign-in with a second factor"]);
    ada.look("account-refused");

    // One factor is not enough, whatever it is; two are.
    for (amr, enough) in
        [(json!(["pwd"]), false), (json!(["otp"]), false), (json!(["pwd", "otp"]), true)]
    {
        place.signs_in(json!({ "amr": amr })).await;
        let mut browser = Chromium::start();
        browser.open(&place.url("/auth/sign-in"));
        let shown = browser.press("Continue with Corp");
        if enough {
            assert_eq!(shown.url, place.url("/account"));
            shown.says(&["with a second factor"]).says_not(&["demands"]);
        } else {
            shown.says(&["second factor", "Turn it on there"]);
            browser.look("mfa-missing");
            assert!(place.session(&mut browser).is_none());
        }
    }

    // Whoever has the machine gets everybody back in.
    place.signs_in(json!({})).await;
    let mut late = Chromium::start();
    late.open(&place.url("/auth/sign-in"));
    late.press("Continue with Corp").says(&["second factor"]);
    let installation = INSTALLATION.to_string();
    place.home.run_server_command(&["sso-policy", "reset", "--json", &installation]).json();
    late.open(&place.url("/auth/sign-in"));
    late.press("Continue with Corp").says(&["Your account"]);
}

async fn a_google_account_of_the_company_is_told_from_others(database: TestDatabase) {
    let place = Place::unclaimed(database);
    place.set_provider("google", "Google");
    place.signs_in(json!({ "hd": "example.com" })).await;
    let mut ada = Chromium::start();
    ada.open(&place.claim_url());
    ada.press("Continue with Google").says(&["Your account", "owner"]);
    let workspace = place.workspace(&mut ada).await;
    let policy = json!({ "domains": ["example.com"] });
    let set = place.ask(&mut ada, "PUT", "/api/v1/sso-policy", &workspace, &policy).await;
    assert_eq!(set.status, 200, "{set:?}");
    let link = place.invite(&mut ada, &workspace, "bob@example.com").await;

    // A consumer's account with an address of the company's, which Google verified once.
    place.signs_in(json!({ "sub": "bob", "email": "bob@example.com" })).await;
    let mut bob = Chromium::start();
    bob.open(&link);
    bob.press("Accept with Google").says(&["managed by example.com"]);
    bob.look("hosted-domain-missing");

    place.signs_in(json!({ "sub": "bob", "email": "bob@example.com", "hd": "example.com" })).await;
    let mut bob = Chromium::start();
    bob.open(&link);
    bob.press("Accept with Google").says(&["Your account", "developer"]);
}

async fn github_tells_who_somebody_is(database: TestDatabase) {
    let place = Place::unclaimed(database);
    let account = GithubAccount {
        id: 583_231,
        login: "octocat".to_owned(),
        name: Some("The Octocat".to_owned()),
        emails: vec![GithubEmail::of("octocat@example.com")],
    };
    let options = GithubOptions {
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        callback_url: place.url("/auth/callback").parse().unwrap(),
        account,
    };
    let github = GithubStandIn::start(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    place.set(&["--kind=github", "--issuer", github.url(), "--client-id", CLIENT_ID]);
    let listed = place.home.run_server_command(&["providers", "list", "--json"]);
    assert!(!listed.stdout.contains(CLIENT_SECRET), "{listed:#?}");
    let id = listed.json()["data"][0]["id"].as_str().unwrap().to_owned();

    let link = place.claim_url();
    let mut browser = Chromium::start();
    browser.open(&link);
    browser.press("Continue with GitHub");
    browser.press("Cancel").says(&["could not be completed"]);
    browser.open(&link);
    browser.press("Continue with GitHub");
    let shown = browser.press("Authorize");
    assert_eq!(shown.url, place.url("/account"));
    shown.says(&["The Octocat", "octocat@example.com", "owner"]);

    // Without the provider, the session that it opened is over.
    place.home.run_server_command(&["providers", "delete", "--json", &id]).json();
    assert_eq!(
        browser.open(&place.url("/account")).url,
        place.url("/auth/sign-in?return=/account")
    );
}

async fn a_session_that_is_ended_elsewhere_is_over(database: TestDatabase) {
    let (place, mut here) = Place::claimed(database);
    let mut there = Chromium::start();
    there.open(&place.url("/auth/sign-in"));
    there.press("Continue with Corp").says(&["Your account"]);

    let button = "Sign out Chrome on Linux at 127.0.0.1";
    here.open(&place.url("/account")).says(&["This browser"]);
    here.look("account-two");
    here.press(button).says(&["Your account", "This browser"]);
    let gone = place.url("/auth/sign-in?return=/account");
    assert_eq!(there.open(&place.url("/account")).url, gone);

    // All of them, from one.
    there.press("Continue with Corp").says(&["Your account"]);
    there.press("Sign out everywhere").says(&["You are signed out."]);
    assert_eq!(here.open(&place.url("/account")).url, gone);
}

async fn other_sites_change_nothing(database: TestDatabase) {
    let (place, mut ada) = Place::claimed(database);
    // Another port of the same host is another origin and the same site: the cookie comes along.
    let neighbour = format!("{}/.well-known/openid-configuration", place.provider.url());
    // Another name of this machine is another site.
    let stranger = neighbour.replace("127.0.0.1", "localhost");
    for site in [neighbour, stranger] {
        for path in ["/auth/sign-out", "/account/sessions/revoke", "/auth/step-up"] {
            ada.open(&site);
            ada.post_from_here(&place.url(path))
                .says(&["does not come from a page of this server"]);
        }
        ada.look("cross-site");
        ada.open(&place.url("/account")).says(&["Your account", "ada@example.com"]);
    }
}
