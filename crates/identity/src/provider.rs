//! Identity providers: services that tell who somebody is.
//!
//! A provider of the installation may be used by every workspace. A provider of a workspace is its
//! administrators' word, so it is believed in that workspace only: the people whom it signs in are
//! accounts of that workspace's *realm*.

mod ask;
mod github;
mod id_token;
mod installation;
mod known;
mod oidc;
mod rows;
mod told;

pub use ask::AskError;
pub use installation::{
    delete_installation_provider, installation_providers, set_installation_provider,
};
pub(crate) use known::Known;
pub use rows::{NewProvider, Offered, ProviderChange, ProviderError, ProviderView};
pub(crate) use told::{TellError, Told};

use crate::sign_in::Refusal;
use causeway_net::{HttpClient, Response};
use causeway_types::entity::{IdentityProvider, ProviderKind};
use causeway_types::{SecretString, Timestamp};
use serde::Deserialize;
use url::Url;

/// The longest word of a provider's that is kept, in characters.
const MAX_WORD: usize = 64;

/// What a provider is asked for.
pub(crate) struct Ask {
    pub(crate) redirect_uri: String,
    pub(crate) state: String,
    pub(crate) nonce: String,
    /// The PKCE challenge by S256 (RFC 7636).
    pub(crate) challenge: String,
    pub(crate) hints: Hints,
}

/// What should be asked for beside who somebody is. None of it is relied on.
#[derive(Default)]
pub(crate) struct Hints {
    /// That the person proves again who they are.
    pub(crate) again: bool,
    /// Classes of authentication that would do.
    pub(crate) acr: Vec<String>,
    /// The one domain that would do.
    pub(crate) hosted_domain: Option<String>,
}

/// What it takes to exchange a code.
pub(crate) struct Exchange<'a> {
    pub(crate) client_secret: &'a SecretString,
    pub(crate) code: &'a SecretString,
    pub(crate) redirect_uri: String,
    pub(crate) verifier: SecretString,
    pub(crate) nonce: String,
    /// Whether the person had to prove again who they are.
    pub(crate) again: bool,
    pub(crate) begun_at: Timestamp,
    pub(crate) now: Timestamp,
}

/// The address to send a browser to.
pub(crate) async fn authorization_url(
    http: &HttpClient,
    known: &Known,
    row: &IdentityProvider,
    ask: &Ask,
    now: Timestamp,
) -> Result<Url, AskError> {
    match row.kind {
        ProviderKind::Github => github::Hosts::of(&row.issuer)?.authorization_url(row, ask),
        ProviderKind::Google | ProviderKind::Oidc => {
            Ok(known.metadata(http, row, now).await?.authorization_url(row, ask))
        }
    }
}

/// Whether an answer that names the issuer `iss`, or none, is this provider's.
pub(crate) async fn check_issuer(
    http: &HttpClient,
    known: &Known,
    row: &IdentityProvider,
    iss: Option<&str>,
    now: Timestamp,
) -> Result<(), TellError> {
    match row.kind {
        ProviderKind::Github => github::Hosts::of(&row.issuer)?.check_issuer(iss)?,
        ProviderKind::Google | ProviderKind::Oidc => {
            known.metadata(http, row, now).await?.check_issuer(iss)?;
        }
    }
    Ok(())
}

/// Exchanges a code, and reads what the provider says of whom it was for.
pub(crate) async fn tell(
    http: &HttpClient,
    known: &Known,
    row: &IdentityProvider,
    exchange: &Exchange<'_>,
) -> Result<Told, TellError> {
    match row.kind {
        ProviderKind::Github => github::Hosts::of(&row.issuer)?.tell(http, row, exchange).await,
        ProviderKind::Google | ProviderKind::Oidc => oidc::tell(http, row, known, exchange).await,
    }
}

/// What a token endpoint's refusal means (RFC 6749 section 5.2): a code that is not good, or
/// something for the operator to mend.
async fn token_refusal(what: &'static str, response: Response) -> TellError {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    let status = response.status().as_u16();
    match ask::read::<Refused>(what, response).await {
        Ok(refused) if refused.error == "invalid_grant" => Refusal::Code.into(),
        Ok(refused) => AskError::Refused(word(&refused.error)).into(),
        Err(AskError::Answer { .. }) => AskError::Status { what, status }.into(),
        Err(other) => other.into(),
    }
}

/// A provider's own word, fit for a log: an error code and nothing that could be a person's.
pub(crate) fn word(text: &str) -> String {
    let plain = |one: &char| one.is_ascii_lowercase() || one.is_ascii_digit() || *one == '_';
    text.chars().take(MAX_WORD).filter(plain).collect()
}
