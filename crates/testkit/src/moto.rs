//! AWS KMS as a test can have it: moto, which really encrypts with the keys that it makes. It
//! comes from PyPI (`testing/requirements.txt`) and listens on a free port of the loopback.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// moto could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not installed.
    #[error("looking for moto in {}: run `make deps`, which installs what tests need", .0.display())]
    NotInstalled(PathBuf),
    /// Its program could not be run.
    #[error("running moto")]
    Run(#[source] io::Error),
    /// It ended before it listened.
    #[error("waiting for moto to listen: it ended and said: {said}")]
    Ended {
        /// What it printed.
        said: String,
    },
}

/// A running moto. Its keys go with it when it is dropped.
pub struct Moto {
    server: Child,
    endpoint: String,
}

impl Moto {
    /// Starts moto and waits until it listens.
    pub fn start() -> Result<Self, StartError> {
        let python =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testing-venv/bin/python");
        if !python.exists() {
            return Err(StartError::NotInstalled(python));
        }
        // Ends with the thread that started it, so that a test that is killed leaves nothing.
        let mut server = Command::new("setpriv")
            .args(["--pdeathsig=KILL", "--"])
            .arg(&python)
            .args(["-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(StartError::Run)?;
        let mut lines =
            server.stderr.take().into_iter().flat_map(|log| BufReader::new(log).lines());
        let mut said = String::new();
        let endpoint = loop {
            let Some(Ok(line)) = lines.next() else {
                let _ = server.wait();
                return Err(StartError::Ended { said });
            };
            if let Some((_, url)) = line.split_once("Running on ") {
                break url.trim().to_owned();
            }
            said.push_str(&line);
            said.push('\n');
        };
        // It logs every request; somebody has to read that, or it stops at a full pipe.
        std::thread::spawn(move || for _ in lines {});
        Ok(Self { server, endpoint })
    }

    /// Its URL, as `AWS_ENDPOINT_URL` takes it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
