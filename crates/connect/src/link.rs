//! What a customer's browser may do with a link.

use crate::sessions::tenant_of;
use crate::{Connect, Inner};
use causeway_catalog::App;
use causeway_identity::token::{Browser, Link, Plain};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::ConnectSession;
use causeway_types::{Actor, Code, Coded, Tenant, Timestamp};
use std::borrow::Cow;

/// What the hosted page shows.
#[derive(Debug, Clone)]
pub struct LinkView {
    /// The app's slug.
    pub app: String,
    /// The app's name for people.
    pub app_name: String,
    /// The company's own id for the customer.
    pub customer: String,
    /// The ways to connect that are open, best first.
    pub schemes: Vec<SchemeView>,
    /// Whether a connection is renewed rather than made.
    pub reconnect: bool,
    /// Where the customer goes afterwards.
    pub return_url: Option<String>,
    /// When the link stops working.
    pub expires_at: Timestamp,
}

/// A way to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemeView {
    /// By going to the app: [`Connect::start_oauth`].
    OAuth2,
    /// By typing keys: [`Connect::submit_key`] with [`Scheme::ApiKey`](causeway_types::entity::Scheme::ApiKey).
    ApiKey {
        /// The vendor's page on where to find them.
        docs: String,
        /// What to type.
        fields: Vec<FieldView>,
    },
    /// By typing user name and password: [`Connect::submit_key`] with
    /// [`Scheme::Basic`](causeway_types::entity::Scheme::Basic).
    Basic {
        /// The vendor's page on them.
        docs: String,
        /// `username` and `password`, by the app's own names.
        fields: Vec<FieldView>,
    },
}

/// A field to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldView {
    /// Its name in [`Connect::submit_key`].
    pub name: String,
    /// Its name for the customer.
    pub label: String,
    /// Where to find it.
    pub help: Option<String>,
    /// Whether it is hidden while typed.
    pub secret: bool,
}

/// A link cannot be used. The texts are for the customer.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No session has this token.
    #[error("finding the connect session of a link")]
    Unknown,
    /// Its time is over.
    #[error("using a link after its time")]
    Expired,
    /// A connection came of it already.
    #[error("using a link a second time")]
    Used,
    /// Another browser went on with it first.
    #[error("using a link in a second browser")]
    OtherBrowser,
    /// The app's row is gone.
    #[error("finding the row of `{app}`")]
    UnknownApp {
        /// The app's slug.
        app: String,
    },
    /// The store failed.
    #[error("reading the connect session")]
    Store(#[from] causeway_store::Error),
}

impl Coded for LinkError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown | Self::Expired | Self::Used | Self::OtherBrowser => {
                Code::ConnectLinkSpent
            }
            Self::UnknownApp { .. } => Code::UnknownApp,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unknown => {
                "This link is not one that was sent to you whole. Open it again from where you got it, or ask for a new one."
                    .into()
            }
            Self::Expired => "This link has expired. Ask for a new one.".into(),
            Self::Used => "This link has been used: a link makes one connection. Ask for a new one if you need another.".into(),
            Self::OtherBrowser => {
                "This link is in use in another browser and works only there. Go on in that browser, or ask for a new link."
                    .into()
            }
            Self::UnknownApp { app } => {
                format!("The app `{app}` can no longer be connected here. Ask whoever sent you the link.").into()
            }
            Self::Store(source) => source.public(),
        }
    }
}

/// A link that is good for this browser.
pub(crate) struct Opened<'a> {
    pub(crate) session: ConnectSession,
    pub(crate) tenant: Tenant,
    pub(crate) app: &'a App,
    /// The digest of the browser's cookie.
    pub(crate) browser: Vec<u8>,
}

impl Connect {
    /// Shows what a link is for. As long as no browser has gone on with it, every browser may look:
    /// whatever previews links in a mailbox or a chat must not shut the customer out. `browser` is
    /// the browser's cookie, which the page sets before.
    ///
    /// # Errors
    /// [`LinkError`], also for a link that is bound to another browser.
    pub async fn open_link(
        &self,
        token: &str,
        browser: &Plain<Browser>,
    ) -> Result<LinkView, LinkError> {
        let Opened { session, tenant, app, .. } = self.inner.looked_up(token, browser).await?;
        let mut conn = self.inner.store.read().await?;
        let customer = db!(conn, connection::customer(tenant, session.customer_id))?
            .ok_or(LinkError::Unknown)?;
        let has_client = db!(conn, connection::oauth_client(tenant, &session.app))?.is_some();
        Ok(LinkView {
            app_name: app.name.clone(),
            customer: customer.external_id,
            schemes: schemes(app, has_client),
            reconnect: session.reconnect_id.is_some(),
            return_url: session.return_url,
            expires_at: session.expires_at,
            app: session.app,
        })
    }
}

impl Inner {
    /// Finds the session of a link that this browser goes on with, and binds it to the browser if
    /// it is bound to none.
    pub(crate) async fn opened(
        &self,
        token: &str,
        browser: &Plain<Browser>,
    ) -> Result<Opened<'_>, LinkError> {
        let opened = self.looked_up(token, browser).await?;
        if opened.session.browser_digest.is_none() {
            let (session, workspace) = (opened.session.id, opened.session.workspace_id);
            let mut tx = self.store.write(Actor::Customer(session)).await?;
            // Of two browsers that go on at once, the statement lets one through.
            let ours = db!(tx, connect_session::bind(workspace, session, &opened.browser))?;
            tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
            if !ours {
                return Err(LinkError::OtherBrowser);
            }
        }
        Ok(opened)
    }

    /// Finds the session of a link and checks that it is open, and to this browser.
    async fn looked_up(
        &self,
        token: &str,
        browser: &Plain<Browser>,
    ) -> Result<Opened<'_>, LinkError> {
        let token = Plain::<Link>::parse(token).map_err(|_| LinkError::Unknown)?;
        let mut conn = self.store.read().await?;
        let session = db!(conn, connect_session::by_token(token.digest().as_bytes()))?
            .ok_or(LinkError::Unknown)?;
        drop(conn);
        self.still_open(&session)?;
        let digest = browser.digest();
        if session.browser_digest.as_ref().is_some_and(|bound| !digest.matches(bound)) {
            return Err(LinkError::OtherBrowser);
        }
        let app = self
            .catalog
            .get(&session.app)
            .ok_or_else(|| LinkError::UnknownApp { app: session.app.clone() })?;
        Ok(Opened { tenant: tenant_of(&session), app, browser: digest.to_vec(), session })
    }

    /// Whether a session can still make its connection.
    pub(crate) fn still_open(&self, session: &ConnectSession) -> Result<(), LinkError> {
        if session.used_at.is_some() {
            return Err(LinkError::Used);
        }
        if session.expires_at <= self.clock.now() {
            return Err(LinkError::Expired);
        }
        Ok(())
    }
}

/// The ways that the row offers; OAuth only where the company has a client.
fn schemes(app: &App, has_client: bool) -> Vec<SchemeView> {
    let mut schemes = Vec::new();
    if app.auth.oauth2.is_some() && has_client {
        schemes.push(SchemeView::OAuth2);
    }
    if let Some(row) = &app.auth.api_key {
        let fields = row.fields.iter().map(|field| FieldView {
            name: field.name.to_string(),
            label: field.label.clone(),
            help: field.help.clone(),
            secret: field.secret,
        });
        schemes.push(SchemeView::ApiKey { docs: row.docs.to_string(), fields: fields.collect() });
    }
    if let Some(row) = &app.auth.basic {
        let field = |name: &str, label: &str, secret| FieldView {
            name: name.to_owned(),
            label: label.to_owned(),
            help: None,
            secret,
        };
        let fields = vec![
            field("username", &row.username_label, false),
            field("password", &row.password_label, true),
        ];
        schemes.push(SchemeView::Basic { docs: row.docs.to_string(), fields });
    }
    schemes
}
