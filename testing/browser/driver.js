// A real Chromium for Causeway's tests, told what to do line by line.
//
// Usage: node driver.js CHROMIUM USER_DATA_DIR
// Reads commands as JSON lines, {"do": NAME, ...}, and answers each with one: {"ok": RESULT} or
// {"error": TEXT}. Things are found as people find them: by role and name, or by label. Stops when
// its standard input ends.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const PATIENCE = 30_000;
const WINDOW = { width: 1280, height: 900 };
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const [executablePath, userDataDir] = process.argv.slice(2);
const context = await chromium.launchPersistentContext(userDataDir, {
  executablePath,
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
  viewport: WINDOW,
});
context.setDefaultTimeout(PATIENCE);
const page = context.pages()[0] ?? await context.newPage();

// What a page of ours may never do: fail to load something, or run against its own policy.
const complaints = [];
page.on('console', (message) => {
  if (message.type() === 'error' && /Content.Security.Policy/i.test(message.text())) {
    complaints.push(message.text());
  }
});
page.on('pageerror', (error) => complaints.push(String(error)));

const found = ({ role, name, label }) => {
  const all = label === undefined
    ? page.getByRole(role, { name, exact: true })
    : page.getByLabel(label, { exact: true });
  return all.filter({ visible: true });
};

// Does what leads to another page, and waits until that is loaded.
const leads = async (act) => {
  await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), act()]);
};

const commands = {
  async open({ url }) {
    await page.goto(url);
  },
  async click(command) {
    await leads(() => found(command).click());
  },
  async fill(command) {
    await found(command).fill(command.value);
  },
  async press({ key }) {
    await page.keyboard.press(key);
  },
  async enter() {
    await leads(() => page.keyboard.press('Enter'));
  },
  async unfold({ name }) {
    await page.locator('summary').getByText(name, { exact: true }).click();
  },
  // Where it is and what it says.
  async page() {
    return { url: page.url(), text: await page.locator('body').innerText() };
  },
  async focused() {
    return page.evaluate(() => document.activeElement?.textContent?.trim() ?? '');
  },
  async cookies() {
    return context.cookies();
  },
  // Sends a form from whatever page stands here, as its own script would.
  async postFromHere({ action }) {
    await leads(() => page.evaluate((action) => {
      const form = document.createElement('form');
      form.method = 'post';
      form.action = action;
      document.body.append(form);
      form.submit();
    }, action));
  },
  // A picture of the page, and what WCAG 2.2 level AA and the page's own policy have against it.
  async picture({ path, width, height, dark }) {
    await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
    await page.setViewportSize({ width, height });
    await page.screenshot({ path, fullPage: true });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    await page.setViewportSize(WINDOW);
    await page.emulateMedia({ colorScheme: null });
    return {
      width: wide,
      complaints: [
        ...complaints.splice(0),
        ...violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(' ')}`),
      ],
    };
  },
};

const answer = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
answer({ ok: context.browser()?.version() ?? 'started' });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    answer({ ok: (await commands[command.do](command)) ?? null });
  } catch (error) {
    answer({ error: String(error) });
  }
}
await context.close();
process.exit(0);
