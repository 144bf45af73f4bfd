//! The `state` of a flow: signed, single-use, bound to its session and its browser.
//!
//! A state is `<flow>.<workspace>.<signature>`. The signature is HMAC-SHA256 over the flow, the
//! workspace, the connect session and the digest of the browser's cookie, under a key that was
//! made for this one flow and is kept sealed in the flow's row beside the PKCE verifier. So any
//! node can check it, also after a restart; there is no long-lived signing key to rotate or to
//! steal; and a copy of the database signs nothing, because only the vault opens the key.

use aws_lc_rs::{digest, hmac};
use causeway_types::{
    ConnectSessionId, OAuthFlowId, Randomness, SecretBytes, SecretString, WorkspaceId,
};
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

const HALF: usize = 32;

/// The secrets of one flow: 256 bits that become the PKCE verifier, and 256 bits that sign. What
/// else a flow has to remember is sealed behind them.
pub(crate) struct FlowSecret(SecretBytes);

/// What a state is bound to.
#[derive(Clone, Copy)]
pub(crate) struct Binding<'a> {
    pub(crate) flow: OAuthFlowId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) session: ConnectSessionId,
    pub(crate) browser: &'a [u8],
}

/// A state as it came back, not yet checked.
pub(crate) struct Received<'a> {
    pub(crate) flow: OAuthFlowId,
    pub(crate) workspace: WorkspaceId,
    signature: &'a str,
}

impl FlowSecret {
    pub(crate) fn generate(random: &dyn Randomness) -> Self {
        let mut bytes = vec![0; 2 * HALF];
        random.fill(&mut bytes);
        Self(SecretBytes::new(bytes))
    }

    /// From what the vault opened, and what stands behind it.
    pub(crate) fn from_opened(opened: &SecretBytes) -> Option<(Self, &[u8])> {
        let (secret, rest) = opened.expose().split_at_checked(2 * HALF)?;
        Some((Self(SecretBytes::new(secret.to_vec())), rest))
    }

    /// What to seal, with this behind it.
    pub(crate) fn to_seal(&self, rest: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.0.expose(), rest].concat())
    }

    /// The PKCE verifier: 43 characters (RFC 7636 section 4.1).
    pub(crate) fn verifier(&self) -> SecretString {
        SecretString::new(BASE64URL_NOPAD.encode(self.halves().0))
    }

    /// The PKCE challenge by S256 (RFC 7636 section 4.2).
    pub(crate) fn challenge(&self) -> String {
        let verifier = self.verifier();
        BASE64URL_NOPAD
            .encode(digest::digest(&digest::SHA256, verifier.expose().as_bytes()).as_ref())
    }

    /// The state for this binding.
    pub(crate) fn sign(&self, binding: Binding<'_>) -> String {
        let signature = hmac::sign(&self.key(), &signed(binding));
        let signature = BASE64URL_NOPAD.encode(signature.as_ref());
        format!("{}.{}.{signature}", binding.flow, binding.workspace)
    }

    /// Whether the state was made for this binding, in constant time.
    pub(crate) fn verify(&self, received: &Received<'_>, binding: Binding<'_>) -> bool {
        BASE64URL_NOPAD
            .decode(received.signature.as_bytes())
            .is_ok_and(|signature| hmac::verify(&self.key(), &signed(binding), &signature).is_ok())
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.halves().1)
    }

    fn halves(&self) -> (&[u8], &[u8]) {
        self.0.expose().split_at_checked(HALF).unwrap_or_default()
    }
}

/// The signed bytes: each part preceded by its length.
fn signed(binding: Binding<'_>) -> Zeroizing<Vec<u8>> {
    let parts = [
        b"causeway oauth state v1".to_vec(),
        binding.flow.to_string().into_bytes(),
        binding.workspace.to_string().into_bytes(),
        binding.session.to_string().into_bytes(),
        binding.browser.to_vec(),
    ];
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    for part in parts {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(&part);
    }
    bytes
}

/// Takes a state apart.
pub(crate) fn read(text: &str) -> Option<Received<'_>> {
    let mut parts = text.split('.');
    let received = Received {
        flow: parts.next()?.parse().ok()?,
        workspace: parts.next()?.parse().ok()?,
        signature: parts.next()?,
    };
    parts.next().is_none().then_some(received)
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::{Clock as _, OsRandom, SystemClock};
    use proptest::prelude::*;

    fn binding(browser: &[u8]) -> Binding<'_> {
        let now = SystemClock.now();
        Binding {
            flow: OAuthFlowId::generate(now, &OsRandom),
            workspace: WorkspaceId::generate(now, &OsRandom),
            session: ConnectSessionId::generate(now, &OsRandom),
            browser,
        }
    }

    #[test]
    fn a_state_is_good_for_its_own_binding_only() {
        let secret = FlowSecret::generate(&OsRandom);
        let own = binding(b"browser");
        let text = secret.sign(own);
        let received = read(&text).unwrap();
        assert!(secret.verify(&received, own));
        assert!(!secret.verify(&received, Binding { browser: b"another", ..own }));
        assert!(!secret.verify(&received, Binding { session: binding(b"").session, ..own }));
        assert!(!secret.verify(&received, Binding { flow: binding(b"").flow, ..own }));
        assert!(!secret.verify(&received, Binding { workspace: binding(b"").workspace, ..own }));
        assert!(!FlowSecret::generate(&OsRandom).verify(&received, own));
    }

    #[test]
    fn the_challenge_is_the_one_of_rfc_7636_appendix_b() {
        let octets = [
            116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212,
            37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
        ];
        let secret = FlowSecret(SecretBytes::new([octets, [0; 32]].concat()));
        assert_eq!(secret.verifier().expose(), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(secret.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,120}") {
            let _ = read(&text);
        }
    }
}
