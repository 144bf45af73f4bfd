//! An installation: a data folder, a root key outside of it, and the command line.

use super::Server;
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, SystemResolver};
use causeway_store::testing::TestDatabase;
use causeway_types::{OsRandom, SystemClock, Tenant};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The URL under which the world reaches the servers of the tests, as if behind a proxy with TLS.
pub(crate) const PUBLIC_URL: &str = "https://causeway.test";

pub(crate) struct Home {
    pub(crate) database: TestDatabase,
    /// What `causeway bootstrap --json` printed.
    pub(crate) made: Value,
    pub(crate) http: HttpClient,
    folder: tempfile::TempDir,
    flags: Vec<String>,
    /// None: the address that the server listens on.
    public_url: Option<&'static str>,
}

/// A finished command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its result, where it has to have one.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:#?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Why it failed, where it has to have failed.
    pub(crate) fn refusal(&self) -> &str {
        assert_eq!(self.code, Some(1), "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        &self.stderr
    }
}

impl Home {
    /// A fresh installation with its first workspace.
    pub(crate) fn new(database: TestDatabase) -> Self {
        Self::with_flags(database, &[])
    }

    /// The same, whose servers run with more flags.
    pub(crate) fn with_flags(database: TestDatabase, flags: &[&str]) -> Self {
        let mut home = Self { public_url: Some(PUBLIC_URL), ..Self::unclaimed(database, flags) };
        home.made = home.run_server_command(&["bootstrap", "--json"]).json();
        home
    }

    /// An installation that nobody has done anything with, and that the world reaches where it
    /// listens.
    pub(crate) fn unclaimed(database: TestDatabase, flags: &[&str]) -> Self {
        let guard =
            GuardConfig { allow: vec!["127.0.0.0/8".parse().unwrap()], ..GuardConfig::default() };
        let guard = Guard::new(guard, SystemResolver);
        Self {
            database,
            made: Value::Null,
            http: HttpClient::new(guard, &HttpConfig::default()).unwrap(),
            folder: tempfile::tempdir().unwrap(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            public_url: None,
        }
    }

    /// Lets the servers that are started from now on run with one flag more.
    pub(crate) fn add_flag(&mut self, flag: impl Into<String>) {
        self.flags.push(flag.into());
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.database.folder()
    }

    /// A path outside of the data folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn api_key(&self) -> &str {
        self.made["api_key"].as_str().unwrap_or_default()
    }

    /// Whose things the API key reaches.
    pub(crate) fn tenant(&self) -> Tenant {
        let id = |field: &str| self.made[field].as_str().unwrap();
        Tenant {
            workspace: id("workspace_id").parse().unwrap(),
            project: id("project_id").parse().unwrap(),
            environment: id("production_environment_id").parse().unwrap(),
        }
    }

    /// The vault, as the server unlocks it.
    pub(crate) async fn vault(&self) -> Vault {
        let root = FileKey::load(&self.path("root.key"), self.data_dir()).unwrap();
        let store = self.database.store.clone();
        let (clock, random) = (Arc::new(SystemClock), Arc::new(OsRandom));
        Vault::unlock(store, RootKey::File(root), DEFAULT_KEY_LIFETIME, clock, random)
            .await
            .unwrap()
    }

    /// The flags that say which installation is meant.
    pub(crate) fn place(&self) -> Vec<String> {
        self.place_in(self.data_dir())
    }

    /// The same with another data folder.
    fn place_in(&self, data_dir: &Path) -> Vec<String> {
        let mut place = vec![
            format!("--data-dir={}", data_dir.display()),
            format!("--root-key=file:{}", self.path("root.key").display()),
        ];
        if self.database.url.starts_with("postgres") {
            place.push(format!("--database-url={}", self.database.url));
        }
        place
    }

    /// The program without anything of the environment in which the tests run.
    pub(crate) fn bare() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", "/nonexistent")
            .current_dir("/");
        command
    }

    /// A command that works on the installation itself.
    pub(crate) fn run_server_command(&self, args: &[&str]) -> Ran {
        run(Self::bare().args(args).args(self.place()))
    }

    /// Starts the server and waits until it listens.
    pub(crate) fn serve(&self) -> Server {
        self.serve_logging("info")
    }

    /// The same with another level of logs.
    pub(crate) fn serve_logging(&self, level: &str) -> Server {
        let mut command = self.serve_command();
        command.env("RUST_LOG", level);
        Server::start(command, &self.path("server.log"), self.api_key(), &self.http)
    }

    /// Starts another node of the installation, with a data folder of its own.
    pub(crate) fn serve_another(&self) -> Server {
        let command = self.serve_command_in(&self.path("another"));
        Server::start(command, &self.path("another.log"), self.api_key(), &self.http)
    }

    /// Starts the server in a terminal.
    pub(crate) fn serve_on(&self, terminal: std::fs::File) -> Server {
        Server::start_with(
            self.serve_command(),
            terminal.into(),
            &self.path("server.log"),
            "",
            &self.http,
        )
    }

    /// The command that starts the server. It ends with the test, should that be killed.
    pub(crate) fn serve_command(&self) -> Command {
        self.serve_command_in(self.data_dir())
    }

    fn serve_command_in(&self, data_dir: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig=KILL", "--", env!("CARGO_BIN_EXE_causeway"), "serve", "--json"])
            .args(
                self.flags
                    .iter()
                    .all(|flag| !flag.starts_with("--listen="))
                    .then_some("--listen=127.0.0.1:0"),
            )
            .args(self.public_url.map(|url| format!("--public-url={url}")))
            .args(self.place_in(data_dir))
            .args(&self.flags)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/");
        command
    }

    /// A command of a developer against a running server.
    pub(crate) fn cli(&self, server: &Server, args: &[&str]) -> Ran {
        run(&mut self.cli_command(server, args))
    }

    /// The same, to be run later.
    pub(crate) fn cli_command(&self, server: &Server, args: &[&str]) -> Command {
        let mut command = Self::bare();
        command
            .args(args)
            .env("CAUSEWAY_URL", server.url(""))
            .env("CAUSEWAY_API_KEY", self.api_key());
        command
    }

    /// Writes a workflow's folder.
    pub(crate) fn write_workflow(
        &self,
        name: &str,
        manifest: &str,
        files: &[(&str, &str)],
    ) -> PathBuf {
        let folder = self.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        let manifest = format!("name: {name}\ntrigger: {{ http: {{ auth: none }} }}\n{manifest}");
        std::fs::write(folder.join("workflow.yaml"), manifest).unwrap();
        for (file, text) in files {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    /// Writes a workflow, deploys it, and gives the path of its trigger.
    pub(crate) fn deploy(
        &self,
        server: &Server,
        name: &str,
        manifest: &str,
        files: &[(&str, &str)],
    ) -> String {
        let folder = self.write_workflow(name, manifest, files);
        let deployed = self.cli(server, &["deploy", "--json", folder.to_str().unwrap()]).json();
        self.local(deployed["trigger_url"].as_str().unwrap())
    }

    /// The path of a URL under which the world reaches the server.
    pub(crate) fn local(&self, url: &str) -> String {
        url.strip_prefix(self.public_url.unwrap()).unwrap().to_owned()
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
