//! What the company sets for its customers' connect pages, an environment each.

use crate::error::InvalidInput;
use crate::{Connect, Inner, limits};
use causeway_identity::{Denied, Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::ConnectSettings;
use causeway_types::{Code, Coded, EnvironmentId, Tenant, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use url::Url;

/// Longest name of the company, in characters.
const COMPANY: usize = 100;
/// Longest address for support, in bytes.
const EMAIL: usize = 254;

/// What the company sets for its connect pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The company's name for its customers; empty for the project's.
    pub company: String,
    /// Where customers get help; may be empty.
    pub support_email: String,
    /// How the pages look.
    pub theme: Theme,
    /// The origins to which customers may be sent back. If it is empty, to every https address
    /// that the company's own programs name in a connect session, and to http at localhost: who
    /// makes a session is known, and nothing in a link or a query says where it leads.
    pub return_origins: Vec<String>,
    /// Whether credentials may be exported.
    pub credential_export: bool,
}

/// How connect pages look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Theme {
    /// The colour of buttons and links, like `#2f5af5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent: Option<String>,
    /// An https URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<String>,
    /// Light, dark, or as the customer's system is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub appearance: Appearance,
    /// How round corners are, in pixels, at most 24.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<u8>,
}

/// Whether pages are light or dark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Appearance {
    /// As the customer's system is.
    #[default]
    System,
    /// Dark text on white.
    Light,
    /// Light text on black.
    Dark,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_default(appearance: &Appearance) -> bool {
    *appearance == Appearance::System
}

/// Settings cannot be read or set.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The caller is confined to some apps, and the settings are of all.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A field has the wrong form.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The store failed.
    #[error("reading or writing the connect settings")]
    Store(#[from] causeway_store::Error),
}

impl Coded for SettingsError {
    fn code(&self) -> Code {
        match self {
            Self::Denied(source) => source.code(),
            Self::Invalid(_) => Code::InvalidRequest,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Denied(source) => source.public(),
            Self::Invalid(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Connect {
    /// The settings of the permit's environment; the usual ones if none were set.
    pub async fn settings(
        &self,
        permit: &Permit<action::ReadConnections>,
    ) -> Result<Settings, SettingsError> {
        Ok(view(&self.inner.settings_of(permit.tenant()).await?))
    }

    /// Sets all of them.
    ///
    /// # Errors
    /// A field has the wrong form, or the caller is confined to some apps.
    pub async fn set_settings(
        &self,
        permit: &Permit<action::ManageConnectSettings>,
        new: Settings,
    ) -> Result<Settings, SettingsError> {
        permit.covers_every_app()?;
        check(&new)?;
        let (inner, tenant) = (&self.inner, permit.tenant());
        let now = inner.clock.now();
        let mut tx = inner.store.write(permit.actor()).await?;
        let old = db!(tx, connect_session::settings(tenant))?;
        let old = view(&old.unwrap_or_else(|| usual(tenant)));
        db!(tx, connect_session::set_settings(&row(tenant, &new, now)))?;
        let event = Audit::ConnectSettingsSet {
            environment: tenant.environment,
            changed: changed(&old, &new),
            credential_export: new.credential_export,
        };
        tx.commit(tenant.workspace, now, event).await?;
        Ok(new)
    }

    /// What the company is called in an environment, if it has said so. Public: apps show it to
    /// whoever is asked to agree.
    pub async fn company(
        &self,
        environment: EnvironmentId,
    ) -> Result<Option<String>, causeway_store::Error> {
        let mut conn = self.inner.store.read().await?;
        let company = db!(conn, connect_session::company(environment))?;
        Ok(company.filter(|company| !company.is_empty()))
    }
}

impl Inner {
    /// The settings of an environment; the usual ones if none were set.
    pub(crate) async fn settings_of(
        &self,
        tenant: Tenant,
    ) -> Result<ConnectSettings, causeway_store::Error> {
        let mut conn = self.store.read().await?;
        let found = db!(conn, connect_session::settings(tenant))?;
        Ok(found.unwrap_or_else(|| usual(tenant)))
    }
}

/// What holds as long as nothing was set.
fn usual(tenant: Tenant) -> ConnectSettings {
    row(tenant, &Settings::default(), Timestamp::from_micros(0))
}

pub(crate) fn row(tenant: Tenant, settings: &Settings, now: Timestamp) -> ConnectSettings {
    ConnectSettings {
        environment_id: tenant.environment,
        workspace_id: tenant.workspace,
        company: settings.company.clone(),
        support_email: settings.support_email.clone(),
        // Texts and numbers always become JSON.
        theme: serde_json::to_string(&settings.theme).unwrap_or_default(),
        return_origins: settings.return_origins.join(" "),
        credential_export: i64::from(settings.credential_export),
        updated_at: now,
    }
}

pub(crate) fn view(row: &ConnectSettings) -> Settings {
    Settings {
        company: row.company.clone(),
        support_email: row.support_email.clone(),
        theme: serde_json::from_str(&row.theme).unwrap_or_default(),
        return_origins: row
            .return_origins
            .split(' ')
            .filter(|o| !o.is_empty())
            .map(Into::into)
            .collect(),
        credential_export: row.credential_export != 0,
    }
}

/// The names of what differs.
fn changed(old: &Settings, new: &Settings) -> Vec<String> {
    [
        ("company", old.company != new.company),
        ("support_email", old.support_email != new.support_email),
        ("theme", old.theme != new.theme),
        ("return_origins", old.return_origins != new.return_origins),
        ("credential_export", old.credential_export != new.credential_export),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(name, _)| name.to_owned())
    .collect()
}

pub(crate) fn check(new: &Settings) -> Result<(), InvalidInput> {
    limits::line("company", &new.company, COMPANY)?;
    let email = &new.support_email;
    let is_address = causeway_catalog::FieldFormat::Email.fits(email)
        && email.len() <= EMAIL
        && !email.contains(char::is_control);
    if !(email.is_empty() || is_address) {
        return Err(InvalidInput::new("support_email", "it must be an e-mail address"));
    }
    limits::origins("return_origins", &new.return_origins)?;
    let theme = &new.theme;
    let is_colour = |text: &String| {
        text.len() == 7
            && text.strip_prefix('#').is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if theme.accent.as_ref().is_some_and(|colour| !is_colour(colour)) {
        return Err(InvalidInput::new("theme.accent", "write a colour like #2f5af5"));
    }
    if let Some(url) = &theme.logo_url {
        limits::web_url("theme.logo_url", url)?;
    }
    if theme.radius.is_some_and(|radius| radius > 24) {
        return Err(InvalidInput::new("theme.radius", "at most 24"));
    }
    Ok(())
}

/// Whether customers may be sent to this URL.
///
/// # Errors
/// It is not at one of the environment's `return_origins`.
pub(crate) fn may_return(
    settings: &ConnectSettings,
    field: &str,
    url: &str,
) -> Result<(), InvalidInput> {
    let origin = Url::parse(url).ok().map(|url| url.origin().ascii_serialization());
    let mut allowed = settings.return_origins.split(' ').filter(|one| !one.is_empty()).peekable();
    if allowed.peek().is_none() {
        return limits::web_url(field, url);
    }
    if allowed.any(|one| origin.as_deref() == Some(one)) {
        return Ok(());
    }
    Err(InvalidInput::new(
        field,
        "its origin is not among the `return_origins` of this environment's connect settings; add it there with `PUT /api/v1/connect-settings`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::{Clock as _, OsRandom, ProjectId, SystemClock, WorkspaceId};

    fn settings(origins: &[&str]) -> ConnectSettings {
        let now = SystemClock.now();
        let tenant = Tenant {
            workspace: WorkspaceId::generate(now, &OsRandom),
            project: ProjectId::generate(now, &OsRandom),
            environment: EnvironmentId::generate(now, &OsRandom),
        };
        let return_origins = origins.iter().map(|one| (*one).to_owned()).collect();
        row(tenant, &Settings { return_origins, ..Settings::default() }, now)
    }

    #[test]
    fn customers_are_sent_back_to_listed_origins_only() {
        let some = settings(&["https://app.example", "http://localhost:3000"]);
        let check = |url| may_return(&some, "return_url", url).is_ok();
        assert!(check("https://app.example/done?x=1") && check("http://localhost:3000/"));
        for evil in [
            "https://evil.example/",
            "https://app.example.evil.example/",
            "https://app.example@evil.example/",
            "https://app.example:8443/",
            "http://app.example/",
            "https://evil.example/https://app.example",
            "//app.example/",
            "javascript:alert(1)",
            "",
        ] {
            assert!(!check(evil), "{evil}");
        }
        let none = settings(&[]);
        assert!(may_return(&none, "return_url", "https://any.example/").is_ok());
        assert!(may_return(&none, "return_url", "http://any.example/").is_err());
    }

    #[test]
    fn a_theme_holds_no_markup() {
        let with = |theme| check(&Settings { theme, ..Settings::default() }).is_ok();
        let accent = |text: &str| Theme { accent: Some(text.into()), ..Theme::default() };
        assert!(with(accent("#2f5AF5")) && with(Theme::default()));
        for bad in ["red", "#fff", "#12345g", "#123456;}", "url(x)"] {
            assert!(!with(accent(bad)), "{bad}");
        }
        let logo = |text: &str| Theme { logo_url: Some(text.into()), ..Theme::default() };
        assert!(with(logo("https://acme.example/logo.svg")));
        assert!(!with(logo("javascript:alert(1)")) && !with(logo("http://acme.example/l.png")));
    }
}
