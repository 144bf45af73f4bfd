//! The claim link, the providers and the rules of sign-in, for whoever has the machine.

use crate::kit::{Answer, Home, Needles, Server, eventually};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::sync::{Arc, Mutex};

on_both!(
    a_claim_link_is_made_with_and_without_a_server,
    a_terminal_is_told_the_link_and_a_log_is_not,
    providers_are_set_without_anybody,
);

async fn get(server: &Server, path: &str) -> Answer {
    server.send(http::Request::get(server.url(path)), "").await
}

fn claim_path(home: &Home) -> String {
    let made = home.run_server_command(&["claim-link", "--json"]).json();
    let url = made["claim_url"].as_str().unwrap();
    let path = url.strip_prefix("http://127.0.0.1:8400").unwrap();
    assert!(path.starts_with("/auth/claim/cwc_"), "{url}");
    path.to_owned()
}

async fn a_claim_link_is_made_with_and_without_a_server(database: TestDatabase) {
    let home = Home::unclaimed(database, &[]);
    let before = claim_path(&home);
    let server = home.serve();
    assert_eq!(get(&server, &before).await.status, 200);
    let beside = claim_path(&home);
    assert_eq!(get(&server, &before).await.status, 409, "each link ends the one before");
    assert_eq!(get(&server, &beside).await.status, 200);

    let public = ["claim-link", "--json", "--public-url=https://connect.example.com/causeway/"];
    let made = home.run_server_command(&public).json();
    let url = made["claim_url"].as_str().unwrap();
    assert!(url.starts_with("https://connect.example.com/causeway/auth/claim/cwc_"), "{url}");
    // Without one, it leads where the server listens until the claim.
    for (flags, expected) in [
        (vec!["--listen=0.0.0.0:8411"], "http://127.0.0.1:8411/auth/claim/cwc_"),
        (vec!["--listen=10.0.0.5:8411"], "http://127.0.0.1:8411/auth/claim/cwc_"),
        (vec!["--tls-cert=x", "--tls-key=y"], "https://127.0.0.1:8400/auth/claim/cwc_"),
    ] {
        let made = home.run_server_command(&[vec!["claim-link", "--json"], flags].concat()).json();
        assert!(made["claim_url"].as_str().unwrap().starts_with(expected), "{made}");
    }
    let shown = home.run_server_command(&["claim-link"]);
    assert!(shown.stdout.contains("It works once") && shown.stdout.contains("/auth/claim/cwc_"));

    let token = |path: &str| path.rsplit_once('/').unwrap().1.to_owned();
    let (before, beside) = (token(&before), token(&beside));
    let links = Needles::new([("the first link", before.as_str()), ("the second", &beside)]);
    links.assert_absent("the server's log", server.log());
    links.assert_absent_at_rest(&home);

    // Keys that were made on the machine do not stand in the way of the first owner.
    home.run_server_command(&["bootstrap", "--json"]).json();
    assert_eq!(get(&server, &claim_path(&home)).await.status, 200);
}

/// The link that stands in what a terminal was shown.
fn link_in(shown: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(shown);
    let at = text.find("/auth/claim/")?;
    text.get(at..at + "/auth/claim/cwc_".len() + 60).map(str::to_owned)
}

async fn a_terminal_is_told_the_link_and_a_log_is_not(database: TestDatabase) {
    let home = Home::unclaimed(database, &[]);
    let server = home.serve();
    let log = server.log();
    assert!(log.contains("run `causeway claim-link`") && !log.contains("cwc_"), "{log}");
    server.stop();

    // A terminal is one end of a pseudo-terminal (pty(7)).
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let reader = std::thread::spawn({
        let shown = Arc::clone(&shown);
        let mut master = File::from(master);
        move || {
            let mut piece = [0; 4096];
            // It ends with an error when the other end is closed.
            while let Ok(length @ 1..) = master.read(&mut piece) {
                shown.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        }
    });
    let server = home.serve_on(terminal);
    let link =
        eventually("the link on the terminal", async || link_in(&shown.lock().unwrap())).await;
    assert_eq!(get(&server, &link).await.status, 200);
    server.stop();
    reader.join().unwrap();
    let shown = shown.lock().unwrap().clone();
    assert_eq!(String::from_utf8_lossy(&shown).matches("cwc_").count(), 1, "it is told once");

    // Who has been claimed says nothing any more.
    home.run_server_command(&["bootstrap", "--json"]).json();
    let server = home.serve();
    assert_eq!(server.log().matches("run `causeway claim-link`").count(), 1, "{}", server.log());
}

async fn providers_are_set_without_anybody(database: TestDatabase) {
    let home = Home::unclaimed(database, &[]);
    let (first, second) = ("provider-secret-canary-1", "provider-secret-canary-2");
    let file = home.path("secret");
    let set = |secret: &str, flags: &[&str]| {
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let given = format!("--client-secret=@{}", file.display());
        home.run_server_command(&[&["providers", "set", "--json", &given], flags].concat())
    };
    let google = set(first, &["--kind=google", "--client-id=abc"]).json();
    assert_eq!(
        (google["name"].as_str(), google["kind"].as_str()),
        (Some("Google"), Some("google"))
    );
    let again = set(second, &["--kind=google", "--client-id=def"]).json();
    assert_eq!((&again["id"], &again["client_id"]), (&google["id"], &"def".into()));
    let oidc = ["--kind=oidc", "--name=Corp", "--client-id=abc", "--issuer=https://id.example"];
    set(first, &oidc).json();

    for (flags, say) in [
        (
            vec!["--kind=oidc", "--name=Corp", "--client-id=a", "--issuer=https://other.example"],
            "name",
        ),
        (vec!["--kind=github", "--name=Corp", "--client-id=a"], "name"),
        (vec!["--kind=oidc", "--client-id=a"], "issuer"),
        (vec!["--kind=oidc", "--client-id=a", "--issuer=https://x/?q"], "issuer"),
        (vec!["--kind=github", "--client-id="], "client_id"),
    ] {
        let refused = set(first, &flags);
        assert!(refused.refusal().contains(say), "{flags:?}: {refused:#?}");
    }
    assert!(set("", &["--kind=github", "--client-id=a"]).refusal().contains("client_secret"));
    let plain = ["providers", "set", "--kind=github", "--client-id=a", "--client-secret=hunter2"];
    assert!(home.run_server_command(&plain).refusal().contains("other users of this machine"));

    let listed = home.run_server_command(&["providers", "list", "--json"]).json();
    let names: Vec<_> = listed["data"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["Google", "Corp"]);
    let people = home.run_server_command(&["providers", "list"]).stdout;
    assert!(people.contains("https://accounts.google.com") && people.contains("Corp"), "{people}");
    let id = google["id"].as_str().unwrap();
    home.run_server_command(&["providers", "delete", "--json", id]).json();
    assert!(home.run_server_command(&["providers", "delete", id]).refusal().contains(id));

    let server = home.serve();
    let page = get(&server, "/auth/sign-in").await.text();
    assert!(page.contains("Continue with Corp") && !page.contains("Google"), "{page}");
    let secrets = Needles::new([("the first secret", first), ("the second", second)]);
    secrets.assert_absent("the server's log", server.log());
    secrets.assert_absent_at_rest(&home);
}
