//! Pages: stable while records are added, from either end.

use super::client::{Client, ask};
use super::shapes::{ExternalUser, Page};
use crate::kit::World;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::json;
use std::time::Duration;

on_both!(
    a_listing_is_stable_while_it_grows,
    apps_are_paged_in_every_order,
    wrong_pages_are_refused
);

async fn add(world: &World, client: &Client<'_>, user: &str) {
    // Ids are in order by the millisecond.
    world.clock.advance(Duration::from_millis(1));
    client.create_token(ask().body(json!({ "external_user_id": user }))).await.unwrap();
}

fn names(page: &Page<ExternalUser>) -> Vec<&str> {
    page.data.iter().map(|user| user.external_id.as_str()).collect()
}

async fn a_listing_is_stable_while_it_grows(database: TestDatabase) {
    let world = World::new(database).await;
    let client = Client::new(&world).await;
    let mut expected = Vec::new();
    for number in 0..5 {
        expected.push(format!("user-{number}"));
        add(&world, &client, &expected[number]).await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    let mut middle = None;
    for turn in 0.. {
        let mut query = ask().query("limit", 2);
        if let Some(after) = &after {
            query = query.query("after", after);
        }
        let page = client.list_users(query).await.unwrap();
        assert_eq!(page.page_info.count, page.data.len());
        assert_eq!(page.page_info.total_count, expected.len());
        if page.data.is_empty() {
            assert!(page.page_info.start_cursor.is_none() && page.page_info.end_cursor.is_none());
            break;
        }
        if turn == 1 {
            middle = page.page_info.start_cursor.clone();
        }
        seen.extend(page.data.iter().map(|user| user.external_id.clone()));
        after = page.page_info.end_cursor;
        // Two more between two pages, and no page loses or repeats one.
        if turn < 2 {
            expected.push(format!("late-{turn}"));
            add(&world, &client, expected.last().unwrap()).await;
        }
    }
    assert_eq!(seen, expected);
    let before = ask().query("limit", 10).query("before", middle.unwrap());
    let page = client.list_users(before).await.unwrap();
    assert_eq!(names(&page), ["user-0", "user-1"]);
    let before = ask().query("limit", 1).query("before", page.page_info.end_cursor.unwrap());
    assert_eq!(names(&client.list_users(before).await.unwrap()), ["user-0"]);
    // More than a page can have is as much as it can.
    let all = client.list_users(ask().query("limit", 100_000)).await.unwrap();
    assert_eq!(all.data.len(), expected.len());
    world.stop().await;
}

async fn apps_are_paged_in_every_order(database: TestDatabase) {
    let world = World::new(database).await;
    let client = Client::new(&world).await;
    for (key, direction) in [
        ("name", "asc"),
        ("name", "desc"),
        ("name_slug", "asc"),
        ("name_slug", "desc"),
        ("featured_weight", "desc"),
    ] {
        let sorted = || ask().query("sort_key", key).query("sort_direction", direction);
        let mut seen: Vec<(String, String)> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut query = sorted().query("limit", 60);
            if let Some(after) = &after {
                query = query.query("after", after);
            }
            let page = client.list_apps(query).await.unwrap();
            let Some(end) = page.page_info.end_cursor else { break };
            after = Some(end);
            seen.extend(page.data.into_iter().map(|app| (app.name.to_lowercase(), app.name_slug)));
            assert!(seen.len() <= page.page_info.total_count);
        }
        assert!(seen.len() > 100, "{}", seen.len());
        let mut sorted = seen.clone();
        match key {
            "name" => sorted.sort(),
            _ => sorted.sort_by_key(|(_, slug)| slug.replace('_', "-")),
        }
        if direction == "desc" {
            sorted.reverse();
        }
        assert_eq!(seen, sorted, "{key} {direction}");
    }
    world.stop().await;
}

async fn wrong_pages_are_refused(database: TestDatabase) {
    let world = World::new(database).await;
    let client = Client::new(&world).await;
    for (name, text, code) in [
        ("limit", "0", "invalid_request"),
        ("limit", "-1", "invalid_request"),
        ("limit", "many", "invalid_request"),
        ("after", "x", "invalid_cursor"),
        ("before", "!!!", "invalid_cursor"),
        ("after", "d2Zf", "invalid_cursor"),
    ] {
        let refused = client.list_users(ask().query(name, text)).await.unwrap_err();
        assert_eq!(refused.is(), (400, code), "{name}={text}");
    }
    let both = ask().query("after", "x").query("before", "x");
    assert_eq!(client.list_users(both).await.unwrap_err().is(), (400, "invalid_request"));
    for (name, text) in [("sort_key", "weight"), ("sort_direction", "up"), ("after", "bm9wZQ")] {
        let refused = client.list_apps(ask().query(name, text)).await.unwrap_err();
        assert_eq!(refused.is(), (400, "invalid_request"), "{name}={text}");
    }
    world.stop().await;
}
