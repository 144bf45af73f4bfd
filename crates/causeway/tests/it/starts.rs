//! Starts that cannot work end at once, and say what is wrong, where, and what to do.

use crate::kit::{Home, Ran, Server, run};
use causeway_store::testing::TestDatabase;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// Runs `serve` with flags that it has to refuse.
fn serve(flags: &[String]) -> Ran {
    let ran = run(Home::bare().arg("serve").args(flags));
    let _ = ran.refusal();
    assert_eq!(ran.stdout, "", "{ran:#?}");
    ran
}

/// Checks that the message says all of it.
fn assert_says(ran: &Ran, words: &[&str]) {
    for words in words {
        assert!(ran.refusal().contains(words), "`{words}` is missing: {}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_that_cannot_be_used() {
    let home = Home::new(TestDatabase::sqlite().await);
    let key = home.place().remove(1);

    let file = home.path("a-file");
    fs::write(&file, "").unwrap();
    let data = format!("--data-dir={}", file.join("data").display());
    assert_says(
        &serve(&[data, key.clone()]),
        &["making the data folder", "a-file/data", "--data-dir"],
    );

    // Nobody may make a file there, whoever it is.
    let refused = serve(&["--data-dir=/sys/kernel".to_owned(), key]);
    assert_says(
        &refused,
        &["writing to the data folder /sys/kernel", "make it writable", "--data-dir"],
    );

    let server = home.serve();
    let second = serve(&home.place());
    assert_says(&second, &["another Causeway uses the data folder", "stop it", "--data-dir"]);
    assert_eq!(server.send(http::Request::get(server.url("/healthz")), "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_listened_on() {
    let home = Home::new(TestDatabase::sqlite().await);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let with = |flag: String| serve(&[home.place(), vec![flag]].concat());
    assert_says(
        &with(format!("--listen={address}")),
        &[&format!("listening on {address}"), "another program using the port", "--listen"],
    );
    assert_says(&with("--listen=8400".to_owned()), &["`8400`", "write HOST:PORT"]);
    assert_says(&with("--public-url=ftp://x".to_owned()), &["the public URL `ftp://x`", "http(s)"]);
    assert_says(&with("--node=/nonexistent/node".to_owned()), &["/nonexistent/node"]);
    assert_says(&with("--net-allow=10.0.0.0/99".to_owned()), &["net.allow", "10.0.0.0/99"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_key_that_cannot_be_used() {
    let home = Home::new(TestDatabase::sqlite().await);
    let key = home.path("root.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_says(&serve(&home.place()), &["root.key", "mode is 644", "Run `chmod 600 "]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    let with = |flag: String| serve(&[home.place().remove(0), flag]);
    let broken = home.path("broken.key");
    fs::write(&broken, "not a key\n").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = with(format!("--root-key=file:{}", broken.display()));
    assert_says(&refused, &["broken.key", "Put the file back from your copy"]);

    let inside = home.data_dir().join("root.key");
    let refused = with(format!("--root-key=file:{}", inside.display()));
    assert_says(&refused, &["inside the data folder", "--root-key file:PATH"]);
    assert!(!inside.exists());
    assert_says(
        &with("--root-key=vault:x".to_owned()),
        &["`vault:x`", "`file:PATH` or `aws-kms:ARN`"],
    );
    assert_says(&with("--root-key=file:/dev/null".to_owned()), &["/dev/null"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_used() {
    let home = Home::new(TestDatabase::sqlite().await);
    let with = |url: &str| serve(&[home.place(), vec![format!("--database-url={url}")]].concat());
    let refused = with("mysql://ada:hunter2-canary@db/causeway");
    assert_says(&refused, &["must begin with `sqlite:` or `postgres://`"]);
    assert!(!refused.stderr.contains("hunter2-canary"), "{}", refused.stderr);

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = with(&format!("postgres://ada:hunter2-canary@{free}/causeway"));
    assert_says(&refused, &[&format!("connecting to PostgreSQL at {free}"), "check that it runs"]);
    assert!(!refused.stderr.contains("hunter2-canary"), "{}", refused.stderr);

    let garbage = home.path("garbage.db");
    fs::write(&garbage, "this is no database, whatever its name says. ".repeat(200)).unwrap();
    let refused = with(&format!("sqlite:{}", garbage.display()));
    assert_says(&refused, &["garbage.db"]);
    let refused = with("sqlite:/nonexistent/folder/causeway.db");
    assert_says(&refused, &["/nonexistent/folder/causeway.db", "check that the folder exists"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_file_that_cannot_be_used() {
    let home = Home::new(TestDatabase::sqlite().await);
    let file = home.path("causeway.toml");
    let with = |text: &str| {
        fs::write(&file, text).unwrap();
        serve(&[home.place(), vec![format!("--config={}", file.display())]].concat())
    };
    assert_says(
        &with("listen = \"127.0.0.1:0\"\nlisten_on = 1\n"),
        &["causeway.toml", "listen_on", "line 2"],
    );
    assert_says(&with("listen = [\n"), &["causeway.toml", "line"]);
    let missing = serve(&[home.place(), vec!["--config=/nonexistent.toml".to_owned()]].concat());
    assert_says(&missing, &["reading /nonexistent.toml"]);
    let apps = home.path("apps");
    fs::create_dir_all(apps.join("mine")).unwrap();
    fs::write(apps.join("mine/app.yaml"), "slug: mine\nname: Mine\nhots: []\n").unwrap();
    let refused = serve(&[home.place(), vec![format!("--apps-dir={}", apps.display())]].concat());
    assert_says(&refused, &["app.yaml", "hots", ":3:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_server_or_a_key() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = |key: Option<&str>, url: &str| {
        let mut command: Command = Home::bare();
        command.args(["invocations", "list", "--url", url]);
        if let Some(key) = key {
            command.env("CAUSEWAY_API_KEY", key);
        }
        run(&mut command)
    };
    let url = format!("http://{free}");
    assert_says(&client(None, &url), &["CAUSEWAY_API_KEY is not set", "causeway bootstrap --json"]);
    assert_says(&client(Some("x"), &url), &[&url, "is it running?", "CAUSEWAY_URL"]);
    let home = Home::new(TestDatabase::sqlite().await);
    let server = home.serve();
    assert_says(&client(Some("cwk_wrong"), &server.url("")), &["[unauthenticated]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_public_url_the_address_listened_on_is_meant() {
    let home = Home::new(TestDatabase::sqlite().await);
    let mut command = Home::bare();
    command.args(["serve", "--json", "--listen=127.0.0.1:0"]).args(home.place());
    let server = Server::start(command, &home.path("server.log"), home.api_key(), &home.http);
    let folder = home.write_workflow(
        "any",
        "steps: [{ name: a, run: ./a.mjs }]",
        &[("a.mjs", "export default () => 1;")],
    );
    let deployed = home.cli(&server, &["deploy", "--json", folder.to_str().unwrap()]).json();
    let url = deployed["trigger_url"].as_str().unwrap();
    assert!(url.starts_with(&server.url("/t/")), "{url}");
    assert_eq!(server.send(http::Request::post(url), "").await.status, 202);
}
