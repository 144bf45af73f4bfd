//! An app that customers connect to by OAuth or with a key: it agrees to everything, keeps what it
//! was sent, and hangs up where it is told to. A second one stands for an attacker's server, where
//! any request at all is a success of the attack.

use super::{Answer, Browser, Home, Server};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use url::Url;

/// The secret of the company's OAuth client at the app.
pub(crate) const APP_CLIENT_SECRET: &str = "canary-client-secret-5f81c2";
/// The key that a customer types.
pub(crate) const APP_KEY: &str = "canary-api-key-93ab07d1";
/// What every token of the app begins with.
pub(crate) const APP_TOKEN: &str = "canary-token-";
/// How long the app waits with new tokens for somebody else who wants them at the same time.
const RIVALS_WAIT: Duration = Duration::from_millis(700);

pub(crate) struct ThirdParty {
    port: u16,
    kept: Arc<Kept>,
    server: JoinHandle<()>,
}

struct Kept {
    requests: Mutex<Vec<Received>>,
    /// How long the token of a code lives, in seconds; that of a refresh lives an hour.
    first_life: u64,
    refresh_came: Notify,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// `METHOD /path?query`.
    pub(crate) line: String,
    /// All of it.
    pub(crate) text: String,
    pub(crate) body: String,
}

impl ThirdParty {
    pub(crate) async fn start() -> Self {
        Self::with_first_life(3600).await
    }

    /// One whose first tokens live as many seconds.
    pub(crate) async fn with_first_life(first_life: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept =
            Arc::new(Kept { requests: Mutex::default(), first_life, refresh_came: Notify::new() });
        let own = Arc::clone(&kept);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, port, Arc::clone(&own)));
            }
        });
        Self { port, kept, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it was sent whose line begins so.
    pub(crate) fn received(&self, line: &str) -> Vec<Received> {
        let requests = self.kept.requests.lock().unwrap();
        requests.iter().filter(|one| one.line.starts_with(line)).cloned().collect()
    }

    /// Its row in the catalogue.
    fn row(&self) -> String {
        format!(
            "slug: thing\nname: Thing\ndescription: Things.\ndocs: https://thing.example/\n\
             categories: [crm]\nhosts: ['127.0.0.1:{0}']\nauth:\n  oauth2:\n    \
             docs: https://thing.example/\n    authorization_url: {1}/authorize\n    \
             token_url: {1}/token\n    client_auth: post\n    pkce: required\n    \
             scopes: {{ default: [a] }}\n    refresh: {{ rotates: true }}\n    \
             revoke: {{ url: {1}/revoke }}\n  api_key:\n    docs: https://thing.example/\n    \
             fields: [{{ name: api_key, label: Key }}]\n    \
             send: {{ headers: {{ X-Api-Key: '{{api_key}}' }} }}\nverify:\n  url: {1}/me\n  \
             account: {{ id: /id, name: /name }}\napi: {{ base_url: '{1}' }}\n",
            self.port,
            self.url()
        )
    }

    /// Puts its row into a folder and lets the installation's servers know of it. They may call
    /// every server of this machine, so whatever is not called is refused by the control under
    /// test and not by the network's guard.
    pub(crate) fn add_to(&self, home: &mut Home) {
        let folder = home.path("apps");
        std::fs::create_dir_all(folder.join("thing")).unwrap();
        std::fs::write(folder.join("thing/app.yaml"), self.row()).unwrap();
        home.add_flag(format!("--apps-dir={}", folder.display()));
        home.add_flag("--net-allow=127.0.0.0/8");
    }

    /// Sets the company's client at it.
    pub(crate) async fn set_client(&self, server: &Server) {
        let body = json!({
            "app": "thing", "client_id": "acme", "client_secret": APP_CLIENT_SECRET,
        });
        let request = server.api("PUT", "oauth-clients");
        let answer = server.send(request, body.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Makes a link for a customer, with more of a session's fields.
    pub(crate) async fn session(&self, server: &Server, more: Value) -> Answer {
        let mut body = json!({ "customer": "ada", "app": "thing" });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        server.send(server.api("POST", "connect-sessions"), body.to_string()).await
    }

    /// The link of a session that has to be made.
    pub(crate) async fn link(&self, server: &Server, name: &str) -> String {
        let made = self.session(server, json!({ "name": name })).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["connect_url"].as_str().unwrap().to_owned()
    }

    /// Connects an account by OAuth, as a customer does.
    pub(crate) async fn connect(&self, server: &Server, name: &str) {
        let link = self.link(server, name).await;
        let (_, page) = Browser::new(server).submit(&format!("{link}/authorize")).await;
        assert!(page.text().contains("Thing is connected"), "{}", page.text());
    }

    /// Adds a connection with a key.
    pub(crate) async fn connect_key(&self, server: &Server, name: &str) {
        let body = json!({
            "customer": "ada", "app": "thing", "name": name, "scheme": "api_key",
            "fields": { "api_key": APP_KEY },
        });
        let answer = server.send(server.api("POST", "connections"), body.to_string()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

impl Drop for ThirdParty {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(mut stream: TcpStream, port: u16, kept: Arc<Kept>) {
    let Some(received) = read(&mut stream).await else { return };
    let line = received.line.clone();
    let number = {
        let mut requests = kept.requests.lock().unwrap();
        requests.push(received.clone());
        requests.iter().filter(|one| one.line == "POST /token").count()
    };
    let url = Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    let url = url.join(line.split(' ').nth(1).unwrap()).unwrap();
    let (status, header, body) = match url.path() {
        "/authorize" => ("302 Found", format!("location: {}\r\n", agreed(&url)), Value::Null),
        "/token" => ("200 OK", String::new(), token(&received, number, &kept).await),
        "/break" => return,
        "/away" => {
            let to = url.query().unwrap();
            ("302 Found", format!("location: {to}\r\n"), Value::Null)
        }
        _ => ("200 OK", String::new(), json!({ "id": "7", "name": "Acme", "saw": line })),
    };
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n{header}\r\n{body}",
        body.len()
    );
    // Whoever asked may have gone.
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// The way back of a customer who agrees.
fn agreed(asked: &Url) -> Url {
    let get = |name: &str| asked.query_pairs().find(|(known, _)| known == name).unwrap().1;
    let mut back: Url = get("redirect_uri").parse().unwrap();
    back.query_pairs_mut().append_pair("code", "canary-code-1").append_pair("state", &get("state"));
    back
}

/// Numbered tokens. New ones for old ones come only after whoever else wants them has had time to
/// ask, as at a busy provider.
async fn token(received: &Received, number: usize, kept: &Kept) -> Value {
    let refreshes = received.body.contains("grant_type=refresh_token");
    if refreshes {
        kept.refresh_came.notify_waiters();
        let _ = tokio::time::timeout(RIVALS_WAIT, kept.refresh_came.notified()).await;
    }
    json!({
        "access_token": format!("{APP_TOKEN}access-{number}"),
        "refresh_token": format!("{APP_TOKEN}refresh-{number}"),
        "expires_in": if refreshes { 3600 } else { kept.first_life },
    })
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                head.lines().find_map(|line| {
                    let (known, value) = line.split_once(": ")?;
                    known.eq_ignore_ascii_case(name).then_some(value)
                })
            };
            let length = header("content-length").map_or(0, |length| length.parse().unwrap());
            // Bodies that pass while they arrive come in chunks; their frames stay in the text.
            let is_whole = match header("transfer-encoding") {
                Some(_) => body.ends_with("0\r\n\r\n"),
                None => body.len() >= length,
            };
            if is_whole {
                let line = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
                return Some(Received { line, text: text.clone(), body: body.to_owned() });
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}
