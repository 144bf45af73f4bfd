//! A request of a client: its parameters, and how it proves itself (RFC 6749 section 2.3).

use super::error::OAuthError;
use crate::extract::{media_type, unreadable_body};
use crate::{Api, rate_limit};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use causeway_identity::{ClientProof, ProvenClient};
use causeway_types::SecretString;
use data_encoding::BASE64;
use serde::Deserialize;
use url::form_urlencoded;

/// The type of assertion (RFC 7523 section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What an endpoint asks beside the client's proof.
pub(crate) trait Asked: Sized + Send {
    /// Takes it from the parameters.
    fn take(parameters: &mut Parameters) -> Result<Self, OAuthError>;
}

/// A client that has proved itself, and what it asks for: naming it as an argument is how a route
/// says that programs' clients may use it.
pub(crate) struct Client<T>(pub(super) ProvenClient, pub(super) T);

/// The parameters that are known; others are ignored (RFC 6749 section 3.2).
#[derive(Default, Deserialize)]
pub(crate) struct Parameters {
    pub(super) grant_type: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) token: Option<SecretString>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    client_assertion_type: Option<String>,
    client_assertion: Option<SecretString>,
}

impl<T: Asked> FromRequest<Api> for Client<T> {
    type Rejection = OAuthError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, OAuthError> {
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), api)
            .await
            .map_err(|rejection| OAuthError::Problem(unreadable_body(&rejection)))?;
        let mut parameters = read(&parts.headers, &bytes)?;
        let asked = T::take(&mut parameters)?;
        let client = api.machine().prove(parameters.proof(&parts.headers)?).await?;
        // Who has not proved that he is the client uses up nothing of its quota.
        rate_limit::charge_client(&parts, api, client.id())
            .map_err(|problem| OAuthError::limited(&problem))?;
        Ok(Self(client, asked))
    }
}

fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Parameters, OAuthError> {
    let kind = headers.get(header::CONTENT_TYPE).map(media_type).unwrap_or_default();
    let mut parameters = match kind.as_str() {
        "application/x-www-form-urlencoded" => Parameters::of_form(bytes)?,
        "application/json" => {
            let object = bytes.trim_ascii_start().first() == Some(&b'{');
            let read = serde_json::from_slice(bytes).ok().filter(|_| object);
            read.ok_or_else(|| {
                OAuthError::request("The body is not a JSON object of texts, each named once.")
            })?
        }
        _ => {
            return Err(OAuthError::request(
                "Send a form (application/x-www-form-urlencoded) or JSON (application/json).",
            ));
        }
    };
    parameters.drop_empty();
    Ok(parameters)
}

impl Parameters {
    fn of_form(bytes: &[u8]) -> Result<Self, OAuthError> {
        let mut found = Self::default();
        for (name, value) in form_urlencoded::parse(bytes) {
            let taken = match &*name {
                "grant_type" => found.grant_type.replace(value.into_owned()).is_some(),
                "scope" => found.scope.replace(value.into_owned()).is_some(),
                "client_id" => found.client_id.replace(value.into_owned()).is_some(),
                "client_assertion_type" => {
                    found.client_assertion_type.replace(value.into_owned()).is_some()
                }
                "token" => found.token.replace(SecretString::new(value.into_owned())).is_some(),
                "client_secret" => {
                    found.client_secret.replace(SecretString::new(value.into_owned())).is_some()
                }
                "client_assertion" => {
                    found.client_assertion.replace(SecretString::new(value.into_owned())).is_some()
                }
                _ => false,
            };
            if taken {
                return Err(OAuthError::request(format!("`{name}` is sent twice.")));
            }
        }
        Ok(found)
    }

    /// A parameter without a value is none (RFC 6749 section 3.2).
    fn drop_empty(&mut self) {
        for text in [
            &mut self.grant_type,
            &mut self.scope,
            &mut self.client_id,
            &mut self.client_assertion_type,
        ] {
            text.take_if(|text| text.is_empty());
        }
        for secret in [&mut self.token, &mut self.client_secret, &mut self.client_assertion] {
            secret.take_if(|secret| secret.expose().is_empty());
        }
    }

    /// How the client proves itself: in one way, not in two.
    fn proof(self, headers: &HeaderMap) -> Result<ClientProof, OAuthError> {
        let basic = headers.get(header::AUTHORIZATION).map(basic).transpose()?;
        match (basic, self.client_secret, self.client_assertion) {
            (Some((client_id, secret)), None, None) => {
                if self.client_id.is_some_and(|other| other != client_id) {
                    return Err(OAuthError::request(
                        "`client_id` is another one than the Authorization header's.",
                    ));
                }
                Ok(ClientProof::Secret { client_id, secret, method: "client_secret_basic" })
            }
            (None, Some(secret), None) => {
                let client_id =
                    self.client_id.ok_or_else(|| OAuthError::request("`client_id` is missing."))?;
                Ok(ClientProof::Secret { client_id, secret, method: "client_secret_post" })
            }
            (None, None, Some(assertion)) => {
                if self.client_assertion_type.as_deref() != Some(ASSERTION_TYPE) {
                    return Err(OAuthError::request(format!(
                        "`client_assertion_type` must be `{ASSERTION_TYPE}`."
                    )));
                }
                Ok(ClientProof::Assertion { client_id: self.client_id, assertion })
            }
            (None, None, None) => Err(OAuthError::client(
                "The client does not prove itself. Send its id and secret, or an assertion.",
            )),
            _ => Err(OAuthError::request("The client proves itself in more than one way.")),
        }
    }
}

/// Id and secret of a Basic header, each form-encoded (RFC 6749 section 2.3.1).
fn basic(header: &HeaderValue) -> Result<(String, SecretString), OAuthError> {
    let wrong =
        || OAuthError::client("The Authorization header is not `Basic` with id and secret.");
    let (scheme, credentials) =
        header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let bytes = BASE64.decode(credentials.trim().as_bytes()).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map(SecretString::new).map_err(|_| wrong())?;
    let (id, secret) = text.expose().split_once(':').ok_or_else(wrong)?;
    Ok((decoded(id), SecretString::new(decoded(secret))))
}

/// A form-encoded text. Ids and secrets of ours have no character that would be encoded; some
/// clients encode all the same.
fn decoded(text: &str) -> String {
    form_urlencoded::parse(text.as_bytes()).next().map_or(String::new(), |(text, _)| text.into())
}
