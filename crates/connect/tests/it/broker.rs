//! Requests of a step's code through the broker, against an app that says back what it hears.

use crate::world::World;
use bytes::Bytes;
use causeway_connect::{
    BodyError, Broker, BrokerError, BrokeredCall, CallPolicy, ConnectionFilter, Exposure,
    HostClaim, NewConnection,
};
use causeway_identity::{Permit, ProxyRule, action};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Scheme;
use causeway_types::{Clock as _, InvocationId, NodeId, OsRandom, SecretString, SystemClock};
use data_encoding::BASE64;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

on_both!(
    a_credential_goes_where_the_row_says,
    a_placeholder_anywhere_else_is_refused_and_audited,
    a_placeholder_split_across_writes_is_found,
    what_the_app_echoes_is_masked,
    what_is_compressed_is_handled_on_purpose,
    a_host_is_an_apps_only_at_its_port,
    policies_count_here_too,
    a_token_that_is_refused_is_renewed_once,
);

const KEY: &str = "k3y-of/the+customer=that_is.secret";
const EVERYWHERE: &str = "{ headers: { X-Api-Key: \"{key}\" }, query: { api_key: \"{key}\" }, \
                          basic: { username: \"{key}\" }, body: { token: \"{key}\" } }";
const BEARER: &str = "{ headers: { Authorization: \"Bearer {key}\" } }";

/// The app.
#[derive(Default)]
struct App {
    port: u16,
    seen: Mutex<Vec<String>>,
    /// The number of the token that it takes.
    token: Mutex<u32>,
}

impl App {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = Arc::new(Self { port, ..Self::default() });
        let own = Arc::clone(&app);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = Arc::clone(&own);
                let service = service_fn(move |request| Arc::clone(&own).answer(request));
                tokio::spawn(async move {
                    // A client that goes away is no fault of the app.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        app
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>>, Infallible>
    {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let Ok(body) = body.collect().await else {
            return Ok(Response::new(Full::default().boxed_unsync()));
        };
        let header = |name: &str| {
            head.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        let said = format!(
            "{} {} x-api-key={} authorization={} encoding={} {body}",
            head.method,
            head.uri,
            header("x-api-key"),
            header("authorization"),
            header("accept-encoding"),
        );
        self.seen.lock().unwrap().push(said.clone());
        let token = *self.token.lock().unwrap();
        if path == "/token" {
            let answer =
                format!("{{\"access_token\":\"token-number-{token}\",\"expires_in\":3600}}");
            return Ok(Response::new(Full::from(answer).boxed_unsync()));
        }
        if path == "/guarded" && header("authorization") != format!("Bearer token-number-{token}") {
            let mut answer = Response::new(Full::from("who?").boxed_unsync());
            *answer.status_mut() = http::StatusCode::UNAUTHORIZED;
            return Ok(answer);
        }
        let encoded = BASE64.encode(format!("ab{}", header("authorization")).as_bytes());
        let text = format!("{said} {encoded}");
        let pieces: Vec<_> = text
            .as_bytes()
            .chunks(3)
            .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let mut answer = Response::new(StreamBody::new(tokio_stream::iter(pieces)).boxed_unsync());
        answer.headers_mut().insert("x-echo", header("authorization").parse().unwrap());
        if path == "/zipped" {
            answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        }
        Ok(answer)
    }

    fn row(&self, send: &str, base: &str) -> String {
        let url = format!("http://127.0.0.1:{}", self.port);
        format!(
            "slug: thing\nname: Thing\ndescription: Things.\ndocs: https://thing.example/\n\
             categories: [storage]\nhosts: [\"127.0.0.1:{0}\", things.example]\nauth:\n  \
             api_key:\n    docs: https://thing.example/\n    fields:\n      \
             - {{ name: key, label: Key }}\n      \
             - {{ name: note, label: Note, secret: false, optional: true }}\n    send: {send}\n  \
             token_exchange:\n    docs: https://thing.example/\n    \
             fields: [{{ name: pass, label: Password }}]\n    request:\n      method: POST\n      \
             url: {url}/token\n      form: {{ pass: \"{{pass}}\" }}\n\
             verify: {{ url: \"{url}/any\" }}\napi: {{ base_url: \"{url}{base}\" }}\n",
            self.port
        )
    }

    fn last(&self) -> String {
        self.seen.lock().unwrap().last().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// A step that is linked to a connection.
struct Step {
    app: Arc<App>,
    world: World,
    broker: Broker,
    /// What stands for the secret.
    placeholder: String,
}

impl Step {
    async fn new(database: TestDatabase, send: &str, base: &str) -> Self {
        let app = App::start().await;
        let world = World::bare(database, &app.row(send, base)).await;
        Self::linked(app, world, Scheme::ApiKey, ("key", KEY)).await
    }

    async fn linked(app: Arc<App>, world: World, scheme: Scheme, field: (&str, &str)) -> Self {
        let new = NewConnection {
            customer: "acme".into(),
            app: "thing".into(),
            name: Some("things".into()),
            scheme,
            fields: BTreeMap::from([(field.0.to_owned(), SecretString::new(field.1.to_owned()))]),
        };
        world.connect.create_connection(&world.permit(), new).await.unwrap();
        let node = NodeId::generate(SystemClock.now(), &OsRandom);
        let permit = Permit::<action::UseConnections>::for_node(node, world.tenant());
        let exposure = Exposure::Placeholders(&[7; 32]);
        let link = Arc::new(world.connect.link(&permit, "things", exposure).await.unwrap());
        let auth: Value = serde_json::from_slice(link.auth().expose()).unwrap();
        let name = if scheme == Scheme::ApiKey { "key" } else { "oauth_access_token" };
        let placeholder = auth[name].as_str().unwrap().to_owned();
        assert!(placeholder.starts_with("cwp_") && !auth.to_string().contains(field.1), "{auth}");
        let invocation = InvocationId::generate(SystemClock.now(), &OsRandom);
        let broker = world.connect.broker(&permit, invocation, "step", vec![link]);
        Self { app, world, broker, placeholder }
    }

    fn request(&self, method: &Method, path: &str) -> http::request::Builder {
        let path = path.replace("PH", &self.placeholder);
        Request::builder()
            .method(method.clone())
            .uri(format!("http://127.0.0.1:{}{path}", self.app.port))
    }

    async fn send(
        &self,
        request: http::request::Builder,
        body: &str,
    ) -> Result<String, BrokerError> {
        let whole = Full::new(Bytes::from(body.replace("PH", &self.placeholder)));
        let request = request.body(whole.map_err(|never| match never {}).boxed_unsync()).unwrap();
        let call = BrokeredCall { request, upgrade: None, is_listed: false };
        let answer = self.broker.send(call).await?.response;
        let headers = format!("{:?}", answer.headers());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Ok(format!("{headers} {}", String::from_utf8(body.to_vec()).unwrap()))
    }

    fn get(&self, path: &str) -> http::request::Builder {
        self.request(&Method::GET, path)
    }

    fn bearer(&self, path: &str) -> http::request::Builder {
        self.get(path).header("authorization", format!("Bearer {}", self.placeholder))
    }
}

async fn a_credential_goes_where_the_row_says(database: TestDatabase) {
    let step = Step::new(database, EVERYWHERE, "/bot{key}").await;
    let pair = |text: String| format!("Basic {}", BASE64.encode(text.as_bytes()));
    let query: String = url::form_urlencoded::byte_serialize(KEY.as_bytes()).collect();
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    let post = |kind: &str| step.request(&Method::POST, "/x").header("content-type", kind);
    for (request, body, wanted) in [
        (step.get("/x").header("x-api-key", &step.placeholder), "", format!("x-api-key={KEY} ")),
        (step.get("/x?a=%2F&api_key=PH&b"), "", format!("/x?a=%2F&api_key={query}&b ")),
        (
            step.get("/x").header("authorization", pair(format!("{}:", step.placeholder))),
            "",
            format!("authorization={} ", pair(format!("{KEY}:"))),
        ),
        (step.bearer("/x"), "", format!("authorization=Bearer {KEY} ")),
        (post(json), "{\"n\":1.0,\"token\":\"PH\"}", format!("{{\"n\":1.0,\"token\":\"{KEY}\"}}")),
        (post(form), "a=%20b&token=PH", format!("a=%20b&token={query}")),
        (
            step.get("/botPH/getMe"),
            "",
            "GET /botk3y-of%2Fthe%2Bcustomer%3Dthat_is.secret/getMe ".to_owned(),
        ),
    ] {
        step.send(request, body).await.unwrap();
        let last = step.app.last();
        assert!(last.contains(&wanted), "{wanted} is not in {last}");
        assert!(!last.contains(&step.placeholder) && last.contains("encoding=identity"), "{last}");
    }
}

async fn a_placeholder_anywhere_else_is_refused_and_audited(database: TestDatabase) {
    let step = Step::new(database, BEARER, "").await;
    let before = step.app.count();
    let post = || step.request(&Method::POST, "/x").header("content-type", "application/json");
    let escaped = step.placeholder.replace("cwp_", "%63wp_");
    for (request, body, place) in [
        (step.get("/x?q=PH"), "", "the query parameter `q`"),
        (step.get("/x?PH=1"), "", "the name of a query parameter"),
        (step.get("/x/PH"), "", "the path"),
        (step.get(&format!("/x/{escaped}")), "", "the path, percent-encoded"),
        (step.get(&format!("/x?q={escaped}")), "", "the query parameter `q`"),
        (step.bearer("/x").header("x-note", &step.placeholder), "", "the header `x-note`"),
        (post(), "{\"text\":\"PH\"}", "the body's field `text`"),
        (post(), "{\"deep\":{\"token\":\"PH\"}}", "the body"),
        (post(), "not json PH", "the body"),
        (step.bearer("/x"), "PH", "the body"),
    ] {
        let refused = step.send(request, body).await.unwrap_err();
        assert_eq!((refused.code(), refused.status()), ("placeholder_misplaced", 403), "{place}");
        let text = refused.to_string();
        assert!(text.contains(place) && text.contains("header `Authorization`"), "{text}");
    }
    let bare = step.send(step.get("/x"), "").await.unwrap_err();
    assert_eq!(bare.code(), "credential_missing");
    assert!(bare.to_string().contains("add `egress: [127.0.0.1]`"), "{bare}");
    for _ in 0..5 {
        step.send(step.get("/x?q=PH"), "").await.unwrap_err();
    }
    assert_eq!(step.app.count(), before, "the app heard nothing of it");
    assert_eq!(step.world.audited("placeholder_refused").await, 10, "and no more");
    let chain = step.world.audit().await;
    let event = chain.iter().find(|row| row.action == "placeholder_refused").unwrap();
    assert!(event.detail.contains("the query parameter `q`"), "{}", event.detail);
    assert!(!event.detail.contains(&step.placeholder) && !event.detail.contains(KEY));
}

async fn a_placeholder_split_across_writes_is_found(database: TestDatabase) {
    let step = Step::new(database, BEARER, "").await;
    let text = format!("{}{}{}", "a".repeat(1000), step.placeholder, "b".repeat(1000));
    for size in [1, 7, 1011, 5000] {
        let pieces: Vec<Result<_, BodyError>> = text
            .as_bytes()
            .chunks(size)
            .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let body = StreamBody::new(tokio_stream::iter(pieces)).boxed_unsync();
        let request = step.bearer("/x").method(Method::POST).body(body).unwrap();
        let call = BrokeredCall { request, upgrade: None, is_listed: false };
        let refused = step.broker.send(call).await.err().unwrap();
        assert_eq!(refused.code(), "placeholder_misplaced", "{size}");
    }
    let seen = step.app.seen.lock().unwrap();
    assert!(!seen.iter().any(|line| line.contains(&step.placeholder)), "{seen:?}");
}

async fn what_the_app_echoes_is_masked(database: TestDatabase) {
    let step = Step::new(database, BEARER, "").await;
    let answer = step.send(step.bearer("/echo"), "").await.unwrap();
    let filler = "*".repeat(KEY.len());
    assert!(answer.contains(&format!("\"x-echo\": \"Bearer {filler}\"")), "{answer}");
    assert!(answer.contains(&format!("authorization=Bearer {filler} ")), "{answer}");
    let encoded = BASE64.encode(format!("abBearer {KEY}").as_bytes());
    assert!(step.app.last().contains(KEY) && !answer.contains(&encoded[14..encoded.len() - 4]));
    assert!(!answer.contains(KEY), "{answer}");
}

async fn what_is_compressed_is_handled_on_purpose(database: TestDatabase) {
    let step = Step::new(database, BEARER, "").await;
    let refused = step.send(step.bearer("/zipped"), "").await.unwrap_err();
    assert_eq!((refused.code(), refused.status()), ("answer_encoded", 502));
    let zipped = step.bearer("/x").method(Method::POST).header("content-encoding", "gzip");
    step.send(zipped, "\u{1f}what nobody can read").await.unwrap();
}

async fn a_host_is_an_apps_only_at_its_port(database: TestDatabase) {
    let step = Step::new(database, BEARER, "").await;
    let claim = |host: &str, port| step.broker.claim(host, port);
    assert_eq!(claim("things.example", 443), HostClaim::Brokered { in_clear: false });
    assert_eq!(claim("things.example", 80), HostClaim::OtherPort { port: 443 });
    assert_eq!(claim("127.0.0.1", step.app.port), HostClaim::Brokered { in_clear: true });
    for host in ["evil.example", "things.example.evil.test", "xthings.example", "", "a b"] {
        assert_eq!(claim(host, 443), HostClaim::None, "{host}");
    }
}

async fn policies_count_here_too(database: TestDatabase) {
    let step = Step::new(database, BEARER, "").await;
    let connections = step
        .world
        .connect
        .connections(&step.world.permit(), &ConnectionFilter::default(), None, 10)
        .await
        .unwrap();
    let rule = ProxyRule { methods: vec!["GET".into()], paths: vec!["/open/**".into()] };
    let policy = CallPolicy { rules: Some(vec![rule]), rate: None };
    let id = connections.items[0].id;
    step.world.connect.set_call_policy(&step.world.permit(), id, Some(policy)).await.unwrap();
    step.send(step.bearer("/open/x"), "").await.unwrap();
    let refused = step.send(step.bearer("/closed"), "").await.unwrap_err();
    assert_eq!((refused.code(), refused.status()), ("call_not_allowed", 403));
}

async fn a_token_that_is_refused_is_renewed_once(database: TestDatabase) {
    let app = App::start().await;
    let world = World::bare(database, &app.row(BEARER, "")).await;
    let step = Step::linked(app, world, Scheme::TokenExchange, ("pass", "a password")).await;
    step.send(step.bearer("/guarded"), "").await.unwrap();
    *step.app.token.lock().unwrap() = 1;
    // A token that is very young is not replaced.
    step.world.clock.advance(std::time::Duration::from_mins(2));
    let answer = step.send(step.bearer("/guarded"), "").await.unwrap();
    assert!(!answer.contains("who?"), "{answer}");
    assert!(step.app.last().contains("Bearer token-number-1"), "{}", step.app.last());
}
