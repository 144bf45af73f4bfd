//! A browser as far as a customer needs one: it keeps cookies for each site and goes where it is
//! sent. The world's address of the server leads it to the server itself.

use super::home::PUBLIC_URL;
use super::server::{Answer, Server};
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use std::collections::BTreeMap;

/// What the form of a link's page holds.
const PRESSED: &str = "scheme=oauth2";

pub(crate) struct Browser<'a> {
    server: &'a Server,
    /// By site, then by name.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(server: &'a Server) -> Self {
        Self { server, cookies: BTreeMap::new() }
    }

    /// Every value of a cookie that it holds from the server.
    pub(crate) fn cookies_of_server(&self) -> impl Iterator<Item = &String> {
        self.cookies.get(PUBLIC_URL).into_iter().flat_map(BTreeMap::values)
    }

    /// Goes to a URL and to wherever that leads; gives the page and where it stands.
    pub(crate) async fn open(&mut self, url: &str) -> (String, Answer) {
        self.go("GET", url, "").await
    }

    /// Presses the button of a link's page.
    pub(crate) async fn submit(&mut self, url: &str) -> (String, Answer) {
        self.send_form(url, PRESSED).await
    }

    /// Sends a form that was filled in.
    pub(crate) async fn send_form(&mut self, url: &str, form: &str) -> (String, Answer) {
        self.go("POST", url, form).await
    }

    /// Presses the button of a link's page and gives where that leads, without going there.
    pub(crate) async fn press(&mut self, url: &str) -> url::Url {
        let answer = self.request("POST", url, PRESSED).await;
        location(url, &answer).unwrap_or_else(|| panic!("no redirect: {answer:?}"))
    }

    /// Agrees on the demo app's consent page, which stands at this URL.
    pub(crate) async fn consent(&mut self, url: &str) -> (String, Answer) {
        let (page, query) = url.split_once('?').unwrap();
        self.send_form(page, &format!("{query}&decision=allow")).await
    }

    async fn go(&mut self, method: &str, url: &str, form: &str) -> (String, Answer) {
        let (mut method, mut url, mut form) = (method, url.to_owned(), form);
        for _ in 0..12 {
            let answer = self.request(method, &url, std::mem::take(&mut form)).await;
            let Some(next) = location(&url, &answer) else { return (url, answer) };
            url = next.into();
            method = "GET";
        }
        panic!("too many redirects, the last one to {url}");
    }

    async fn request(&mut self, method: &str, url: &str, form: &str) -> Answer {
        let site: String = url.split('/').take(3).collect::<Vec<_>>().join("/");
        let real = match url.strip_prefix(PUBLIC_URL) {
            Some(path) => self.server.url(path),
            None => url.to_owned(),
        };
        let kept = self.cookies.entry(site.clone()).or_default();
        let cookies: Vec<String> =
            kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = http::Request::builder()
            .method(method)
            .uri(real)
            .header(COOKIE, cookies.join("; "))
            // As browsers do with forms; a page's own origin.
            .header("origin", site)
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = self.server.send(request, form.to_owned()).await;
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                kept.remove(name);
            } else {
                kept.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

/// Where an answer sends a browser that stands at `url`.
fn location(url: &str, answer: &Answer) -> Option<url::Url> {
    let base: url::Url = url.parse().unwrap();
    answer.headers.get(LOCATION).map(|to| base.join(to.to_str().unwrap()).unwrap())
}
