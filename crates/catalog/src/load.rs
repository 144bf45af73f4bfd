//! Reading rows, from the binary and from an operator's folder.

use crate::embedded;
use crate::row::{App, OAuth2, Refresh};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The largest row file, in bytes.
const MOST_BYTES: u64 = 64 * 1024;
/// The most rows in an operator's folder.
const MOST_ROWS: usize = 5_000;

/// All apps that this installation knows.
#[derive(Debug)]
pub struct Catalog {
    apps: BTreeMap<String, App>,
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
        let mut apps = BTreeMap::new();
        for (folder, text) in embedded::ROWS {
            let path = Path::new("apps").join(folder).join("app.yaml");
            apps.insert((*folder).to_owned(), read_row(&path, folder, text)?);
        }
        if let Some(root) = operator {
            for (folder, path) in row_files(root)? {
                let text = read_text(&path)?;
                let app = read_row(&path, &folder, &text)?;
                if apps.insert(folder, app).is_some() {
                    tracing::info!(path = %path.display(), "this row replaces the built-in one");
                }
            }
        }
        Ok(Self { apps })
    }

    /// The app of this slug.
    pub fn get(&self, slug: &str) -> Option<&App> {
        self.apps.get(slug)
    }

    /// All apps, by slug.
    pub fn list(&self) -> impl ExactSizeIterator<Item = &App> {
        self.apps.values()
    }

    /// The JSON Schema of a row (2020-12).
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(App).to_value()
    }
}

/// Each folder of an operator's folder with its row's path, by name. Files beside the folders and
/// folders whose name starts with a dot are left alone.
fn row_files(root: &Path) -> Result<BTreeMap<String, PathBuf>, CatalogError> {
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

fn read_text(path: &Path) -> Result<String, CatalogError> {
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
    auth: Spanned<IgnoredAny>,
    hosts: Spanned<IgnoredAny>,
    verify: Spanned<IgnoredAny>,
}

/// Which part of a row is at fault.
enum Part {
    Slug,
    Auth,
    Hosts,
    Verify,
}

fn read_row(path: &Path, folder: &str, text: &str) -> Result<App, CatalogError> {
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
        let at = places.map(|places| match part {
            Part::Slug => places.slug.referenced,
            Part::Auth => places.auth.referenced,
            Part::Hosts => places.hosts.referenced,
            Part::Verify => places.verify.referenced,
        });
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

/// What a row's values must satisfy together.
fn check(app: &App, folder: &str) -> Result<(), (Part, String)> {
    if app.slug.as_str() != folder {
        return Err((Part::Slug, format!("the slug must be the folder's name, `{folder}`")));
    }
    if app.hosts.is_empty() {
        return Err((Part::Hosts, "name at least one host that may receive the credential".into()));
    }
    if app.auth.is_empty() {
        return Err((Part::Auth, "name at least one of oauth2, api_key, basic".into()));
    }
    let sent = |part, what: &str, url: &url::Url| {
        if app.may_receive(url) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        Err((part, format!("{what} would send the credential to {host}{port}; add it to `hosts`")))
    };
    sent(Part::Verify, "verify", app.verify.url.as_url())?;
    if let Some(oauth2) = &app.auth.oauth2 {
        if let Some(userinfo) = &oauth2.userinfo_url {
            sent(Part::Auth, "userinfo_url", userinfo.as_url())?;
        }
        if oauth2
            .refresh
            .as_ref()
            .is_some_and(|refresh| !refresh.rotates && refresh.retry_old_token)
        {
            let text = "retry_old_token says nothing where tokens do not rotate; leave it out";
            return Err((Part::Auth, text.into()));
        }
        check_introspection(app, oauth2).map_err(|text| (Part::Auth, text))?;
    }
    if let Some(keys) = &app.auth.api_key {
        check_keys(keys).map_err(|text| (Part::Auth, text))?;
    }
    Ok(())
}

/// The endpoint gets a refresh token, so it is where the token endpoint is, or where credentials
/// may go.
fn check_introspection(app: &App, oauth2: &OAuth2) -> Result<(), String> {
    let Some(introspection) = &oauth2.introspection else { return Ok(()) };
    if oauth2.refresh.as_ref().is_none_or(Refresh::may_repeat) {
        return Err("introspection is for refresh tokens that rotate and are then refused; where there are none or the old one may be sent again, leave it out".into());
    }
    let url = introspection.url.as_url();
    if url.origin() == oauth2.token_url.as_url().origin() || app.may_receive(url) {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default();
    Err(format!(
        "introspection would send the refresh token to {host}; only the host of token_url and those in `hosts` may get it"
    ))
}

fn check_keys(keys: &crate::row::ApiKey) -> Result<(), String> {
    let names: Vec<&str> = keys.auth_fields().collect();
    if names.is_empty() {
        return Err("api_key needs at least one field".into());
    }
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|earlier| earlier == name) {
            return Err(format!("the api_key field `{name}` stands there twice"));
        }
    }
    if keys.headers.is_empty() && keys.query.is_empty() {
        return Err("api_key needs a header or a query parameter that carries it".into());
    }
    let header_form = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if let Some(name) = keys.headers.keys().find(|name| !name.bytes().all(header_form)) {
        return Err(format!("`{name}` is not a header name"));
    }
    for template in keys.headers.values().chain(keys.query.values()) {
        if let Some(unknown) = template.fields().find(|field| !names.contains(field)) {
            return Err(format!("`{template}` names `{unknown}`, which is not among the fields"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
