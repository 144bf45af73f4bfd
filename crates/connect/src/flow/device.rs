//! OAuth 2.0 for devices (RFC 8628): the customer types a code at the app, in any browser.
//!
//! The app is asked until it has an answer: by the background, and by the page's questions for the
//! progress, whichever comes first when the time is right. The time of the next question stands in
//! the flow's row and is moved ahead before the app is asked, so that of all nodes one asks, and a
//! node that dies is followed by the next. What would be lost with it is an answer with tokens that
//! it had just received: the app then calls the code used, and the customer starts over.

use super::context::{Context, Device};
use super::oauth2::row_of;
use super::{Finished, FlowError, OwnClient, unsupported};
use crate::apply::{Moment, Values};
use crate::credential::Stored;
use crate::limits::{self, shown};
use crate::link::Opened;
use crate::sessions::tenant_of;
use crate::token_endpoint::{self, Ask, Asker, Grant, RawAnswer, TOKEN_TIMEOUT};
use crate::{Connect, Inner};
use causeway_catalog::{App, BodyForm, ClientAuth};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{ConnectSession, OAuthFlow, Scheme};
use causeway_types::{Actor, SecretString, Timestamp, chain};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use url::Url;

/// Seconds between questions if the app does not say (RFC 8628, section 3.2), and what `slow_down`
/// adds (section 3.5).
const INTERVAL: u32 = 5;
/// The longest time between questions, in seconds.
const LONGEST_INTERVAL: u32 = 60;
/// The longest time that a code is taken to be good.
const LONGEST_LIFE: Duration = Duration::from_mins(30);
/// Flows looked up in one go by the background, and asked for at once.
const BATCH: i64 = 32;

/// What the customer of a device flow is told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePrompt {
    /// The code to type.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// Where the code need not be typed, if the app has such a page.
    pub verification_uri_complete: Option<String>,
    /// When the code is no longer good.
    pub expires_at: Timestamp,
    /// Seconds after which a question for the progress can have news.
    pub interval: u32,
}

/// What the app says of a code.
enum Said {
    /// The tokens, or a failure for good.
    Answer(RawAnswer),
    /// Nothing yet; to be asked again after so many seconds, and so often from then on.
    Later { wait: u32, interval: u32 },
}

impl Connect {
    /// Asks the apps whether customers have agreed on other devices, where it is time, and says
    /// how many there were. The background does it every few seconds.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn poll_devices(&self) -> Result<usize, causeway_store::Error> {
        let inner = &self.inner;
        let mut conn = inner.store.read().await?;
        let due = db!(conn, connect_session::due_flows(inner.clock.now(), BATCH))?;
        drop(conn);
        let count = due.len();
        let mut running = JoinSet::new();
        for flow in due {
            let inner = Arc::clone(inner);
            let tracked = inner.tasks.token();
            running.spawn(async move {
                let _tracked = tracked;
                if let Err(error) = inner.poll(&flow).await {
                    tracing::warn!(flow = %flow.id, error = chain(&error), "a device flow");
                }
            });
        }
        while running.join_next().await.is_some() {}
        Ok(count)
    }
}

impl Inner {
    /// Begins a flow: gets the codes (section 3.1).
    pub(super) async fn begin_device(
        &self,
        opened: &Opened,
        mut context: Context,
    ) -> Result<DevicePrompt, FlowError> {
        let app = &*opened.app;
        let row = row_of(app)?;
        let device = app.auth.device.as_ref().ok_or_else(|| unsupported(app, Scheme::Device))?;
        let client = self.own_client(opened).await?;
        context.client = Some(client.row.id);
        context.asked = self.asked_for(opened, row, &client.row).await?;
        let failed = |source| FlowError::TokenRequest { app: app.name.clone(), source };
        let value = |name: &str| context.value(&client.opened, name);
        let url = device.device_authorization_url.fill(value);
        let mut ask = Ask::post(url.ok_or_else(|| FlowError::Unconfigured {
            app: app.name.clone(),
            what: "value that its address needs",
        })?);
        let scopes = context.asked.join(&row.scopes.separator);
        if !scopes.is_empty() && !row.scopes.param.is_empty() {
            ask.set(&row.scopes.param, &scopes);
        }
        let moment = Moment { now: self.clock.now(), random: &*self.random };
        // Section 3.1: as at the token endpoint. That it also names itself hurts nobody, and some
        // apps demand it. Its secret goes along in a header or a signature only: apps that take it
        // in the body at the token endpoint want nothing but the id here.
        let auth = match row.client_auth {
            ClientAuth::Post => ClientAuth::None,
            other => other,
        };
        ask.set(&row.client_id_param, &client.row.client_id);
        ask.prove(auth, &row.client_id_param, &client.opened, moment).map_err(failed)?;
        let request = ask.ready(BodyForm::Form).map_err(failed)?;
        let answer =
            token_endpoint::send(&self.http, request, || self.clock.now()).await.map_err(failed)?;
        let given = codes(app, &device.verification_uri, &answer)?;
        let now = self.clock.now();
        let prompt = DevicePrompt {
            user_code: given.device.user_code.clone(),
            verification_uri: given.device.verification_uri.clone(),
            verification_uri_complete: given.device.verification_uri_complete.clone(),
            expires_at: now.plus(given.life),
            interval: given.interval,
        };
        context.device = Some(given.device);
        let new = self.new_flow(opened);
        let timing = (prompt.expires_at, Some(given.interval));
        self.keep_flow(opened, Scheme::Device, &new, &context, timing).await?;
        Ok(prompt)
    }

    /// Whether a flow waits for its customer on another device.
    pub(super) fn waits_for_device(&self, flow: &OAuthFlow) -> bool {
        flow.used_at.is_none() && flow.poll_at.is_some_and(|at| at <= self.clock.now())
    }

    /// Asks the app once, if nobody else does and the time is right. What comes of it stands in
    /// the flow and its session.
    pub(super) async fn poll(&self, flow: &OAuthFlow) -> Result<(), FlowError> {
        let now = self.clock.now();
        let seconds = flow.poll_seconds.and_then(|s| u32::try_from(s).ok()).unwrap_or(INTERVAL);
        let until = now.plus(TOKEN_TIMEOUT + Duration::from_secs(seconds.into()));
        let actor = Actor::Customer(flow.connect_session_id);
        let (workspace, id) = (flow.workspace_id, flow.id);
        let mut tx = self.store.write(actor).await?;
        let ours = db!(tx, connect_session::claim_poll(workspace, id, now, until))?;
        tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
        if !ours {
            return Ok(());
        }
        let ended = match self.ask_device(flow, seconds).await {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = &ended {
            let mut tx = self.store.write(actor).await?;
            db!(tx, connect_session::use_flow(workspace, id, self.clock.now()))?;
            tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
            self.keep_failure((workspace, flow.connect_session_id), Some(id), error).await;
        }
        Ok(())
    }

    /// Asks the app; `None` if it has no answer yet.
    async fn ask_device(
        &self,
        flow: &OAuthFlow,
        seconds: u32,
    ) -> Result<Option<Finished>, FlowError> {
        let now = self.clock.now();
        if flow.expires_at <= now {
            return Err(FlowError::Expired);
        }
        let mut conn = self.store.read().await?;
        let session = db!(conn, connect_session::get(flow.workspace_id, flow.connect_session_id))?
            .ok_or(FlowError::Expired)?;
        drop(conn);
        self.still_open(&session)?;
        let app = self.app_of_flow(&flow.app)?;
        let (_, context) = self.open_flow(flow).await?;
        let client = self.client_by_id(tenant_of(&session), &app, context.client).await?;
        match self.say(&app, &client, &context, seconds).await? {
            Said::Later { wait, interval } => {
                let (workspace, id) = (flow.workspace_id, flow.id);
                let at = self.clock.now().plus(Duration::from_secs(wait.into()));
                let mut tx = self.store.write(Actor::Customer(session.id)).await?;
                db!(tx, connect_session::set_poll(workspace, id, at, interval.into()))?;
                tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
                Ok(None)
            }
            Said::Answer(answer) => {
                self.finish_device(&app, flow, session, (&client, context), &answer).await.map(Some)
            }
        }
    }

    /// The question itself (section 3.4), and what its answer means (section 3.5).
    async fn say(
        &self,
        app: &App,
        client: &OwnClient,
        context: &Context,
        seconds: u32,
    ) -> Result<Said, FlowError> {
        let row = row_of(app)?;
        let device = context.device.as_ref().ok_or(super::mismatch("a flow without a code"))?;
        let failed = |source| FlowError::TokenRequest { app: app.name.clone(), source };
        // The typed fields, for the templates of the token endpoint.
        let stored = Stored::of_fields(copied(&context.fields));
        let request = {
            let values = Values { stored: &stored, client: Some(&client.opened) };
            let moment = Moment { now: self.clock.now(), random: &*self.random };
            let scheme = Scheme::Device;
            let asker = Asker { app, scheme, client: &client.opened, values, moment };
            asker.prepare(row, Grant::Device { code: &device.code }).map_err(failed)?
        };
        let slower = |seconds: u32| seconds.clamp(1, LONGEST_INTERVAL);
        let answer = match token_endpoint::send(&self.http, request, || self.clock.now()).await {
            Ok(answer) => answer,
            // Section 3.5: back off exponentially.
            Err(error) => {
                tracing::debug!(app = %app.slug, error = chain(&error), "asking for a device");
                let twice = slower(seconds.saturating_mul(2));
                return Ok(Said::Later { wait: twice, interval: twice });
            }
        };
        let Err(refused) = answer.read(&row.answer, true) else { return Ok(Said::Answer(answer)) };
        if refused.status == 429 || refused.status >= 500 {
            let asked = refused.retry_after.map_or(0, |wait| wait.as_secs());
            let wait = u32::try_from(asked).unwrap_or(LONGEST_INTERVAL);
            let wait = slower(wait.max(seconds.saturating_mul(2)));
            return Ok(Said::Later { wait, interval: seconds });
        }
        match refused.error.as_deref() {
            Some("authorization_pending") => Ok(Said::Later { wait: seconds, interval: seconds }),
            Some("slow_down") => {
                let interval = slower(seconds.saturating_add(INTERVAL));
                Ok(Said::Later { wait: interval, interval })
            }
            Some("expired_token") => Err(FlowError::Expired),
            Some("access_denied") => Err(FlowError::Denied {
                app: app.name.clone(),
                error: "access_denied".into(),
                description: refused.description,
            }),
            _ => {
                Err(FlowError::TokenRefused { app: app.name.clone(), sentence: refused.sentence() })
            }
        }
    }

    /// Ends a flow with the tokens that the app gave.
    async fn finish_device(
        &self,
        app: &Arc<App>,
        flow: &OAuthFlow,
        session: ConnectSession,
        (client, context): (&OwnClient, Context),
        answer: &RawAnswer,
    ) -> Result<Finished, FlowError> {
        let mut tx = self.store.write(Actor::Customer(session.id)).await?;
        let now = self.clock.now();
        let first = db!(tx, connect_session::use_flow(flow.workspace_id, flow.id, now))?;
        tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
        let row = row_of(app)?;
        let stored = Stored::of_fields(context.fields);
        let (verified, missing) =
            self.accept(app, row, Scheme::Device, client, (stored, &context.asked), answer).await?;
        if !first {
            // A newer flow was begun meanwhile: nobody wants these tokens.
            let values = Values::of(&verified.stored);
            let outcome = self.revoke(app, row, &client.opened, values).await;
            tracing::info!(app = %app.slug, %outcome, "gave the tokens of an older flow back");
            return Err(super::mismatch("a newer flow was begun"));
        }
        let opened = Opened {
            tenant: tenant_of(&session),
            session,
            app: Arc::clone(app),
            browser: Vec::new(),
        };
        self.conclude(opened, verified, Some((flow.id, missing))).await
    }
}

fn copied(fields: &BTreeMap<String, SecretString>) -> BTreeMap<String, SecretString> {
    let copy = |value: &SecretString| SecretString::new(value.expose().clone());
    fields.iter().map(|(name, value)| (name.clone(), copy(value))).collect()
}

/// What an app gave for a device.
struct Codes {
    device: Device,
    life: Duration,
    interval: u32,
}

#[derive(Deserialize)]
struct Answer {
    device_code: Option<SecretString>,
    user_code: Option<String>,
    verification_uri_complete: Option<String>,
    expires_in: Option<serde_json::Value>,
    interval: Option<serde_json::Value>,
}

/// Reads the answer of the device authorization endpoint (section 3.2).
fn codes(app: &App, uri_name: &str, answer: &RawAnswer) -> Result<Codes, FlowError> {
    let refused = |sentence: String| FlowError::TokenRefused { app: app.name.clone(), sentence };
    let none = || {
        // An error of RFC 6749, section 5.2, also where it comes with status 200.
        match answer.read(&crate::mint::PLAIN_ANSWER, false) {
            Err(said) if said.error.is_some() || said.status >= 300 => refused(said.sentence()),
            _ => refused("the app gave no code for another device".into()),
        }
    };
    if !(200..300).contains(&answer.status) {
        return Err(none());
    }
    let body = answer.body.expose();
    let read: Answer = serde_json::from_slice(body).map_err(|_| none())?;
    let all: serde_json::Value = serde_json::from_slice(body).map_err(|_| none())?;
    // The page is opened from ours, so it must be one of the web.
    let page = |text: &str| {
        Url::parse(text)
            .ok()
            .filter(|url| limits::is_web(url) && text.len() <= 2048)
            .map(String::from)
    };
    let verification_uri =
        all.get(uri_name).and_then(|uri| uri.as_str()).and_then(page).ok_or_else(none)?;
    let user_code = read.user_code.map(|code| shown(&code, 64)).filter(|code| !code.is_empty());
    let number = |value: Option<serde_json::Value>| match value? {
        serde_json::Value::Number(number) => number.as_u64(),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let life = number(read.expires_in).map_or(LONGEST_LIFE, Duration::from_secs);
    let interval = number(read.interval).and_then(|seconds| u32::try_from(seconds).ok());
    Ok(Codes {
        device: Device {
            code: read.device_code.filter(|code| !code.expose().is_empty()).ok_or_else(none)?,
            user_code: user_code.ok_or_else(none)?,
            verification_uri,
            verification_uri_complete: read.verification_uri_complete.as_deref().and_then(page),
        },
        life: life.min(LONGEST_LIFE),
        interval: interval.unwrap_or(INTERVAL).clamp(1, LONGEST_INTERVAL),
    })
}
