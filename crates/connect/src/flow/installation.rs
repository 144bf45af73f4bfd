//! Installing the company's app into the customer's account, as GitHub Apps are.
//!
//! The id of an installation is a number that anybody can guess, and the way back to the *setup
//! URL* proves nothing of whoever brings it:
//! <https://docs.github.com/en/apps/creating-github-apps/registering-a-github-app/about-the-setup-url>.
//! So an id is believed only
//! - with the signed, single-use state of a flow that this browser began, which `install_url`
//!   carries and the app returns (an installation that begins at the app's marketplace has none and
//!   is refused; the customer opens the link and goes through it again),
//! - if the app's own token may ask for the installation: then it is one of the company's app,
//! - and if no other customer of the environment has a connection with it.
//!
//! What is left open: a customer who guesses the id of an installation that nobody has connected
//! here. GitHub's remedy is to "request user authorization (OAuth) during installation" and to look
//! for the installation among those that the user may see. The way back then goes to the callback
//! URL, with a `code` beside `installation_id` and `state`. Such a code is not exchanged here: a
//! GitHub App's private key and its client secret would both have to be the secret of one client.
//! It is left to expire after ten minutes. Where that matters, let the company connect
//! installations by itself, from the webhook that tells who installed what.

use super::context::Context;
use super::{Callback, Finished, FlowError, LIFETIME, Matched, plain, unsupported};
use crate::Inner;
use crate::apply::Values;
use crate::create::{CreateError, Verified};
use crate::credential::Stored;
use crate::link::Opened;
use crate::mint::Installed;
use crate::sessions::tenant_of;
use causeway_catalog::{App, Installation};
use causeway_store::db;
use causeway_types::SecretString;
use causeway_types::entity::Scheme;
use std::sync::Arc;
use url::Url;

fn row_of(app: &App) -> Result<&Installation, FlowError> {
    app.auth.installation.as_ref().ok_or_else(|| unsupported(app, Scheme::Installation))
}

impl Inner {
    /// Begins a flow: the page on which the customer installs the app.
    pub(super) async fn begin_installation(
        &self,
        opened: &Opened,
        mut context: Context,
    ) -> Result<Url, FlowError> {
        let row = row_of(&opened.app)?;
        let client = self.own_client(opened).await?;
        context.client = Some(client.row.id);
        let value = |name: &str| context.value(&client.opened, name);
        let mut url = row.install_url.fill(value).ok_or_else(|| FlowError::Unconfigured {
            app: opened.app.name.clone(),
            what: "field that its address needs",
        })?;
        let new = self.new_flow(opened);
        url.query_pairs_mut().append_pair("state", &new.state);
        let until = self.clock.now().plus(LIFETIME);
        self.keep_flow(opened, Scheme::Installation, &new, &context, (until, None)).await?;
        Ok(url)
    }

    /// Ends a flow: checks whose installation it is, gets its first token, and tries that.
    pub(super) async fn finish_installation(
        &self,
        app: &Arc<App>,
        matched: Matched,
        callback: Callback,
    ) -> Result<Finished, FlowError> {
        let Matched { session, context, .. } = matched;
        let row = row_of(app)?;
        let tenant = tenant_of(&session);
        let client = self.client_by_id(tenant, app, context.client).await?;
        if callback.error.is_some() {
            return Err(FlowError::denied(app, &callback));
        }
        let Some(id) = plain(&callback, &row.id_param).filter(|id| is_id(id)) else {
            // GitHub's members who may only ask for an installation come back with
            // `setup_action=request` and no id.
            return Err(FlowError::InstallationPending { app: app.name.clone() });
        };
        let mut stored = Stored::of_fields(context.fields);
        stored.fields.insert("installation_id".into(), SecretString::new(id.to_owned()));
        let values = Values { stored: &stored, client: Some(&client.opened) };
        // A row that leaves the question out leaves it to the request for a token, which the app's
        // own token makes as well.
        let account_name = match self.installed_at(app, values).await.map_err(CreateError::from)? {
            Installed::Unasked => None,
            Installed::At(name) => name,
            Installed::Nowhere => {
                return Err(FlowError::NotOurInstallation { app: app.name.clone() });
            }
        };
        let mut conn = self.store.read().await?;
        let (slug, scheme) = (app.slug.as_str(), Scheme::Installation);
        let customer = session.customer_id;
        let taken = db!(conn, connection::is_anothers_account(tenant, slug, scheme, id, customer))?;
        drop(conn);
        if taken {
            return Err(FlowError::AnothersInstallation { app: app.name.clone() });
        }
        let id = id.to_owned();
        let stored = self
            .mint(app, scheme, stored, Some(&client.opened))
            .await
            .map_err(CreateError::from)?;
        let values = Values { stored: &stored, client: Some(&client.opened) };
        let mut account = self.verify(app, scheme, values).await.map_err(CreateError::from)?;
        // What the next flow compares with, whatever else the app calls the account.
        account.id = Some(id);
        account.name = account_name.or(account.name);
        let verified = Verified {
            scheme,
            oauth_client: Some(client.row.id),
            stored,
            scopes: String::new(),
            account,
        };
        let opened = Opened { tenant, session, app: Arc::clone(app), browser: Vec::new() };
        self.conclude(opened, verified, None).await
    }
}

/// What an id may be made of; it stands in the path of a URL.
fn is_id(text: &str) -> bool {
    let form = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(form)
}
