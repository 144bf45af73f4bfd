//! A PostgreSQL cluster of its own: made by `initdb` in a temporary folder, listening on a Unix
//! socket only, and stopped when dropped.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A cluster that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// PostgreSQL's programs are not installed.
    #[error("looking for PostgreSQL's initdb: install the Debian package `postgresql`")]
    NotInstalled,
    /// A program could not be run.
    #[error("running {program}")]
    Run {
        /// Its name.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("{program} failed: {output}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// What it printed.
        output: String,
    },
}

/// A running cluster.
pub struct Cluster {
    folder: tempfile::TempDir,
    server: Child,
}

impl Cluster {
    /// Makes and starts a cluster. Durability is off: it lives as long as a test run.
    pub fn start() -> Result<Self, StartError> {
        let programs = find_programs().ok_or(StartError::NotInstalled)?;
        let folder = tempfile::Builder::new()
            .prefix("cw-pg-")
            .tempdir()
            .map_err(|source| StartError::Run { program: "mkdtemp", source })?;
        let data = folder.path().join("data");
        if is_root() {
            run("chown", Command::new("chown").arg("postgres").arg(folder.path()))?;
        }
        run(
            "initdb",
            as_postgres(&programs.join("initdb")).arg("-D").arg(&data).args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-N",
            ]),
        )?;
        let server = as_postgres(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "max_connections=300"])
            .args(["-c", "fsync=off", "-c", "shared_buffers=64MB"])
            // Nobody restores this cluster: its log is kept short.
            .args(["-c", "wal_level=minimal", "-c", "max_wal_senders=0"])
            .args(["-c", "max_wal_size=128MB", "-c", "min_wal_size=32MB"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| StartError::Run { program: "postgres", source })?;
        let cluster = Self { folder, server };
        // pg_isready has no waiting mode; pg_ctl's `status` neither. psql retries until it is up.
        let mut tries = 0;
        while let Err(error) = run(
            "pg_isready",
            Command::new(programs.join("pg_isready"))
                .arg("-h")
                .arg(cluster.folder.path())
                .args(["-t", "1"]),
        ) {
            tries += 1;
            if tries > 600 {
                return Err(error);
            }
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        Ok(cluster)
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        let host = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{host}/{database}")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // `kill -INT` is PostgreSQL's fast shutdown: it ends its children too.
        let _ = Command::new("kill").args(["-INT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

fn find_programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// PostgreSQL refuses to run as root, so root hands over to the user that Debian's package made.
fn as_postgres(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--pdeathsig=INT",
            "--",
        ]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    command.env_remove("PGDATA").env_remove("PGHOST").current_dir("/");
    command
}

fn run(program: &'static str, command: &mut Command) -> Result<(), StartError> {
    let output = command.output().map_err(|source| StartError::Run { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(StartError::Failed { program, output: String::from_utf8_lossy(&text).into_owned() })
}
