//! A browser as far as signing in needs one: it keeps cookies and follows redirects.

use bytes::Bytes;
use causeway_net::{HttpClient, RequestLimits};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Request, StatusCode};
use std::collections::BTreeMap;
use url::Url;

pub(crate) struct Web {
    http: HttpClient,
    cookies: BTreeMap<String, String>,
}

impl Web {
    pub(crate) fn new(http: &HttpClient) -> Self {
        Self { http: http.clone(), cookies: BTreeMap::new() }
    }

    /// Goes to a URL and follows redirects until one leads to Causeway's callback: its query.
    pub(crate) async fn follow(&mut self, url: Url) -> String {
        let mut url = url;
        for _ in 0..12 {
            if url.path().starts_with("/auth/callback") {
                return url.query().unwrap_or_default().to_owned();
            }
            let (status, location, body) = self.send(Request::get(url.as_str()), "").await;
            let Some(location) = location else { panic!("{url} answered {status}: {body}") };
            url = url.join(&location).unwrap();
        }
        panic!("too many redirects, the last one to {url}");
    }

    /// Presses a button of GitHub's page.
    pub(crate) async fn decide(&mut self, url: &Url, decision: &str) -> String {
        let (status, _, page) = self.send(Request::get(url.as_str()), "").await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let form = format!("{}&decision={decision}", url.query().unwrap());
        let post = Request::post(&url[..url::Position::AfterPath])
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (status, location, body) = self.send(post, &form).await;
        let Some(location) = location else { panic!("{status}: {body}") };
        location.parse::<Url>().unwrap().query().unwrap().to_owned()
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
