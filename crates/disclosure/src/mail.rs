//! Mail through the operator's server (SMTP, RFC 5321): with TLS from the first byte, or with
//! STARTTLS (RFC 3207).

use causeway_net::{DialError, Dialer, Guard, GuardError, RootsError};
use causeway_types::{SecretString, Timestamp};
use lettre::address::{Address, AddressError, Envelope};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use percent_encoding::percent_decode_str;
use std::fmt::Debug;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use url::Url;

/// Time for one mail, after the connection stands.
const CONVERSATION: Duration = Duration::from_mins(1);

/// The operator's mail server and addresses.
pub struct MailConfig<'a> {
    /// `smtp://` or `smtps://`, with user and password if the server wants them.
    pub smtp_url: &'a SecretString,
    /// The sender.
    pub from: String,
    /// Who gets the reports.
    pub to: String,
    /// Root certificates to trust besides the system's, PEM.
    pub extra_roots_pem: Option<Vec<u8>>,
}

/// Mail cannot be sent with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum MailConfigError {
    /// The URL is not one of a mail server. It is not repeated: it may hold a password.
    #[error(
        "reading the URL of the mail server: write smtp://HOST, smtps://HOST or with USER:PASSWORD@ before the host"
    )]
    Url,
    /// A mail address cannot be read.
    #[error("reading the mail address `{address}`")]
    Address {
        /// As given.
        address: String,
        /// Why not.
        #[source]
        source: AddressError,
    },
    /// The added root certificates cannot be used.
    #[error("setting up TLS with the mail server")]
    Roots(#[from] RootsError),
    /// The mail library cannot use them.
    #[error("setting up STARTTLS with the mail server")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// A mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The server could not be reached.
    #[error("connecting to the mail server")]
    Connect(#[from] GuardError),
    /// TLS did not come about.
    #[error("connecting to the mail server with TLS")]
    ConnectTls(#[from] DialError),
    /// The connection is broken.
    #[error("connecting to the mail server")]
    Io(#[from] io::Error),
    /// The server refused, or spoke otherwise than SMTP.
    #[error("speaking with the mail server")]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// It wants a password, and the connection is not protected.
    #[error(
        "signing in to the mail server: it offers no STARTTLS, and the password is not sent in clear"
    )]
    Unprotected,
    /// It did not answer in time.
    #[error("speaking with the mail server: it took longer than {} s", CONVERSATION.as_secs())]
    Slow,
}

/// Sends mail to the operator.
pub struct Mailer {
    dialer: Dialer,
    starttls: TlsParameters,
    implicit_tls: bool,
    host: String,
    port: u16,
    credentials: Option<(String, SecretString)>,
    from: Address,
    to: Address,
}

/// A mail's parts.
pub(crate) struct Mail<'a> {
    /// What tells it from others, so that a repetition is recognized.
    pub(crate) id: &'a str,
    pub(crate) date: Timestamp,
    /// ASCII.
    pub(crate) subject: &'a str,
    /// ASCII, in lines of less than 998 characters.
    pub(crate) text: &'a str,
}

impl Mailer {
    /// Reads the configuration. Nothing is connected to yet; when it is, then through `guard`.
    ///
    /// # Errors
    /// See [`MailConfigError`].
    pub fn new(config: &MailConfig<'_>, guard: Guard) -> Result<Self, MailConfigError> {
        let url = Url::parse(config.smtp_url.expose()).map_err(|_| MailConfigError::Url)?;
        let (implicit_tls, port) = match url.scheme() {
            "smtps" => (true, 465),
            // A server that takes mail from programs listens here (RFC 6409 section 3.1).
            "smtp" => (false, 587),
            _ => return Err(MailConfigError::Url),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(MailConfigError::Url)?;
        let decoded = |text: &str| -> Result<String, MailConfigError> {
            let text = percent_decode_str(text).decode_utf8();
            text.map(std::borrow::Cow::into_owned).map_err(|_| MailConfigError::Url)
        };
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (_, None) | ("", Some(_)) => return Err(MailConfigError::Url),
            (user, Some(password)) => Some((decoded(user)?, SecretString::new(decoded(password)?))),
        };
        let address = |text: &str| {
            text.parse::<Address>()
                .map_err(|source| MailConfigError::Address { address: text.to_owned(), source })
        };
        let mut starttls = TlsParameters::builder(host.to_owned());
        if let Some(pem) = &config.extra_roots_pem {
            let roots = Certificate::from_pem(pem).map_err(MailConfigError::Tls)?;
            starttls = starttls.add_root_certificate(roots);
        }
        Ok(Self {
            dialer: Dialer::new(guard, config.extra_roots_pem.as_deref())?,
            starttls: starttls.build_rustls().map_err(MailConfigError::Tls)?,
            implicit_tls,
            port: url.port().unwrap_or(port),
            host: host.to_owned(),
            credentials,
            from: address(&config.from)?,
            to: address(&config.to)?,
        })
    }

    /// Sends one mail.
    pub(crate) async fn send(&self, mail: &Mail<'_>) -> Result<(), MailError> {
        let stream = self.connect().await?;
        timeout(CONVERSATION, self.converse(stream, &self.compose(mail)))
            .await
            .map_err(|_| MailError::Slow)?
    }

    async fn connect(&self) -> Result<Box<dyn AsyncTokioStream>, MailError> {
        if !self.implicit_tls {
            return Ok(Box::new(self.dialer.connect(&self.host, self.port).await?));
        }
        let stream = self.dialer.connect_tls(&self.host, self.port).await?;
        Ok(Box::new(Tls(stream)))
    }

    async fn converse(
        &self,
        stream: Box<dyn AsyncTokioStream>,
        message: &str,
    ) -> Result<(), MailError> {
        // Not the machine's name, which is nobody's business.
        let hello = ClientId::Ipv4(Ipv4Addr::LOCALHOST);
        let mut smtp = AsyncSmtpConnection::connect_with_transport(stream, &hello).await?;
        if !self.implicit_tls && smtp.can_starttls() {
            smtp.starttls(self.starttls.clone(), &hello).await?;
        }
        if let Some((user, password)) = &self.credentials {
            if !self.implicit_tls && !smtp.is_encrypted() {
                smtp.abort().await;
                return Err(MailError::Unprotected);
            }
            let credentials = Credentials::new(user.clone(), password.expose().clone());
            smtp.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await?;
        }
        let envelope = Envelope::new(Some(self.from.clone()), vec![self.to.clone()])
            .map_err(io::Error::other)?;
        smtp.send(&envelope, message.as_bytes()).await?;
        // It is sent; a server that does not say goodbye changes nothing.
        if let Err(error) = smtp.quit().await {
            tracing::debug!(%error, "the mail server did not say goodbye");
        }
        Ok(())
    }

    /// The mail as it goes over the wire (RFC 5322).
    fn compose(&self, mail: &Mail<'_>) -> String {
        let lines: Vec<&str> = mail.text.lines().collect();
        format!(
            "From: Causeway <{}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{}@{}>\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\
             \r\n{}\r\n",
            self.from,
            self.to,
            mail.subject,
            date(mail.date),
            mail.id,
            self.from.domain(),
            lines.join("\r\n"),
        )
    }
}

/// A time as a mail has it: `Tue, 27 Aug 2024 23:59:59 +0000` (RFC 5322 section 3.3).
fn date(at: Timestamp) -> String {
    // The epoch was a Thursday.
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = at.to_string();
    let part = |range| text.get(range).unwrap_or_default();
    let days = usize::try_from(at.as_secs() / 86_400).unwrap_or_default();
    let weekday = DAYS.get(days % 7).copied().unwrap_or_default();
    let month: usize = part(5..7).parse().unwrap_or(1);
    let month = MONTHS.get(month - 1).copied().unwrap_or_default();
    format!("{weekday}, {} {month} {} {} +0000", part(8..10), part(0..4), part(11..19))
}

/// A connection with TLS from its first byte, as the mail library takes it.
#[derive(Debug)]
struct Tls<S>(S);

impl<S: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin> AsyncTokioStream for Tls<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        // The library asks for its log alone.
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tls<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tls<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_mail_has_them() {
        let at = |micros| date(Timestamp::from_micros(micros));
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(at(1_709_251_199_999_999), "Thu, 29 Feb 2024 23:59:59 +0000");
        assert_eq!(at(4_102_444_800_000_000), "Fri, 01 Jan 2100 00:00:00 +0000");
    }
}
