//! How clients prove themselves at token endpoints.

use super::{Client, Plan};
use crate::seen::{Fault, Fields, Seen};
use causeway_catalog::{ClientAuth, JwtAlgorithm};
use causeway_types::Timestamp;
use url::form_urlencoded::byte_serialize;

/// RFC 7523, section 2.2.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who proves itself, and what it is called.
pub(super) struct Prover<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
    pub(super) id_param: &'a str,
}

impl Plan {
    /// Checks the proof in a request, and takes what it has of it from the body.
    pub(super) fn check_proof(
        &self,
        auth: ClientAuth,
        client: &Prover<'_>,
        seen: &Seen,
        body: &mut Fields,
        now: Timestamp,
    ) -> Result<(), Fault> {
        if auth != ClientAuth::Basic && seen.header("authorization").is_some() {
            return Err("it has an Authorization header, which the row does not say".into());
        }
        match auth {
            ClientAuth::Basic => {
                // RFC 6749, section 2.3.1: both are form-encoded first.
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                if seen.basic() == Some((encoded(client.id), encoded(client.secret))) {
                    return Ok(());
                }
                Err("the client does not prove itself by HTTP Basic".into())
            }
            ClientAuth::Post => {
                body.expect(client.id_param, client.id)?;
                body.expect("client_secret", client.secret)
            }
            ClientAuth::None => body.expect(client.id_param, client.id),
            ClientAuth::PrivateKeyJwt => {
                body.expect("client_assertion_type", ASSERTION)?;
                let token = body.need("client_assertion")?;
                if body.take(client.id_param).is_some_and(|id| id != client.id) {
                    return Err("it names another client than its assertion".into());
                }
                let (_, mut claims) =
                    super::jwt::read(&token, JwtAlgorithm::RS256, |message, signature| {
                        self.keys.has_signed(JwtAlgorithm::RS256, message, signature)
                    })?;
                let endpoint = seen.url.as_str().split('?').next().unwrap_or_default();
                for (name, wanted) in [("iss", client.id), ("sub", client.id), ("aud", endpoint)] {
                    super::jwt::expect(&mut claims, name, wanted)?;
                }
                if super::jwt::number(&mut claims, "exp")? <= now.as_secs() {
                    return Err("the client's assertion has expired".into());
                }
                claims.remove("jti").map(|_| ()).ok_or("the client's assertion has no jti".into())
            }
        }
    }
}

impl Client {
    /// Where it is called by this name.
    pub(super) fn at<'a>(&'a self, id_param: &'a str) -> Prover<'a> {
        Prover { id: &self.id, secret: &self.secret, id_param }
    }
}
