//! Access tokens: what they are, who accepts them, and every way to forge one.

use crate::api_keys::{manager, scopes};
use crate::world::{ISSUER, World, secret};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use causeway_identity::action::{ActionName, ManageMachineAccess};
use causeway_identity::{
    AuthenticateError, ClientProof, GrantError, Granted, MachineAccess, NewMachineClient, Scopes,
    TOKEN_LIFETIME, TokenRequest,
};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{Actor, MachineClientId, SecretString, Timestamp};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    a_token_is_a_jwt_that_anybody_can_check,
    a_token_narrows_what_its_client_may,
    wrong_proofs_get_one_answer_and_one_event,
    a_revoked_token_stops_at_once,
    revoking_what_is_no_token_changes_nothing,
    a_forged_token_is_refused,
    a_token_ends_with_its_hour,
    a_token_of_another_installation_is_refused,
    what_has_expired_is_forgotten,
);

/// A client with a secret.
pub(crate) async fn client(world: &World, may: &Scopes) -> (MachineClientId, String) {
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let new = NewMachineClient {
        name: "client".into(),
        scopes: may.clone(),
        secret: true,
        public_keys: None,
    };
    let (client, secret) = world.machine.create_client(&permit, &maker, new).await.unwrap();
    (client.id, secret.unwrap().expose().clone())
}

pub(crate) fn with_secret(client: MachineClientId, text: &str) -> ClientProof {
    ClientProof::Secret {
        client_id: client.to_string(),
        secret: secret(text),
        method: "client_secret_basic",
    }
}

pub(crate) fn request(scope: Option<&str>) -> TokenRequest {
    TokenRequest { grant_type: "client_credentials".into(), scope: scope.map(str::to_owned) }
}

/// What the token endpoint does.
pub(crate) async fn obtain(
    machine: &MachineAccess,
    proof: ClientProof,
    asked: TokenRequest,
) -> Result<Granted, GrantError> {
    machine.grant(machine.prove(proof).await?, asked).await
}

/// What the revocation endpoint does.
pub(crate) async fn give_back(
    machine: &MachineAccess,
    proof: ClientProof,
    token: &SecretString,
) -> Result<(), GrantError> {
    machine.revoke_token(machine.prove(proof).await?, token).await
}

/// A token for everything that the client may do.
pub(crate) async fn granted(world: &World, client: MachineClientId, text: &str) -> String {
    let proof = with_secret(client, text);
    let granted = obtain(&world.machine, proof, request(None)).await.unwrap();
    granted.access_token.expose().clone()
}

/// Asserts that a proof is refused without a reason.
pub(crate) async fn refused(world: &World, proof: ClientProof) {
    match obtain(&world.machine, proof, request(None)).await {
        Err(GrantError::Client(None)) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a token was issued"),
    }
}

pub(crate) fn part(text: &str, place: usize) -> Value {
    let part = text.split('.').nth(place).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

/// A token with this header and these claims, signed by `sign`.
pub(crate) fn forge(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

fn with(value: &Value, member: &str, to: impl Into<Value>) -> Value {
    let mut value = value.clone();
    value[member] = to.into();
    value
}

async fn a_token_is_a_jwt_that_anybody_can_check(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let proof = with_secret(id, &client_secret);
    let granted = obtain(&world.machine, proof, request(None)).await.unwrap();
    assert_eq!(granted.expires_in, Duration::from_hours(1));
    assert_eq!(
        granted.scope,
        "workflows.read workflows.deploy machine_access.read machine_access.manage"
    );
    let text = granted.access_token.expose();

    // By a library of others, from what everybody can have.
    let set: JwkSet = serde_json::from_value(world.machine.jwks()).unwrap();
    let header = jsonwebtoken::decode_header(text).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::EdDSA, Some("at+jwt")));
    let key = DecodingKey::from_jwk(set.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[ISSUER]);
    // Its own clock: the token was made at the test's.
    let claims = jsonwebtoken::decode::<Value>(text, &key, &validation).unwrap().claims;
    for (name, expected) in [
        ("sub", id.to_string()),
        ("client_id", id.to_string()),
        ("workspace_id", world.tenant.workspace.to_string()),
        ("project_id", world.tenant.project.to_string()),
        ("environment_id", world.tenant.environment.to_string()),
        ("scope", granted.scope.clone()),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    let (iat, exp) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert_eq!((iat, exp - iat), (world.now().as_secs(), 3600));

    let caller = world.come_in(text).await.unwrap();
    assert_eq!(caller.actor(), Actor::MachineClient(id));
    assert_eq!(caller.place().environment(), Some(world.tenant));

    let event = world.events("access_token_issued").await.pop().unwrap();
    assert_eq!(event["client"], id.to_string());
    assert_eq!(event["actor"], id.to_string());
    assert_eq!(
        (&event["token"], &event["method"]),
        (&claims["jti"], &"client_secret_basic".into())
    );
    assert!(!format!("{:?}", world.audit().await).contains(text.rsplit('.').next().unwrap()));
}

async fn a_token_narrows_what_its_client_may(database: TestDatabase) {
    let world = World::new(database).await;
    let own = Scopes {
        apps: Some(vec!["slack".into()]),
        ..scopes(&[ActionName::Deploy, ActionName::ReadWorkflows])
    };
    let (id, client_secret) = client(&world, &own).await;
    let grant = |scope| obtain(&world.machine, with_secret(id, &client_secret), request(scope));
    let narrow = grant(Some("workflows.read")).await.unwrap();
    assert_eq!(narrow.scope, "workflows.read");
    let caller = world.come_in(narrow.access_token.expose()).await.unwrap();
    assert!(caller.may(ActionName::ReadWorkflows) && !caller.may(ActionName::Deploy));
    assert!(world.permit::<causeway_identity::action::ReadWorkflows>(&caller).shows_app("slack"));
    assert!(!world.permit::<causeway_identity::action::ReadWorkflows>(&caller).shows_app("demo"));
    let all = grant(Some("connect:*")).await.unwrap();
    assert_eq!(all.scope, "workflows.read workflows.deploy");
    for (wider, word) in [
        ("machine_access.manage", "machine_access.manage"),
        ("workflows.read connections.use", "connections.use"),
        ("everything", "everything"),
    ] {
        let refused = grant(Some(wider)).await;
        assert!(matches!(refused, Err(GrantError::Scope(named)) if named == word), "{wider}");
    }
}

async fn wrong_proofs_get_one_answer_and_one_event(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let (other, other_secret) = client(&world, &manager()).await;
    let before = world.audit().await.len();
    // Nobody's, and in no workspace's chain.
    refused(&world, with_secret(MachineClientId::lowest(), &client_secret)).await;
    for wrong in ["", "mc_", "x", &format!("{id} "), &"m".repeat(10_000)] {
        let proof = ClientProof::Secret {
            client_id: wrong.to_owned(),
            secret: secret(&client_secret),
            method: "client_secret_post",
        };
        refused(&world, proof).await;
    }
    assert_eq!(world.audit().await.len(), before);
    for wrong in ["", "x", &other_secret, &client_secret.replace("cws_", "cwk_")] {
        refused(&world, with_secret(id, wrong)).await;
    }
    // The four are one event; another client's is another, and so is the next minute's.
    refused(&world, with_secret(other, &client_secret)).await;
    world.clock.advance(Duration::from_mins(1));
    refused(&world, with_secret(id, &other_secret)).await;
    let events = world.events("machine_authentication_refused").await;
    assert_eq!(events.len(), 3);
    for (event, of) in events.iter().zip([id, other, id]) {
        assert_eq!(event["client"], of.to_string());
        assert_eq!(
            (&event["reason"], &event["actor"]),
            (&"wrong_secret".into(), &"anonymous".into())
        );
    }
    granted(&world, id, &client_secret).await;
}

async fn a_revoked_token_stops_at_once(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let (first, second) =
        (granted(&world, id, &client_secret).await, granted(&world, id, &client_secret).await);
    for text in [&first, &second] {
        world.come_in(text).await.unwrap();
    }
    let revoke = |text: &str| {
        let text = secret(text);
        let proof = with_secret(id, &client_secret);
        let machine = world.machine.clone();
        async move { give_back(&machine, proof, &text).await }
    };
    revoke(&first).await.unwrap();
    World::refused(world.come_in(&first).await);
    world.come_in(&second).await.unwrap();
    revoke(&first).await.unwrap();
    let events = world.events("access_token_revoked").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["token"], part(&first, 1)["jti"]);
}

async fn revoking_what_is_no_token_changes_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let (other, other_secret) = client(&world, &manager()).await;
    let theirs = granted(&world, other, &other_secret).await;
    let (_, key) = world.insert_key(world.tenant, &manager(), None).await;
    for text in ["", "x", "a.b.c", &theirs, &key, &"x".repeat(10_000)] {
        let done = give_back(&world.machine, with_secret(id, &client_secret), &secret(text)).await;
        assert!(done.is_ok(), "RFC 7009 section 2.2");
    }
    world.come_in(&theirs).await.unwrap();
    world.come_in(&key).await.unwrap();
    assert_eq!(world.events("access_token_revoked").await.len(), 0);
    let proof = with_secret(id, &other_secret);
    let done = give_back(&world.machine, proof, &secret(&theirs)).await;
    assert!(matches!(done, Err(GrantError::Client(None))));
}

async fn a_forged_token_is_refused(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let (other, _) = client(&world, &manager()).await;
    let good = granted(&world, id, &client_secret).await;
    let (header, claims) = (part(&good, 0), part(&good, 1));
    let own = |message: &[u8]| world.keys.access().sign(message);
    // The way of forging is right: with nothing changed it comes in.
    world.come_in(&forge(&header, &claims, own)).await.unwrap();
    World::refused(world.come_in(&format!("{good}A")).await);

    let public = world.keys.access_verifiers(world.now()).remove(0);
    let hs256 = |message: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public.public_key()), message)
            .as_ref()
            .to_vec()
    };
    let stranger = Ed25519KeyPair::generate().unwrap();
    let by_stranger = |message: &[u8]| stranger.sign(message).as_ref().to_vec();
    let signature = good.rsplit('.').next().unwrap();
    let unsigned = |header: &Value| forge(header, &claims, |_| Vec::new());
    let mut forged = vec![
        // No signature, by several names.
        unsigned(&header),
        unsigned(&with(&header, "alg", "none")),
        unsigned(&with(&header, "alg", "None")),
        unsigned(&json!({ "alg": "none" })),
        // A signature by the public key as if it were a secret, and by other names.
        forge(&with(&header, "alg", "HS256"), &claims, hs256),
        forge(&header, &claims, hs256),
        forge(&with(&header, "alg", "RS256"), &claims, own),
        forge(&with(&header, "alg", "eddsa"), &claims, own),
        forge(&with(&header, "alg", "Ed25519"), &claims, own),
        forge(&with(&header, "alg", Value::Null), &claims, own),
        // A key that is not ours, or not for this: named, unnamed, and brought along.
        forge(&header, &claims, by_stranger),
        forge(&with(&header, "kid", Value::Null), &claims, own),
        forge(&with(&header, "kid", "sk_00000000000000000000000000"), &claims, own),
        forge(&with(&header, "kid", "../../../etc/passwd"), &claims, own),
        forge(&with(&header, "kid", world.keys.audit().id().to_string()), &claims, |message| {
            world.keys.audit().sign(message)
        }),
        forge(
            &with(
                &header,
                "jwk",
                json!({
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": BASE64URL_NOPAD.encode(stranger.public_key().as_ref()),
                }),
            ),
            &claims,
            by_stranger,
        ),
        // Another kind of JWT, and extensions that would have to be understood.
        forge(&with(&header, "typ", "JWT"), &claims, own),
        forge(&with(&header, "typ", "client-authentication+jwt"), &claims, own),
        forge(&with(&header, "typ", Value::Null), &claims, own),
        forge(&with(&header, "crit", json!(["exp"])), &claims, own),
        // Claims changed under the old signature.
        forge(&header, &with(&claims, "scope", "members.manage"), |_| {
            BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap()
        }),
        // A list of tokens, or parts of one.
        good.trim_end_matches(signature).to_owned(),
        format!("{good}.{good}"),
        "..".to_owned(),
        ".".to_owned(),
    ];
    // Rightly signed, and not what this installation says.
    for (member, value) in [
        ("iss", json!("https://evil.example.com")),
        ("iss", json!(format!("{ISSUER}/"))),
        ("aud", json!("https://evil.example.com")),
        ("aud", json!([ISSUER])),
        ("sub", json!(other.to_string())),
        ("client_id", json!(other.to_string())),
        ("sub", json!("mc_00000000000000000000000000")),
        ("exp", json!(world.now().as_secs())),
        ("exp", json!(-1)),
        ("exp", json!("9999999999")),
        ("exp", Value::Null),
        ("iat", json!(world.now().as_secs() + 3600)),
        ("jti", Value::Null),
        ("workspace_id", json!("ws_00000000000000000000000000")),
        ("environment_id", json!(world.development().await.environment.to_string())),
        ("scope", json!(["workflows.read"])),
    ] {
        forged.push(forge(&header, &with(&claims, member, value), own));
    }
    let mut unknown = with(&claims, "sub", "mc_00000000000000000000000000");
    unknown["client_id"] = unknown["sub"].clone();
    forged.push(forge(&header, &unknown, own));
    for text in forged {
        let came = world.come_in(&text).await;
        assert!(matches!(came, Err(AuthenticateError::Refused)), "{} {}", part(&good, 0), text);
    }
    // What it names beyond its client is not given, rightly signed or not.
    let wide = forge(&header, &with(&claims, "scope", "members.manage connections.use"), own);
    let caller = world.come_in(&wide).await.unwrap();
    assert!(ActionName::ALL.iter().all(|action| !caller.may(*action)));
    // Long ones are not even read.
    let long = forge(&header, &with(&claims, "scope", "x".repeat(10_000)), own);
    assert!(matches!(world.come_in(&long).await, Err(AuthenticateError::Malformed(_))));
    world.come_in(&good).await.unwrap();
}

async fn a_token_ends_with_its_hour(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let text = granted(&world, id, &client_secret).await;
    world.clock.advance(TOKEN_LIFETIME.saturating_sub(Duration::from_secs(1)));
    world.come_in(&text).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    World::refused(world.come_in(&text).await);
    // Revoking it now changes nothing and is no event.
    let proof = with_secret(id, &client_secret);
    give_back(&world.machine, proof, &secret(&text)).await.unwrap();
    assert_eq!(world.events("access_token_revoked").await.len(), 0);
}

async fn a_token_of_another_installation_is_refused(database: TestDatabase) {
    let world = World::new(database).await;
    let theirs = World::new(TestDatabase::sqlite().await).await;
    let (id, client_secret) = client(&theirs, &manager()).await;
    let text = granted(&theirs, id, &client_secret).await;
    theirs.come_in(&text).await.unwrap();
    World::refused(world.come_in(&text).await);
    refused(&world, with_secret(id, &client_secret)).await;
    let (_, key) = theirs.insert_key(theirs.tenant, &manager(), None).await;
    World::refused(world.come_in(&key).await);
}

async fn what_has_expired_is_forgotten(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let text = granted(&world, id, &client_secret).await;
    let proof = with_secret(id, &client_secret);
    give_back(&world.machine, proof, &secret(&text)).await.unwrap();
    world.clock.advance(TOKEN_LIFETIME);
    assert_eq!(world.machine.forget_expired().await.unwrap(), 0, "other clocks may be behind");
    world.clock.advance(Duration::from_hours(1) + Duration::from_micros(1));
    assert_eq!(world.machine.forget_expired().await.unwrap(), 1);
    World::refused(world.come_in(&text).await);
    assert!(world.now() > Timestamp::from_micros(0));
}
