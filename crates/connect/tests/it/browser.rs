//! A browser as far as OAuth needs one.

use causeway_connect::Callback;
use causeway_net::HttpClient;
use causeway_testkit::web::Web;
use causeway_types::SecretString;
use url::Url;

pub(crate) struct Browser(Web);

impl Browser {
    pub(crate) fn new(http: &HttpClient) -> Self {
        Self(Web::new(http))
    }

    /// Goes to a URL and follows redirects until one leads to `stop_at`.
    pub(crate) async fn follow(&mut self, url: Url, stop_at: &Url) -> Callback {
        let ends = |url: &Url| url.as_str().starts_with(stop_at.as_str());
        callback(&self.0.follow(url, ends).await)
    }

    /// Agrees on the demo app's consent page.
    pub(crate) async fn consent(&mut self, url: &Url, decision: &str) -> Callback {
        callback(&self.0.decide(url, decision).await)
    }

    /// Confirms the code of a device on the certified provider's page, and signs in and consents
    /// there.
    pub(crate) async fn type_code(&mut self, page: Url) {
        let shown = self.0.open(&page).await;
        assert!(shown.status.is_success(), "{shown:?}");
        let hidden = |name: &str| {
            let rest = shown.body.split(&format!("name=\"{name}\"")).nth(1).unwrap();
            rest.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
        };
        let form = format!("xsrf={}&user_code={}&confirm=yes", hidden("xsrf"), hidden("user_code"));
        let mut shown = self.0.submit(&page, &form).await;
        if let Some(next) = &shown.location {
            shown = self.0.arrive(page.join(next).unwrap()).await;
        }
        assert!(shown.status.is_success(), "{shown:?}");
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
