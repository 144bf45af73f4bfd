//! What the command line prints: lines for people, or JSON for programs.
//!
//! Whoever closes standard output early, as `head` does, has read what they wanted. So a command
//! goes on to its end all the same, prints no more, and ends with the code that it would have had;
//! one that would never end asks [`is_read`].

use anyhow::anyhow;
use serde::Serialize;
use std::io::{self, ErrorKind, Write as _};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Why standard output, of which a process has one, takes nothing any more.
static CLOSED: OnceLock<io::Error> = OnceLock::new();

/// Where a command's results go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// A line for people; nothing with `--json`.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        if !self.json {
            print(text.as_ref());
        }
    }

    /// A result: JSON with `--json`, else what `people` makes of it.
    pub(crate) fn result<T: Serialize>(self, value: &T, people: impl FnOnce(&T) -> String) {
        if self.json {
            if let Ok(text) = serde_json::to_string(value) {
                print(&text);
            }
        } else {
            print(people(value).trim_end());
        }
    }
}

/// Whether somebody may still read what is printed.
pub(crate) fn is_read() -> bool {
    CLOSED.get().is_none()
}

fn print(line: &str) {
    if !is_read() {
        return;
    }
    let mut stdout = io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        let _ = CLOSED.set(error);
    }
}

/// Standard output for what comes in pieces. It fails once nothing can be written any more.
pub(crate) struct Pieces(tokio::io::Stdout);

impl Pieces {
    pub(crate) fn new() -> Self {
        Self(tokio::io::stdout())
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        piece: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(seen(ready!(Pin::new(&mut self.0).poll_write(context, piece))))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(seen(ready!(Pin::new(&mut self.0).poll_flush(context))))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(seen(ready!(Pin::new(&mut self.0).poll_shutdown(context))))
    }
}

/// Remembers why standard output takes no more.
fn seen<T>(written: io::Result<T>) -> io::Result<T> {
    written.map_err(|error| {
        let kind = error.kind();
        let _ = CLOSED.set(error);
        kind.into()
    })
}

/// A line of progress that does not belong to the result.
pub(crate) fn note(text: impl AsRef<str>) {
    // Who does not want to know has closed standard error, and there is nobody else to tell.
    let _ = writeln!(io::stderr(), "{}", text.as_ref());
}

/// The exit code of a command that did what it was told: a failure only if its results went
/// nowhere although nobody had closed standard output, as on a full disk.
pub(crate) fn success(json: bool) -> ExitCode {
    match CLOSED.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            failure(&anyhow!("{error}").context("writing to standard output"), json)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Prints why a command failed, with its causes, and gives the exit code.
pub(crate) fn failure(error: &anyhow::Error, json: bool) -> ExitCode {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    if json {
        note(serde_json::json!({ "error": chain.join(": ") }).to_string());
    } else {
        let mut causes = chain.iter();
        note(format!("error: {}", causes.next().map_or("", String::as_str)));
        for cause in causes {
            note(format!("  because: {cause}"));
        }
    }
    ExitCode::FAILURE
}
