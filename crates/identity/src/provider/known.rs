//! What is remembered of issuers: their metadata and their keys, for a bounded time.

use super::ask::AskError;
use super::oidc::Metadata;
use causeway_net::HttpClient;
use causeway_types::entity::IdentityProvider;
use causeway_types::{ProviderId, Timestamp};
use jsonwebtoken::jwk::Jwk;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long metadata and keys are believed without being fetched again.
const BELIEVED: Duration = Duration::from_hours(1);
/// How often keys are fetched at most because a token names one that is not among them.
const PATIENCE: Duration = Duration::from_mins(1);
/// Issuers remembered at most.
const REMEMBERED: usize = 256;

/// Metadata and keys by provider. Kind and issuer of a provider never change, so its id will do.
#[derive(Default)]
pub(crate) struct Known {
    entries: Mutex<HashMap<ProviderId, Entry>>,
}

#[derive(Default)]
struct Entry {
    metadata: Option<(Timestamp, Arc<Metadata>)>,
    keys: Option<(Timestamp, Arc<[Jwk]>)>,
}

impl Known {
    /// A provider's metadata.
    pub(super) async fn metadata(
        &self,
        http: &HttpClient,
        row: &IdentityProvider,
        now: Timestamp,
    ) -> Result<Arc<Metadata>, AskError> {
        let at_hand = self.entries().get(&row.id).and_then(|entry| entry.metadata.clone());
        if let Some((_, metadata)) = at_hand.filter(|(at, _)| now.since(*at) < BELIEVED) {
            return Ok(metadata);
        }
        let metadata = Arc::new(Metadata::fetch(http, &row.issuer).await?);
        self.remember(row.id, |entry| entry.metadata = Some((now, metadata.clone())));
        Ok(metadata)
    }

    /// A provider's keys; `newer` ones, if those at hand do not do and are not quite new.
    pub(super) async fn keys(
        &self,
        http: &HttpClient,
        row: &IdentityProvider,
        now: Timestamp,
        newer: bool,
    ) -> Result<Arc<[Jwk]>, AskError> {
        let good_for = if newer { PATIENCE } else { BELIEVED };
        let at_hand = self.entries().get(&row.id).and_then(|entry| entry.keys.clone());
        if let Some((_, keys)) = at_hand.filter(|(at, _)| now.since(*at) < good_for) {
            return Ok(keys);
        }
        let keys = self.metadata(http, row, now).await?.fetch_keys(http).await?;
        self.remember(row.id, |entry| entry.keys = Some((now, keys.clone())));
        Ok(keys)
    }

    fn remember(&self, id: ProviderId, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.entries();
        if entries.len() >= REMEMBERED && !entries.contains_key(&id) {
            entries.clear();
        }
        change(entries.entry(id).or_default());
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<ProviderId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
