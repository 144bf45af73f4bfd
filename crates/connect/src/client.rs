//! The company's own client at an app, opened.

use crate::Inner;
use causeway_types::entity::OAuthClient;
use causeway_types::{Place, SecretBytes, SecretString};
use causeway_vault::VaultError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What stands before a sealed secret that has fields beside it. No client secret begins with a
/// control character.
const WITH_FIELDS: u8 = 1;

/// The company's client.
#[expect(clippy::struct_field_names, reason = "`client_id` is OAuth's own word for it")]
pub(crate) struct Client {
    pub(crate) client_id: String,
    /// Empty for a public client.
    pub(crate) secret: SecretString,
    /// What the row asks for in `client_fields`.
    pub(crate) fields: BTreeMap<String, SecretString>,
}

#[derive(Deserialize)]
struct Read {
    secret: SecretString,
    fields: BTreeMap<String, SecretString>,
}

#[derive(Serialize)]
struct Written<'a> {
    secret: &'a str,
    fields: BTreeMap<&'a str, &'a str>,
}

impl Client {
    /// A client without fields.
    pub(crate) fn new(client_id: String, secret: SecretString) -> Self {
        Self { client_id, secret, fields: BTreeMap::new() }
    }

    /// The bytes to seal for a client: the secret itself, or, if there are fields, both as JSON.
    pub(crate) fn to_seal(
        secret: &str,
        fields: &BTreeMap<String, SecretString>,
    ) -> Zeroizing<Vec<u8>> {
        if fields.is_empty() {
            return Zeroizing::new(secret.as_bytes().to_vec());
        }
        let size: usize = fields.iter().map(|(k, v)| k.len() + v.expose().len() + 8).sum();
        let fields = fields.iter().map(|(k, v)| (k.as_str(), v.expose().as_str())).collect();
        // Large enough at once that growing leaves no copies: an escape makes six bytes of one.
        let mut bytes = Zeroizing::new(Vec::with_capacity((size + secret.len()) * 6 + 64));
        bytes.push(WITH_FIELDS);
        // Writing texts into memory cannot fail.
        let _ = serde_json::to_writer(&mut *bytes, &Written { secret, fields });
        bytes
    }

    /// From what the vault opened. What is not text proves nothing and is refused by the app.
    pub(crate) fn from_opened(client_id: String, opened: SecretBytes) -> Self {
        if let Some((&WITH_FIELDS, json)) = opened.expose().split_first()
            && let Ok(Read { secret, fields }) = serde_json::from_slice(json)
        {
            return Self { client_id, secret, fields };
        }
        Self::new(client_id, opened.into_text().unwrap_or_else(|| SecretString::new(String::new())))
    }

    /// The value of this name in the templates of a row.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        match self.fields.get(name) {
            Some(value) => Some(value.expose()),
            None => (name == "client_id").then_some(self.client_id.as_str()),
        }
    }
}

impl Inner {
    /// Opens a client.
    pub(crate) async fn open_client(&self, row: &OAuthClient) -> Result<Client, VaultError> {
        let place = Place::OAuthClientSecret(row.id);
        let opened = self.vault.open(row.workspace_id, &place, &row.secret).await?;
        Ok(Client::from_opened(row.client_id.clone(), opened))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_reads_back() {
        let open =
            |bytes: &[u8]| Client::from_opened("id".into(), SecretBytes::new(bytes.to_vec()));
        let plain = open(&Client::to_seal("s3cret", &BTreeMap::new()));
        assert_eq!(
            (plain.secret.expose().as_str(), plain.value("client_id")),
            ("s3cret", Some("id"))
        );
        let fields = BTreeMap::from([("token".to_owned(), SecretString::new("t\"1".into()))]);
        let with = open(&Client::to_seal("s3cret", &fields));
        assert_eq!(with.secret.expose(), "s3cret");
        assert_eq!((with.value("token"), with.value("other")), (Some("t\"1"), None));
        assert_eq!(open(b"").secret.expose(), "");
        assert_eq!(open(b"\xff\xfe").secret.expose(), "");
    }
}
