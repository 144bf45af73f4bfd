//! Standard output and standard error that nobody reads, or that take nothing: `causeway … | head`.

use crate::kit::{Home, Server, eventually, run};
use causeway_store::testing::TestDatabase;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

const GREET: &str = "export default ({ event }) => {
  if (!event.body) throw new Error('nobody to greet');
  return `Hello, ${event.body.name}!`;
};";

/// The writing end of a pipe whose reader has left.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

async fn greeting() -> (Home, Server) {
    let home = Home::new(TestDatabase::sqlite().await);
    let server = home.serve();
    home.deploy(&server, "greets", "steps: [{ name: a, run: ./a.mjs }]", &[("a.mjs", GREET)]);
    (home, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_read_enough_changes_nothing() {
    let (home, server) = greeting().await;
    let event = r#"{"body":{"name":"Ada"}}"#;
    for args in [
        vec!["apps", "list"],
        vec!["apps", "list", "--json"],
        vec!["run", "greets", "--event", event],
        vec!["logs", "-n", "1"],
        vec!["logs", "-n", "1", "-f"],
        vec!["audit", "export"],
        vec!["--help"],
    ] {
        let ran = run(home.cli_command(&server, &args).stdout(unread()));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
    let newest = home.cli(&server, &["invocations", "list", "--json"]).json();
    assert_eq!(newest["data"][0]["state"], "succeeded", "it ran to its end");

    // What fails does so as loudly as ever, if there is somebody to tell.
    for (args, words) in [
        (["run", "greets"], "ended as failed"),
        (["replay", "inv_1"], "[invalid_id]"),
        (["logs", "nothing"], "no workflow named"),
    ] {
        let ran = run(home.cli_command(&server, &args).stdout(unread()));
        assert!(ran.refusal().contains(words), "{ran:#?}");
        let ran = run(home.cli_command(&server, &args).stdout(unread()).stderr(unread()));
        assert_eq!(ran.code, Some(1), "{args:?}");
    }

    let workspace = home.made["workspace_id"].as_str().unwrap();
    for args in [
        vec!["bootstrap"],
        vec!["doctor", "--json"],
        vec!["providers", "list"],
        vec!["audit", "verify", "--local"],
        vec!["audit", "export", "--local", "--workspace", workspace],
    ] {
        let ran = run(Home::bare().args(&args).args(home.place()).stdout(unread()));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_ends_when_nobody_reads_any_more() {
    let (home, server) = greeting().await;
    let greet = || home.cli(&server, &["run", "greets", "--event", r#"{"body":{"name":"Ada"}}"#]);
    assert_eq!(greet().code, Some(0));
    let mut command = home.cli_command(&server, &["logs", "-f", "--json"]);
    let mut following = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(following.stdout.take().unwrap());
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    assert!(first.starts_with('{'), "{first}");
    drop(reader);
    // The next news finds nobody.
    assert_eq!(greet().code, Some(0));
    let status = eventually("the end of the logs", async || following.try_wait().unwrap()).await;
    let said = std::io::read_to_string(following.stderr.take().unwrap()).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_could_not_be_written_is_a_failure() {
    let (home, server) = greeting().await;
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
    for args in [vec!["apps", "list"], vec!["workflows", "list", "--json"], vec!["audit", "export"]]
    {
        let ran = run(home.cli_command(&server, &args).stdout(full()));
        assert!(ran.refusal().contains("writing to standard output"), "{ran:#?}");
        assert!(ran.refusal().contains("No space left"), "{ran:#?}");
    }
    let ran = run(home.cli_command(&server, &["replay", "inv_1"]).stdout(full()).stderr(full()));
    assert_eq!(ran.code, Some(1));
}

/// Neither a shell that went away nor a log that nobody takes stops the server.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_needs_nobody_to_listen() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flag = format!("--listen={free}");
    let home = Home::with_flags(TestDatabase::sqlite().await, &[&flag]);
    let log = home.path("unread.log");
    for stderr in [unread(), File::create(&log).unwrap().into()] {
        let mut server = home.serve_command().stdout(unread()).stderr(stderr).spawn().unwrap();
        eventually("the server", async || {
            let request = http::Request::get(format!("http://{free}/healthz"));
            let request = request.body(bytes::Bytes::new()).unwrap();
            home.http.request(request, crate::kit::limits()).await.ok()
        })
        .await;
        kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
        let status = eventually("the server's end", async || server.try_wait().unwrap()).await;
        assert!(status.success(), "{status}");
    }
    assert!(!std::fs::read_to_string(log).unwrap().contains("panicked"));
}
