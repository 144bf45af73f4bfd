//! The code's end of a connection: what was read of it already, and what counts its bytes.

use crate::egress::Shared;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// A connection from inside the sandbox. Its bytes count towards the invocation's share.
pub(crate) struct Inside {
    /// Received and not yet read.
    first: Vec<u8>,
    socket: UnixStream,
    shared: Arc<Shared>,
}

impl Inside {
    pub(crate) fn new(first: Vec<u8>, socket: UnixStream, shared: Arc<Shared>) -> Self {
        Self { first, socket, shared }
    }

    /// The first byte, which stays to be read; `None` if there is none.
    pub(super) async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        if self.first.is_empty() && self.socket.read_buf(&mut self.first).await? == 0 {
            return Ok(None);
        }
        Ok(self.first.first().copied())
    }
}

impl AsyncRead for Inside {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.first.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        } else {
            let count = self.first.len().min(buffer.remaining());
            let rest = self.first.split_off(count);
            buffer.put_slice(&self.first);
            self.first = rest;
        }
        Poll::Ready(self.shared.spend(buffer.filled().len() - before))
    }
}

impl AsyncWrite for Inside {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
        self.shared.spend(count)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
