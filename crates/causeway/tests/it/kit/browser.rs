//! A browser as far as a customer needs one: it keeps cookies for each site and goes where it is
//! sent. The world's address of the server leads it to the server itself.

use super::home::PUBLIC_URL;
use super::server::{Answer, Server};
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use std::collections::BTreeMap;

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

    /// Presses the button of a form without fields.
    pub(crate) async fn submit(&mut self, url: &str) -> (String, Answer) {
        // What the form of a link's page holds.
        let form = if url.ends_with("/authorize") { "scheme=oauth2" } else { "" };
        self.go("POST", url, form).await
    }

    /// Agrees on the demo app's consent page, which stands at this URL.
    pub(crate) async fn consent(&mut self, url: &str) -> (String, Answer) {
        let (page, query) = url.split_once('?').unwrap();
        self.go("POST", page, &format!("{query}&decision=allow")).await
    }

    async fn go(&mut self, method: &str, url: &str, form: &str) -> (String, Answer) {
        let (mut method, mut url) = (method, url.to_owned());
        for _ in 0..12 {
            let site: String = url.split('/').take(3).collect::<Vec<_>>().join("/");
            let real = match url.strip_prefix(PUBLIC_URL) {
                Some(path) => self.server.url(path),
                None => url.clone(),
            };
            let kept = self.cookies.entry(site).or_default();
            let cookies: Vec<String> =
                kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let request = http::Request::builder()
                .method(method)
                .uri(real)
                .header(COOKIE, cookies.join("; "))
                // As browsers do with forms; a page's own origin.
                .header("origin", url.split('/').take(3).collect::<Vec<_>>().join("/"))
                .header("content-type", "application/x-www-form-urlencoded");
            let form = if method == "POST" { form.to_owned() } else { String::new() };
            let answer = self.server.send(request, form).await;
            for cookie in answer.headers.get_all(SET_COOKIE) {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                if value.is_empty() {
                    kept.remove(name);
                } else {
                    kept.insert(name.to_owned(), value.to_owned());
                }
            }
            let Some(location) = answer.headers.get(LOCATION) else { return (url, answer) };
            let base: url::Url = url.parse().unwrap();
            url = base.join(location.to_str().unwrap()).unwrap().into();
            method = "GET";
        }
        panic!("too many redirects, the last one to {url}");
    }
}
