//! Reports on their way to the operator, through a real mail server.

use crate::kit::{Setup, World, draft};
use causeway_disclosure::{MailConfig, Mailer};
use causeway_net::{Guard, GuardConfig, SystemResolver};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_testkit::smtp::SmtpServer;
use causeway_types::{Clock as _, NodeId, OsRandom, ReportId, SecretString, SystemClock};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

on_both!(a_report_is_mailed_once_as_it_is_kept);

fn mailer(url: &str, roots: Option<Vec<u8>>, allow: &[&str]) -> Mailer {
    let allow = allow.iter().map(|range| range.parse().unwrap()).collect();
    let guard = Guard::new(GuardConfig { allow, ..GuardConfig::default() }, SystemResolver);
    let config = MailConfig {
        smtp_url: &SecretString::new(url.to_owned()),
        from: "causeway@example.com".into(),
        to: "security@example.com".into(),
        extra_roots_pem: roots,
    };
    Mailer::new(&config, guard).unwrap_or_else(|error| panic!("{error}"))
}

/// The server's next line.
async fn next(server: SmtpServer) -> (SmtpServer, Value) {
    let waiting = tokio::task::spawn_blocking(move || {
        let mut server = server;
        let line = server.next_event().unwrap();
        (server, line)
    });
    let (server, line) =
        tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
    (server, serde_json::from_str(&line).unwrap())
}

/// The encrypted text in a mail.
fn message(mail: &Value) -> String {
    let data = mail["data"].as_str().unwrap();
    let (_, body) = data.split_once("\r\n\r\n").unwrap();
    body.replace("\r\n", "\n")
}

async fn unmailed(world: &World) -> usize {
    let mut conn = world.database.store.read().await.unwrap();
    db!(conn, report::unmailed(10)).unwrap().len()
}

async fn until_mailed(world: &World) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut turns = tokio::time::interval(Duration::from_millis(20));
    while unmailed(world).await > 0 {
        assert!(Instant::now() < deadline, "the reports stay unmailed");
        turns.tick().await;
    }
}

/// Runs the mailer while `then` runs.
async fn mailing<T>(world: &World, then: impl Future<Output = T>) -> T {
    let stopping = CancellationToken::new();
    let node = NodeId::generate(SystemClock.now(), &OsRandom);
    let running = tokio::spawn({
        let (disclosure, stopping) = (world.disclosure.clone(), stopping.clone());
        async move { disclosure.run_mailer(node, stopping).await }
    });
    let result = then.await;
    stopping.cancel();
    running.await.unwrap();
    result
}

async fn a_report_is_mailed_once_as_it_is_kept(database: TestDatabase) {
    let server = SmtpServer::start(&[]).unwrap();
    let url = format!("smtp://127.0.0.1:{}", server.port());
    let setup = Setup { mailer: Some(mailer(&url, None, &["127.0.0.1/32"])), ..Setup::default() };
    let world = World::new(database, setup).await;
    // One from before the server was started, one that comes while it runs.
    let early = world.disclosure.submit(&draft("canary-early")).await.unwrap();
    mailing(&world, async {
        let (server, mail) = next(server).await;
        assert_eq!(mail["from"], "causeway@example.com");
        assert_eq!(mail["to"], serde_json::json!(["security@example.com"]));
        let data = mail["data"].as_str().unwrap();
        assert!(data.contains(&format!("Message-ID: <{early}@example.com>\r\n")), "{data}");
        assert!(!data.contains("canary"), "{data}");
        assert_eq!(world.gnupg.decrypt(&message(&mail)), "canary-early\n");

        let long = "y".repeat(60_000);
        world.disclosure.submit(&draft(&long)).await.unwrap();
        let (_server, mail) = next(server).await;
        assert_eq!(world.gnupg.decrypt(&message(&mail)), format!("{long}\n"));
        until_mailed(&world).await;
    })
    .await;
    let mut conn = world.database.store.read().await.unwrap();
    let kept = db!(conn, report::page(ReportId::highest(), 10)).unwrap();
    assert!(kept.iter().all(|report| report.mailed_at.is_some()), "they stay here as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_was_refused_is_tried_again() {
    let server = SmtpServer::start(&["--refuse", "1"]).unwrap();
    let url = format!("smtp://127.0.0.1:{}", server.port());
    let setup = Setup { mailer: Some(mailer(&url, None, &["127.0.0.1/32"])), ..Setup::default() };
    let world = World::new(TestDatabase::sqlite().await, setup).await;
    world.disclosure.submit(&draft("first")).await.unwrap();
    mailing(&world, async {
        let (server, refused) = next(server).await;
        assert_eq!(refused["refused"], true);
        assert_eq!(unmailed(&world).await, 1);
        // The next report wakes the mailer before its time.
        world.disclosure.submit(&draft("second")).await.unwrap();
        let (server, mail) = next(server).await;
        assert_eq!(world.gnupg.decrypt(&message(&mail)), "first\n");
        let (_server, mail) = next(server).await;
        assert_eq!(world.gnupg.decrypt(&message(&mail)), "second\n");
        until_mailed(&world).await;
    })
    .await;
}

/// Writes a certificate for this machine; what trusts it.
fn certificate(folder: &Path) -> ([String; 4], Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    (["--cert".into(), text(&cert), "--key".into(), text(&key)], made.cert.pem().into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_sent_under_tls_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, roots) = certificate(folder.path());
    let tls: Vec<&str> = tls.iter().map(String::as_str).collect();
    let secret = ["--user", "ada", "--password", "p@ss:wörd"];
    for (scheme, implicit) in [("smtp", &[][..]), ("smtps", &["--implicit"][..])] {
        let server = SmtpServer::start(&[&tls[..], &secret[..], implicit].concat()).unwrap();
        let url = format!("{scheme}://ada:p%40ss%3Aw%C3%B6rd@localhost:{}", server.port());
        let mailer = mailer(&url, Some(roots.clone()), &["127.0.0.1/32"]);
        let setup = Setup { mailer: Some(mailer), ..Setup::default() };
        let world = World::new(TestDatabase::sqlite().await, setup).await;
        world.disclosure.submit(&draft("x")).await.unwrap();
        mailing(&world, async {
            let (_server, mail) = next(server).await;
            assert_eq!((&mail["tls"], &mail["authenticated"]), (&true.into(), &true.into()));
            assert_eq!(world.gnupg.decrypt(&message(&mail)), "x\n");
            until_mailed(&world).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_trusted_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, roots) = certificate(folder.path());
    let tls: Vec<&str> = tls.iter().map(String::as_str).collect();
    let plain = SmtpServer::start(&[]).unwrap();
    let starttls = SmtpServer::start(&tls).unwrap();
    let implicit = SmtpServer::start(&[&tls[..], &["--implicit"]].concat()).unwrap();
    let at = |scheme: &str, user: &str, server: &SmtpServer| {
        format!("{scheme}://{user}localhost:{}", server.port())
    };
    for (mailer, why) in [
        (mailer(&at("smtp", "", &starttls), None, &["127.0.0.1/32"]), "an unknown root"),
        (mailer(&at("smtps", "", &implicit), None, &["127.0.0.1/32"]), "an unknown root"),
        (mailer(&at("smtp", "ada:x@", &plain), None, &["127.0.0.1/32"]), "no TLS for a password"),
        (mailer(&at("smtps", "", &plain), Some(roots.clone()), &["127.0.0.1/32"]), "no TLS"),
        (mailer(&at("smtp", "", &plain), None, &[]), "a network that is not allowed"),
    ] {
        let setup = Setup { mailer: Some(mailer), ..Setup::default() };
        let world = World::new(TestDatabase::sqlite().await, setup).await;
        world.disclosure.submit(&draft("x")).await.unwrap();
        let refused = world.disclosure.mail_now(node()).await;
        assert!(refused.is_err(), "{why}");
        assert_eq!(unmailed(&world).await, 1, "{why}");
    }
}

fn node() -> NodeId {
    NodeId::generate(SystemClock.now(), &OsRandom)
}

#[test]
fn a_url_or_address_that_cannot_be_used_is_refused() {
    let guard = Guard::new(GuardConfig::default(), SystemResolver);
    let refused = |url: &str, to: &str| {
        let config = MailConfig {
            smtp_url: &SecretString::new(url.to_owned()),
            from: "causeway@example.com".into(),
            to: to.into(),
            extra_roots_pem: None,
        };
        Mailer::new(&config, guard.clone()).err().map(|error| error.to_string())
    };
    for url in ["", "x", "http://mail.example", "smtp:mail", "smtp://u@h", "smtp://:hunter2@h"] {
        let error = refused(url, "a@b.example").unwrap();
        assert!(error.contains("smtps://HOST") && !error.contains("hunter2"), "{error}");
    }
    for to in ["", "x", "a b@c.example", "a@b.example\r\nBcc: c@d.example", "a@b.example>"] {
        assert!(refused("smtp://mail.example", to).unwrap().contains("mail address"), "{to}");
    }
    assert_eq!(refused("smtps://mail.example:465", "a@b.example"), None);
}
