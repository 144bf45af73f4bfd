// Watches what the code loads: network modules are prepared before the code gets them, and an
// error in the form of a file is given its place.
'use strict';

const { readFileSync } = require('fs');
const { registerHooks } = require('module');

/** Modules that open no connection and load none that does. */
const HARMLESS = new Set(['assert', 'assert/strict', 'async_hooks', 'buffer', 'console', 'constants',
  'crypto', 'diagnostics_channel', 'events', 'fs', 'fs/promises', 'module', 'os', 'path',
  'path/posix', 'perf_hooks', 'process', 'punycode', 'querystring', 'stream', 'stream/promises',
  'stream/consumers', 'string_decoder', 'timers', 'timers/promises', 'url', 'util', 'util/types',
  'v8', 'vm', 'zlib']);
const ROOT = 'file:///code/';
/** What components call their platform; it is part of the runner, whatever lies in the folder. */
const PLATFORM = '@pipedream/platform';
const PLATFORM_URL = 'file:///runner/platform/index.cjs';
/** The place that Node writes above a stack: the file, the line, and a mark below it. */
const PLACE = /^(?:file:\/\/)?\/code\/(.+):(\d+)\n(.*)\n([ \t]*)\^*/;
/** The same, of a text without a file. */
const PLACE_IN_INPUT = /^\[stdin\]:(\d+)\n(.*)\n([ \t]*)\^*/;
/** The files that were looked up last: one of them is being read when that fails. */
const last = [];
const MOST = 16;

function install(ensureNetwork) {
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === PLATFORM) return { url: PLATFORM_URL, format: 'commonjs', shortCircuit: true };
      const found = next(specifier, context);
      if (found.url.startsWith('node:')) {
        if (!HARMLESS.has(found.url.slice(5))) ensureNetwork();
      } else if (found.url.startsWith(ROOT)) {
        last.push(found.url);
        if (last.length > MOST) last.shift();
      }
      return found;
    },
  });
}

/** `file:line:column` and the line, of an error in the form of a file. */
function placeOf(error) {
  const found = PLACE.exec(String(error.stack));
  if (!found) return search(`SyntaxError: ${error.message}\n`);
  const [, file, line, text, before] = found;
  return place(file, line, text, before);
}

const place = (file, line, text, before) =>
  ({ where: `${file}:${line}:${before.length + 1}`, text: text.trim().slice(0, 200) });

/** For ES modules Node tells the place only when it prints the error: have it printed. */
function search(printed) {
  const { spawnSync } = require('child_process');
  const { fileURLToPath } = require('url');
  for (const url of last.toReversed()) {
    if (!/\.m?[jt]s$/.test(url)) continue;
    const { stderr } = spawnSync(process.execPath, ['--input-type=module', '--check', '-'], {
      input: sourceOf(fileURLToPath(url)),
      encoding: 'utf8',
      stdio: ['pipe', 'ignore', 'pipe'],
      timeout: 5000,
    });
    const found = PLACE_IN_INPUT.exec(stderr);
    if (!found || !stderr.includes(printed)) continue;
    const [, line, text, before] = found;
    return place(decodeURIComponent(url.slice(ROOT.length)), line, text, before);
  }
  return undefined;
}

/** The JavaScript of a file. */
function sourceOf(path) {
  const source = readFileSync(path, 'utf8');
  if (!path.endsWith('ts')) return source;
  const { stripTypeScriptTypes } = require('module');
  const { emitWarning } = process;
  process.emitWarning = () => {}; // that stripping is experimental does not concern the code
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}

module.exports = { install, placeOf, sourceOf };
