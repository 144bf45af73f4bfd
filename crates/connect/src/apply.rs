//! Putting a credential on a request, as the app's row says.

mod aws;
mod body;
mod hmac;
pub(crate) mod oauth1;
mod send;

pub(crate) use body::add as set_fields;
pub(crate) use send::{basic, put_headers, sensitive};

use crate::client::Client;
use crate::credential::{ACCESS_TOKEN, ACCESS_TOKEN_SECRET, Stored};
use crate::{Inner, form};
use causeway_catalog::{App, AuthSchemes, Send, Signature, Template, UrlTemplate};
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded, Randomness, Timestamp};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use std::borrow::Cow;
use url::Url;
use zeroize::Zeroizing;

/// A request on its way out, as far as a credential concerns it.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: &'a http::Method,
    pub(crate) url: &'a mut Url,
    pub(crate) headers: &'a mut HeaderMap,
    /// The whole body, empty if there is none; `None` if it is streamed.
    pub(crate) body: Option<&'a mut Vec<u8>>,
}

/// A credential cannot be put on a request.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The row names a value that the connection does not have.
    #[error("putting the credential on a request: it has no `{name}`")]
    Missing {
        /// The value's name.
        name: String,
    },
    /// A value holds characters that no header takes.
    #[error("putting the credential on a request: a value cannot stand in a header")]
    Header,
    /// A key is not written as the row says.
    #[error("putting the credential on a request: the key `{name}` does not read")]
    Key {
        /// The key's field.
        name: String,
    },
    /// The credential goes into the body, and this body has no fields.
    #[error("putting the credential into a body that is neither a JSON object nor a form")]
    BodyForm,
    /// The credential goes into the body, or signs it, and the body is streamed.
    #[error("putting the credential on a request whose body is streamed")]
    Streamed,
    /// The request cannot be signed as it is.
    #[error("signing a request whose URL or headers cannot be signed")]
    Unsignable,
}

impl Coded for ApplyError {
    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } | Self::Header | Self::Key { .. } => Code::CredentialRefused,
            Self::BodyForm | Self::Streamed | Self::Unsignable => Code::InvalidRequest,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Missing { name } => format!("The connection has no `{name}`, which the app's calls need. Connect it again.").into(),
            Self::Header => "The credential holds characters that no HTTP header takes. Connect it again.".into(),
            Self::Key { name } => format!("The key in `{name}` does not read. Copy it whole, with its first and last line if it is in PEM, and connect again.").into(),
            Self::BodyForm => "This app takes its credential in the request's body. Send a JSON object or a form, with its content type.".into(),
            Self::Streamed => "This app's credential signs the request's body, or goes into it, so the body cannot be streamed. Send a smaller one with its Content-Length.".into(),
            Self::Unsignable => "The request cannot be signed: its URL or a header holds characters that are not allowed there.".into(),
        }
    }
}

/// What a template's names stand for in a connection: its own values before those of the
/// company's client.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) stored: &'a Stored,
    /// Only where the row has a use for it.
    pub(crate) client: Option<&'a Client>,
}

impl<'a> Values<'a> {
    /// Of a connection whose app needs nothing of the company's client.
    pub(crate) fn of(stored: &'a Stored) -> Self {
        Self { stored, client: None }
    }

    /// The value of this name.
    pub(crate) fn get(self, name: &str) -> Option<&'a str> {
        self.stored.value(name).or_else(|| self.client.and_then(|client| client.value(name)))
    }
}

/// What a signature has of its own: the time, and what makes it unique.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) now: Timestamp,
    pub(crate) random: &'a dyn Randomness,
}

impl Moment<'_> {
    /// 32 hexadecimal digits that nobody can guess.
    pub(crate) fn nonce(self) -> String {
        let mut bytes = [0_u8; 16];
        self.random.fill(&mut bytes);
        data_encoding::HEXLOWER.encode(&bytes)
    }
}

/// A credential and how its row says that it is sent.
pub(crate) struct Applied<'a> {
    pub(crate) app: &'a App,
    pub(crate) scheme: Scheme,
    pub(crate) values: Values<'a>,
    pub(crate) moment: Moment<'a>,
}

impl Inner {
    /// Puts a credential on a request.
    ///
    /// # Errors
    /// A value is missing, or cannot stand where the row puts it; or the body does not fit.
    pub(crate) fn apply(
        &self,
        app: &App,
        scheme: Scheme,
        values: Values<'_>,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), ApplyError> {
        let moment = Moment { now: self.clock.now(), random: &*self.random };
        Applied { app, scheme, values, moment }.put_on(outgoing)
    }
}

impl Applied<'_> {
    /// Puts the credential on a request.
    pub(crate) fn put_on(&self, outgoing: &mut Outgoing<'_>) -> Result<(), ApplyError> {
        match self.scheme {
            Scheme::None => Ok(()),
            Scheme::Basic => {
                let header = basic(self.value("username")?, self.value("password")?)?;
                outgoing.headers.insert(AUTHORIZATION, header);
                Ok(())
            }
            Scheme::Oauth1 => {
                let row = self.app.auth.oauth1.as_ref();
                let method = row.ok_or_else(|| missing("oauth1"))?.method;
                let client = self.values.client.ok_or_else(|| missing("client_id"))?;
                let signer = oauth1::Signer {
                    consumer_key: &client.client_id,
                    consumer_secret: client.secret.expose(),
                    token: Some((self.value(ACCESS_TOKEN)?, self.value(ACCESS_TOKEN_SECRET)?)),
                    method,
                    realm: None,
                    more: &[],
                };
                signer.put_on(outgoing, self.moment)
            }
            Scheme::Signature => match &self.app.auth.signature {
                Some(row) => self.sign(row, outgoing),
                None => Err(missing("signature")),
            },
            _ => match send_of(&self.app.auth, self.scheme) {
                Some(send) => self.send(send, outgoing),
                None => self.bearer(outgoing),
            },
        }
    }

    fn sign(&self, row: &Signature, outgoing: &mut Outgoing<'_>) -> Result<(), ApplyError> {
        if let Some(aws) = &row.aws_sigv4 {
            return self.sign_aws(aws, outgoing);
        }
        if let Some(hmac) = &row.hmac {
            return self.sign_hmac(hmac, outgoing);
        }
        let Some(own) = &row.oauth1 else { return Err(missing("signature")) };
        let realm = match &own.realm {
            Some(template) => self.fill(template)?,
            None => None,
        };
        let signer = oauth1::Signer {
            consumer_key: self.value(own.consumer_key.as_str())?,
            consumer_secret: self.value(own.consumer_secret.as_str())?,
            token: Some((self.value(own.token.as_str())?, self.value(own.token_secret.as_str())?)),
            method: own.method,
            realm: realm.as_ref().map(|realm| realm.as_str()),
            more: &[],
        };
        signer.put_on(outgoing, self.moment)
    }

    /// RFC 6750, section 2.1.
    fn bearer(&self, outgoing: &mut Outgoing<'_>) -> Result<(), ApplyError> {
        let text = Zeroizing::new(format!("Bearer {}", self.value(ACCESS_TOKEN)?));
        outgoing.headers.insert(AUTHORIZATION, sensitive(&text)?);
        Ok(())
    }

    /// A value that has to be there.
    fn value(&self, name: &str) -> Result<&str, ApplyError> {
        self.values.get(name).ok_or_else(|| missing(name))
    }

    /// The text of a template; `None` if it names a field that may be left empty and was.
    pub(crate) fn fill(
        &self,
        template: &Template,
    ) -> Result<Option<Zeroizing<String>>, ApplyError> {
        self.fill_with(template, |name| self.values.get(name))
    }

    /// The same with more names than those of the connection.
    pub(crate) fn fill_with<'v>(
        &self,
        template: &Template,
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<Option<Zeroizing<String>>, ApplyError> {
        if let Some(text) = template.fill(&value) {
            return Ok(Some(Zeroizing::new(text)));
        }
        match template
            .fields()
            .find(|name| value(name).is_none() && !form::is_optional(self.app, self.scheme, name))
        {
            Some(name) => Err(missing(name)),
            None => Ok(None),
        }
    }

    /// Why an address cannot be filled in: the name that has no value, or one that cannot stand in
    /// a host.
    pub(crate) fn nowhere(&self, template: &UrlTemplate) -> ApplyError {
        let unknown = template.fields().find(|name| self.values.get(name).is_none());
        let name = unknown.or_else(|| template.host_fields().next());
        missing(name.unwrap_or_default())
    }
}

fn missing(name: &str) -> ApplyError {
    ApplyError::Missing { name: name.to_owned() }
}

/// Whether a request of this content type can carry the credential only if its whole body is in
/// memory: the credential signs it or goes into it.
pub(crate) fn needs_whole_body(app: &App, scheme: Scheme, headers: &HeaderMap) -> bool {
    let form = || body::kind(headers) == Some(body::Kind::Form);
    match scheme {
        Scheme::Oauth1 => form(),
        Scheme::Signature => app.auth.signature.as_ref().is_some_and(|row| {
            row.aws_sigv4.as_ref().is_some_and(|aws| !aws::is_s3(aws))
                || row.hmac.as_ref().is_some_and(hmac::reads_body)
                || (row.oauth1.is_some() && form())
        }),
        _ => send_of(&app.auth, scheme)
            .is_some_and(|send| !send.body.is_empty() && headers.contains_key(CONTENT_TYPE)),
    }
}

/// Whether the company's client has a part in the requests of a connection by this scheme.
pub(crate) fn needs_client(app: &App, scheme: Scheme) -> bool {
    scheme == Scheme::Oauth1
        || !app.client_fields.is_empty()
        || app.api.headers.values().any(|text| text.fields().any(|name| name == "client_id"))
        || send_of(&app.auth, scheme).is_some_and(|send| {
            let texts = send.headers.values().chain(send.query.values()).chain(send.body.values());
            let basic = send
                .basic
                .iter()
                .flat_map(|pair| std::iter::once(&pair.username).chain(pair.password.as_ref()));
            texts.chain(basic).any(|text| text.fields().any(|name| name == "client_id"))
        })
}

/// What the row says of this scheme.
pub(crate) fn send_of(auth: &AuthSchemes, scheme: Scheme) -> Option<&Send> {
    match scheme {
        Scheme::Oauth2 | Scheme::Device => auth.oauth2.as_ref()?.send.as_ref(),
        Scheme::ClientCredentials => auth.client_credentials.as_ref()?.send.as_ref(),
        Scheme::Jwt => auth.jwt.as_ref()?.send.as_ref(),
        Scheme::ApiKey => auth.api_key.as_ref().map(|row| &row.send),
        Scheme::TokenExchange => auth.token_exchange.as_ref()?.send.as_ref(),
        Scheme::Installation => auth.installation.as_ref()?.send.as_ref(),
        Scheme::Oauth1 | Scheme::Basic | Scheme::Signature | Scheme::Mcp | Scheme::None => None,
    }
}

#[cfg(test)]
mod tests;
