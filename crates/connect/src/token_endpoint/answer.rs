//! What a token endpoint answers.

use crate::credential::{Stored, Tokens};
use crate::limits::shown;
use causeway_catalog::{App, ExpiryForm, JsonPointer, KeepPart, TokenAnswer};
use causeway_types::{SecretBytes, SecretString, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// Characters of an app's own words that are kept.
const MOST_WORDS: usize = 300;
/// The longest token that is taken, in bytes. Larger ones fit into no request: servers refuse
/// heads of more than 8 to 64 KiB.
const MOST_TOKEN: usize = 16 * 1024;
/// The longest value that is kept of an answer, in bytes.
const MOST_KEPT: usize = 2048;
/// The longest life of a token that is believed.
const LONGEST_LIFE: Duration = Duration::from_hours(10 * 365 * 24);

/// An answer as it came.
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// Without its parameters.
    pub(crate) content_type: Option<String>,
    pub(crate) received_at: Timestamp,
    pub(crate) body: SecretBytes,
}

/// What the head of a kept answer says; the body follows after a line feed.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    retry_after_s: Option<u64>,
    #[serde(default)]
    content_type: Option<String>,
    received_at_us: i64,
}

/// New tokens.
pub(crate) struct Granted {
    pub(crate) access: SecretString,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) obtained_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    /// As the app wrote them, separated by spaces; RFC 6749 section 5.1 lets it leave them out
    /// if they are those asked for.
    pub(crate) scope: Option<String>,
    /// What the row keeps of the answer.
    keep: BTreeMap<String, Kept>,
}

/// A value that the row keeps.
struct Kept {
    value: String,
    /// Whether it may stand in a host.
    is_host: bool,
}

/// An answer without tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    /// The error's code, in the app's words.
    pub(crate) error: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// What is wrong with an answer that is no error of the app.
    wrong: Wrong,
}

/// Why there is no token in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    /// The app did not say that it worked.
    Status,
    /// It is no JSON object; with its content type.
    NotJson(Option<String>),
    /// It holds no token.
    NoToken,
    /// It holds one that is too long.
    TooLong,
    /// It holds one with characters that no header takes.
    Unusable,
    /// It names a host to which the row does not let the credential go.
    Host(String),
}

/// The media type without its parameters.
pub(super) fn essence(text: &str) -> String {
    shown(&text.split(';').next().unwrap_or_default().to_ascii_lowercase(), 64)
}

impl RawAnswer {
    /// The bytes to seal: the head, a line feed, the body as it came.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let head = Head {
            status: self.status,
            retry_after_s: self.retry_after.map(|wait| wait.as_secs()),
            content_type: self.content_type.clone(),
            received_at_us: self.received_at.as_micros(),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.body.expose().len() + 256));
        // Writing numbers and a short text into memory cannot fail.
        let _ = serde_json::to_writer(&mut *bytes, &head);
        bytes.push(b'\n');
        bytes.extend_from_slice(self.body.expose());
        bytes
    }

    /// Reads what was sealed.
    pub(crate) fn from_opened(opened: &SecretBytes) -> Option<Self> {
        let line = opened.expose().iter().position(|byte| *byte == b'\n')?;
        let (head, body) = opened.expose().split_at_checked(line)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        Some(Self {
            status: head.status,
            retry_after: head.retry_after_s.map(Duration::from_secs),
            content_type: head.content_type,
            received_at: Timestamp::from_micros(head.received_at_us),
            body: SecretBytes::new(body.get(1..)?.to_vec()),
        })
    }

    /// Looks for tokens in it: deeper inside where the row says so and `within` is set, as it is
    /// for everything but a refresh.
    pub(crate) fn read(&self, row: &TokenAnswer, within: bool) -> Result<Granted, Refused> {
        let refused = |wrong| self.refused(wrong);
        if !(200..300).contains(&self.status) {
            return Err(refused(Wrong::Status));
        }
        let not_json = || refused(Wrong::NotJson(self.content_type.clone()));
        let text = std::str::from_utf8(self.body.expose()).map_err(|_| not_json())?;
        let whole: Object<'_> = serde_json::from_str(text).map_err(|_| not_json())?;
        let at = row.at.as_ref().filter(|_| within);
        let inner: Object<'_>;
        let object = match at {
            Some(at) => {
                let found = value_at(text, at).and_then(|at| serde_json::from_str(at).ok());
                inner = found.ok_or_else(|| refused(Wrong::NoToken))?;
                &inner
            }
            None => &whole,
        };
        let access = token(object, &row.access_token).ok_or_else(|| refused(Wrong::NoToken))?;
        check_token(&access).map_err(refused)?;
        let refresh = token(object, &row.refresh_token);
        if let Some(refresh) = &refresh {
            check_token(refresh).map_err(refused)?;
        }
        let life =
            object.get(row.expires_in.as_str()).and_then(|value| self.life(value, row.expiry));
        let life = life.or(row.default_expires_in.map(|s| Duration::from_secs(s.into())));
        Ok(Granted {
            access,
            refresh,
            obtained_at: self.received_at,
            expires_at: life.map(|life| self.received_at.plus(life.min(LONGEST_LIFE))),
            scope: object.get(row.scope.as_str()).and_then(|value| scope(value)),
            keep: row
                .keep
                .iter()
                .filter_map(|(name, keep)| {
                    let value = plain(value_at(text, &keep.at)?)?;
                    let is_host = keep.part == KeepPart::Host;
                    let value = if is_host { host_of(&value)? } else { value };
                    Some((name.to_string(), Kept { value, is_host }))
                })
                .collect(),
        })
    }

    /// How long a token lives from when the answer came. 0 is no lifetime: GitHub and others
    /// write it for tokens that do not expire.
    fn life(&self, value: &RawValue, form: ExpiryForm) -> Option<Duration> {
        let text = value.get().trim_matches('"');
        if form == ExpiryForm::Rfc3339 {
            let end: jiff::Timestamp = text.parse().ok()?;
            return Some(Timestamp::from_micros(end.as_microsecond()).since(self.received_at));
        }
        let whole = text.split('.').next()?;
        let number: u64 = whole.parse().ok().filter(|number| *number > 0)?;
        let until = |millis: u64| {
            Duration::from_millis(millis.saturating_sub(self.received_at.as_millis()))
        };
        Some(match form {
            ExpiryForm::Seconds | ExpiryForm::Rfc3339 => Duration::from_secs(number),
            ExpiryForm::Milliseconds => Duration::from_millis(number),
            ExpiryForm::EpochSeconds => until(number.saturating_mul(1000)),
            ExpiryForm::EpochMilliseconds => until(number),
        })
    }

    fn refused(&self, wrong: Wrong) -> Refused {
        let fields: Option<Failure<'_>> = serde_json::from_slice(self.body.expose()).ok();
        let words = |value: Option<&RawValue>, most| {
            let text: String = serde_json::from_str(value?.get()).ok()?;
            Some(shown(&text, most)).filter(|text| !text.is_empty())
        };
        let fields = fields.as_ref();
        let error = words(fields.and_then(|f| f.error), 64)
            .or_else(|| words(fields.and_then(|f| f.status), 64));
        let description = words(fields.and_then(|f| f.error_description), MOST_WORDS)
            .or_else(|| words(fields.and_then(|f| f.message), MOST_WORDS));
        let retry_after = self.retry_after;
        Refused { status: self.status, error, description, retry_after, wrong }
    }
}

/// The fields of an object, as they are written.
type Object<'a> = BTreeMap<String, &'a RawValue>;

/// The credential that an answer makes of an older one, whose values it replaces where it holds
/// new ones.
///
/// # Errors
/// The answer names a host to which the row does not let the credential go. With `lenient`, such a
/// host is dropped instead: of a refresh, the token is worth more than a change of address.
pub(crate) fn stored(
    app: &App,
    old: Stored,
    granted: Granted,
    status: u16,
    lenient: bool,
) -> Result<Stored, Refused> {
    let Stored { mut fields, tokens } = old;
    let kept: BTreeMap<&str, &str> =
        granted.keep.iter().map(|(name, kept)| (name.as_str(), kept.value.as_str())).collect();
    let mut dropped = Vec::new();
    for (name, kept_value) in granted.keep.iter().filter(|(_, kept)| kept.is_host) {
        let host = kept_value.value.as_str();
        let is_allowed = urls_of(host).iter().any(|url| {
            app.may_receive(url, |name| {
                kept.get(name).copied().or_else(|| fields.get(name).map(|v| v.expose().as_str()))
            })
        });
        if is_allowed {
            continue;
        }
        if !lenient {
            return Err(Refused {
                status,
                error: None,
                description: None,
                retry_after: None,
                wrong: Wrong::Host(shown(host, 100)),
            });
        }
        tracing::warn!(app = %app.slug, field = %name, "a token answer names a host that the app's row does not allow; the old one stays");
        dropped.push(name.clone());
    }
    for (name, kept) in granted.keep {
        if !dropped.contains(&name) {
            fields.insert(name, SecretString::new(kept.value));
        }
    }
    let tokens = Tokens {
        access: granted.access,
        secret: None,
        // RFC 6749 section 6: without a new one, the old one stays good.
        refresh: granted.refresh.or(tokens.and_then(|old| old.refresh)),
        obtained_at: granted.obtained_at,
        expires_at: granted.expires_at,
    };
    Ok(Stored { fields, tokens: Some(tokens) })
}

/// What a host is called over: in clear on this machine only, as the row's hosts decide.
fn urls_of(host: &str) -> Vec<Url> {
    ["https", "http"].iter().filter_map(|s| Url::parse(&format!("{s}://{host}/")).ok()).collect()
}

/// A text of an answer, in custody; an empty one is none.
fn token(object: &Object<'_>, name: &str) -> Option<SecretString> {
    let token: SecretString = serde_json::from_str(object.get(name)?.get()).ok()?;
    Some(token).filter(|token| !token.expose().is_empty())
}

/// A token must fit into a header.
fn check_token(token: &SecretString) -> Result<(), Wrong> {
    let text = token.expose();
    if text.len() > MOST_TOKEN {
        return Err(Wrong::TooLong);
    }
    if text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        Ok(())
    } else {
        Err(Wrong::Unusable)
    }
}

/// The scopes of an answer: a text, or a list of texts.
fn scope(value: &RawValue) -> Option<String> {
    let text = match serde_json::from_str(value.get()).ok()? {
        serde_json::Value::String(text) => text,
        serde_json::Value::Array(items) => {
            let texts: Vec<&str> = items.iter().filter_map(serde_json::Value::as_str).collect();
            texts.join(" ")
        }
        _ => return None,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

/// A value as text.
fn plain(json: &str) -> Option<String> {
    let text = match serde_json::from_str(json).ok()? {
        serde_json::Value::String(text) => text,
        serde_json::Value::Number(number) => number.to_string(),
        serde_json::Value::Bool(truth) => truth.to_string(),
        _ => return None,
    };
    let fits = !text.is_empty() && text.len() <= MOST_KEPT && !text.chars().any(char::is_control);
    fits.then_some(text)
}

/// Host and port of a URL, or of a text that is these already.
fn host_of(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(Url::has_host);
    let url = url.or_else(|| Url::parse(&format!("https://{text}")).ok())?;
    let host = url.host_str()?;
    Some(url.port().map_or(host.to_owned(), |port| format!("{host}:{port}")))
}

/// How apps say no: RFC 6749 section 5.2, or words of their own. Nothing else of the answer is
/// read, so no token can get into an error text.
#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    error_description: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

/// The value that a pointer leads to, without making copies of what stands beside it.
fn value_at<'a>(text: &'a str, pointer: &JsonPointer) -> Option<&'a str> {
    let mut at = text;
    for part in pointer.as_str().split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        if at.trim_start().starts_with('[') {
            let items: Vec<&'a RawValue> = serde_json::from_str(at).ok()?;
            at = items.get(name.parse::<usize>().ok()?)?.get();
        } else {
            let object: Object<'a> = serde_json::from_str(at).ok()?;
            at = object.get(name.as_str())?.get();
        }
    }
    Some(at)
}

impl Refused {
    /// Whether the app itself says one of these errors, in an answer that is about the grant and
    /// not about its own trouble.
    pub(crate) fn says(&self, errors: &[impl AsRef<str>]) -> bool {
        self.status < 500
            && self.status != 429
            && self.error.as_ref().is_some_and(|error| errors.iter().any(|e| e.as_ref() == error))
    }

    /// A sentence about it.
    pub(crate) fn sentence(&self) -> String {
        let status = self.status;
        if !matches!(self.wrong, Wrong::TooLong | Wrong::Unusable | Wrong::Host(_)) {
            match (&self.error, &self.description) {
                (Some(error), Some(description)) => {
                    return format!("the app answered `{error}`: {description}");
                }
                (Some(error), None) => return format!("the app answered `{error}`"),
                (None, Some(description)) => {
                    return format!("the app answered with status {status}: {description}");
                }
                (None, None) => {}
            }
        }
        match &self.wrong {
            Wrong::Status if (300..400).contains(&status) => format!(
                "the app answered with a redirect (status {status}), which is not followed, since it could take the credential elsewhere"
            ),
            Wrong::Status | Wrong::NoToken => {
                format!("the app answered with status {status} and no token")
            }
            Wrong::NotJson(Some(kind)) if kind == "text/html" => {
                format!("the app answered with status {status} and a web page instead of a token")
            }
            Wrong::NotJson(Some(kind)) if kind != "application/json" => format!(
                "the app answered with status {status} and `{kind}` instead of a JSON object"
            ),
            Wrong::NotJson(_) => {
                format!(
                    "the app answered with status {status} and something that is no JSON object"
                )
            }
            Wrong::TooLong => format!("the app gave a token of more than {MOST_TOKEN} bytes"),
            Wrong::Unusable => {
                "the app gave a token with characters that no HTTP header takes".to_owned()
            }
            Wrong::Host(host) => format!(
                "the app named the host `{host}`, to which its row does not let the credential go"
            ),
        }
    }

    /// What to do about it, if there is more to do than to wait.
    pub(crate) fn advice(&self) -> &'static str {
        match &self.wrong {
            _ if self.says(&["invalid_client", "unauthorized_client"]) => {
                " Check the OAuth client's id and secret at the app."
            }
            Wrong::Status if (300..400).contains(&self.status) => {
                " If it stays, correct the token URL in the app's row."
            }
            Wrong::NotJson(_) | Wrong::NoToken if self.error.is_none() => {
                " If it stays, see the app's status page, and whether its token URL has changed."
            }
            Wrong::TooLong => " At most apps, fewer scopes make shorter tokens.",
            Wrong::Host(_) => {
                " Check the address of the account, or add the host to the app's row."
            }
            _ => "",
        }
    }
}
