//! AWS Signature Version 4 as AWS checks it:
//! docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

use super::Plan;
use super::calls::Carried;
use crate::seen::{Fault, Seen};
use aws_lc_rs::{digest, hmac};
use causeway_catalog::AwsSigV4;
use causeway_types::Timestamp;
use data_encoding::HEXLOWER;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Checks the signature of a request, and says what carries it.
pub(super) fn check(
    plan: &Plan,
    row: &AwsSigV4,
    seen: &Seen,
    now: Timestamp,
) -> Result<Carried, Fault> {
    let header = seen.header("authorization").ok_or("it has no Authorization header")?;
    let rest = header.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("it is not signed by SigV4")?;
    let parts: BTreeMap<&str, &str> =
        rest.split(',').filter_map(|part| part.trim().split_once('=')).collect();
    let part = |name: &str| parts.get(name).copied().ok_or(format!("`{name}` is missing"));
    let (credential, names, signature) =
        (part("Credential")?, part("SignedHeaders")?, part("Signature")?);

    let text = |template| plan.text(template, |_| None).map(Option::unwrap_or_default);
    // A service is signed for by the first part of its host, unless the row says another name.
    let service = match &row.service {
        Some(template) => text(template)?,
        None => seen.url.host_str().unwrap_or_default().split('.').next().unwrap().to_owned(),
    };
    let region = text(&row.region)?;
    let at = jiff::Timestamp::from_second(i64::try_from(now.as_secs()).unwrap()).unwrap();
    let time = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let scope = format!("{}/{region}/{service}/aws4_request", &time[..8]);
    let value = |name: &causeway_catalog::FieldName| plan.value(name.as_str()).unwrap_or_default();
    if credential != format!("{}/{scope}", value(&row.access_key)) {
        return Err(format!("it is signed for {credential} and not for {scope}"));
    }
    if seen.header("x-amz-date") != Some(&time) {
        return Err("x-amz-date is not the time".into());
    }
    let session = row.session_token.as_ref().and_then(|name| plan.value(name.as_str()));
    if seen.header("x-amz-security-token") != session {
        return Err("x-amz-security-token is not the session token".into());
    }

    let hash = |bytes: &[u8]| HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref());
    let body = hash(&seen.body);
    let payload = match seen.header("x-amz-content-sha256") {
        Some(hash) if hash == body || hash == "UNSIGNED-PAYLOAD" => hash.to_owned(),
        Some(_) => return Err("x-amz-content-sha256 is not that of the body".into()),
        // S3 alone demands it.
        None if service == "s3" => return Err("x-amz-content-sha256 is missing".into()),
        None => body,
    };
    let mut headers = String::new();
    let signed: Vec<&str> = names.split(';').collect();
    for name in &signed {
        let found = seen.header(name).ok_or(format!("the signed header {name} is missing"))?;
        writeln!(headers, "{name}:{}", found.trim()).unwrap();
    }
    let own = seen.headers.keys().map(http::HeaderName::as_str);
    let unsigned = own
        .chain(["host"])
        .find(|name| (*name == "host" || name.starts_with("x-amz-")) && !signed.contains(name));
    if let Some(name) = unsigned {
        return Err(format!("the header {name} is not signed"));
    }
    let mut pairs: Vec<(String, String)> = seen
        .url
        .query_pairs()
        .map(|(name, value)| (encoded(&name, false), encoded(&value, false)))
        .collect();
    pairs.sort();
    let query: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    // Every service but S3 signs the path as it is sent, encoded once more.
    let path =
        if service == "s3" { seen.url.path().to_owned() } else { encoded(seen.url.path(), true) };
    let canonical =
        format!("{}\n{path}\n{}\n{headers}\n{names}\n{payload}", seen.method, query.join("&"));
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
    let secret = format!("AWS4{}", value(&row.secret_key));
    let key = [&time[..8], &region, &service, "aws4_request"]
        .into_iter()
        .fold(secret.into_bytes(), |key, part| mac(&key, part.as_bytes()));
    if HEXLOWER.encode(&mac(&key, to_sign.as_bytes())) != signature {
        return Err("its signature is not good".into());
    }
    let carrying = ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];
    let found = |name: &str| Some((name.to_owned(), seen.header(name)?.to_owned()));
    Ok(Carried { headers: carrying.into_iter().filter_map(found).collect(), ..Carried::default() })
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

/// AWS's own UriEncode.
fn encoded(text: &str, is_path: bool) -> String {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || (is_path && byte == b'/')
    };
    let one = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(one).collect()
}
