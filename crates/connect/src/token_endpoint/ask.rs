//! A request to a token endpoint, part by part.

use super::{EndpointError, Prepared};
use crate::apply::{Moment, basic};
use crate::client::Client;
use crate::jws::SigningKey;
use bytes::Bytes;
use causeway_catalog::{BodyForm, ClientAuth};
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Map, Value};
use std::time::Duration;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

/// How long the assertion of a client is good.
const ASSERTION_LIFETIME: Duration = Duration::from_mins(2);

/// A request under way.
pub(crate) struct Ask {
    method: Method,
    url: Url,
    headers: HeaderMap,
    fields: Vec<(String, Zeroizing<String>)>,
}

/// A request whose body is wiped if it is not sent.
pub(super) struct Ready {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

impl Ask {
    /// A POST, as RFC 6749, section 3.2, wants it.
    pub(crate) fn post(url: Url) -> Self {
        Self::new(Method::POST, url)
    }

    /// A request by this method.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        let headers =
            HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Self { method, url, headers, fields: Vec::new() }
    }

    /// Sets a field of the body, in the place of an earlier one of this name.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let value = Zeroizing::new(value.to_owned());
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.fields.push((name.to_owned(), value)),
        }
    }

    /// The headers.
    pub(crate) fn headers(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// Lets the client prove itself. `id_param` is what the app calls `client_id`.
    ///
    /// # Errors
    /// Its id or secret cannot stand in a header, or its key does not read.
    pub(crate) fn prove(
        &mut self,
        auth: ClientAuth,
        id_param: &str,
        client: &Client,
        moment: Moment<'_>,
    ) -> Result<(), EndpointError> {
        let secret = client.secret.expose();
        match auth {
            // A public client has nothing to prove and only names itself (RFC 6749 section 3.2.1).
            _ if secret.is_empty() => self.set(id_param, &client.client_id),
            ClientAuth::None => self.set(id_param, &client.client_id),
            ClientAuth::Post => {
                self.set(id_param, &client.client_id);
                self.set("client_secret", secret);
            }
            // Both are form-encoded before they are joined (RFC 6749 section 2.3.1).
            ClientAuth::Basic => {
                let header = basic(&encoded(&client.client_id), &encoded(secret))?;
                self.headers.insert(AUTHORIZATION, header);
            }
            ClientAuth::PrivateKeyJwt => {
                let assertion = assertion(client, &self.url, moment)?;
                self.set(id_param, &client.client_id);
                self.set(
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                );
                self.set("client_assertion", &assertion);
            }
        }
        Ok(())
    }

    /// Writes the body. A request without fields has none.
    pub(crate) fn ready(self, form: BodyForm) -> Result<Prepared, EndpointError> {
        let Self { method, url, mut headers, fields } = self;
        let mut body = Zeroizing::new(Vec::new());
        if !fields.is_empty() {
            let content_type = match form {
                BodyForm::Form => {
                    body = form_body(&fields);
                    "application/x-www-form-urlencoded"
                }
                BodyForm::Json => {
                    let object = fields.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str())));
                    body = json_body(&Value::Object(object.collect::<Map<_, _>>()));
                    "application/json"
                }
            };
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        Prepared::of(Ready { method, url, headers, body })
    }

    /// Takes any JSON as the body.
    pub(crate) fn ready_with_json(self, json: &Value) -> Result<Prepared, EndpointError> {
        let Self { method, url, mut headers, .. } = self;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Prepared::of(Ready { method, url, headers, body: json_body(json) })
    }
}

impl Prepared {
    /// Checked here, so that nothing can fail between a refresh's intent and the wire.
    fn of(ready: Ready) -> Result<Self, EndpointError> {
        match ready.url.as_str().parse::<http::Uri>() {
            Ok(_) => Ok(Self(ready)),
            Err(_) => Err(EndpointError::Request),
        }
    }
}

impl Ready {
    pub(super) fn into_request(mut self) -> http::Request<Bytes> {
        let mut request = http::Request::new(Bytes::from(std::mem::take(&mut *self.body)));
        *request.method_mut() = self.method;
        // It was tried before.
        *request.uri_mut() = self.url.as_str().parse().unwrap_or_default();
        *request.headers_mut() = self.headers;
        request
    }
}

/// A client's assertion (RFC 7523, sections 2.2 and 3), for this endpoint only.
fn assertion(
    client: &Client,
    endpoint: &Url,
    moment: Moment<'_>,
) -> Result<Zeroizing<String>, EndpointError> {
    let key = SigningKey::of_pem(client.secret.expose()).ok_or(EndpointError::Key)?;
    let now = moment.now.as_secs();
    let claims = [
        ("iss", Value::from(client.client_id.as_str())),
        ("sub", client.client_id.as_str().into()),
        ("aud", endpoint.as_str().into()),
        ("jti", moment.nonce().into()),
        ("iat", now.into()),
        ("exp", (now + ASSERTION_LIFETIME.as_secs()).into()),
    ];
    let claims = claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let token = key.sign(Map::new(), claims).ok_or(EndpointError::Key)?;
    Ok(Zeroizing::new(token.expose().clone()))
}

fn encoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
}

fn form_body(fields: &[(String, Zeroizing<String>)]) -> Zeroizing<Vec<u8>> {
    let size: usize = fields.iter().map(|(name, value)| (name.len() + value.len()) * 3 + 2).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(size));
    for (name, value) in fields {
        if !body.is_empty() {
            body.push(b'&');
        }
        body.extend_from_slice(encoded(name).as_bytes());
        body.push(b'=');
        body.extend_from_slice(encoded(value).as_bytes());
    }
    body
}

fn json_body(value: &Value) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(value.to_string().into_bytes())
}
