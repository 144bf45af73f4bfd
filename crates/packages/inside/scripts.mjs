// Runs the install scripts that a workflow allows, on a copy of its packages, and gives the files that
// they have made or changed.
import { spawn } from 'node:child_process';
import { chmodSync, cpSync, lstatSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const FROM = '/node_modules';
const TO = '/tmp/work/node_modules';
const EVENTS = ['preinstall', 'install', 'postinstall'];
/** What is kept of what a script prints. */
const SAID = 4000;

export default async function ({ event }) {
  mkdirSync('/tmp/work');
  cpSync(FROM, TO, { recursive: true });
  for (const { path, stat } of walk(TO)) if (stat.isFile()) chmodSync(path, 0o644);
  for (const { name, place } of event.packages) {
    const folder = join(TO, place);
    const { version, scripts = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    for (const stage of EVENTS) {
      if (typeof scripts[stage] !== 'string') continue;
      const { code, said } = await run(scripts[stage], folder, { name, version, stage });
      if (code !== 0) return { failed: `${name} (${stage}): ended with ${code}: ${said}` };
    }
  }
  return changes(event.most);
}

function run(script, cwd, { name, version, stage }) {
  const { promise, resolve } = Promise.withResolvers();
  const env = {
    PATH: '/bin', HOME: '/tmp', TMPDIR: '/tmp', LANG: 'C.UTF-8', INIT_CWD: '/tmp/work',
    NODE_OPTIONS: '--require=/code/way.cjs', NODE_EXTRA_CA_CERTS: '/code/roots.pem',
    npm_lifecycle_event: stage, npm_lifecycle_script: script, npm_package_name: name,
    npm_package_version: version, npm_node_execpath: process.execPath,
  };
  const child = spawn('/bin/sh', ['-c', script], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-SAID)));
  }
  child.on('error', (error) => resolve({ code: String(error), said }));
  child.on('close', (code, signal) => resolve({ code: code ?? signal, said }));
  return promise;
}

/** Every entry below a folder. */
function* walk(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stat = lstatSync(path);
    yield { path, stat };
    if (stat.isDirectory()) yield* walk(path);
  }
}

/** Regular files that differ from what was there. What else scripts leave, such as links, is left out. */
function changes(most) {
  const files = {};
  let size = 0;
  for (const { path, stat } of walk(TO)) {
    if (!stat.isFile()) continue;
    const place = path.slice(TO.length + 1);
    const contents = readFileSync(path);
    const old = before(join(FROM, place));
    if (old && contents.equals(old)) continue;
    size += contents.length;
    if (size > most) return { failed: `they write more than ${most} bytes` };
    files[place] = contents.toString('base64');
  }
  return { files };
}

function before(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
