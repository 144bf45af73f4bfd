//! What may come back to each flow: its own answer, once, in time, to its own browser and session,
//! and nothing else. Each test goes through all schemes with a way back.

use crate::thing::{BROWSER_SCHEMES, Thing};
use crate::world::cookie;
use causeway_connect::{Callback, Progress};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded as _, SecretString};
use std::time::Duration;

on_both!(
    each_flow_ends_in_a_connection,
    a_forged_state_is_refused,
    a_state_is_good_once,
    a_state_of_another_session_or_browser_is_refused,
    a_state_expires,
    an_older_flow_is_void,
    a_state_of_one_scheme_carries_no_answer_of_another,
    who_says_no_is_told_how_to_go_on,
);

fn copy(callback: &Callback) -> Callback {
    let secret = |text: &SecretString| SecretString::new(text.expose().clone());
    Callback {
        state: callback.state.clone(),
        code: callback.code.as_ref().map(secret),
        error: callback.error.clone(),
        error_description: callback.error_description.clone(),
        iss: callback.iss.clone(),
        others: callback.others.iter().map(|(name, value)| (name.clone(), secret(value))).collect(),
    }
}

async fn each_flow_ends_in_a_connection(database: TestDatabase) {
    let thing = Thing::new(database).await;
    for scheme in BROWSER_SCHEMES {
        let finished = thing.link(scheme, Thing::session_for(scheme)).await.unwrap();
        let connection = thing.world.connection(finished.connection).await.unwrap();
        assert_eq!((connection.scheme, connection.app.as_str()), (scheme, "thing"));
        thing.world.credential(&connection.name).await.unwrap();
    }
}

async fn a_forged_state_is_refused(database: TestDatabase) {
    let thing = Thing::new(database).await;
    for scheme in BROWSER_SCHEMES {
        let session = thing.session(Thing::session_for(scheme)).await;
        let browser = cookie();
        let url = thing.begin(session.token.expose(), &browser, scheme).await.unwrap();
        let answer = thing.agree(scheme, &url);
        let real = answer.state.clone();
        let parts: Vec<&str> = real.split('.').collect();
        for bad in [
            String::new(),
            "x".to_owned(),
            real[..real.len() - 1].to_owned(),
            format!("{real}.x"),
            format!("{}.{}.{}", parts[0], parts[1], "A".repeat(parts[2].len())),
            format!("{}.{}.", parts[0], parts[1]),
        ] {
            let forged = Callback { state: bad.clone(), ..copy(&answer) };
            let refused = thing.world.connect.finish(forged, &browser).await.err().unwrap();
            assert_eq!(refused.code(), Code::StateMismatch, "{scheme} {bad}");
        }
        assert_eq!(thing.exchanges(), 0, "{scheme}: nothing was exchanged");
    }
}

async fn a_state_is_good_once(database: TestDatabase) {
    let thing = Thing::new(database).await;
    for scheme in BROWSER_SCHEMES {
        let session = thing.session(Thing::session_for(scheme)).await;
        let (token, browser) = (session.token.expose(), cookie());
        let url = thing.begin(token, &browser, scheme).await.unwrap();
        let answer = thing.agree(scheme, &url);
        thing.world.connect.finish(copy(&answer), &browser).await.unwrap();
        let before = thing.exchanges();
        let replay = thing.world.connect.finish(answer, &browser).await.err().unwrap();
        assert_eq!(replay.code(), Code::StateMismatch, "{scheme}");
        assert_eq!(thing.exchanges(), before, "{scheme}");
        // A replay does not disturb what the page is told.
        let progress = thing.world.connect.progress(token, &browser).await.unwrap();
        assert!(matches!(progress, Progress::Connected(_)), "{scheme}: {progress:?}");
    }
}

async fn a_state_of_another_session_or_browser_is_refused(database: TestDatabase) {
    let thing = Thing::new(database).await;
    for scheme in BROWSER_SCHEMES {
        let (mine, theirs) = (cookie(), cookie());
        let own = thing.session(Thing::session_for(scheme)).await;
        let url = thing.begin(own.token.expose(), &mine, scheme).await.unwrap();
        let victim = thing.agree(scheme, &url);
        // The attacker's browser brings the victim's answer, and the victim's the attacker's: an
        // account that gets into somebody else's connection.
        let other = thing.session(Thing::session_for(scheme)).await;
        let url = thing.begin(other.token.expose(), &theirs, scheme).await.unwrap();
        let attacker = thing.agree(scheme, &url);
        for (answer, browser) in [(&victim, &theirs), (&attacker, &mine)] {
            let refused = thing.world.connect.finish(copy(answer), browser).await.err().unwrap();
            assert_eq!(refused.code(), Code::StateMismatch, "{scheme}");
        }
        assert_eq!(thing.exchanges(), 0, "{scheme}");
    }
}

async fn a_state_expires(database: TestDatabase) {
    let thing = Thing::new(database).await;
    for scheme in BROWSER_SCHEMES {
        let session = thing.session(Thing::session_for(scheme)).await;
        let (token, browser) = (session.token.expose(), cookie());
        let url = thing.begin(token, &browser, scheme).await.unwrap();
        let answer = thing.agree(scheme, &url);
        thing.world.clock.advance(Duration::from_mins(15));
        let before = thing.exchanges();
        let late = thing.world.connect.finish(answer, &browser).await.err().unwrap();
        assert_eq!(late.code(), Code::ConnectLinkSpent, "{scheme}");
        assert_eq!(thing.exchanges(), before, "{scheme}");
        let progress = thing.world.connect.progress(token, &browser).await.unwrap();
        let Progress::Failed { code, .. } = progress else { panic!("{scheme}: {progress:?}") };
        assert_eq!(code, "connect_link_spent");
        // The link is good for another 15 minutes.
        let url = thing.begin(token, &browser, scheme).await.unwrap();
        let answer = thing.agree(scheme, &url);
        thing.world.clock.advance(Duration::from_mins(14));
        thing.world.connect.finish(answer, &browser).await.unwrap();
    }
}

async fn an_older_flow_is_void(database: TestDatabase) {
    let thing = Thing::new(database).await;
    for scheme in BROWSER_SCHEMES {
        let session = thing.session(Thing::session_for(scheme)).await;
        let (token, browser) = (session.token.expose(), cookie());
        let url = thing.begin(token, &browser, scheme).await.unwrap();
        let older = thing.agree(scheme, &url);
        let url = thing.begin(token, &browser, scheme).await.unwrap();
        let newer = thing.agree(scheme, &url);
        let refused = thing.world.connect.finish(older, &browser).await.err().unwrap();
        assert_eq!(refused.code(), Code::StateMismatch, "{scheme}");
        thing.world.connect.finish(newer, &browser).await.unwrap();
    }
}

async fn a_state_of_one_scheme_carries_no_answer_of_another(database: TestDatabase) {
    let thing = Thing::new(database).await;
    for scheme in BROWSER_SCHEMES {
        for other in BROWSER_SCHEMES.into_iter().filter(|other| *other != scheme) {
            // OAuth 2.0 and MCP both bring a code; the issuer tells MCP's from others.
            if (scheme, other) == (Scheme::Oauth2, Scheme::Mcp) {
                continue;
            }
            let session = thing.session(Thing::session_for(scheme)).await;
            let browser = cookie();
            let url = thing.begin(session.token.expose(), &browser, scheme).await.unwrap();
            let own = thing.agree(scheme, &url);
            let foreign = thing.session(Thing::session_for(other)).await;
            let url = thing.begin(foreign.token.expose(), &cookie(), other).await.unwrap();
            let mixed = Callback { state: own.state, ..thing.agree(other, &url) };
            let refused = thing.world.connect.finish(mixed, &browser).await.err().unwrap();
            let code = refused.code();
            assert!(
                matches!(code, Code::StateMismatch | Code::AuthorizationRefused),
                "{scheme} {other}: {refused}"
            );
            assert_eq!(thing.exchanges(), 0, "{scheme} {other}");
        }
    }
}

async fn who_says_no_is_told_how_to_go_on(database: TestDatabase) {
    let thing = Thing::new(database).await;
    for scheme in BROWSER_SCHEMES {
        let session = thing.session(Thing::session_for(scheme)).await;
        let (token, browser) = (session.token.expose(), cookie());
        let url = thing.begin(token, &browser, scheme).await.unwrap();
        let denied = Callback {
            state: thing.agree(scheme, &url).state,
            error: Some("access_denied".into()),
            error_description: Some("The user said no.".into()),
            iss: thing.agree(scheme, &url).iss,
            ..Callback::default()
        };
        let refused = thing.world.connect.finish(denied, &browser).await.err().unwrap();
        assert_eq!(refused.code(), Code::AuthorizationRefused, "{scheme}: {refused}");
        assert!(refused.public().contains("Thing"), "{}", refused.public());
        let progress = thing.world.connect.progress(token, &browser).await.unwrap();
        let Progress::Failed { code, text } = progress else { panic!("{scheme}: {progress:?}") };
        assert_eq!((code.as_str(), text.as_str()), ("authorization_refused", &*refused.public()));
        // And again with the same link.
        let url = thing.begin(token, &browser, scheme).await.unwrap();
        let progress = thing.world.connect.progress(token, &browser).await.unwrap();
        assert!(matches!(progress, Progress::Waiting(None)), "{scheme}: {progress:?}");
        let answer = thing.agree(scheme, &url);
        thing.world.connect.finish(answer, &browser).await.unwrap();
    }
}
