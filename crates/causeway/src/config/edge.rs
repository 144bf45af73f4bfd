//! Configuration of the server's outside: listeners, TLS, proxies, limits, reports.

use crate::cli::EdgeArgs;
use crate::tls::TlsFiles;
use anyhow::{Context, bail};
use causeway_api::{Quota, RateLimitConfig, Split, TrustedProxies};
use causeway_disclosure::{Contact, DisclosureConfig, MailConfig, Mailer, Recipient, TextSigner};
use causeway_net::Guard;
use causeway_types::{SecretBytes, SecretString, Timestamp};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use url::Url;

/// Connections of a listener at a time, unless told otherwise.
const CONNECTIONS: usize = 4096;

/// What `causeway.toml` has of it at its top.
#[derive(Debug, Default)]
pub(super) struct Top {
    pub(super) listen_api: Option<String>,
    pub(super) listen_metrics: Option<String>,
    pub(super) max_connections: Option<usize>,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) trusted_proxies: Vec<String>,
    pub(super) trusted_proxy_header: Option<String>,
}

/// `[rate_limits]` of `causeway.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateLimitTable {
    key: Option<u32>,
    workspace: Option<u32>,
    address: Option<u32>,
    client: Option<u32>,
    refused: Option<u32>,
}

/// `[security]` of `causeway.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SecurityTable {
    contact: Vec<String>,
    pgp_key: Option<PathBuf>,
    signing_key: Option<PathBuf>,
    policy: Option<String>,
    languages: Vec<String>,
}

/// `[mail]` of `causeway.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MailTable {
    smtp_url: Option<SecretString>,
    from: Option<String>,
    to: Option<String>,
}

/// The file's part of it.
#[derive(Default)]
pub(super) struct EdgeFile {
    pub(super) top: Top,
    pub(super) rate_limits: RateLimitTable,
    pub(super) security: SecurityTable,
    pub(super) mail: MailTable,
}

/// What stands between the server and the world.
pub(crate) struct EdgeConfig {
    pub(crate) listen_api: Option<SocketAddr>,
    pub(crate) listen_metrics: Option<SocketAddr>,
    pub(crate) max_connections: usize,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) rate_limits: RateLimitConfig,
    contacts: Vec<Contact>,
    pgp_key: Option<PathBuf>,
    signing_key: Option<PathBuf>,
    policy: Option<Url>,
    languages: Vec<String>,
    smtp_url: Option<SecretString>,
    mail_from: Option<String>,
    mail_to: Option<String>,
}

impl EdgeConfig {
    pub(super) fn read(args: EdgeArgs, file: EdgeFile) -> anyhow::Result<Self> {
        let EdgeFile { top, rate_limits, security, mail } = file;
        let tls = match (args.tls_cert.or(top.tls_cert), args.tls_key.or(top.tls_key)) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (None, None) => None,
            (Some(_), None) => bail!("there is a TLS certificate without a key: give --tls-key"),
            (None, Some(_)) => bail!("there is a TLS key without a certificate: give --tls-cert"),
        };
        let usual = RateLimitConfig::default();
        let minute = |given: Option<u32>, usual| given.map_or(usual, Quota::per_minute);
        let contacts = either(args.security_contact, security.contact);
        let contacts: Vec<Contact> =
            contacts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let policy = args.security_policy.or(security.policy);
        Ok(Self {
            listen_api: address(args.listen_api.or(top.listen_api), "--listen-api")?,
            listen_metrics: address(
                args.listen_metrics.or(top.listen_metrics),
                "--listen-metrics",
            )?,
            max_connections: args
                .max_connections
                .or(top.max_connections)
                .unwrap_or(CONNECTIONS)
                .max(1),
            tls,
            trusted_proxies: proxies(
                &either(args.trusted_proxies, top.trusted_proxies),
                args.trusted_proxy_header.or(top.trusted_proxy_header).as_deref(),
            )?,
            rate_limits: RateLimitConfig {
                key: minute(args.rate_limit_key.or(rate_limits.key), usual.key),
                workspace: minute(
                    args.rate_limit_workspace.or(rate_limits.workspace),
                    usual.workspace,
                ),
                address: minute(args.rate_limit_address.or(rate_limits.address), usual.address),
                client: minute(args.rate_limit_client.or(rate_limits.client), usual.client),
                refused: minute(args.rate_limit_refused.or(rate_limits.refused), usual.refused),
                reports: usual.reports,
            },
            pgp_key: args.security_pgp_key.or(security.pgp_key),
            signing_key: args.security_signing_key.or(security.signing_key),
            policy: policy.as_deref().map(read_policy).transpose()?,
            languages: languages(either(args.security_languages, security.languages))?,
            smtp_url: args.smtp_url.map(SecretString::new).or(mail.smtp_url),
            mail_from: args.mail_from.or(mail.from),
            mail_to: args.mail_to.or(mail.to),
            contacts,
        })
    }

    /// Which parts have listeners of their own.
    pub(crate) fn split(&self) -> Split {
        Split { api: self.listen_api.is_some(), metrics: self.listen_metrics.is_some() }
    }

    /// Reads the keys and sees that mail can be sent.
    ///
    /// # Errors
    /// If something of it cannot be used.
    pub(crate) fn disclosure(
        &self,
        now: Timestamp,
        guard: Guard,
        extra_roots_pem: Option<Vec<u8>>,
    ) -> anyhow::Result<DisclosureConfig> {
        let recipient = match &self.pgp_key {
            Some(path) => {
                let file = read_key_file(path)?;
                let key = Recipient::read(&file, now);
                Some(key.with_context(|| format!("using the PGP key {}", path.display()))?)
            }
            None => None,
        };
        let signer = match &self.signing_key {
            Some(path) => {
                let file = SecretBytes::new(read_key_file(path)?);
                let key = TextSigner::read(&file, now);
                Some(key.with_context(|| format!("using the signing key {}", path.display()))?)
            }
            None => None,
        };
        Ok(DisclosureConfig {
            contacts: self.contacts.clone(),
            mailer: self.mailer(recipient.is_some(), guard, extra_roots_pem)?,
            recipient,
            signer,
            policy: self.policy.clone(),
            languages: self.languages.clone(),
        })
    }

    fn mailer(
        &self,
        takes_reports: bool,
        guard: Guard,
        extra_roots_pem: Option<Vec<u8>>,
    ) -> anyhow::Result<Option<Mailer>> {
        let Some(smtp_url) = &self.smtp_url else { return Ok(None) };
        if !takes_reports {
            bail!(
                "there is a mail server, but no key to encrypt reports to: give --security-pgp-key"
            );
        }
        let first = || self.contacts.iter().find_map(Contact::mail_address).map(str::to_owned);
        let to = self
            .mail_to
            .clone()
            .or_else(first)
            .context("finding out who gets the mails: give --mail-to, or a mailto: contact")?;
        let from = self.mail_from.clone().unwrap_or_else(|| to.clone());
        let config = MailConfig { smtp_url, from, to, extra_roots_pem };
        Ok(Some(Mailer::new(&config, guard)?))
    }
}

/// What was given on the command line, or else in the file.
fn either(args: Vec<String>, file: Vec<String>) -> Vec<String> {
    if args.is_empty() { file } else { args }
}

fn address(text: Option<String>, flag: &str) -> anyhow::Result<Option<SocketAddr>> {
    let Some(text) = text else { return Ok(None) };
    let address = text.parse();
    address.map(Some).with_context(|| {
        format!("reading the address of {flag}, `{text}`: write HOST:PORT, such as 127.0.0.1:8402")
    })
}

fn proxies(networks: &[String], header: Option<&str>) -> anyhow::Result<TrustedProxies> {
    // One address is a network too.
    let network = |text: &String| {
        text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(Into::into)).with_context(
            || format!("reading the trusted proxy `{text}`: write a network such as 10.0.0.0/8"),
        )
    };
    Ok(TrustedProxies {
        networks: networks.iter().map(network).collect::<Result<_, _>>()?,
        header: header.map(str::parse).transpose()?.unwrap_or_default(),
    })
}

fn read_policy(text: &str) -> anyhow::Result<Url> {
    let url: Url = text.parse().with_context(|| format!("reading the policy's URL `{text}`"))?;
    // RFC 9116 section 2.5.7.
    if url.scheme() != "https" {
        bail!("the policy's URL `{text}` does not begin with https://");
    }
    Ok(url)
}

fn languages(given: Vec<String>) -> anyhow::Result<Vec<String>> {
    let fits = |text: &String| {
        (1..=35).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if let Some(wrong) = given.iter().find(|text| !fits(text)) {
        bail!("`{wrong}` is not a language: write en, or de-AT (RFC 5646)");
    }
    Ok(if given.is_empty() { vec!["en".to_owned()] } else { given })
}

fn read_key_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}
