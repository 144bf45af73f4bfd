//! A browser as far as signing in needs one.

use causeway_net::HttpClient;
use url::Url;

pub(crate) struct Web(causeway_testkit::web::Web);

impl Web {
    pub(crate) fn new(http: &HttpClient) -> Self {
        Self(causeway_testkit::web::Web::new(http))
    }

    /// Goes to a URL and follows redirects until one leads to Causeway's callback: its query.
    pub(crate) async fn follow(&mut self, url: Url) -> String {
        query(&self.0.follow(url, |url| url.path().starts_with("/auth/callback")).await)
    }

    /// Presses a button of GitHub's page.
    pub(crate) async fn decide(&mut self, url: &Url, decision: &str) -> String {
        query(&self.0.decide(url, decision).await)
    }
}

fn query(url: &Url) -> String {
    url.query().unwrap_or_default().to_owned()
}
