//! An app of a few lines that answers as a test says, also as no app should: with pages, drips,
//! endless bodies, or not at all. It keeps what it was asked.

use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::form_urlencoded;

/// Bytes of an endless body after which even this stand-in gives up.
const ENDLESS: u64 = 1 << 30;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The fields of a form.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Json(u16, Value),
    /// Status, content type, body.
    Text(u16, &'static str, String),
    /// Status, one header, body.
    With(u16, (&'static str, String), String),
    /// A byte of the body each second.
    Drip,
    /// A byte of the head each second.
    Crawl,
    /// A body without an end, and without a word on its length.
    Endless,
    /// These bytes, and then the connection is closed: half an answer, or no HTTP at all.
    Raw(&'static str),
    /// Nothing: the connection is closed.
    Close,
}

type Usual = dyn Fn(&Asked) -> Reply + Send + Sync;

#[derive(Default)]
struct Kept {
    asked: Mutex<Vec<Asked>>,
    next: Mutex<VecDeque<(String, Reply)>>,
    sent: Mutex<u64>,
}

pub(crate) struct StandIn {
    pub(crate) port: u16,
    kept: Arc<Kept>,
    task: JoinHandle<()>,
}

impl StandIn {
    /// Answers as `usual` says, unless [`Self::next`] has said otherwise.
    pub(crate) async fn start(usual: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::new(Kept::default());
        let (own, usual): (_, Arc<Usual>) = (Arc::clone(&kept), Arc::new(usual));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&own), Arc::clone(&usual)));
            }
        });
        Self { port, kept, task }
    }

    /// Speaks TLS with a certificate that nobody has signed.
    pub(crate) async fn with_bad_certificate() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der());
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key.unwrap())
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let kept = Arc::new(Kept::default());
        let own = Arc::clone(&kept);
        let usual: Arc<Usual> = Arc::new(|_| Reply::Json(200, Value::Null));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    tokio::spawn(serve(stream, Arc::clone(&own), Arc::clone(&usual)));
                }
            }
        });
        Self { port, kept, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The next request to a path that begins with `/token` gets this answer; several queue up.
    pub(crate) fn next(&self, reply: Reply) {
        self.next_at("/token", reply);
    }

    /// The next request to a path that begins so gets this answer.
    pub(crate) fn next_at(&self, path: &str, reply: Reply) {
        self.kept.next.lock().unwrap().push_back((path.to_owned(), reply));
    }

    /// Forgets the answers that nobody asked for.
    pub(crate) fn clear(&self) {
        self.kept.next.lock().unwrap().clear();
    }

    /// The requests whose path begins so.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.kept.asked.lock().unwrap();
        asked.iter().filter(|one| one.path.starts_with(path)).cloned().collect()
    }

    /// How much of endless bodies was sent, in bytes.
    pub(crate) fn sent(&self) -> u64 {
        *self.kept.sent.lock().unwrap()
    }

    /// A row of this app: what stands under `auth` (indented by two), and the rest of the row.
    pub(crate) fn row(&self, auth: &str, rest: &str) -> String {
        let url = self.url();
        format!(
            "slug: thing\nname: Thing\ndescription: Things.\ndocs: https://thing.example/\n\
             categories: [crm]\nhosts: ['127.0.0.1:{}']\nauth:\n{auth}\nverify:\n  \
             url: {url}/me\n  account: {{ id: /id, name: /name }}\n\
             api: {{ base_url: '{url}' }}\n{rest}",
            self.port
        )
        .replace("<url>", &url)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    kept: Arc<Kept>,
    usual: Arc<Usual>,
) {
    let Some(asked) = read(&mut stream).await else { return };
    kept.asked.lock().unwrap().push(asked.clone());
    let next = {
        let mut queue = kept.next.lock().unwrap();
        let at = queue.iter().position(|(path, _)| asked.path.starts_with(path.as_str()));
        at.and_then(|at| queue.remove(at)).map(|(_, reply)| reply)
    };
    let reply = next.unwrap_or_else(|| usual(&asked));
    // The other side may have had enough.
    let _ = answer(&mut stream, reply, &kept).await;
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let mut line = lines.next()?.split(' ');
            let headers: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let length: usize =
                headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(Asked {
                    method: line.next()?.to_owned(),
                    path: line.next()?.to_owned(),
                    headers,
                    body: body.to_owned(),
                });
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}

async fn answer(
    stream: &mut (impl AsyncWrite + Unpin),
    reply: Reply,
    kept: &Kept,
) -> std::io::Result<()> {
    let (status, header, body) = match reply {
        Reply::Json(status, json) => {
            (status, ("content-type", "application/json".to_owned()), json.to_string())
        }
        Reply::Text(status, kind, body) => (status, ("content-type", kind.to_owned()), body),
        Reply::With(status, header, body) => (status, header, body),
        Reply::Raw(bytes) => {
            stream.write_all(bytes.as_bytes()).await?;
            return stream.shutdown().await;
        }
        Reply::Close => return Ok(()),
        Reply::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await?;
            return drip(stream, b' ').await;
        }
        Reply::Crawl => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ").await?;
            return drip(stream, b'x').await;
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{").await?;
            let piece = vec![b' '; 64 * 1024];
            for _ in 0..ENDLESS / 65_536 {
                stream.write_all(&piece).await?;
                *kept.sent.lock().unwrap() += 65_536;
            }
            return Ok(());
        }
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\n{}: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        header.0,
        header.1,
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), drop: u8) -> std::io::Result<()> {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..90 {
        second.tick().await;
        stream.write_all(&[drop]).await?;
        stream.flush().await?;
    }
    Ok(())
}
