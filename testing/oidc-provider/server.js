// A certified OpenID Connect provider on a free port of this machine, for Causeway's tests.
//
// Whoever it is told to be is signed in and consents without a page, because the tests are about
// what comes after. Refresh tokens rotate, a used one that comes again ends its grant, and PKCE is
// required.
//
// Whom it signs in next is told by `PUT /test/identity` with a JSON object: `sub`, `email`,
// `email_verified`, `name`, `hd` (Google's claim), `amr`, `acr`, and `age`, the seconds since they
// proved who they are; what is left out is Ada's.
//
// Usage: node server.js CLIENT_ID CLIENT_SECRET REDIRECT_URI[,REDIRECT_URI...]
// Prints its issuer as the first line. Stops when its standard input ends.

import { createServer } from 'node:http';
import process from 'node:process';
import { Provider, interactionPolicy } from 'oidc-provider';

// The provider's hints on its defaults; standard output is for the issuer alone.
console.info = console.error;

const [clientId, clientSecret, redirectUris] = process.argv.slice(2);
const ada = { sub: 'ada', email: 'ada@example.com', email_verified: true, name: 'Ada' };
// By subject; `next` is whom the next login is for.
const identities = new Map([[ada.sub, ada]]);
let next = ada;
const counts = { code: 0, refresh: 0, refreshErrors: 0, revokedGrants: 0, tokenRequests: 0 };

// Google's `prompt=select_account`: whoever is signed in is picked.
const policy = interactionPolicy.base();
policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0);

const server = createServer();
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: clientId,
    client_secret: clientSecret,
    redirect_uris: redirectUris.split(','),
    grant_types: [
      'authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code',
    ],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  cookies: { keys: ['for tests on this machine only'] },
  acrValues: ['urn:example:mfa'],
  // The first list is what an ID token has of itself; Google's has `hd`, and the address too.
  claims: {
    openid: ['sub', 'acr', 'amr', 'auth_time', 'hd'],
    email: ['email', 'email_verified'],
    profile: ['name'],
  },
  conformIdTokenClaims: false,
  features: {
    devInteractions: { enabled: false },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => {
      const { amr, acr, age, ...claims } = identities.get(id) ?? { sub: id };
      return claims;
    },
  }),
  interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: () => true,
  pkce: { required: () => true },
  rotateRefreshToken: () => true,
  ttl: {
    AccessToken: 3600,
    AuthorizationCode: 60,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 86400,
    Session: 3600,
  },
});

provider.on('grant.success', (ctx) => {
  counts[ctx.oidc.params.grant_type === 'refresh_token' ? 'refresh' : 'code'] += 1;
});
provider.on('grant.error', (ctx) => {
  if (ctx.oidc.params?.grant_type === 'refresh_token') counts.refreshErrors += 1;
});
provider.on('grant.revoked', () => { counts.revokedGrants += 1; });

// Signs the user in, picks or consents for her, whichever the provider asks for.
async function interact(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    const { sub, amr, acr, age = 0 } = next;
    const ts = Math.floor(Date.now() / 1000) - age;
    const login = { accountId: sub, amr, acr, ts };
    return provider.interactionFinished(request, response, { login });
  }
  if (prompt.name === 'select_account') {
    return provider.interactionFinished(request, response, { select_account: {} });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const grantId = await grant.save();
  return provider.interactionFinished(request, response, { consent: { grantId } });
}

// Reads whom to sign in next.
async function tell(request, response) {
  let body = '';
  for await (const chunk of request) body += chunk;
  next = { ...ada, ...JSON.parse(body) };
  identities.set(next.sub, next);
  response.statusCode = 204;
  response.end();
}

const handle = provider.callback();
server.on('request', (request, response) => {
  if (request.url === '/test/counts') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(counts));
    return;
  }
  if (request.method === 'PUT' && request.url === '/test/identity') {
    tell(request, response).catch((error) => {
      response.statusCode = 400;
      response.end(String(error));
    });
    return;
  }
  if (request.method === 'POST' && request.url === '/token') counts.tokenRequests += 1;
  if (request.url.startsWith('/interaction/')) {
    interact(request, response).catch((error) => {
      response.statusCode = 500;
      response.end(String(error));
    });
    return;
  }
  handle(request, response);
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
process.stdout.write(`${issuer}\n`);
