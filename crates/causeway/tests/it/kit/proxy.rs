//! A way to PostgreSQL that a test can cut: a Unix socket before the server's own.

use data_encoding::HEXUPPER;
use std::path::{Path, PathBuf};
use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// The name of the socket for the usual port (PostgreSQL manual, section 19.3.1).
const SOCKET: &str = ".s.PGSQL.5432";

pub(crate) struct Proxy {
    folder: tempfile::TempDir,
    real: PathBuf,
    listening: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy before the cluster of this URL, and the same URL through it.
    pub(crate) fn before(url: &str) -> (Self, String) {
        let (scheme, rest) = url.split_once('@').unwrap();
        let (host, database) = rest.split_once('/').unwrap();
        let real = percent_decoded(host);
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().display().to_string().replace('/', "%2F");
        let mut proxy = Self { folder, real: Path::new(&real).join(SOCKET), listening: None };
        proxy.restore();
        (proxy, format!("{scheme}@{own}/{database}"))
    }

    /// Ends all connections, and takes no more.
    pub(crate) async fn cut(&mut self) {
        let listening = self.listening.take().unwrap();
        listening.abort();
        // It has ended, and with it its connections, once this answers.
        assert!(listening.await.unwrap_err().is_cancelled());
        std::fs::remove_file(self.folder.path().join(SOCKET)).unwrap();
    }

    /// Takes connections again.
    pub(crate) fn restore(&mut self) {
        let listener = UnixListener::bind(self.folder.path().join(SOCKET)).unwrap();
        let real = self.real.clone();
        self.listening = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = UnixStream::connect(&real).await.unwrap();
                connections.spawn(async move {
                    // Either side may go at any time; that is what it is for.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        }));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        let byte = HEXUPPER.decode(part[..2].to_uppercase().as_bytes()).unwrap()[0];
        text + &char::from(byte).to_string() + &part[2..]
    })
}
