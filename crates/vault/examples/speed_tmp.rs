#![allow(clippy::all)]
use causeway_store::*;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::*;
use causeway_types::*;
use causeway_vault::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
#[tokio::main]
async fn main() {
    let pg = std::env::args().nth(1).is_some();
    let database = if pg { TestDatabase::postgres().await } else { TestDatabase::sqlite().await };
    let store = database.store.clone();
    let conf = tempfile::tempdir().unwrap();
    let root = RootKeySpec::in_configuration(conf.path()).load_or_create(database.folder(), &OsRandom).await.unwrap();
    let vault = Vault::unlock(store.clone(), root, Duration::from_secs(300), Arc::new(SystemClock), Arc::new(OsRandom)).await.unwrap();
    let now = SystemClock.now();
    let ws = WorkspaceId::generate(now, &OsRandom);
    let env = EnvironmentId::generate(now, &OsRandom);
    let mut tx = store.write(Actor::Machine).await.unwrap();
    db!(tx, workspace::insert(&Workspace { id: ws, name: "x".into(), created_at: now })).unwrap();
    db!(tx, audit::insert_head(ws)).unwrap();
    let project = ProjectId::generate(now, &OsRandom);
    db!(tx, workspace::insert_project(&Project { id: project, workspace_id: ws, name: "x".into(), created_at: now })).unwrap();
    db!(tx, workspace::insert_environment(&Environment { id: env, workspace_id: ws, project_id: project, kind: EnvironmentKind::Production, created_at: now })).unwrap();
    let wf = WorkflowId::generate(now, &OsRandom);
    db!(tx, workflow::insert(&Workflow { id: wf, workspace_id: ws, environment_id: env, name: "x".into(), active_version_id: None, created_at: now, updated_at: now })).unwrap();
    vault.create_data_key(&mut tx, ws, now).await.unwrap();
    tx.commit(ws, now, Audit::WorkspaceCreated { workspace: ws, name: "x".into() }).await.unwrap();
    let body = vec![42u8; 1024];
    for _ in 0..20 {
        let mut tx = store.write(Actor::Machine).await.unwrap();
        for _ in 0..1000 {
            let id = EventId::generate(SystemClock.now(), &OsRandom);
            let sealed = vault.seal(ws, &Place::EventBody(id), &body).await.unwrap();
            db!(tx, invocation::insert_event(&Event { id, workspace_id: ws, environment_id: env, workflow_id: wf, dedupe_key: None, body: sealed, received_at: now })).unwrap();
        }
        tx.commit_bookkeeping(Bookkeeping::Journal).await.unwrap();
    }
    let body = vec![42u8; 4096];
    let place = Place::EventBody(EventId::lowest());
    let s = Instant::now();
    for _ in 0..100_000 {
        let x = vault.seal(ws, &place, &body).await.unwrap();
        std::hint::black_box(x);
    }
    println!("vault.seal 4 KiB: {:.0}/s", 100_000.0 / s.elapsed().as_secs_f64());
    let x = vault.seal(ws, &place, &body).await.unwrap();
    let s = Instant::now();
    for _ in 0..100_000 {
        std::hint::black_box(vault.open(ws, &place, &x).await.unwrap());
    }
    println!("vault.open 4 KiB: {:.0}/s", 100_000.0 / s.elapsed().as_secs_f64());
    let r = vault.start_rotation(ws, Actor::Machine).await.unwrap();
    let s = Instant::now();
    let mut last = None;
    let o = vault.run_rotation(ws, r.id, Actor::Machine, &mut |p| last = Some(p)).await.unwrap();
    println!("{} rotation of 20,000 events of 1 KiB: {:?} {:?} {o:?}", store.kind(), s.elapsed(), last);
    use causeway_crypto::Redactor;
    let jwt = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9".repeat(28);
    let secrets: Vec<Vec<u8>> = vec![jwt.clone().into_bytes(), b"gho_16C7e42F292c6912E7710c838347Ae178B4a".to_vec(), b"refresh-token-value-that-is-long-1234567890".to_vec()];
    let s = Instant::now();
    for _ in 0..50 { std::hint::black_box(Redactor::new(secrets.iter().map(|s| &s[..])).unwrap()); }
    println!("Redactor::new (1 KiB JWT + 2 tokens): {:?}", s.elapsed() / 50);
    let s = Instant::now();
    for _ in 0..500 { std::hint::black_box(Redactor::new(secrets[1..2].iter().map(|s| &s[..])).unwrap()); }
    println!("Redactor::new (one 40 B token): {:?}", s.elapsed() / 500);
    let red = Redactor::new(secrets.iter().map(|s| &s[..])).unwrap();
    let text = "The quick brown fox, id=12345 {\"a\": [1,2,3]} https://api.example.com/v1/users\n".repeat(800);
    let s = Instant::now();
    for _ in 0..100 { std::hint::black_box(red.redact(&text)); }
    println!("redact clean text: {:.0} MiB/s", text.len() as f64 * 100.0 / s.elapsed().as_secs_f64() / 1048576.0);
    let red1 = Redactor::new(secrets[1..2].iter().map(|s| &s[..])).unwrap();
    let s = Instant::now();
    for _ in 0..100 { std::hint::black_box(red1.redact(&text)); }
    println!("redact clean text, one token: {:.0} MiB/s", text.len() as f64 * 100.0 / s.elapsed().as_secs_f64() / 1048576.0);
}
