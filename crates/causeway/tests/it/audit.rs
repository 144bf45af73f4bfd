//! `causeway audit` and `causeway access-review`, with a server and without.

use crate::kit::{Home, Ran, Server, run};
use causeway_identity::action::ActionName;
use causeway_identity::token::{self, Plain};
use causeway_identity::{OwnKeys, Scopes};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, Bookkeeping, db, on_both};
use causeway_types::entity::ApiKey;
use causeway_types::{Actor, ApiKeyId, Clock as _, OsRandom, SystemClock};
use serde_json::Value;

on_both!(
    the_chain_is_looked_at_through_a_server,
    the_chain_is_looked_at_without_a_server,
    a_broken_chain_fails_the_command,
);

/// A key that may look at the audit chain.
async fn auditors_key(home: &Home) -> String {
    let (store, vault) = (&home.database.store, home.vault().await);
    let keys = OwnKeys::open(store, &vault, &SystemClock, &OsRandom, Actor::Machine).await.unwrap();
    let plain = Plain::<token::ApiKey>::generate(&OsRandom);
    let (tenant, now) = (home.tenant(), SystemClock.now());
    let actions = vec![ActionName::ReadAudit, ActionName::ExportAudit, ActionName::ReviewAccess];
    let key = ApiKey {
        id: ApiKeyId::generate(now, &OsRandom),
        workspace_id: tenant.workspace,
        project_id: tenant.project,
        environment_id: tenant.environment,
        name: "auditor".into(),
        hint: plain.hint(),
        digest: plain.keyed_digest(keys.token()).to_vec(),
        scopes: Scopes { actions: Some(actions), ..Scopes::default() }.to_text(),
        created_by: Actor::Machine.to_string(),
        created_at: now,
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    let mut tx = store.write(Actor::Machine).await.unwrap();
    db!(tx, api_key::insert(&key)).unwrap();
    let event = Audit::ApiKeyCreated { key: key.id, name: key.name };
    tx.commit(tenant.workspace, now, event).await.unwrap();
    plain.reveal().expose().clone()
}

fn ask(server: &Server, key: &str, args: &[&str]) -> Ran {
    run(Home::bare().args(args).env("CAUSEWAY_URL", server.url("")).env("CAUSEWAY_API_KEY", key))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn the_chain_is_looked_at_through_a_server(database: TestDatabase) {
    let home = Home::new(database);
    let key = auditors_key(&home).await;
    let server = home.serve();
    let listed = ask(&server, &key, &["audit", "list", "--json"]).json();
    assert_eq!(listed["data"][1]["action"], "workspace_created");
    let listed = ask(&server, &key, &["audit", "list", "--action", "api_key_created", "--limit=1"]);
    assert!(listed.stdout.contains("machine") && listed.stdout.contains("auditor"), "{listed:?}");
    let wrong = ask(&server, &key, &["audit", "list", "--about", "%"]);
    assert!(wrong.refusal().contains("[invalid_request]"), "{wrong:?}");
    let verified = ask(&server, &key, &["audit", "verify", "--json"]).json();
    assert_eq!(verified["rows"], 2);

    let exported = ask(&server, &key, &["audit", "export"]);
    let exported = lines(&exported.stdout);
    assert_eq!(exported.last().unwrap()["rows"], 2);
    let file = home.path("audit.ocsf");
    let file_name = file.to_str().unwrap();
    let args = ["audit", "export", "--format", "ocsf", "--output", file_name, "--json"];
    assert_eq!(ask(&server, &key, &args).json()["written"], file_name);
    let ocsf = lines(&std::fs::read_to_string(&file).unwrap());
    assert_eq!(ocsf.last().unwrap()["metadata"]["event_code"], "audit_exported");

    // The server's log is enough to compare with later.
    crate::kit::eventually("a checkpoint in the log", async || {
        server.log().contains(&home.tenant().workspace.to_string()).then_some(())
    })
    .await;
    let log = home.path("server.log");
    let args = ["audit", "verify", "--checkpoint", log.to_str().unwrap(), "--json"];
    let verified = ask(&server, &key, &args).json();
    assert!(verified["kept"].as_i64().unwrap() >= 1, "{verified}");
    let empty = home.path("empty");
    std::fs::write(&empty, "nothing\n").unwrap();
    let refused = ask(&server, &key, &["audit", "verify", "--checkpoint", empty.to_str().unwrap()]);
    assert!(refused.refusal().contains("holds no checkpoint"), "{refused:?}");

    let review = ask(&server, &key, &["access-review", "--json"]).json();
    assert_eq!(review["api_keys"].as_array().unwrap().len(), 2);
    let review = ask(&server, &key, &["access-review"]);
    assert!(review.stdout.contains("API keys (2)"), "{review:?}");
    assert!(review.stdout.contains("audit.read audit.export access.review"), "{review:?}");
    // The machine's first key may look, list and export as well, and review nobody.
    for (args, words) in [
        (["audit", "verify"], "whole: "),
        (["audit", "list"], "audit_exported"),
        (["audit", "export"], "\"type\":\"end\""),
    ] {
        let shown = home.cli(&server, &args);
        assert!(shown.code == Some(0) && shown.stdout.contains(words), "{shown:?}");
    }
    let refused = home.cli(&server, &["access-review"]);
    assert!(refused.refusal().contains("[denied]"), "{refused:?}");
}

async fn the_chain_is_looked_at_without_a_server(database: TestDatabase) {
    let home = Home::new(database);
    home.serve().stop();
    // The clean stop has signed everything.
    let workspace = home.tenant().workspace.to_string();
    let all = home.run_server_command(&["audit", "verify", "--local", "--json"]).json();
    let chain = all.as_array().unwrap().iter().find(|one| one["workspace_id"] == workspace);
    let chain = chain.unwrap();
    assert_eq!(chain["proven"], chain["last"], "{all}");
    let log = home.path("server.log");
    let args = ["audit", "verify", "--local", "--workspace", &workspace, "--checkpoint"];
    let people = home.run_server_command(&[&args[..], &[log.to_str().unwrap()]].concat());
    assert!(people.stdout.contains("kept checkpoints compared"), "{people:?}");

    let args = ["audit", "export", "--local", "--workspace", &workspace];
    let exported = lines(&home.run_server_command(&args).stdout);
    assert_eq!((&exported[0]["type"], &exported[0]["first"]), (&"chain".into(), &1.into()));
    let refused = home.run_server_command(&["audit", "export", "--local"]);
    assert!(refused.refusal().contains("--workspace"), "{refused:?}");
    let args = ["audit", "export", "--local", "--workspace", &workspace, "--since", "yesterday"];
    assert!(home.run_server_command(&args).refusal().contains("--since is a time"));
    let mut nowhere = Home::bare();
    nowhere.args(["audit", "verify", "--local", "--data-dir=/nonexistent/data"]);
    nowhere.arg(format!("--root-key=file:{}", home.path("root.key").display()));
    assert!(run(&mut nowhere).refusal().contains("no data folder"));
}

async fn a_broken_chain_fails_the_command(database: TestDatabase) {
    let home = Home::new(database);
    let key = auditors_key(&home).await;
    let workspace = home.tenant().workspace;
    let mut tx = home.database.store.write(Actor::Machine).await.unwrap();
    db!(tx, audit::prune(workspace, 1)).unwrap();
    tx.commit_bookkeeping(Bookkeeping::Expired).await.unwrap();
    let said =
        format!("The audit chain of {workspace} does not hold: the rows before row 2 are missing");
    let local = home.run_server_command(&["audit", "verify", "--local"]);
    for part in [said.as_str(), "[audit_broken]"] {
        assert!(local.refusal().contains(part), "{local:?}");
    }
    let server = home.serve();
    let asked = ask(&server, &key, &["audit", "verify", "--json"]);
    for part in [said.as_str(), "[audit_broken]"] {
        assert!(asked.refusal().contains(part), "{asked:?}");
    }
}
