// Has npm choose packages for what a workflow asks for, and gives the lock that npm writes. Nothing is
// installed: npm reads what the registry says about packages.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const FOLDER = '/tmp/work';
/** What is kept of what npm prints. */
const SAID = 8000;

export default async function ({ event }) {
  mkdirSync(FOLDER);
  writeFileSync(`${FOLDER}/package.json`, JSON.stringify(event.manifest));
  const settings = ['--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund', '--omit=dev',
    '--no-update-notifier', '--lockfile-version=3', '--fetch-retries=1', '--loglevel=error',
    '--cache=/tmp/cache', '--userconfig=/tmp/no-user', '--globalconfig=/tmp/no-global',
    `--registry=${event.registry}`];
  if (event.before) settings.push(`--before=${event.before}`);
  const { code, said } = await run(['--require', '/code/way.cjs', event.npm, 'install', ...settings]);
  return { code, said, lock: code === 0 ? readFileSync(`${FOLDER}/package-lock.json`, 'utf8') : '' };
}

function run(words) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: '/code/roots.pem' };
  const child = spawn(process.execPath, words, { cwd: FOLDER, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-SAID)));
  }
  child.on('error', reject).on('close', (code, signal) => resolve({ code: code ?? signal, said }));
  return promise;
}
