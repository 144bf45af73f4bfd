//! The catalogue.

pub(crate) mod list;
pub(crate) mod show;

use causeway_catalog::App;
use serde::Serialize;
use utoipa::ToSchema;

/// An app of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = App)]
pub(crate) struct AppBody {
    /// Its short name.
    slug: String,
    /// Its name for people.
    name: String,
    /// What one connects it for.
    description: String,
    /// The vendor's documentation that its row was written from.
    docs: String,
    /// Words to find it by.
    categories: Vec<String>,
    /// The ways to connect, like `oauth2`, `api_key`, `basic`.
    schemes: Vec<&'static str>,
    /// Where a credential may be sent.
    hosts: Vec<String>,
}

impl From<&App> for AppBody {
    fn from(app: &App) -> Self {
        Self {
            slug: app.slug.to_string(),
            name: app.name.clone(),
            description: app.description.clone(),
            docs: app.docs.to_string(),
            categories: app.categories.iter().map(|category| category.id().to_owned()).collect(),
            schemes: app.schemes(),
            hosts: app.hosts.iter().map(ToString::to_string).collect(),
        }
    }
}
