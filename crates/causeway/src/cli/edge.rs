//! Flags of the server that concern its outside: listeners, TLS, proxies, limits, reports.

use clap::Args;
use std::path::PathBuf;

/// What stands between the server and the world. Each also stands in `causeway.toml`.
#[derive(Args, Default)]
pub(crate) struct EdgeArgs {
    /// Address and port for the API and the pages on which people sign in, which are then not
    /// answered at --listen any more.
    #[arg(long, env = "CAUSEWAY_LISTEN_API", value_name = "HOST:PORT")]
    pub(crate) listen_api: Option<String>,
    /// Address and port for metrics and readiness, which are then not answered at --listen any
    /// more.
    #[arg(long, env = "CAUSEWAY_LISTEN_METRICS", value_name = "HOST:PORT")]
    pub(crate) listen_metrics: Option<String>,
    /// How many connections each listener has at a time. Default 4096.
    #[arg(long, env = "CAUSEWAY_MAX_CONNECTIONS", value_name = "N")]
    pub(crate) max_connections: Option<usize>,
    /// The certificate for TLS at --listen and --listen-api, and those that lead to its root, PEM.
    /// Read again when it changes.
    #[arg(long, env = "CAUSEWAY_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, env = "CAUSEWAY_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Networks of your own proxies, whose word counts about where a request comes from. May be
    /// given several times, or separated by commas.
    #[arg(long, env = "CAUSEWAY_TRUSTED_PROXIES", value_delimiter = ',', value_name = "RANGE")]
    pub(crate) trusted_proxies: Vec<String>,
    /// The header in which they say so: x-forwarded-for or forwarded. Default x-forwarded-for.
    #[arg(long, env = "CAUSEWAY_TRUSTED_PROXY_HEADER", value_name = "NAME")]
    pub(crate) trusted_proxy_header: Option<String>,
    /// Requests a minute to the API by one key or person; 0: no limit. Default 6000.
    #[arg(long, env = "CAUSEWAY_RATE_LIMIT_KEY", value_name = "N")]
    pub(crate) rate_limit_key: Option<u32>,
    /// Requests a minute to the API in one workspace; 0: no limit. Default 30000.
    #[arg(long, env = "CAUSEWAY_RATE_LIMIT_WORKSPACE", value_name = "N")]
    pub(crate) rate_limit_workspace: Option<u32>,
    /// Requests a minute to the API from one address; 0: no limit. Default 12000.
    #[arg(long, env = "CAUSEWAY_RATE_LIMIT_ADDRESS", value_name = "N")]
    pub(crate) rate_limit_address: Option<u32>,
    /// Tokens a minute that one OAuth client obtains or revokes; 0: no limit. Default 600.
    #[arg(long, env = "CAUSEWAY_RATE_LIMIT_CLIENT", value_name = "N")]
    pub(crate) rate_limit_client: Option<u32>,
    /// Requests a minute from one address that are refused because nobody knows the caller; 0: no
    /// limit. Default 300.
    #[arg(long, env = "CAUSEWAY_RATE_LIMIT_REFUSED", value_name = "N")]
    pub(crate) rate_limit_refused: Option<u32>,
    /// How finders of vulnerabilities reach you: mailto:NAME@HOST or https://…, the preferred way
    /// first. May be given several times, or separated by commas.
    #[arg(long, env = "CAUSEWAY_SECURITY_CONTACT", value_delimiter = ',', value_name = "URL")]
    pub(crate) security_contact: Vec<String>,
    /// The OpenPGP public key to which their reports are encrypted. Without it none are taken.
    #[arg(long, env = "CAUSEWAY_SECURITY_PGP_KEY", value_name = "FILE")]
    pub(crate) security_pgp_key: Option<PathBuf>,
    /// The OpenPGP secret key that signs security.txt, without a passphrase.
    #[arg(long, env = "CAUSEWAY_SECURITY_SIGNING_KEY", value_name = "FILE")]
    pub(crate) security_signing_key: Option<PathBuf>,
    /// Where your policy on vulnerabilities stands.
    #[arg(long, env = "CAUSEWAY_SECURITY_POLICY", value_name = "URL")]
    pub(crate) security_policy: Option<String>,
    /// Languages in which you read reports. Default en.
    #[arg(
        long,
        env = "CAUSEWAY_SECURITY_LANGUAGES",
        value_delimiter = ',',
        value_name = "LANGUAGE"
    )]
    pub(crate) security_languages: Vec<String>,
    /// The mail server that sends reports on: smtp://HOST or smtps://USER:PASSWORD@HOST.
    #[arg(long, env = "CAUSEWAY_SMTP_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) smtp_url: Option<String>,
    /// The sender of those mails.
    #[arg(long, env = "CAUSEWAY_MAIL_FROM", value_name = "ADDRESS")]
    pub(crate) mail_from: Option<String>,
    /// Who gets them. Default: the first mailto: contact.
    #[arg(long, env = "CAUSEWAY_MAIL_TO", value_name = "ADDRESS")]
    pub(crate) mail_to: Option<String>,
}
