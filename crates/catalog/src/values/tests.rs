use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn pattern(text: &str) -> HostPattern {
    HostPattern::read(text).unwrap()
}

#[test]
fn slugs_and_field_names() {
    for text in ["a", "github", "google-sheets", "x2"] {
        assert_eq!(Slug::read(text).unwrap().as_str(), text);
    }
    for text in ["", "2x", "-a", "a-", "GitHub", "a_b", "a b", "é", &"a".repeat(41)] {
        assert!(Slug::read(text).is_err(), "{text}");
    }
    assert!(FieldName::read("api_key").is_ok());
    for text in ["", "_x", "api-key", "Key", "$auth"] {
        assert!(FieldName::read(text).is_err(), "{text}");
    }
}

#[test]
fn urls_are_https_or_at_loopback() {
    for text in [
        "https://api.example.com/x?y=1",
        "http://127.0.0.1:8401/x",
        "http://[::1]:80/",
        "http://127.9.9.9/",
    ] {
        assert!(AppUrl::read(text).is_ok(), "{text}");
    }
    for text in [
        "",
        "/x",
        "http://api.example.com/",
        "http://localhost/",
        "http://10.0.0.1/",
        "http://0.0.0.0/",
        "ftp://127.0.0.1/",
        "https://me:pw@api.example.com/",
        "https://api.example.com/#x",
    ] {
        assert!(AppUrl::read(text).is_err(), "{text}");
    }
}

#[test]
fn a_host_pattern_covers_exactly_its_hosts() {
    let exact = pattern("api.example.com");
    assert!(exact.covers(&url("https://api.example.com/x")));
    assert!(exact.covers(&url("https://API.example.com:443/x")));
    assert!(exact.covers_host("api.example.com.", 443));
    for other in [
        "https://example.com/",
        "https://x.api.example.com/",
        "https://api.example.com.evil.com/",
        "https://evil-api.example.com/",
        "https://api.example.com:8443/",
        "http://api.example.com/",
        "http://api.example.com:443/",
    ] {
        assert!(!exact.covers(&url(other)), "{other}");
    }
    let below = pattern("*.example.com");
    assert!(below.covers(&url("https://api.example.com/")));
    assert!(below.covers(&url("https://a.b.example.com/")));
    for other in ["https://example.com/", "https://evilexample.com/", "https://example.com.evil/"] {
        assert!(!below.covers(&url(other)), "{other}");
    }
    let local = pattern("127.0.0.1:8401");
    assert!(local.covers(&url("http://127.0.0.1:8401/x")));
    assert!(!local.covers(&url("http://127.0.0.1:8402/x")));
    assert!(!local.covers(&url("http://127.0.0.1/x")));
}

#[test]
fn sloppy_host_patterns_are_refused() {
    for text in [
        "",
        "*",
        "*.com",
        "*.10.0.0.1",
        "api.*.com",
        "https://api.example.com",
        "api.example.com/",
        "api.example.com/v1",
        "API.example.com",
        "me@api.example.com",
        "api.example.com:443",
        "127.1",
        "api.example.com:x",
        "*.*.example.com",
    ] {
        assert!(HostPattern::read(text).is_err(), "{text}");
    }
}

#[test]
fn templates_are_filled_from_fields() {
    let template = Template::read("Bearer {token}-{b}!").unwrap();
    assert_eq!(template.fields().collect::<Vec<_>>(), ["token", "b"]);
    let value = |name: &str| match name {
        "token" => Some("{b}"),
        "b" => Some("2"),
        _ => None,
    };
    assert_eq!(template.fill(value).unwrap(), "Bearer {b}-2!");
    assert_eq!(template.fill(|_| None), None);
    assert_eq!(Template::read("plain").unwrap().fill(|_| None).unwrap(), "plain");
    for text in ["{", "}", "{a", "a}", "{A}", "{}", "{{a}}", "{a}}", "{a}\r"] {
        assert!(Template::read(text).is_err(), "{text}");
    }
}

#[test]
fn urls_are_filled_without_moving_their_host() {
    let read = |text: &str| UrlTemplate::read(text).unwrap();
    let filled =
        |text: &str, value: &str| read(text).fill(|_| Some(value)).map(|url| url.to_string());
    let path = "https://api.example.com/apps/{client_id}/grant";
    assert_eq!(filled(path, "a/b c").unwrap(), "https://api.example.com/apps/a%2Fb%20c/grant");
    assert_eq!((filled(path, ".."), filled(path, ".")), (None, None));
    for value in ["../x", "...", "a?b", "a#b", "\\x", "@evil.example"] {
        let url = read(path).fill(|_| Some(value)).unwrap();
        assert_eq!(url.host_str(), Some("api.example.com"), "{value}");
        assert_eq!(url.path_segments().unwrap().count(), 3, "{value}: {url}");
    }
    let host = "https://{shop}.example.com/admin";
    assert_eq!(filled(host, "acme").unwrap(), "https://acme.example.com/admin");
    for value in ["evil.example/", "a@b", "a:b@c", "", "-a", "a b", "a/b", "a#", "a?b", "a\\b"] {
        assert_eq!(filled(host, value), None, "{value}");
    }
    let whole = read("https://{host}/api");
    assert_eq!(whole.whole_host_field(), Some("host"));
    assert_eq!(read(host).whole_host_field(), None);
    assert_eq!(
        filled("https://{host}/api", "crm.example.com:8443").unwrap(),
        "https://crm.example.com:8443/api"
    );
    assert_eq!(read("https://a.example/x").as_fixed().unwrap().as_str(), "https://a.example/x");
    assert!(read(path).as_fixed().is_none());
    for text in ["http://a.example/", "{scheme}://a.example/", "https://a.example/{A}", "a/{b}"] {
        assert!(UrlTemplate::read(text).is_err(), "{text}");
    }
}

#[test]
fn host_templates_keep_their_domain() {
    let template = HostTemplate::read("{shop}.example.com").unwrap();
    let pattern = template.fill(|_| Some("Acme")).unwrap();
    assert!(pattern.covers(&Url::parse("https://acme.example.com/x").unwrap()));
    for value in ["a.b/", "*", "", "a@b"] {
        assert_eq!(template.fill(|_| Some(value)), None, "{value}");
    }
    assert_eq!(template.fill(|_| None), None);
    assert!(HostTemplate::read("*.{domain}").is_err());
    assert!(HostTemplate::read("*.example.com").is_ok());
}

#[test]
fn pointers() {
    assert!(JsonPointer::read("/a~1b/0").is_ok());
    for text in ["", "a", "/a~2"] {
        assert!(JsonPointer::read(text).is_err(), "{text}");
    }
}
