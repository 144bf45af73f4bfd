//! The names that a row's templates may use.

use crate::row::{App, Field, KeepPart, TokenAnswer};
use std::collections::BTreeMap;

/// Names with a meaning of their own.
pub(crate) const RESERVED: [&str; 6] = [
    "oauth_access_token",
    "oauth_access_token_secret",
    "oauth_refresh_token",
    "installation_id",
    "signature",
    "nonce",
];

/// What each name stands for, as far as its use depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A value that may be anything.
    Any,
    /// A value that may stand in a host.
    Host,
    /// A host that the app named in an answer.
    KeptHost,
}

/// The names that a row's templates may use.
pub(crate) struct Names(BTreeMap<String, Kind>);

impl Names {
    /// All names of a row: templates that belong to no scheme may use those of each.
    pub(crate) fn of(app: &App) -> Self {
        let mut names = Self::common(app);
        let auth = &app.auth;
        if let Some(oauth2) = &auth.oauth2 {
            names.add_answer(&oauth2.answer);
            for name in oauth2.callback_keep.keys() {
                names.0.insert(name.to_string(), Kind::Any);
            }
        }
        if let Some(row) = &auth.client_credentials {
            names.add_fields(&row.fields);
            names.add_answer(&row.answer);
        }
        if let Some(row) = &auth.jwt {
            names.add_fields(&row.fields);
            if let Some(exchange) = &row.exchange {
                names.add_answer(&exchange.answer);
            }
        }
        if let Some(row) = &auth.oauth1 {
            for name in row.keep.keys() {
                names.0.insert(name.to_string(), Kind::Any);
            }
        }
        if let Some(row) = &auth.api_key {
            names.add_fields(&row.fields);
        }
        if auth.basic.is_some() {
            for name in crate::row::Basic::AUTH_FIELDS {
                names.0.insert(name.into(), Kind::Any);
            }
        }
        if let Some(row) = &auth.token_exchange {
            names.add_fields(&row.fields);
            names.add_answer(&row.answer);
        }
        if let Some(row) = &auth.signature {
            names.add_fields(&row.fields);
        }
        if let Some(row) = &auth.installation {
            names.0.insert("installation_id".into(), Kind::Any);
            names.add_answer(&row.answer);
        }
        names
    }

    /// Those of the app itself, whichever the scheme.
    pub(crate) fn common(app: &App) -> Self {
        let mut names = Self(BTreeMap::new());
        names.add_fields(&app.fields);
        names.add_fields(&app.client_fields);
        for name in ["oauth_access_token", "client_id"] {
            names.0.entry(name.into()).or_insert(Kind::Any);
        }
        names
    }

    /// None yet.
    pub(crate) fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// These and those.
    pub(crate) fn joined(&self, more: &Self) -> Self {
        Self(self.0.iter().chain(&more.0).map(|(name, kind)| (name.clone(), *kind)).collect())
    }

    pub(crate) fn add_fields(&mut self, fields: &[Field]) {
        for field in fields {
            let kind = if field.may_name_host() { Kind::Host } else { Kind::Any };
            self.0.insert(field.name.to_string(), kind);
        }
    }

    pub(crate) fn add_answer(&mut self, answer: &TokenAnswer) {
        for (name, keep) in &answer.keep {
            let kind = if keep.part == KeepPart::Host { Kind::KeptHost } else { Kind::Any };
            self.0.insert(name.to_string(), kind);
        }
    }

    pub(crate) fn add(&mut self, names: &[&str]) {
        for name in names {
            self.0.insert((*name).to_owned(), Kind::Any);
        }
    }

    pub(crate) fn may_name_host(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Kind::Host | Kind::KeptHost))
    }

    pub(crate) fn is_kept_host(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Kind::KeptHost)
    }

    /// Whether all of these are known; otherwise a text that names the first that is not.
    pub(crate) fn know_all<'a>(
        &self,
        mut used: impl Iterator<Item = &'a str>,
        template: &str,
    ) -> Result<(), String> {
        match used.find(|name| !self.0.contains_key(*name)) {
            Some(name) => {
                Err(format!("`{template}` names `{name}`, which is not among the fields"))
            }
            None => Ok(()),
        }
    }
}

/// A value that may stand anywhere, the same for the same name.
pub(crate) fn stand_in(_: &str) -> &'static str {
    "x"
}
