//! What the company sets for its customers' connect pages.

pub(crate) mod set;
pub(crate) mod show;

use causeway_connect::{Appearance, Settings, Theme};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What you set for your customers' connect pages in an environment. What is left out becomes
/// empty or false.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConnectSettings)]
pub(crate) struct ConnectSettingsBody {
    /// Your name for your customers, at most 100 characters; the project's if it is empty.
    #[serde(default)]
    company: String,
    /// Where customers get help.
    #[serde(default)]
    support_email: String,
    /// How the pages look.
    #[serde(default)]
    theme: ThemeBody,
    /// The origins that `return_url` and `error_url` of a connect session may have, like
    /// `https://app.example.com`. If there are none, every https URL may stand there, and http at
    /// localhost.
    #[serde(default)]
    return_origins: Vec<String>,
    /// Whether programs with a scope for it may export credentials.
    #[serde(default)]
    credential_export: bool,
}

/// How connect pages look.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConnectTheme)]
pub(crate) struct ThemeBody {
    /// The colour of buttons and links, like `#2f5af5`.
    accent: Option<String>,
    /// An https URL of your logo.
    #[schema(format = "uri")]
    logo_url: Option<String>,
    /// `system`, `light` or `dark`. Default `system`.
    #[serde(default)]
    appearance: AppearanceBody,
    /// How round corners are, in pixels, at most 24.
    #[schema(maximum = 24)]
    radius: Option<u8>,
}

/// Whether connect pages are light or dark.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConnectAppearance)]
pub(crate) enum AppearanceBody {
    /// As the customer's system is.
    #[default]
    System,
    /// Dark text on white.
    Light,
    /// Light text on black.
    Dark,
}

impl From<Settings> for ConnectSettingsBody {
    fn from(settings: Settings) -> Self {
        let Theme { accent, logo_url, appearance, radius } = settings.theme;
        let appearance = match appearance {
            Appearance::System => AppearanceBody::System,
            Appearance::Light => AppearanceBody::Light,
            Appearance::Dark => AppearanceBody::Dark,
        };
        Self {
            company: settings.company,
            support_email: settings.support_email,
            theme: ThemeBody { accent, logo_url, appearance, radius },
            return_origins: settings.return_origins,
            credential_export: settings.credential_export,
        }
    }
}

impl From<ConnectSettingsBody> for Settings {
    fn from(body: ConnectSettingsBody) -> Self {
        let ThemeBody { accent, logo_url, appearance, radius } = body.theme;
        let appearance = match appearance {
            AppearanceBody::System => Appearance::System,
            AppearanceBody::Light => Appearance::Light,
            AppearanceBody::Dark => Appearance::Dark,
        };
        Self {
            company: body.company,
            support_email: body.support_email,
            theme: Theme { accent, logo_url, appearance, radius },
            return_origins: body.return_origins,
            credential_export: body.credential_export,
        }
    }
}
