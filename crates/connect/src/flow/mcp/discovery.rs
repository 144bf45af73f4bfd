//! Finding out which authorization server an MCP server trusts, and what that one can do.

use crate::Inner;
use crate::limits;
use bytes::Bytes;
use causeway_net::{HttpError, RequestLimits};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::Url;

/// Time for one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest metadata document, in bytes.
const MOST_BYTES: u64 = 128 * 1024;
/// Longest URL of such a document's that is used, in bytes.
const LONGEST_URL: usize = 1024;
/// Most scopes that are taken of metadata.
const MOST_SCOPES: usize = 50;
/// What asks an MCP server for nothing but to say that it wants a token.
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"Causeway","version":"1"}}}"#;

/// It cannot be found out how one connects to an MCP server. The texts are for the customer.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Nobody answers.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It wants no token.
    #[error("it answers whoever calls, so there is nothing to sign in to")]
    Open,
    /// It does not say whom it trusts.
    #[error("it publishes no metadata about its authorization server (RFC 9728, RFC 8414)")]
    NoMetadata,
    /// Its metadata is of something else.
    #[error("its metadata is of another server (RFC 9728, section 3.3)")]
    OtherResource,
    /// The metadata of its authorization server is of another one.
    #[error(
        "the metadata of its authorization server names another issuer (RFC 8414, section 3.3)"
    )]
    OtherIssuer,
    /// An endpoint is missing, or is no https URL.
    #[error("the metadata of its authorization server has no usable `{0}`")]
    Endpoint(&'static str),
    /// PKCE is not announced.
    #[error(
        "its authorization server does not announce PKCE with S256, without which codes can be stolen"
    )]
    NoPkce,
    /// Causeway cannot become its client.
    #[error(
        "its authorization server takes no clients that register themselves; an OAuth client has to be set by hand"
    )]
    NoRegistration,
    /// The registration was refused.
    #[error("registering there failed: {0}")]
    Registration(String),
}

/// What was found out.
pub(crate) struct Found {
    /// The MCP server's identifier, as it calls itself.
    pub(super) resource: String,
    pub(super) metadata: Metadata,
    /// The scopes that the MCP server wants.
    pub(super) scopes: Vec<String>,
}

impl Found {
    /// Whether the authorization server has this scope.
    pub(super) fn knows_scope(&self, scope: &str) -> bool {
        self.metadata.scopes_supported.iter().any(|known| known == scope)
    }
}

/// RFC 9728, section 2.
#[derive(Deserialize)]
struct Protected {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// RFC 8414, section 2.
#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Option<String>,
    pub(super) token_endpoint: Option<String>,
    pub(super) registration_endpoint: Option<String>,
    pub(super) revocation_endpoint: Option<String>,
    #[serde(default)]
    pub(super) scopes_supported: Vec<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    pub(super) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9207, section 3.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
    /// draft-ietf-oauth-client-id-metadata-document, section 5.
    #[serde(default)]
    pub(super) client_id_metadata_document_supported: bool,
}

/// What an MCP server says to whoever brings no token (RFC 9728, section 5.1).
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    metadata: Option<Url>,
    scope: Option<String>,
}

impl Inner {
    /// Finds out whom an MCP server trusts.
    pub(super) async fn discover(&self, server: &Url) -> Result<Found, DiscoveryError> {
        let (challenge, is_open) = self.challenge(server).await?;
        let Some(protected) = self.protected(server, &challenge).await? else {
            if is_open {
                return Err(DiscoveryError::Open);
            }
            // Servers of the protocol's first revision are their own authorization server.
            let issuer = server.origin().ascii_serialization();
            let metadata = self.metadata(&issuer).await?;
            let scopes = words(challenge.scope.as_deref());
            return Ok(Found { resource: server.to_string(), metadata, scopes });
        };
        let issuer = protected.authorization_servers.first().ok_or(DiscoveryError::NoMetadata)?;
        let metadata = self.metadata(issuer).await?;
        let scopes = match challenge.scope.as_deref() {
            Some(scope) => words(Some(scope)),
            None => bounded(protected.scopes_supported),
        };
        Ok(Found { resource: protected.resource, metadata, scopes })
    }

    /// Calls the server without a token, and says whether it answers all the same.
    async fn challenge(&self, server: &Url) -> Result<(Challenge, bool), DiscoveryError> {
        let request = Request::post(server.as_str())
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from_static(INITIALIZE.as_bytes()))
            .map_err(|_| HttpError::InvalidUrl)?;
        let limits =
            RequestLimits { total: TIMEOUT, max_response_bytes: MOST_BYTES, max_redirects: 0 };
        let response = self.http.request(request, limits).await?;
        // Its body is of no interest, and may be a stream without an end.
        Ok((challenge_of(response.headers()), response.status().is_success()))
    }

    /// The server's metadata (RFC 9728, section 3); `None` if it has none.
    async fn protected(
        &self,
        server: &Url,
        challenge: &Challenge,
    ) -> Result<Option<Protected>, DiscoveryError> {
        let candidates = match &challenge.metadata {
            Some(url) => vec![url.clone()],
            None => well_known(server, "oauth-protected-resource"),
        };
        for url in candidates {
            let Some(found) = self.document::<Protected>(&url).await? else { continue };
            let fits = Url::parse(&found.resource).is_ok_and(|resource| covers(&resource, server));
            if !fits || !usable(&found.resource) {
                return Err(DiscoveryError::OtherResource);
            }
            return Ok(Some(found));
        }
        Ok(None)
    }

    /// The metadata of an authorization server (RFC 8414, section 3; OpenID Connect Discovery 1.0,
    /// section 4), if it is one that will do.
    async fn metadata(&self, issuer: &str) -> Result<Metadata, DiscoveryError> {
        let url = Url::parse(issuer).ok().filter(|url| usable(issuer) && limits::is_web(url));
        let url = url.ok_or(DiscoveryError::Endpoint("issuer"))?;
        for candidate in metadata_urls(&url) {
            let Some(found) = self.document::<Metadata>(&candidate).await? else { continue };
            if !is_same(&found.issuer, issuer) {
                return Err(DiscoveryError::OtherIssuer);
            }
            if !found.code_challenge_methods_supported.iter().any(|method| method == "S256") {
                return Err(DiscoveryError::NoPkce);
            }
            return Ok(found);
        }
        Err(DiscoveryError::NoMetadata)
    }

    /// A JSON document; `None` if there is none.
    async fn document<T: DeserializeOwned>(&self, url: &Url) -> Result<Option<T>, DiscoveryError> {
        let request = Request::get(url.as_str())
            .header(ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| HttpError::InvalidUrl)?;
        let limits =
            RequestLimits { total: TIMEOUT, max_response_bytes: MOST_BYTES, max_redirects: 3 };
        let response = self.http.request(request, limits).await?;
        if response.status() != StatusCode::OK {
            return Ok(None);
        }
        let body = response.bytes().await?;
        Ok(serde_json::from_slice(&body).ok())
    }
}

/// An endpoint that the metadata names.
pub(super) fn endpoint(url: Option<&String>, name: &'static str) -> Result<String, DiscoveryError> {
    url.filter(|url| usable(url))
        .and_then(|url| Url::parse(url).ok())
        .filter(|url| limits::is_web(url) && url.fragment().is_none())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .map(String::from)
        .ok_or(DiscoveryError::Endpoint(name))
}

/// Whether a URL of others can be used: it is bounded, and braces would be those of a template.
fn usable(url: &str) -> bool {
    url.len() <= LONGEST_URL
        && !url.contains(|letter: char| {
            letter == '{' || letter == '}' || letter.is_control() || letter.is_whitespace()
        })
}

/// Whether two issuers are one. RFC 8414 and RFC 9207 compare the texts; that a URL without a path
/// is the one with `/` is what URLs mean (RFC 3986, section 6.2.3).
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
    let is_root = |text: &str| Url::parse(text).is_ok_and(|url| url.path() == "/");
    one == other || (plain(one) == plain(other) && is_root(one) && is_root(other))
}

/// Whether an identifier is the server's, or of what it is part of.
fn covers(resource: &Url, server: &Url) -> bool {
    let path = resource.path().trim_end_matches('/');
    let below = server.path().strip_prefix(path);
    resource.origin() == server.origin()
        && resource.fragment().is_none()
        && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where a well-known document stands: with the URL's path behind it, and without.
fn well_known(url: &Url, name: &str) -> Vec<Url> {
    let path = url.path().trim_end_matches('/');
    let mut candidates = Vec::new();
    for tail in [path, ""] {
        let mut candidate = url.clone();
        candidate.set_query(None);
        candidate.set_path(&format!("/.well-known/{name}{tail}"));
        if !candidates.contains(&candidate) {
            candidates.push(candidate);
        }
    }
    candidates
}

/// Where an authorization server's metadata may stand, in the protocol's order.
fn metadata_urls(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/').to_owned();
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        paths.push(format!("{path}/.well-known/openid-configuration"));
    }
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_query(None);
        url.set_path(&path);
        url
    };
    paths.into_iter().map(at).collect()
}

/// Reads `WWW-Authenticate: Bearer resource_metadata="…", scope="…"`.
fn challenge_of(headers: &HeaderMap) -> Challenge {
    let mut challenge = Challenge::default();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Some(rest) = value.to_str().ok().and_then(|text| {
            let (scheme, rest) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(rest)
        }) else {
            continue;
        };
        let url = parameter(rest, "resource_metadata").filter(|url| usable(url));
        challenge.metadata = url.and_then(|url| Url::parse(&url).ok()).filter(limits::is_web);
        challenge.scope = parameter(rest, "scope");
    }
    challenge
}

/// A parameter of a challenge (RFC 9110, section 11.2), quoted or not.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        let (name, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"')?;
                (value, next)
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
}

fn words(scope: Option<&str>) -> Vec<String> {
    bounded(scope.unwrap_or_default().split(' ').map(str::to_owned).collect())
}

/// Scopes that may be asked for (RFC 6749, section 3.3).
fn bounded(scopes: Vec<String>) -> Vec<String> {
    let fits =
        |scope: &String| !scope.is_empty() && limits::scopes(std::slice::from_ref(scope)).is_ok();
    scopes.into_iter().filter(fits).take(MOST_SCOPES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn challenges_are_read() {
        let read = |text: &str| {
            challenge_of(&HeaderMap::from_iter([(WWW_AUTHENTICATE, text.parse().unwrap())]))
        };
        let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource";
        let both = read(&format!(
            "Bearer error=\"invalid_token\", error_description=\"a, b=c\", resource_metadata=\"{metadata}\", scope=\"files:read files:write\""
        ));
        assert_eq!(both.metadata, Some(url(metadata)));
        assert_eq!(both.scope.as_deref(), Some("files:read files:write"));
        for other in [
            "Basic realm=\"x\"",
            "Bearer",
            "Bearer realm=x",
            "Bearer resource_metadata=\"http://evil.example/\"",
            "Bearer resource_metadata=\"javascript:alert(1)\"",
            "Bearer resource_metadata=\"https://a.example/{secret}\"",
            "Bearer resource_metadata=\"unfinished",
        ] {
            assert_eq!(read(other).metadata, None, "{other}");
        }
    }

    #[test]
    fn documents_stand_where_the_rfcs_say() {
        let texts = |urls: Vec<Url>| urls.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            texts(well_known(&url("https://a.example/mcp/x?y=1"), "oauth-protected-resource")),
            [
                "https://a.example/.well-known/oauth-protected-resource/mcp/x",
                "https://a.example/.well-known/oauth-protected-resource",
            ]
        );
        assert_eq!(
            texts(metadata_urls(&url("https://a.example/tenant1"))),
            [
                "https://a.example/.well-known/oauth-authorization-server/tenant1",
                "https://a.example/.well-known/openid-configuration/tenant1",
                "https://a.example/tenant1/.well-known/openid-configuration",
            ]
        );
        assert_eq!(metadata_urls(&url("https://a.example")).len(), 2);
    }

    #[test]
    fn another_servers_metadata_is_not_believed() {
        let server = url("https://a.example/mcp/v1");
        for own in ["https://a.example/mcp/v1", "https://a.example/mcp", "https://a.example"] {
            assert!(covers(&url(own), &server), "{own}");
        }
        for other in ["https://b.example/mcp/v1", "https://a.example/mc", "http://a.example/mcp"] {
            assert!(!covers(&url(other), &server), "{other}");
        }
        assert!(is_same("https://a.example", "https://a.example/"));
        for (one, other) in [
            ("https://a.example/x", "https://a.example/x/"),
            ("https://a.example", "https://b.example"),
            ("https://a.example", "https://a.example/x"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }
}
