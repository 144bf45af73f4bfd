//! Which connections a command is about.

use crate::cli::WhichArgs;
use crate::client::{Client, list, text};
use crate::wiring;
use anyhow::{Context, bail};
use causeway_types::Timestamp;
use serde_json::Value;

/// A filter of connections, as queries and bodies of the API name it.
pub(super) struct Which(Vec<(&'static str, Option<String>)>);

impl Which {
    /// Works out names and times.
    ///
    /// # Errors
    /// If the connection that is named by its id does not exist.
    pub(super) async fn of(args: WhichArgs, client: &Client) -> anyhow::Result<Self> {
        let now = wiring::clock().now();
        let name = match args.name {
            Some(id) if is_id(&id) => {
                let found = client.get(&format!("connections/{id}"), &[]).await?;
                Some(text(&found, "name").to_owned())
            }
            name => name,
        };
        let before = |age| now.minus(age);
        let written = |at: Timestamp| at.to_string();
        Ok(Self(vec![
            ("app", args.app),
            ("customer", args.customer),
            ("name", name),
            ("created_before", args.older_than.map(before).map(written)),
            ("unused_since", args.idle_for.map(before).map(written)),
        ]))
    }

    /// Whether it names nothing, and so fits every connection.
    pub(super) fn is_everything(&self) -> bool {
        self.0.iter().all(|(_, value)| value.is_none())
    }

    /// The newest hundred.
    ///
    /// # Errors
    /// If the server refuses.
    pub(super) async fn newest(&self, client: &Client) -> anyhow::Result<Value> {
        client.get("connections", &self.query(None)).await
    }

    /// All of them.
    ///
    /// # Errors
    /// If the server refuses.
    pub(super) async fn all(&self, client: &Client) -> anyhow::Result<Vec<Value>> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = client.get("connections", &self.query(cursor)).await?;
            all.extend(list(&page).cloned());
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    fn query(&self, cursor: Option<String>) -> Vec<(&'static str, Option<String>)> {
        let mut query = self.0.clone();
        query.extend([("limit", Some("100".to_owned())), ("cursor", cursor)]);
        query
    }

    /// The same as a body.
    pub(super) fn body(&self) -> Value {
        let given = self.0.iter().filter_map(|(name, value)| Some((*name, value.clone()?)));
        Value::Object(given.map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}

/// The id of a connection that is given by name or id.
///
/// # Errors
/// If there is none of this name.
pub(super) async fn id_of(client: &Client, given: &str) -> anyhow::Result<String> {
    if is_id(given) {
        return Ok(given.to_owned());
    }
    let found = client.get("connections", &[("name", Some(given.to_owned()))]).await?;
    let id = list(&found).next().map(|one| text(one, "id").to_owned());
    if id.is_none() {
        bail!("there is no connection named `{given}`; `causeway connections list` shows them");
    }
    id.context("reading the connection")
}

fn is_id(given: &str) -> bool {
    given.starts_with("conn_")
}
