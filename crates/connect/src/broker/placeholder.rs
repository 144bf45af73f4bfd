//! Texts that stand for secrets in code: unguessable, and shaped like the real thing where the
//! app's row says how that looks.

use super::link::Seed;
use aws_lc_rs::hmac;
use causeway_catalog::{App, Shape};
use causeway_types::ConnectionId;

/// What a placeholder looks like where the row does not say.
const PLAIN: &str = "cwp_{alnum:40}";

/// A placeholder for a field of a connection: of the first shape whose beginning the secret shares
/// (so that a key for tests stays one), or else of the first.
///
/// Within a sandbox it is always the same, so that clients that code keeps from one invocation to
/// the next go on working. It says nothing of the secret and is good in no other sandbox.
pub(super) fn make(
    app: Option<&App>,
    connection: ConnectionId,
    field: &str,
    secret: &str,
    seed: &Seed,
) -> String {
    let shapes = app.and_then(|app| app.looks_like.get(field)).map_or(&[][..], Vec::as_slice);
    let alike = shapes.iter().find(|shape| {
        let beginning = shape.beginning();
        !beginning.is_empty() && secret.starts_with(beginning)
    });
    let text = alike.or(shapes.first()).map_or(PLAIN, Shape::as_str);
    fill(text, &mut Stream::new(seed, connection, field))
}

/// Bytes that nobody without the seed can guess: HMAC-SHA-256 in counter mode (NIST SP 800-108).
struct Stream {
    key: hmac::Key,
    label: String,
    count: u32,
    block: Vec<u8>,
}

impl Stream {
    fn new(seed: &Seed, connection: ConnectionId, field: &str) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, seed),
            label: format!("placeholder {connection} {field}"),
            count: 0,
            block: Vec::new(),
        }
    }

    fn next(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.block.pop() {
                return byte;
            }
            self.count += 1;
            let message = format!("{} {}", self.count, self.label);
            self.block = hmac::sign(&self.key, message.as_bytes()).as_ref().to_vec();
        }
    }
}

/// The text with each `{kind:count}` replaced by as many random characters.
fn fill(shape: &str, stream: &mut Stream) -> String {
    let mut parts = shape.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((run, rest)) = part.split_once('}') else { continue };
        let (kind, count) = run.split_once(':').unwrap_or((run, "0"));
        let alphabet = Shape::alphabet(kind);
        filled.extend((0..count.parse().unwrap_or(0)).map(|_| pick(alphabet, stream)));
        filled.push_str(rest);
    }
    filled
}

/// One of the characters, each as likely as any other.
fn pick(alphabet: &[u8], stream: &mut Stream) -> char {
    let count = u8::try_from(alphabet.len()).unwrap_or(u8::MAX).max(1);
    // Numbers of the last, incomplete round would favour the first characters.
    let fair = u8::MAX - u8::MAX % count;
    loop {
        let number = stream.next();
        if number < fair {
            let at = usize::from(number % count);
            return alphabet.get(at).copied().map_or('0', char::from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_catalog::Catalog;
    use causeway_types::{Clock as _, OsRandom, SystemClock};

    #[test]
    fn placeholders_look_like_the_secrets_that_they_stand_for() {
        let catalog = Catalog::load(None).unwrap();
        let connection = ConnectionId::generate(SystemClock.now(), &OsRandom);
        let made = |app: &str, field: &str, secret: &str| {
            make(catalog.get(app).as_deref(), connection, field, secret, &[7; 32])
        };
        let plain = made("notion", "oauth_access_token", "x");
        assert!(plain.starts_with("cwp_") && plain.len() == 44, "{plain}");
        assert_eq!(plain, made("notion", "oauth_access_token", "y"), "it does not depend on it");
        assert_ne!(plain, made("notion", "oauth_refresh_token", "x"));
        let elsewhere =
            make(catalog.get("notion").as_deref(), connection, "oauth_access_token", "x", &[8; 32]);
        assert_ne!(plain, elsewhere);
        assert!(made("slack", "oauth_access_token", "xoxe.xoxb-1-x").starts_with("xoxe.xoxb-1-"));
        assert!(made("slack", "oauth_access_token", "xoxb-1").starts_with("xoxb-"));
        assert!(made("stripe", "api_key", "rk_live_abc").starts_with("rk_live_"));
        assert!(made("stripe", "api_key", "new").starts_with("sk_test_"));
        assert!(made("github", "personal_access_token", "github_pat_1").starts_with("github_pat_"));
    }
}
