use super::*;
use crate::{KEY_BYTES, WrappingKey};
use aws_lc_rs::{aead, hkdf};
use causeway_types::{
    ConnectionId, EventId, InvocationId, OAuthClientId, OAuthFlowId, OsRandom, StepId, TriggerId,
    VersionId,
};
use data_encoding::HEXLOWER;
use proptest::prelude::*;

/// Salts that are all one byte, for answers known ahead.
struct Constant(u8);

impl Randomness for Constant {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}

fn id(n: u8) -> [u8; 16] {
    [n; 16]
}

fn data_key(n: u8) -> SecretBytes {
    SecretBytes::new(vec![n; KEY_BYTES])
}

fn key(n: u8) -> SealingKey {
    SealingKey::new(DataKeyId::from_bytes(id(n)), &data_key(n)).unwrap()
}

fn workspace(n: u8) -> WorkspaceId {
    WorkspaceId::from_bytes(id(n))
}

/// Every kind of place, and two of one kind.
fn places() -> [Place; 12] {
    [
        Place::ConnectionCredential(ConnectionId::from_bytes(id(1))),
        Place::ConnectionCredential(ConnectionId::from_bytes(id(2))),
        Place::OAuthClientSecret(OAuthClientId::from_bytes(id(1))),
        Place::OAuthFlowVerifier(OAuthFlowId::from_bytes(id(1))),
        Place::RefreshAnswer(ConnectionId::from_bytes(id(1))),
        Place::TriggerToken(TriggerId::from_bytes(id(1))),
        Place::VersionBundle(VersionId::from_bytes(id(1))),
        Place::EventBody(EventId::from_bytes(id(1))),
        Place::StepRecord(StepId::from_bytes(id(1))),
        Place::InvocationResponse(InvocationId::from_bytes(id(1))),
        Place::ItemList(InvocationId::from_bytes(id(1))),
        Place::IdempotentResponse([1; 32]),
    ]
}

/// If this fails, seals that exist no longer open: a new format needs a new version byte.
/// The bytes were computed with Python's `cryptography` package.
#[test]
fn the_format_is_what_it_was() {
    let sealed = key(0x11)
        .seal(
            workspace(0x22),
            &Place::StepRecord(StepId::from_bytes(id(0x33))),
            b"attack at dawn",
            &Constant(0x44),
        )
        .unwrap();
    assert_eq!(HEXLOWER.encode(sealed.as_bytes()), KNOWN_SEAL);
    let wrapped = WrappingKey::new(&data_key(0x55))
        .unwrap()
        .wrap(workspace(0x22), DataKeyId::from_bytes(id(0x11)), &data_key(0x11), &Constant(0x44))
        .unwrap();
    assert_eq!(HEXLOWER.encode(wrapped.as_bytes()), KNOWN_WRAPPED);
}

const KNOWN_SEAL: &str = "01111111111111111111111111111111114444444444444444444444444444444444444444444444444444444444444444919a189d14229ffaac3a13ffc67d7dd14bba67e0c67bd1600324be086894c855c00d220ffc4f1143141dc9d663556941de48812ed735b2504bb3732228c5";
const KNOWN_WRAPPED: &str = "0170c3e4116536f5779f2ce7c53bc1aeea444444444444444444444444444444444444444444444444444444444444444438e4fa06a74db2a2390973da0ce800a6ee99a8164ebdbc7b1c639873aa64300400b05e34d1d40f5771882fc3c37866244ee019f9da25cd1b4da902b957fd4c6a668fc1513e25cb2cb53083c60179b2fa";

/// Our two expansions are HKDF's, as the crypto library computes it.
#[test]
fn derivation_is_hkdf_sha256() {
    let place = places()[0];
    let sealed = key(7).seal(workspace(1), &place, b"text", &Constant(9)).unwrap();
    let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, PURPOSE).extract(data_key(7).expose());
    let expand = |label: &[u8]| {
        let mut out = [0; 32];
        pseudorandom.expand(&[label, &[9; 32]], hkdf::HKDF_SHA256).unwrap().fill(&mut out).unwrap();
        out
    };
    assert_eq!(sealed.as_bytes()[49..81], expand(b"c"));
    let gcm =
        aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, &expand(b"k")).unwrap());
    let mut aad = Vec::new();
    let record = place.record();
    for part in [&id(1)[..], b"connection", record.as_bytes(), b"credential"] {
        aad.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        aad.extend_from_slice(part);
    }
    let mut body = sealed.as_bytes()[81..].to_vec();
    let nonce = aead::Nonce::assume_unique_for_key([0; 12]);
    assert_eq!(gcm.open_in_place(nonce, aead::Aad::from(aad), &mut body).unwrap(), b"text");
}

#[test]
fn a_seal_opens_only_at_its_place() {
    for (at, place) in places().iter().enumerate() {
        let sealed = key(1).seal(workspace(1), place, b"secret", &OsRandom).unwrap();
        for (other, elsewhere) in places().iter().enumerate() {
            let opened = key(1).open(workspace(1), elsewhere, &sealed);
            if at == other {
                assert_eq!(opened.ok().unwrap().expose(), b"secret");
            } else {
                assert_eq!(opened.err(), Some(OpenError::Refused));
            }
        }
        assert_eq!(key(1).open(workspace(2), place, &sealed).err(), Some(OpenError::Refused));
    }
}

#[test]
fn another_key_is_told_from_a_changed_seal() {
    let place = places()[0];
    let sealed = key(1).seal(workspace(1), &place, b"secret", &OsRandom).unwrap();
    assert_eq!(key(2).open(workspace(1), &place, &sealed).err(), Some(OpenError::OtherKey));
    // The same id on other key bytes: only the commitment can tell.
    let impostor = SealingKey::new(DataKeyId::from_bytes(id(1)), &data_key(2)).unwrap();
    assert_eq!(impostor.open(workspace(1), &place, &sealed).err(), Some(OpenError::OtherKey));
    assert_eq!(key_of(&sealed), Ok(key(1).id()));
}

#[test]
fn unknown_versions_and_stumps_are_named() {
    let place = places()[0];
    let sealed = key(1).seal(workspace(1), &place, b"", &OsRandom).unwrap();
    assert_eq!(sealed.as_bytes().len(), 97);
    assert_eq!(key(1).open(workspace(1), &place, &sealed).ok().unwrap().expose(), b"");
    for end in 0..97 {
        let stump = Sealed::from_bytes(sealed.as_bytes()[..end].to_vec());
        assert_eq!(key(1).open(workspace(1), &place, &stump).err(), Some(OpenError::Truncated));
    }
    let mut newer = sealed.as_bytes().to_vec();
    newer[0] = 2;
    let newer = Sealed::from_bytes(newer);
    assert_eq!(
        key(1).open(workspace(1), &place, &newer).err(),
        Some(OpenError::Version { found: 2 })
    );
}

#[test]
fn keys_of_another_length_are_refused() {
    for found in [0, 16, 31, 33] {
        let key = SealingKey::new(DataKeyId::lowest(), &SecretBytes::new(vec![0; found]));
        assert_eq!(key.err(), Some(KeyLength { found }));
    }
}

#[test]
fn no_two_seals_of_the_same_value_are_alike() {
    let seals: std::collections::HashSet<Vec<u8>> = (0..1000)
        .map(|_| {
            let sealed = key(1).seal(workspace(1), &places()[0], b"same", &OsRandom).unwrap();
            // Salt, commitment and ciphertext each.
            sealed.as_bytes()[17..].to_vec()
        })
        .collect();
    for part in [0..32, 32..64, 64..68] {
        let distinct: std::collections::HashSet<&[u8]> =
            seals.iter().map(|seal| &seal[part.clone()]).collect();
        assert!(distinct.len() > 998, "{part:?} repeats");
    }
}

#[test]
fn a_wrapped_key_unwraps_only_for_its_owner() {
    let root = WrappingKey::new(&data_key(5)).unwrap();
    let owner = DataKeyId::from_bytes(id(1));
    let wrapped = root.wrap(workspace(1), owner, &data_key(9), &OsRandom).unwrap();
    assert_eq!(root.unwrap(workspace(1), owner, &wrapped).ok().unwrap().expose(), &[9; 32]);
    let refused = Some(OpenError::Refused);
    assert_eq!(root.unwrap(workspace(2), owner, &wrapped).err(), refused);
    assert_eq!(root.unwrap(workspace(1), DataKeyId::lowest(), &wrapped).err(), refused);
    let other = WrappingKey::new(&data_key(6)).unwrap();
    assert_eq!(other.unwrap(workspace(1), owner, &wrapped).err(), Some(OpenError::OtherKey));
    assert_ne!(root.fingerprint(), other.fingerprint());
    // The same bytes used as a data key give unrelated keys.
    let confused =
        SealingKey::new(DataKeyId::from_bytes(root.fingerprint()), &data_key(5)).unwrap();
    let opened = confused.open(workspace(1), &places()[0], &wrapped);
    assert_eq!(opened.err(), Some(OpenError::OtherKey));
}

proptest! {
    #[test]
    fn what_was_sealed_opens(plaintext in prop::collection::vec(any::<u8>(), 0..5000), which in 0_usize..11) {
        let place = &places()[which];
        let sealed = key(1).seal(workspace(1), place, &plaintext, &OsRandom).unwrap();
        let opened = key(1).open(workspace(1), place, &sealed).ok().unwrap();
        prop_assert_eq!(opened.expose(), &plaintext);
        prop_assert_eq!(sealed.as_bytes().len(), plaintext.len() + 97);
    }

    #[test]
    fn a_flipped_bit_anywhere_keeps_it_shut(plaintext in prop::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, bit in 0_u8..8) {
        let place = &places()[0];
        let mut bytes = key(1).seal(workspace(1), place, &plaintext, &OsRandom).unwrap().as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(key(1).open(workspace(1), place, &Sealed::from_bytes(bytes)).is_err());
    }

    #[test]
    fn bytes_added_or_taken_keep_it_shut(plaintext in prop::collection::vec(any::<u8>(), 0..200), more in prop::collection::vec(any::<u8>(), 1..40), less in 1_usize..90) {
        let place = &places()[0];
        let sealed = key(1).seal(workspace(1), place, &plaintext, &OsRandom).unwrap();
        let longer = [sealed.as_bytes(), &more].concat();
        let shorter = sealed.as_bytes()[..sealed.as_bytes().len() - less].to_vec();
        for bytes in [longer, shorter] {
            prop_assert!(key(1).open(workspace(1), place, &Sealed::from_bytes(bytes)).is_err());
        }
    }

    #[test]
    fn no_bytes_make_opening_panic(bytes: Vec<u8>) {
        prop_assert!(key(1).open(workspace(1), &places()[0], &Sealed::from_bytes(bytes)).is_err());
    }
}
