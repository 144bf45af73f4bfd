//! The rows as they are driven: with their stand-in's port in every URL and host.

use causeway_catalog::{App, Field};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// Members whose text is a URL that is called.
const URLS: &[&str] = &[
    "access_token_url",
    "authorization_url",
    "base_url",
    "device_authorization_url",
    "install_url",
    "installation_url",
    "request_token_url",
    "token_url",
    "url",
    "userinfo_url",
];
/// Members below which nothing is called.
const NOT_CALLED: &[&str] = &[
    "authorization_params",
    "claims",
    "docs",
    "form",
    "header",
    "headers",
    "json",
    "params",
    "query",
    "scopes",
    "token_headers",
    "token_params",
    "webhooks",
];

/// A hand-checked example of what goes over the wire, in `golden.yaml`, by scheme.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    /// The connection's values.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, String>,
    /// What a caller of the proxy asks.
    pub(crate) request: ExampleCall,
    /// What then goes out.
    pub(crate) expect: Expected,
    /// Where the browser is sent, without state, way back and challenge.
    #[serde(default)]
    pub(crate) authorize: Option<ExampleAuthorize>,
    /// The request for the first token.
    #[serde(default)]
    pub(crate) token: Option<ExampleToken>,
}

/// A call of the proxy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExampleCall {
    pub(crate) method: String,
    /// Relative to `api.base_url`.
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) query: BTreeMap<String, String>,
}

/// A request to the app's API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) url: Url,
    /// Those that must be there exactly, their names in lower case.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

/// A page of the app.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExampleAuthorize {
    pub(crate) url: Url,
    pub(crate) params: BTreeMap<String, String>,
    /// Parameters of the standard that are sent although the vendor's page does not show them.
    #[serde(default)]
    pub(crate) extra_ok: Vec<String>,
}

/// A request for a token, and the vendor's example of its answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExampleToken {
    pub(crate) url: Url,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Fields of the form or of the JSON, without what is signed.
    #[serde(default)]
    pub(crate) body: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) answer: Option<Value>,
    /// As in `authorize`.
    #[serde(default)]
    pub(crate) extra_ok: Vec<String>,
}

/// An app as it is driven.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) app: Arc<App>,
    /// By scheme.
    pub(crate) examples: BTreeMap<String, Example>,
    pub(crate) port: u16,
    /// The names of values that are a whole host, and so have the port too.
    pub(crate) whole_hosts: BTreeSet<String>,
}

/// The repository's folder of apps.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps")
}

/// The slugs of the repository's apps.
pub(crate) fn slugs() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let rows = entries.filter(|path| path.join("app.yaml").is_file());
    let mut slugs: Vec<String> =
        rows.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    slugs.sort();
    slugs
}

fn read<T: serde::de::DeserializeOwned>(slug: &str, file: &str) -> T {
    let path = folder().join(slug).join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    serde_saphyr::from_str(&text)
        .unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
}

/// A row's text with the port of its stand-in, as JSON, and the names of its whole hosts.
pub(crate) fn with_port(slug: &str, port: u16) -> (String, BTreeSet<String>) {
    let mut row: Value = read(slug, "app.yaml");
    let mut whole_hosts = BTreeSet::new();
    put_port(row.as_object_mut().unwrap(), port, &mut whole_hosts);
    if let Some(hosts) = row["hosts"].as_array_mut() {
        for host in hosts {
            let text = host.as_str().unwrap();
            whole_hosts.extend(whole(text).map(str::to_owned));
            *host = host_with_port(text, port).into();
        }
    }
    let (own, auth) = (["fields", "client_fields"], row["auth"].as_object().unwrap().clone());
    for list in own {
        fields_with_port(&mut row[list], port, &whole_hosts);
    }
    for scheme in auth.keys() {
        if row["auth"][scheme].is_object() {
            fields_with_port(&mut row["auth"][scheme]["fields"], port, &whole_hosts);
        }
    }
    remove_nulls(&mut row);
    (row.to_string(), whole_hosts)
}

impl Row {
    /// A row that was read again by the production reader.
    pub(crate) fn new(app: Arc<App>, port: u16, whole_hosts: BTreeSet<String>) -> Self {
        let slug = app.slug.as_str();
        let has_examples = folder().join(slug).join("golden.yaml").is_file();
        let examples = if has_examples { read(slug, "golden.yaml") } else { BTreeMap::default() };
        Self { app, examples, port, whole_hosts }
    }

    /// A value as it stands in the driven row: whole hosts have the port.
    pub(crate) fn driven(&self, name: &str, value: &str) -> String {
        if self.whole_hosts.contains(name) {
            return host_with_port(value, self.port);
        }
        value.to_owned()
    }

    /// What a customer types, or the company enters, into these fields: the example's values,
    /// else what stands in the field at first. Fields that may be left empty are, unless the
    /// example fills them.
    pub(crate) fn typed<'f>(
        &self,
        example: &Example,
        fields: impl Iterator<Item = &'f Field>,
    ) -> BTreeMap<String, String> {
        let mut typed = BTreeMap::new();
        for field in fields {
            let name = field.name.as_str();
            let value = match (example.values.get(name), &field.default) {
                (Some(value), _) => self.driven(name, value),
                (None, Some(default)) => default.clone(),
                (None, None) if field.optional => continue,
                (None, None) => field.example.clone().unwrap_or_else(|| "12345".into()),
            };
            typed.insert(name.to_owned(), value);
        }
        typed
    }
}

/// The name that is all of a host.
fn whole(host: &str) -> Option<&str> {
    let name = host.strip_prefix('{')?.strip_suffix('}')?;
    (!name.contains('{')).then_some(name)
}

fn host_with_port(host: &str, port: u16) -> String {
    if whole(host).is_some() {
        return host.to_owned();
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    format!("{name}:{port}")
}

fn url_with_port(url: &str, port: u16, whole_hosts: &mut BTreeSet<String>) -> String {
    let (_, rest) = url.split_once("://").unwrap();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, tail) = rest.split_at(end);
    whole_hosts.extend(whole(host).map(str::to_owned));
    format!("https://{}{tail}", host_with_port(host, port))
}

fn put_port(object: &mut Map<String, Value>, port: u16, whole_hosts: &mut BTreeSet<String>) {
    for (name, value) in object {
        if NOT_CALLED.contains(&name.as_str()) {
            continue;
        }
        match value {
            Value::String(text) if URLS.contains(&name.as_str()) && text.contains("://") => {
                *text = url_with_port(text, port, whole_hosts);
            }
            Value::Object(inner) => put_port(inner, port, whole_hosts),
            _ => {}
        }
    }
}

/// Gives the port to what may stand in fields that are whole hosts.
fn fields_with_port(fields: &mut Value, port: u16, whole_hosts: &BTreeSet<String>) {
    for field in fields.as_array_mut().into_iter().flatten() {
        if !field["name"].as_str().is_some_and(|name| whole_hosts.contains(name)) {
            continue;
        }
        if let Some(default) = field["default"].as_str() {
            field["default"] = host_with_port(default, port).into();
        }
        for option in field["options"].as_array_mut().into_iter().flatten() {
            option["value"] = host_with_port(option["value"].as_str().unwrap(), port).into();
        }
        if let Some(pattern) = field["pattern"].as_str() {
            let bare = pattern.trim_start_matches('^').trim_end_matches('$');
            field["pattern"] = format!("(?:{bare}):{port}").into();
        }
        if let Some(example) = field["example"].as_str() {
            field["example"] = host_with_port(example, port).into();
        }
    }
}

/// Indexing has left nulls where a row says nothing.
fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, member| !member.is_null());
            object.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}
