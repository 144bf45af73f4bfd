//! GnuPG with a home of its own.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// GnuPG, and the keys that it holds. Its agent ends with it.
pub(crate) struct Gnupg {
    home: tempfile::TempDir,
}

impl Gnupg {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    /// Runs it with something on its standard input.
    pub(crate) fn run(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new("gpg")
            .args(["--batch", "--yes", "--no-tty", "--pinentry-mode", "loopback"])
            .args(args)
            .env("GNUPGHOME", self.home.path())
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // It may end before it has read everything.
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().unwrap()
        })
    }

    /// The same for what has to work; gives what it printed.
    pub(crate) fn ok(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let output = self.run(args, input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {args:?}: {said}");
        output.stdout
    }

    /// Makes a key for one use and adds a subkey for another, if that is said.
    pub(crate) fn make(
        &self,
        user: &str,
        algorithm: &str,
        usage: &str,
        expires: &str,
        subkey: Option<(&str, &str)>,
    ) {
        let open = ["--passphrase", ""];
        let first = ["--quick-gen-key", user, algorithm, usage, expires];
        self.ok(&[&open[..], &first[..]].concat(), b"");
        if let Some((algorithm, usage)) = subkey {
            let fingerprint = self.fingerprint(user);
            let more = ["--quick-add-key", &fingerprint, algorithm, usage, "never"];
            self.ok(&[&open[..], &more[..]].concat(), b"");
        }
    }

    /// The primary key's fingerprint.
    pub(crate) fn fingerprint(&self, user: &str) -> String {
        let listed = self.ok(&["--with-colons", "--fingerprint", user], b"");
        let listed = String::from_utf8(listed).unwrap();
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    /// The public key, armored.
    pub(crate) fn public(&self, user: &str) -> Vec<u8> {
        self.ok(&["--armor", "--export", user], b"")
    }

    /// The secret key, armored.
    pub(crate) fn secret(&self, user: &str) -> Vec<u8> {
        self.ok(&["--armor", "--passphrase", "", "--export-secret-keys", user], b"")
    }

    /// Where it keeps the certificates that revoke its keys.
    pub(crate) fn revocations(&self) -> PathBuf {
        self.home.path().join("openpgp-revocs.d")
    }

    /// What an encrypted message says.
    pub(crate) fn decrypt(&self, message: &str) -> String {
        let text = self.ok(&["--passphrase", "", "--decrypt"], message.as_bytes());
        String::from_utf8(text).unwrap()
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .args(["--kill", "all"])
            .env("GNUPGHOME", self.home.path())
            .output();
    }
}
