//! A running server, and calls to it.

use super::PATIENCE;
use bytes::Bytes;
use causeway_net::{HttpClient, HttpError, RequestLimits, Response};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Server {
    process: Child,
    address: String,
    /// What it said when it was ready.
    ready: Value,
    log: PathBuf,
    api_key: String,
    http: HttpClient,
}

/// A request on its way.
type Sending = Pin<Box<dyn Future<Output = Result<Answer, HttpError>> + Send>>;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Server {
    /// Starts it and waits until it says that it listens. Its log goes to the end of `log`.
    pub(crate) fn start(command: Command, log: &Path, api_key: &str, http: &HttpClient) -> Self {
        let stderr = OpenOptions::new().create(true).append(true).open(log).unwrap();
        Self::start_with(command, stderr.into(), log, api_key, http)
    }

    /// The same, whose standard error is something else than its log.
    pub(crate) fn start_with(
        mut command: Command,
        stderr: Stdio,
        log: &Path,
        api_key: &str,
        http: &HttpClient,
    ) -> Self {
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut server = Self {
            process,
            address: String::new(),
            ready: Value::Null,
            log: log.to_owned(),
            api_key: api_key.to_owned(),
            http: http.clone(),
        };
        let ready: Value = serde_json::from_str(&line).expect("the server says that it is ready");
        ready["listening"].as_str().unwrap().clone_into(&mut server.address);
        server.ready = ready;
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A field of what it said when it was ready.
    pub(crate) fn said(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap_or_else(|| panic!("no `{field}`: {}", self.ready))
    }

    /// Where its listener is, by the name of the field.
    pub(crate) fn address(&self, field: &str) -> SocketAddr {
        self.said(field).parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// How much memory the process has, in KiB: proc_pid_status(5).
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Sends a request and reads its whole answer.
    pub(crate) async fn try_send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<Answer, HttpError> {
        self.sending(request, body).await
    }

    /// The same as a future that does not hold the server.
    pub(crate) fn sending(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Sending {
        let http = self.http.clone();
        let request = request.body(body.into()).unwrap();
        Box::pin(async move { read(http.request(request, limits()).await?).await })
    }

    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Answer {
        self.try_send(request, body).await.unwrap()
    }

    /// Posts an event as JSON.
    pub(crate) async fn post(&self, trigger: &str, event: &Value) -> Answer {
        let request =
            http::Request::post(self.url(trigger)).header("content-type", "application/json");
        self.send(request, event.to_string()).await
    }

    /// Posts an event that has to be stored; gives its invocation.
    pub(crate) async fn start_invocation(&self, trigger: &str, event: &Value) -> String {
        let answer = self.post(trigger, event).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["invocation_id"].as_str().unwrap().to_owned()
    }

    /// A request to the native API.
    pub(crate) fn api(&self, method: &str, path: &str) -> http::request::Builder {
        http::Request::builder()
            .method(method)
            .uri(self.url(&format!("/api/v1/{path}")))
            .header(AUTHORIZATION, format!("Bearer {}", self.api_key))
            .header("content-type", "application/json")
    }

    /// Reads something from the native API.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.send(self.api("GET", path), "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Lets credentials leave Causeway in clear: out of the API, and into code.
    pub(crate) async fn let_credentials_out(&self) {
        let settings = serde_json::json!({
            "company": "Acme", "support_email": "help@acme.example", "theme": {},
            "return_origins": [], "credential_export": true,
        });
        let answer = self.send(self.api("PUT", "connect-settings"), settings.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The news of one invocation until its end, as they came over the wire.
    pub(crate) async fn tail(&self, invocation: &str) -> String {
        let request = self.api("GET", &format!("invocations/tail?invocation_id={invocation}"));
        let answer = self.send(request, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text()
    }

    /// An invocation at its end, with its steps.
    pub(crate) async fn finished(&self, invocation: &str) -> Value {
        self.tail(invocation).await;
        self.get(&format!("invocations/{invocation}")).await
    }

    /// Runs a workflow to its end.
    pub(crate) async fn finish(&self, trigger: &str, event: &Value) -> Value {
        let invocation = self.start_invocation(trigger, event).await;
        self.finished(&invocation).await
    }

    /// `kill -9`. Every process that it had started has to be gone too.
    pub(crate) fn kill_9(self) {
        self.kill_at_once().assert_gone();
    }

    /// The same, and what it had started may still be on its way out.
    pub(crate) fn kill_at_once(mut self) -> Killed {
        let (id, below) = (self.id(), descendants(self.id()));
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        Killed { id, below }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Stops it as service managers do; it has to end well.
    pub(crate) fn stop(mut self) {
        let status = self.terminate();
        assert!(status.success(), "the server ended as {status}");
    }

    fn terminate(&mut self) -> ExitStatus {
        // It may have ended by itself.
        let _ = kill_process(self.pid(), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                let _ = self.process.kill();
                return self.process.wait().unwrap();
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.terminate();
        }
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        if std::thread::panicking() {
            let lines: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("--- the end of the server's log");
            for line in lines.iter().rev() {
                eprintln!("{}", line.get(..2000).unwrap_or(line));
            }
        } else {
            assert!(!log.contains("panicked at"), "the server panicked: {log}");
        }
    }
}

pub(crate) async fn read(response: Response) -> Result<Answer, HttpError> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.bytes().await? })
}

pub(crate) fn limits() -> RequestLimits {
    RequestLimits { total: PATIENCE, max_response_bytes: 64 << 20, max_redirects: 0 }
}

/// A server that was killed.
pub(crate) struct Killed {
    pub(crate) id: u32,
    /// What it had started.
    below: BTreeSet<Process>,
}

impl Killed {
    pub(crate) fn assert_gone(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Some(left) = self.below.iter().find(|process| process.exists()) {
            assert!(Instant::now() < deadline, "{left:?} outlived the server");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// A process by its id and start time, which no later process shares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    started: String,
}

impl Process {
    pub(crate) fn exists(&self) -> bool {
        stat(self.pid).is_some_and(|(_, state, started)| state != "Z" && started == self.started)
    }
}

/// Parent, state and start time of a process: proc_pid_stat(5).
fn stat(pid: u32) -> Option<(u32, String, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((
        fields.get(1)?.parse().ok()?,
        (*fields.first()?).to_owned(),
        (*fields.get(19)?).to_owned(),
    ))
}

/// All processes below one, however deep.
pub(crate) fn descendants(root: u32) -> BTreeSet<Process> {
    let all: Vec<(u32, u32, String)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| stat(pid).map(|(parent, _, started)| (pid, parent, started)))
        .collect();
    let mut found = BTreeSet::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for (pid, _, started) in all.iter().filter(|(_, of, _)| *of == parent) {
            parents.push(*pid);
            found.insert(Process { pid: *pid, started: started.clone() });
        }
    }
    found
}
