//! How far a session is: what a page asks whose customer agrees elsewhere, on another device or
//! in another window.

use super::device::DevicePrompt;
use super::{Finished, FlowError, MissingScopes};
use crate::Connect;
use crate::link::{LinkError, is_browser_of};
use crate::sessions::tenant_of;
use causeway_identity::token::{Browser, Plain};
use causeway_store::db;
use causeway_types::entity::Scheme;
use std::time::Duration;

/// How long it may take to end a flow whose answer came: its requests are bounded, and whoever
/// ended it may have died.
const ENDING: Duration = Duration::from_mins(3);

/// How far a session is.
#[derive(Debug, Clone)]
pub enum Progress {
    /// Nothing is under way.
    Open,
    /// The app has not answered yet.
    Waiting(Option<DevicePrompt>),
    /// The connection is there.
    Connected(Finished),
    /// Nothing came of the last flow. The link can be used again.
    Failed {
        /// The problem's code.
        code: String,
        /// What happened and what to do: plain text, which may hold words of the app.
        text: String,
    },
}

impl Connect {
    /// How far the session of a link is. If its customer agrees on another device, and it is time,
    /// the app is asked.
    ///
    /// # Errors
    /// [`FlowError::Link`]: the link is over and nothing came of it, or it is another browser's.
    pub async fn progress(
        &self,
        token: &str,
        browser: &Plain<Browser>,
    ) -> Result<Progress, FlowError> {
        let inner = &self.inner;
        let session = inner.session_of(token).await?;
        is_browser_of(&session, browser)?;
        let mut conn = inner.store.read().await?;
        let last = db!(conn, connect_session::last_flow(session.workspace_id, session.id))?;
        drop(conn);
        let waits = |flow: &_| inner.waits_for_device(flow);
        if session.used_at.is_none()
            && let Some(flow) = last.filter(waits)
        {
            inner.poll(&flow).await?;
        }
        inner.state_of(token, browser).await
    }
}

impl crate::Inner {
    async fn state_of(&self, token: &str, browser: &Plain<Browser>) -> Result<Progress, FlowError> {
        let session = self.session_of(token).await?;
        is_browser_of(&session, browser)?;
        let mut conn = self.store.read().await?;
        let made = match session.connection_id {
            Some(id) => db!(conn, connection::get(tenant_of(&session), id))?,
            None => None,
        };
        let last = db!(conn, connect_session::last_flow(session.workspace_id, session.id))?;
        drop(conn);
        if session.used_at.is_some() {
            // One that was deleted since leaves nothing to tell of.
            let made = made.ok_or(LinkError::Used)?;
            let outcome = last.as_ref().and_then(|flow| flow.outcome.as_deref());
            let missing = outcome.and_then(MissingScopes::of_outcome).unwrap_or_default();
            return Ok(Progress::Connected(self.finished_before(&session, made, missing).await?));
        }
        self.still_open(&session)?;
        let now = self.clock.now();
        let Some(flow) = last else { return Ok(Progress::Open) };
        if let Some((code, text)) = flow.outcome.as_deref().and_then(|o| o.split_once('\n')) {
            return Ok(Progress::Failed { code: code.to_owned(), text: text.to_owned() });
        }
        let is_over = match flow.used_at {
            Some(at) => at.plus(ENDING) <= now,
            None => flow.expires_at <= now,
        };
        if is_over {
            return Ok(Progress::Open);
        }
        let prompt = match flow.scheme {
            Scheme::Device => self.open_flow(&flow).await?.1.device,
            _ => None,
        };
        let seconds = flow.poll_seconds.and_then(|s| u32::try_from(s).ok()).unwrap_or_default();
        Ok(Progress::Waiting(prompt.map(|device| DevicePrompt {
            user_code: device.user_code,
            verification_uri: device.verification_uri,
            verification_uri_complete: device.verification_uri_complete,
            expires_at: flow.expires_at,
            interval: seconds,
        })))
    }
}
