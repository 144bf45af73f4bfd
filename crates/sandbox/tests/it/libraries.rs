//! What people use to call apps, unmodified, on the hosts that it has built in: with a placeholder
//! through the broker, and with the credential itself where requests are signed.
//!
//! The stand-ins answer as the vendors' documentation shows, and only if the placeholder stands
//! where it does there:
//! - <https://docs.github.com/en/rest/users/users#get-the-authenticated-user>
//! - <https://docs.slack.dev/reference/methods/auth.test>
//! - <https://docs.stripe.com/api/balance/balance_retrieve>
//! - <https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets.values/get>
//! - <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>

use crate::egress::{Server, modules, serve};
use crate::python_egress::packages;
use crate::support::*;
use bytes::Bytes;
use causeway_net::{AllowedRange, Guard, GuardConfig, SystemResolver};
use causeway_sandbox::*;
use causeway_types::SecretBytes;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// What stands for a token of every vendor.
const PLACEHOLDER: &str = "cwp_placeholder_of_the_account";
const S3: &str = "bucket.s3.eu-central-1.amazonaws.com";

/// The vendors.
#[derive(Default)]
struct Vendors {
    seen: Mutex<Vec<String>>,
}

impl Apps for Vendors {
    fn claim(&self, host: &str, port: u16) -> Claim {
        match (host, port) {
            ("api.github.com" | "slack.com" | "api.stripe.com" | "sheets.googleapis.com", 443) => {
                Claim::Brokered { in_clear: false }
            }
            (S3, 443) => Claim::Exposed,
            _ => Claim::None,
        }
    }

    fn send(self: Arc<Self>, request: AppRequest) -> AppFuture {
        Box::pin(async move {
            let (head, _) = request.request.into_parts();
            let credential = head.headers.get("authorization").and_then(|v| v.to_str().ok());
            // GitHub's documentation allows either word.
            let is_there = credential.is_some_and(|text| {
                text == format!("Bearer {PLACEHOLDER}") || text == format!("token {PLACEHOLDER}")
            });
            let at = format!("{} {}", head.method, head.uri);
            self.seen.lock().unwrap().push(at.clone());
            let answer = match at.as_str() {
                _ if !is_there => None,
                "GET https://api.github.com:443/user" => Some(json!({ "login": "octocat" })),
                "POST https://slack.com:443/api/auth.test" => {
                    Some(json!({ "ok": true, "team": "Acme", "user": "bot", "user_id": "U1" }))
                }
                "GET https://api.stripe.com:443/v1/balance" => Some(
                    json!({ "object": "balance", "livemode": false, "available": [], "pending": [] }),
                ),
                "GET https://sheets.googleapis.com:443/v4/spreadsheets/s1/values/A1%3AB1" => Some(
                    json!({ "range": "Sheet1!A1:B1", "majorDimension": "ROWS", "values": [["a", "b"]] }),
                ),
                _ => None,
            };
            let (status, body) =
                answer.map_or((401, json!({ "message": at })), |answer| (200, answer));
            let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {});
            let response = http::Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(body.boxed_unsync())
                .unwrap();
            Ok(AppAnswer { response, upgraded: None })
        })
    }
}

/// Leads the host of an exposed account to a server.
struct ToServer {
    guard: Guard,
    port: u16,
}

impl Egress for ToServer {
    fn connect<'a>(&'a self, request: EgressRequest<'a>) -> EgressFuture<'a> {
        Box::pin(async move {
            request.check_rules()?;
            assert_eq!((request.host, request.port), (S3, 443));
            Ok(self.guard.connect("127.0.0.1", self.port).await.unwrap())
        })
    }
}

async fn call_vendors(
    runtime: Runtime,
    code: &str,
    files: Vec<SourceFile>,
    server: &Server,
) -> (Value, Vec<String>) {
    let allow = vec![AllowedRange::single([127, 0, 0, 1].into(), server.secure)];
    let guard = Guard::new(GuardConfig { allow, ..GuardConfig::default() }, SystemResolver);
    let egress = Arc::new(ToServer { guard, port: server.secure });
    let pool = Pool::new(config(), egress).await.unwrap();
    let entry = if runtime == Runtime::Node { "step.mjs" } else { "step.py" };
    let mut program = program_for(runtime, &[(entry, code)]);
    Arc::make_mut(&mut program.files).extend(files);
    program.limits.memory_bytes = 512 << 20;
    let mut session = pool.checkout(&Arc::new(program)).await.unwrap();
    let vendors = Arc::new(Vendors::default());
    let mut call = call(entry);
    call.apps = Some(vendors.clone());
    call.event = Arc::from(raw(&json!({ "ca": server.ca }).to_string()));
    let account = json!({ "app": { "$auth": { "oauth_access_token": PLACEHOLDER } } });
    call.connections = SecretBytes::new(account.to_string().into_bytes());
    let report = session.step(call).await;
    let seen = std::mem::take(&mut *vendors.seen.lock().unwrap());
    (value(&report), seen)
}

#[tokio::test]
async fn the_vendors_own_libraries_for_node_take_a_placeholder() {
    let code = r"
import axios from 'axios'; import { request, fetch as theirs } from 'undici'; import { Octokit } from '@octokit/rest';
import { WebClient } from '@slack/web-api'; import Stripe from 'stripe'; import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const { sheets } = require('googleapis/build/src/apis/sheets'); const { OAuth2Client } = require('google-auth-library');
export default async ({ connections }) => {
  const token = connections.app.$auth.oauth_access_token;
  const headers = { authorization: `Bearer ${token}` };
  const url = 'https://api.github.com/user';
  const google = new OAuth2Client(); google.setCredentials({ access_token: token });
  const asked = await Promise.all([
    axios.get(url, { headers }).then((r) => [r.status, r.data.login]),
    fetch(url, { headers }).then(async (r) => [r.status, (await r.json()).login]),
    theirs(url, { headers }).then(async (r) => [r.status, (await r.json()).login]),
    request(url, { headers }).then(async (r) => [r.statusCode, (await r.body.json()).login]),
    new Octokit({ auth: token }).rest.users.getAuthenticated().then((r) => [r.status, r.data.login]),
    new WebClient(token).auth.test().then((r) => [r.ok && 200, r.team]),
    new Stripe(token).balance.retrieve().then((r) => [r.lastResponse.statusCode, r.object]),
    sheets({ version: 'v4', auth: google }).spreadsheets.values.get({ spreadsheetId: 's1', range: 'A1:B1' }).then((r) => [r.status, r.data.values[0][1]]),
  ]);
  return Object.fromEntries(['axios', 'fetch', 'undiciFetch', 'undici', 'octokit', 'slack', 'stripe', 'googleapis'].map((name, i) => [name, asked[i]]));
};";
    let (got, seen) = call_vendors(Runtime::Node, code, modules(), &serve(S3).await).await;
    let github = json!([200, "octocat"]);
    assert_eq!(
        got,
        json!({
            "axios": github, "fetch": github, "undiciFetch": github, "undici": github, "octokit": github,
            "slack": [200, "Acme"], "stripe": [200, "balance"], "googleapis": [200, "b"],
        })
    );
    assert_eq!(seen.len(), 8, "{seen:?}");
}

#[tokio::test]
async fn pythons_libraries_take_a_placeholder_and_boto3_the_keys_themselves() {
    let code = r"
import asyncio, boto3, httpx, requests
from botocore.config import Config

async def later(url, headers):
    async with httpx.AsyncClient() as client:
        answer = await client.get(url, headers=headers)
        return [answer.status_code, answer.json()['login']]

def handler(pd):
    headers = {'authorization': 'Bearer ' + pd.connections['app']['$auth']['oauth_access_token']}
    url = 'https://api.github.com/user'
    by_requests = requests.get(url, headers=headers)
    by_httpx = httpx.get(url, headers=headers)
    with open('/tmp/ca.pem', 'w') as file:
        file.write(pd.event['ca'])
    client = boto3.client('s3', region_name='eu-central-1', aws_access_key_id='AKIAEXAMPLE', aws_secret_access_key='secret', verify='/tmp/ca.pem')
    stored = client.get_object(Bucket='bucket', Key='a/key')
    return {
        'requests': [by_requests.status_code, by_requests.json()['login']],
        'httpx': [by_httpx.status_code, by_httpx.json()['login']],
        'later': asyncio.run(later(url, headers)),
        'boto3': [stored['ResponseMetadata']['HTTPStatusCode'], stored['Body'].read().decode()],
    }
";
    let brought = packages(&[
        "requests",
        "urllib3",
        "certifi",
        "charset_normalizer",
        "idna",
        "httpx",
        "httpcore",
        "h11",
        "anyio",
        "typing_extensions.py",
        "boto3",
        "botocore",
        "s3transfer",
        "jmespath",
        "dateutil",
        "six.py",
    ]);
    let (got, seen) = call_vendors(Runtime::Python, code, brought, &serve(S3).await).await;
    let github = json!([200, "octocat"]);
    for key in ["requests", "httpx", "later"] {
        assert_eq!(got[key], github, "{key}");
    }
    assert_eq!(got["boto3"][0], 200);
    let stored = got["boto3"][1].as_str().unwrap();
    assert!(stored.contains("GET /a/key HTTP/1.1") && stored.contains(S3), "{stored}");
    assert_eq!(seen.len(), 3, "the exposed account is not the broker's: {seen:?}");
}
