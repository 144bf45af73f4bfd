//! `make run`: starts Causeway with the demo app, connects a demo customer, deploys the example,
//! posts an event, and shows each step as it happens. Everything is kept in `var/demo`, so a
//! second start goes on with the same data.

#![expect(clippy::print_stdout, reason = "it talks to whoever started it")]

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use causeway_net::{
    AllowedRange, Guard, GuardConfig, HttpClient, HttpConfig, RequestLimits, SystemResolver,
};
use causeway_simulators::{DemoApp, DemoOptions};
use clap::Parser;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

/// The name by which the example refers to the demo customer's connection.
const CONNECTION: &str = "acme-crm";
/// A lead whose company the demo app knows.
const LEAD: &str = r#"{"name":"New Lead","email":"lead@lighthouse.example"}"#;

/// Causeway with a demo app, on this machine alone.
#[derive(Parser)]
#[command(name = "causeway-demo")]
struct Arguments {
    /// The causeway binary. Default: the one beside this program.
    #[arg(long)]
    causeway: Option<PathBuf>,
    /// The folder for the demo's data.
    #[arg(long, default_value = "var/demo")]
    folder: PathBuf,
    /// The workflow to deploy.
    #[arg(long, default_value = "examples/welcome-lead")]
    example: PathBuf,
    /// Where Causeway listens.
    #[arg(long, default_value = "127.0.0.1:8400")]
    listen: SocketAddr,
    /// Where the demo app listens. The catalogue's row names this address.
    #[arg(long, default_value = "127.0.0.1:8401")]
    demo_app: SocketAddr,
    /// Stop when the event has been worked on, instead of staying up.
    #[arg(long)]
    once: bool,
}

/// Causeway as this program uses it.
struct Demo {
    causeway: PathBuf,
    arguments: Arguments,
    url: String,
    api_key: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = async {
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        tokio::select! {
            done = run(Arguments::parse()) => done,
            _ = terminate.recv() => Ok(()),
        }
    };
    match done.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            error.chain().skip(1).for_each(|cause| println!("  because: {cause}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    std::fs::create_dir_all(&arguments.folder)
        .with_context(|| format!("making {}", arguments.folder.display()))?;
    let options = DemoOptions {
        state_file: Some(arguments.folder.join("demo-app.json")),
        ..DemoOptions::default()
    };
    let app = DemoApp::start(arguments.demo_app, options).await.context("starting the demo app")?;
    let causeway = match &arguments.causeway {
        Some(path) => path.clone(),
        None => std::env::current_exe().context("finding this program")?.with_file_name("causeway"),
    };
    let api_key = api_key(&causeway, &arguments).context("making the workspace")?;
    let url = format!("http://{}", arguments.listen);
    let demo = Demo { causeway, arguments, url, api_key };
    let mut server = demo.serve().await.context("starting Causeway")?;
    println!("Causeway   {}\nDemo app   {}\n", demo.url, app.url());

    demo.link(&app).await.context("connecting the demo customer")?;
    let deployed = demo.deploy().context("deploying the example")?;
    let trigger = text(&deployed, "trigger_url")?;
    println!("\nPosting an event: {LEAD}");
    let accepted = demo.post(&trigger, "application/json", LEAD.to_owned(), None).await?;
    let accepted: Value = serde_json::from_slice(&accepted.body)?;
    demo.follow(&text(&accepted, "invocation_id")?).await?;
    demo.say_what_next(&trigger, &accepted)?;
    if !demo.arguments.once {
        println!(
            "\nCauseway stays up. Ctrl-C stops it; the next `make run` goes on with the same data."
        );
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.context("waiting for Ctrl-C")?,
            ended = server.wait() => bail!("Causeway ended by itself: {}", ended?),
        }
    }
    stop(server).await
}

/// Ends the server as a service manager would, and waits until it has.
async fn stop(mut server: Child) -> anyhow::Result<()> {
    if let Some(id) = server.id() {
        Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status()
            .context("stopping Causeway")?;
    }
    server.wait().await.context("waiting for Causeway to stop")?;
    Ok(())
}

/// The API key of an earlier start, or a new one with its workspace.
fn api_key(causeway: &Path, arguments: &Arguments) -> anyhow::Result<String> {
    let path = arguments.folder.join("api-key");
    if let Ok(key) = std::fs::read_to_string(&path) {
        return Ok(key);
    }
    let output = Command::new(causeway)
        .args(["bootstrap", "--json", "--workspace", "Demo", "--project", "Welcome"])
        .args(server_options(arguments))
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running {}", causeway.display()))?;
    ensure!(output.status.success(), "`causeway bootstrap` failed");
    let made: Value = serde_json::from_slice(&output.stdout)?;
    let key = text(&made, "api_key")?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(key.as_bytes())?;
    Ok(key)
}

fn server_options(arguments: &Arguments) -> Vec<String> {
    let folder = &arguments.folder;
    vec![
        format!("--data-dir={}", folder.join("data").display()),
        format!("--root-key=file:{}", folder.join("root.key").display()),
        format!("--listen={}", arguments.listen),
        format!("--net-allow={}/32:{}", arguments.demo_app.ip(), arguments.demo_app.port()),
    ]
}

impl Demo {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.causeway);
        command.env("CAUSEWAY_URL", &self.url).env("CAUSEWAY_API_KEY", &self.api_key);
        command
    }

    /// Runs a command of the CLI and reads what it prints as JSON.
    fn run(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output =
            self.command().args(arguments).arg("--json").stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "`causeway {}` failed", arguments.join(" "));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Starts the server and returns when it listens. Its log goes to a file.
    async fn serve(&self) -> anyhow::Result<Child> {
        let log = self.arguments.folder.join("server.log");
        let log_file = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut server = tokio::process::Command::new(&self.causeway)
            .args(["serve", "--json"])
            .args(server_options(&self.arguments))
            .stdout(Stdio::piped())
            .stderr(log_file)
            // Ctrl-C reaches the server too, which stops in order; SIGTERM to this program drops it.
            .kill_on_drop(true)
            .spawn()?;
        let stdout = server.stdout.take().context("reading the server's output")?;
        let ready = BufReader::new(stdout).lines().next_line().await?;
        if ready.is_none() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let why = said.lines().last().unwrap_or_default();
            bail!("it did not start; the end of {}: {why}", log.display());
        }
        Ok(server)
    }

    /// Connects the demo customer, unless an earlier start did.
    async fn link(&self, app: &DemoApp) -> anyhow::Result<()> {
        let secret = self.arguments.folder.join("demo-client-secret");
        std::fs::write(&secret, app.client_secret())?;
        let secret_from = format!("@{}", secret.display());
        let set = [
            "oauth-clients",
            "set",
            "--app",
            "demo",
            "--client-id",
            &app.client_id(),
            "--client-secret",
            &secret_from,
        ];
        let set = self.run(&set);
        std::fs::remove_file(&secret)?;
        set?;
        let connections = self.run(&["connections", "list"])?;
        let known = connections.get("data").and_then(Value::as_array).into_iter().flatten();
        if known.clone().any(|one| one.get("name").and_then(Value::as_str) == Some(CONNECTION)) {
            println!("The demo customer is connected since an earlier start.");
            return Ok(());
        }
        let session =
            self.run(&["connect", "--app", "demo", "--customer", "acme", "--name", CONNECTION])?;
        let link = text(&session, "connect_url")?;
        println!(
            "A customer's link: {link}\nOpening it as a browser would, and consenting at the demo app."
        );
        self.consent(app, &link).await
    }

    /// Does what a customer does in a browser: opens the link, continues to the app, consents,
    /// and comes back.
    async fn consent(&self, app: &DemoApp, link: &str) -> anyhow::Result<()> {
        let page = self.get(&format!("{link}?plain"), None).await?;
        let cookie = page.cookie.context("the page sets a cookie")?;
        let form = "application/x-www-form-urlencoded";
        let sent = self
            .post(&format!("{link}/authorize"), form, "scheme=oauth2".into(), Some(&cookie))
            .await?;
        let asked = Url::parse(&sent.location.context("Causeway sends the browser to the app")?)?;
        let mut fields: Vec<(String, String)> = asked.query_pairs().into_owned().collect();
        fields.push(("decision".to_owned(), "allow".to_owned()));
        let fields =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let consented =
            self.post(&format!("{}/oauth/authorize", app.url()), form, fields, None).await?;
        let back = consented.location.context("the app sends the browser back")?;
        let done = self.get(&back, Some(&cookie)).await?;
        ensure!(done.status == 200, "the answer was {}", done.status);
        println!("Connected.");
        Ok(())
    }

    fn deploy(&self) -> anyhow::Result<Value> {
        let example = self.arguments.example.display().to_string();
        println!("\nDeploying {example}:");
        let shown = self.command().args(["deploy", &example, "--plan"]).status()?;
        ensure!(shown.success(), "the plan failed");
        self.run(&["deploy", &example])
    }

    /// Prints an invocation's steps until it ends.
    async fn follow(&self, invocation: &str) -> anyhow::Result<()> {
        let shown = tokio::process::Command::from(self.command())
            .args(["invocations", "follow", invocation])
            .status()
            .await?;
        ensure!(shown.success(), "the invocation {invocation} did not succeed");
        Ok(())
    }

    fn say_what_next(&self, trigger: &str, accepted: &Value) -> anyhow::Result<()> {
        let invocation = text(accepted, "invocation_id")?;
        let key_file = self.arguments.folder.join("api-key");
        let causeway = self.causeway.display();
        println!(
            "\nTry, in another terminal:\n  export CAUSEWAY_URL={} CAUSEWAY_API_KEY=$(cat {})\n  \
             curl -X POST {trigger} -H 'content-type: application/json' -d '{LEAD}'\n  \
             {causeway} logs -f\n  {causeway} invocations show {invocation} --event\n  \
             {causeway} replay {invocation}\n  {causeway} connections list\n  {causeway} keys rotate",
            self.url,
            key_file.display(),
        );
        Ok(())
    }

    async fn get(&self, url: &str, cookie: Option<&str>) -> anyhow::Result<Page> {
        self.browse("GET", url, None, String::new(), cookie).await
    }

    async fn post(
        &self,
        url: &str,
        content_type: &str,
        body: String,
        cookie: Option<&str>,
    ) -> anyhow::Result<Page> {
        self.browse("POST", url, Some(content_type), body, cookie).await
    }

    /// One request without following redirects, as a browser's address bar would show them.
    async fn browse(
        &self,
        method: &str,
        url: &str,
        content_type: Option<&str>,
        body: String,
        cookie: Option<&str>,
    ) -> anyhow::Result<Page> {
        let allow = [self.arguments.listen, self.arguments.demo_app]
            .map(|address| AllowedRange::single(address.ip(), address.port()));
        let guard = Guard::new(
            GuardConfig { allow: allow.to_vec(), ..GuardConfig::default() },
            SystemResolver,
        );
        let http = HttpClient::new(guard, &HttpConfig::default())?;
        let mut request = http::Request::builder().method(method).uri(url);
        if let Some(content_type) = content_type {
            // As browsers do with forms: the origin of the page.
            let origin = Url::parse(url)?.origin().ascii_serialization();
            request = request.header(CONTENT_TYPE, content_type).header(ORIGIN, origin);
        }
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        let limits = RequestLimits { max_redirects: 0, ..RequestLimits::default() };
        let response = http.request(request.body(Bytes::from(body))?, limits).await?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let cookie =
            header(SET_COOKIE).and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        let location = header(LOCATION).map(str::to_owned);
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        ensure!(status < 400, "{method} answered {status}: {}", String::from_utf8_lossy(&body));
        Ok(Page { status, cookie, location, body })
    }
}

/// An answer, as far as the demo needs it.
struct Page {
    status: u16,
    cookie: Option<String>,
    location: Option<String>,
    body: Bytes,
}

fn text(record: &Value, field: &str) -> anyhow::Result<String> {
    record
        .get(field)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .with_context(|| format!("the answer has no `{field}`"))
}
