//! Categories of apps: operations 14 and 15.

use super::caller::Reader;
use crate::Problem;
use axum::Json;
use axum::extract::Path;
use causeway_catalog as catalog;
use causeway_types::Code;
use serde::{Deserialize, Serialize};

/// A category.
#[derive(Serialize)]
pub(crate) struct Category {
    id: &'static str,
    name: &'static str,
    description: &'static str,
}

/// The category in a path.
#[derive(Deserialize)]
pub(crate) struct CategoryPath {
    category: String,
}

fn view(category: catalog::Category) -> Category {
    Category { id: category.id(), name: category.name(), description: category.description() }
}

/// Lists all categories.
pub(crate) async fn list(_: Reader) -> Json<Vec<Category>> {
    Json(catalog::Category::ALL.iter().copied().map(view).collect())
}

/// Shows a category.
pub(crate) async fn show(
    _: Reader,
    Path(path): Path<CategoryPath>,
) -> Result<Json<Category>, Problem> {
    let found = catalog::Category::ALL.iter().copied().find(|one| one.id() == path.category);
    let found = found.ok_or_else(|| {
        Problem::new(
            Code::NotFound,
            "There is no category of this id. `GET /v1/connect/app_categories` lists them.",
        )
    })?;
    Ok(Json(view(found)))
}
