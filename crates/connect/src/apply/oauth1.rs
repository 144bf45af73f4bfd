//! Signing requests by OAuth 1.0a (RFC 5849, section 3).

use super::{ApplyError, Moment, Outgoing, body, sensitive};
use aws_lc_rs::hmac;
use causeway_catalog::OAuth1Method;
use data_encoding::BASE64;
use http::header::{AUTHORIZATION, HeaderValue};
use url::{Position, Url, form_urlencoded};
use zeroize::Zeroizing;

/// Who signs, and how.
#[derive(Clone, Copy)]
pub(crate) struct Signer<'a> {
    pub(crate) consumer_key: &'a str,
    pub(crate) consumer_secret: &'a str,
    /// The token and its secret, if there is one yet.
    pub(crate) token: Option<(&'a str, &'a str)>,
    pub(crate) method: OAuth1Method,
    pub(crate) realm: Option<&'a str>,
    /// More parameters of the protocol, like `oauth_callback`.
    pub(crate) more: &'a [(&'a str, &'a str)],
}

impl Signer<'_> {
    /// Puts the header on a request.
    pub(crate) fn put_on(
        &self,
        outgoing: &mut Outgoing<'_>,
        moment: Moment<'_>,
    ) -> Result<(), ApplyError> {
        let is_form = body::kind(outgoing.headers) == Some(body::Kind::Form);
        let form = match outgoing.body.as_deref() {
            // Section 3.4.1.3.1: the parameters of a form are signed, other bodies are not.
            Some(form) if is_form => form.as_slice(),
            None if is_form && self.method != OAuth1Method::Plaintext => {
                return Err(ApplyError::Streamed);
            }
            _ => b"",
        };
        let header = self.header(outgoing.method, outgoing.url, form, moment)?;
        outgoing.headers.insert(AUTHORIZATION, header);
        Ok(())
    }

    /// The value of `Authorization` (section 3.5.1).
    pub(crate) fn header(
        &self,
        method: &http::Method,
        url: &Url,
        form: &[u8],
        moment: Moment<'_>,
    ) -> Result<HeaderValue, ApplyError> {
        let timestamp = moment.now.as_secs().to_string();
        self.header_at(method, url, form, &timestamp, &moment.nonce())
    }

    fn header_at(
        &self,
        method: &http::Method,
        url: &Url,
        form: &[u8],
        timestamp: &str,
        nonce: &str,
    ) -> Result<HeaderValue, ApplyError> {
        let mut own = vec![
            ("oauth_consumer_key", self.consumer_key),
            ("oauth_nonce", nonce),
            ("oauth_signature_method", method_name(self.method)),
            ("oauth_timestamp", timestamp),
            ("oauth_version", "1.0"),
        ];
        own.extend(self.token.map(|(token, _)| ("oauth_token", token)));
        own.extend_from_slice(self.more);
        let signature = self.signature(&base_string(method, url, form, &own));
        own.push(("oauth_signature", &signature));
        let realm = self.realm.map(|realm| ("realm", realm));
        let mut text = Zeroizing::new("OAuth ".to_owned());
        for (index, (name, value)) in realm.into_iter().chain(own).enumerate() {
            text.push_str(if index == 0 { "" } else { ", " });
            text.push_str(name);
            text.push_str("=\"");
            text.push_str(&encoded(value.as_bytes()));
            text.push('"');
        }
        sensitive(&text)
    }

    /// Section 3.4.2 and 3.4.4.
    fn signature(&self, base: &str) -> String {
        let secret = self.token.map_or("", |(_, secret)| secret);
        let key = Zeroizing::new(format!(
            "{}&{}",
            encoded(self.consumer_secret.as_bytes()),
            encoded(secret.as_bytes())
        ));
        let algorithm = match self.method {
            OAuth1Method::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            OAuth1Method::HmacSha256 => hmac::HMAC_SHA256,
            OAuth1Method::Plaintext => return key.to_string(),
        };
        let key = hmac::Key::new(algorithm, key.as_bytes());
        BASE64.encode(hmac::sign(&key, base.as_bytes()).as_ref())
    }
}

fn method_name(method: OAuth1Method) -> &'static str {
    match method {
        OAuth1Method::HmacSha1 => "HMAC-SHA1",
        OAuth1Method::HmacSha256 => "HMAC-SHA256",
        OAuth1Method::Plaintext => "PLAINTEXT",
    }
}

/// Section 3.4.1: method, base URI and all parameters, sorted.
fn base_string(method: &http::Method, url: &Url, form: &[u8], own: &[(&str, &str)]) -> String {
    let query = form_urlencoded::parse(url.query().unwrap_or_default().as_bytes());
    let mut pairs: Vec<(String, String)> = query
        .chain(form_urlencoded::parse(form))
        .map(|(name, value)| (encoded(name.as_bytes()), encoded(value.as_bytes())))
        .chain(
            own.iter().map(|(name, value)| (encoded(name.as_bytes()), encoded(value.as_bytes()))),
        )
        .collect();
    pairs.sort();
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    // The URL standard has put scheme and host in lower case and left default ports out.
    let base = &url[..Position::AfterPath];
    format!("{method}&{}&{}", encoded(base.as_bytes()), encoded(pairs.join("&").as_bytes()))
}

/// Section 3.6.
fn encoded(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(*byte));
        } else {
            // Writing into memory cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 5849, section 1.2, which leaves the optional `oauth_version` out.
    #[test]
    fn requests_are_signed_as_in_the_example_of_the_rfc() {
        let signature = |token, method: &str, url: &str, own: &[(&str, &str)]| {
            let signer = Signer {
                consumer_key: "dpf43f3p2l4k3l03",
                consumer_secret: "kd94hf93k423kf44",
                token: Some(token),
                method: OAuth1Method::HmacSha1,
                realm: Some("Photos"),
                more: &[],
            };
            let mut all = vec![
                ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
                ("oauth_signature_method", "HMAC-SHA1"),
                ("oauth_token", token.0),
            ];
            all.extend_from_slice(own);
            let base = base_string(&method.parse().unwrap(), &url.parse().unwrap(), b"", &all);
            signer.signature(&base)
        };
        let own = [
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "walatlh"),
            ("oauth_verifier", "hfdp7dh39dks9884"),
        ];
        let url = "https://photos.example.net/token";
        let exchange = signature(("hh5s93j4hdidpola", "hdhd0244k9j7ao03"), "POST", url, &own);
        assert_eq!(exchange, "gKgrFCywp7rO0OXSjdot/IHF7IU=");
        let own = [("oauth_timestamp", "137131202"), ("oauth_nonce", "chapoH")];
        let url = "http://photos.example.net/photos?file=vacation.jpg&size=original";
        let photo = signature(("nnch734d00sl2jdk", "pfkkdhi9sl3r4s00"), "GET", url, &own);
        assert_eq!(photo, "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
    }

    /// The example of RFC 5849, sections 3.4.1.1 and 3.4.1.3.1.
    #[test]
    fn the_base_string_is_that_of_the_rfc() {
        let url = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b".parse().unwrap();
        let own = [
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ];
        assert_eq!(
            base_string(&http::Method::POST, &url, b"c2&a3=2+q", &own),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    #[test]
    fn plaintext_sends_the_secrets_and_names_them_as_sensitive() {
        let signer = Signer {
            consumer_key: "k",
            consumer_secret: "c s",
            token: Some(("t", "x&y")),
            method: OAuth1Method::Plaintext,
            realm: None,
            more: &[],
        };
        let url = "https://api.example.com/".parse().unwrap();
        let header = signer.header_at(&http::Method::GET, &url, b"", "1", "n").unwrap();
        assert!(header.is_sensitive());
        let text = header.to_str().unwrap();
        assert!(text.starts_with("OAuth oauth_consumer_key=\"k\", "), "{text}");
        assert!(text.ends_with("oauth_signature=\"c%2520s%26x%2526y\""), "{text}");
    }
}
