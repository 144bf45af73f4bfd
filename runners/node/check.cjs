// Reads a step's code as far as Node does before it runs it: every module that it imports is
// found, parsed and linked. None is evaluated.
'use strict';

const fs = require('fs');
const { createRequire, registerHooks } = require('module');
const { dirname, join } = require('path');
const { fileURLToPath } = require('url');
const { compileFunction } = require('vm');
const { sourceOf } = require('./modules.cjs');

const ROOT = '/code/';
/** What Node hands to a CommonJS module. */
const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];
const RELATIVE = /\brequire\s*\(\s*(['"])(\.{1,2}\/[^'"\n]+)\1\s*\)/g;
/** Modules are evaluated in the order of their imports, and the first failure ends that. */
const STOP = 'data:text/javascript,throw 0';

/** CommonJS modules, which Node parses only when it evaluates them. */
const parsed = new Set();
const found = [];

/** Throws what Node would throw on the way to the step's function. */
async function check(url) {
  const text = `import ${JSON.stringify(STOP)};import ${JSON.stringify(url)};`;
  try {
    await import(`data:text/javascript,${encodeURIComponent(text)}`);
  } catch (error) {
    if (error !== 0) throw error;
  }
  while (found.length > 0) parse(found.pop());
}

function parse(path) {
  if (parsed.has(path)) return;
  parsed.add(path);
  let source = sourceOf(path);
  if (source.startsWith('#!')) source = `//${source}`;
  compileFunction(source, PARAMETERS, { filename: path });
  const { resolve } = createRequire(path);
  for (const [, , specifier] of source.matchAll(RELATIVE)) {
    let file;
    try {
      file = resolve(specifier);
    } catch {
      continue; // the code may never get there, or expect it
    }
    if (file.startsWith(ROOT) && /\.c?[jt]s$/.test(file) && !isModule(file)) parse(file);
  }
}

/** Whether Node takes a file that is required for an ES module. */
function isModule(path) {
  if (/\.c[jt]s$/.test(path)) return false;
  const type = typeNear(path);
  return type ? type === 'module' : /^\s*(import|export)\b/m.test(fs.readFileSync(path, 'utf8'));
}

/** `type` of the nearest package.json. */
function typeNear(path) {
  for (let folder = dirname(path); folder.startsWith(ROOT.slice(0, -1)); folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, 'utf8')).type;
  }
  return undefined;
}

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (url.startsWith(`file://${ROOT}`) && /^commonjs/.test(loaded.format)) found.push(fileURLToPath(url));
    return loaded;
  },
});

module.exports = { check };
