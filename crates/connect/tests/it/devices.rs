//! OAuth 2.0 for devices (RFC 8628): against the certified provider, and a stand-in that answers
//! what section 3.5 lists.

use crate::browser::Browser;
use crate::standin::Reply;
use crate::thing::{Thing, fields};
use crate::world::{World, access_token, cookie};
use causeway_connect::{Choice, DevicePrompt, Finished, FlowError, LinkError, Progress, Started};
use causeway_identity::token::{self, Plain};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_testkit::oidc_provider::{CLIENT_ID, CLIENT_SECRET, OidcProvider};
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded as _};
use serde_json::json;
use std::time::Duration;

on_both!(
    a_code_is_typed_on_another_device,
    the_app_is_asked_as_often_as_it_wants,
    an_app_that_fails_is_asked_less_often,
    a_no_and_an_end_are_told,
    of_all_nodes_one_asks,
    another_node_goes_on,
    what_takes_the_place_of_a_device_flow_ends_it,
    bad_codes_are_refused,
);

const SECOND: Duration = Duration::from_secs(1);

/// A device flow under way.
struct Flow {
    thing: Thing,
    token: String,
    browser: Plain<token::Browser>,
}

impl Flow {
    async fn begin(database: TestDatabase) -> (Self, DevicePrompt) {
        let thing = Thing::new(database).await;
        let session = thing.session(Thing::session_for(Scheme::Device)).await;
        let flow = Self { token: session.token.expose().clone(), browser: cookie(), thing };
        let prompt = flow.start().await.unwrap();
        (flow, prompt)
    }

    async fn start(&self) -> Result<DevicePrompt, FlowError> {
        start(&self.thing.world, &self.token, &self.browser, &[("tenant", "acme")]).await
    }

    async fn progress(&self) -> Progress {
        self.thing.world.connect.progress(&self.token, &self.browser).await.unwrap()
    }

    fn says(&self, error: &str) {
        self.thing.app.next(Reply::Json(400, json!({ "error": error })));
    }

    /// How often the app was asked.
    fn asked(&self) -> usize {
        self.thing.exchanges()
    }

    fn wait(&self, seconds: u32) {
        self.thing.world.clock.advance(SECOND * seconds);
    }
}

async fn start(
    world: &World,
    token: &str,
    browser: &Plain<token::Browser>,
    typed: &[(&str, &str)],
) -> Result<DevicePrompt, FlowError> {
    let choice =
        Choice { scheme: Some(Scheme::Device), fields: fields(typed), ..Choice::default() };
    match world.connect.start(token, browser, choice).await? {
        Started::Device(prompt) => Ok(prompt),
        Started::Browser(_) => panic!("another way"),
    }
}

fn connected(progress: Progress) -> Finished {
    match progress {
        Progress::Connected(finished) => finished,
        other => panic!("{other:?}"),
    }
}

async fn a_code_is_typed_on_another_device(database: TestDatabase) {
    let provider = OidcProvider::start(crate::world::CALLBACK).unwrap();
    let url = provider.url();
    let device = format!(
        "  device:\n    docs: https://github.com/panva/node-oidc-provider\n    device_authorization_url: {url}/device/auth\nverify:"
    );
    let row = provider.app_yaml(false).replacen("verify:", &device, 1);
    let world = World::new(database, &row, (CLIENT_ID, CLIENT_SECRET)).await;
    let session = world.session("oidc", "crm").await;
    let (token, mine) = (session.token.expose(), cookie());
    let prompt = start(&world, token, &mine, &[]).await.unwrap();
    assert_eq!(prompt.verification_uri, format!("{url}/device"));
    // Whoever else has the link learns nothing of it.
    let other = world.connect.progress(token, &cookie()).await.err().unwrap();
    assert!(matches!(other, FlowError::Link(LinkError::OtherBrowser)), "{other}");

    let waiting = world.connect.progress(token, &mine).await.unwrap();
    let Progress::Waiting(Some(again)) = waiting else { panic!("{waiting:?}") };
    assert_eq!(again, prompt, "it is shown again");
    world.clock.advance(SECOND * prompt.interval);
    let waiting = world.connect.progress(token, &mine).await.unwrap();
    assert!(matches!(waiting, Progress::Waiting(Some(_))), "{waiting:?}");
    assert_eq!(world.counts(&provider).await.token_requests, 1);

    let page = prompt.verification_uri_complete.unwrap().parse().unwrap();
    Browser::new(&world.http).type_code(page).await;
    world.clock.advance(SECOND * prompt.interval);
    let finished = connected(world.connect.progress(token, &mine).await.unwrap());
    assert_eq!((finished.name.as_str(), finished.app.as_str()), ("crm", "oidc"));
    let row = world.connection(finished.connection).await.unwrap();
    assert_eq!((row.scheme, row.scopes.as_str()), (Scheme::Device, "openid email profile"));
    let first = access_token(&world.credential("crm").await.unwrap());
    assert_eq!(world.get(&format!("{url}/me"), &first).await, 200);
    // Its tokens are refreshed as those of the other flow are.
    world.clock.advance(Duration::from_hours(2));
    let second = access_token(&world.credential("crm").await.unwrap());
    assert_ne!(first, second);
    assert_eq!(world.get(&format!("{url}/me"), &second).await, 200);
    // Asked again, the page is told the same, and nobody asks the app.
    let before = world.counts(&provider).await.token_requests;
    let told = connected(world.connect.progress(token, &mine).await.unwrap());
    assert_eq!(told.connection, finished.connection);
    assert_eq!(world.counts(&provider).await.token_requests, before);
}

async fn the_app_is_asked_as_often_as_it_wants(database: TestDatabase) {
    let (flow, prompt) = Flow::begin(database).await;
    assert_eq!((prompt.user_code.as_str(), prompt.interval), ("WDJB-MJHT", 5));
    let request = flow.thing.app.asked("/device")[0].form();
    assert_eq!((request["app_id"].as_str(), request["scope"].as_str()), ("id-", "read,write"));
    assert!(!request.contains_key("client_secret"));
    // Not before its time, however often the page asks.
    for _ in 0..3 {
        flow.wait(1);
        assert!(matches!(flow.progress().await, Progress::Waiting(Some(_))));
    }
    assert_eq!(flow.asked(), 0);
    flow.says("authorization_pending");
    flow.wait(2);
    flow.progress().await;
    assert_eq!(flow.asked(), 1);
    // RFC 8628, section 3.5: five seconds more from then on.
    flow.says("slow_down");
    flow.wait(5);
    flow.progress().await;
    flow.wait(9);
    flow.progress().await;
    assert_eq!(flow.asked(), 2);
    flow.says("authorization_pending");
    flow.wait(1);
    let Progress::Waiting(Some(slower)) = flow.progress().await else { panic!("no code") };
    assert_eq!((flow.asked(), slower.interval), (3, 10));
    flow.wait(10);
    let finished = connected(flow.progress().await);
    let asked = flow.thing.app.asked("/token/acme");
    let form = asked.last().unwrap().form();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:device_code");
    assert_eq!(
        (form["device_code"].as_str(), form["audience"].as_str()),
        ("device-canary-1", "api/acme")
    );
    let row = flow.thing.world.connection(finished.connection).await.unwrap();
    assert_eq!(row.scheme, Scheme::Device);
}

async fn an_app_that_fails_is_asked_less_often(database: TestDatabase) {
    let (flow, _) = Flow::begin(database).await;
    flow.wait(5);
    flow.thing.app.next(Reply::Close);
    assert!(matches!(flow.progress().await, Progress::Waiting(Some(_))));
    flow.wait(9);
    flow.progress().await;
    assert_eq!(flow.asked(), 1, "twice the time after a timeout");
    flow.wait(1);
    flow.thing.app.next(Reply::With(503, ("retry-after", "30".into()), String::new()));
    flow.progress().await;
    flow.wait(29);
    flow.progress().await;
    assert_eq!(flow.asked(), 2, "as long as the app asks for");
    flow.wait(1);
    connected(flow.progress().await);
}

async fn a_no_and_an_end_are_told(database: TestDatabase) {
    let (flow, _) = Flow::begin(database).await;
    let failed = async |code: &str| {
        let progress = flow.progress().await;
        let Progress::Failed { code: told, text } = progress else { panic!("{progress:?}") };
        assert_eq!(told, code, "{text}");
        text
    };
    flow.wait(5);
    flow.says("access_denied");
    let text = failed("authorization_refused").await;
    assert!(text.contains("Thing did not grant access"), "{text}");
    // It stays said, and the app is left alone.
    flow.wait(60);
    failed("authorization_refused").await;
    assert_eq!(flow.asked(), 1);
    flow.start().await.unwrap();
    flow.wait(5);
    flow.says("expired_token");
    failed("connect_link_spent").await;
    flow.start().await.unwrap();
    flow.wait(5);
    flow.says("invalid_grant");
    let text = failed("authorization_refused").await;
    assert!(text.contains("`invalid_grant`"), "{text}");
    // An app that says nothing of the end: the code's own time counts.
    flow.start().await.unwrap();
    flow.wait(600);
    failed("connect_link_spent").await;
    assert_eq!(flow.asked(), 3, "a code that is over is not asked for");
    // The link outlives all of these.
    flow.start().await.unwrap();
    flow.wait(5);
    connected(flow.progress().await);
}

async fn of_all_nodes_one_asks(database: TestDatabase) {
    let (flow, _) = Flow::begin(database).await;
    let world = &flow.thing.world;
    let second = world.second_node().await;
    for round in 1..=3 {
        flow.says("authorization_pending");
        flow.wait(5);
        let (here, there, page, also) = tokio::join!(
            world.connect.poll_devices(),
            second.poll_devices(),
            world.connect.progress(&flow.token, &flow.browser),
            second.progress(&flow.token, &flow.browser),
        );
        here.unwrap();
        there.unwrap();
        assert!(matches!(page.unwrap(), Progress::Waiting(_)));
        assert!(matches!(also.unwrap(), Progress::Waiting(_)));
        assert_eq!(flow.asked(), round);
    }
    flow.wait(5);
    let (here, there) = tokio::join!(world.connect.poll_devices(), second.poll_devices());
    here.unwrap();
    there.unwrap();
    connected(flow.progress().await);
    assert_eq!(flow.asked(), 4);
    assert_eq!(world.audited("connection_created").await, 1);
}

async fn another_node_goes_on(database: TestDatabase) {
    let (flow, _) = Flow::begin(database).await;
    flow.wait(5);
    flow.says("authorization_pending");
    flow.progress().await;
    // The page is closed, the node is gone; the background of another one asks.
    let second = flow.thing.world.second_node().await;
    assert_eq!(second.poll_devices().await.unwrap(), 0);
    flow.wait(5);
    assert_eq!(second.poll_devices().await.unwrap(), 1);
    let told = second.progress(&flow.token, &flow.browser).await.unwrap();
    let finished = connected(told);
    let row = flow.thing.world.connection(finished.connection).await.unwrap();
    assert_eq!(row.customer_id, flow.thing.world.connection(row.id).await.unwrap().customer_id);
    assert_eq!(second.poll_devices().await.unwrap(), 0);
}

async fn what_takes_the_place_of_a_device_flow_ends_it(database: TestDatabase) {
    let (flow, _) = Flow::begin(database).await;
    let url = flow.thing.begin(&flow.token, &flow.browser, Scheme::Oauth2).await.unwrap();
    flow.wait(60);
    assert_eq!(flow.thing.world.connect.poll_devices().await.unwrap(), 0);
    assert!(matches!(flow.progress().await, Progress::Waiting(None)));
    let answer = flow.thing.agree(Scheme::Oauth2, &url);
    flow.thing.world.connect.finish(answer, &flow.browser).await.unwrap();
    assert_eq!(flow.asked(), 1, "by the code of the other flow");
}

async fn bad_codes_are_refused(database: TestDatabase) {
    let (flow, _) = Flow::begin(database).await;
    let good = json!({
        "device_code": "d", "user_code": "u", "verification_uri": "https://thing.example/device",
    });
    let with = |name: &str, value: serde_json::Value| {
        let mut codes = good.clone();
        codes[name] = value;
        Reply::Json(200, codes)
    };
    for bad in [
        with("device_code", "".into()),
        with("user_code", json!(null)),
        with("verification_uri", "javascript:alert(1)".into()),
        with("verification_uri", "http://thing.example/device".into()),
        with("verification_uri", "/device".into()),
        Reply::Text(200, "text/html", "<html>".into()),
        Reply::Json(200, json!({ "error": "device_flow_disabled" })),
        Reply::Json(401, json!({ "error": "invalid_client" })),
    ] {
        flow.thing.app.next_at("/device", bad);
        let refused = flow.start().await.unwrap_err();
        assert_eq!(refused.code(), Code::AuthorizationRefused, "{refused}");
    }
    // Numbers as texts, and none at all; a code cannot become markup or another line.
    flow.thing.app.next_at(
        "/device",
        Reply::Json(
            200,
            json!({
                "device_code": "d", "user_code": " A\r\nB\u{202e} ", "expires_in": "120",
                "interval": "0", "verification_uri": "https://thing.example/device",
                "verification_uri_complete": "javascript:alert(1)",
            }),
        ),
    );
    let prompt = flow.start().await.unwrap();
    assert_eq!((prompt.user_code.as_str(), prompt.interval), ("A  B", 1));
    assert_eq!(prompt.verification_uri_complete, None);
}
