// Watches what the code loads: network modules are prepared before the code gets them, and an
// error in the form of a file is given its place.
'use strict';

const { registerHooks } = require('module');

/** Modules that open no connection and load none that does. */
const HARMLESS = new Set(['assert', 'assert/strict', 'async_hooks', 'buffer', 'console', 'constants',
  'crypto', 'diagnostics_channel', 'events', 'fs', 'fs/promises', 'module', 'os', 'path',
  'path/posix', 'perf_hooks', 'process', 'punycode', 'querystring', 'stream', 'stream/promises',
  'stream/consumers', 'string_decoder', 'timers', 'timers/promises', 'url', 'util', 'util/types',
  'v8', 'vm', 'zlib']);
const ROOT = 'file:///code/';
/** The place that Node writes above a stack: the file, the line, and a mark below it. */
const PLACE = /^(?:file:\/\/)?\/code\/(.+):(\d+)\n(.*)\n([ \t]*)\^*/;
/** The file that was looked up last: the one whose text is being read when that fails. */
let last;

function install(ensureNetwork) {
  registerHooks({
    resolve(specifier, context, next) {
      const found = next(specifier, context);
      if (found.url.startsWith('node:')) {
        if (!HARMLESS.has(found.url.slice(5))) ensureNetwork();
      } else if (found.url.startsWith(ROOT)) {
        last = found.url;
      }
      return found;
    },
  });
}

/** `file:line:column` and the line, of an error in the form of a file. */
function placeOf(error) {
  const found = PLACE.exec(String(error.stack)) ?? PLACE.exec(check());
  if (!found) return undefined;
  const [, file, line, text, before] = found;
  return { where: `${file}:${line}:${before.length + 1}`, text: text.trim().slice(0, 200) };
}

/** For ES modules Node tells the place only when it prints the error: have it printed. */
function check() {
  if (!last) return '';
  const { spawnSync } = require('child_process');
  const { fileURLToPath } = require('url');
  const checked = spawnSync(process.execPath, ['--check', fileURLToPath(last)], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 5000,
  });
  return checked.stderr ?? '';
}

module.exports = { install, placeOf };
