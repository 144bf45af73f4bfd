//! Clients that prove themselves by signing (RFC 7523).

use crate::api_keys::manager;
use crate::tokens::{give_back, obtain, request};
use crate::world::{ISSUER, World, secret};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use causeway_identity::action::ManageMachineAccess;
use causeway_identity::{AssertionError, ClientProof, GrantError, NewMachineClient};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{Actor, MachineClientId};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    each_algorithm_proves_a_client,
    an_assertion_works_once,
    wrong_assertions_are_refused,
    an_assertion_is_no_access_token_and_the_other_way_round,
    keys_can_be_changed_by_having_two,
);

fn text(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// A client's signing key.
struct Key {
    pair: EcdsaKeyPair,
    kid: &'static str,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), kid }
    }

    fn public(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "kid": self.kid, "x": text(x), "y": text(y) })
    }

    fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "client-authentication+jwt", "kid": self.kid })
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

fn assertion(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &Value| text(value.to_string().as_bytes());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", text(&signature))
}

/// What the Python SDK of the contract says of itself.
fn claims(world: &World, client: MachineClientId, jti: &str) -> Value {
    let now = world.now().as_secs();
    json!({
        "iss": client.to_string(),
        "sub": client.to_string(),
        "aud": ISSUER,
        "iat": now,
        "exp": now + 60,
        "jti": jti,
    })
}

fn proof(text: &str) -> ClientProof {
    ClientProof::Assertion { client_id: None, assertion: secret(text) }
}

async fn client(world: &World, keys: &[Value]) -> MachineClientId {
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let new = NewMachineClient {
        name: "signs".into(),
        secret: false,
        public_keys: Some(json!({ "keys": keys })),
        ..NewMachineClient::default()
    };
    let (client, secret) = world.machine.create_client(&permit, &maker, new).await.unwrap();
    assert!(secret.is_none() && !client.secret);
    assert_eq!(client.public_keys, Some(json!({ "keys": keys })));
    client.id
}

type Sign<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

async fn each_algorithm_proves_a_client(database: TestDatabase) {
    let world = World::new(database).await;
    let ec = Key::new("ec");
    let okp = Ed25519KeyPair::generate().unwrap();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let rsa_parts = RsaPublicKeyComponents::<Vec<u8>>::from(rsa.public_key());
    let keys = [
        ec.public(),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": text(okp.public_key().as_ref()) }),
        json!({ "kty": "RSA", "kid": "rsa", "n": text(&rsa_parts.n), "e": text(&rsa_parts.e) }),
    ];
    let id = client(&world, &keys).await;
    let sign_rsa = |encoding: &'static dyn RsaEncoding, message: &[u8]| {
        let mut bytes = vec![0; rsa.public_modulus_len()];
        rsa.sign(encoding, &SystemRandom::new(), message, &mut bytes).unwrap();
        bytes
    };
    let ways: [(&str, Option<&str>, Value, Sign<'_>); 6] = [
        ("ES256", Some("ec"), "client-authentication+jwt".into(), &|message| ec.sign(message)),
        ("EdDSA", Some("ed"), "JWT".into(), &|message| okp.sign(message).as_ref().to_vec()),
        ("RS256", Some("rsa"), "jwt".into(), &|message| sign_rsa(&RSA_PKCS1_SHA256, message)),
        ("PS256", Some("rsa"), Value::Null, &|message| sign_rsa(&RSA_PSS_SHA256, message)),
        ("RS256", None, Value::Null, &|message| sign_rsa(&RSA_PKCS1_SHA256, message)),
        ("Ed25519", None, Value::Null, &|message| okp.sign(message).as_ref().to_vec()),
    ];
    let names = [
        ISSUER.to_owned(),
        format!("{ISSUER}/"),
        format!("{ISSUER}/v1/oauth/token"),
        format!("{ISSUER}/v1/oauth/revoke"),
        ISSUER.to_owned(),
        ISSUER.to_owned(),
    ];
    for (turn, ((alg, kid, typ, sign), aud)) in ways.into_iter().zip(names).enumerate() {
        let mut header = json!({ "alg": alg });
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        if !typ.is_null() {
            header["typ"] = typ;
        }
        let mut said = claims(&world, id, &format!("one-{turn}"));
        said["aud"] = if turn == 4 { json!([aud]) } else { aud.into() };
        let granted =
            obtain(&world.machine, proof(&assertion(&header, &said, sign)), request(None));
        let granted = granted.await.unwrap_or_else(|error| panic!("{alg}: {error:?}"));
        let caller = world.come_in(granted.access_token.expose()).await.unwrap();
        assert_eq!(caller.actor(), Actor::MachineClient(id));
    }
    let event = world.events("access_token_issued").await.pop().unwrap();
    assert_eq!(event["method"], "private_key_jwt");
}

async fn an_assertion_works_once(database: TestDatabase) {
    let world = World::new(database).await;
    let key = Key::new("a");
    let (id, other) =
        (client(&world, &[key.public()]).await, client(&world, &[key.public()]).await);
    let one = assertion(&key.header(), &claims(&world, id, "once"), |m| key.sign(m));
    // At the same moment, and again.
    let machine = &world.machine;
    let (a, b) = tokio::join!(
        obtain(machine, proof(&one), request(None)),
        obtain(machine, proof(&one), request(None))
    );
    assert_eq!([a.is_ok(), b.is_ok()].iter().filter(|ok| **ok).count(), 1);
    let again = obtain(machine, proof(&one), request(None)).await.err().unwrap();
    assert!(matches!(again, GrantError::Client(Some(AssertionError::Replayed))));
    // Nor at the other endpoint, nor signed anew.
    let elsewhere = give_back(machine, proof(&one), &secret("x")).await.err().unwrap();
    assert!(matches!(elsewhere, GrantError::Client(Some(AssertionError::Replayed))));
    world.clock.advance(Duration::from_secs(30));
    let anew = assertion(&key.header(), &claims(&world, id, "once"), |m| key.sign(m));
    let anew = obtain(machine, proof(&anew), request(None)).await.err().unwrap();
    assert!(matches!(anew, GrantError::Client(Some(AssertionError::Replayed))));
    // Each client has its own, and what was used to revoke is used too.
    let theirs = assertion(&key.header(), &claims(&world, other, "once"), |m| key.sign(m));
    give_back(machine, proof(&theirs), &secret("x")).await.unwrap();
    let again = obtain(machine, proof(&theirs), request(None)).await.err().unwrap();
    assert!(matches!(again, GrantError::Client(Some(AssertionError::Replayed))));
    let events = world.events("machine_authentication_refused").await;
    assert!(events.iter().all(|event| event["reason"] == "assertion_replayed"));
    assert_eq!(events.len(), 2, "one a minute and client");
    assert_eq!(world.events("access_token_issued").await.len(), 1);
}

async fn wrong_assertions_are_refused(database: TestDatabase) {
    use AssertionError::{Audience, Lifetime, Subject, Time};
    let world = World::new(database).await;
    let (key, stranger) = (Key::new("a"), Key::new("a"));
    let id = client(&world, &[key.public()]).await;
    let with_a_secret = crate::tokens::client(&world, &manager()).await.0;
    let now = world.now().as_secs();
    let (header, said) = (key.header(), claims(&world, id, "j"));
    let with = |value: &Value, member: &str, to: Value| {
        let mut value = value.clone();
        value[member] = to;
        value
    };
    let sign = |message: &[u8]| key.sign(message);
    let point = key.pair.public_key().as_ref().to_vec();
    let hs256 = |message: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &point), message).as_ref().to_vec()
    };
    let labelled = |to: Value, member: &str| assertion(&with(&header, member, to), &said, sign);
    let saying = |member: &str, to: Value| assertion(&header, &with(&said, member, to), sign);

    // Nobody learns anything without the client's key.
    let mut silent = vec![
        assertion(&header, &said, |message| stranger.sign(message)),
        assertion(&header, &said, |_| Vec::new()),
        assertion(&with(&header, "alg", "none".into()), &said, |_| Vec::new()),
        assertion(&with(&header, "alg", "HS256".into()), &said, hs256),
        labelled("RS256".into(), "alg"),
        labelled("ES384".into(), "alg"),
        labelled("b".into(), "kid"),
        labelled("at+jwt".into(), "typ"),
        labelled(json!(["exp"]), "crit"),
        saying("sub", "nobody".into()),
        saying("sub", MachineClientId::lowest().to_string().into()),
        saying("sub", with_a_secret.to_string().into()),
        saying("exp", Value::Null),
        saying("jti", Value::Null),
        saying("aud", Value::Null),
        saying("iss", Value::Null),
        saying("exp", (-1).into()),
        saying("jti", "".into()),
        saying("jti", "j".repeat(129).into()),
        saying("x", "x".repeat(10_000).into()),
        "x".repeat(10_000),
        String::new(),
        "a.b.c".into(),
    ];
    let good = assertion(&header, &said, sign);
    let mut tampered = good.clone().into_bytes();
    let last = tampered.len() - 10;
    tampered[last] = if tampered[last] == b'A' { b'B' } else { b'A' };
    silent.push(String::from_utf8(tampered).unwrap());
    for text in &silent {
        match obtain(&world.machine, proof(text), request(None)).await {
            Err(GrantError::Client(None)) => {}
            Err(other) => panic!("{text}: {other:?}"),
            Ok(_) => panic!("{text}"),
        }
    }
    // Who holds it is told what is wrong.
    for (text, why) in [
        (saying("iss", "mc_00000000000000000000000000".into()), Subject),
        (saying("aud", "https://evil.example.com".into()), Audience),
        (saying("aud", format!("{ISSUER}.evil.example.com").into()), Audience),
        (saying("aud", json!([ISSUER, "https://other.example.com"])), Audience),
        (saying("aud", json!([])), Audience),
        (saying("exp", (now - 60).into()), Time),
        (saying("iat", (now + 3600).into()), Time),
        (saying("nbf", (now + 3600).into()), Time),
        (saying("exp", (now + 3600).into()), Lifetime),
        (saying("exp", u64::MAX.into()), Lifetime),
    ] {
        match obtain(&world.machine, proof(&text), request(None)).await {
            Err(GrantError::Client(Some(found))) => assert_eq!(found, why, "{text}"),
            Err(other) => panic!("{text}: {other:?}"),
            Ok(_) => panic!("{text}"),
        }
    }
    // With another's id beside it, or a secret that the client does not have.
    let beside = ClientProof::Assertion {
        client_id: Some(with_a_secret.to_string()),
        assertion: secret(&good),
    };
    crate::tokens::refused(&world, beside).await;
    crate::tokens::refused(&world, crate::tokens::with_secret(id, "cws_x")).await;
    // None of them used the good one up.
    obtain(&world.machine, proof(&good), request(None)).await.unwrap();
    let reasons: Vec<_> = world.events("machine_authentication_refused").await;
    let reasons: std::collections::BTreeSet<_> =
        reasons.iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect();
    for reason in
        ["assertion_signature", "assertion_type", "assertion_audience", "no_keys", "no_secret"]
    {
        assert!(reasons.contains(reason), "{reasons:?}");
    }
}

async fn an_assertion_is_no_access_token_and_the_other_way_round(database: TestDatabase) {
    let world = World::new(database).await;
    let key = Key::new("a");
    let id = client(&world, &[key.public()]).await;
    let one = assertion(&key.header(), &claims(&world, id, "1"), |m| key.sign(m));
    World::refused(world.come_in(&one).await);
    let granted = obtain(&world.machine, proof(&one), request(None)).await.unwrap();
    crate::tokens::refused(&world, proof(granted.access_token.expose())).await;
}

async fn keys_can_be_changed_by_having_two(database: TestDatabase) {
    let world = World::new(database).await;
    let (old, new) = (Key::new("old"), Key::new("new"));
    let id = client(&world, &[old.public(), new.public()]).await;
    for key in [&old, &new] {
        let one = assertion(&key.header(), &claims(&world, id, key.kid), |m| key.sign(m));
        obtain(&world.machine, proof(&one), request(None)).await.unwrap();
    }
    // A name that is another key's.
    let mixed = json!({ "alg": "ES256", "kid": "old" });
    let one = assertion(&mixed, &claims(&world, id, "mixed"), |m| new.sign(m));
    crate::tokens::refused(&world, proof(&one)).await;
}
