//! GitHub, which is no OpenID Connect issuer for people: OAuth 2.0, then its REST API.
//!
//! - The flow, PKCE included: docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
//! - `GET /user`: docs.github.com/en/rest/users/users#get-the-authenticated-user
//! - `GET /user/emails`: docs.github.com/en/rest/users/emails#list-email-addresses-for-the-authenticated-user
//!
//! GitHub says nothing of how it authenticated somebody now. `two_factor_authentication` in
//! `GET /user` says that the account *has* a second factor, only to tokens with the wide scope
//! `user`; it is neither asked for nor believed, so a sign-in through GitHub never counts as one
//! with more than one factor.

use super::ask::{self, AskError, Form};
use super::told::{TellError, Told, checked_subject, clean_name};
use super::{Ask, Exchange};
use crate::sign_in::Refusal;
use crate::sso::Authentication;
use causeway_net::HttpClient;
use causeway_types::SecretString;
use causeway_types::entity::IdentityProvider;
use serde::Deserialize;
use url::Url;

/// The addresses of an account, private ones too.
const SCOPE: &str = "user:email";

/// Where one GitHub is: github.com, a `*.ghe.com`, or a company's own server.
pub(super) struct Hosts {
    site: Url,
    api: Url,
}

/// GitHub answers a refused code with status 200 and these fields
/// (docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors).
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    access_token: Option<SecretString>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    id: u64,
    #[serde(default)]
    login: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    email: String,
    #[serde(default)]
    primary: bool,
    #[serde(default)]
    verified: bool,
}

impl Hosts {
    /// The API of github.com is at api.github.com, that of a `NAME.ghe.com` at api.NAME.ghe.com
    /// (docs.github.com/en/enterprise-cloud@latest/admin/data-residency), and that of a server
    /// under `/api/v3` (docs.github.com/en/enterprise-server@latest/rest/enterprise-admin).
    pub(super) fn of(issuer: &str) -> Result<Self, AskError> {
        let broken = |_| AskError::Metadata("the provider's address is no base address");
        let site = Url::parse(&format!("{}/", issuer.trim_end_matches('/'))).map_err(broken)?;
        let host = site.host_str().unwrap_or_default();
        let api = if host == "github.com" || host.ends_with(".ghe.com") {
            format!("https://api.{host}/")
        } else {
            format!("{site}api/v3/")
        };
        let api = Url::parse(&api).map_err(broken)?;
        Ok(Self { site, api })
    }

    fn at(base: &Url, path: &str) -> Result<Url, AskError> {
        base.join(path).map_err(|_| AskError::Metadata("the provider's address is no base address"))
    }

    /// The address to send a browser to.
    pub(super) fn authorization_url(
        &self,
        row: &IdentityProvider,
        ask: &Ask,
    ) -> Result<Url, AskError> {
        let mut url = Self::at(&self.site, "login/oauth/authorize")?;
        let mut query = url.query_pairs_mut();
        query
            .append_pair("client_id", &row.client_id)
            .append_pair("redirect_uri", &ask.redirect_uri)
            .append_pair("scope", SCOPE)
            .append_pair("state", &ask.state)
            .append_pair("code_challenge", &ask.challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("allow_signup", "false");
        if ask.hints.again {
            query.append_pair("prompt", "select_account");
        }
        drop(query);
        Ok(url)
    }

    /// GitHub names itself in its answers since April 2026 (RFC 9207); older servers do not.
    pub(super) fn check_issuer(&self, iss: Option<&str>) -> Result<(), Refusal> {
        let own = format!("{}login/oauth", self.site);
        if iss.is_none_or(|iss| iss == own) { Ok(()) } else { Err(Refusal::Issuer) }
    }

    /// Exchanges the code and reads whom it was for.
    pub(super) async fn tell(
        &self,
        http: &HttpClient,
        row: &IdentityProvider,
        exchange: &Exchange<'_>,
    ) -> Result<Told, TellError> {
        let token = self.exchange(http, row, exchange).await?;
        let url = Self::at(&self.api, "user")?;
        let account: Account = ask::get(http, "GitHub's /user", &url, Some(&token)).await?;
        let url = Self::at(&self.api, "user/emails")?;
        let all: Vec<Address> = ask::get(http, "GitHub's /user/emails", &url, Some(&token)).await?;
        let primary = all.into_iter().find(|one| one.primary && one.verified);
        let email =
            primary.ok_or(Refusal::Unverified)?.email.parse().map_err(|_| Refusal::Email)?;
        Ok(Told {
            // The number stays when the account is renamed; a login can be taken by somebody else.
            subject: checked_subject(account.id.to_string())?,
            name: clean_name(account.name.or(account.login).as_deref(), &email),
            email,
            hosted_domain: None,
            authentication: Authentication::default(),
            authenticated_at: None,
        })
    }

    async fn exchange(
        &self,
        http: &HttpClient,
        row: &IdentityProvider,
        exchange: &Exchange<'_>,
    ) -> Result<SecretString, TellError> {
        let what = "GitHub's token endpoint";
        let form = Form::default()
            .with("client_id", &row.client_id)
            .with("client_secret", exchange.client_secret.expose())
            .with("code", exchange.code.expose())
            .with("redirect_uri", &exchange.redirect_uri)
            .with("code_verifier", exchange.verifier.expose());
        let url = Self::at(&self.site, "login/oauth/access_token")?;
        let response = ask::post(http, what, &url, None, form).await?;
        if response.status() != http::StatusCode::OK {
            let status = response.status().as_u16();
            return Err(AskError::Status { what, status }.into());
        }
        let answer: TokenAnswer = ask::read(what, response).await?;
        match (answer.access_token, answer.error.as_deref()) {
            (Some(token), None) => Ok(token),
            (_, Some("bad_verification_code")) | (None, None) => Err(Refusal::Code.into()),
            (_, Some("unverified_user_email")) => Err(Refusal::Unverified.into()),
            (_, Some(error)) => Err(AskError::Refused(super::word(error)).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_github_has_its_api_where_its_docs_say() {
        for (issuer, api) in [
            ("https://github.com", "https://api.github.com/"),
            ("https://github.com/", "https://api.github.com/"),
            ("https://acme.ghe.com", "https://api.acme.ghe.com/"),
            ("https://git.acme.example", "https://git.acme.example/api/v3/"),
            ("http://127.0.0.1:8402", "http://127.0.0.1:8402/api/v3/"),
            ("https://notgithub.com", "https://notgithub.com/api/v3/"),
        ] {
            assert_eq!(Hosts::of(issuer).unwrap().api.as_str(), api, "{issuer}");
        }
    }

    #[test]
    fn another_issuers_answer_is_not_githubs() {
        let hosts = Hosts::of("https://github.com").unwrap();
        assert_eq!(hosts.check_issuer(None), Ok(()));
        assert_eq!(hosts.check_issuer(Some("https://github.com/login/oauth")), Ok(()));
        for other in ["https://github.com", "https://evil.example/login/oauth", ""] {
            assert_eq!(hosts.check_issuer(Some(other)), Err(Refusal::Issuer), "{other}");
        }
    }
}
