// Errors as the author of the code wants to see them.
'use strict';

const { placeOf } = require('./modules.cjs');

const ROOT = /(?:file:\/\/)?\/code\//g;
const LONGEST = 4000;
const MOST_CAUSES = 4;

/** Errors that came out of loading a module. */
const SYNTAX = {
  loading: new WeakSet(),
  mark(error) {
    if (typeof error === 'object' && error !== null) this.loading.add(error);
    return error;
  },
};

/** What the report says of whatever was thrown. */
function describe(error, origin) {
  if (!isError(error)) {
    const { inspect } = require('util');
    const shown = inspect(error, { depth: 2, breakLength: Infinity }).slice(0, LONGEST);
    return { code: 'user_error', message: `threw a non-Error: ${shown}` };
  }
  const code = failureCode(error);
  let message = headline(error);
  const place = code === 'syntax_error' && error instanceof SyntaxError ? placeOf(error) : undefined;
  if (place) message = `${place.where}: ${message}\n  ${place.text}`;
  const seen = new Set([error]);
  for (let cause = error.cause, count = 0; cause !== undefined && count < MOST_CAUSES; count++) {
    if (seen.has(cause)) break;
    seen.add(cause);
    message += `; caused by ${isError(cause) ? headline(cause) : String(cause)}`;
    cause = isError(cause) ? cause.cause : undefined;
  }
  if (origin === 'unhandledRejection') message += ' (a promise was rejected and nothing handled it)';
  message += hint(code);
  return { code, message: clip(message), stack: stackOf(error) };
}

const isError = (value) => value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';

function headline(error) {
  if (error.failure) return String(error.message);
  const text = String(error.message ?? '').replace(ROOT, '');
  return `${error.name ?? 'Error'}: ${text}`;
}

function failureCode(error) {
  if (error.failure) return error.failure;
  for (let each = error, count = 0; isError(each) && count < MOST_CAUSES; each = each.cause, count++) {
    if (each.code === 'ENOSPC' || each.code === 'EFBIG') return 'disk_limit';
    if (each.code === 'EAGAIN' && /^(spawn|fork|uv_)/.test(String(each.syscall))) return 'process_limit';
    if (each.code === 'ERR_WORKER_INIT_FAILED' && /EAGAIN/.test(each.message)) return 'process_limit';
    if (each.code === 'ERR_MEMORY_ALLOCATION_FAILED' || each.code === 'ERR_WORKER_OUT_OF_MEMORY') return 'memory_limit';
    if (each instanceof RangeError && /allocation failed/i.test(each.message)) return 'memory_limit';
  }
  if (SYNTAX.loading.has(error) && (error instanceof SyntaxError || /^ERR_(MODULE|UNSUPPORTED|INVALID_TYPESCRIPT|UNKNOWN_FILE|PACKAGE|UNKNOWN_BUILTIN|REQUIRE)|^MODULE_NOT_FOUND$/.test(String(error.code)))) {
    return 'syntax_error';
  }
  return 'user_error';
}

function hint(code) {
  switch (code) {
    case 'disk_limit':
      return ': the temporary disk is full; raise `limits.disk_mib` in workflow.yaml';
    case 'process_limit':
      return ': the sandbox may have no more processes; raise `limits.processes` in workflow.yaml';
    case 'memory_limit':
      return ': the sandbox may have no more memory; raise `limits.memory_mib` in workflow.yaml';
    default:
      return '';
  }
}

/** The stack with the frames of the code's own files, their paths below the program. */
function stackOf(error) {
  let stack;
  try {
    stack = String(error.stack);
  } catch {
    return undefined;
  }
  const first = stack.search(/\n\s+at /);
  const head = first < 0 ? stack : stack.slice(0, first);
  const frames = first < 0 ? [] : stack.slice(first + 1).split('\n');
  const own = frames.filter((frame) => /[/(\s]\/code\/|file:\/\/\/code\//.test(frame));
  return clip([head, ...own].join('\n').replace(ROOT, ''));
}

const clip = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);

module.exports = { describe, SYNTAX };
