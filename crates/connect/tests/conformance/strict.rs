//! That stand-ins refuse: a row that says something else than its app does is found out.

use crate::Fleet;
use crate::drive::Drive;
use crate::report::Driven;
use causeway_catalog::App;
use causeway_types::entity::Scheme;
use serde_json::{Value, json};
use std::sync::Arc;

/// Drives a scheme of an app whose stand-in goes by another row than Causeway does.
async fn with_other_row(slug: &str, scheme: Scheme, change: impl Fn(&mut Value)) -> Driven {
    let mut fleet = Fleet::start(&[slug.to_owned()]).await;
    let (row, ..) = &mut fleet.apps[0];
    let mut other = serde_json::to_value(&*row.app).unwrap();
    change(&mut other);
    row.app = Arc::new(serde_json::from_value::<App>(other).unwrap());
    let (row, standin, clock, _) = &fleet.apps[0];
    let hand = fleet.world.hand(&fleet.catalog, clock);
    let drive = Drive { hand: &hand, standin, row, keys: &fleet.keys };
    drive.life(scheme).await
}

/// A way in which a row can be wrong.
type Change = (&'static str, Scheme, &'static str, fn(&mut Value));

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_wrong_fails() {
    let changes: &[Change] = &[
        ("stripe", Scheme::ApiKey, "the credential's place", |row| {
            row["auth"]["api_key"]["send"] = json!({ "headers": { "X-Api-Key": "{api_key}" } });
        }),
        ("hubspot", Scheme::Oauth2, "how the client proves itself", |row| {
            row["auth"]["oauth2"]["client_auth"] = "basic".into();
        }),
        ("hubspot", Scheme::Oauth2, "PKCE", |row| {
            row["auth"]["oauth2"]["pkce"] =
                if row["auth"]["oauth2"]["pkce"] == "forbidden" { "required" } else { "forbidden" }
                    .into();
        }),
        ("hubspot", Scheme::Oauth2, "the scopes' separator", |row| {
            row["auth"]["oauth2"]["scopes"]["default"] = json!(["one", "two"]);
        }),
        ("hubspot", Scheme::Oauth2, "a parameter that is missing", |row| {
            row["auth"]["oauth2"]["token_params"] = json!({ "audience": "x" });
        }),
        ("gitlab", Scheme::Oauth2, "which token ends the grant", |row| {
            row["auth"]["oauth2"]["revoke"]["token"] = "access".into();
            row["auth"]["oauth2"]["revoke"]["send"] = json!({ "query": "token" });
        }),
        ("xero", Scheme::Oauth2, "the token endpoint", |row| {
            row["auth"]["oauth2"]["token_url"] = "https://identity.xero.com/elsewhere".into();
        }),
        ("bigquery", Scheme::Jwt, "the claims", |row| {
            row["auth"]["jwt"]["claims"]["sub"] = "somebody".into();
        }),
        ("coinbase-exchange", Scheme::Signature, "what is signed", |row| {
            row["auth"]["signature"]["hmac"]["message"] = "{method}{body}".into();
        }),
        ("netsuite", Scheme::Signature, "how it is signed", |row| {
            row["auth"]["signature"]["oauth1"]["method"] = "HMAC-SHA1".into();
        }),
        ("aws-s3", Scheme::Signature, "the region", |row| {
            row["auth"]["signature"]["aws_sigv4"]["region"] = "elsewhere".into();
        }),
        ("github", Scheme::ApiKey, "the headers of every call", |row| {
            row["api"]["headers"]["X-GitHub-Api-Version"] = "2020-01-01".into();
        }),
        ("github", Scheme::ApiKey, "the request that verifies", |row| {
            row["verify"]["url"] = "https://api.github.com/users".into();
        }),
    ];
    for (slug, scheme, what, change) in changes {
        let driven = Box::pin(with_other_row(slug, *scheme, change)).await;
        let faults = driven.faults();
        assert!(!faults.is_empty(), "{slug} {scheme}: {what} was not noticed");
        assert!(!driven.is_whole());
    }
}
