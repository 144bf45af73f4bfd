//! The headers by which a receiver knows that a message is Causeway's, whole and not a replay.

use crate::target::{Target, key};
use aws_lc_rs::hmac;
use causeway_types::entity::WebhookSignature;
use causeway_types::{SecretString, Timestamp, WebhookMessageId};
use data_encoding::{BASE64, HEXLOWER};
use http::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const SVIX_ID: HeaderName = HeaderName::from_static("svix-id");
const SVIX_TIMESTAMP: HeaderName = HeaderName::from_static("svix-timestamp");
const SVIX_SIGNATURE: HeaderName = HeaderName::from_static("svix-signature");
const X_PD_SIGNATURE: HeaderName = HeaderName::from_static("x-pd-signature");

/// A message could not be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    /// A secret is not one.
    #[error("signing a webhook: the endpoint's secret is corrupt")]
    Secret,
    /// What came of it is no header.
    #[error("signing a webhook")]
    Header(#[from] InvalidHeaderValue),
}

/// The headers of one attempt at `now`. While a rotated secret overlaps, there is a signature by
/// each.
pub(crate) fn headers(
    style: WebhookSignature,
    target: &Target,
    id: WebhookMessageId,
    body: &[u8],
    now: Timestamp,
) -> Result<HeaderMap, SignError> {
    let (id, seconds) = (id.to_string(), now.as_secs().to_string());
    let mut headers = HeaderMap::new();
    headers.insert(ID, value(&id)?);
    match style {
        WebhookSignature::Standard => {
            let head = format!("{id}.{seconds}.");
            let mut signatures = Vec::new();
            for secret in target.secrets(now) {
                let key = key(secret).ok_or(SignError::Secret)?;
                signatures.push(format!("v1,{}", BASE64.encode(&sign(&key, &head, body))));
            }
            let signatures = value(&signatures.join(" "))?;
            headers.insert(SVIX_ID, value(&id)?);
            for name in [TIMESTAMP, SVIX_TIMESTAMP] {
                headers.insert(name, value(&seconds)?);
            }
            for name in [SIGNATURE, SVIX_SIGNATURE] {
                headers.insert(name, signatures.clone());
            }
        }
        WebhookSignature::XPd => {
            let head = format!("{seconds}.");
            let signature = |secret: &SecretString| {
                let signed = sign(secret.expose().as_bytes(), &head, body);
                format!(",v1={}", HEXLOWER.encode(&signed))
            };
            let signatures: String = target.secrets(now).map(signature).collect();
            headers.insert(X_PD_SIGNATURE, value(&format!("t={seconds}{signatures}"))?);
        }
    }
    Ok(headers)
}

/// HMAC-SHA256 over the head and the body.
fn sign(key: &[u8], head: &str, body: &[u8]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(head.as_bytes());
    context.update(body);
    context.sign().as_ref().to_vec()
}

fn value(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's reference implementations: secret, id, time and body.
    #[test]
    fn a_known_message_has_its_known_signature() {
        let key = BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed =
            sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.", br#"{"test": 2432232314}"#);
        assert_eq!(BASE64.encode(&signed), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
