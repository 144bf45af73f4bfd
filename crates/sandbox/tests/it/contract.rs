//! The contract of a step's code (design, section 7).

use crate::support::*;
use causeway_sandbox::*;
use causeway_types::SecretBytes;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn a_step_gets_its_members_and_gives_results() {
    let pool = pool().await;
    let program = Arc::new(program(&[
        (
            "lib/lookup.mjs",
            "import { helper } from './helper.mjs';
         export default async ({ event, steps, $, connections }) => {
           $.export('count', event.items.length);
           $.export('nothing', null);
           return { helped: helper(steps.first.$return_value), token: connections.crm.$auth.token,
                    context: $.context, keys: Object.keys($).sort() };
         };",
        ),
        ("lib/helper.mjs", "export const helper = (value) => value + 1;"),
    ]));
    let mut session = pool.checkout(&program).await.unwrap();
    let mut call = call("lib/lookup.mjs");
    call.event = Arc::from(raw(r#"{"items":[1,2,3]}"#));
    call.steps = raw(r#"{"first":{"$return_value":41}}"#);
    call.connections = SecretBytes::new(br#"{"crm":{"$auth":{"token":"t0k3n"}}}"#.to_vec());
    call.context = json!({ "workflow_id": "wf_1" });
    call.attempt = 3;
    let invocation = call.invocation.to_string();
    let report = session.step(call).await;
    let got = value(&report);
    assert_eq!(got["helped"], 42);
    assert_eq!(got["token"], "t0k3n");
    assert_eq!(got["keys"], json!(["context", "export", "flow", "respond"]));
    let context = &got["context"];
    assert_eq!(context["workflow_id"], "wf_1");
    assert_eq!(context["invocation_id"], invocation);
    assert_eq!((&context["step"], &context["attempt"]), (&json!("lookup"), &json!(3)));
    assert_eq!(context["idempotency_key"], "key-1");
    assert!(context["deadline"].as_f64().unwrap() > 1.7e12);
    let usage = report.usage;
    let success = report.outcome.unwrap();
    assert_eq!(success.exports["count"].get(), "3");
    assert_eq!(success.exports["nothing"].get(), "null");
    assert!(success.respond.is_none() && success.exit.is_none());
    assert_eq!(report.tier, tier());
    assert!(usage.cpu.as_micros() > 0 && usage.peak_memory_bytes > 4 << 20, "{usage:?}");
}

#[tokio::test]
async fn every_kind_of_file_runs() {
    let pool = pool().await;
    let body = "({ event }) => event.n + 1";
    for (name, code) in [
        ("a.mjs", format!("export default {body}")),
        ("b.js", format!("export default {body}")),
        ("c.js", format!("module.exports = {body}")),
        ("d.cjs", format!("module.exports = {body}")),
        ("e.cjs", format!("exports.__esModule = true; exports.default = {body}")),
        ("f.ts", "type E = { n: number };\nexport default ({ event }: { event: E }): number => event.n + 1".to_owned()),
        ("deep/g h.mjs", format!("export default {body}")),
    ] {
        let report = run_with(&pool, name, &code, |_| {}).await;
        assert_eq!(value(&report), 2, "{name}");
        assert_eq!(logged(&report), Vec::<&str>::new(), "{name} prints no warnings");
    }
}

#[tokio::test]
async fn a_step_answers_the_request_and_ends_the_workflow() {
    let pool = pool().await;
    let report = run(&pool, "export default ({ $ }) => {
        $.respond({ status: 201, headers: { 'X-One': 'a', 'set-cookie': ['b=1', 'c=2'] }, body: { ok: true } });
        $.flow.exit('nothing to do'); }").await;
    let success = report.outcome.unwrap();
    assert_eq!(success.return_value.get(), "null");
    assert_eq!(success.exit.as_deref(), Some("nothing to do"));
    let respond = success.respond.unwrap();
    assert_eq!(respond.status, 201);
    assert_eq!(respond.body, br#"{"ok":true}"#);
    let headers: Vec<(&str, &str)> =
        respond.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        headers,
        [
            ("x-one", "a"),
            ("set-cookie", "b=1"),
            ("set-cookie", "c=2"),
            ("content-type", "application/json")
        ]
    );

    let bytes =
        run(&pool, "export default ({ $ }) => { $.respond({ body: Buffer.from([0, 255, 10]) }) }")
            .await;
    let respond = bytes.outcome.unwrap().respond.unwrap();
    assert_eq!((respond.status, respond.body.as_slice()), (200, [0_u8, 255, 10].as_slice()));

    for bad in [
        "{ status: 99 }",
        "{ headers: { 'a b': 'x' } }",
        "{ headers: { a: 'x\\r\\ny: z' } }",
        "{ headers: { 'Content-Length': 1 } }",
        "7",
    ] {
        let failure = failed(
            run(&pool, &format!("export default ({{ $ }}) => $.respond({bad})")).await,
            FailureCode::UserError,
        );
        assert!(failure.message.contains("$.respond("), "{bad}: {}", failure.message);
    }
}

#[tokio::test]
async fn an_error_shows_the_authors_own_stack() {
    let pool = pool().await;
    let code = "import { readFile } from 'node:fs/promises';\nconst inner = () => {\n  throw new TypeError('boom', { cause: new Error('why') });\n};\nexport default async () => { await readFile('/code/step.mjs'); inner(); };";
    let failure = failed(run(&pool, code).await, FailureCode::UserError);
    assert_eq!(failure.message, "TypeError: boom; caused by Error: why");
    let stack = failure.stack.unwrap();
    let lines: Vec<&str> = stack.lines().collect();
    assert_eq!(lines[0], "TypeError: boom");
    assert_eq!(lines[1].trim(), "at inner (step.mjs:3:9)");
    assert!(lines[2].contains("step.mjs:5:"), "{stack}");
    assert!(
        !stack.contains("runner") && !stack.contains("node:") && !stack.contains("/code"),
        "{stack}"
    );
}

#[tokio::test]
async fn whatever_is_thrown_is_told() {
    let pool = pool().await;
    for (thrown, message) in [
        ("throw 42", "threw a non-Error: 42"),
        ("throw undefined", "threw a non-Error: undefined"),
        ("throw { a: 1 }", "threw a non-Error: { a: 1 }"),
        ("return Promise.reject('text')", "threw a non-Error: 'text'"),
        (
            "await new Promise(() => {})",
            "the step never ends: it awaits a promise that nothing is left to settle",
        ),
        (
            "Promise.reject(new Error('lost')); return 1",
            "Error: lost (a promise was rejected and nothing handled it)",
        ),
        (
            "setTimeout(() => { throw new Error('late') }, 5); await new Promise((r) => setTimeout(r, 500))",
            "Error: late",
        ),
        (
            "$.export('', 1)",
            "TypeError: $.export(name, value): name must be a text of 1 to 200 characters, not `$return_value`",
        ),
    ] {
        let code = format!("export default async ({{ $ }}) => {{ {thrown}; }}");
        let failure = failed(run(&pool, &code).await, FailureCode::UserError);
        assert_eq!(failure.message, message, "{thrown}");
    }
}

#[tokio::test]
async fn code_that_does_not_load_says_where() {
    let pool = pool().await;
    let failure = failed(
        run(&pool, "const a = 1;\nconst b = = 2;\nexport default () => a;").await,
        FailureCode::SyntaxError,
    );
    assert_eq!(
        failure.message,
        "step.mjs:2:11: SyntaxError: Unexpected token '='\n  const b = = 2;"
    );
    let failure = failed(
        run_with(&pool, "bad.cjs", "\nmodule.exports = () => {", |_| {}).await,
        FailureCode::SyntaxError,
    );
    assert!(failure.message.starts_with("bad.cjs:2:"), "{}", failure.message);
    let failure = failed(
        run_with(&pool, "bad.ts", "const x: number = ;\nexport default () => x", |_| {}).await,
        FailureCode::SyntaxError,
    );
    assert!(failure.message.starts_with("bad.ts:1:"), "{}", failure.message);
    let failure = failed(
        run(&pool, "import x from './missing.mjs'; export default () => x").await,
        FailureCode::SyntaxError,
    );
    assert!(
        failure.message.contains("missing.mjs") && !failure.message.contains("/code"),
        "{}",
        failure.message
    );
    let failure = failed(
        run(&pool, "import x from 'left-pad'; export default () => x").await,
        FailureCode::SyntaxError,
    );
    assert!(failure.message.contains("left-pad"), "{}", failure.message);
    // An error that is thrown while loading is the code's own.
    let failure = failed(
        run(&pool, "throw new Error('at the top'); export default () => 1").await,
        FailureCode::UserError,
    );
    assert_eq!(failure.message, "Error: at the top");
}

#[tokio::test]
async fn what_is_no_step_is_refused_by_name() {
    let pool = pool().await;
    for (code, words) in [
        ("export const x = 1", "step.mjs has nothing as its default export"),
        ("export default 7", "a value of type number"),
        ("export default { props: {} }", "a component (an object with `run`)"),
        ("export default { type: 'source', run() {} }", "is a source"),
    ] {
        let failure = failed(run(&pool, code).await, FailureCode::UserError);
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_component_is_a_step_too() {
    let pool = pool().await;
    let code = "export default { methods: { n() { return 2 } }, run({ steps }) { return [this.n(), steps.trigger.event] } }";
    let report = run(&pool, code).await;
    assert_eq!(report.outcome.unwrap().return_value.get(), r#"[2,{"n":1}]"#);
}

#[tokio::test]
async fn what_was_exported_before_a_failure_goes_with_it() {
    let pool = pool().await;
    let code = "export default ({ $ }) => { $.export('seen', [1]); throw new Error('then') }";
    let report = run(&pool, code).await;
    assert_eq!(report.exports["seen"].get(), "[1]");
    assert_eq!(failed(report, FailureCode::UserError).message, "Error: then");
    let code = "export default ({ $ }) => { $.export('seen', 'x'.repeat(2 << 20)); throw new Error('then') }";
    let report = run(&pool, code).await;
    assert!(report.exports.is_empty());
    assert_eq!(failed(report, FailureCode::UserError).message, "Error: then");
}

#[tokio::test]
async fn what_json_cannot_hold_is_named_by_its_place() {
    let pool = pool().await;
    for (code, message) in [
        (
            "() => ({ a: [1, { f() {} }] })",
            "$return_value.a[1].f is a function, which JSON cannot hold",
        ),
        ("() => ({ big: 1n })", "$return_value.big is a BigInt"),
        ("() => { const a = { b: {} }; a.b.c = a; return a }", "contains itself"),
        ("() => ({ m: new Map() })", "$return_value.m is a Map"),
        ("() => Symbol('x')", "$return_value is a symbol"),
        ("({ $ }) => $.export('rows', [() => 1])", "rows[0] is a function"),
        (
            "() => { let a = 1; for (let i = 0; i < 101; i++) a = [a]; return a }",
            "nested deeper than 100 levels",
        ),
        (
            "() => ({ toJSON() { throw new Error('no') } })",
            "$return_value cannot be written as JSON: no",
        ),
        (
            "() => ({ toJSON: () => JSON.parse('['.repeat(150) + ']'.repeat(150)) })",
            "$return_value is nested deeper than 100 levels",
        ),
    ] {
        let failure = failed(
            run(&pool, &format!("export default {code}")).await,
            FailureCode::ExportsNotJson,
        );
        assert!(failure.message.contains(message), "{code}: {}", failure.message);
    }
    let kept = run(
        &pool,
        "export default () => ({ d: new Date(0), u: undefined, n: null, s: '\\u2028\\ud800' })",
    )
    .await;
    assert_eq!(
        kept.outcome.unwrap().return_value.get(),
        "{\"d\":\"1970-01-01T00:00:00.000Z\",\"n\":null,\"s\":\"\u{2028}\\ud800\"}"
    );
}

#[tokio::test]
async fn what_is_printed_is_kept_in_order_and_by_stream() {
    let pool = pool().await;
    let report = run(&pool, "import fs from 'node:fs'; export default async () => {
        console.log('one', { a: 1 }); console.error('two'); process.stdout.write('three '); process.stdout.write('four\\n');
        console.log('five\\nsix'); await new Promise((r) => setTimeout(r, 5)); console.warn('seven'); process.stdout.write('end'); fs.writeSync(2, 'native\\n') }").await;
    let (native, lines): (Vec<_>, Vec<_>) = report
        .logs
        .iter()
        .map(|line| (line.stream, line.text.as_str()))
        .partition(|(_, text)| *text == "native");
    // What goes past `process.stderr` takes another way, and may stand before or after.
    assert_eq!(native, [(LogStream::Stderr, "native")]);
    assert_eq!(
        lines,
        [
            (LogStream::Stdout, "one { a: 1 }"),
            (LogStream::Stderr, "two"),
            (LogStream::Stdout, "three four"),
            (LogStream::Stdout, "five\nsix"),
            (LogStream::Stderr, "seven"),
            (LogStream::Stdout, "end"),
        ]
    );
    assert!(!report.logs_truncated);
    assert!(report.logs.iter().all(|line| line.at.as_micros() > 0));
}

#[tokio::test]
async fn what_a_step_leaves_running_does_not_disturb_the_next() {
    let pool = pool().await;
    let program = Arc::new(program(&[
        ("a.mjs", "globalThis.ticks = 0; export default () => {
            setInterval(() => { globalThis.ticks++; console.log('still here') }, 20);
            setTimeout(() => { throw new Error('from before') }, 20);
            setImmediate(() => {});
            (async () => { await new Promise((r) => process.nextTick(r)); })();
            import('node:timers/promises').then((t) => t.setTimeout(20)).then(() => { console.log('late'); throw new Error('late') });
            return process.pid }"),
        ("b.mjs", "export default async () => { await new Promise((r) => setTimeout(r, 50)); return [process.pid, globalThis.ticks] }"),
    ]));
    let mut session = pool.checkout(&program).await.unwrap();
    let first = value(&session.step(call("a.mjs")).await);
    let report = session.step(call("b.mjs")).await;
    assert_eq!(logged(&report), Vec::<&str>::new());
    let second = value(&report);
    assert_eq!(second[0], first, "the same process");
    assert_eq!(second[1], 0, "the interval has stopped");
}

#[tokio::test]
async fn ending_the_process_is_named_and_ends_the_sandbox() {
    let pool = pool().await;
    let program = Arc::new(program(&[
        ("a.mjs", "export default () => { console.log('bye'); process.exit(3) }"),
        ("b.mjs", "export default () => 1"),
    ]));
    let mut session = pool.checkout(&program).await.unwrap();
    let report = session.step(call("a.mjs")).await;
    assert_eq!(logged(&report), ["bye"]);
    let failure = failed(report, FailureCode::ProcessExited);
    assert!(failure.message.starts_with("the step called process.exit(3)"), "{}", failure.message);
    failed(session.step(call("b.mjs")).await, FailureCode::SandboxCrashed);
    drop(session);
    assert_eq!(pool.stats().idle, 0);
    let mut session = pool.checkout(&program).await.unwrap();
    assert_eq!(value(&session.step(call("b.mjs")).await), 1);

    let failure = failed(
        run(&pool, "export default () => process.kill(process.pid, 'SIGKILL')").await,
        FailureCode::SandboxCrashed,
    );
    assert_eq!(failure.message, "the process that ran the step was ended by signal 9");
    let failure = failed(
        run(&pool, "export default () => process.reallyExit(9)").await,
        FailureCode::SandboxCrashed,
    );
    assert_eq!(failure.message, "the process that ran the step ended with exit code 9");
    let failure = failed(
        run(&pool, "export default () => process.abort()").await,
        FailureCode::SandboxCrashed,
    );
    assert!(failure.message.contains("signal 6"), "{}", failure.message);
}

#[tokio::test]
async fn what_libraries_expect_of_the_machine_is_there() {
    let pool = pool().await;
    let report = run(&pool, "import os from 'node:os'; import fs from 'node:fs'; import path from 'node:path';
      export default () => { fs.writeFileSync(path.join(os.tmpdir(), 'x'), 'y'); return {
        user: os.userInfo().username, home: os.homedir(), tmp: os.tmpdir(), host: os.hostname(), rss: process.memoryUsage().rss > 1e6,
        fast: process.memoryUsage.rss() > 1e6, cpus: os.cpus().length >= 0, exec: process.execPath, own: fs.readFileSync('step.mjs', 'utf8').length > 10,
        env: Object.keys(process.env).sort(), argv: process.argv.length, intl: new Intl.DateTimeFormat('de', { timeZone: 'Europe/Berlin' }).format(0) } }").await;
    assert_eq!(
        value(&report),
        json!({
            "user": "sandbox", "home": "/tmp", "tmp": "/tmp", "host": "sandbox", "rss": true, "fast": true, "cpus": true,
            "exec": "/bin/node", "own": true, "env": ["HOME", "LANG", "NODE_EXTRA_CA_CERTS", "PATH", "TMPDIR", "TZ", "USER"], "argv": 2, "intl": "1.1.1970",
        })
    );
}

#[tokio::test]
async fn files_that_lead_out_of_the_program_are_refused() {
    let pool = pool().await;
    for path in ["../x.mjs", "/etc/x", "a/../../x", "", "a//b", "a/./b", "a\0b", "x/"] {
        let refused = pool.checkout(&Arc::new(program(&[(path, "")]))).await;
        assert!(matches!(refused, Err(CheckoutError::Files(ArchiveError::Path(_)))), "{path}");
    }
    let twice = pool.checkout(&Arc::new(program(&[("a", ""), ("a", "")]))).await;
    assert!(matches!(twice, Err(CheckoutError::Files(ArchiveError::Twice(_)))));
    assert_eq!(pool.stats().live, 0);
}
