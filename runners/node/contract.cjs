// The contract of a step's code: what it gets, what it may give, and how that is said.
'use strict';

/** Deepest nesting of a value that a step gives. The server refuses more. */
const DEEPEST = 100;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/; // RFC 9110 section 5.6.2
const FIELD = /^[\t\x20-\x7e\x80-\xff]*$/; // RFC 9110 section 5.5
/** Headers that belong to the connection, which the step does not have. */
const HOP = new Set(['connection', 'content-length', 'keep-alive', 'te', 'trailer',
  'transfer-encoding', 'upgrade']);

/** The longest wait that a step may ask for, in milliseconds: a year. */
const LONGEST_WAIT = 365 * 24 * 60 * 60 * 1000;
/** How often a step is run again unless it says so, and how often at most. */
const USUAL_RERUNS = 10;
const MOST_RERUNS = 1000;
/** How long a step waits to be resumed unless it says so: a day. */
const USUAL_SUSPENSION = 24 * 60 * 60 * 1000;

/** An error whose code the report carries. */
class StepError extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'StepError';
    Object.defineProperty(this, 'failure', { value: code });
  }
}

/** The function to call, of a loaded module. */
function stepFunction(entry, module) {
  let found = module.default;
  // CommonJS compiled from ES modules holds its default export one level down.
  if (typeof found === 'object' && found !== null && typeof found.default === 'function') found = found.default;
  if (typeof found === 'function') return found;
  const wanted = 'export default async ({ event, steps, $, connections }) => { … }';
  const what = found === undefined ? 'nothing' : `a value of type ${found === null ? 'null' : typeof found}`;
  throw new StepError('user_error', `${entry} has ${what} as its default export, not a function or a component (an object with \`run\`): write ${wanted}`);
}

/** What the function gets beside its data. */
function members(step, call) {
  const $ = {
    export(name, value) {
      if (typeof name !== 'string' || name === '' || name.length > 200 || name === '$return_value') {
        throw new TypeError('$.export(name, value): name must be a text of 1 to 200 characters, not `$return_value`');
      }
      step.exports.set(name, toJson(name, value));
    },
    respond(answer) {
      step.respond = checkRespond(answer);
    },
    flow: {
      exit(reason) {
        step.exit = reason === undefined ? '' : String(reason).slice(0, 1000);
        return undefined;
      },
      delay(ms) {
        return wait(step, call, 'delay', ms, false);
      },
      suspend(ms = USUAL_SUSPENSION) {
        return wait(step, call, 'suspend', ms, true);
      },
      rerun(ms, context = null, most = USUAL_RERUNS) {
        if (!Number.isInteger(most) || most < 0 || most > MOST_RERUNS) {
          throw new TypeError(`$.flow.rerun(ms, context, most): most must be a whole number from 0 to ${MOST_RERUNS}`);
        }
        const links = wait(step, call, 'rerun', ms, false);
        step.wait.rerun = { context: toJson('the context of $.flow.rerun', context), most };
        return links;
      },
    },
    context: {
      ...call.context,
      invocation_id: call.invocation_id,
      step: call.step,
      attempt: call.attempt,
      idempotency_key: call.idempotency_key,
      deadline: Date.now() + call.wall_ms,
    },
  };
  return { $ };
}

/** Notes that the invocation waits when the step has ended; gives the links that end the wait. */
function wait(step, call, name, ms, suspend) {
  if (typeof ms !== 'number' || !(ms >= 1 && ms <= LONGEST_WAIT)) {
    throw new TypeError(`$.flow.${name}(ms): ms must be a number from 1 to ${LONGEST_WAIT}, a year`);
  }
  if (!call.links.resume_url) {
    throw new Error(`$.flow.${name}() is for steps of workflows: what runs by itself cannot wait`);
  }
  step.wait = { ms: Math.ceil(ms), suspend };
  return { ...call.links };
}

/** The text of a result that succeeded. */
function success(step, value, limit) {
  const returned = value === undefined ? 'null' : toJson('$return_value', value);
  const parts = [];
  let size = Buffer.byteLength(returned);
  for (const [name, text] of step.exports) {
    size += Buffer.byteLength(text);
    parts.push(`${JSON.stringify(name)}:${text}`);
  }
  if (step.respond) size += step.respond.size;
  if (step.wait?.rerun) size += Buffer.byteLength(step.wait.rerun.context);
  if (size > limit) {
    throw new StepError('output_limit',
      `the step gives ${size} bytes of results, its limit is ${limit} bytes: raise \`limits.output_kib\` in ` +
      'workflow.yaml, or keep large data in a store and return a reference');
  }
  const respond = step.respond ? `,"respond":${step.respond.text}` : '';
  const exit = step.exit === undefined ? '' : `,"exit":${JSON.stringify(step.exit)}`;
  const waits = step.wait === undefined ? '' : `,"wait":${waitText(step.wait)}`;
  return `{"id":${step.id},"ok":{"value":${returned},"exports":{${parts.join(',')}}${respond}${exit}${waits}}}`;
}

function waitText({ ms, suspend, rerun }) {
  const again = rerun ? `,"rerun":{"context":${rerun.context},"most":${rerun.most}}` : '';
  return `{"ms":${ms},"suspend":${suspend}${again}}`;
}

/** The text of a result that failed. What was exported by then goes with it, as far as a result may. */
function failure(step, error, discard = false) {
  const text = JSON.stringify({ id: step.id, error, discard });
  const exports = [...step.exports].map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',');
  return exports && Buffer.byteLength(exports) <= step.limit ? `${text.slice(0, -1)},"exports":{${exports}}}` : text;
}

/** The same result, which also says that processes of the step go on. */
function withProcesses(text) {
  return `${text.slice(0, -1)},"left":true}`;
}

/** JSON of a value, or an error that names the place that JSON cannot hold. */
function toJson(name, value) {
  check(value, name, 0);
  let text;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new StepError('exports_not_json', `${name} cannot be written as JSON: ${error.message}`);
  }
  if (text === undefined) throw new StepError('exports_not_json', `${name} is ${typeof value}, which JSON cannot hold`);
  return text;
}

function check(value, path, depth) {
  switch (typeof value) {
    case 'function':
    case 'symbol':
      throw new StepError('exports_not_json', `${path} is a ${typeof value}, which JSON cannot hold`);
    case 'bigint':
      throw new StepError('exports_not_json', `${path} is a BigInt, which JSON cannot hold: convert it with String()`);
    case 'object':
      break;
    default:
      return;
  }
  if (value === null || typeof value.toJSON === 'function') return;
  if (depth >= DEEPEST) {
    throw new StepError('exports_not_json', `${shorten(path)} is nested deeper than ${DEEPEST} levels or contains itself`);
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) check(value[index], `${path}[${index}]`, depth + 1);
    return;
  }
  if (value instanceof Map || value instanceof Set) {
    throw new StepError('exports_not_json',
      `${path} is a ${value instanceof Map ? 'Map' : 'Set'}, which JSON cannot hold: convert it with ` +
      `${value instanceof Map ? 'Object.fromEntries()' : 'Array.from()'}`);
  }
  for (const key of Object.keys(value)) check(value[key], depth < 8 ? `${path}.${key}` : path, depth + 1);
}

const shorten = (path) => (path.length > 200 ? `${path.slice(0, 200)}…` : path);

function checkRespond(answer) {
  const bad = (why) => new TypeError(`$.respond({ status, headers, body }): ${why}`);
  if (typeof answer !== 'object' || answer === null) throw bad('takes an object');
  const { status = 200, headers = {}, body } = answer;
  if (!Number.isInteger(status) || status < 200 || status > 599) throw bad('status must be a number from 200 to 599');
  const list = [];
  for (const [name, given] of Object.entries(headers)) {
    if (!TOKEN.test(name)) throw bad(`${JSON.stringify(name)} is not a header name`);
    const lower = name.toLowerCase();
    if (HOP.has(lower)) throw bad(`the header ${lower} is set by the server`);
    for (const value of Array.isArray(given) ? given : [given]) {
      const text = String(value);
      if (!FIELD.test(text)) throw bad(`the value of ${lower} has a character that a header cannot hold`);
      list.push([lower, text.trim()]);
    }
  }
  let kind;
  let text;
  if (body === undefined || body === null) {
    text = '';
  } else if (typeof body === 'string') {
    text = body;
    kind = 'text/plain; charset=utf-8';
  } else if (ArrayBuffer.isView(body) || body instanceof ArrayBuffer) {
    const bytes = ArrayBuffer.isView(body) ? Buffer.from(body.buffer, body.byteOffset, body.byteLength) : Buffer.from(body);
    return pack(status, list, 'application/octet-stream', { base64: bytes.toString('base64') }, bytes.length);
  } else {
    text = toJson('$.respond body', body);
    kind = 'application/json';
  }
  return pack(status, list, kind, { text }, Buffer.byteLength(text));
}

function pack(status, headers, kind, body, size) {
  if (kind && !headers.some(([name]) => name === 'content-type')) headers.push(['content-type', kind]);
  return { size, text: JSON.stringify({ status, headers, body }) };
}

const NEVER_SETTLES = {
  code: 'user_error',
  message: 'the step never ends: it awaits a promise that nothing is left to settle',
};
const exited = (code) => ({
  code: 'process_exited',
  message: `the step called process.exit(${String(code).slice(0, 20)}): return from the function, or throw, instead`,
});

module.exports = { StepError, stepFunction, members, success, failure, withProcesses, NEVER_SETTLES, exited };
