//! What the library writes, GnuPG reads.

use crate::gnupg::Gnupg;
use causeway_disclosure::{KeyError, Recipient, TextSigner};
use causeway_types::{Clock as _, OsRandom, SecretBytes, SystemClock, Timestamp};
use std::time::Duration;

const USER: &str = "Security <security@example.com>";
const TEXT: &str =
    "Ein Bericht mit Ümläuten, 日本語\r\nund -----BEGIN PGP MESSAGE-----\n- Strich\n";

fn now() -> Timestamp {
    SystemClock.now()
}

fn days(count: u64) -> Duration {
    Duration::from_hours(24 * count)
}

fn recipient(file: &[u8]) -> Recipient {
    Recipient::read(file, now()).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(file: &[u8], at: Timestamp) -> KeyError {
    Recipient::read(file, at).err().unwrap()
}

#[test]
fn a_report_is_read_with_every_usual_kind_of_key() {
    for (algorithm, subkey) in [
        // GnuPG's own default, and what older ones made.
        ("ed25519", Some(("cv25519", "encr"))),
        ("rsa3072", Some(("rsa2048", "encr"))),
        ("rsa2048", None),
        ("nistp384", Some(("nistp256", "encr"))),
        ("ed25519", Some(("nistp521", "encr"))),
    ] {
        let gnupg = Gnupg::new();
        let usage = if subkey.is_some() { "sign" } else { "sign,encrypt" };
        gnupg.make(USER, algorithm, usage, "1y", subkey);
        let recipient = recipient(&gnupg.public(USER));
        assert_eq!(recipient.fingerprint(), gnupg.fingerprint(USER));
        for text in [TEXT, "", &"x".repeat(64 << 10)] {
            let message = recipient.encrypt(text, now(), &OsRandom).unwrap();
            assert!(message.starts_with("-----BEGIN PGP MESSAGE-----\n"), "{message}");
            assert!(!message.contains("Bericht"));
            assert_eq!(gnupg.decrypt(&message), text, "{algorithm} {subkey:?}");
        }
        let once = recipient.encrypt(TEXT, now(), &OsRandom).unwrap();
        assert_ne!(once, recipient.encrypt(TEXT, now(), &OsRandom).unwrap());
        // A binary file does as well, and the key that is given out is the same one.
        let binary = gnupg.ok(&["--export", USER], b"");
        let again = Recipient::read(&binary, now()).unwrap_or_else(|error| panic!("{error}"));
        let other = Gnupg::new();
        other.ok(&["--import"], again.armored().as_bytes());
        assert_eq!(other.fingerprint(USER), gnupg.fingerprint(USER));
    }
}

#[test]
fn a_message_that_was_tampered_with_is_not_read() {
    let gnupg = Gnupg::new();
    gnupg.make(USER, "ed25519", "sign", "never", Some(("cv25519", "encr")));
    let message = recipient(&gnupg.public(USER)).encrypt(TEXT, now(), &OsRandom).unwrap();
    let binary = gnupg.ok(&["--dearmor"], message.as_bytes());
    let mut tampered = binary.clone();
    let middle = tampered.len() - 40;
    tampered[middle] ^= 1;
    assert!(gnupg.run(&["--passphrase", "", "--decrypt"], &binary).status.success());
    assert!(!gnupg.run(&["--passphrase", "", "--decrypt"], &tampered).status.success());
}

#[test]
fn a_key_that_may_not_be_encrypted_to_is_refused() {
    let gnupg = Gnupg::new();
    gnupg.make(USER, "ed25519", "sign", "30d", None);
    let sign_only = gnupg.public(USER);
    assert!(matches!(refused(&sign_only, now()), KeyError::NotForEncryption { .. }));

    let fingerprint = gnupg.fingerprint(USER);
    let add = ["--passphrase", "", "--quick-add-key", &fingerprint, "cv25519", "encr", "10d"];
    gnupg.ok(&add, b"");
    let whole = gnupg.public(USER);
    let good = recipient(&whole);
    // The subkey's time, then the primary key's.
    for later in [11, 31] {
        let then = now().plus(days(later));
        assert!(matches!(refused(&whole, then), KeyError::NotForEncryption { .. }));
        assert!(good.encrypt(TEXT, then, &OsRandom).is_err(), "after {later} days");
    }
    // Before it was made.
    assert!(refused(&whole, now().minus(days(2))).to_string().contains(&fingerprint));

    // A longer life given later counts.
    let longer = ["--passphrase", "", "--quick-set-expire", &fingerprint, "60d", "*"];
    gnupg.ok(&longer, b"");
    assert!(Recipient::read(&gnupg.public(USER), now().plus(days(31))).is_err(), "the primary's");
    gnupg.ok(&["--passphrase", "", "--quick-set-expire", &fingerprint, "60d"], b"");
    assert!(Recipient::read(&gnupg.public(USER), now().plus(days(31))).is_ok());

    // GnuPG keeps the certificate that revokes; its first line is marked against accidents.
    let folder = gnupg.revocations();
    let certificate = std::fs::read_to_string(folder.join(format!("{fingerprint}.rev"))).unwrap();
    gnupg.ok(&["--import"], certificate.replace(":-----BEGIN", "-----BEGIN").as_bytes());
    assert!(matches!(refused(&gnupg.public(USER), now()), KeyError::NotForEncryption { .. }));
}

#[test]
fn a_revoked_subkey_gives_way_to_another() {
    let gnupg = Gnupg::new();
    gnupg.make(USER, "ed25519", "sign", "never", Some(("cv25519", "encr")));
    let fingerprint = gnupg.fingerprint(USER);
    let commands = b"key 1\nrevkey\ny\n0\n\ny\nsave\n";
    let edit = ["--passphrase", "", "--command-fd", "0", "--edit-key", &fingerprint];
    gnupg.ok(&edit, commands);
    assert!(matches!(refused(&gnupg.public(USER), now()), KeyError::NotForEncryption { .. }));
    let add = ["--passphrase", "", "--quick-add-key", &fingerprint, "cv25519", "encr", "never"];
    gnupg.ok(&add, b"");
    let message = recipient(&gnupg.public(USER)).encrypt(TEXT, now(), &OsRandom).unwrap();
    assert_eq!(gnupg.decrypt(&message), TEXT);
}

#[test]
fn a_file_that_is_no_public_key_is_refused() {
    let gnupg = Gnupg::new();
    gnupg.make(USER, "ed25519", "sign", "never", Some(("cv25519", "encr")));
    gnupg.make("Other <other@example.com>", "ed25519", "sign", "never", Some(("cv25519", "encr")));
    let two = [gnupg.ok(&["--armor", "--export"], b"")].concat();
    assert!(matches!(refused(&two, now()), KeyError::Several { .. }));
    let secret = gnupg.secret(USER);
    for file in [&secret[..], b"", b"x", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n", &[0x99, 0xff]]
    {
        assert!(matches!(refused(file, now()), KeyError::Unreadable { .. }));
    }
    // A subkey of somebody else's, glued on: its binding does not verify.
    let one = gnupg.ok(&["--export", USER], b"");
    let other = gnupg.ok(&["--export", "other@example.com"], b"");
    let glued = [primary_and_user(&one), subkey_and_binding(&other)].concat();
    assert!(matches!(refused(&glued, now()), KeyError::NotForEncryption { .. }));
}

/// The packets of a key up to its first subkey (tag 14), as GnuPG writes them: old headers with a
/// length of one byte (RFC 9580 section 4.2.2).
fn split(key: &[u8]) -> usize {
    let mut at = 0;
    while key[at] >> 2 & 15 != 14 {
        assert_eq!(key[at] & 0b1100_0011, 0b1000_0000, "an old header with one byte of length");
        at += 2 + usize::from(key[at + 1]);
    }
    at
}

fn primary_and_user(key: &[u8]) -> &[u8] {
    &key[..split(key)]
}

fn subkey_and_binding(key: &[u8]) -> &[u8] {
    &key[split(key)..]
}

#[test]
fn a_signed_text_verifies() {
    for (algorithm, usage, subkey) in [
        ("ed25519", "cert,sign", None),
        ("nistp256", "cert,sign", None),
        ("rsa2048", "cert", Some(("ed25519", "sign"))),
    ] {
        let gnupg = Gnupg::new();
        gnupg.make(USER, algorithm, usage, "never", subkey);
        let secret = SecretBytes::new(gnupg.secret(USER));
        let signer = TextSigner::read(&secret, now()).unwrap_or_else(|error| panic!("{error}"));
        assert!(!signer.armored().contains("PRIVATE"));
        let text = "Contact: mailto:x@example.com\n- dashes\nExpires: 2030-01-01T00:00:00Z\n";
        let message = signer.sign(text, now(), &OsRandom).unwrap();
        assert!(message.starts_with("-----BEGIN PGP SIGNED MESSAGE-----\n"), "{message}");

        // Somebody who has nothing but what this server gives out.
        let finder = Gnupg::new();
        finder.ok(&["--import"], signer.armored().as_bytes());
        let read = finder.ok(&["--decrypt"], message.as_bytes());
        assert_eq!(String::from_utf8(read).unwrap(), text);
        let forged = message.replace("x@example", "y@example");
        assert!(!finder.run(&["--verify"], forged.as_bytes()).status.success());
    }
}

#[test]
fn a_key_that_may_not_sign_is_refused() {
    let refused = |file: Vec<u8>| TextSigner::read(&SecretBytes::new(file), now()).err().unwrap();
    let gnupg = Gnupg::new();
    gnupg.make("rsa", "rsa2048", "cert,sign", "never", None);
    assert!(matches!(refused(gnupg.secret("rsa")), KeyError::NotForSigning { .. }));
    let locked =
        ["--passphrase", "x", "--quick-gen-key", "locked", "ed25519", "cert,sign", "never"];
    gnupg.ok(&locked, b"");
    let secret = gnupg.ok(&["--passphrase", "x", "--export-secret-keys", "locked"], b"");
    let error = refused(secret);
    assert!(matches!(error, KeyError::NotForSigning { .. }), "{error}");
    assert!(error.to_string().contains("passphrase"), "{error}");
    assert!(matches!(refused(gnupg.public("rsa")), KeyError::Unreadable { .. }));
}
