use super::*;
use std::fs;

const GOOD: &str = "\
slug: acme
name: Acme
description: Stores things.
docs: https://docs.acme.example/
categories: [storage]
hosts: [api.acme.example]
auth:
  api_key:
    docs: https://docs.acme.example/keys
    fields:
      - { name: api_key, label: API key }
    send: { headers: { X-Api-Key: \"{api_key}\" } }
verify: { url: https://api.acme.example/me }
api: { base_url: https://api.acme.example }
";

/// What an operator sees of a folder with this one row.
fn outcome(slug: &str, text: &str) -> Result<Catalog, String> {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join(slug)).unwrap();
    fs::write(root.path().join(slug).join("app.yaml"), text).unwrap();
    Catalog::load(Some(root.path()))
        .map_err(|error| error.to_string().replace(&format!("{}/", root.path().display()), ""))
}

fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    outcome("acme", &GOOD.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn every_row_of_the_repository_is_embedded_and_loads() {
    let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps");
    let folders: Vec<String> = row_files(&apps).unwrap().into_keys().collect();
    let catalog = Catalog::load(None).unwrap();
    let listed: Vec<String> = catalog.list().iter().map(|app| app.slug.to_string()).collect();
    assert_eq!(listed, folders);
    for app in catalog.list() {
        assert!(!app.name.is_empty() && app.description.ends_with('.'), "{}", app.slug);
    }
}

#[test]
fn an_operator_adds_and_replaces_rows() {
    let catalog = outcome("acme", GOOD).unwrap();
    assert_eq!(catalog.get("acme").unwrap().name, "Acme");
    assert!(catalog.get("github").is_some());
    assert!(catalog.get("nobody").is_none());
    let own = GOOD.replace("slug: acme", "slug: github");
    assert_eq!(outcome("github", &own).unwrap().get("github").unwrap().name, "Acme");
}

#[test]
fn wrong_rows_are_named_with_their_place() {
    for (from, to, expected) in [
        ("name: Acme\n", "name: Acme\nnmae: x\n", "acme/app.yaml:3:1: unknown field `nmae`"),
        ("name: Acme\n", "", "acme/app.yaml:13:1: missing field `name`"),
        ("name: Acme\n", "name: [Acme]\n", "acme/app.yaml:2:"),
        (
            "name: Acme\n",
            "name: Acme\nname: Acme\n",
            "acme/app.yaml:3:1: duplicate mapping key: name",
        ),
        ("name: Acme\n", "name: \"Acme\n", "acme/app.yaml:"),
        ("slug: acme", "slug: Acme", "acme/app.yaml:1:7: `Acme` is not a slug"),
        ("slug: acme", "slug: acne", "acme/app.yaml:1:7: the slug must be the folder's name"),
        ("[api.acme.example]", "[]", "acme/app.yaml:6:8: name at least one host"),
        ("[api.acme.example]", "[api.acme.example/v1]", "acme/app.yaml:6:9: `api.acme.example/v1`"),
        ("[api.acme.example]", "[\"*.example\"]", "acme/app.yaml:6:9: `*.example`"),
        (
            "url: https://api.acme.example/me",
            "url: https://evil.example/me",
            "acme/app.yaml:13:9: verify would send the credential to evil.example; add it to `hosts`",
        ),
        (
            "url: https://api.acme.example/me",
            "url: http://api.acme.example/me",
            "acme/app.yaml:13:16: `http://api.acme.example/me` must be https",
        ),
        ("\"{api_key}\"", "\"{key}\"", "acme/app.yaml:8:3: `{key}` names `key`"),
        ("\"{api_key}\"", "static", "acme/app.yaml:8:3: `send` names no field"),
        ("X-Api-Key:", "\"X Api\":", "acme/app.yaml:8:3: `X Api` is not a header name"),
        (
            "    send: { headers: { X-Api-Key: \"{api_key}\" } }\n",
            "",
            "acme/app.yaml:8:3: api_key needs a header",
        ),
        ("name: api_key", "name: api-key", "acme/app.yaml:11:17: `api-key` is not a field name"),
    ] {
        let shown = refusal(from, to);
        assert!(shown.starts_with(expected), "\n{shown}\n{expected}");
        assert!(!shown.contains('\n'), "{shown}");
    }
}

#[test]
fn an_app_without_a_way_to_connect_is_refused() {
    let (before, _) = GOOD.split_once("auth:").unwrap();
    let text = format!(
        "{before}auth: {{}}\nverify: {{ url: https://api.acme.example/me }}\napi: {{ base_url: https://api.acme.example }}\n"
    );
    assert!(outcome("acme", &text).unwrap_err().contains("name at least one way to connect"));
}

#[test]
fn a_field_that_stands_there_twice_is_refused() {
    let field = "      - { name: api_key, label: API key }\n";
    let shown = refusal(field, &field.repeat(2));
    assert!(shown.contains("`api_key` stands there twice"), "{shown}");
}

#[test]
fn the_limits_hold() {
    let shown = outcome("acme", &format!("# {}\n{GOOD}", "x".repeat(70_000))).unwrap_err();
    assert_eq!(shown, "acme/app.yaml holds more than 65536 bytes");
    // Aliases that unfold to a billion words end in an error, not in memory.
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        let below = format!("*a{},", level - 1).repeat(10);
        bomb = format!("{bomb}a{level}: &a{level} [{below}]\n");
    }
    assert!(outcome("acme", &bomb).unwrap_err().starts_with("acme/app.yaml:"));
}

#[test]
fn what_is_not_a_row_is_left_alone_or_named() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("README.md"), "notes").unwrap();
    fs::create_dir(root.path().join(".git")).unwrap();
    assert!(Catalog::load(Some(root.path())).is_ok());
    fs::create_dir(root.path().join("acme")).unwrap();
    let missing = Catalog::load(Some(root.path())).unwrap_err();
    assert!(missing.to_string().ends_with("acme/app.yaml"), "{missing}");
    let nowhere = Catalog::load(Some(&root.path().join("nowhere"))).unwrap_err();
    assert!(matches!(nowhere, CatalogError::Read { .. }));
}

#[test]
fn oddities_of_oauth_can_be_said() {
    let text = GOOD.replace(
        "  api_key:",
        "  oauth2:
    docs: https://docs.acme.example/oauth
    authorization_url: https://acme.example/authorize
    authorization_params: { access_type: offline }
    token_url: https://acme.example/token
    client_auth: post
    pkce: forbidden
    scopes: { default: [a, b], separator: \",\", param: user_scope }
    answer: { at: /authed_user, default_expires_in: 1800 }
    refresh: { rotates: true, retry_old_token: true, denied_errors: [gone] }
    revoke:
      url: https://acme.example/apps/{client_id}/grant
      method: DELETE
      token: access
      send: { json: access_token }
      client_auth: basic
  api_key:",
    );
    let catalog = outcome("acme", &text).unwrap();
    let app = catalog.get("acme").unwrap();
    let oauth2 = app.auth.oauth2.as_ref().unwrap();
    assert_eq!(oauth2.scopes.param, "user_scope");
    assert!(oauth2.refresh.as_ref().unwrap().may_repeat());
    let revoke = oauth2.revoke.as_ref().unwrap();
    assert_eq!(revoke.send, crate::TokenPlace::Json("access_token".into()));
    let shown = outcome("acme", &text.replace("rotates: true", "rotates: false")).unwrap_err();
    assert!(shown.starts_with("acme/app.yaml:8:3: retry_old_token says nothing"), "{shown}");
}

#[test]
fn introspection_is_for_tokens_that_rotate_and_for_hosts_that_get_them() {
    let text = GOOD.replace(
        "  api_key:",
        "  oauth2:
    docs: https://docs.acme.example/oauth
    authorization_url: https://acme.example/authorize
    token_url: https://login.acme.example/token
    client_auth: post
    pkce: required
    refresh: { rotates: true }
    introspection: { url: https://login.acme.example/introspect, client_auth: basic }
  api_key:",
    );
    let catalog = outcome("acme", &text).unwrap();
    let app = catalog.get("acme").unwrap();
    let oauth2 = app.auth.oauth2.as_ref().unwrap();
    let introspection = oauth2.introspection.as_ref().unwrap();
    assert_eq!(introspection.client_auth, crate::ClientAuth::Basic);
    assert_eq!(introspection.url.as_str(), "https://login.acme.example/introspect");
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        outcome("acme", &text.replacen(from, to, 1)).map(|_| ())
    };
    let url = "https://login.acme.example/introspect";
    // One of `hosts` does too.
    changed(url, "https://api.acme.example/introspect").unwrap();
    for (from, to, expected) in [
        (url, "http://login.acme.example/introspect", "must be https"),
        (url, "https://evil.example/introspect", "send the refresh token to evil.example"),
        (url, "https://login.acme.example:8443/introspect", "send the refresh token to"),
        (", client_auth: basic }", " }", "missing field `client_auth`"),
        ("{ rotates: true }", "{ rotates: false }", "introspection is for refresh tokens"),
        ("{ rotates: true }", "{ rotates: true, retry_old_token: true }", "may be sent again"),
        ("    refresh: { rotates: true }\n", "", "introspection is for refresh tokens"),
    ] {
        let shown = changed(from, to).unwrap_err();
        assert!(shown.starts_with("acme/app.yaml:") && shown.contains(expected), "{shown}");
    }
}

#[test]
fn the_schema_names_every_field() {
    let schema = Catalog::schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["slug"]["$ref"], "#/$defs/Slug");
    let required: Vec<&str> =
        schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(
        required,
        ["slug", "name", "description", "docs", "categories", "hosts", "auth", "verify", "api"]
    );
}
