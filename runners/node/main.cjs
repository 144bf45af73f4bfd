// The runner: the program inside the sandbox. It reads one call at a time from the inherited
// socket, runs the step's code, and writes what became of it. Between calls it sleeps in read(),
// so nothing that an earlier step left behind runs while no step does.
//
// A frame is 4 bytes of length (big-endian), 1 byte of kind, and as many bytes as the length says.
// From the server: S, a call, which may say what to do with a component; C, files to be read as a call
// would and not run. From here: H, ready;
// O and E, printed text; R, the result of either.
'use strict';

const fs = require('fs');
const { AsyncLocalStorage } = require('async_hooks');
const { readSync, writeSync } = fs;
const { reallyExit, _kill } = process;
const later = setImmediate;
const contract = require('./contract.cjs');
const egress = require('./egress.cjs');
const { describe, SYNTAX } = require('./errors.cjs');

/** The inherited socket. */
const SOCKET = 3;
const HEADER = 5;
const CHECK = 'C'.charCodeAt(0);

/**
 * @typedef {object} Running A step that has been called.
 * @property {number} id
 * @property {boolean} settled
 * @property {Map<string, string>} exports JSON by name
 * @property {number} limit The most bytes of a result
 * @property {object | undefined} respond
 * @property {string | undefined} exit
 * @property {{ ms: number, suspend: boolean, rerun?: { context: string, most: number } } | undefined} wait
 */

/** Tells which step a callback belongs to. */
const scope = new AsyncLocalStorage();
/** @type {Running | undefined} */
let running;
/** Functions and components by file. @type {Map<string, Function | object>} */
const entries = new Map();
let inbox = Buffer.allocUnsafeSlow(64 << 10);

/** Writes a frame; blocks while the server does not read. */
function send(kind, text) {
  const size = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(HEADER + size);
  frame.writeUInt32BE(size, 0);
  frame[4] = kind.charCodeAt(0);
  frame.write(text, HEADER, size, 'utf8');
  for (let sent = 0; sent < frame.length; ) sent += writeSync(SOCKET, frame, sent);
}

/** Waits for the next call. The server never sends one before the last has been answered. */
function receive() {
  let held = 0;
  for (;;) {
    if (held >= HEADER) {
      const whole = HEADER + inbox.readUInt32BE(0);
      if (held >= whole) {
        const text = inbox.toString('utf8', HEADER, whole);
        const work = inbox[4] === CHECK ? check : run;
        // Calls carry credentials: the buffer does not keep them.
        inbox.fill(0, 0, whole);
        if (inbox.length > 1 << 20) inbox = Buffer.allocUnsafeSlow(64 << 10);
        return { work, call: JSON.parse(text) };
      }
      if (inbox.length < whole) {
        const larger = Buffer.allocUnsafeSlow(whole);
        inbox.copy(larger, 0, 0, held);
        inbox.fill(0);
        inbox = larger;
      }
    }
    const count = readSync(SOCKET, inbox, held, inbox.length - held, null);
    if (count === 0) reallyExit(0);
    held += count;
  }
}

const urlOf = (entry) => 'file:///code/' + entry.split('/').map(encodeURIComponent).join('/');

/** Read when the first component comes, which most steps are not. */
const components = () => require('./component.cjs');

/** Loads a step's function, or its component. */
async function load(entry) {
  const known = entries.get(entry);
  if (known) return known;
  let module;
  try {
    module = await import(urlOf(entry));
  } catch (error) {
    throw SYNTAX.mark(error);
  }
  const isPlain = typeof module.default === 'function';
  const found = (isPlain ? undefined : components().find(module)) ?? contract.stepFunction(entry, module);
  entries.set(entry, found);
  return found;
}

async function run(call, step) {
  try {
    const code = await load(call.entry);
    const { $ } = contract.members(step, call);
    const { event, steps, connections } = call;
    const value = typeof code === 'function' && !call.component
      ? await code({ event, steps, $, connections })
      : await components().perform(code, $, call);
    settle(step, () => contract.success(step, value, call.output_bytes));
  } catch (error) {
    settle(step, () => contract.failure(step, describe(error)));
  }
}

/** Reads the files of steps and runs none. */
async function check(call, step) {
  try {
    const reader = require('./check.cjs');
    for (const entry of call.entries) {
      await reader.check(urlOf(entry)).catch((error) => {
        throw SYNTAX.mark(error);
      });
    }
    settle(step, () => contract.success(step, undefined, call.output_bytes));
  } catch (error) {
    settle(step, () => contract.failure(step, describe(error)));
  }
}

/** Ends a step, once. The answer is sent when the promises rejected meanwhile have been heard. */
function settle(step, answer) {
  if (step.settled) return;
  step.settled = true;
  later(() => {
    let text;
    try {
      text = step.fatal ?? answer();
    } catch (error) {
      text = contract.failure(step, describe(error));
    }
    running = undefined;
    timers.clear();
    if (leavesProcesses()) text = contract.withProcesses(text);
    send('R', text);
    next();
  });
}

/** Whether a process runs beside this one and PID 1: signal 0 to everybody else finds somebody. */
function leavesProcesses() {
  return _kill(-1, 0) === 0;
}

function next() {
  const { work, call } = receive();
  // The files are there since the call is; the directory that was here before lies below them.
  if (call.id === 1) process.chdir('/code');
  running = {
    id: call.id,
    settled: false,
    exports: new Map(),
    limit: call.output_bytes,
    respond: undefined,
    exit: undefined,
    wait: undefined,
    fatal: undefined,
  };
  scope.run(running, work, call, running);
}

/** An error that no code of the step caught: it ends the step, and the sandbox with it. */
function uncaught(error, origin) {
  const step = scope.getStore() ?? running;
  if (!step || step !== running) return; // of a step that has ended
  step.fatal ??= contract.failure(step, describe(error, origin), true);
  settle(step, () => step.fatal);
}

process.on('uncaughtException', uncaught);
process.on('unhandledRejection', (reason) => uncaught(reason, 'unhandledRejection'));
process.on('beforeExit', () => {
  if (!running) return;
  const step = running;
  settle(step, () => contract.failure(step, contract.NEVER_SETTLES));
});
process.exit = (code) => {
  const step = scope.getStore() ?? running;
  if (step && step === running) {
    send('R', contract.failure(step, contract.exited(code ?? process.exitCode ?? 0), true));
  }
  reallyExit(0);
};

const timers = require('./timers.cjs');
require('./output.cjs').install((kind, text) => {
  // What a step prints after it has ended belongs to nobody: it might be another's data.
  if (running && (scope.getStore() ?? running) === running) send(kind, text);
});
require('./machine.cjs');
egress.install();
require('./modules.cjs').install(egress.ensure);
// Components may be written inside one of these, for their author's editor.
for (const name of ['defineComponent', 'defineApp', 'defineAction', 'defineSource']) {
  globalThis[name] = (value) => value;
}

send('H', '');
next();
