//! Reading rows, from the binary and from an operator's folder.

use crate::check::{Part, check};
use crate::embedded;
use crate::reload::{Own, Stamp};
use crate::row::App;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The largest row file, in bytes.
const MOST_BYTES: u64 = 64 * 1024;
/// The most rows in an operator's folder.
const MOST_ROWS: usize = 5_000;

/// Apps by their slugs. A row is shared with whoever works by it, and stays as it is for them.
pub(crate) type Apps = BTreeMap<String, Arc<App>>;

/// All apps that this installation knows. The operator's rows can be read anew while it is in use.
#[derive(Debug)]
pub struct Catalog {
    /// The rows of the binary.
    pub(crate) embedded: Apps,
    /// The operator's folder, and what was read there last.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) own: Mutex<Own>,
    /// Both together.
    current: RwLock<Arc<Apps>>,
}

/// What is in a folder of rows.
#[derive(Debug)]
pub struct Checked {
    /// How many rows there are.
    pub rows: usize,
    /// The first fault of each row that is wrong.
    pub faults: Vec<CatalogError>,
}

/// The catalogue could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The file system refuses.
    #[error("reading {path}", path = path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// More than the limit.
    #[error("{path} holds more than {limit}", path = path.display())]
    TooLarge {
        /// What was read.
        path: PathBuf,
        /// The limit, with its unit.
        limit: String,
    },
    /// A row is wrong.
    #[error("{path}:{line}:{column}: {message}", path = path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 if unknown.
        line: u64,
        /// The column, from 1; 0 if unknown.
        column: u64,
        /// What is wrong and what to write.
        message: String,
    },
}

impl Catalog {
    /// The rows of the binary and, if there is one, of the operator's folder: a folder an app,
    /// each with an `app.yaml`. An operator's row replaces the binary's row of the same slug.
    ///
    /// # Errors
    /// The first row or file that is wrong, in the order of slugs.
    pub fn load(operator: Option<&Path>) -> Result<Self, CatalogError> {
        let mut embedded = Apps::new();
        for (folder, text) in embedded::ROWS {
            let path = Path::new("apps").join(folder).join("app.yaml");
            embedded.insert((*folder).to_owned(), Arc::new(read_row(&path, folder, text)?));
        }
        let mut own = Own::default();
        if let Some(root) = operator {
            for (folder, path) in row_files(root)? {
                let stamp = Stamp::of(&path);
                let text = read_text(&path)?;
                let app = read_row(&path, &folder, &text)?;
                if embedded.contains_key(&folder) {
                    tracing::info!(path = %path.display(), "this row replaces the built-in one");
                }
                own.keep(folder, stamp, text, Arc::new(app));
            }
        }
        let current = RwLock::new(Arc::new(own.over(&embedded)));
        let folder = operator.map(Path::to_owned);
        Ok(Self { embedded, folder, own: Mutex::new(own), current })
    }

    /// Puts other rows in the place of the present ones, for whoever asks from now on.
    pub(crate) fn swap(&self, apps: Apps) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(apps);
    }

    fn current(&self) -> Arc<Apps> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the rows of a folder without using them.
    pub fn check(folder: &Path) -> Checked {
        let files = match row_files(folder) {
            Ok(files) => files,
            Err(error) => return Checked { rows: 0, faults: vec![error] },
        };
        let rows = files.len();
        let read = |(slug, path): (String, PathBuf)| {
            read_text(&path).and_then(|text| read_row(&path, &slug, &text)).err()
        };
        Checked { rows, faults: files.into_iter().filter_map(read).collect() }
    }

    /// The app of this slug, as it is now: what somebody holds does not change under his hands.
    pub fn get(&self, slug: &str) -> Option<Arc<App>> {
        self.current().get(slug).cloned()
    }

    /// All apps as they are now, by slug.
    pub fn list(&self) -> Vec<Arc<App>> {
        self.current().values().cloned().collect()
    }

    /// The JSON Schema of a row (2020-12).
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(App).to_value()
    }
}

/// Each folder of an operator's folder with its row's path, by name. Files beside the folders and
/// folders whose name starts with a dot are left alone.
pub(crate) fn row_files(root: &Path) -> Result<BTreeMap<String, PathBuf>, CatalogError> {
    let failed = |source| CatalogError::Read { path: root.to_owned(), source };
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with('.') || !path.is_dir() {
            continue;
        }
        files.insert(name.to_owned(), path.join("app.yaml"));
        if files.len() > MOST_ROWS {
            let limit = format!("{MOST_ROWS} apps");
            return Err(CatalogError::TooLarge { path: root.to_owned(), limit });
        }
    }
    Ok(files)
}

pub(crate) fn read_text(path: &Path) -> Result<String, CatalogError> {
    let failed = |source| CatalogError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > MOST_BYTES {
        let limit = format!("{MOST_BYTES} bytes");
        return Err(CatalogError::TooLarge { path: path.to_owned(), limit });
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// Where the parts of a row stand, for errors that concern more than one value.
#[derive(Deserialize)]
struct Places {
    slug: Spanned<IgnoredAny>,
    #[serde(default)]
    categories: Option<Spanned<IgnoredAny>>,
    hosts: Spanned<IgnoredAny>,
    #[serde(default)]
    fields: Option<Spanned<IgnoredAny>>,
    auth: Spanned<IgnoredAny>,
    verify: Spanned<IgnoredAny>,
    #[serde(default)]
    api: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    looks_like: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    webhooks: Option<Spanned<IgnoredAny>>,
}

impl Places {
    fn of(self, part: Part) -> Option<Spanned<IgnoredAny>> {
        match part {
            Part::Slug => Some(self.slug),
            Part::Categories => self.categories,
            Part::Hosts => Some(self.hosts),
            Part::Fields => self.fields,
            Part::Auth => Some(self.auth),
            Part::Verify => Some(self.verify),
            Part::LooksLike => self.looks_like,
            Part::Api => self.api,
            Part::Webhooks => self.webhooks,
        }
    }
}

pub(crate) fn read_row(path: &Path, folder: &str, text: &str) -> Result<App, CatalogError> {
    let app: App = serde_saphyr::from_str(text).map_err(|refused| {
        let location = refused.location();
        CatalogError::Row {
            path: path.to_owned(),
            line: location.map_or(0, |at| at.line()),
            column: location.map_or(0, |at| at.column()),
            message: message(&refused),
        }
    })?;
    check(&app, folder).map_err(|(part, message)| {
        let places: Option<Places> = serde_saphyr::from_str(text).ok();
        let at = places.and_then(|places| places.of(part)).map(|place| place.referenced);
        CatalogError::Row {
            path: path.to_owned(),
            line: at.map_or(0, |at| at.line()),
            column: at.map_or(0, |at| at.column()),
            message,
        }
    })?;
    Ok(app)
}

/// The parser's own words, in one line and without the place, which the error prints itself.
fn message(refused: &serde_saphyr::Error) -> String {
    let text = refused.without_snippet().to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words);
    // A hint for programmers, not for whoever writes rows.
    let text = text.split(", set DuplicateKeyPolicy").next().unwrap_or(text);
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
