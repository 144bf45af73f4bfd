//! The customer's browser, as far as flows need one.

use super::{Drive, Failed, client_name, said, said_plainly, secrets};
use crate::standin::Plan;
use crate::world::CALLBACK;
use bytes::Bytes;
use causeway_connect::{Callback, Choice, NewSession, Progress, Started};
use causeway_identity::token::{Browser, Plain};
use causeway_net::RequestLimits;
use causeway_types::entity::Scheme;
use causeway_types::{ConnectionId, OsRandom, SecretString};
use http::Request;
use http::header::LOCATION;
use std::time::Duration;
use url::Url;

impl Drive<'_> {
    /// Connects with a link, as its customer does.
    pub(super) async fn by_browser(&self, plan: &Plan) -> Result<ConnectionId, Failed> {
        let (connect, app) = (&self.hand.connect, self.row.app.slug.to_string());
        let new = NewSession {
            customer: format!("customer of {app}"),
            app: Some(app),
            oauth_client: (plan.scheme != Scheme::Mcp).then(|| client_name(plan)),
            ..NewSession::default()
        };
        let session = connect.create_session(&self.hand.permit(), new).await.map_err(said)?;
        let (token, cookie) = (session.token.expose(), Plain::<Browser>::generate(&OsRandom));
        let choice = Choice {
            app: None,
            scheme: Some(plan.scheme),
            fields: secrets(&plan.typed),
            popup: false,
        };
        match connect.start(token, &cookie, choice).await.map_err(said)? {
            Started::Browser(url) => {
                let back = self.visit(url).await?;
                let finished = connect.finish(callback(&back), &cookie).await.map_err(said)?;
                if !finished.missing.0.is_empty() {
                    return Err(format!("scopes are missing: {}", finished.missing.0.join(" ")));
                }
                Ok(finished.connection)
            }
            Started::Device(prompt) => {
                let interval = Duration::from_secs(prompt.interval.into());
                // The customer agrees after the first question.
                for _ in 0..2 {
                    self.hand.clock.advance(interval);
                    match connect.progress(token, &cookie).await.map_err(said)? {
                        Progress::Connected(finished) => return Ok(finished.connection),
                        Progress::Waiting(_) => {}
                        Progress::Open => return Err("the flow is gone".into()),
                        Progress::Failed { text, .. } => return Err(text),
                    }
                }
                Err("the app said yes, and there is no connection".into())
            }
        }
    }

    /// Goes to a page of the app, which sends the browser back.
    async fn visit(&self, url: Url) -> Result<Url, Failed> {
        let request = Request::get(url.as_str()).body(Bytes::new()).map_err(said_plainly)?;
        let limits = RequestLimits { max_redirects: 0, ..RequestLimits::default() };
        let answer = self.hand.http.request(request, limits).await.map_err(said_plainly)?;
        let location = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let back: Url = match location {
            Some(location) => location.parse().map_err(said_plainly)?,
            None => return Err(format!("the app's page answered with {}", answer.status())),
        };
        if back.as_str().split('?').next() != Some(CALLBACK) {
            return Err(format!("the app sent the browser to {back}"));
        }
        Ok(back)
    }
}

fn callback(back: &Url) -> Callback {
    let mut callback = Callback::default();
    for (name, value) in back.query_pairs() {
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
