// Timers that a step leaves running end with it. Those that do not keep a process alive (unref)
// are kept: they belong to libraries, for connections that are kept open.
'use strict';

const builtin = require('timers');
const { custom } = require('util').promisify;

/** @type {Set<NodeJS.Timeout | NodeJS.Immediate>} */
const started = new Set();
let worthPruning = 1024;

const stop = { setTimeout: clearTimeout, setInterval: clearInterval, setImmediate: clearImmediate };

for (const name of ['setTimeout', 'setInterval', 'setImmediate']) {
  const start = builtin[name];
  const tracked = {
    [name](callback, ...rest) {
      const timer = start(callback, ...rest);
      started.add(timer);
      if (started.size > worthPruning) prune();
      return timer;
    },
  }[name];
  if (start[custom]) Object.defineProperty(tracked, custom, { enumerable: true, value: start[custom] });
  builtin[name] = tracked;
  globalThis[name] = tracked;
}

function prune() {
  for (const timer of started) if (timer._destroyed) started.delete(timer);
  worthPruning = Math.max(1024, started.size * 2);
}

/** Ends what the step has left. */
function clear() {
  if (started.size === 0) return;
  for (const timer of started) {
    if (timer.hasRef()) {
      if (timer.constructor.name === 'Immediate') stop.setImmediate(timer);
      else stop.setTimeout(timer);
    }
  }
  started.clear();
}

module.exports = { clear };
