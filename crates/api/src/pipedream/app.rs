//! Apps in the contract's shape.

use super::ids;
use crate::Api;
use causeway_catalog as catalog;
use causeway_connect::{FieldView, custom_fields};
use serde::Serialize;

/// An app.
#[derive(Debug, Clone, Serialize)]
pub(super) struct App {
    id: String,
    name_slug: String,
    name: String,
    /// `oauth`, `keys` or `none`.
    auth_type: &'static str,
    description: String,
    img_src: Option<String>,
    /// A JSON array of fields, as text.
    custom_fields_json: String,
    categories: Vec<&'static str>,
    featured_weight: i64,
    connect: Calls,
    scope_profiles: Vec<ScopeProfile>,
}

/// How the app is called through the proxy.
#[derive(Debug, Clone, Serialize)]
struct Calls {
    proxy_enabled: bool,
    allowed_domains: Vec<String>,
    base_proxy_target_url: String,
}

#[derive(Debug, Clone, Serialize)]
struct ScopeProfile {
    name: String,
    description: String,
    scopes: Vec<String>,
}

#[derive(Serialize)]
struct CustomField {
    name: String,
    label: String,
    description: Option<String>,
    default: Option<String>,
    optional: bool,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl App {
    /// An app of the catalogue.
    pub(super) fn of(app: &catalog::App) -> Self {
        let slug = app.slug.as_str();
        let oauth2 = app.auth.oauth2.iter();
        let profiles = oauth2.flat_map(|row| &row.scopes.profiles);
        Self {
            id: ids::app(slug),
            name_slug: ids::name_slug(slug),
            name: app.name.clone(),
            auth_type: auth_type(app),
            description: app.description.clone(),
            img_src: None,
            custom_fields_json: fields_json(custom_fields(app)),
            categories: app.categories.iter().map(|category| category.name()).collect(),
            featured_weight: 0,
            connect: Calls {
                proxy_enabled: true,
                allowed_domains: app.hosts.iter().map(|host| host.as_str().to_owned()).collect(),
                base_proxy_target_url: app.api.base_url.as_str().to_owned(),
            },
            scope_profiles: profiles
                .map(|profile| ScopeProfile {
                    name: profile.name.to_string(),
                    description: profile.description.clone(),
                    scopes: profile.scopes.clone(),
                })
                .collect(),
        }
    }

    /// The app of a record, which the catalogue may no longer have.
    pub(super) fn of_slug(catalog: &catalog::Catalog, slug: &str) -> Self {
        catalog.get(slug).as_deref().map_or_else(|| Self::gone(slug), Self::of)
    }

    fn gone(slug: &str) -> Self {
        Self {
            id: ids::app(slug),
            name_slug: ids::name_slug(slug),
            name: slug.to_owned(),
            auth_type: "none",
            description: String::new(),
            img_src: None,
            custom_fields_json: "[]".to_owned(),
            categories: Vec::new(),
            featured_weight: 0,
            connect: Calls {
                proxy_enabled: false,
                allowed_domains: Vec::new(),
                base_proxy_target_url: String::new(),
            },
            scope_profiles: Vec::new(),
        }
    }
}

/// The app of a record, for a handler.
pub(super) fn of(api: &Api, slug: &str) -> App {
    App::of_slug(api.catalog(), slug)
}

/// The contract has one kind of authentication an app; that in the customer's browser goes first.
fn auth_type(app: &catalog::App) -> &'static str {
    let auth = &app.auth;
    let in_browser = auth.oauth2.is_some()
        || auth.device.is_some()
        || auth.oauth1.is_some()
        || auth.installation.is_some()
        || auth.mcp.is_some();
    match (in_browser, app.schemes().as_slice()) {
        (true, _) => "oauth",
        (false, ["none"]) => "none",
        (false, _) => "keys",
    }
}

fn fields_json(fields: Vec<FieldView>) -> String {
    let shown: Vec<CustomField> = fields
        .into_iter()
        .map(|field| CustomField {
            name: field.name,
            label: field.label,
            description: field.help,
            default: field.default,
            optional: field.optional,
            kind: "string",
        })
        .collect();
    // Texts always become JSON.
    serde_json::to_string(&shown).unwrap_or_default()
}
