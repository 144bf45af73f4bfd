//! Bad input: each is a problem that says what, where and what to do. Never a 5xx.

use crate::kit::{Json, MANIFEST, World, files_body, value};
use axum::http::{HeaderValue, Method, header};
use causeway_api::{API_BODY_LIMIT, DEPLOY_BODY_LIMIT};
use causeway_flow::{MAX_BYTES, MAX_FILES};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use data_encoding::BASE64;
use serde_json::{Value, json};

on_both!(
    bodies_that_are_not_what_is_asked_for,
    bodies_that_are_too_large,
    ids_that_are_none,
    texts_that_no_field_takes,
    manifests_that_are_wrong,
    files_that_make_no_version,
    headers_and_queries_of_odd_bytes,
    deep_and_wide_events,
);

const SESSIONS: &str = "/api/v1/connect-sessions";

async fn bodies_that_are_not_what_is_asked_for(database: TestDatabase) {
    let world = World::new(database).await;
    for (body, place) in [
        ("", "line 1 column 0"),
        ("{", "line 1 column 1"),
        ("{\n  \"customer\": \"a\",\n  \"app\" \"demo\"\n}", "line 3 column 9"),
        ("{\"customer\": \"a\u{1}\"}", "line 1"),
        ("{\"customer\": \"a\", }", "line 1 column 19"),
        ("'customer'", "line 1 column 1"),
        ("{} {}", "line 1"),
        ("NaN", "line 1 column 1"),
    ] {
        let answer = world.post_raw(SESSIONS, body).await;
        let detail = answer.json().text("detail");
        assert!(matches!(answer.json().text("code").as_str(), "invalid_json" | "invalid_request"));
        assert!(answer.status == 400 && detail.contains(place), "{body}: {detail}");
    }
    world.post_raw(SESSIONS, &b"{\"customer\": \"\xff\"}"[..]).await.problem(400, "invalid_json");
    world.post_raw(SESSIONS, "[".repeat(500_000)).await.problem(400, "invalid_json");
    world.post_raw(SESSIONS, "{\"a\":".repeat(100_000)).await.problem(400, "invalid_request");

    for (body, say) in [
        (json!(["ada", "demo", null, null, null, null]), "not a JSON object"),
        (json!(null), "not a JSON object"),
        (json!({}), "missing field `customer`"),
        (json!({ "customer": 1, "app": "demo" }), "expected a string"),
        (json!({ "customer": "a", "app": "demo", "nmae": "x" }), "unknown field `nmae`"),
        (json!({ "customer": "a", "app": "demo", "expires_in": -1 }), "expected u64"),
        (json!({ "customer": "a", "app": "demo", "expires_in": 1e300 }), "expected u64"),
        (json!({ "customer": "a", "app": "demo", "expires_in": u64::MAX }), "60 to 86,400"),
        (json!({ "customer": "a", "app": "demo", "expires_in": 59 }), "60 to 86,400"),
        (json!({ "customer": "a", "app": "demo", "reconnect_id": "wf_x" }), "conn_"),
    ] {
        let detail = world.post(SESSIONS, &body).await.problem(400, "invalid_request");
        assert!(detail.contains(say), "{body}: {detail}");
    }
    // Twice the same field.
    let twice = "{\"customer\":\"a\",\"customer\":\"b\",\"app\":\"demo\"}";
    world.post_raw(SESSIONS, twice).await.problem(400, "invalid_request");

    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "\u{1}",
        "",
    ] {
        let mut request =
            world.request(Method::POST, SESSIONS, Some(&json!({ "customer": "a", "app": "demo" })));
        let Ok(kind) = HeaderValue::try_from(kind) else { continue };
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        let detail = world.send(request).await.problem(400, "invalid_request");
        assert!(detail.contains("application/json"), "{detail}");
    }
    for kind in [None, Some("application/json;charset=utf-8"), Some("application/merge-patch+json")]
    {
        let mut request =
            world.request(Method::POST, SESSIONS, Some(&json!({ "customer": "a", "app": "demo" })));
        request.headers_mut().remove(header::CONTENT_TYPE);
        if let Some(kind) = kind {
            request.headers_mut().insert(header::CONTENT_TYPE, value(kind));
        }
        world.send(request).await.ok();
    }
}

async fn bodies_that_are_too_large(database: TestDatabase) {
    let world = World::new(database).await;
    let workflow = world.deploy("hello").await.text("workflow_id");
    let events = format!("/api/v1/workflows/{workflow}/events");
    let event = |bytes: usize| format!("{{\"event\":\"{}\"}}", "x".repeat(bytes - 12));
    world.post_raw(&events, event(API_BODY_LIMIT)).await.ok();
    for (path, bytes) in [
        (events.as_str(), API_BODY_LIMIT),
        (SESSIONS, API_BODY_LIMIT),
        ("/api/v1/connections", API_BODY_LIMIT),
        ("/api/v1/deployments", DEPLOY_BODY_LIMIT),
        ("/api/v1/deployments/plan", DEPLOY_BODY_LIMIT),
    ] {
        let answer = world.post_raw(path, event(bytes + 1)).await;
        let detail = answer.problem(413, "body_too_large");
        assert!(detail.contains("docs/limits.md"), "{detail}");
        let mut keyed = world.request(Method::POST, path, None);
        keyed.headers_mut().insert("idempotency-key", value("k"));
        *keyed.body_mut() = event(bytes + 1).into();
        world.send(keyed).await.problem(413, "body_too_large");
    }
}

async fn ids_that_are_none(database: TestDatabase) {
    let world = World::new(database).await;
    let zeros = "0".repeat(26);
    for (prefix, path) in [
        ("wf", "/api/v1/workflows/ID"),
        ("inv", "/api/v1/invocations/ID"),
        ("inv", "/api/v1/invocations/ID/event"),
        ("conn", "/api/v1/connections/ID"),
        ("cs", "/api/v1/connect-sessions/ID"),
    ] {
        let at = |id: &str| path.replace("ID", id);
        for id in [
            "x",
            "%20",
            "%00",
            "%ff",
            "%2e%2e",
            "..%2f..%2fetc",
            "null",
            &zeros,
            &format!("key_{zeros}"),
            &format!("{prefix}_"),
            &format!("{prefix}_{}", "0".repeat(25)),
            &format!("{prefix}_{}", "u".repeat(26)),
            &format!("{prefix}_8{}", "z".repeat(25)),
            &format!("{}_{zeros}", prefix.to_uppercase()),
            &format!("{prefix}_{zeros}%0a"),
            &"x".repeat(5000),
        ] {
            world.get(&at(id)).await.problem(400, "invalid_id");
        }
    }
    for path in
        ["/api/v1/apps/x", "/api/v1/apps/%00", "/api/v1/apps/..%2fdemo", "/api/v1/apps/DEMO"]
    {
        world.get(path).await.problem(404, "not_found");
    }
    world.get("/api/v1/apps/%ff").await.problem(400, "invalid_id");
}

/// Texts that have broken programs before.
fn odd_texts() -> Vec<String> {
    let mut odd =
        vec![String::new(), " ".into(), "\u{feff}".into(), "'; DROP TABLE workspace; --".into()];
    for bad in ["\0", "\n", "\r\nx: y", "\u{7f}", "\u{85}", "\u{1b}[2J"] {
        odd.extend([bad.to_owned(), format!("a{bad}b"), format!("https://x.example/{bad}")]);
    }
    odd.extend([
        "x".repeat(65),
        "x".repeat(256),
        "ä".repeat(200),
        "x".repeat(3000),
        "💥".repeat(20_000),
    ]);
    odd
}

async fn texts_that_no_field_takes(database: TestDatabase) {
    let world = World::new(database).await;
    let key = world.demo.api_key();
    let bodies = [
        (
            Method::POST,
            SESSIONS,
            json!({ "customer": "a", "app": "demo", "name": "n", "return_url": "https://x.example/" }),
        ),
        (
            Method::POST,
            "/api/v1/connections",
            json!({ "customer": "a", "app": "demo", "name": "n", "scheme": "api_key", "fields": { "api_key": key } }),
        ),
        (
            Method::PUT,
            "/api/v1/oauth-clients",
            json!({ "app": "demo", "client_id": "c", "client_secret": "s", "scopes": ["a"] }),
        ),
    ];
    for (method, path, body) in bodies {
        for field in body.as_object().unwrap().keys() {
            for text in odd_texts() {
                let mut odd = body.clone();
                match &mut odd[field] {
                    Value::Object(inner) => {
                        drop(inner.insert("api_key".into(), text.clone().into()));
                    }
                    Value::Array(inner) => inner[0] = text.clone().into(),
                    other => *other = text.clone().into(),
                }
                let answer = world.send(world.request(method.clone(), path, Some(&odd))).await;
                let fits = answer.status < 300 || matches!(answer.status, 400 | 409);
                let shown: String = text.chars().take(40).collect();
                assert!(fits, "{path} {field} {shown:?}: {} {}", answer.status, answer.html());
                // Nothing with a control character is ever kept.
                assert!(
                    answer.status >= 300
                        || field == "return_url"
                        || !text.contains(char::is_control),
                    "{field} {shown:?}"
                );
            }
        }
        // A name beside those that are asked for, and none at all.
        let mut more = body.clone();
        more["\0"] = json!(1);
        world
            .send(world.request(method.clone(), path, Some(&more)))
            .await
            .problem(400, "invalid_request");
    }
    let session = |extra: Value| {
        let mut body = json!({ "customer": "a", "app": "demo" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    for (extra, code) in [
        (json!({ "app": "nope" }), "unknown_app"),
        (json!({ "customer": "" }), "invalid_request"),
        (json!({ "name": "" }), "invalid_request"),
        (json!({ "return_url": "javascript:alert(1)" }), "invalid_request"),
        (json!({ "return_url": "/done" }), "invalid_request"),
        (
            json!({ "return_url": format!("https://x.example/{}", "x".repeat(2048)) }),
            "invalid_request",
        ),
    ] {
        world.post(SESSIONS, &session(extra)).await.problem(400, code);
    }
    let connection = |extra: Value| {
        let mut body = json!({ "customer": "a", "app": "demo", "fields": { "api_key": "k" } });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    for (extra, status, code) in [
        (json!({ "fields": {} }), 400, "invalid_request"),
        (json!({ "fields": { "api_key": "k", "more": "x" } }), 400, "invalid_request"),
        (json!({ "fields": { "api_key": "wrong" } }), 400, "credential_refused"),
        (json!({ "scheme": "oauth2" }), 400, "unsupported_scheme"),
        (json!({ "scheme": "magic" }), 400, "invalid_request"),
        (
            json!({ "app": "github", "scheme": "basic", "fields": { "username": "u", "password": "p" } }),
            400,
            "unsupported_scheme",
        ),
    ] {
        world.post("/api/v1/connections", &connection(extra)).await.problem(status, code);
    }
    world.connection("crm").await;
    let taken = connection(json!({ "name": "crm", "fields": { "api_key": world.demo.api_key() } }));
    world.post("/api/v1/connections", &taken).await.problem(409, "connection_name_taken");
}

async fn manifests_that_are_wrong(database: TestDatabase) {
    let world = World::new(database).await;
    let refused = async |manifest: &str| -> String {
        let files = [("workflow.yaml", manifest), ("greet.mjs", ""), ("s.mjs", "")];
        for path in ["/api/v1/deployments/plan", "/api/v1/deployments"] {
            let answer = world.post(path, &files_body(&files)).await;
            answer.problem(400, "invalid_manifest");
        }
        world.deploy_files(&files).await.json().text("detail")
    };
    for (manifest, says) in [
        ("", "workflow.yaml"),
        ("name: [", "line"),
        ("name: a\n  trigger: b\n", "line 2"),
        ("- a\n- b\n", "line 1"),
        ("\t", "workflow.yaml"),
        ("name: a\nname: b\n", "name"),
        (&MANIFEST.replace("auth: none", "auth: nobody"), "nobody"),
        (&MANIFEST.replace("http:", "smtp:"), "smtp"),
        (&MANIFEST.replace("name: hello", "nome: hello"), "line 1"),
        (&MANIFEST.replace("name: hello", "name: \"\""), "name:"),
        (&MANIFEST.replace("name: hello", "name: \"a\\0b\""), "name:"),
        (&MANIFEST.replace("hello", &"x".repeat(65)), "name:"),
        (&MANIFEST.replace("run: ./greet.mjs", "run: 1"), "steps[0].run"),
        (&format!("{MANIFEST}  - name: greet\n    run: ./s.mjs\n"), "unique"),
        (&format!("{MANIFEST}limits: {{ wall_seconds: 99999999999999999999999 }}\n"), "line 7"),
        (&format!("{MANIFEST}limits: {{ wall_seconds: 901 }}\n"), "limits.wall_seconds"),
        (&format!("{MANIFEST}egress: [\"http://x\"]\n"), "egress"),
        (&format!("{MANIFEST}    connections: {{ crm: \"a\\0b\" }}\n"), "steps[0].connections"),
        (&format!("{MANIFEST}    connections: {{ \"a\\\"b\": crm }}\n"), "steps[0].connections"),
        (
            &format!(
                "name: a\ntrigger: {{ http: {{ auth: none }} }}\nsteps: [{}]",
                "{ name: s, run: ./s.mjs },".repeat(101)
            ),
            "100",
        ),
    ] {
        let detail = refused(manifest).await;
        assert!(detail.contains(says), "{manifest}: {detail}");
        assert!(detail.contains("workflow.yaml"), "{detail}");
    }
    // Bombs and long lines: refused in bounded time and words.
    let bomb = (0..30).fold("a0: &a0 [x, x]\n".to_owned(), |bomb, n| {
        format!(
            "{bomb}a{}: &a{} [*a{n}, *a{n}, *a{n}, *a{n}, *a{n}, *a{n}, *a{n}, *a{n}, *a{n}]\n",
            n + 1,
            n + 1
        )
    });
    for manifest in
        [bomb, "[".repeat(100_000), "x".repeat(1 << 20), format!("name: {}", "y".repeat(1 << 20))]
    {
        let files = [("workflow.yaml", manifest.as_str())];
        let answer = world.deploy_files(&files).await;
        answer.problem(400, "invalid_manifest");
    }
    let linked = format!("{MANIFEST}    connections: {{ crm: no-such-one }}\n");
    let files = [("workflow.yaml", linked.as_str()), ("greet.mjs", "")];
    let detail = world.deploy_files(&files).await.problem(409, "missing_connection");
    assert!(detail.contains("`no-such-one`") && detail.contains("causeway connect"), "{detail}");
    assert_eq!(world.get("/api/v1/workflows").await.ok()["data"], json!([]), "nothing was made");
}

async fn files_that_make_no_version(database: TestDatabase) {
    let world = World::new(database).await;
    let with = |extra: &[(&str, &str)]| {
        let mut files = vec![("workflow.yaml", MANIFEST), ("greet.mjs", "")];
        files.extend(extra);
        files_body(&files)
    };
    let deploy = async |body: &Value| world.post("/api/v1/deployments", body).await;
    for path in [
        "../x",
        "/etc/passwd",
        "a/../../b",
        "a//b",
        "./a",
        "a\\b",
        "",
        "a\0b",
        "a\nb",
        "..",
        &"x".repeat(256),
        &"x/".repeat(300),
        "greet.mjs/x",
    ] {
        let answer = deploy(&with(&[(path, "")])).await;
        let detail = answer.problem(400, "invalid_code");
        assert!(detail.len() < 1000, "{detail}");
    }
    let mut many = with(&[]);
    for n in 0..MAX_FILES {
        many["files"][format!("f{n}")] = json!("");
    }
    let detail = deploy(&many).await.problem(400, "invalid_code");
    assert!(detail.contains("2000"), "{detail}");
    let large = "x".repeat(MAX_BYTES);
    let detail = deploy(&with(&[("large", &large)])).await.problem(400, "invalid_code");
    assert!(detail.contains(&MAX_BYTES.to_string()), "{detail}");
    for text in ["%%%", "YQ", "YQ=", "YQ==\n", "é", "data:text/plain;base64,YQ=="] {
        let mut body = with(&[]);
        body["files"]["x.bin"] = json!(text);
        let detail = deploy(&body).await.problem(400, "invalid_request");
        assert!(detail.contains("`x.bin`") && detail.contains("base64"), "{detail}");
    }
    deploy(&json!({ "files": {} })).await.problem(400, "invalid_manifest");
    deploy(&json!({ "files": { "workflow.yaml": BASE64.encode(b"\xff\xfe") } }))
        .await
        .problem(400, "invalid_manifest");
    let detail =
        deploy(&files_body(&[("workflow.yaml", MANIFEST)])).await.problem(400, "invalid_code");
    assert!(detail.contains("greet.mjs"), "{detail}");
    // What is odd but right.
    deploy(&with(&[("ä/💥 x.json", "{}"), (".hidden", ""), ("a.b/c", ""), ("a", "")])).await.ok();
}

async fn headers_and_queries_of_odd_bytes(database: TestDatabase) {
    let world = World::new(database).await;
    for bytes in [&b"\xff\xfe"[..], b"Bearer \xc3\xa4", b"Bearer\tcwk_"] {
        let mut request = world.request(Method::GET, "/api/v1/workflows", None);
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, HeaderValue::from_bytes(bytes).unwrap());
        world.send(request).await.problem(401, "unauthenticated");
    }
    let mut request =
        world.request(Method::POST, SESSIONS, Some(&json!({ "customer": "a", "app": "demo" })));
    request.headers_mut().insert("idempotency-key", HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    world.send(request).await.ok();
    for query in [
        "limit=%ff",
        "%00=1",
        "limit",
        "=",
        "limit=1;limit=2",
        "state=%00",
        "workflow_id=%00",
        "a[]=1",
        "limit=1&limit=1",
        "state=queued&state=failed",
        &"x".repeat(5000),
    ] {
        let answer = world.get(&format!("/api/v1/invocations?{query}")).await;
        let detail = answer.problem(400, "invalid_request");
        assert!(detail.len() < 1000, "{detail}");
    }
    for query in ["after=x", "workflow_id=x", "invocation_id=x", "invocation_id=inv_0&x=1"] {
        world
            .get(&format!("/api/v1/invocations/tail?{query}"))
            .await
            .problem(400, "invalid_request");
    }
    for query in ["", "?", "?&&"] {
        world.get(&format!("/api/v1/invocations{query}")).await.ok();
    }
}

async fn deep_and_wide_events(database: TestDatabase) {
    let world = World::new(database).await;
    let workflow = world.deploy("hello").await.text("workflow_id");
    let events = format!("/api/v1/workflows/{workflow}/events");
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let wide = format!("[{}0]", "0,".repeat(200_000));
    for event in [
        deep.as_str(),
        &wide,
        "null",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "1e999",
        "123456789012345678901234567890",
        "{\"a\":1,\"a\":2}",
    ] {
        let made = world.post_raw(&events, format!("{{\"event\": {event}}}")).await.ok();
        let shown = world.event_bytes(&made.text("invocation_id")).await;
        assert!(shown == event.as_bytes(), "an event is kept as it came");
    }
    world.post_raw(&events, "{\"event\": }").await.problem(400, "invalid_json");
    world.post_raw(&events, "{}").await.problem(400, "invalid_request");
}
