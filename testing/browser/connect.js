// The connect page in a real Chromium: as its customers meet it, alone on the page, in another
// site's frame and in a window, with a mouse and with a keyboard alone.
//
// Usage: node connect.js CHROMIUM USER_DATA_DIR PICTURES
// Reads one line of JSON: {"base": server, "apiKey": its API key, "appKey": a key that the demo app
// takes, "project": the key's project, "expired": a link whose time is over}. Prints what it has
// seen, and ends with 1 if something is wrong. The server has the apps `demo` (OAuth 2.0, API key,
// user name and password), `broken` (the same, but its token endpoint answers with a web page) and
// `oidc` (device flow), and belongs to `Ümlaut & Söhne`, whose accent is #ffd400 and whose corners
// are 20 px round.
//
// Host pages stand at `localhost`, the server at 127.0.0.1: to browsers these are different sites,
// so no cookie of the server reaches its page in a frame.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const [executablePath, userDataDir, pictures] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const line = await new Promise((resolve) => createInterface({ input: process.stdin }).once('line', resolve));
const { base, apiKey, appKey, project, expired } = JSON.parse(line);

// Whatever hangs although it should not, ends: also the browser's own end.
setTimeout(() => {
  console.log('wrong: the whole takes longer than four minutes');
  process.exit(1);
}, 240_000).unref();

const context = await chromium.launchPersistentContext(userDataDir, {
  executablePath,
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--test-third-party-cookie-phaseout',
  ],
  viewport: { width: 1280, height: 900 },
});
context.setDefaultTimeout(30_000);

// What our pages may never do: run against their own policy, or throw.
const complaints = [];
context.on('console', (message) => {
  if (message.type() === 'error' && /Content.Security.Policy|Trusted/i.test(message.text())) {
    complaints.push(message.text());
  }
});
context.on('weberror', (error) => complaints.push(String(error.error())));

/** A site of its own, with whatever pages it is given by path. */
const site = async (pages) => {
  const server = createServer((request, response) => {
    const page = pages[new URL(request.url, 'http://x').pathname];
    response.statusCode = page === undefined ? 404 : 200;
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page ?? 'nothing');
  });
  await new Promise((ready) => server.listen(0, 'localhost', ready));
  return { origin: `http://localhost:${server.address().port}`, pages };
};

/** A host page: it notes all that it is told, and all that connect.js passes on. */
const hostPage = (options) => `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Host</title>
<h1>Host</h1><button id="go">Connect an account</button><button id="other">Something else</button>
<script src="${base}/connect.js"></script>
<script>
  window.told = [];
  window.passed = [];
  addEventListener('message', (event) => told.push({ origin: event.origin, data: event.data }));
  const pass = (name) => (value) => passed.push(value === undefined ? [name] : [name, value]);
  document.getElementById('go').onclick = () => {
    window.handle = Causeway.connect({
      ...${JSON.stringify(options)},
      onSuccess: pass('success'), onError: pass('error'), onClose: pass('close'),
    });
  };
</script>`;

/** A host page made for the contract: a frame at the contract's address, and what it is told. */
const contractPage = (query) => `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Host</title><h1>Host</h1>
<script>
  window.told = [];
  const frame = document.createElement('iframe');
  frame.title = 'Connect';
  frame.style = 'position: fixed; inset: 0; width: 100%; height: 100%; border: 0';
  frame.src = ${JSON.stringify(`${base}/_static/connect.html?${new URLSearchParams(query)}`)};
  addEventListener('message', (event) => {
    told.push({ origin: event.origin, data: event.data });
    if (event.data.type === 'close') frame.remove();
  });
  document.body.append(frame);
</script>`;

const host = await site({});
const evil = await site({});

const ask = async (method, path, body) => {
  const answer = await fetch(`${base}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      'x-pd-environment': 'production',
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
};

const api = (method, path, body) => ask(method, `/api/v1/${path}`, body);
const contract = (method, path, body) => ask(method, `/v1/connect/${project}/${path}`, body);

/** What is noted here comes from other processes, so a little later than what it is about. */
const eventually = async (what, look) => {
  for (let at = 0; at < 500; at += 1) {
    const found = look();
    if (found) return found;
    await new Promise((later) => setTimeout(later, 20));
  }
  throw new Error(`${what}: never`);
};

/** That a page was not let into a frame, which the browser says once for each. */
const shutOut = () => eventually('a complaint about frame-ancestors', () => {
  const at = complaints.findIndex((text) => text.includes('frame-ancestors'));
  return at >= 0 && complaints.splice(at, 1);
});

const session = (more) => api('POST', 'connect-sessions', { customer: 'ada@acme.example', ...more });
const embeddable = (more) => session({ allowed_origins: [host.origin], ...more });

/** Looks with and without eyes, in light and dark, wide and narrow; leaves pictures. */
const look = async (page, name, frame = page) => {
  await frame.evaluate(axe);
  for (const [width, height] of [[1280, 900], [320, 640]]) {
    for (const shade of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: shade });
      await page.setViewportSize({ width, height });
      await page.screenshot({ path: `${pictures}/connect-${name}-${width}-${shade}.png`, fullPage: true });
      const { violations } = await frame.evaluate(() => globalThis.axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      }));
      const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(' ')}`);
      assert.deepEqual(found, [], `${name}, ${width}, ${shade}`);
      const wide = await frame.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${name} is ${wide} pixels wider than ${width}`);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize({ width: 1280, height: 900 });
  // A frame of another site is drawn by another process: what is clicked has to be where it is seen.
  for (const drawn of [page, frame]) {
    await drawn.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  }
};

const heading = (frame, name) => frame.getByRole('heading', { level: 1, name, exact: true }).waitFor();
const button = (frame, name) => frame.getByRole('button', { name, exact: true });
const focused = (frame) => frame.evaluate(() => document.activeElement?.name || document.activeElement?.textContent);

/** Presses what closes its own window or frame, which may be gone before the click is said to be over. */
const dismiss = (frame, name) => button(frame, name).click().catch((error) => {
  if (!/has been closed|detached/.test(error.message)) throw error;
});

/** A list of the host page's, once it has so many: messages come later than what they are about. */
const listed = async (page, list, count) => {
  await page.waitForFunction(([list, count]) => window[list].length >= count, [list, count]);
  return page.evaluate((list) => window[list], list);
};
const passed = (page, count) => listed(page, 'passed', count);

/** Does what leads to another page, and waits until that is loaded. */
const leads = (page, act) => Promise.all([page.waitForNavigation({ waitUntil: 'load' }), act()]);

/** Opens the window of an app from a frame's page, at the app's own page. */
const signIn = async (frame, name) => {
  const opening = context.waitForEvent('page');
  await button(frame, name).click();
  const popup = await opening;
  await popup.waitForURL(/oauth\/authorize/);
  return popup;
};

/** Opens a host page and its dialog; gives the connect page in it. */
const embed = async (page, options) => {
  host.pages['/'] = hostPage(options);
  await page.goto(`${host.origin}/`);
  await button(page, 'Connect an account').click();
  const element = await page.locator('iframe').elementHandle();
  return element.contentFrame();
};

const scenarios = {
  async 'a key is typed, mistyped first'(page) {
    const { id, connect_url } = await session({ app: 'demo' });
    await page.goto(connect_url);
    await heading(page, 'Connect Demo CRM');
    await look(page, 'ways');
    await page.getByLabel('API key').check();
    await button(page, 'Connect').click();
    const field = page.getByRole('textbox', { name: 'API key' });
    await page.getByText('API key is missing.').waitFor();
    assert.equal(await focused(page), 'api_key');
    assert.equal(await field.getAttribute('aria-invalid'), 'true');
    const described = await field.getAttribute('aria-describedby');
    const texts = await page.evaluate((ids) => ids.split(' ').map((id) => document.getElementById(id).textContent), described);
    assert.ok(texts.some((text) => text.includes('API key is missing.')), texts.join());
    await look(page, 'missing');
    await field.fill('wrong');
    await button(page, 'Connect').click();
    await page.getByRole('alert').waitFor();
    await look(page, 'refused');
    await field.fill(`  ${appKey} `);
    await button(page, 'Connect').click();
    await heading(page, 'Demo CRM is connected');
    assert.equal(await focused(page), 'Demo CRM is connected');
    await look(page, 'connected');
    assert.match((await api('GET', `connect-sessions/${id}`)).connection_id, /^conn_/);
    // The customer who loads the page again is told the same; whoever else has the link is not.
    await page.reload();
    await heading(page, 'Demo CRM is connected');
    await context.clearCookies();
    await page.reload();
    await page.getByRole('alert').waitFor();
    await look(page, 'over');
  },

  async 'a keyboard is enough'(page) {
    const { connect_url } = await session({ app: 'demo' });
    await page.goto(connect_url);
    await heading(page, 'Connect Demo CRM');
    await page.keyboard.press('Tab');
    const ways = await page.getByRole('radio').count();
    for (let at = 0; at < ways && !(await page.getByRole('radio', { name: 'API key' }).isChecked()); at += 1) {
      await page.keyboard.press('ArrowDown');
    }
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'api_key');
    const ring = await page.evaluate(() => getComputedStyle(document.activeElement.closest('.box')).outlineStyle);
    assert.equal(ring, 'solid');
    await page.keyboard.type('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    await page.getByRole('textbox', { name: 'API key' }).focus();
    await page.keyboard.press('Control+a');
    await page.keyboard.type(appKey);
    await page.keyboard.press('Enter');
    await heading(page, 'Demo CRM is connected');
  },

  async 'alone on the page, OAuth is a redirect'(page) {
    host.pages['/done'] = '<!doctype html><title>Back</title><h1>Back at the host</h1>';
    const { connect_url } = await session({ app: 'demo', return_url: `${host.origin}/done` });
    await page.goto(connect_url);
    await button(page, 'Continue to Demo CRM').click();
    await button(page, 'Connect').click();
    await heading(page, 'Back at the host');
    assert.equal(page.url(), `${host.origin}/done`);
  },

  async 'in a frame, OAuth is a window'(page) {
    const { id, connect_url } = await embeddable({ app: 'demo' });
    const frame = await embed(page, { url: connect_url });
    await heading(frame, 'Connect Demo CRM');
    await look(page, 'framed', frame);
    const opening = context.waitForEvent('page');
    await button(frame, 'Continue to Demo CRM').click();
    const popup = await opening;
    await heading(popup, 'Connect Demo CRM');
    await popup.waitForURL(/oauth\/authorize/);
    await heading(frame, 'Go on in the other window');
    await look(page, 'window', frame);
    await button(popup, 'Connect').click();
    await heading(popup, 'Connected');
    await heading(frame, 'Demo CRM is connected');
    const { connection_id } = await api('GET', `connect-sessions/${id}`);
    const result = { connectionId: connection_id, authProvisionId: connection_id.replace('conn_', 'apn_') };
    assert.deepEqual(await passed(page, 1), [['success', result]]);
    await popup.close();
    await dismiss(frame, 'Done');
    await page.locator('iframe').waitFor({ state: 'detached' });
    assert.deepEqual(await passed(page, 2), [['success', result], ['close']]);
    assert.equal(await focused(page), 'Connect an account', 'focus goes back to where it was');
  },

  async 'in a frame, who says no may try again'(page) {
    const { connect_url } = await embeddable({ app: 'demo' });
    const frame = await embed(page, { url: connect_url });
    for (const answer of ['Cancel', 'Connect']) {
      const popup = await signIn(frame, 'Continue to Demo CRM');
      await button(popup, answer).click();
      if (answer === 'Cancel') {
        await heading(frame, 'Demo CRM was not connected');
        await look(page, 'denied', frame);
        const [[name, error]] = await passed(page, 1);
        assert.deepEqual([name, error.code], ['error', 'authorization_refused']);
        await button(frame, 'Try again').click();
      } else {
        await heading(frame, 'Demo CRM is connected');
      }
      await popup.close();
    }
  },

  async 'in a frame without cookies, a second key is taken'(page) {
    const { connect_url } = await embeddable({ app: 'demo' });
    const token = connect_url.split('/').at(-1);
    const frame = await embed(page, { token, baseUrl: base });
    await frame.getByLabel('API key').check();
    const field = frame.getByRole('textbox', { name: 'API key' });
    await field.fill('wrong');
    await button(frame, 'Connect').click();
    await frame.getByRole('alert').waitFor();
    await field.fill(appKey);
    await button(frame, 'Connect').click();
    await heading(frame, 'Demo CRM is connected');
    await dismiss(frame, 'Done');
    await page.locator('iframe').waitFor({ state: 'detached' });
    // A link that is used up says so in the frame of another page, which does not have its proof.
    const again = await embed(await context.newPage(), { url: connect_url });
    await again.getByRole('alert').waitFor();
  },

  async 'Escape closes, in the frame and around it'(page) {
    const { connect_url } = await embeddable({ app: 'demo' });
    const frame = await embed(page, { url: connect_url });
    await heading(frame, 'Connect Demo CRM');
    // What is behind the dialog cannot be reached.
    for (let at = 0; at < 12; at += 1) {
      await page.keyboard.press('Tab');
      assert.notEqual(await page.evaluate(() => document.activeElement.id), 'other');
    }
    await frame.getByLabel('API key').check();
    // The key goes down in a frame that is gone before it comes up: nobody says that it did.
    page.keyboard.press('Escape').catch(() => {});
    await page.locator('iframe').waitFor({ state: 'detached' });
    assert.deepEqual(await passed(page, 1), [['close']]);
    assert.equal(await focused(page), 'Connect an account');
  },

  async 'as a window of the host page'(page) {
    const { connect_url } = await embeddable({ app: 'demo' });
    host.pages['/'] = hostPage({ url: connect_url, mode: 'popup' });
    await page.goto(`${host.origin}/`);
    const opening = context.waitForEvent('page');
    await button(page, 'Connect an account').click();
    const popup = await opening;
    await popup.getByLabel('API key').check();
    await popup.getByRole('textbox', { name: 'API key' }).fill(appKey);
    await button(popup, 'Connect').click();
    await heading(popup, 'Demo CRM is connected');
    await dismiss(popup, 'Done');
    assert.deepEqual((await passed(page, 2)).map(([name]) => name), ['success', 'close']);
  },

  async 'another device agrees'(page) {
    const { connect_url } = await session({ app: 'oidc' });
    await page.goto(connect_url);
    await page.getByLabel('Enter a code at OIDC Test').check();
    await button(page, 'Get a code').click();
    await heading(page, 'Enter this code at OIDC Test');
    await look(page, 'device');
    const code = await page.locator('.code strong').innerText();
    assert.match(code, /^[A-Z0-9]{4}-[A-Z0-9]{4}$/);
    await button(page, 'Copy the code').click();
    await page.getByText(/^Copied\.|The code is selected/).waitFor();
    // A customer who loads the page again has not lost the code.
    await page.reload();
    await page.getByText(code).waitFor();
    const link = page.getByRole('link', { name: /Open OIDC Test/ });
    const device = await context.newPage();
    await device.goto(await link.getAttribute('href'));
    const agree = device.getByRole('button', { name: /continue|submit/i });
    for (let steps = 0; !/sign-in success/i.test(await device.locator('body').innerText()); steps += 1) {
      assert.ok(steps < 8, 'the provider asks for ever');
      await leads(device, () => agree.first().click());
    }
    await device.close();
    await heading(page, 'OIDC Test is connected');
  },

  async 'the customer chooses the app'(page) {
    const { connect_url } = await session({});
    await page.goto(connect_url);
    await heading(page, 'Choose an app');
    await look(page, 'apps');
    await page.getByLabel('Search').fill('no such app anywhere');
    await page.getByText('No app has this name.').waitFor();
    await page.getByLabel('Search').fill('demo cr');
    await page.getByText('1 app', { exact: true }).waitFor();
    await page.getByRole('button', { name: /^Demo CRM/ }).click();
    await heading(page, 'Connect Demo CRM');
    await button(page, 'All apps').click();
    await heading(page, 'Choose an app');
    await page.getByLabel('Search').fill('demo cr');
    await page.getByRole('button', { name: /^Demo CRM/ }).click();
    await page.getByLabel('API key').check();
    await page.getByRole('textbox', { name: 'API key' }).fill(appKey);
    await button(page, 'Connect').click();
    await heading(page, 'Demo CRM is connected');
  },

  async 'a page of another origin learns nothing'(page) {
    const { connect_url } = await embeddable({ app: 'demo' });
    // It may not show the page in a frame: not alone, and not in a page of the host's.
    evil.pages['/'] = hostPage({ url: connect_url });
    await page.goto(`${evil.origin}/`);
    await button(page, 'Connect an account').click();
    const element = await page.locator('iframe').elementHandle();
    const frame = await element.contentFrame();
    await frame.waitForURL(/^chrome-error:/);
    await shutOut();
    host.pages['/evil'] = `<!doctype html><title>x</title><iframe src="${evil.origin}/inner"></iframe>`;
    evil.pages['/inner'] = `<!doctype html><title>x</title><iframe src="${connect_url}"></iframe>`;
    await page.goto(`${host.origin}/evil`);
    await page.frameLocator('iframe').frameLocator('iframe').locator('body').waitFor({ state: 'attached' });
    await shutOut();
    assert.ok(page.frames().every((one) => !one.url().startsWith(base)));
    // It may open the page as a window, which then says nothing to it.
    evil.pages['/'] = hostPage({ url: connect_url, mode: 'popup' });
    await page.goto(`${evil.origin}/`);
    const opening = context.waitForEvent('page');
    await button(page, 'Connect an account').click();
    const popup = await opening;
    await popup.getByLabel('API key').check();
    await popup.getByRole('textbox', { name: 'API key' }).fill(appKey);
    await button(popup, 'Connect').click();
    await heading(popup, 'Demo CRM is connected');
    assert.deepEqual(await page.evaluate(() => [window.told, window.passed]), [[], []]);
    await popup.close();
  },

  async 'connect.js believes the connect page alone'(page) {
    const { connect_url } = await embeddable({ app: 'demo' });
    const frame = await embed(page, { url: connect_url });
    await heading(frame, 'Connect Demo CRM');
    const forged = { type: 'success', connectionId: 'conn_forged', authProvisionId: 'conn_forged' };
    evil.pages['/forger'] = `<!doctype html><title>x</title><script>parent.postMessage(${JSON.stringify(forged)}, '*'); parent.postMessage({ type: 'close' }, '*')</script>`;
    await page.evaluate((src) => {
      const frame = document.createElement('iframe');
      frame.src = src;
      document.body.append(frame);
      window.postMessage({ type: 'close' }, '*');
    }, `${evil.origin}/forger`);
    await page.waitForFunction(() => window.told.filter(({ data }) => data.type === 'close').length === 2);
    assert.deepEqual(await passed(page, 0), []);
    // The page in the dialog is led elsewhere: what is there now is not believed either.
    await page.evaluate((src) => { document.querySelector('dialog iframe').src = src; }, `${evil.origin}/forger`);
    await page.waitForFunction(() => window.told.filter(({ data }) => data.type === 'close').length === 3);
    assert.deepEqual(await passed(page, 0), []);
  },

  async 'a session without origins is shown in no frame'(page) {
    const { connect_url } = await session({ app: 'demo' });
    const frame = await embed(page, { url: connect_url });
    await frame.waitForURL(/^chrome-error:/);
    await shutOut();
  },

  // What clients of the contract do: a frame at its address, and four messages.
  async 'a host page of the Pipedream contract'(page) {
    const { id } = await contract('POST', 'app_overrides', { app: 'demo', name: 'Ours', cfmap: { api_key: appKey } });
    const token = async () => (await contract('POST', 'tokens', { external_user_id: 'eve', allowed_origins: [host.origin] })).token;
    const show = async (query, at = host, on = page) => {
      at.pages['/'] = contractPage(query);
      await on.goto(`${at.origin}/`);
      return (await on.locator('iframe').elementHandle()).contentFrame();
    };
    const told = async (last) => {
      await page.waitForFunction((last) => window.told.at(-1)?.data.type === last, last);
      return page.evaluate(() => window.told.map(({ data }) => data).filter(({ type }) => type !== 'ready'));
    };
    const query = { token: await token(), app: 'demo', appOverrideId: id };
    const frame = await show(query);
    await heading(frame, 'Connect Demo CRM');
    const popup = await signIn(frame, 'Continue to Demo CRM');
    await button(popup, 'Cancel').click();
    await heading(frame, 'Demo CRM was not connected');
    const [failure, ...none] = await told('error');
    assert.deepEqual([typeof failure.error, none], ['string', []]);
    await popup.close();
    await button(frame, 'Try again').click();
    // The company's key is not asked for, and not shown.
    await frame.getByLabel('API key').check();
    assert.equal(await frame.getByRole('textbox').count(), 0);
    assert.ok(!(await frame.content()).includes(appKey));
    await look(page, 'filled-in', frame);
    await button(frame, 'Connect').click();
    await heading(frame, 'Demo CRM is connected');
    const { data: [account] } = await contract('GET', 'accounts?external_user_id=eve');
    assert.match(account.id, /^apn_/);
    assert.equal((await told('success')).at(-1).authProvisionId, account.id);
    await dismiss(frame, 'Done');
    await page.locator('iframe').waitFor({ state: 'detached' });
    await told('close');
    // A token that is used says so in the frame of another page, and a wrong address in any.
    await (await show(query, host, await context.newPage())).getByText('This link has been used').waitFor();
    await (await show({ token: await token(), app: 'nothing' })).getByRole('alert').waitFor();
    // A host page with a button of its own needs none of ours.
    const bare = await show({ token: await token(), app: 'demo', hideClose: 'true' });
    await heading(bare, 'Connect Demo CRM');
    assert.equal(await button(bare, 'Close').count(), 0);
    // Who is not named sees nothing and hears nothing.
    const shut = await show({ token: await token(), app: 'demo' }, evil);
    await shut.waitForURL(/^chrome-error:/);
    await shutOut();
    assert.deepEqual(await page.evaluate(() => window.told), []);
  },

  async 'less is granted than was asked for'(page) {
    const { id, connect_url } = await embeddable({ app: 'demo' });
    const frame = await embed(page, { url: connect_url });
    const popup = await signIn(frame, 'Continue to Demo CRM');
    await popup.locator('input[name=scope]').evaluate((input) => { input.value = 'crm.read'; });
    await button(popup, 'Connect').click();
    await popup.getByText('Not granted: crm.write').waitFor();
    await heading(frame, 'Demo CRM is connected');
    await frame.getByText('crm.write').waitFor();
    await look(page, 'less', frame);
    const { connection_id } = await api('GET', `connect-sessions/${id}`);
    assert.equal((await api('GET', `connections/${connection_id}`)).scopes, 'crm.read');
    await popup.close();
  },

  async 'the app answers with a web page'(page) {
    const { id, connect_url } = await embeddable({ app: 'broken' });
    const frame = await embed(page, { url: connect_url });
    const popup = await signIn(frame, 'Continue to Broken CRM');
    await button(popup, 'Connect').click();
    await popup.getByRole('alert').waitFor();
    await look(popup, 'web-page-plain');
    await heading(frame, 'Broken CRM was not connected');
    await look(page, 'web-page', frame);
    const [[name, error]] = await passed(page, 1);
    assert.deepEqual([name, error.code], ['error', 'authorization_refused']);
    assert.equal((await api('GET', `connect-sessions/${id}`)).connection_id, null);
    await popup.close();
  },

  async 'a link after its time'(page) {
    await page.goto(expired);
    await page.getByText('This link has expired.').waitFor();
    await look(page, 'expired');
  },

  async 'a link that is none'(page) {
    await page.goto(`${base}/connect/cwl_none`);
    await page.getByRole('alert').waitFor();
    await look(page, 'unknown');
  },

  async 'without scripts there is the plain page'() {
    const { connect_url } = await session({ app: 'demo' });
    const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
    const plain = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
    await plain.goto(connect_url);
    await plain.getByRole('link', { name: 'Go on without JavaScript' }).click();
    await plain.getByLabel(/^API key/).fill(appKey);
    await plain.locator('form', { has: plain.getByLabel(/^API key/) }).getByRole('button').click();
    await heading(plain, 'Connected');
    await browser.close();
  },

  // A yellow, which white text could not be read on.
  async 'the company\'s looks are worn'(page) {
    const { connect_url } = await session({ app: 'demo' });
    await page.goto(connect_url);
    await page.getByText('Ümlaut & Söhne').first().waitFor();
    const worn = await button(page, 'Continue to Demo CRM').evaluate((one) => {
      const { borderRadius, backgroundColor } = getComputedStyle(one);
      return { borderRadius, backgroundColor };
    });
    assert.equal(worn.borderRadius, '20px');
    const [red, green, blue] = worn.backgroundColor.match(/[0-9]+/g).map(Number);
    assert.ok(red > green && green > blue && blue === 0, worn.backgroundColor);
  },
};

/** Not every call of the browser has a time limit of its own. */
const late = (name) => new Promise((_, reject) => {
  setTimeout(() => reject(new Error(`${name} takes longer than a minute`)), 60_000).unref();
});

let failed = false;
for (const [name, scenario] of Object.entries(scenarios)) {
  const page = await context.newPage();
  const began = performance.now();
  try {
    await Promise.race([scenario(page), late(name)]);
    assert.deepEqual(complaints.splice(0), []);
    console.log(`ok: ${name} (${Math.round(performance.now() - began)} ms)`);
  } catch (error) {
    failed = true;
    console.log(`wrong: ${name}: ${error.stack}`);
    for (const frame of context.pages().flatMap((open) => open.frames())) {
      const text = await frame.locator('body').innerText({ timeout: 1000 }).catch(() => '');
      console.log(`--- ${new URL(frame.url()).origin}\n${text}`);
    }
    await page.screenshot({ path: `${pictures}/connect-failed.png` }).catch(() => {});
    break;
  }
  for (const open of context.pages().slice(1)) await open.close();
  complaints.length = 0;
}
await context.close();
process.exit(failed ? 1 : 0);
