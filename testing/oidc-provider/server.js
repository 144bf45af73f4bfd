// A certified OpenID Connect provider on a free port of this machine, for Causeway's tests.
//
// Its one user is signed in and consents without a page, because the tests are about what comes
// after. Refresh tokens rotate, a used one that comes again ends its grant, and PKCE is required.
//
// Usage: node server.js CLIENT_ID CLIENT_SECRET REDIRECT_URI
// Prints its issuer as the first line. Stops when its standard input ends.

import { createServer } from 'node:http';
import process from 'node:process';
import { Provider } from 'oidc-provider';

// The provider's hints on its defaults; standard output is for the issuer alone.
console.info = console.error;

const [clientId, clientSecret, redirectUri] = process.argv.slice(2);
const counts = { code: 0, refresh: 0, refreshErrors: 0, revokedGrants: 0, tokenRequests: 0 };

const server = createServer();
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: clientId,
    client_secret: clientSecret,
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  cookies: { keys: ['for tests on this machine only'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: 'ada@example.com', email_verified: true, name: 'Ada' }),
  }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
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

// Signs the user in, or consents for her, whichever the provider asks for.
async function interact(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: 'ada' } });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const grantId = await grant.save();
  return provider.interactionFinished(request, response, { consent: { grantId } });
}

const handle = provider.callback();
server.on('request', (request, response) => {
  if (request.url === '/test/counts') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(counts));
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
