//! What a flow has to remember until its answer comes, sealed with its secrets.

use super::mcp::Server;
use crate::client::Client;
use causeway_types::{OAuthClientId, SecretString};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What a flow remembers.
#[derive(Default)]
pub(crate) struct Context {
    /// What the customer typed before.
    pub(crate) fields: BTreeMap<String, SecretString>,
    /// The company's client that it was begun with.
    pub(crate) client: Option<OAuthClientId>,
    /// The scopes that were asked for.
    pub(crate) asked: Vec<String>,
    /// Whether the customer's way back ends in a window of its own, which leads nowhere.
    pub(crate) popup: bool,
    /// OAuth 1.0a's temporary credentials (RFC 5849, section 2.1).
    pub(crate) temporary: Option<Temporary>,
    /// What was got for a device (RFC 8628, section 3.2).
    pub(crate) device: Option<Device>,
    /// What was found out about an MCP server.
    pub(crate) server: Option<Server>,
}

/// A request token and its secret.
#[derive(Deserialize)]
pub(crate) struct Temporary {
    pub(crate) token: SecretString,
    pub(crate) secret: SecretString,
}

/// The codes of a device flow.
#[derive(Deserialize)]
pub(crate) struct Device {
    #[serde(rename = "device_code")]
    pub(crate) code: SecretString,
    pub(crate) user_code: String,
    pub(crate) verification_uri: String,
    pub(crate) verification_uri_complete: Option<String>,
}

#[derive(Default, Deserialize)]
struct Read {
    #[serde(default)]
    fields: BTreeMap<String, SecretString>,
    client: Option<OAuthClientId>,
    #[serde(default)]
    asked: Vec<String>,
    #[serde(default)]
    popup: bool,
    temporary: Option<Temporary>,
    device: Option<Device>,
    server: Option<Server>,
}

#[derive(Serialize)]
struct Written<'a> {
    fields: BTreeMap<&'a str, &'a str>,
    client: Option<OAuthClientId>,
    asked: &'a [String],
    popup: bool,
    temporary: Option<WrittenTemporary<'a>>,
    device: Option<WrittenDevice<'a>>,
    server: Option<&'a Server>,
}

#[derive(Serialize)]
struct WrittenTemporary<'a> {
    token: &'a str,
    secret: &'a str,
}

#[derive(Serialize)]
struct WrittenDevice<'a> {
    #[serde(rename = "device_code")]
    code: &'a str,
    user_code: &'a str,
    verification_uri: &'a str,
    verification_uri_complete: Option<&'a str>,
}

impl Context {
    /// The value of this name in the templates of a row: what the customer typed before what the
    /// company's client has.
    pub(super) fn value<'a>(&'a self, client: &'a Client, name: &str) -> Option<&'a str> {
        let typed = self.fields.get(name).map(|value| value.expose().as_str());
        typed.or_else(|| client.value(name))
    }

    /// The bytes to seal.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let typed: usize = self.fields.iter().map(|(k, v)| k.len() + v.expose().len() + 8).sum();
        let kept = |text: &SecretString| text.expose().len();
        let temporary = self.temporary.as_ref().map_or(0, |t| kept(&t.token) + kept(&t.secret));
        let device = self.device.as_ref().map_or(0, |device| kept(&device.code));
        let written = Written {
            fields: self.fields.iter().map(|(k, v)| (k.as_str(), v.expose().as_str())).collect(),
            client: self.client,
            asked: &self.asked,
            popup: self.popup,
            temporary: self.temporary.as_ref().map(|temporary| WrittenTemporary {
                token: temporary.token.expose(),
                secret: temporary.secret.expose(),
            }),
            device: self.device.as_ref().map(|device| WrittenDevice {
                code: device.code.expose(),
                user_code: &device.user_code,
                verification_uri: &device.verification_uri,
                verification_uri_complete: device.verification_uri_complete.as_deref(),
            }),
            server: self.server.as_ref(),
        };
        // Large enough at once that growing leaves no copies of secrets behind: an escape makes
        // six bytes of one, and what is no secret fits into the rest.
        let mut bytes =
            Zeroizing::new(Vec::with_capacity((typed + temporary + device) * 6 + 16_384));
        // Writing texts into memory cannot fail.
        let _ = serde_json::to_writer(&mut *bytes, &written);
        bytes
    }

    /// Reads what was sealed; nothing was, in flows of the first version.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let read: Read = match bytes {
            [] => Read::default(),
            bytes => serde_json::from_slice(bytes).ok()?,
        };
        Some(Self {
            fields: read.fields,
            client: read.client,
            asked: read.asked,
            popup: read.popup,
            temporary: read.temporary,
            device: read.device,
            server: read.server,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_reads_back() {
        let text = |text: &str| SecretString::new(text.to_owned());
        let context = Context {
            fields: BTreeMap::from([("domain".to_owned(), text("ac\"me"))]),
            asked: vec!["a".into()],
            popup: true,
            temporary: Some(Temporary { token: text("t"), secret: text("s") }),
            device: Some(Device {
                code: text("d"),
                user_code: "WDJB-MJHT".into(),
                verification_uri: "https://app.example/device".into(),
                verification_uri_complete: None,
            }),
            ..Context::default()
        };
        let read = Context::read(&context.to_bytes()).unwrap();
        assert_eq!(read.fields["domain"].expose(), "ac\"me");
        assert_eq!((read.asked, read.popup), (vec!["a".to_owned()], true));
        assert_eq!(read.temporary.unwrap().secret.expose(), "s");
        assert_eq!(read.device.unwrap().user_code, "WDJB-MJHT");
        assert!(Context::read(b"").unwrap().fields.is_empty());
        assert!(Context::read(b"{").is_none());
    }
}
