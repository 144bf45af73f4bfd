//! The server's end of a sandbox's way out.
//!
//! Code asks on one connection (`dial PORT HOST`), and gets `ok TOKEN ADDRESS` once the server
//! holds the connection that it asked for, or `no CODE MESSAGE`. A second connection begins with
//! `use TOKEN` and from then on is that connection. So the code's own socket carries nothing but
//! the code's bytes, and reports `connect` when there is a connection.

use super::log::{Log, Passing};
use super::{Egress, EgressRefused, EgressRequest, canonical};
use crate::apps::{Apps, Claim};
use crate::broker::{self, Authority, Inside, Site};
use crate::program::Program;
use causeway_types::InvocationId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// The longest request line, in bytes: a host name has at most 253.
const LONGEST_LINE: usize = 512;
/// How long a sandbox may take to say what a connection is for, and to use what it asked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of one sandbox at a time, dialled ones that wait to be used included.
const MOST_CONNECTIONS: usize = 128;
/// Further ones that are only told so; any beyond are closed without a word, because each takes
/// a descriptor of the server.
const MOST_QUESTIONS: usize = 32;
/// Bytes in both directions during one invocation.
const MOST_BYTES: u64 = 4 << 30;
/// One direction's buffer, in bytes.
const BUFFER: usize = 32 << 10;

/// What the connections of one sandbox share.
pub(crate) struct Shared {
    egress: Arc<dyn Egress>,
    /// Signs the certificates of apps' hosts, for this sandbox alone.
    pub(crate) authority: Authority,
    /// What the present step connected to.
    pub(crate) log: Log,
    now: Mutex<Option<Now>>,
    held: Mutex<HashMap<u64, Held>>,
    serial: AtomicU64,
    connections: AtomicUsize,
    /// Bytes of the present invocation.
    bytes: AtomicU64,
}

/// On whose behalf the sandbox connects.
struct Now {
    program: Arc<Program>,
    running: Option<Running>,
}

/// What runs in the sandbox.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) program: Arc<Program>,
    pub(crate) invocation: InvocationId,
    /// The apps of the present step.
    pub(crate) apps: Option<Arc<dyn Apps>>,
    /// Another invocation runs, or none, or the sandbox is gone.
    pub(crate) ended: CancellationToken,
}

/// What waits for the code to use it.
enum Held {
    Connection(TcpStream, Passing),
    App(Site),
}

/// The way out of one sandbox; it closes, with every connection, when dropped.
pub(crate) struct Way {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Way {
    pub(crate) fn new(egress: Arc<dyn Egress>, authority: Authority) -> Self {
        let shared = Shared {
            egress,
            authority,
            log: Log::default(),
            now: Mutex::new(None),
            held: Mutex::new(HashMap::new()),
            serial: AtomicU64::new(1),
            connections: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared), accepting: None }
    }

    /// Begins to accept.
    pub(crate) fn open(&mut self, listener: UnixListener) {
        self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
    }

    /// Says whose sandbox it is.
    pub(crate) fn belongs_to(&self, program: &Arc<Program>) {
        *self.shared.now() = Some(Now { program: Arc::clone(program), running: None });
    }

    /// Says that a step of an invocation runs, and the apps that it is linked to.
    pub(crate) fn runs(&self, invocation: InvocationId, apps: Option<Arc<dyn Apps>>) {
        let mut now = self.shared.now();
        let Some(now) = now.as_mut() else { return };
        match &mut now.running {
            Some(running) if running.invocation == invocation => running.apps = apps,
            running => {
                end(running.take());
                let program = Arc::clone(&now.program);
                let ended = CancellationToken::new();
                *running = Some(Running { program, invocation, apps, ended });
                self.shared.bytes.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Says that no invocation runs any more: nothing new is dialled.
    pub(crate) fn rests(&self) {
        if let Some(now) = self.shared.now().as_mut() {
            end(now.running.take());
        }
    }

    /// Random bytes that are this sandbox's own.
    pub(crate) fn seed(&self) -> &[u8; 32] {
        self.shared.authority.seed()
    }

    /// What was connected to since this was last asked.
    pub(crate) fn log(&self) -> &Log {
        &self.shared.log
    }
}

/// Ends what was the invocation's own.
fn end(running: Option<Running>) {
    if let Some(running) = running {
        running.ended.cancel();
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.rests();
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

impl Shared {
    fn now(&self) -> std::sync::MutexGuard<'_, Option<Now>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What runs now.
    pub(crate) fn running(&self) -> Option<Running> {
        self.now().as_ref()?.running.clone()
    }

    /// Counts bytes towards the invocation's share.
    pub(crate) fn spend(&self, count: usize) -> std::io::Result<()> {
        let more = u64::try_from(count).unwrap_or(u64::MAX);
        if self.bytes.fetch_add(more, Ordering::Relaxed) > MOST_BYTES {
            return Err(std::io::Error::other("the invocation has used up its share of traffic"));
        }
        Ok(())
    }
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    let open = shared.connections.load(Ordering::Relaxed);
                    if open < MOST_CONNECTIONS + MOST_QUESTIONS {
                        serving.spawn(serve(socket, Arc::clone(&shared)));
                    }
                }
                Err(error) => {
                    // For example too many open files: the code's connection waits meanwhile.
                    tracing::warn!(error = %error, "accepting a sandbox's connection to the way out");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = serving.join_next() => {}
        }
    }
}

/// Counts a connection as long as it lives.
struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(mut socket: UnixStream, shared: Arc<Shared>) {
    let before = shared.connections.fetch_add(1, Ordering::Relaxed);
    let counted = Counted(Arc::clone(&shared));
    // A connection that breaks off is the code's own affair: it sees the end of its socket.
    let mut received = Vec::with_capacity(LONGEST_LINE);
    let Ok(Some(line)) =
        tokio::time::timeout(PATIENCE, read_line(&mut socket, &mut received)).await
    else {
        return;
    };
    let mut words = line.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("dial"), Some(port), Some(host)) => {
            let held = before + shared.held().len();
            let answer = if held >= MOST_CONNECTIONS {
                Err(EgressRefused {
                    code: "EGRESS_REFUSED",
                    message: format!(
                        "the sandbox has {MOST_CONNECTIONS} connections open, which is the most: \
                         close some, or keep them alive and share them"
                    ),
                })
            } else {
                dial(&shared, host, port).await
            };
            let text = match answer {
                Ok((token, address)) => format!("ok {token} {address}\n"),
                Err(refused) => {
                    let message = refused.message.replace(['\n', '\r'], " ");
                    format!("no {} {message}\n", refused.code)
                }
            };
            drop(socket.write_all(text.as_bytes()).await);
        }
        (Some("use"), Some(token), None) => {
            let found = token.parse().ok().and_then(|token: u64| shared.held().remove(&token));
            match found {
                Some(Held::Connection(remote, passing)) => {
                    copy_both(socket, remote, &received, &shared, &passing).await;
                }
                Some(Held::App(site)) => {
                    let inside = Inside::new(received, socket, Arc::clone(&shared));
                    broker::serve(inside, site, Arc::clone(&shared)).await;
                }
                None => {}
            }
        }
        _ => {}
    }
    drop(counted);
}

/// Decides about a connection, and keeps what comes of it for the code to use.
async fn dial(
    shared: &Arc<Shared>,
    host: &str,
    port: &str,
) -> Result<(u64, String), EgressRefused> {
    let refuse =
        |message: &str| EgressRefused { code: "EGRESS_REFUSED", message: message.to_owned() };
    let port: u16 = port.parse().map_err(|_| refuse("the port is not a number from 0 to 65535"))?;
    let Some(running) = shared.running() else {
        return Err(refuse("no invocation runs in this sandbox"));
    };
    let (held, address) = match reach(shared, &running, host, port).await {
        Ok(reached) => reached,
        Err(refused) => {
            shared.log.refused(host, port, refused.code);
            return Err(refused);
        }
    };
    let token = shared.serial.fetch_add(1, Ordering::Relaxed);
    shared.held().insert(token, held);
    let weak = Arc::downgrade(shared);
    tokio::spawn(async move {
        tokio::time::sleep(PATIENCE).await;
        if let Some(shared) = weak.upgrade() {
            shared.held().remove(&token);
        }
    });
    Ok((token, address))
}

/// The connection, or the app that it is for. An app's host is not connected to yet: its requests
/// are.
async fn reach(
    shared: &Shared,
    running: &Running,
    host: &str,
    port: u16,
) -> Result<(Held, String), EgressRefused> {
    let named = canonical(host);
    let claim = running.apps.as_ref().map_or(Claim::None, |apps| apps.claim(&named, port));
    let request = EgressRequest {
        program: running.program.key,
        invocation: Some(running.invocation),
        host,
        port,
        rules: &running.program.egress,
        is_linked: claim == Claim::Exposed,
    };
    match claim {
        Claim::Brokered { in_clear } => {
            return Ok((Held::App(Site { host: named, port, in_clear }), String::new()));
        }
        Claim::OtherPort { port: own } if request.check_rules().is_err() => {
            return Err(EgressRefused {
                code: "EGRESS_REFUSED",
                message: format!(
                    "{named} is the host of a linked account, which takes requests over TLS at \
                     port {own} and not at port {port}: call https://{named}/, or add \
                     `egress: [{named}]` to workflow.yaml for what needs no account"
                ),
            });
        }
        Claim::None | Claim::Exposed | Claim::OtherPort { .. } => {}
    }
    let stream = shared.egress.connect(request).await?;
    // Small writes of a protocol's turns would wait for each other's acknowledgements.
    drop(stream.set_nodelay(true));
    let address = stream.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
    Ok((Held::Connection(stream, shared.log.passed(host, port)), address))
}

/// Reads up to a line feed; what follows it stays in `received`.
async fn read_line(socket: &mut UnixStream, received: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = received.iter().position(|byte| *byte == b'\n') {
            let rest = received.split_off(end + 1);
            let line = std::mem::replace(received, rest);
            return String::from_utf8(line.get(..end)?.to_vec()).ok();
        }
        if received.len() >= LONGEST_LINE {
            return None;
        }
        if socket.read_buf(received).await.ok()? == 0 {
            return None;
        }
    }
}

/// Passes bytes in both directions until both have ended or the invocation's share is used up.
async fn copy_both(
    mut inside: UnixStream,
    mut outside: TcpStream,
    first: &[u8],
    shared: &Shared,
    passing: &Passing,
) {
    if outside.write_all(first).await.is_err() {
        return;
    }
    let (mut from_inside, mut to_inside) = inside.split();
    let (mut from_outside, mut to_outside) = outside.split();
    let out = copy(&mut from_inside, &mut to_outside, shared, &passing.sent);
    let back = copy(&mut from_outside, &mut to_inside, shared, &passing.received);
    // Either direction may end first and the other go on; a fault ends both.
    drop(tokio::try_join!(out, back));
}

async fn copy<R, W>(
    from: &mut R,
    to: &mut W,
    shared: &Shared,
    count: &AtomicU64,
) -> std::io::Result<()>
where
    R: tokio::io::AsyncRead + Unpin,
    W: tokio::io::AsyncWrite + Unpin,
{
    let mut buffer = vec![0_u8; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        shared.spend(read)?;
        count.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        to.write_all(buffer.get(..read).unwrap_or_default()).await?;
    }
}
