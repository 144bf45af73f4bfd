//! The catalogue, listed.

use crate::kit::World;
use causeway_store::testing::TestDatabase;
use serde_json::Value;

causeway_store::on_both!(
    apps_are_listed_page_by_page,
    apps_are_found_by_words_category_and_scheme,
    the_form_of_a_row_is_published,
);

fn slugs(page: &Value) -> Vec<&str> {
    let apps = page["data"].as_array().unwrap().iter();
    apps.map(|app| app["slug"].as_str().unwrap()).collect()
}

async fn apps_are_listed_page_by_page(database: TestDatabase) {
    let world = World::new(database).await;
    let (mut all, mut path) = (Vec::new(), "/api/v1/apps?limit=60".to_owned());
    loop {
        let page = world.get(&path).await.ok();
        all.extend(slugs(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        assert_eq!(slugs(&page).len(), 60);
        path = format!("/api/v1/apps?limit=60&cursor={cursor}");
    }
    assert!(all.len() >= 150, "{}", all.len());
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "each app once, by its slug");
    assert_eq!(slugs(&world.get("/api/v1/apps").await.ok()).len(), 50);
    for cursor in ["x", "!!!", "SHVi"] {
        world.get(&format!("/api/v1/apps?cursor={cursor}")).await.problem(400, "invalid_cursor");
    }
}

async fn apps_are_found_by_words_category_and_scheme(database: TestDatabase) {
    let world = World::new(database).await;
    let found = world.get("/api/v1/apps?q=HubSpot%20deals&category=crm&scheme=oauth2").await.ok();
    assert_eq!(slugs(&found), ["hubspot"]);
    let found = world.get("/api/v1/apps?category=crm&limit=100").await.ok();
    assert!(slugs(&found).contains(&"hubspot") && !slugs(&found).contains(&"github"));
    let found = world.get("/api/v1/apps?scheme=installation").await.ok();
    assert_eq!(slugs(&found), ["github"]);
    assert!(slugs(&world.get("/api/v1/apps?q=no-such-app").await.ok()).is_empty());

    let detail = world.get("/api/v1/apps?category=cars").await.problem(400, "invalid_request");
    assert!(detail.contains("accounting, advertising"), "{detail}");
    let long = format!("/api/v1/apps?q={}", "x".repeat(201));
    for path in ["/api/v1/apps?scheme=magic", "/api/v1/apps?q=%00", "/api/v1/apps?x=y", &long] {
        world.get(path).await.problem(400, "invalid_request");
    }
}

async fn the_form_of_a_row_is_published(database: TestDatabase) {
    let world = World::new(database).await;
    let schema = world.get("/schemas/app.json").await;
    assert_eq!(schema.header("content-type"), "application/schema+json");
    let schema = schema.json();
    assert_eq!(schema["title"], "App");
    assert!(schema["properties"]["auth"].is_object(), "{schema}");
}
