//! The secrets of a flow, and the `state` that they sign.
//!
//! A state is `<flow>.<signature>`. The signature is HMAC-SHA256 over the flow, its provider, what
//! it is for and the digest of the browser's cookie, under a key that was made for this one flow
//! and stands sealed in the flow's row beside the PKCE verifier and the nonce. So any node can
//! check it, and a copy of the database signs nothing.

use aws_lc_rs::{digest, hmac};
use causeway_types::entity::SignInFlow;
use causeway_types::{Randomness, SecretBytes, SecretString, SignInFlowId};
use data_encoding::BASE64URL_NOPAD;

/// 256 bits each for PKCE, nonce and signature.
const PART: usize = 32;

/// The secrets of one flow.
pub(super) struct FlowSecret(SecretBytes);

/// A state as it came back, not yet checked.
pub(super) struct Received<'a> {
    pub(super) flow: SignInFlowId,
    signature: &'a str,
}

impl FlowSecret {
    pub(super) fn generate(random: &dyn Randomness) -> Self {
        let mut bytes = vec![0; 3 * PART];
        random.fill(&mut bytes);
        Self(SecretBytes::new(bytes))
    }

    /// From what the vault opened.
    pub(super) fn from_opened(bytes: SecretBytes) -> Option<Self> {
        (bytes.expose().len() == 3 * PART).then_some(Self(bytes))
    }

    /// What to seal.
    pub(super) fn to_seal(&self) -> &[u8] {
        self.0.expose()
    }

    /// The PKCE verifier: 43 characters (RFC 7636 section 4.1).
    pub(super) fn verifier(&self) -> SecretString {
        SecretString::new(BASE64URL_NOPAD.encode(self.part(0)))
    }

    /// The PKCE challenge by S256 (RFC 7636 section 4.2).
    pub(super) fn challenge(&self) -> String {
        let verifier = self.verifier();
        BASE64URL_NOPAD
            .encode(digest::digest(&digest::SHA256, verifier.expose().as_bytes()).as_ref())
    }

    /// The nonce, which the provider repeats in the ID token.
    pub(super) fn nonce(&self) -> String {
        BASE64URL_NOPAD.encode(self.part(1))
    }

    /// The state of a flow.
    pub(super) fn sign(&self, flow: &SignInFlow) -> String {
        let signature = hmac::sign(&self.key(), &signed(flow));
        format!("{}.{}", flow.id, BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    /// Whether the state was made for this flow, in constant time.
    pub(super) fn verify(&self, received: &Received<'_>, flow: &SignInFlow) -> bool {
        BASE64URL_NOPAD
            .decode(received.signature.as_bytes())
            .is_ok_and(|signature| hmac::verify(&self.key(), &signed(flow), &signature).is_ok())
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.part(2))
    }

    fn part(&self, number: usize) -> &[u8] {
        self.0.expose().chunks_exact(PART).nth(number).unwrap_or_default()
    }
}

/// Takes a state apart.
pub(super) fn read(text: &str) -> Option<Received<'_>> {
    let (flow, signature) = text.split_once('.')?;
    Some(Received { flow: flow.parse().ok()?, signature })
}

/// The signed bytes: each part preceded by its length.
fn signed(flow: &SignInFlow) -> Vec<u8> {
    let parts = [
        b"causeway sign-in state v1".to_vec(),
        flow.id.to_string().into_bytes(),
        flow.workspace_id.to_string().into_bytes(),
        flow.provider_id.to_string().into_bytes(),
        flow.purpose.as_str().as_bytes().to_vec(),
        flow.browser_digest.clone(),
    ];
    let mut bytes = Vec::with_capacity(256);
    for part in parts {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(&part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::entity::SignInPurpose;
    use causeway_types::place::Sealed;
    use causeway_types::{Clock as _, INSTALLATION, OsRandom, ProviderId, SystemClock};
    use proptest::prelude::*;

    fn flow() -> SignInFlow {
        let now = SystemClock.now();
        SignInFlow {
            id: SignInFlowId::generate(now, &OsRandom),
            workspace_id: INSTALLATION,
            provider_id: ProviderId::generate(now, &OsRandom),
            purpose: SignInPurpose::SignIn,
            purpose_digest: None,
            session_id: None,
            browser_digest: b"browser".to_vec(),
            secrets: Sealed::from_bytes(Vec::new()),
            return_path: "/".into(),
            created_at: now,
            expires_at: now,
            used_at: None,
        }
    }

    #[test]
    fn a_state_is_good_for_its_own_flow_only() {
        let (secret, own) = (FlowSecret::generate(&OsRandom), flow());
        let text = secret.sign(&own);
        let received = read(&text).unwrap();
        assert_eq!(received.flow, own.id);
        assert!(secret.verify(&received, &own));
        let other = flow();
        for changed in [
            SignInFlow { id: other.id, ..own.clone() },
            SignInFlow { provider_id: other.provider_id, ..own.clone() },
            SignInFlow { purpose: SignInPurpose::Claim, ..own.clone() },
            SignInFlow { browser_digest: b"another".to_vec(), ..own.clone() },
        ] {
            assert!(!secret.verify(&received, &changed));
        }
        assert!(!FlowSecret::generate(&OsRandom).verify(&received, &own));
    }

    #[test]
    fn the_three_secrets_differ() {
        let secret = FlowSecret::generate(&OsRandom);
        assert_ne!(*secret.verifier().expose(), secret.nonce());
        assert_ne!(secret.part(1), secret.part(2));
        assert!(FlowSecret::from_opened(SecretBytes::new(vec![0; 95])).is_none());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,120}") {
            let _ = read(&text);
        }
    }
}
