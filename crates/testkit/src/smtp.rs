//! A mail server as a test can have it: aiosmtpd from PyPI (`testing/requirements.txt`), on a free
//! port of the loopback. It keeps nothing: it tells of each mail as it comes.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not installed.
    #[error("looking for aiosmtpd in {}: run `make deps`, which installs what tests need", .0.display())]
    NotInstalled(PathBuf),
    /// Its program could not be run.
    #[error("running aiosmtpd")]
    Run(#[source] io::Error),
    /// It ended before it listened.
    #[error("starting aiosmtpd, which printed `{output}` instead of its port")]
    Failed {
        /// The first line that it printed.
        output: String,
    },
}

/// A running mail server.
pub struct SmtpServer {
    server: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl SmtpServer {
    /// Starts it with the options that `testing/smtp/server.py` has, and waits until it listens.
    pub fn start(options: &[&str]) -> Result<Self, StartError> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = root.join("target/testing-venv/bin/python");
        if !python.exists() {
            return Err(StartError::NotInstalled(python));
        }
        let mut server = Command::new(&python)
            .arg(root.join("testing/smtp/server.py"))
            .args(options)
            // It also stops when this end is closed, should the test process be killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(StartError::Run)?;
        let Some(output) = server.stdout.take() else {
            return Err(StartError::Failed { output: String::new() });
        };
        let mut lines = BufReader::new(output);
        let mut line = String::new();
        let read = lines.read_line(&mut line);
        let port = line
            .trim()
            .strip_prefix("{\"port\": ")
            .and_then(|rest| rest.strip_suffix('}'))
            .and_then(|port| port.parse().ok());
        if let (Ok(_), Some(port)) = (read, port) {
            return Ok(Self { server, lines, port });
        }
        let _ = server.kill();
        let _ = server.wait();
        Err(StartError::Failed { output: line })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the next mail, or the next refusal of one; gives it as the JSON that the server
    /// printed.
    pub fn next_event(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
