//! Every wrong kind of answer, and what is to come of it at each moment at which an app answers.

use crate::standin::Reply;
use ConnectionState::{Failing, Healthy};
use Proxied::{Answer, Broken};
use causeway_types::Code;
use causeway_types::entity::ConnectionState;
use serde_json::json;

/// A code of the API, and words of its text, which is the page's too.
type Problem = (Code, &'static str);

/// An answer, and what comes of it.
pub(super) struct Wrong {
    pub(super) name: &'static str,
    /// The answer, from an app at this URL.
    pub(super) reply: fn(&str) -> Reply,
    /// To the code of a flow: the customer's page.
    pub(super) exchange: Problem,
    /// To a refresh token: the reason of the state, which is `failing`.
    pub(super) refresh: &'static str,
    /// To a key that was typed: the page again. `None`: the answer proves that the key is good.
    pub(super) verify: Option<Problem>,
    /// To a test of keys that worked: the state, and its reason.
    pub(super) tested: (ConnectionState, &'static str),
    /// To the end of a grant: what the audit chain says of it. The connection is gone anyway.
    pub(super) revoke: &'static str,
    /// To a call through the proxy.
    pub(super) proxy: Proxied,
}

/// What the caller of the proxy gets.
pub(super) enum Proxied {
    /// The app's own answer, with this status.
    Answer(u16),
    /// The app's own answer as far as it came; then its body breaks.
    Broken,
    /// A problem.
    Problem(Code, &'static str),
}

const NO_TOKEN: &str = "status 200 and no token";
const UNHEARD: &str = "without a whole HTTP answer; try again later";
const UNREACHED: Proxied = Proxied::Problem(Code::UpstreamFailed, UNHEARD);
/// What proves nothing of a token, but says to keys that they are good: RFC 9110 has no better
/// word for yes than a status of 2xx.
const FINE: (ConnectionState, &str) = (Healthy, "");

fn token(token: &serde_json::Value) -> Reply {
    Reply::Json(200, json!({ "access_token": token, "expires_in": 3600 }))
}

pub(super) const WRONG: &[Wrong] = &[
    Wrong {
        name: "an error page with 200",
        reply: |_| Reply::Text(200, "text/html; charset=utf-8", "<html>We are down</html>".into()),
        exchange: (Code::AuthorizationRefused, "a web page instead of a token"),
        refresh: "app_error: The app answered with status 200 and a web page instead of a token. If it stays, see the app's status page, and whether its token URL has changed.",
        verify: Some((
            Code::UpstreamFailed,
            "Thing answered with a web page (status 200) where its API should be.",
        )),
        tested: (Failing, "app_error: Thing answered with a web page (status 200)"),
        // RFC 7009, section 2.2: the body of such an answer is ignored.
        revoke: "yes",
        proxy: Answer(200),
    },
    Wrong {
        name: "missing fields",
        reply: |_| Reply::Json(200, json!({ "token_type": "bearer", "expires_in": 3600 })),
        exchange: (Code::AuthorizationRefused, NO_TOKEN),
        refresh: "app_error: The app answered with status 200 and no token. If it stays,",
        verify: None,
        tested: FINE,
        revoke: "yes",
        proxy: Answer(200),
    },
    Wrong {
        name: "a list",
        reply: |_| Reply::Json(200, json!([{ "access_token": "t" }])),
        exchange: (Code::AuthorizationRefused, "something that is no JSON object"),
        refresh: "app_error: The app answered with status 200 and something that is no JSON object.",
        verify: None,
        tested: FINE,
        revoke: "yes",
        proxy: Answer(200),
    },
    Wrong {
        name: "a form",
        reply: |_| Reply::Text(200, "text/plain", "access_token=t&expires_in=1".into()),
        exchange: (Code::AuthorizationRefused, "`text/plain` instead of a JSON object"),
        refresh: "app_error: The app answered with status 200 and `text/plain` instead of a JSON object.",
        verify: None,
        tested: FINE,
        revoke: "yes",
        proxy: Answer(200),
    },
    Wrong {
        name: "a token that is no text",
        reply: |_| token(&json!({ "value": "t" })),
        exchange: (Code::AuthorizationRefused, NO_TOKEN),
        refresh: "app_error: The app answered with status 200 and no token.",
        verify: None,
        tested: FINE,
        revoke: "yes",
        proxy: Answer(200),
    },
    Wrong {
        name: "an endless token",
        reply: |_| token(&json!("x".repeat(20_000))),
        exchange: (Code::AuthorizationRefused, "a token of more than 16384 bytes"),
        refresh: "app_error: The app gave a token of more than 16384 bytes. At most apps, fewer scopes make shorter tokens.",
        verify: None,
        tested: FINE,
        revoke: "yes",
        proxy: Answer(200),
    },
    Wrong {
        name: "a token with a line break, as to smuggle a header",
        reply: |_| token(&json!("a\r\nx-injected: 1")),
        exchange: (Code::AuthorizationRefused, "characters that no HTTP header takes"),
        refresh: "app_error: The app gave a token with characters that no HTTP header takes.",
        verify: None,
        tested: FINE,
        revoke: "yes",
        proxy: Answer(200),
    },
    Wrong {
        name: "a redirect to itself",
        reply: |url| Reply::With(307, ("location", format!("{url}/token")), String::new()),
        exchange: (Code::AuthorizationRefused, "a redirect (status 307), which is not followed"),
        refresh: "app_error: The app answered with a redirect (status 307), which is not followed, since it could take the credential elsewhere. If it stays, correct the token URL in the app's row.",
        verify: Some((Code::CredentialRefused, "with status 307")),
        tested: (Failing, "app_error: Thing refused the credential with status 307"),
        revoke: "no: the app answered with status 307",
        proxy: Answer(307),
    },
    Wrong {
        name: "a refusal of the client",
        reply: |_| {
            let error = json!({ "error": "invalid_client", "error_description": "who?" });
            Reply::Json(400, error)
        },
        exchange: (Code::AuthorizationRefused, "the app answered `invalid_client`: who?"),
        refresh: "app_error: The app answered `invalid_client`: who?. Check the OAuth client's id and secret at the app.",
        verify: Some((Code::CredentialRefused, "with status 400")),
        tested: (Failing, "app_error: Thing refused the credential with status 400"),
        revoke: "no: the app answered with status 400",
        proxy: Answer(400),
    },
    Wrong {
        name: "trouble of its own",
        reply: |_| Reply::Json(503, json!({ "error": "temporarily_unavailable" })),
        exchange: (Code::AuthorizationRefused, "`temporarily_unavailable`"),
        refresh: "app_error: The app answered `temporarily_unavailable`.",
        verify: Some((Code::UpstreamFailed, "cannot check the credential now (status 503)")),
        tested: (Failing, "app_error: Thing cannot check the credential now (status 503)"),
        revoke: "no: the app answered with status 503",
        proxy: Answer(503),
    },
    Wrong {
        name: "enough",
        reply: |_| Reply::With(429, ("retry-after", "600".into()), String::new()),
        exchange: (Code::AuthorizationRefused, "status 429 and no token"),
        refresh: "app_error: The app answered with status 429 and no token.",
        verify: Some((Code::UpstreamFailed, "cannot check the credential now (status 429)")),
        tested: (Failing, "app_error: Thing cannot check the credential now (status 429)"),
        revoke: "no: the app answered with status 429",
        proxy: Answer(429),
    },
    Wrong {
        name: "no answer",
        reply: |_| Reply::Close,
        exchange: (Code::UpstreamFailed, UNHEARD),
        refresh: "app_unreachable: calling ",
        verify: Some((Code::UpstreamFailed, UNHEARD)),
        tested: (Failing, "app_unreachable: Thing could not be asked: calling "),
        revoke: "no: calling ",
        proxy: UNREACHED,
    },
    Wrong {
        name: "no HTTP",
        reply: |_| Reply::Raw("SSH-2.0-OpenSSH_9.2p1\r\n"),
        exchange: (Code::UpstreamFailed, UNHEARD),
        refresh: "app_unreachable: calling ",
        verify: Some((Code::UpstreamFailed, UNHEARD)),
        tested: (Failing, "app_unreachable: Thing could not be asked: calling "),
        revoke: "no: calling ",
        proxy: UNREACHED,
    },
    Wrong {
        name: "half an answer",
        reply: |_| {
            Reply::Raw(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"access_token\":\"t",
            )
        },
        exchange: (Code::UpstreamFailed, UNHEARD),
        refresh: "app_unreachable: calling ",
        verify: Some((Code::UpstreamFailed, UNHEARD)),
        tested: (Failing, "app_unreachable: Thing could not be asked: calling "),
        // Its head says all that is asked of it.
        revoke: "yes",
        proxy: Broken,
    },
    Wrong {
        name: "a gigabyte",
        reply: |_| Reply::Endless,
        exchange: (Code::UpstreamFailed, "the answer is larger than 262144 bytes"),
        refresh: "app_unreachable: calling ",
        verify: Some((Code::UpstreamFailed, "the answer is larger than 1048576 bytes")),
        tested: (Failing, "app_unreachable: Thing could not be asked: calling "),
        revoke: "yes",
        proxy: Answer(200),
    },
];
