//! An app of a few lines: it says what it was sent, and its row stands in the world's catalogue.

use crate::kit::Setup;
use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// The key that the app takes.
pub(crate) const KEY: &str = "k-canary-1";

pub(crate) struct Upstream {
    pub(crate) url: String,
    port: u16,
    /// Told when somebody asks for `/hang`.
    pub(crate) hangs: Arc<Notify>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let hangs = Arc::new(Notify::new());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&hangs));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url: format!("http://127.0.0.1:{port}"), port, hangs }
    }

    /// A world whose catalogue has the app as `echo-app`.
    pub(crate) fn setup(&self) -> Setup {
        let row = format!(
            "slug: echo-app\nname: Echo\ndescription: Says what it was sent.\n\
             docs: https://echo.example/\ncategories: [developer-tools]\n\
             hosts: [\"127.0.0.1:{0}\"]\n\
             fields: [{{ name: region, label: Region, optional: true }}]\n\
             auth:\n  api_key:\n    docs: https://echo.example/\n    \
             fields: [{{ name: api_key, label: Key, help: On the settings page. }}]\n    \
             send: {{ headers: {{ X-Api-Key: \"{{api_key}}\" }} }}\n\
             verify: {{ url: \"http://127.0.0.1:{0}/base/me\", account: {{ name: /path }} }}\n\
             api:\n  base_url: http://127.0.0.1:{0}/base\n",
            self.port
        );
        Setup { rows: vec![("echo-app", row)], ..Setup::default() }
    }
}

async fn answer(
    State(hangs): State<Arc<Notify>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if headers.get("x-api-key").is_none_or(|key| key != KEY) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "who?" }))).into_response();
    }
    match uri.path() {
        "/base/hang" => {
            hangs.notify_one();
            std::future::pending::<()>().await;
        }
        "/base/problem" => {
            let kind = [(header::CONTENT_TYPE, "application/problem+json")];
            return (StatusCode::CONFLICT, kind, "{\"title\":\"theirs\"}").into_response();
        }
        "/base/away" => {
            let to = [(header::LOCATION, "https://evil.example/")];
            return (StatusCode::FOUND, to).into_response();
        }
        "/base/bytes" => {
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            return (kind, vec![0_u8, 255, 1]).into_response();
        }
        _ => {}
    }
    let sent: Map<String, Value> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().into()))
        .collect();
    Json(json!({
        "method": method.as_str(), "path": uri.path(), "query": uri.query(), "headers": sent,
        "body": String::from_utf8_lossy(&body),
    }))
    .into_response()
}
