//! Finding apps.

use crate::category::Category;
use crate::row::App;

/// Which apps.
#[derive(Debug, Clone, Default)]
pub struct AppFilter {
    /// Those in whose slug, name, description or categories each of these words stands, in
    /// capitals or not; empty for all.
    pub words: String,
    /// Those of this category.
    pub category: Option<Category>,
    /// Those that connect by the scheme of this name.
    pub scheme: Option<String>,
}

impl AppFilter {
    /// Whether an app is one of them.
    pub fn fits(&self, app: &App) -> bool {
        self.category.is_none_or(|wanted| app.categories.contains(&wanted))
            && self.scheme.as_ref().is_none_or(|wanted| app.schemes().contains(&wanted.as_str()))
            && self.is_named(app)
    }

    fn is_named(&self, app: &App) -> bool {
        let mut words = self.words.split_whitespace().peekable();
        if words.peek().is_none() {
            return true;
        }
        let categories = app.categories.iter().flat_map(|one| [one.id(), one.name()]);
        let parts = [app.slug.as_str(), &app.name, &app.description];
        let text = parts.into_iter().chain(categories).collect::<Vec<_>>().join(" ").to_lowercase();
        words.all(|word| text.contains(&word.to_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;

    fn found(filter: &AppFilter) -> Vec<String> {
        let catalog = Catalog::load(None).unwrap();
        let fitting = catalog.list().into_iter().filter(|app| filter.fits(app));
        fitting.map(|app| app.slug.to_string()).collect()
    }

    #[test]
    fn apps_are_found_by_words_category_and_scheme() {
        let named = |words: &str| found(&AppFilter { words: words.into(), ..AppFilter::default() });
        assert!(named("hubSPOT").contains(&"hubspot".to_owned()));
        assert!(named("contacts crm").contains(&"hubspot".to_owned()));
        assert!(named("no-such-app").is_empty());
        let filter = AppFilter {
            category: Some(Category::Crm),
            scheme: Some("api_key".into()),
            ..AppFilter::default()
        };
        let found = found(&filter);
        assert!(found.contains(&"hubspot".to_owned()) && !found.contains(&"github".to_owned()));
    }
}
