//! Steps written for bash.

use crate::egress::{guarded, serve};
use crate::support::*;
use causeway_sandbox::*;
use causeway_types::SecretBytes;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

async fn bash(pool: &Pool, code: &str) -> StepReport {
    bash_with(pool, code, |_| {}).await
}

async fn bash_with(pool: &Pool, code: &str, change: impl FnOnce(&mut Program)) -> StepReport {
    run_with(pool, "step.sh", code, |program| {
        program.runtime = Runtime::Bash;
        change(program);
    })
    .await
}

#[tokio::test]
async fn a_script_gets_files_and_gives_what_it_writes() {
    let pool = pool().await;
    let code = r#"set -euo pipefail
. ./lib/more.sh
token=$(jq -r '.crm["$auth"].token' "$CAUSEWAY_CONNECTIONS")
echo "first is $(jq '.first["$return_value"]' "$CAUSEWAY_STEPS")"
echo warned >&2
printf 'count=%s\ngreeting=hello = you\n' "$(more "$(jq .n "$CAUSEWAY_EVENT")")" >> "$CAUSEWAY_EXPORTS"
jq -n --arg token "$token" --arg step "$(jq -r .step "$CAUSEWAY_CONTEXT")" '{$token, $step}' > "$CAUSEWAY_RESULT"
"#;
    let files = [("step.sh", code), ("lib/more.sh", "more() { echo $(($1 + 1)); }\n")];
    let program = Arc::new(program_for(Runtime::Bash, &files));
    let mut session = pool.checkout(&program).await.unwrap();
    for _ in 0..2 {
        let mut call = call("step.sh");
        call.steps = raw(r#"{"first":{"$return_value":41}}"#);
        call.connections = SecretBytes::new(br#"{"crm":{"$auth":{"token":"t0k3n"}}}"#.to_vec());
        let report = session.step(call).await;
        assert_eq!(value(&report), json!({ "token": "t0k3n", "step": "lookup" }));
        let mut lines = logged(&report);
        lines.sort_unstable();
        assert_eq!(lines, ["first is 41", "warned"]);
        let success = report.outcome.unwrap();
        assert_eq!(success.exports["count"].get(), "2");
        assert_eq!(success.exports["greeting"].get(), r#""hello = you""#);
    }
    let left = bash(&pool, "cd /tmp; shopt -s dotglob; echo * > $CAUSEWAY_RESULT").await;
    assert!(value(&left).as_str().unwrap().starts_with("step-"), "the step's own folder alone");
    for (code, returned) in [
        ("echo plain text > $CAUSEWAY_RESULT", json!("plain text")),
        ("echo '[1, 2]' > $CAUSEWAY_RESULT", json!([1, 2])),
        ("true", json!(null)),
    ] {
        assert_eq!(value(&bash(&pool, code).await), returned, "{code}");
    }
}

#[tokio::test]
async fn a_script_that_fails_says_how() {
    let pool = pool().await;
    // Under gVisor the start of each program takes its time.
    let (cpu, wall) = if tier() == Tier::Jail { (500, 2) } else { (2_000, 8) };
    let (cpu, wall) = (Duration::from_millis(cpu), Duration::from_secs(wall));
    let its_limit = |limit: Duration| format!("its limit is {} s", limit.as_secs_f64());
    let (of_cpu, of_wall) = (its_limit(cpu), its_limit(wall));
    for (code, failure_code, words) in [
        (
            "exit 3",
            FailureCode::UserError,
            "step.sh ended with exit code 3; its log has what it printed",
        ),
        ("kill -9 $$", FailureCode::UserError, "step.sh was ended by signal 9"),
        ("no-such-command", FailureCode::UserError, "step.sh ended with exit code 127"),
        ("head -c 9000000 /dev/zero > /tmp/one", FailureCode::DiskLimit, "more than 8 MiB"),
        (
            "for n in 1 2 3; do head -c 4000000 /dev/zero > /tmp/$n || exit 1; done",
            FailureCode::DiskLimit,
            "more than 8 MiB",
        ),
        ("while true; do :; done", FailureCode::CpuLimit, of_cpu.as_str()),
        ("sleep 60", FailureCode::TimeLimit, of_wall.as_str()),
        (
            "while true; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
            FailureCode::LogLimit,
            "65536 bytes",
        ),
        (
            "head -c 2000 /dev/zero > $CAUSEWAY_RESULT",
            FailureCode::OutputLimit,
            "its limit is 1000 bytes",
        ),
        ("echo '=1' >> $CAUSEWAY_EXPORTS", FailureCode::UserError, "name must be a text"),
    ] {
        let report = bash_with(&pool, code, |program| {
            program.limits.disk_bytes = 8 << 20;
            (program.limits.cpu, program.limits.wall) = (cpu, wall);
            program.limits.log_bytes = 64 << 10;
            program.limits.output_bytes = 1000;
        })
        .await;
        let failure = failed(report, failure_code);
        assert!(failure.message.contains(words), "{code}: {}", failure.message);
    }
}

#[tokio::test]
async fn a_fork_bomb_and_a_glutton_pass_their_limits() {
    let pool = pool().await;
    if !privileged() {
        return; // without a cgroup nobody counts what bash itself copes with
    }
    let bomb = "bomb() { bomb | bomb & }; bomb; sleep 5; exit 1";
    failed(
        bash_with(&pool, bomb, |program| program.limits.processes = 40).await,
        FailureCode::ProcessLimit,
    );
    let glutton = "x=$(head -c 300000000 /dev/zero | tr '\\0' x); exit 1";
    // Under gVisor bash takes its time.
    let report = bash_with(&pool, glutton, |program| {
        program.limits.cpu = Duration::from_mins(1);
        program.limits.wall = Duration::from_mins(1);
    });
    failed(report.await, FailureCode::MemoryLimit);
    assert_eq!(value(&bash(&pool, "echo 42 > $CAUSEWAY_RESULT").await), 42);
}

#[tokio::test]
async fn what_a_script_leaves_running_ends_with_it() {
    let pool = pool().await;
    let program =
        Arc::new(program_for(Runtime::Bash, &[("step.sh", "sleep 600 &\n(sleep 600 &)\n")]));
    let mut session = pool.checkout(&program).await.unwrap();
    let report = session.step(call("step.sh")).await;
    assert_eq!(logged(&report), ["the step left processes running: they were ended with it"]);
    drop(session);
    assert_eq!(pool.stats().idle, 1, "no process is left but the sandbox's own");
}

#[tokio::test]
async fn a_script_that_does_not_parse_is_refused_with_its_line() {
    let pool = pool().await;
    for (code, message) in [
        ("if true; then\necho x\n", "step.sh:3: syntax error: unexpected end of file"),
        ("echo a\nfi\n", "step.sh:2: syntax error near unexpected token `fi'"),
    ] {
        let program = Arc::new(program_for(Runtime::Bash, &[("step.sh", code)]));
        let mut session = pool.checkout(&program).await.unwrap();
        let failure = session.check(&["step.sh".to_owned()]).await.unwrap_err();
        assert_eq!((failure.code, failure.message.as_str()), (FailureCode::SyntaxError, message));
    }
    let spins = "while true; do :; done\n";
    let program = Arc::new(program_for(Runtime::Bash, &[("step.sh", spins)]));
    let mut session = pool.checkout(&program).await.unwrap();
    assert_eq!(session.check(&["step.sh".to_owned()]).await, Ok(()), "nothing of it runs");
}

#[tokio::test]
async fn curl_takes_the_way_out() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let code = format!(
        r#"set -eu
printf %s '{}' > /tmp/ca.pem
curl -sS --fail -d hello "http://app.test:{}/plain" | jq -c . > "$CAUSEWAY_RESULT"
curl -sS --fail --cacert /tmp/ca.pem "https://app.test:{}/secure" >&2
if curl -sS https://evil.example/; then exit 9; fi
if curl -sS --noproxy '*' "http://127.0.0.1:{}/"; then exit 9; fi
"#,
        server.ca, server.clear, server.secure, server.clear
    );
    let report = bash_with(&pool, &code, |program| {
        program.egress = EgressRules::parse(["app.test", "127.0.0.1"]).unwrap();
    })
    .await;
    let got = value(&report);
    assert_eq!((&got["line"], &got["sent"]), (&json!("POST /plain HTTP/1.1"), &json!("hello")));
    let lines = logged(&report).join("\n");
    assert!(lines.contains("GET /secure HTTP/1.1"), "{lines}");
    assert!(lines.contains("add `egress: [evil.example]` to workflow.yaml to allow it"), "{lines}");
}
