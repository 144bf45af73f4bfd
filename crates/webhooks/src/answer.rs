//! The beginning of what an endpoint answers, for whoever looks for the reason of a failure.

use crate::limits;
use crate::target::{Target, key};
use causeway_net::Response;
use causeway_types::{SecretString, Timestamp};
use causeway_vault::Redactor;
use std::time::Duration;

/// How long the body of an answer is waited for: the status has decided already.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much is read, in bytes: so much more than is kept that masking leaves enough, and that no
/// secret is cut in two at the end of what is kept.
const READ: usize = 16 * limits::ANSWER;

/// Reads the beginning of an answer and masks the endpoint's secrets in it, and the token that the
/// message named; none if it is empty.
pub(crate) async fn beginning(
    response: Response,
    target: &Target,
    token: Option<&SecretString>,
    now: Timestamp,
) -> Option<String> {
    let mut bytes = Vec::new();
    // What has come in time counts; why no more came says nothing of the delivery.
    let _ = tokio::time::timeout(PATIENCE, read(response, &mut bytes)).await;
    bytes.truncate(READ);
    let text = masked(&String::from_utf8_lossy(&bytes), target, token, now);
    (!text.is_empty()).then_some(text)
}

async fn read(mut response: Response, bytes: &mut Vec<u8>) {
    while bytes.len() < READ {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => return,
        }
    }
}

fn masked(text: &str, target: &Target, token: Option<&SecretString>, now: Timestamp) -> String {
    let keys: Vec<_> = target.secrets(now).filter_map(key).collect();
    let secrets = target.secrets(now).chain(token).map(|secret| secret.expose().as_bytes());
    let Ok(redactor) = Redactor::new(secrets.chain(keys.iter().map(|key| key.as_slice()))) else {
        return String::new();
    };
    let text = redactor.redact(text);
    let end = (0..=limits::ANSWER.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::OsRandom;
    use data_encoding::HEXLOWER;

    #[test]
    fn secrets_are_masked_and_the_rest_is_cut() {
        let now = Timestamp::from_micros(0);
        let target = Target::new("https://example.com/".parse().unwrap(), &OsRandom);
        let secret = target.secret.expose();
        let bare = secret.strip_prefix("whsec_").unwrap();
        let hex = HEXLOWER.encode(&key(&target.secret).unwrap());
        let token = SecretString::new("ctok_canary-4a7e".into());
        for form in [secret.as_str(), bare, &hex, token.expose()] {
            let masked = masked(&format!("you sent {form}!"), &target, Some(&token), now);
            assert!(!masked.contains(form) && masked.starts_with("you sent "), "{masked}");
        }
        let long = format!("{}{secret}", "é".repeat(limits::ANSWER / 2 - 3));
        let masked = masked(&long, &target, None, now);
        assert!(masked.len() <= limits::ANSWER && !masked.contains("whsec"), "{masked}");
    }
}
