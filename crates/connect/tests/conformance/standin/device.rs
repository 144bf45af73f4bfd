//! OAuth 2.0 for devices (RFC 8628), beside the row's `oauth2`.

use super::oauth2::At;
use super::{Answer, Code, Plan, State};
use crate::seen::{Fault, Fields, Seen};
use causeway_catalog::{BodyForm, ClientAuth};
use causeway_types::Timestamp;
use serde_json::json;

/// Section 3.4.
pub(super) const GRANT_OF_DEVICES: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Seconds between questions.
const INTERVAL: u32 = 5;

impl State {
    /// Answers at the endpoints of the scheme; `None` if the request is at none of them.
    pub(super) fn device(
        &mut self,
        plan: &Plan,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Option<Answer>, Fault> {
        let auth = &plan.app().auth;
        let (device, row) = auth.device.as_ref().zip(auth.oauth2.as_ref()).ok_or("no device")?;
        let url = plan.url(&device.device_authorization_url)?;
        if seen.method != "POST" || !seen.is_at(&url) {
            return self.oauth2_at(&At { plan, row, client: &plan.client }, seen, now);
        }
        let mut query = seen.query();
        query.expect_query_of(&url)?;
        query.end()?;
        let mut body = seen.members(BodyForm::Form)?;
        // Section 3.1: it names itself; the proof is that of the token endpoint, without a secret
        // in the body, which the vendors' own pages do not show here.
        if row.client_auth == ClientAuth::Basic {
            body.expect(&row.client_id_param, &plan.client.id)?;
        }
        let auth = match row.client_auth {
            ClientAuth::Post => ClientAuth::None,
            other => other,
        };
        plan.check_proof(auth, &plan.client.at(&row.client_id_param), seen, &mut body, now)?;
        if !row.scopes.param.is_empty() && !plan.scopes.is_empty() {
            body.expect(&row.scopes.param, &plan.scopes.join(&row.scopes.separator))?;
        }
        body.end()?;
        let code = self.fresh("device_code");
        let uri = format!("https://{}.example/device", plan.app().slug);
        let mut answer = json!({
            "device_code": code,
            "user_code": "WDJB-MJHT",
            "expires_in": 900,
            "interval": INTERVAL,
        });
        answer[&device.verification_uri] = uri.into();
        self.codes.insert(code, Code { redirect_uri: String::new(), challenge: None });
        self.count("authorize", seen);
        Ok(Some(Answer::Json(answer)))
    }

    /// Whether the customer has agreed: not yet at the first question.
    pub(super) fn is_agreed(&mut self, plan: &Plan, body: &mut Fields) -> Result<bool, Fault> {
        if plan.app().auth.device.is_none() {
            return Err("the row has no device flow".into());
        }
        let code = body.need("device_code")?;
        if !self.codes.contains_key(&code) {
            return Err("the device code is unknown, or was used".into());
        }
        let was_asked = self.counts.contains_key("pending");
        if was_asked {
            self.codes.remove(&code);
        }
        Ok(was_asked)
    }
}
