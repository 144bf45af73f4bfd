//! A browser as far as tests of sign-ins and consents need one: it keeps cookies and follows
//! redirects, through the client that it is given.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests: a failure here fails the test"
)]

use bytes::Bytes;
use causeway_net::{HttpClient, RequestLimits};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Request, StatusCode};
use std::collections::BTreeMap;
use url::{Position, Url};

/// Redirects on one way.
const STOPS: usize = 12;

/// A browser.
pub struct Web {
    http: HttpClient,
    cookies: BTreeMap<String, String>,
}

/// What a server answered.
#[derive(Debug)]
pub struct Shown {
    /// The status.
    pub status: StatusCode,
    /// Where it leads.
    pub location: Option<String>,
    /// The body, as text.
    pub body: String,
}

impl Web {
    /// One without cookies.
    pub fn new(http: &HttpClient) -> Self {
        Self { http: http.clone(), cookies: BTreeMap::new() }
    }

    /// Goes to a URL and follows redirects to the first that `ends`, which is not opened.
    pub async fn follow(&mut self, mut url: Url, ends: impl Fn(&Url) -> bool) -> Url {
        for _ in 0..STOPS {
            if ends(&url) {
                return url;
            }
            let shown = self.open(&url).await;
            let Some(location) = &shown.location else { panic!("{url} answered {shown:?}") };
            url = url.join(location).unwrap();
        }
        panic!("too many redirects, the last one to {url}");
    }

    /// Goes to a URL and follows redirects to a page, which is shown.
    pub async fn arrive(&mut self, mut url: Url) -> Shown {
        for _ in 0..STOPS {
            let shown = self.open(&url).await;
            let Some(location) = &shown.location else { return shown };
            url = url.join(location).unwrap();
        }
        panic!("too many redirects, the last one to {url}");
    }

    /// Presses a button of a simulator's consent page: where it leads.
    pub async fn decide(&mut self, url: &Url, decision: &str) -> Url {
        let page = self.open(url).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let form = format!("{}&decision={decision}", url.query().unwrap());
        let shown = self.submit(url, &form).await;
        let Some(location) = &shown.location else { panic!("{shown:?}") };
        location.parse().unwrap()
    }

    /// Shows what stands at a URL.
    pub async fn open(&mut self, url: &Url) -> Shown {
        self.send(Request::get(url.as_str()), "").await
    }

    /// Sends a form to a page's own address.
    pub async fn submit(&mut self, page: &Url, form: &str) -> Shown {
        let post = Request::post(&page[..Position::AfterPath])
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(post, form).await
    }

    async fn send(&mut self, request: http::request::Builder, body: &str) -> Shown {
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
        Shown { status, location, body: String::from_utf8_lossy(&body).into_owned() }
    }
}
