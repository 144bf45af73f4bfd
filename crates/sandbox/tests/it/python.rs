//! The contract of a step's code in Python.

use crate::support::*;
use causeway_sandbox::*;
use causeway_types::SecretBytes;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn a_handler_gets_its_members_and_gives_results() {
    let pool = pool().await;
    let code = "\
from .helper import more
from lib import helper

def handler(pd):
    pd.export('count', len(pd.event['items']))
    pd.export('nothing', None)
    return {
        'helped': more(pd.steps['first']['$return_value']) + helper.more(0),
        'tokens': [each['crm']['$auth']['token'] for each in (pd.connections, pd.inputs)],
        'trigger': pd.steps['trigger']['event'] == pd.event,
        'context': pd.context,
    }
";
    let program = Arc::new(program_for(
        Runtime::Python,
        &[("lib/lookup.py", code), ("lib/helper.py", "def more(value):\n    return value + 1\n")],
    ));
    let mut session = pool.checkout(&program).await.unwrap();
    let mut call = call("lib/lookup.py");
    call.event = Arc::from(raw(r#"{"items":[1,2,3]}"#));
    call.steps = raw(r#"{"first":{"$return_value":41}}"#);
    call.connections = SecretBytes::new(br#"{"crm":{"$auth":{"token":"t0k3n"}}}"#.to_vec());
    call.context = json!({ "workflow_id": "wf_1" });
    call.attempt = 3;
    let invocation = call.invocation.to_string();
    let report = session.step(call).await;
    let got = value(&report);
    assert_eq!(got["helped"], 43);
    assert_eq!(got["tokens"], json!(["t0k3n", "t0k3n"]));
    assert_eq!(got["trigger"], true);
    let context = &got["context"];
    assert_eq!(context["workflow_id"], "wf_1");
    assert_eq!(context["invocation_id"], invocation);
    assert_eq!((&context["step"], &context["attempt"]), (&json!("lookup"), &json!(3)));
    assert_eq!(context["idempotency_key"], "key-1");
    assert!(context["deadline"].as_i64().unwrap() > 1_700_000_000_000);
    let usage = report.usage;
    let success = report.outcome.unwrap();
    assert_eq!(success.exports["count"].get(), "3");
    assert_eq!(success.exports["nothing"].get(), "null");
    assert!(success.respond.is_none() && success.exit.is_none());
    assert!(usage.cpu.as_micros() > 0 && usage.peak_memory_bytes > 2 << 20, "{usage:?}");
}

#[tokio::test]
async fn handlers_may_be_async_and_sandboxes_are_kept() {
    let pool = pool().await;
    let program = Arc::new(program_for(
        Runtime::Python,
        &[(
            "step.py",
            "import asyncio\nn = 0\nasync def handler(pd):\n    global n\n    await asyncio.sleep(0)\n    n += 1\n    return n\n",
        )],
    ));
    for n in 1..=2 {
        let mut session = pool.checkout(&program).await.unwrap();
        assert_eq!(value(&session.step(call("step.py")).await), n);
    }
    let stats = pool.stats_of(Runtime::Python);
    assert_eq!((stats.started, stats.warm_hits, stats.idle), (1, 1, 1));
    assert_eq!(pool.stats_of(Runtime::Node), PoolStats::default());
}

#[tokio::test]
async fn one_version_has_a_sandbox_for_each_of_its_runtimes() {
    let pool = pool().await;
    let node = program(&[("a.mjs", "export default () => 1"), ("b.py", "handler = lambda pd: 2")]);
    let python =
        Program { runtime: Runtime::Python, files: Arc::clone(&node.files), ..program(&[]) };
    let python = Program { key: node.key, ..python };
    let (node, python) = (Arc::new(node), Arc::new(python));
    for _ in 0..2 {
        let mut session = pool.checkout(&node).await.unwrap();
        assert_eq!(value(&session.step(call("a.mjs")).await), 1);
        drop(session);
        let mut session = pool.checkout(&python).await.unwrap();
        assert_eq!(value(&session.step(call("b.py")).await), 2);
    }
    let stats = pool.stats();
    assert_eq!((stats.live, stats.idle, stats.started, stats.warm_hits), (2, 2, 2, 2));
    pool.evict(node.key.version).await;
    assert_eq!(pool.stats().live, 0);
}

#[tokio::test]
async fn a_handler_answers_the_request_and_ends_the_workflow() {
    let pool = pool().await;
    let code = "def handler(pd):
    pd.respond({'status': 201, 'headers': {'X-One': 'a', 'set-cookie': ['b=1', 'c=2']}, 'body': {'ok': True}})
    return pd.flow.exit('nothing to do')";
    let success = run_python(&pool, code).await.outcome.unwrap();
    assert_eq!(success.return_value.get(), "null");
    assert_eq!(success.exit.as_deref(), Some("nothing to do"));
    let respond = success.respond.unwrap();
    assert_eq!((respond.status, respond.body.as_slice()), (201, br#"{"ok":true}"#.as_slice()));
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
    let code = "def handler(pd):\n    pd.respond({'body': bytes([0, 255, 10])})";
    let respond = run_python(&pool, code).await.outcome.unwrap().respond.unwrap();
    assert_eq!((respond.status, respond.body.as_slice()), (200, [0_u8, 255, 10].as_slice()));
    for bad in [
        "{'status': 99}",
        "{'headers': {'a b': 'x'}}",
        "{'headers': {'a': 'x\\r\\ny: z'}}",
        "{'headers': {'Content-Length': 1}}",
        "7",
    ] {
        let code = format!("def handler(pd):\n    pd.respond({bad})");
        let failure = failed(run_python(&pool, &code).await, FailureCode::UserError);
        assert!(failure.message.contains("pd.respond("), "{bad}: {}", failure.message);
    }
}

#[tokio::test]
async fn an_error_shows_the_authors_own_frames() {
    let pool = pool().await;
    let code = "import json
def inner():
    json.loads('{')
def handler(pd):
    try:
        inner()
    except ValueError as error:
        raise TypeError('boom /code/step.py') from error";
    let failure = failed(run_python(&pool, code).await, FailureCode::UserError);
    assert_eq!(
        failure.message,
        "TypeError: boom step.py; caused by JSONDecodeError: Expecting property name enclosed in \
         double quotes: line 1 column 2 (char 1)"
    );
    assert_eq!(
        failure.stack.unwrap(),
        "Traceback (most recent call last):
  File \"step.py\", line 8, in handler
    raise TypeError('boom /code/step.py') from error
TypeError: boom step.py"
    );
    for (code, message) in [
        ("def handler(pd):\n    raise KeyError", "KeyError"),
        ("def handler(pd):\n    raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def handler(pd):\n    pd.steps['no']", "KeyError: 'no'"),
        (
            "def handler():\n    pass",
            "TypeError: handler() takes 0 positional arguments but 1 was given",
        ),
        ("async def handler(pd):\n    raise OSError(5, 'x')", "OSError: [Errno 5] x"),
        ("raise ValueError('at the top')", "ValueError: at the top"),
        ("x = 1", "step.py has no `handler`: write def handler(pd): …"),
        ("handler = 7", "step.py has a `handler` of type int: write def handler(pd): …"),
    ] {
        let failure = failed(run_python(&pool, code).await, FailureCode::UserError);
        assert_eq!(failure.message, message, "{code}");
    }
    assert_eq!(pool.stats().live, pool.stats().idle, "these leave their sandboxes clean");
}

#[tokio::test]
async fn code_that_does_not_load_says_where_at_check_and_run() {
    let pool = pool().await;
    let uses = "import os\nfrom lib import bad\ndef handler(pd): return bad.x";
    for (files, message) in [
        (
            &[("step.py", "a = 1\nb = = 2\ndef handler(pd): return a")][..],
            "step.py:2:5: SyntaxError: invalid syntax\n  b = = 2",
        ),
        (
            &[("step.py", uses), ("lib/bad.py", "def f(:\n  pass")],
            "lib/bad.py:1:7: SyntaxError: invalid syntax\n  def f(:",
        ),
        (
            &[("step.py", "def handler(pd):\nreturn 1")],
            "step.py:2:1: IndentationError: expected an indented block after function definition on line 1\n  return 1",
        ),
        (
            &[("step.py", "return 1")],
            "step.py:1:1: SyntaxError: 'return' outside function\n  return 1",
        ),
    ] {
        let program = Arc::new(program_for(Runtime::Python, files));
        let mut session = pool.checkout(&program).await.unwrap();
        let failure = session.check(&["step.py".to_owned()]).await.unwrap_err();
        assert_eq!((failure.code, failure.message.as_str()), (FailureCode::SyntaxError, message));
        let failure = failed(session.step(call("step.py")).await, FailureCode::SyntaxError);
        assert_eq!(failure.message, message);
    }
    let missing = &[("step.py", "import json, left_pad\ndef handler(pd): pass")];
    let mut session =
        pool.checkout(&Arc::new(program_for(Runtime::Python, missing))).await.unwrap();
    let failure = session.check(&["step.py".to_owned()]).await.unwrap_err();
    assert_eq!(failure.message, "step.py:1:1: ModuleNotFoundError: No module named 'left_pad'");
    let failure = failed(session.step(call("step.py")).await, FailureCode::SyntaxError);
    assert_eq!(failure.message, "ModuleNotFoundError: No module named 'left_pad'");
}

#[tokio::test]
async fn checking_runs_nothing_of_the_code() {
    let pool = pool().await;
    let forever = "while True:\n    pass\n";
    for files in [
        &[("step.py", forever)][..],
        &[("step.py", "import sys\nsys.exit(1)")],
        &[("step.py", "import top\ndef handler(pd): pass"), ("top.py", forever)],
        &[("step.py", "try:\n    import left_pad\nexcept ImportError:\n    left_pad = None")],
        &[("step.py", "from . import top\nfrom .top import x"), ("top.py", forever)],
        &[("a b/#ü.py", "")],
    ] {
        let program = Arc::new(program_for(Runtime::Python, files));
        let mut session = pool.checkout(&program).await.unwrap();
        assert_eq!(session.check(&[files[0].0.to_owned()]).await, Ok(()), "{files:?}");
    }
}

#[tokio::test]
async fn what_json_cannot_hold_is_named_by_its_place() {
    let pool = pool().await;
    for (code, message) in [
        ("return {'a': [1, {'f': print}]}", "$return_value.a[1].f is a builtin_function_or_method"),
        (
            "return {'s': {1}}",
            "$return_value.s is a set, which JSON cannot hold: convert it with list()",
        ),
        ("import datetime; return [datetime.date.today()]", "$return_value[0] is a date"),
        ("a = {}; a['b'] = [a]; return a", "contains itself"),
        ("return float('nan')", "$return_value is nan, which JSON cannot hold"),
        ("return {(1, 2): 3}", "$return_value has a key of type tuple"),
        ("pd.export('rows', [b'x'])", "rows[0] is a bytes"),
        (
            "import functools; return functools.reduce(lambda a, _: [a], range(101), 1)",
            "nested deeper than 100 levels",
        ),
        (
            "import functools; return functools.reduce(lambda a, _: [a], range(100000), 1)",
            "nested deeper than 100 levels",
        ),
    ] {
        let code = format!("def handler(pd):\n    {code}");
        let failure = failed(run_python(&pool, &code).await, FailureCode::ExportsNotJson);
        assert!(failure.message.contains(message), "{code}: {}", failure.message);
    }
    let kept = run_python(
        &pool,
        "handler = lambda pd: {'t': (1, 2.5), 'k': {1: None}, 's': '\\u2028\\ud800'}",
    )
    .await;
    assert_eq!(
        kept.outcome.unwrap().return_value.get(),
        "{\"t\":[1,2.5],\"k\":{\"1\":null},\"s\":\"\u{2028}\\ud800\"}"
    );
}

#[tokio::test]
async fn what_is_printed_is_kept_in_order_and_by_stream() {
    let pool = pool().await;
    let code = "import logging, os, sys
def handler(pd):
    print('one', {'a': 1}); print('two', file=sys.stderr); sys.stdout.write('three '); print('four')
    print('five\\nsix'); logging.getLogger('x').warning('seven\\neight'); sys.stdout.buffer.write(b'nine\\n')
    sys.stdout.close(); print('ten'); sys.stdout.write('end'); os.write(2, b'native\\n')";
    let report = run_python(&pool, code).await;
    let (native, lines): (Vec<_>, Vec<_>) = report
        .logs
        .iter()
        .map(|line| (line.stream, line.text.as_str()))
        .partition(|(_, text)| *text == "native");
    assert_eq!(native, [(LogStream::Stderr, "native")]);
    assert_eq!(
        lines,
        [
            (LogStream::Stdout, "one {'a': 1}"),
            (LogStream::Stderr, "two"),
            (LogStream::Stdout, "three four"),
            (LogStream::Stdout, "five\nsix"),
            (LogStream::Stderr, "seven\neight"),
            (LogStream::Stdout, "nine"),
            (LogStream::Stdout, "ten"),
            (LogStream::Stdout, "end"),
        ]
    );
}

#[tokio::test]
async fn what_a_step_leaves_running_does_not_disturb_the_next() {
    let pool = pool().await;
    let program = Arc::new(program_for(
        Runtime::Python,
        &[
            (
                "timer.py",
                "import os, signal\ndef handler(pd):\n    signal.signal(signal.SIGALRM, lambda *_: print('from before'))\n    signal.setitimer(signal.ITIMER_REAL, 0.02)\n    return os.getpid()",
            ),
            (
                "child.py",
                "import os\ndef handler(pd):\n    if os.fork() == 0:\n        import time\n        time.sleep(60)\n    return os.getpid()",
            ),
            (
                "next.py",
                "import os, time\ndef handler(pd):\n    time.sleep(0.05)\n    return os.getpid()",
            ),
        ],
    ));
    let mut session = pool.checkout(&program).await.unwrap();
    let first = value(&session.step(call("timer.py")).await);
    let report = session.step(call("next.py")).await;
    assert_eq!((value(&report), logged(&report)), (first.clone(), vec![]), "the timer has stopped");
    let report = session.step(call("child.py")).await;
    assert_eq!(logged(&report), ["the step left processes running: they were ended with it"]);
    assert_eq!(value(&report), first);
    assert!(!session.is_spent());
    drop(session);
    assert_eq!(pool.stats().idle, 1, "the sandbox has no process but its own");
}

#[tokio::test]
async fn a_sandbox_in_which_a_thread_goes_on_is_not_used_again() {
    let pool = pool().await;
    for start in [
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "global kept; kept = concurrent.futures.ThreadPoolExecutor(1); kept.submit(int)",
    ] {
        let code = format!(
            "import concurrent.futures, threading, time\ndef handler(pd):\n    {start}\n    return 1"
        );
        let program = Arc::new(program_for(Runtime::Python, &[("step.py", &code)]));
        let mut session = pool.checkout(&program).await.unwrap();
        let report = session.step(call("step.py")).await;
        assert_eq!(value(&report), 1, "the step itself has succeeded");
        assert_eq!(
            logged(&report),
            ["the step left a thread running: the sandbox ends with it; join them to keep it"]
        );
        assert!(session.is_spent());
        drop(session);
        assert_eq!(pool.stats().live, 0, "{start}");
    }
    let joined = "from concurrent.futures import ThreadPoolExecutor\ndef handler(pd):\n    with ThreadPoolExecutor(4) as pool:\n        return sum(pool.map(int, '1234'))";
    assert_eq!(value(&run_python(&pool, joined).await), 10);
    assert_eq!(pool.stats().idle, 1);
}

#[tokio::test]
async fn ending_the_process_is_named_and_ends_the_sandbox() {
    let pool = pool().await;
    for (code, failure_code, message) in [
        (
            "sys.exit(3)",
            FailureCode::ProcessExited,
            "the step called sys.exit(3): return from the function, or raise, instead",
        ),
        (
            "sys.exit()",
            FailureCode::ProcessExited,
            "the step called sys.exit(): return from the function, or raise, instead",
        ),
        (
            "os._exit(9)",
            FailureCode::SandboxCrashed,
            "the process that ran the step ended with exit code 9",
        ),
        (
            "os.kill(os.getpid(), 9)",
            FailureCode::SandboxCrashed,
            "the process that ran the step was ended by signal 9",
        ),
        (
            "os.abort()",
            FailureCode::SandboxCrashed,
            "the process that ran the step was ended by signal 6",
        ),
    ] {
        let code = format!("import os, sys\ndef handler(pd):\n    print('bye')\n    {code}");
        let report = run_python(&pool, &code).await;
        assert_eq!(logged(&report), ["bye"]);
        assert_eq!(failed(report, failure_code).message, message);
        assert_eq!(pool.stats().live, 0);
    }
}

#[tokio::test]
async fn the_standard_library_is_there() {
    let pool = pool().await;
    let code = "import bz2, ctypes, datetime, decimal, hashlib, lzma, os, sqlite3, ssl, sys, tempfile, uuid, zlib, zoneinfo
def handler(pd):
    with tempfile.NamedTemporaryFile() as file:
        file.write(b'x')
    return {
        'sqlite': sqlite3.connect(':memory:').execute('select 41 + 1').fetchone()[0],
        'sha': hashlib.sha256(b'').hexdigest()[:8],
        'zone': datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')).isoformat(),
        'roots': len(ssl.create_default_context().get_ca_certs()) > 50,
        'decimal': str(decimal.Decimal(1) / 3)[:5],
        'packed': zlib.decompress(zlib.compress(b'a')) + bz2.decompress(bz2.compress(b'b')) + lzma.decompress(lzma.compress(b'c')) == b'abc',
        'ctypes': ctypes.sizeof(ctypes.c_void_p),
        'uuid': len(str(uuid.uuid4())),
        'cwd': os.getcwd(), 'home': os.path.expanduser('~'), 'path': sys.path[-3:],
        'env': sorted(os.environ),
    }";
    let got = value(&run_python(&pool, code).await);
    assert_eq!(
        got,
        json!({
            "sqlite": 42, "sha": "e3b0c442", "zone": "2026-07-01T00:00:00+02:00", "roots": true,
            "decimal": "0.333", "packed": true, "ctypes": 8, "uuid": 36, "cwd": "/code",
            "home": "/tmp", "path": ["/code", "/code/python_modules", "/python_modules"],
            "env": [
                "AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "HOME", "LANG", "PATH", "REQUESTS_CA_BUNDLE",
                "SSL_CERT_FILE", "TMPDIR", "TZ", "USER",
            ],
        })
    );
}

#[tokio::test]
async fn a_step_named_like_a_module_is_in_nobodys_way() {
    let pool = pool().await;
    let files = [
        ("email.py", "import smtplib, email.message\ndef handler(pd): return __name__"),
        ("json.py", ""),
    ];
    let mut session = pool.checkout(&Arc::new(program_for(Runtime::Python, &files))).await.unwrap();
    assert_eq!(value(&session.step(call("email.py")).await), Value::from("step:email"));
}

#[tokio::test]
async fn modules_in_c_are_passed_over_for_those_in_python() {
    let pool = pool().await;
    let files = [
        ("step.py", "import both\ndef handler(pd): return both.x"),
        ("alone.py", "from packed import alone\ndef handler(pd): return alone"),
        ("python_modules/both.py", "x = 1"),
        ("python_modules/both.abi3.so", ""),
        ("python_modules/packed/alone.abi3.so", ""),
    ];
    let mut session = pool.checkout(&Arc::new(program_for(Runtime::Python, &files))).await.unwrap();
    assert_eq!(value(&session.step(call("step.py")).await), 1);
    let failure = failed(session.step(call("alone.py")).await, FailureCode::SyntaxError);
    assert_eq!(
        failure.message,
        "ImportError: packed.alone is a native module, which a sandbox does not load from the program's files"
    );
}
