//! An issuer on this machine that signs whatever a test tells it to.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const CLIENT_ID: &str = "causeway at the hostile issuer";
pub(crate) const CLIENT_SECRET: &str = "hostile:canary&client=secret";
const ACCESS_TOKEN: &str = "access-token-of-the-hostile-issuer";

/// What signs a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    Rs256,
    Ps256,
    Es256,
    EdDsa,
    /// Nothing: the third part is empty.
    None,
    /// HMAC with the bytes of the RSA key's public half.
    HmacOfPublicKey,
    /// HMAC with the client's secret.
    HmacOfSecret,
    /// An RSA key that the issuer does not publish.
    AnotherKey,
}

/// What the issuer says and does.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Fields of the discovery document that are replaced; `null` takes one out.
    pub(crate) metadata: Value,
    pub(crate) header: Value,
    /// Claims that are replaced; `null` takes one out.
    pub(crate) claims: Value,
    pub(crate) with: With,
    /// Changes the payload after it was signed.
    pub(crate) tampered: bool,
    /// The kid that the RSA key is published under.
    pub(crate) kid: String,
    /// Answers the token endpoint with this error.
    pub(crate) error: Option<&'static str>,
    pub(crate) userinfo: Value,
}

pub(crate) struct Issuer {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    base: String,
    keys: Keys,
    plan: Mutex<Plan>,
    now: Mutex<u64>,
    asked: Mutex<Vec<String>>,
    last_exchange: Mutex<BTreeMap<String, String>>,
}

struct Keys {
    rsa: RsaKeyPair,
    other_rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rng = SystemRandom::new();
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8(&rng).unwrap();
        let keys = Keys {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            other_rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref()).unwrap(),
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap(),
        };
        let plan = Plan {
            metadata: json!({}),
            header: json!({ "alg": "RS256", "kid": "rsa-1", "typ": "JWT" }),
            claims: json!({}),
            with: With::Rs256,
            tampered: false,
            kid: "rsa-1".into(),
            error: None,
            userinfo: json!({}),
        };
        let shared = Arc::new(Shared {
            base: format!("http://{}", listener.local_addr().unwrap()),
            keys,
            plan: Mutex::new(plan),
            now: Mutex::new(0),
            asked: Mutex::default(),
            last_exchange: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { shared, server }
    }

    pub(crate) fn url(&self) -> &str {
        &self.shared.base
    }

    /// Changes what it says from now on.
    pub(crate) fn plan(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.shared.plan.lock().unwrap());
    }

    /// Lets it say these claims, instead of or beside its usual ones.
    pub(crate) fn claim(&self, claims: Value) {
        self.plan(|plan| plan.claims = claims);
    }

    /// The time for the next tokens. A code of this issuer is the nonce for its token.
    pub(crate) fn prepare(&self, now: u64) {
        *self.shared.now.lock().unwrap() = now;
    }

    /// How often an address was asked.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }

    /// The form of the last code exchange, with the `Authorization` header under its name.
    pub(crate) fn last_exchange(&self) -> BTreeMap<String, String> {
        self.shared.last_exchange.lock().unwrap().clone()
    }

    /// `at_hash` of its access token for the algorithms that hash with SHA-256.
    pub(crate) fn at_hash() -> String {
        let hash = digest::digest(&digest::SHA256, ACCESS_TOKEN.as_bytes());
        BASE64URL_NOPAD.encode(&hash.as_ref()[..16])
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn note(&self, path: &str) -> Plan {
        self.asked.lock().unwrap().push(path.to_owned());
        self.plan.lock().unwrap().clone()
    }
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (plan, base) = (shared.note("/.well-known/openid-configuration"), &shared.base);
    Json(with(
        json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "jwks_uri": format!("{base}/jwks"),
            "userinfo_endpoint": format!("{base}/userinfo"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
        }),
        &plan.metadata,
    ))
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (plan, keys) = (shared.note("/jwks"), &shared.keys);
    let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let rsa = keys.rsa.public_key();
    let point = keys.ec.public_key().as_ref();
    Json(json!({ "keys": [
        // A key of a kind that nobody knows does no harm.
        { "kty": "quantum", "kid": "odd", "q": 1 },
        {
            "kty": "RSA", "kid": plan.kid, "use": "sig",
            "n": text(rsa.modulus().big_endian_without_leading_zero()),
            "e": text(rsa.exponent().big_endian_without_leading_zero()),
        },
        {
            "kty": "EC", "crv": "P-256", "kid": "ec-1", "use": "sig",
            "x": text(&point[1..33]), "y": text(&point[33..]),
        },
        {
            "kty": "OKP", "crv": "Ed25519", "kid": "ed-1", "use": "sig",
            "x": text(keys.ed.public_key().as_ref()),
        },
        { "kty": "oct", "kid": "oct-1", "k": text(b"a key that everybody can read") },
    ] }))
}

async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(mut form): Form<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let plan = shared.note("/token");
    if let Some(header) = headers.get("authorization") {
        let text = header.to_str().unwrap().trim_start_matches("Basic ").to_owned();
        let pair = String::from_utf8(BASE64.decode(text.as_bytes()).unwrap()).unwrap();
        form.insert("authorization".into(), pair);
    }
    *shared.last_exchange.lock().unwrap() = form.clone();
    if let Some(error) = plan.error {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": error })));
    }
    let now = *shared.now.lock().unwrap();
    let claims = with(
        json!({
            "iss": shared.base,
            "sub": "subject-1",
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": form["code"],
            "email": "ada@example.com",
            "email_verified": true,
            "name": "Ada",
        }),
        &plan.claims,
    );
    let answer = json!({
        "access_token": ACCESS_TOKEN,
        "token_type": "Bearer",
        "id_token": sign(&shared.keys, &plan, &claims),
    });
    (StatusCode::OK, Json(answer))
}

async fn userinfo(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Json<Value> {
    let plan = shared.note("/userinfo");
    assert_eq!(headers["authorization"], format!("Bearer {ACCESS_TOKEN}"));
    Json(with(json!({ "sub": "subject-1" }), &plan.userinfo))
}

/// An object with some fields replaced, and those that are `null` taken out.
fn with(mut object: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        object[name] = value.clone();
    }
    object.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    object
}

fn sign(keys: &Keys, plan: &Plan, claims: &Value) -> String {
    let text = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let header = text(&plan.header);
    let message = format!("{header}.{}", text(claims));
    let rng = SystemRandom::new();
    let rsa = |pair: &RsaKeyPair, pss: bool| {
        let mut signature = vec![0; pair.public_modulus_len()];
        if pss {
            pair.sign(&RSA_PSS_SHA256, &rng, message.as_bytes(), &mut signature).unwrap();
        } else {
            pair.sign(&RSA_PKCS1_SHA256, &rng, message.as_bytes(), &mut signature).unwrap();
        }
        signature
    };
    let mac = |key: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()).as_ref().to_vec()
    };
    let signature = match plan.with {
        With::Rs256 => rsa(&keys.rsa, false),
        With::Ps256 => rsa(&keys.rsa, true),
        With::AnotherKey => rsa(&keys.other_rsa, false),
        With::Es256 => keys.ec.sign(&rng, message.as_bytes()).unwrap().as_ref().to_vec(),
        With::EdDsa => keys.ed.sign(message.as_bytes()).as_ref().to_vec(),
        With::None => Vec::new(),
        With::HmacOfPublicKey => mac(keys.rsa.public_key().as_der().unwrap().as_ref()),
        With::HmacOfSecret => mac(CLIENT_SECRET.as_bytes()),
    };
    let signature = BASE64URL_NOPAD.encode(&signature);
    if plan.tampered {
        let mut claims = claims.clone();
        claims["email"] = json!("eve@example.com");
        return format!("{header}.{}.{signature}", text(&claims));
    }
    format!("{message}.{signature}")
}
