//! Cookies: reading them without trust, and setting them as narrowly as browsers allow.

use crate::Api;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use causeway_identity::token::{Browser, Plain};
use causeway_types::SecretString;
use std::time::Duration;

/// The most bytes that a request's cookies may have together, for a session to be looked for
/// among them.
pub(crate) const MAX_COOKIES: usize = 8 << 10;

/// A cookie of ours.
#[derive(Clone, Copy)]
pub(crate) struct Cookie {
    /// The name's middle. Over TLS `__Host-` stands before it, so that no other host can set it
    /// (RFC 6265bis section 4.1.3.2). If the public URL names a port, that stands after it, because
    /// browsers send a host's cookies to all of its ports (RFC 6265 section 8.5): two servers on
    /// one machine would sign each other's people out.
    name: &'static str,
}

/// The cookie of a session.
pub(crate) const SESSION: Cookie = Cookie { name: "causeway" };
/// The cookie that binds a sign-in under way to one browser.
pub(crate) const SIGN_IN: Cookie = Cookie { name: "causeway_sign_in" };
/// The cookie that binds a connect link to one browser.
pub(crate) const CONNECT: Cookie = Cookie { name: "causeway_connect" };
/// By what a connect page in another site's frame proves that it is the same one.
const PAGE: HeaderName = HeaderName::from_static("causeway-browser");

/// The text of a session's cookie, as a browser brought it.
pub(crate) struct SessionCookie(SecretString);

impl SessionCookie {
    /// The text, for the engine that looks it up.
    pub(crate) fn text(&self) -> &str {
        self.0.expose()
    }
}

/// What a request brought of a session.
pub(crate) enum Brought {
    /// Nothing.
    Nothing,
    /// What cannot be believed: two sessions, or more cookies than a request may have.
    Unusable,
    /// A cookie, which may be of a session.
    Session(SessionCookie),
}

impl Cookie {
    fn full_name(self, api: &Api) -> String {
        let prefix = if api.is_https() { "__Host-" } else { "" };
        let port = api.port().map(|port| format!("_{port}")).unwrap_or_default();
        format!("{prefix}{}{port}", self.name)
    }

    /// Every value of this name that a request brought. What is no text is no value of ours.
    fn values(self, api: &Api, headers: &HeaderMap) -> Vec<String> {
        let name = self.full_name(api);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
            .collect()
    }

    /// The cookie as a header. Without `lives`, it goes when the browser is closed.
    fn set(self, api: &Api, value: &str, lives: Option<Duration>) -> Option<HeaderValue> {
        let name = self.full_name(api);
        let secure = if api.is_https() { "; Secure" } else { "" };
        let age = lives.map(|lives| format!("; Max-Age={}", lives.as_secs())).unwrap_or_default();
        let cookie = format!("{name}={value}; Path=/{age}; HttpOnly; SameSite=Lax{secure}");
        let mut cookie = HeaderValue::try_from(cookie).ok()?;
        cookie.set_sensitive(true);
        Some(cookie)
    }
}

/// The session that a request brought. Where the world reaches the server without TLS, there are
/// none, but on the machine itself.
pub(crate) fn session(api: &Api, headers: &HeaderMap) -> Brought {
    if !api.keeps_sessions() {
        return Brought::Nothing;
    }
    let length: usize = headers.get_all(header::COOKIE).iter().map(HeaderValue::len).sum();
    let mut values = SESSION.values(api, headers);
    match (values.pop(), values.is_empty()) {
        (None, _) => Brought::Nothing,
        (Some(one), true) if length <= MAX_COOKIES => {
            Brought::Session(SessionCookie(SecretString::new(one)))
        }
        _ => Brought::Unusable,
    }
}

/// Gives a browser the cookie of its session, for as long as that may last.
pub(crate) fn set_session(
    api: &Api,
    response: &mut Response,
    cookie: &SecretString,
    lives: Duration,
) {
    if let Some(cookie) = SESSION.set(api, cookie.expose(), Some(lives)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Takes the session's cookie from a browser.
pub(crate) fn clear_session(api: &Api, response: &mut Response) {
    if let Some(cookie) = SESSION.set(api, "", Some(Duration::ZERO)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// A browser, by a cookie that tells nothing but that it is the same one.
pub(crate) struct Visitor {
    pub(crate) browser: Plain<Browser>,
    /// What the browser is told, if it brought none: a cookie, or the header of a page without.
    set: Option<(HeaderName, HeaderValue)>,
}

impl Visitor {
    /// The browser of a request; a new one if it brought no cookie of this name. Of several, the
    /// first that is a token counts.
    pub(crate) fn of(
        api: &Api,
        headers: &HeaderMap,
        cookie: Cookie,
        lives: Option<Duration>,
    ) -> Self {
        let known = cookie.values(api, headers).iter().find_map(|one| Plain::parse(one).ok());
        if let Some(browser) = known {
            return Self { browser, set: None };
        }
        let text: SecretString = Plain::<Browser>::generate(api.random()).reveal();
        let set = cookie.set(api, text.expose(), lives).map(|set| (header::SET_COOKIE, set));
        // What was generated just now reads back.
        match Plain::parse(text.expose()) {
            Ok(browser) => Self { browser, set },
            Err(_) => Self { browser: Plain::generate(api.random()), set: None },
        }
    }

    /// The browser of a page that may have no cookie and proves itself by a header; `None` if the
    /// request has no such header. A page that has no proof yet is given one.
    pub(crate) fn of_page(api: &Api, headers: &HeaderMap) -> Option<Self> {
        let proof = headers.get(PAGE)?.to_str().unwrap_or_default();
        if let Ok(browser) = Plain::parse(proof) {
            return Some(Self { browser, set: None });
        }
        let text: SecretString = Plain::<Browser>::generate(api.random()).reveal();
        let browser = Plain::parse(text.expose()).ok()?;
        let mut set = HeaderValue::try_from(text.expose().as_str()).ok()?;
        set.set_sensitive(true);
        Some(Self { browser, set: Some((PAGE, set)) })
    }

    /// A window that is opened by such a page: the page's proof becomes the window's cookie.
    /// `None` if it is none.
    pub(crate) fn of_window(api: &Api, proof: &SecretString, lives: Duration) -> Option<Self> {
        let browser = Plain::parse(proof.expose()).ok()?;
        let set = CONNECT.set(api, proof.expose(), Some(lives))?;
        Some(Self { browser, set: Some((header::SET_COOKIE, set)) })
    }

    /// Adds what the browser is told to the answer.
    pub(crate) fn attach(self, mut response: Response) -> Response {
        if let Some((name, value)) = self.set {
            response.headers_mut().append(name, value);
        }
        response
    }
}
