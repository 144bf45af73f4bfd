//! An app that customers install, as GitHub describes it: docs.github.com/en/apps.

use super::{Answer, Plan, State, answer, jwt};
use crate::seen::{Fault, Seen};
use causeway_catalog::{Installation, JwtAlgorithm};
use causeway_types::Timestamp;
use serde_json::json;
use url::Url;

/// The installation's id, if the example names none.
pub(crate) const INSTALLATION: &str = "4817230";

impl State {
    /// Answers at the endpoints of the scheme; `None` if the request is at none of them.
    pub(super) fn installation(
        &mut self,
        plan: &Plan,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Option<Answer>, Fault> {
        let row = plan.app().auth.installation.as_ref().ok_or("the row has no installation")?;
        let install = plan.url(&row.install_url)?;
        if seen.method == "GET" && seen.is_at(&install) {
            let mut query = seen.query();
            query.expect_query_of(&install)?;
            let state = query.need("state")?;
            query.end()?;
            let mut back: Url = plan.redirect_uri.parse().map_err(|_| "the way back is no URL")?;
            back.query_pairs_mut()
                .append_pair(&row.id_param, plan.installation())
                .append_pair("setup_action", "install")
                .append_pair("state", &state);
            self.count("authorize", seen);
            return Ok(Some(Answer::Redirect(back)));
        }
        if seen.method == "POST" && seen.is_at(&plan.url(&row.token_url)?) {
            plan.check_as_the_app(row, seen, now)?;
            return Ok(Some(self.mint(plan, &row.answer, seen, now)));
        }
        let Some(url) = &row.installation_url else { return Ok(None) };
        if seen.method != "GET" || !seen.is_at(&plan.url(url)?) {
            return Ok(None);
        }
        plan.check_as_the_app(row, seen, now)?;
        let mut found = json!({ "id": plan.installation() });
        if let Some(at) = &row.account_name {
            answer::put(&mut found, at.as_str(), plan.account().1.into());
        }
        self.count("installation", seen);
        Ok(Some(Answer::Json(found)))
    }
}

impl Plan {
    /// The installation's id.
    pub(super) fn installation(&self) -> &str {
        self.value("installation_id").unwrap_or_default()
    }

    /// Checks a request with the app's own token: "Generating a JSON Web Token (JWT) for a GitHub
    /// App".
    fn check_as_the_app(
        &self,
        row: &Installation,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let header = seen.header("authorization").ok_or("it has no Authorization header")?;
        let token = header.strip_prefix("Bearer ").ok_or("it has no Bearer token")?;
        let (_, mut claims) = jwt::read(token, JwtAlgorithm::RS256, |message, signature| {
            self.keys.has_signed(JwtAlgorithm::RS256, message, signature)
        })?;
        jwt::expect(&mut claims, "iss", &self.client.id)?;
        let (begin, end) = (jwt::number(&mut claims, "iat")?, jwt::number(&mut claims, "exp")?);
        let now = now.as_secs();
        if begin > now || end <= now || end - begin > u64::from(row.jwt_lifetime) {
            return Err("the time of the app's token does not fit".into());
        }
        if !seen.body.is_empty() {
            return Err("it has a body".into());
        }
        self.check_api_headers(seen)
    }
}
