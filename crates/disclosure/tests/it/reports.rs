//! Reports in the store.

use crate::kit::{Setup, World, draft};
use causeway_disclosure::{Draft, MAX_REPORT, MAX_REPORTS, SubmitError};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both, verify_chain};
use causeway_types::entity::VulnerabilityReport;
use causeway_types::{Actor, Clock as _, Code, Coded as _, INSTALLATION, OsRandom, ReportId};
use std::time::Duration;

on_both!(
    a_report_is_kept_as_what_only_the_operator_can_read,
    what_cannot_be_taken_is_not_kept,
    no_more_than_the_bound_is_kept,
);

async fn kept(world: &World) -> Vec<VulnerabilityReport> {
    let mut conn = world.database.store.read().await.unwrap();
    db!(conn, report::page(ReportId::highest(), 10)).unwrap()
}

async fn a_report_is_kept_as_what_only_the_operator_can_read(database: TestDatabase) {
    let world = World::new(database, Setup::default()).await;
    let text = "canary-5fd1: the callback trusts `state`";
    let reply_to = Some("finder-canary@example.org".to_owned());
    let id = world.disclosure.submit(&Draft { text: text.into(), reply_to }).await.unwrap();
    let stored = kept(&world).await;
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].id, stored[0].mailed_at), (id, None));
    assert_eq!(stored[0].received_at, world.clock.now());
    assert!(!stored[0].message.contains("canary"));
    let read = world.gnupg.decrypt(&stored[0].message);
    assert_eq!(read, format!("Reply to: finder-canary@example.org\n\n{text}\n"));

    let mut conn = world.database.store.read().await.unwrap();
    let rows = db!(conn, audit::page(INSTALLATION, 0, 100)).unwrap();
    let last = rows.last().unwrap();
    assert_eq!((last.action.as_str(), last.actor.as_str()), ("report_received", "anonymous"));
    assert!(!last.detail.contains("canary"), "{}", last.detail);
    assert!(verify_chain(&mut conn, INSTALLATION).await.unwrap().is_ok());
}

async fn what_cannot_be_taken_is_not_kept(database: TestDatabase) {
    let world = World::new(database, Setup::default()).await;
    let submit = async |text: &str| world.disclosure.submit(&draft(text)).await;
    for text in ["", "  \n\t"] {
        assert!(matches!(submit(text).await, Err(SubmitError::Empty)));
    }
    let long = "x".repeat(MAX_REPORT + 1);
    let refused = submit(&long).await.unwrap_err();
    assert_eq!(refused.code(), Code::BodyTooLarge);
    let reply_to = Some("y".to_owned());
    let together = Draft { text: "x".repeat(MAX_REPORT), reply_to };
    assert!(matches!(world.disclosure.submit(&together).await, Err(SubmitError::TooLong(_))));
    // The operator's key expires; what comes then could be read by nobody.
    world.clock.advance(Duration::from_hours(24 * 400));
    let refused = submit("late").await.unwrap_err();
    assert!(matches!(refused, SubmitError::Encrypt(_)));
    assert_eq!(kept(&world).await, []);

    let none = Setup { without_key: true, ..Setup::default() };
    let world = World::new(TestDatabase::sqlite().await, none).await;
    assert!(!world.disclosure.takes_reports());
    let refused = world.disclosure.submit(&draft("x")).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(kept(&world).await, []);
}

async fn no_more_than_the_bound_is_kept(database: TestDatabase) {
    let world = World::new(database, Setup::default()).await;
    let now = world.clock.now();
    let mut tx = world.database.store.write(Actor::Anonymous).await.unwrap();
    let mut last = ReportId::lowest();
    for _ in 0..MAX_REPORTS {
        last = ReportId::generate(now, &OsRandom);
        let report = VulnerabilityReport {
            id: last,
            message: String::new(),
            received_at: now,
            mailed_at: None,
        };
        db!(tx, report::insert(&report)).unwrap();
    }
    let event = causeway_store::Audit::ReportReceived { report: last };
    tx.commit(INSTALLATION, now, event).await.unwrap();
    let refused = world.disclosure.submit(&draft("one more")).await.unwrap_err();
    assert_eq!(refused.code(), Code::RateLimited);
}

#[tokio::test]
async fn security_txt_is_signed_and_made_anew_each_day() {
    let setup = Setup { signed: true, ..Setup::default() };
    let world = World::new(TestDatabase::sqlite().await, setup).await;
    let text = || world.disclosure.security_txt().unwrap().unwrap();
    let first = text();
    let read = String::from_utf8(world.gnupg.ok(&["--decrypt"], first.as_bytes())).unwrap();
    assert!(read.starts_with("Contact: mailto:security@example.com\n"), "{read}");
    for line in [
        "Contact: https://causeway.test/security/report\n",
        "Encryption: https://causeway.test/security/pgp-key\n",
        "Canonical: https://causeway.test/.well-known/security.txt\n",
    ] {
        assert!(read.contains(line), "{read}");
    }
    let expires = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("Expires: ")).unwrap();
        line.to_owned()
    };
    let year = world.clock.now().plus(Duration::from_hours(24 * 365)).to_string();
    assert!(expires(&first) > world.clock.now().to_string() && expires(&first) < year);
    assert_eq!(text(), first, "signed once");
    world.clock.advance(Duration::from_hours(24));
    assert!(expires(&text()) > expires(&first));
    // One key that does both stands there once.
    let keys = world.disclosure.public_keys().unwrap();
    assert_eq!(keys.matches("BEGIN PGP PUBLIC KEY").count(), 1);
}
