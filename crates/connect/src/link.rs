//! What a customer's browser may do with a link.

use crate::form::{self, FieldView};
use crate::limits::shown;
use crate::overrides::{FilledError, fill};
use crate::sessions::tenant_of;
use crate::settings::{self, Settings, Theme};
use crate::{Connect, Inner};
use causeway_catalog::{App, McpRegistration};
use causeway_identity::token::{Browser, Link, Plain};
use causeway_store::{Bookkeeping, ReadConn, db};
use causeway_types::entity::{ConnectSession, Scheme};
use causeway_types::{Actor, Code, Coded, Tenant, Timestamp};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a connect page shows.
#[derive(Debug, Clone)]
pub struct LinkView {
    /// The company's name for its customers.
    pub company: String,
    /// Where customers get help; may be empty.
    pub support_email: String,
    /// How the page looks.
    pub theme: Theme,
    /// The company's own id for the customer.
    pub customer: String,
    /// The connection that is renewed, rather than another made.
    pub reconnect: Option<Reconnect>,
    /// Where the customer goes afterwards.
    pub return_url: Option<String>,
    /// The origins of the pages that may embed this one; nobody may if there are none.
    pub allowed_origins: Vec<String>,
    /// When the link stops working.
    pub expires_at: Timestamp,
    /// The apps to choose from; empty if the link is for one app.
    pub apps: Vec<AppChoice>,
    /// The app that is connected; `None` as long as the customer has chosen none.
    pub app: Option<AppView>,
}

/// A connection that is renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconnect {
    /// Its name.
    pub name: String,
    /// What people call the account at the app, as far as it is known.
    pub account: Option<String>,
}

/// An app that the customer may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppChoice {
    /// Its slug.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// What one connects it for.
    pub description: String,
    /// What it is for, in the words of the catalogue.
    pub categories: Vec<&'static str>,
}

/// An app, and the ways to connect it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppView {
    /// Its slug.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// What to type whichever way is chosen.
    pub fields: Vec<FieldView>,
    /// The ways to connect that are open, best first.
    pub schemes: Vec<SchemeView>,
}

/// A way to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemeView {
    /// Which.
    pub scheme: Scheme,
    /// How the customer goes about it.
    pub how: How,
    /// The vendor's page on it.
    pub docs: String,
    /// What to type beside the fields of the app.
    pub fields: Vec<FieldView>,
}

/// How a customer connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By going to the app: [`Connect::start`].
    Browser,
    /// By typing a code at the app, on any device: [`Connect::start`].
    Device,
    /// By typing keys: [`Connect::submit`].
    Keys,
    /// By no more than saying so: [`Connect::submit`].
    Nothing,
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
    /// The app's row is gone, or the link is not for this app.
    #[error("finding the row of `{app}`")]
    UnknownApp {
        /// The app's slug.
        app: String,
    },
    /// The link is for any app, and none was chosen.
    #[error("going on without an app")]
    NoApp,
    /// What the company fills in cannot be used.
    #[error(transparent)]
    Filled(#[from] FilledError),
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
            Self::UnknownApp { .. } | Self::NoApp => Code::UnknownApp,
            Self::Filled(source) => source.code(),
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
                format!("The app `{app}` cannot be connected with this link. Ask whoever sent you the link.").into()
            }
            Self::NoApp => "Choose the app to connect first.".into(),
            Self::Filled(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

/// A link that is good for this browser, and the app that is connected with it.
pub(crate) struct Opened {
    pub(crate) session: ConnectSession,
    pub(crate) tenant: Tenant,
    pub(crate) app: Arc<App>,
    /// The digest of the browser's cookie.
    pub(crate) browser: Vec<u8>,
}

/// A link that is good for this browser.
struct Looked {
    session: ConnectSession,
    tenant: Tenant,
    browser: Vec<u8>,
}

impl Connect {
    /// Shows what a link is for, and how an app is connected with it: the link's own, or the one
    /// that the customer has chosen. As long as no browser has gone on with it, every browser may
    /// look: whatever previews links in a mailbox or a chat must not shut the customer out.
    /// `browser` is the browser's cookie, which the page sets before.
    ///
    /// # Errors
    /// [`LinkError`], also for a link that is bound to another browser.
    pub async fn open_link(
        &self,
        token: &str,
        browser: &Plain<Browser>,
        app: Option<&str>,
    ) -> Result<LinkView, LinkError> {
        let inner = &self.inner;
        let Looked { session, tenant, .. } = inner.looked_up(token, browser).await?;
        let app = match (session.app.as_deref(), app) {
            (None, None) => None,
            (_, chosen) => Some(inner.app_of(&session, chosen)?),
        };
        let filled = match &app {
            Some(app) => inner.filled_for(&session, app).await?,
            None => BTreeMap::new(),
        };
        let mut conn = inner.store.read().await?;
        let customer =
            db!(conn, customer::get(tenant, session.customer_id))?.ok_or(LinkError::Unknown)?;
        let reconnect = match session.reconnect_id {
            Some(id) => db!(conn, connection::get(tenant, id))?,
            None => None,
        };
        let clients: BTreeSet<String> =
            db!(conn, oauth_client::apps_with_usual(tenant))?.into_iter().collect();
        let own = db!(conn, connect_session::settings(tenant))?;
        let own: Settings = own.as_ref().map(settings::view).unwrap_or_default();
        let company = company(&mut conn, tenant, own.company).await?;
        let has_client =
            |app: &App| session.oauth_client_id.is_some() || clients.contains(app.slug.as_str());
        let apps = match &app {
            Some(_) => Vec::new(),
            None => inner.choices(has_client),
        };
        Ok(LinkView {
            company,
            support_email: own.support_email,
            theme: own.theme,
            customer: customer.external_id,
            reconnect: reconnect.map(|one| Reconnect { name: one.name, account: one.account_name }),
            allowed_origins: session.allowed_origins.split_whitespace().map(Into::into).collect(),
            expires_at: session.expires_at,
            apps,
            app: app.map(|app| {
                let mut view = AppView {
                    slug: app.slug.to_string(),
                    name: app.name.clone(),
                    fields: form::of_app(&app),
                    schemes: schemes(&app, has_client(&app), inner.is_https()),
                };
                fill::hide(&mut view, &filled);
                view
            }),
            return_url: session.return_url,
        })
    }
}

/// What customers are told whom they connect with: the company's own word, or the project's name.
pub(crate) async fn company(
    conn: &mut ReadConn,
    tenant: Tenant,
    own: String,
) -> Result<String, causeway_store::Error> {
    if !own.is_empty() {
        return Ok(own);
    }
    let project = db!(conn, workspace::project(tenant.workspace, tenant.project))?;
    Ok(project.map(|project| project.name).unwrap_or_default())
}

impl Inner {
    /// Finds the session of a link that this browser goes on with, and binds it to the browser if
    /// it is bound to none.
    pub(crate) async fn opened(
        &self,
        token: &str,
        browser: &Plain<Browser>,
        app: Option<&str>,
    ) -> Result<Opened, LinkError> {
        let Looked { session, tenant, browser } = self.looked_up(token, browser).await?;
        let app = self.app_of(&session, app)?;
        if session.browser_digest.is_none() {
            let (id, workspace) = (session.id, session.workspace_id);
            let mut tx = self.store.write(Actor::Customer(id)).await?;
            // Of two browsers that go on at once, the statement lets one through.
            let ours = db!(tx, connect_session::bind(workspace, id, &browser))?;
            tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
            if !ours {
                return Err(LinkError::OtherBrowser);
            }
        }
        Ok(Opened { session, tenant, app, browser })
    }

    /// Finds the session of a link and checks that it is open, and to this browser.
    async fn looked_up(&self, token: &str, browser: &Plain<Browser>) -> Result<Looked, LinkError> {
        let session = self.session_of(token).await?;
        self.still_open(&session)?;
        is_browser_of(&session, browser)?;
        Ok(Looked { tenant: tenant_of(&session), browser: browser.digest().to_vec(), session })
    }

    /// Finds the session of a link, also when it is over.
    pub(crate) async fn session_of(&self, token: &str) -> Result<ConnectSession, LinkError> {
        let token = Plain::<Link>::parse(token).map_err(|_| LinkError::Unknown)?;
        let mut conn = self.store.read().await?;
        let found = db!(conn, connect_session::by_token(token.digest().as_bytes()))?;
        found.ok_or(LinkError::Unknown)
    }

    /// The app that is connected in a session: its own, which no other may take the place of, or
    /// the chosen one.
    fn app_of(
        &self,
        session: &ConnectSession,
        chosen: Option<&str>,
    ) -> Result<Arc<App>, LinkError> {
        let own = session.app.as_deref();
        let slug = own.or(chosen).ok_or(LinkError::NoApp)?;
        let unknown = |slug: &str| LinkError::UnknownApp { app: shown(slug, 40) };
        if chosen.is_some_and(|chosen| chosen != slug) {
            return Err(unknown(chosen.unwrap_or_default()));
        }
        self.catalog.get(slug).ok_or_else(|| unknown(slug))
    }

    /// The apps that can be connected, by name.
    fn choices(&self, has_client: impl Fn(&App) -> bool) -> Vec<AppChoice> {
        let https = self.is_https();
        let mut apps: Vec<AppChoice> = self
            .catalog
            .list()
            .into_iter()
            .filter(|app| !schemes(app, has_client(app), https).is_empty())
            .map(|app| AppChoice {
                slug: app.slug.to_string(),
                name: app.name.clone(),
                description: app.description.clone(),
                categories: app.categories.iter().map(|category| category.id()).collect(),
            })
            .collect();
        apps.sort_by_key(|app| app.name.to_lowercase());
        apps
    }

    /// Whether apps can reach this server, as far as its address says.
    pub(crate) fn is_https(&self) -> bool {
        self.callback_url.scheme() == "https"
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

/// Whether a session is this browser's, or nobody's yet.
pub(crate) fn is_browser_of(
    session: &ConnectSession,
    browser: &Plain<Browser>,
) -> Result<(), LinkError> {
    match &session.browser_digest {
        Some(bound) if !browser.digest().matches(bound) => Err(LinkError::OtherBrowser),
        _ => Ok(()),
    }
}

/// The ways that the row offers, best first; those by the company's client only where it has one,
/// and those for which the app has to fetch from here only where it can.
pub(crate) fn schemes(app: &App, has_client: bool, is_https: bool) -> Vec<SchemeView> {
    let auth = &app.auth;
    let mcp = auth.mcp.as_ref().filter(|row| {
        row.registration.iter().any(|way| match way {
            McpRegistration::MetadataDocument => is_https,
            McpRegistration::Dynamic => true,
            McpRegistration::Static => has_client,
        })
    });
    let docs = [
        (Scheme::Oauth2, How::Browser, has_client, auth.oauth2.as_ref().map(|row| &row.docs)),
        (Scheme::Device, How::Device, has_client, auth.device.as_ref().map(|row| &row.docs)),
        (
            Scheme::Installation,
            How::Browser,
            has_client,
            auth.installation.as_ref().map(|row| &row.docs),
        ),
        (Scheme::Oauth1, How::Browser, has_client, auth.oauth1.as_ref().map(|row| &row.docs)),
        (Scheme::Mcp, How::Browser, true, mcp.map(|row| &row.docs)),
        (
            Scheme::ClientCredentials,
            How::Keys,
            true,
            auth.client_credentials.as_ref().map(|row| &row.docs),
        ),
        (Scheme::Jwt, How::Keys, true, auth.jwt.as_ref().map(|row| &row.docs)),
        (Scheme::ApiKey, How::Keys, true, auth.api_key.as_ref().map(|row| &row.docs)),
        (Scheme::TokenExchange, How::Keys, true, auth.token_exchange.as_ref().map(|row| &row.docs)),
        (Scheme::Signature, How::Keys, true, auth.signature.as_ref().map(|row| &row.docs)),
        (Scheme::Basic, How::Keys, true, auth.basic.as_ref().map(|row| &row.docs)),
        (Scheme::None, How::Nothing, true, auth.none.as_ref().map(|row| &row.docs)),
    ];
    docs.into_iter()
        .filter(|(_, _, is_open, _)| *is_open)
        .filter_map(|(scheme, how, _, docs)| {
            let docs = docs?.to_string();
            Some(SchemeView { scheme, how, docs, fields: form::of_scheme(app, scheme) })
        })
        .collect()
}
