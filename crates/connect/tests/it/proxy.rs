//! Calls through the proxy, against an app of a few lines that keeps what it was sent.

use crate::world::World;
use bytes::Bytes;
use causeway_connect::{CallPolicy, CallRate, NewConnection, ProxyAnswer, ProxyCall, ProxyError};
use causeway_identity::{Permit, ProxyRule, action};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::entity::Scheme;
use causeway_types::{Clock as _, Code, Coded, ConnectionId, SecretString, Timestamp};
use http::{HeaderMap, HeaderName, Method};
use http_body_util::{BodyExt as _, Full};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

on_both!(
    the_credential_is_the_connections_own,
    only_the_apps_hosts_are_called,
    a_redirect_is_handed_back,
    a_token_that_is_refused_is_renewed_once,
    budgets_are_shared_by_all_nodes,
    an_answer_that_says_enough_stops_all_nodes,
    a_policy_narrows_one_connection,
    writes_are_not_repeated,
    calls_are_counted,
);

/// The app: what it answers is said by the path.
struct App {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    token: Arc<Mutex<u32>>,
}

#[derive(Debug, Clone)]
struct Seen {
    head: String,
    body: String,
}

impl Seen {
    fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl App {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, token) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(1)));
        let app = Self { port, seen: Arc::clone(&seen), token: Arc::clone(&token) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&token)));
            }
        });
        app
    }

    fn row(&self, more: &str) -> String {
        format!(
            "slug: thing\nname: Thing\ndescription: Things.\ndocs: https://thing.example/\n\
             categories: [storage]\nhosts: [\"127.0.0.1:{0}\"]\nauth:\n  api_key:\n    \
             docs: https://thing.example/\n    fields: [{{ name: api_key, label: Key }}]\n    \
             send: {{ headers: {{ X-Api-Key: \"{{api_key}}\" }} }}\n  oauth2:\n    \
             docs: https://thing.example/\n    authorization_url: http://127.0.0.1:{0}/authorize\n    \
             token_url: http://127.0.0.1:{0}/token\n    client_auth: post\n    pkce: forbidden\n  \
             token_exchange:\n    docs: https://thing.example/\n    \
             fields: [{{ name: pass, label: Password }}]\n    request:\n      method: POST\n      \
             url: http://127.0.0.1:{0}/token\n      form: {{ pass: \"{{pass}}\" }}\n\
             verify: {{ url: \"http://127.0.0.1:{0}/any\" }}\n\
             api:\n  base_url: http://127.0.0.1:{0}/base\n  headers: {{ Api-Version: \"7\" }}\n{more}",
            self.port
        )
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Requests to this path.
    fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|one| one.line().contains(path)).count()
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<Seen>>>, token: Arc<Mutex<u32>>) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let (head, mut body) = loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            break (head.to_owned(), body.to_owned());
        }
    };
    let one = Seen { head, body: String::new() };
    let length: usize = one.header("content-length").map_or(0, |text| text.parse().unwrap());
    while body.len() < length {
        let count = stream.read(&mut buffer).await.unwrap();
        body.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let one = Seen { body, ..one };
    seen.lock().unwrap().push(one.clone());
    let path = one.line().split(' ').nth(1).unwrap().to_owned();
    let current = format!("Bearer t{}", *token.lock().unwrap());
    let (status, headers, body) = match path.as_str() {
        "/token" => {
            let token = *token.lock().unwrap();
            let text = format!("{{\"access_token\":\"t{token}\",\"expires_in\":3600}}");
            ("200 OK", String::new(), text)
        }
        "/base/renew" => {
            // The token that it came with is not good any more.
            let mut token = token.lock().unwrap();
            *token += 1;
            ("200 OK", String::new(), "renewed".to_owned())
        }
        "/base/guarded" if one.header("authorization") != Some(current.as_str()) => {
            ("401 Unauthorized", String::new(), "who?".to_owned())
        }
        "/base/away" => ("302 Found", "location: https://evil.example/\r\n".into(), String::new()),
        "/base/enough" => ("429 Too Many Requests", "retry-after: 40\r\n".into(), "{}".to_owned()),
        // Hangs up without an answer.
        "/base/break" => return,
        _ => (
            "200 OK",
            "set-cookie: session=canary\r\nx-kept: 1\r\n".to_owned(),
            format!("saw {path}"),
        ),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

async fn world(database: TestDatabase, app: &App, more: &str) -> World {
    World::new(database, &app.row(more), ("client", "secret")).await
}

async fn link(world: &World, name: &str, scheme: Scheme, field: (&str, &str)) -> ConnectionId {
    let value = SecretString::new(field.1.to_owned());
    let new = NewConnection {
        customer: "acme".into(),
        app: "thing".into(),
        name: Some(name.into()),
        scheme,
        fields: BTreeMap::from([(field.0.to_owned(), value)]),
    };
    world.connect.create_connection(&world.permit(), new).await.unwrap().id
}

fn call(method: Method, target: &str, headers: &[(&str, &str)], body: &'static str) -> ProxyCall {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect::<HeaderMap>();
    let body = Full::new(Bytes::from_static(body.as_bytes()));
    let body = body.map_err(|never: Infallible| match never {}).boxed_unsync();
    ProxyCall { method, target: target.to_owned(), headers, body }
}

async fn get(world: &World, name: &str, target: &str) -> Result<ProxyAnswer, ProxyError> {
    let permit: Permit<action::UseProxy> = world.permit();
    world.connect.proxy(&permit, name, call(Method::GET, target, &[], "")).await
}

async fn text(answer: ProxyAnswer) -> String {
    String::from_utf8(answer.body.collect_within(1 << 20).await.unwrap().to_vec()).unwrap()
}

async fn the_credential_is_the_connections_own(database: TestDatabase) {
    let app = App::start().await;
    let world = world(database, &app, "").await;
    link(&world, "things", Scheme::ApiKey, ("api_key", "the-key")).await;
    let sent = [
        ("authorization", "Bearer the-callers"),
        ("cookie", "the-callers"),
        ("x-api-key", "the-callers"),
        ("x-forwarded-for", "10.0.0.1"),
        ("causeway-environment", "x"),
        ("content-type", "text/plain"),
        ("x-own", "1"),
    ];
    let post = call(Method::POST, "/items?q=a%2Fb&r=%2e%2e", &sent, "a body");
    let answer = world.connect.proxy(&world.permit(), "things", post).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("set-cookie"), "the app's cookies are not the caller's");
    assert_eq!(answer.headers["x-kept"], "1");
    assert_eq!(text(answer).await, "saw /base/items?q=a%2Fb&r=%2e%2e");
    let one = app.seen().last().unwrap().clone();
    assert_eq!(one.line(), "POST /base/items?q=a%2Fb&r=%2e%2e HTTP/1.1");
    assert_eq!((one.header("x-api-key"), one.header("api-version")), (Some("the-key"), Some("7")));
    assert_eq!((one.header("x-own"), one.header("content-type")), (Some("1"), Some("text/plain")));
    assert_eq!(one.body, "a body");
    assert!(!one.head.contains("the-callers") && !one.head.contains("10.0.0.1"), "{}", one.head);
}

async fn only_the_apps_hosts_are_called(database: TestDatabase) {
    let app = App::start().await;
    let world = world(database, &app, "").await;
    link(&world, "things", Scheme::ApiKey, ("api_key", "the-key")).await;
    let before = app.seen().len();
    for (target, code) in [
        ("https://evil.example/x", Code::HostNotAllowed),
        ("http://127.0.0.1:1/x", Code::HostNotAllowed),
        ("//evil.example/x", Code::InvalidRequest),
        ("/a/../../x", Code::InvalidRequest),
        ("/a/%2e%2e/x", Code::InvalidRequest),
        ("/\\evil.example", Code::InvalidRequest),
        ("evil.example", Code::InvalidRequest),
    ] {
        let refused = get(&world, "things", target).await.err().unwrap();
        assert_eq!(refused.code(), code, "{target}: {}", refused.public());
    }
    assert_eq!(app.seen().len(), before);
    let whole = format!("http://127.0.0.1:{}/other", app.port);
    assert_eq!(text(get(&world, "things", &whole).await.unwrap()).await, "saw /other");
    let unknown = get(&world, "nothing", "/x").await.err().unwrap();
    assert_eq!(unknown.code(), Code::NotFound);
}

async fn a_redirect_is_handed_back(database: TestDatabase) {
    let app = App::start().await;
    let world = world(database, &app, "").await;
    link(&world, "things", Scheme::ApiKey, ("api_key", "the-key")).await;
    let answer = get(&world, "things", "/away").await.unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(answer.headers["location"], "https://evil.example/");
}

async fn a_token_that_is_refused_is_renewed_once(database: TestDatabase) {
    let app = App::start().await;
    let world = world(database, &app, "").await;
    link(&world, "things", Scheme::TokenExchange, ("pass", "word")).await;
    assert_eq!(text(get(&world, "things", "/guarded").await.unwrap()).await, "saw /base/guarded");
    assert_eq!(app.count("/token"), 1);
    // The app ends the token before its time. A token is renewed only if it is not brand-new.
    get(&world, "things", "/renew").await.unwrap();
    world.clock.advance(Duration::from_mins(2));
    let post = call(Method::POST, "/guarded", &[("content-type", "text/plain")], "once more");
    let answer = world.connect.proxy(&world.permit(), "things", post).await.unwrap();
    assert_eq!(text(answer).await, "saw /base/guarded");
    assert_eq!(app.count("/token"), 2);
    let bodies: Vec<String> = app.seen().into_iter().rev().take(3).map(|one| one.body).collect();
    assert_eq!(bodies[0], "once more");
    // An app that refuses every token is answered with its own word, after one renewal.
    *app.token.lock().unwrap() = 1000;
    world.clock.advance(Duration::from_mins(2));
    let post = call(Method::GET, "/guarded", &[], "");
    let refused = world.connect.proxy(&world.permit(), "things", post).await.unwrap();
    assert_eq!((refused.status.as_u16(), app.count("/token")), (200, 3));
}

async fn budgets_are_shared_by_all_nodes(database: TestDatabase) {
    let app = App::start().await;
    let row = "  rate_limits: [{ requests: 4, seconds: 60 }]\n";
    let world = world(database, &app, row).await;
    link(&world, "things", Scheme::ApiKey, ("api_key", "the-key")).await;
    let other = world.second_node().await;
    let permit: Permit<action::UseProxy> = world.permit();
    let mut taken = 0;
    let mut limited = 0;
    for turn in 0..8 {
        let node = if turn % 2 == 0 { &world.connect } else { &other };
        match node.proxy(&permit, "things", call(Method::GET, "/x", &[], "")).await {
            Ok(_) => taken += 1,
            Err(ProxyError::Limited { wait, own: false, .. }) => {
                assert!(wait <= Duration::from_mins(1));
                limited += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((taken, limited), (4, 4));
    world.clock.advance(Duration::from_secs(61));
    get(&world, "things", "/x").await.unwrap();
}

async fn an_answer_that_says_enough_stops_all_nodes(database: TestDatabase) {
    let app = App::start().await;
    let row = "  rate_limits: [{ requests: 100, seconds: 60 }]\n";
    let world = world(database, &app, row).await;
    link(&world, "things", Scheme::ApiKey, ("api_key", "the-key")).await;
    let other = world.second_node().await;
    let answer = get(&world, "things", "/enough").await.unwrap();
    assert_eq!(answer.status, 429, "the app's own answer is passed on");
    let here = get(&world, "things", "/x").await.err().unwrap();
    assert!(matches!(here, ProxyError::Limited { wait, .. } if wait.as_secs() == 40), "{here}");
    let there = other.proxy(&world.permit(), "things", call(Method::GET, "/x", &[], "")).await;
    assert_eq!(there.err().unwrap().code(), Code::RateLimited);
    assert_eq!(app.count("/base/x"), 0);
    world.clock.advance(Duration::from_secs(41));
    get(&world, "things", "/x").await.unwrap();
}

async fn a_policy_narrows_one_connection(database: TestDatabase) {
    let app = App::start().await;
    let world = world(database, &app, "").await;
    let things = link(&world, "things", Scheme::ApiKey, ("api_key", "the-key")).await;
    link(&world, "free", Scheme::ApiKey, ("api_key", "the-key")).await;
    let rule = ProxyRule { methods: vec!["GET".into()], paths: vec!["/base/items/**".into()] };
    let rate = Some(CallRate { calls: 2, seconds: 60 });
    let policy = CallPolicy { rules: Some(vec![rule]), rate };
    let permit = world.permit();
    world.connect.set_call_policy(&permit, things, Some(policy)).await.unwrap();
    get(&world, "things", "/items/1").await.unwrap();
    let refused = get(&world, "things", "/users").await.err().unwrap();
    assert_eq!(refused.code(), Code::CallNotAllowed);
    let post = call(Method::POST, "/items/1", &[], "");
    let refused = world.connect.proxy(&world.permit(), "things", post).await.err().unwrap();
    assert_eq!(refused.code(), Code::CallNotAllowed);
    get(&world, "things", "/items/2").await.unwrap();
    let limited = get(&world, "things", "/items/3").await.err().unwrap();
    assert!(matches!(limited, ProxyError::Limited { own: true, .. }), "{limited}");
    get(&world, "free", "/users").await.unwrap();
    world.connect.set_call_policy(&permit, things, None).await.unwrap();
    get(&world, "things", "/users").await.unwrap();
    assert_eq!(world.audited("connection_policy_set").await, 2);
}

async fn writes_are_not_repeated(database: TestDatabase) {
    let app = App::start().await;
    let world = world(database, &app, "").await;
    link(&world, "things", Scheme::ApiKey, ("api_key", "the-key")).await;
    for (method, times) in [(Method::POST, 1), (Method::PATCH, 1), (Method::GET, 2)] {
        let before = app.count("/base/break");
        let broken = call(method.clone(), "/break", &[], "");
        let broken = world.connect.proxy(&world.permit(), "things", broken).await.err().unwrap();
        assert_eq!(broken.code(), Code::UpstreamFailed);
        assert_eq!(app.count("/base/break") - before, times, "{method}");
    }
}

async fn calls_are_counted(database: TestDatabase) {
    let app = App::start().await;
    let world = world(database, &app, "").await;
    link(&world, "things", Scheme::ApiKey, ("api_key", "the-key")).await;
    for _ in 0..3 {
        get(&world, "things", "/x").await.unwrap();
    }
    world.connect.write_counts().await.unwrap();
    get(&world, "things", "/x").await.unwrap();
    world.connect.write_counts().await.unwrap();
    let mut conn = world.database.store.read().await.unwrap();
    let (from, to) = (Timestamp::from_micros(0), world.clock.now().plus(Duration::from_hours(1)));
    let rows = db!(conn, usage::between(world.tenant(), from, to)).unwrap();
    assert_eq!(rows.iter().map(|row| row.count).sum::<i64>(), 4);
    // Each use of the credential is in the audit chain, together.
    world.connect.write_uses(true).await.unwrap();
    assert_eq!(world.audited("credential_used").await, 1);
}
