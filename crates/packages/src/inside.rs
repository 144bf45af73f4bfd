//! What runs in a sandbox: npm, pip and install scripts, on the ordinary runners.

use crate::error::PackagesError;
use crate::{Inner, Wanted};
use causeway_sandbox::{
    Bind, Decision, EgressRules, FailureCode, Limits, Links, LogStream, Program, ProgramKey,
    Runtime, SourceFile, StepCall, Tool, Toolbox, machine_roots,
};
use causeway_types::entity::Ecosystem;
use causeway_types::{InvocationId, SecretBytes, VersionId};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Memory of a run, its temporary files included.
const RUN_MEMORY: u64 = 1 << 30;
/// Temporary files of a run.
const RUN_DISK: u64 = 768 << 20;
/// The longest that a run may take.
const RUN_WALL: Duration = Duration::from_mins(4);
/// The same, of processor time.
const RUN_CPU: Duration = Duration::from_mins(2);
/// The largest lock that npm may make, and the most that install scripts may write, in bytes.
pub(crate) const MAX_OUTPUT: u64 = 16 << 20;

/// The code of a connection that the rules do not allow.
const REFUSED: &str = "EGRESS_REFUSED";

const NPM: (&str, &str) = ("npm.mjs", include_str!("../inside/npm.mjs"));
const PIP: (&str, &str) = ("choose.py", include_str!("../inside/choose.py"));
const SCRIPTS: (&str, &str) = ("scripts.mjs", include_str!("../inside/scripts.mjs"));
const WAY: (&str, &str) = ("way.cjs", include_str!("../inside/way.cjs"));

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    Npm,
    Pip,
    Scripts,
}

impl Run {
    fn tool(self) -> Tool {
        match self {
            Self::Npm => Tool::Npm,
            Self::Pip => Tool::Pip,
            Self::Scripts => Tool::Shell,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pip => "pip",
            Self::Scripts => "a shell",
        }
    }

    const fn ecosystem(self) -> Ecosystem {
        match self {
            Self::Npm | Self::Scripts => Ecosystem::Npm,
            Self::Pip => Ecosystem::Pypi,
        }
    }

    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Npm => &[NPM, WAY],
            Self::Pip => &[PIP],
            Self::Scripts => &[SCRIPTS, WAY],
        }
    }
}

impl Inner {
    /// What of the machine a run needs.
    pub(crate) async fn toolbox(&self, run: Run) -> Result<Toolbox, PackagesError> {
        let missing = |source| PackagesError::NoTool { tool: run.name(), source };
        self.pool.tool(run.tool()).await.map_err(missing)
    }

    /// Runs something in a sandbox of its own, which reaches the registry and nothing else, and gives
    /// what it returned.
    pub(crate) async fn run<T: DeserializeOwned>(
        &self,
        wanted: &Wanted<'_>,
        run: Run,
        event: &serde_json::Value,
        binds: Vec<Bind>,
    ) -> Result<T, PackagesError> {
        let ended = |what: String| PackagesError::Run { tool: run.name(), what };
        let Ok(_turn) = self.runs.acquire().await else { return Err(PackagesError::Stopped) };
        let program = Arc::new(self.program(wanted, run, binds).await?);
        let entry = run.files().first().map(|(path, _)| (*path).to_owned()).unwrap_or_default();
        let call = StepCall {
            invocation: InvocationId::generate(self.clock.now(), &*self.random),
            step: run.name().to_owned(),
            attempt: 1,
            idempotency_key: String::new(),
            entry,
            event: serde_json::value::to_raw_value(event)
                .map(Arc::from)
                .map_err(|error| ended(error.to_string()))?,
            steps: serde_json::value::to_raw_value(&serde_json::json!({}))
                .map_err(|error| ended(error.to_string()))?,
            connections: SecretBytes::new(Vec::new()),
            apps: None,
            links: Links::default(),
            context: serde_json::json!({}),
            component: None,
        };
        let mut session = self.pool.checkout(&program).await.map_err(PackagesError::NoSandbox)?;
        let report = session.step(call).await;
        drop(session);
        // Nothing else is ever run in it.
        self.pool.evict(program.key.version).await;
        let refused = report
            .egress
            .iter()
            .find(|one| matches!(&one.decision, Decision::Refused { code } if code == REFUSED));
        if let Some(refused) = refused {
            let (host, port) = (&refused.host, refused.port);
            tracing::warn!(workspace.id = %wanted.workspace, run = run.name(), host, port, "refused a connection");
            // Whatever it says about itself: it has tried to reach what it may not.
            return Err(PackagesError::Stray { run: run.name(), host: format!("{host}:{port}") });
        }
        match report.outcome {
            Ok(success) => serde_json::from_str(success.return_value.get())
                .map_err(|error| ended(format!("it gave what it should not: {error}"))),
            Err(failure) => {
                let said: Vec<&str> = report
                    .logs
                    .iter()
                    .filter(|line| line.stream == LogStream::Stderr)
                    .map(|line| line.text.as_str())
                    .collect();
                let message = match failure.code {
                    FailureCode::UserError => format!("{} {}", failure.message, said.join(" ")),
                    code => format!("{code}: {}", failure.message),
                };
                Err(ended(message.trim().to_owned()))
            }
        }
    }

    async fn program(
        &self,
        wanted: &Wanted<'_>,
        run: Run,
        binds: Vec<Bind>,
    ) -> Result<Program, PackagesError> {
        let mut files: Vec<SourceFile> = run
            .files()
            .iter()
            .map(|(path, text)| SourceFile {
                path: (*path).to_owned(),
                contents: text.as_bytes().to_vec(),
            })
            .collect();
        files.push(SourceFile { path: "roots.pem".to_owned(), contents: self.roots().await? });
        let egress = EgressRules::parse(self.registry.hosts(run.ecosystem()))
            .map_err(|error| PackagesError::Run { tool: run.name(), what: error.to_string() })?;
        Ok(Program {
            key: ProgramKey {
                workspace: wanted.workspace,
                version: VersionId::generate(self.clock.now(), &*self.random),
            },
            files: Arc::new(files),
            binds,
            egress,
            limits: Limits {
                memory_bytes: RUN_MEMORY,
                wall: RUN_WALL,
                cpu: RUN_CPU,
                processes: 128,
                disk_bytes: RUN_DISK,
                output_bytes: MAX_OUTPUT,
                ..Limits::default()
            },
            runtime: match run {
                Run::Npm | Run::Scripts => Runtime::Node,
                Run::Pip => Runtime::Python,
            },
            tier: wanted.tier.max(self.config.tier),
        })
    }

    /// The roots of TLS that this machine trusts, and the operator's own.
    async fn roots(&self) -> Result<Vec<u8>, PackagesError> {
        let mut roots = match machine_roots() {
            Some(path) => tokio::fs::read(path)
                .await
                .map_err(PackagesError::folder("reading the machine's roots of TLS"))?,
            None => Vec::new(),
        };
        roots.push(b'\n');
        roots.extend_from_slice(self.config.extra_roots.as_deref().unwrap_or_default());
        Ok(roots)
    }
}
