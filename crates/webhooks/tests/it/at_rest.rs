//! Who steals the database learns neither secrets, nor addresses, nor what was told.

use crate::receiver::{Receiver, Reply};
use crate::world::World;
use causeway_store::testing::TestDatabase;
use causeway_store::{Store, on_both};
use data_encoding::{BASE64, HEXLOWER};

on_both!(nothing_of_it_is_readable);

/// Everything that the database holds, as bytes.
async fn everything(world: &World) -> Vec<u8> {
    match &world.database.store {
        Store::Sqlite { .. } => {
            let mut bytes = Vec::new();
            for entry in std::fs::read_dir(world.database.folder()).unwrap() {
                bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
            }
            bytes
        }
        Store::Postgres { pool, .. } => {
            let mut bytes = Vec::new();
            for table in [
                "webhook_endpoint",
                "webhook_message",
                "webhook_delivery",
                "webhook_attempt",
                "audit",
            ] {
                let query = format!("SELECT t::text FROM {table} t");
                let rows: Vec<(String,)> =
                    sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(pool).await.unwrap();
                for (row,) in rows {
                    // Bytes are printed in hex.
                    for part in row.split("\\x").skip(1) {
                        let hex: String =
                            part.chars().take_while(char::is_ascii_hexdigit).collect();
                        bytes.extend(HEXLOWER.decode(hex.as_bytes()).unwrap());
                    }
                    bytes.extend(row.into_bytes());
                }
            }
            bytes
        }
    }
}

async fn nothing_of_it_is_readable(database: TestDatabase) {
    let world = World::new(database).await;
    let receiver = Receiver::start().await;
    receiver.reply(Reply::With(200, Vec::new(), "canary-answer-7d1f".into()));
    let (id, first) = world.endpoint(&receiver.url("/canary-path-5b2e?t=canary-query-9a3c")).await;
    let second = world.webhooks.rotate_secret(&world.permit(), id).await.unwrap().secret;
    world.tell("canary-name-4e8b").await;
    assert_eq!(world.deliver().await, 1);
    let (found, second) = (everything(&world).await, second.expose().clone());
    // What it does find shows that it looks.
    assert!(contains(&found, id.to_string().as_bytes()));
    let mut canaries: Vec<Vec<u8>> =
        ["canary-answer-7d1f", "canary-path-5b2e", "canary-query-9a3c", "canary-name-4e8b"]
            .map(|text| text.as_bytes().to_vec())
            .into();
    for secret in [first, second] {
        let bare = secret.strip_prefix("whsec_").unwrap();
        canaries.push(bare.as_bytes().to_vec());
        canaries.push(BASE64.decode(bare.as_bytes()).unwrap());
    }
    for canary in canaries {
        assert!(!contains(&found, &canary), "{}", String::from_utf8_lossy(&canary));
    }
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}
