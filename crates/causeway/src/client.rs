//! The command line as a client of a running server.

use crate::cli::ClientArgs;
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use causeway_net::{
    AllowedRange, Guard, GuardConfig, HttpClient, HttpConfig, RequestLimits, Response,
    SystemResolver,
};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use url::Url;

/// How long a stream of news may stay open.
const STREAM: Duration = Duration::from_hours(24);

/// A connection to a server's native API.
pub(crate) struct Client {
    http: HttpClient,
    base: Url,
    authorization: String,
}

impl Client {
    pub(crate) async fn new(args: &ClientArgs) -> anyhow::Result<Self> {
        let key = args.api_key.as_deref().filter(|key| !key.is_empty()).context(
            "CAUSEWAY_API_KEY is not set: `causeway bootstrap --json` on the server's machine makes a key",
        )?;
        let base = Url::parse(&args.url)
            .with_context(|| format!("reading the server's address `{}`", args.url))?;
        // Whoever gives the address decides about it: it may be reached, wherever it is.
        let allow = addresses(&base)
            .await
            .with_context(|| format!("looking up the server's address `{base}`"))?
            .map(|address| AllowedRange::single(address.ip(), address.port()))
            .collect();
        let guard = Guard::new(GuardConfig { allow, ..GuardConfig::default() }, SystemResolver);
        let http = HttpClient::new(guard, &HttpConfig::default())?;
        Ok(Self { http, base, authorization: format!("Bearer {key}") })
    }

    pub(crate) async fn get(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
    ) -> anyhow::Result<Value> {
        self.call("GET", path, query, None).await
    }

    /// Every record of a listing, page after page.
    pub(crate) async fn all(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
    ) -> anyhow::Result<Vec<Value>> {
        let mut query = query.to_vec();
        query.extend([("limit", Some("100".to_owned())), ("cursor", None)]);
        let mut all = Vec::new();
        loop {
            let page = self.get(path, &query).await?;
            all.extend(list(&page).cloned());
            let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) else {
                return Ok(all);
            };
            if let Some((_, last)) = query.last_mut() {
                *last = Some(cursor.to_owned());
            }
        }
    }

    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.call("POST", path, &[], body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call("PUT", path, &[], Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call("PATCH", path, &[], Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.call("DELETE", path, &[], None).await.map(|_| ())
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, Option<String>)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let limits = RequestLimits {
            // A deploy fetches packages.
            total: Duration::from_mins(15),
            max_response_bytes: 256 << 20,
            ..RequestLimits::default()
        };
        let response = self.send(method, path, query, body, limits).await?;
        let status = response.status();
        let bytes = response.bytes().await.context("reading the server's answer")?;
        if !status.is_success() {
            return Err(refusal(status.as_u16(), &bytes));
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).context("reading the server's answer as JSON")
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, Option<String>)],
        body: Option<&Value>,
        limits: RequestLimits,
    ) -> anyhow::Result<Response> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("the server's address `{}` is no base for paths", self.base))?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path.split('/'));
        {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in query {
                if let Some(value) = value {
                    pairs.append_pair(name, value);
                }
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        let request = http::Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(http::header::AUTHORIZATION, &self.authorization)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.map(Value::to_string).unwrap_or_default()))?;
        self.http.request(request, limits).await.with_context(|| {
            format!(
                "calling the server at {}: is it running? CAUSEWAY_URL says where it is",
                self.base
            )
        })
    }

    /// Writes an answer down as it comes, however long it is.
    pub(crate) async fn download(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
        into: &mut (impl AsyncWrite + Unpin),
    ) -> anyhow::Result<()> {
        let limits = RequestLimits {
            total: STREAM,
            max_response_bytes: u64::MAX,
            ..RequestLimits::default()
        };
        let mut response = self.send("GET", path, query, None, limits).await?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err(refusal(status, &response.bytes().await?));
        }
        while let Some(chunk) = response.chunk().await.context("reading the server's answer")? {
            into.write_all(&chunk).await.context("writing the answer down")?;
        }
        Ok(())
    }

    /// Follows invocations; `each` says whether to go on.
    pub(crate) async fn follow(
        &self,
        query: &[(&str, Option<String>)],
        mut each: impl FnMut(&Value) -> bool,
    ) -> anyhow::Result<()> {
        let limits = RequestLimits {
            total: STREAM,
            max_response_bytes: u64::MAX,
            ..RequestLimits::default()
        };
        let mut response = self.send("GET", "invocations/tail", query, None, limits).await?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err(refusal(status, &response.bytes().await?));
        }
        let mut pending = Vec::new();
        while let Some(chunk) = response.chunk().await.context("following along")? {
            pending.extend_from_slice(&chunk);
            while let Some(end) = pending.windows(2).position(|two| two == b"\n\n") {
                let message: Vec<u8> = pending.drain(..end + 2).collect();
                let message = String::from_utf8_lossy(&message);
                let problem = message.lines().any(|line| line == "event: problem");
                let data = message.lines().filter_map(|line| line.strip_prefix("data: "));
                let data = data.collect::<Vec<_>>().join("\n");
                if problem {
                    bail!("{data}");
                }
                if data.is_empty() {
                    continue;
                }
                let news = serde_json::from_str(&data).context("reading the server's news")?;
                if !each(&news) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The id of a workflow given by name or id.
    pub(crate) async fn workflow_id(&self, name_or_id: &str) -> anyhow::Result<String> {
        if name_or_id.starts_with("wf_") {
            return Ok(name_or_id.to_owned());
        }
        let mut cursor = None;
        loop {
            let query = [("limit", Some("100".to_owned())), ("cursor", cursor)];
            let page = self.get("workflows", &query).await?;
            for workflow in list(&page) {
                if text(workflow, "name") == name_or_id {
                    return Ok(text(workflow, "id").to_owned());
                }
            }
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                bail!(
                    "there is no workflow named `{name_or_id}`; `causeway workflows list` shows all"
                );
            }
        }
    }
}

/// The addresses of a server.
async fn addresses(url: &Url) -> std::io::Result<impl Iterator<Item = SocketAddr>> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    tokio::net::lookup_host((host, url.port_or_known_default().unwrap_or(443))).await
}

/// A problem as an error: what the server says, and its code for looking it up.
fn refusal(status: u16, body: &[u8]) -> anyhow::Error {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    match (
        problem.get("detail").and_then(Value::as_str),
        problem.get("code").and_then(Value::as_str),
    ) {
        (Some(detail), Some(code)) => anyhow!("{detail} [{code}]"),
        _ => anyhow!("the server answered {status} without a reason"),
    }
}

/// The records of a page.
pub(crate) fn list(page: &Value) -> impl Iterator<Item = &Value> {
    page.get("data").and_then(Value::as_array).into_iter().flatten()
}

/// A text of a record, empty if there is none.
pub(crate) fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record.get(field).and_then(Value::as_str).unwrap_or_default()
}
