//! Headers that concern one connection only, and not the message (RFC 9110, section 7.6.1).

use http::HeaderMap;
use http::header::{CONNECTION, TE};

/// Those that always do; `Connection` names others.
const ONE_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What `Connection` names, in lower case.
pub fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
}

/// Removes what concerns one connection only. Of that, `TE: trailers` stays with
/// `keeps_trailers`: HTTP/2 allows it (RFC 9113, section 8.2.2), and gRPC asks for it.
pub fn remove_hop_by_hop(headers: &mut HeaderMap, keeps_trailers: bool) {
    let trailers = headers.get(TE).filter(|te| keeps_trailers && *te == "trailers").cloned();
    for name in named_by_connection(headers).collect::<Vec<_>>() {
        headers.remove(name);
    }
    for name in ONE_HOP {
        headers.remove(name);
    }
    if let Some(trailers) = trailers {
        headers.insert(TE, trailers);
    }
}
