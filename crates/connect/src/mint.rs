//! Tokens that Causeway gets by itself, whenever it needs one: for the customer's own client, key
//! or installation. Getting one spends nothing, so it may be repeated.

mod request;

pub(crate) use request::{Minting, method};

use crate::Inner;
use crate::apply::{Applied, Moment, Values};
use crate::client::Client;
use crate::credential::Stored;
use crate::token_endpoint::{self, EndpointError, Refused};
use causeway_catalog::{App, JsonPointer, TokenAnswer};
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded};
use std::borrow::Cow;
use std::sync::LazyLock;

/// An answer as RFC 6749 describes it.
pub(crate) static PLAIN_ANSWER: LazyLock<TokenAnswer> = LazyLock::new(TokenAnswer::default);

/// A token cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The app's row does not say how, or the company's client is missing.
    #[error("getting a token of {app}: its row or its OAuth client is missing")]
    Unconfigured {
        /// The app's slug.
        app: String,
    },
    /// A key does not read.
    #[error("getting a token of {app}: the key `{field}` does not read")]
    Key {
        /// The app's name.
        app: String,
        /// The key's field.
        field: String,
    },
    /// The request cannot be built, or was not answered.
    #[error("asking {app} for a token")]
    Endpoint {
        /// The app's name.
        app: String,
        /// Why not.
        #[source]
        source: EndpointError,
    },
    /// The app answered without a token.
    #[error("asking {app} for a token: {sentence}")]
    Refused {
        /// The app's name.
        app: String,
        /// What it answered.
        sentence: String,
        /// Whether it is the credential that it refuses.
        denied: bool,
    },
}

impl Coded for MintError {
    fn code(&self) -> Code {
        match self {
            Self::Unconfigured { .. } => Code::MissingOAuthClient,
            Self::Key { .. } | Self::Refused { denied: true, .. } => Code::CredentialRefused,
            Self::Endpoint { source: EndpointError::Http(_), .. } | Self::Refused { .. } => {
                Code::UpstreamFailed
            }
            Self::Endpoint { .. } => Code::CredentialRefused,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unconfigured { app } => format!("The catalogue no longer says how `{app}` is connected this way, or its OAuth client is missing.").into(),
            Self::Key { field, .. } => format!("The key in `{field}` does not read. Copy it whole, with its first and last line if it is in PEM.").into(),
            Self::Endpoint { app, source } => format!("{app} could not be asked for a token: {source}.").into(),
            Self::Refused { app, sentence, denied: true } => format!("{app} refused the credential: {sentence}. Check that it is copied whole, belongs to the right account and has not been revoked.").into(),
            Self::Refused { app, sentence, denied: false } => format!("{app} gave no token: {sentence}. Try again in a few minutes.").into(),
        }
    }
}

/// What the app says of an installation.
pub(crate) enum Installed {
    /// Nothing: its row has no question for it.
    Unasked,
    /// It is one of the company's app, in the account of this name, as far as the app names it.
    At(Option<String>),
    /// It is none of the company's app.
    Nowhere,
}

/// Whether a scheme's token is got whenever it is needed.
pub(crate) fn is_minted(scheme: Scheme) -> bool {
    use Scheme::{ClientCredentials, Installation, Jwt, TokenExchange};
    matches!(scheme, ClientCredentials | Jwt | TokenExchange | Installation)
}

/// How the answer to a scheme's request reads; `None` if the row does not have the scheme.
pub(crate) fn answer_of(app: &App, scheme: Scheme) -> Option<&TokenAnswer> {
    let auth = &app.auth;
    match scheme {
        Scheme::Oauth2 | Scheme::Device => auth.oauth2.as_ref().map(|row| &row.answer),
        Scheme::ClientCredentials => auth.client_credentials.as_ref().map(|row| &row.answer),
        Scheme::Jwt => {
            let exchange = auth.jwt.as_ref()?.exchange.as_ref();
            Some(exchange.map_or(&PLAIN_ANSWER, |exchange| &exchange.answer))
        }
        Scheme::TokenExchange => auth.token_exchange.as_ref().map(|row| &row.answer),
        Scheme::Installation => auth.installation.as_ref().map(|row| &row.answer),
        Scheme::Mcp => auth.mcp.as_ref().map(|_| &*PLAIN_ANSWER),
        Scheme::Oauth1 | Scheme::ApiKey | Scheme::Basic | Scheme::Signature | Scheme::None => None,
    }
}

/// Whether an app that gives no token says that the customer's credential is not good any more,
/// rather than that something else is wrong.
pub(crate) fn is_denial(refused: &Refused, scheme: Scheme) -> bool {
    let own = ["invalid_client", "invalid_grant", "unauthorized_client", "access_denied"];
    if scheme == Scheme::Installation {
        // The token of the app itself is the company's matter: 401 says that its key is wrong.
        // An installation that is gone or suspended is 404 or 403:
        // docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
        return matches!(refused.status, 403 | 404) && refused.retry_after.is_none();
    }
    let by_status = matches!(refused.status, 401 | 403) && refused.retry_after.is_none();
    by_status || refused.says(&own)
}

impl Inner {
    /// What getting a token takes, by the app's row.
    ///
    /// # Errors
    /// Also if the scheme's token is not got this way.
    pub(crate) fn minting(
        &self,
        app: &App,
        scheme: Scheme,
        values: Values<'_>,
    ) -> Result<Minting, MintError> {
        let moment = Moment { now: self.clock.now(), random: &*self.random };
        request::of(&Applied { app, scheme, values, moment })
    }

    /// Gets a token for a credential that has none yet. Whatever the scheme, a credential that
    /// needs none is returned as it is.
    pub(crate) async fn mint(
        &self,
        app: &App,
        scheme: Scheme,
        stored: Stored,
        client: Option<&Client>,
    ) -> Result<Stored, MintError> {
        if !is_minted(scheme) {
            return Ok(stored);
        }
        let name = || app.name.clone();
        let request = match self.minting(app, scheme, Values { stored: &stored, client })? {
            Minting::Here(tokens) => return Ok(Stored { tokens: Some(tokens), ..stored }),
            Minting::Ask(request) => request,
        };
        let failed = |source| MintError::Endpoint { app: name(), source };
        let answer =
            token_endpoint::send(&self.http, request, || self.clock.now()).await.map_err(failed)?;
        let refused = |refused: Refused| MintError::Refused {
            app: name(),
            sentence: refused.sentence(),
            denied: is_denial(&refused, scheme),
        };
        let row = answer_of(app, scheme).unwrap_or(&PLAIN_ANSWER);
        let granted = answer.read(row, true).map_err(refused)?;
        token_endpoint::stored(app, stored, granted, answer.status, false).map_err(refused)
    }

    /// Asks the app, with its own token, where an installation is.
    ///
    /// # Errors
    /// The app cannot be asked, or cannot say.
    pub(crate) async fn installed_at(
        &self,
        app: &App,
        values: Values<'_>,
    ) -> Result<Installed, MintError> {
        let missing = || MintError::Unconfigured { app: app.slug.to_string() };
        let row = app.auth.installation.as_ref().ok_or_else(missing)?;
        let Some(url) = &row.installation_url else { return Ok(Installed::Unasked) };
        let moment = Moment { now: self.clock.now(), random: &*self.random };
        let applied = Applied { app, scheme: Scheme::Installation, values, moment };
        let request = request::as_the_app(&applied, row, http::Method::GET, url)?;
        let failed = |source| MintError::Endpoint { app: app.name.clone(), source };
        let answer =
            token_endpoint::send(&self.http, request, || self.clock.now()).await.map_err(failed)?;
        match answer.status {
            200..=299 => {
                let body: serde_json::Value =
                    serde_json::from_slice(answer.body.expose()).unwrap_or_default();
                let name = row.account_name.as_ref().and_then(|at| text_at(&body, at));
                Ok(Installed::At(name))
            }
            404 => Ok(Installed::Nowhere),
            status => Err(MintError::Refused {
                app: app.name.clone(),
                sentence: format!("asked for the installation, it answered with status {status}"),
                denied: false,
            }),
        }
    }
}

/// A text or a number of an answer, bounded.
pub(crate) fn text_at(body: &serde_json::Value, pointer: &JsonPointer) -> Option<String> {
    match body.pointer(pointer.as_str())? {
        serde_json::Value::String(text) => {
            Some(crate::limits::shown(text, 200)).filter(|text| !text.is_empty())
        }
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
