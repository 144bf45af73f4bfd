//! News of connections, told to the webhooks while no server runs or beside one.

use super::Home;
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, SystemResolver};
use causeway_store::Audit;
use causeway_types::{Actor, Clock as _, ConnectionId, CustomerId, OsRandom, SystemClock};
use causeway_webhooks::{ConnectionSubject, Event, Webhooks, WebhooksConfig, WebhooksParts};
use std::sync::Arc;

/// Tells of a connection of this name, as the engine of connections does.
pub(crate) async fn tell_of_connection(home: &Home, name: &str) {
    let (store, tenant, now) = (home.database.store.clone(), home.tenant(), SystemClock.now());
    let http =
        HttpClient::new(Guard::new(GuardConfig::default(), SystemResolver), &HttpConfig::default());
    let parts = WebhooksParts {
        store: store.clone(),
        vault: home.vault().await,
        http: http.unwrap(),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
    };
    let webhooks = Webhooks::new(parts, WebhooksConfig::default());
    let connection = ConnectionId::generate(now, &OsRandom);
    let event = Event::ConnectionCreated(ConnectionSubject {
        id: connection,
        name: name.to_owned(),
        app: "demo".to_owned(),
        customer_id: CustomerId::generate(now, &OsRandom),
        customer: "acme".to_owned(),
    });
    let outbox = webhooks.outbox(tenant.workspace).await.unwrap();
    let mut tx = store.write(Actor::Machine).await.unwrap();
    outbox.enqueue(&mut tx, tenant, &event, now).await.unwrap();
    let event = Audit::ConnectionReconnected { connection };
    tx.commit(tenant.workspace, now, event).await.unwrap();
}
