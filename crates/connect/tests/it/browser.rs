//! A browser as far as OAuth needs one: it keeps cookies and follows redirects.

use bytes::Bytes;
use causeway_connect::Callback;
use causeway_net::{HttpClient, RequestLimits};
use causeway_types::SecretString;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Request, StatusCode};
use std::collections::BTreeMap;
use url::Url;

pub(crate) struct Browser {
    http: HttpClient,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn new(http: &HttpClient) -> Self {
        Self { http: http.clone(), cookies: BTreeMap::new() }
    }

    /// Goes to a URL and follows redirects until one leads to `stop_at`.
    pub(crate) async fn follow(&mut self, url: Url, stop_at: &Url) -> Callback {
        let mut url = url;
        for _ in 0..12 {
            if url.as_str().starts_with(stop_at.as_str()) {
                return callback(&url);
            }
            let (status, location, body) = self.send(Request::get(url.as_str()), "").await;
            let Some(location) = location else { panic!("{url} answered {status}: {body}") };
            url = url.join(&location).unwrap();
        }
        panic!("too many redirects, the last one to {url}");
    }

    /// Agrees on the demo app's consent page.
    pub(crate) async fn consent(&mut self, url: &Url, decision: &str) -> Callback {
        let (status, _, page) = self.send(Request::get(url.as_str()), "").await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let form = format!("{}&decision={decision}", url.query().unwrap());
        let post = Request::post(&url[..url::Position::AfterPath])
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (status, location, body) = self.send(post, &form).await;
        let Some(location) = location else { panic!("{status}: {body}") };
        callback(&location.parse().unwrap())
    }

    /// Confirms the code of a device on the certified provider's page, and signs in and consents
    /// there.
    pub(crate) async fn type_code(&mut self, page: Url) {
        let (status, _, html) = self.send(Request::get(page.as_str()), "").await;
        assert_eq!(status, StatusCode::OK, "{html}");
        let hidden = |name: &str| {
            let rest = html.split(&format!("name=\"{name}\"")).nth(1).unwrap();
            rest.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
        };
        let form = format!("xsrf={}&user_code={}&confirm=yes", hidden("xsrf"), hidden("user_code"));
        let post = Request::post(&page[..url::Position::AfterPath])
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (mut status, mut location, mut body) = self.send(post, &form).await;
        let mut at = page;
        for _ in 0..12 {
            let Some(next) = location else { break };
            at = at.join(&next).unwrap();
            (status, location, body) = self.send(Request::get(at.as_str()), "").await;
        }
        assert_eq!(status, StatusCode::OK, "{body}");
    }

    async fn send(
        &mut self,
        request: http::request::Builder,
        body: &str,
    ) -> (StatusCode, Option<String>, String) {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request
            .header(COOKIE, cookies.join("; "))
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap();
        let limits = RequestLimits { max_redirects: 0, ..RequestLimits::default() };
        let response = self.http.request(request, limits).await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = response.headers().get(LOCATION).map(|l| l.to_str().unwrap().to_owned());
        let status = response.status();
        let body = response.bytes().await.unwrap();
        (status, location, String::from_utf8_lossy(&body).into_owned())
    }
}

/// What a way back carries.
pub(crate) fn callback(url: &Url) -> Callback {
    let mut callback = Callback::default();
    for (name, value) in url.query_pairs() {
        let value = value.into_owned();
        match &*name {
            "state" => callback.state = value,
            "code" => callback.code = Some(SecretString::new(value)),
            "error" => callback.error = Some(value),
            "error_description" => callback.error_description = Some(value),
            "iss" => callback.iss = Some(value),
            other => {
                callback.others.insert(other.to_owned(), SecretString::new(value));
            }
        }
    }
    callback
}
