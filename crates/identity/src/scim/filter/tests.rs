use super::*;
use proptest::prelude::*;
use serde_json::json;

fn ada() -> Map<String, Value> {
    let ada = json!({
        "schemas": [Kind::User.urn()],
        "id": "mem_0",
        "externalId": "Ada-1",
        "userName": "ada@example.com",
        "name": { "formatted": "Ada Lovelace", "givenName": "Ada", "familyName": "Lovelace" },
        "displayName": "Ada Lovelace",
        "active": true,
        "emails": [{ "value": "ada@example.com", "type": "work", "primary": true }],
        "meta": { "resourceType": "User", "created": "2026-01-02T03:04:05.000006Z" },
    });
    ada.as_object().unwrap().clone()
}

fn passes(filter: &str) -> Result<bool, FilterError> {
    Filter::read(Kind::User, filter).map(|filter| filter.passes(&ada()))
}

#[test]
fn comparisons() {
    for (filter, expected) in [
        (r#"userName eq "ada@example.com""#, true),
        (r#"userName eq "ADA@Example.COM""#, true),
        (r#"username EQ "ada@example.com""#, true),
        (r#"userName eq "bob@example.com""#, false),
        (r#"userName ne "bob@example.com""#, true),
        (r#"userName co "@EXAMPLE""#, true),
        (r#"userName sw "ada""#, true),
        (r#"userName ew ".org""#, false),
        (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada@example.com""#, true),
        (r#"externalId eq "Ada-1""#, true),
        (r#"externalId eq "ada-1""#, false),
        (r#"name.familyName sw "LOVE""#, true),
        (r#"displayName eq "ada lovelace""#, true),
        (r#"displayName gt "a""#, true),
        (r#"displayName lt "a""#, false),
        ("active eq true", true),
        (r#"active eq "False""#, false),
        ("active ne false", true),
        ("externalId pr", true),
        ("externalId eq null", false),
        ("externalId ne null", true),
        (r#"meta.created gt "2026-01-01T00:00:00Z""#, true),
        (r#"meta.created le "2026-01-02T04:04:05.000006+01:00""#, true),
        (r#"meta.created lt "2026-01-02T04:04:05.000006+01:00""#, false),
        (r#"emails.value eq "ada@example.com""#, true),
        (r#"emails eq "ada@example.com""#, true),
        (r#"emails[type eq "work" and value co "@example.com"]"#, true),
        (r#"emails[type eq "home"]"#, false),
        // As Microsoft Entra sends it.
        (r#"emails[type eq "work"].value eq "Ada@example.com""#, true),
        (r#"emails[type eq "home"].value eq "ada@example.com""#, false),
        ("not (active eq true)", false),
        (r#"not(active eq false) and (externalId eq "x" or displayName pr)"#, true),
        // `and` binds before `or`.
        ("active eq true or active eq true and active eq false", true),
        ("(active eq true or active eq true) and active eq false", false),
        (r#"displayName eq "Ada \"the\" Lovelace""#, false),
    ] {
        assert_eq!(passes(filter), Ok(expected), "{filter}");
    }
}

#[test]
fn what_cannot_be_served_is_refused() {
    for filter in [
        "",
        " ",
        "title2 pr or active eq true",
        "userName",
        "userName eq",
        "userName eq ada",
        r#"userName eq "ada"#,
        r#"userName eq "ada" extra"#,
        r#"userName == "ada""#,
        "userName eq 'ada'",
        r#"eq "ada""#,
        "userName eq 7",
        "active eq 1",
        "active gt true",
        r#"active co "t""#,
        r#"name eq "Ada""#,
        "meta eq true",
        r#"meta.created eq "yesterday""#,
        r#"meta.created co "2026-01-01T00:00:00Z""#,
        r#"title eq "Dr""#,
        r#"password eq "x""#,
        r#"password sw "a""#,
        r#"groups.value eq "grp_0""#,
        r#"roles eq "owner""#,
        r#"nothing eq "x""#,
        r#"name.nothing eq "x""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "x""#,
        r#"name[formatted eq "x"]"#,
        r#"emails[userName eq "x"]"#,
        r#"emails[type eq "work""#,
        r#"emails[type eq "work"].nothing eq "x""#,
        r#"emails[type eq "work"] eq "x""#,
        "not active eq true",
        "(active eq true",
        "active eq true)",
        "active eq true and",
        "and active eq true",
        "active eq true or or active eq true",
        "userName eq \"a\u{0}\"",
        "userName eq \"\\ud800\"",
        "userName\teq\t\"a\"",
        "userName;drop table member",
        "🙂 eq 1",
    ] {
        assert!(passes(filter).is_err(), "{filter:?}");
    }
}

#[test]
fn limits() {
    let long = format!("userName eq \"{}\"", "a".repeat(10_000));
    assert_eq!(passes(&long), Err(FilterError::TooLong));
    let deep = format!("{}active eq true{}", "(".repeat(17), ")".repeat(17));
    assert_eq!(passes(&deep), Err(FilterError::TooDeep));
    let as_deep = format!("{}active eq true{}", "(".repeat(16), ")".repeat(16));
    assert_eq!(passes(&as_deep), Ok(true));
    let not = format!("{}active eq true{}", "not (".repeat(17), ")".repeat(17));
    assert_eq!(passes(&not), Err(FilterError::TooDeep));
    let many = vec!["active pr"; 51].join(" or ");
    assert_eq!(passes(&many), Err(FilterError::TooMany { most: MAX_TERMS }));
    let path = format!("emails[{}]", ["primary pr"; 5].join(" or "));
    assert!(matches!(Path::read(Kind::User, &path), Err(FilterError::TooMany { .. })));
}

#[test]
fn one_user_is_looked_up_and_not_searched_for() {
    let pinned = |filter: &str| Filter::read(Kind::User, filter).unwrap().pinned();
    let ada = Some(Pinned::Email("ada@example.com".parse().unwrap()));
    for filter in [
        r#"userName eq "Ada@example.com""#,
        r#"active eq true and userName eq "ada@example.com""#,
        r#"emails.value eq "ada@example.com""#,
        r#"emails[type eq "work"].value eq "ada@example.com""#,
        r#"emails[value eq "ada@example.com"]"#,
    ] {
        assert_eq!(pinned(filter), ada, "{filter}");
    }
    assert_eq!(pinned(r#"id eq "mem_0""#), Some(Pinned::Id("mem_0".into())));
    assert_eq!(pinned(r#"userName eq "no address""#), Some(Pinned::Nothing));
    for filter in [
        r#"userName ne "ada@example.com""#,
        r#"userName eq "ada@example.com" or active eq true"#,
        r#"not (userName eq "ada@example.com")"#,
        r#"emails.type eq "work""#,
    ] {
        assert_eq!(pinned(filter), None, "{filter}");
    }
    // A look-alike is another mailbox, or none.
    assert_eq!(pinned(r#"userName eq "аda@example.com""#), Some(Pinned::Nothing));
}

#[test]
fn paths() {
    let path = |text: &str| Path::read(Kind::User, text);
    for text in [
        "userName",
        "USERNAME",
        "name.givenName",
        "emails",
        r#"emails[type eq "work"]"#,
        r#"emails[type eq "work"].value"#,
        "urn:ietf:params:scim:schemas:core:2.0:User:name.familyName",
    ] {
        assert!(matches!(path(text), Ok(Path::Kept { .. })), "{text}");
    }
    for text in [
        "title",
        "nickName",
        "name.middleName",
        r#"addresses[type eq "work"].country"#,
        r#"phoneNumbers[type eq "mobile"].value"#,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    ] {
        assert!(matches!(path(text), Ok(Path::NotKept)), "{text}");
    }
    for text in [
        "",
        "nothing",
        "userName.",
        "name.nothing",
        "emails[",
        "emails[]",
        "active[x pr]",
        "userName eq",
    ] {
        assert!(path(text).is_err(), "{text}");
    }
}

/// Filters that are nearly right, so that the reader is not left at its first word.
fn nearly() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "userName",
        "emails",
        "members",
        "active",
        "meta.created",
        "name",
        "name.givenName",
        "eq",
        "ne",
        "co",
        "sw",
        "ew",
        "pr",
        "gt",
        "ge",
        "lt",
        "le",
        "and",
        "or",
        "not",
        "(",
        ")",
        "[",
        "]",
        ".value",
        "\"a\"",
        "\"ada@example.com\"",
        "\"2026-01-01T00:00:00Z\"",
        "true",
        "false",
        "null",
        "1",
        "-1.5e3",
        "type",
        "value",
        "\"",
        "\\",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" ").replace(" .", "."))
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        for kind in [Kind::User, Kind::Group] {
            if let Ok(filter) = Filter::read(kind, &text) {
                filter.passes(&ada());
            }
            let _ = Path::read(kind, &text);
        }
    }

    #[test]
    fn nearly_filters_are_read_or_refused(text in nearly()) {
        for kind in [Kind::User, Kind::Group] {
            if let Ok(filter) = Filter::read(kind, &text) {
                filter.passes(&ada());
                filter.pinned();
            }
            let _ = Path::read(kind, &text);
        }
    }
}
