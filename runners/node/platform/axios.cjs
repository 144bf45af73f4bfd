// `axios(context, config)`: one request, whose answer's body comes back. The configuration is that of
// the npm package axios; what sends it is Node's fetch.
'use strict';

const { cloneSafe } = require('./json.cjs');

const FORM = 'application/x-www-form-urlencoded';
const BODYLESS = new Set(['GET', 'HEAD']);
/** Longest part of an answer that an error's message holds, in characters. */
const LONGEST = 2000;

/** An answer that is none to be content with, or no answer. */
class RequestError extends Error {
  constructor(message, config, more) {
    super(message, more.cause && { cause: more.cause });
    this.name = 'AxiosError';
    this.isAxiosError = true;
    this.code = more.code;
    if (more.response) {
      this.response = more.response;
      this.status = more.response.status;
    }
    Object.defineProperty(this, 'config', { value: config });
  }
}

/**
 * Sends a request. Of the answer it gives the body, or with `returnFullResponse` all. If the answer's
 * status is not good, the error's message is the answer's body, and the answer is exported as `debug`.
 */
async function axios(context, given, signal) {
  const config = without(given);
  let response;
  try {
    response = await send(config, signal);
  } catch (cause) {
    if (cause instanceof RequestError) throw cause;
    const code = cause.name === 'TimeoutError' ? 'ECONNABORTED' : cause.cause?.code ?? cause.code;
    const why = code === 'ECONNABORTED' ? `timeout of ${config.timeout}ms exceeded` : cause.cause?.message ?? cause.message;
    throw new RequestError(why, config, { cause, code });
  }
  const { validateStatus = (status) => status >= 200 && status < 300 } = config;
  const good = validateStatus === null || validateStatus(response.status);
  if (!good || config.debug) show(context, response);
  if (!good) throw new RequestError(wordsOf(response), config, { response, code: response.status < 500 ? 'ERR_BAD_REQUEST' : 'ERR_BAD_RESPONSE' });
  return config.returnFullResponse ? response : response.data;
}

/** The same with parts of the configuration said beforehand. */
axios.create = (before = {}) => {
  const prepared = (context, config, signal) => axios(context, merge(before, config), signal);
  prepared.create = (more) => axios.create(merge(before, more));
  return prepared;
};

const merge = (before, config = {}) => ({
  ...before,
  ...config,
  headers: { ...before.headers, ...config.headers },
  params: { ...before.params, ...config.params },
});

/** A configuration without what is undefined. */
function without(config) {
  const plain = (value) => typeof value === 'object' && value !== null
    && [Object.prototype, null].includes(Object.getPrototypeOf(value));
  const clean = (value) =>
    (plain(value) ? Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) : value);
  const { headers, params, data, ...rest } = clean(config);
  const kept = { ...rest, headers: clean(headers ?? {}), params: clean(params ?? {}) };
  if (data !== undefined) kept.data = clean(data);
  return kept;
}

async function send(config, signal) {
  const method = (config.method ?? 'GET').toUpperCase();
  const headers = new Headers();
  for (const [name, value] of Object.entries(config.headers)) {
    if (value !== null && value !== false) headers.set(name, Array.isArray(value) ? value.join(', ') : String(value));
  }
  if (!headers.has('accept')) headers.set('accept', 'application/json, text/plain, */*');
  if (config.auth) {
    const { username = '', password = '' } = config.auth;
    headers.set('authorization', `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`);
  }
  const body = BODYLESS.has(method) ? undefined : bodyOf(config.data, headers);
  const signals = [signal, config.signal, config.timeout > 0 ? AbortSignal.timeout(config.timeout) : undefined];
  const heard = signals.filter(Boolean);
  const answer = await fetch(urlOf(config), {
    method,
    headers,
    body,
    duplex: 'half',
    redirect: config.maxRedirects === 0 ? 'manual' : 'follow',
    signal: heard.length > 0 ? AbortSignal.any(heard) : undefined,
  });
  return {
    data: await dataOf(answer, config.responseType),
    status: answer.status,
    statusText: answer.statusText,
    headers: Object.fromEntries(answer.headers),
    config,
  };
}

/** The whole URL. Parameters that stand in it come first. */
function urlOf({ baseURL, url = '', params, paramsSerializer }) {
  const isWhole = /^[a-z][a-z\d+.-]*:\/\//i.test(url);
  const target = new URL(baseURL && !isWhole ? `${baseURL.replace(/\/+$/, '')}/${url.replace(/^\/+/, '')}` : url);
  const serialize = typeof paramsSerializer === 'function' ? paramsSerializer : paramsSerializer?.serialize;
  if (serialize) {
    const more = serialize(params);
    if (more) target.search += `${target.search ? '&' : ''}${more}`;
  } else {
    const pairs = params instanceof URLSearchParams ? params : pairsOf(params);
    for (const [name, value] of pairs) target.searchParams.append(name, value);
  }
  return target;
}

/** Names and values, those of lists and objects under `name[]` and `name[key]`. */
function* pairsOf(values) {
  for (const [name, value] of Object.entries(values ?? {})) yield* pairOf(name, value);
}

function* pairOf(name, value) {
  if (value === undefined || value === null) return;
  if (value instanceof Date) yield [name, value.toISOString()];
  else if (Array.isArray(value)) for (const one of value) yield* pairOf(`${name}[]`, one);
  else if (typeof value === 'object') for (const [key, one] of Object.entries(value)) yield* pairOf(`${name}[${key}]`, one);
  else yield [name, String(value)];
}

/** What is sent: objects as JSON, or as a form if the headers say so. */
function bodyOf(data, headers) {
  if (data === undefined || data === null) return undefined;
  if (typeof data === 'string') {
    if (!headers.has('content-type')) headers.set('content-type', FORM);
    return data;
  }
  const isOwnKind = data instanceof URLSearchParams || data instanceof FormData || data instanceof Blob
    || data instanceof ReadableStream || ArrayBuffer.isView(data) || data instanceof ArrayBuffer;
  if (isOwnKind) return data;
  // A stream of Node's, perhaps one that knows its headers, as the npm package form-data makes.
  if (typeof data.pipe === 'function') {
    for (const [name, value] of Object.entries(data.getHeaders?.() ?? {})) headers.set(name, value);
    const { PassThrough, Readable } = require('stream');
    return data instanceof Readable ? data : data.pipe(new PassThrough());
  }
  const kind = headers.get('content-type') ?? '';
  if (kind.startsWith(FORM)) return new URLSearchParams([...pairsOf(data)]);
  if (kind.startsWith('multipart/form-data')) {
    headers.delete('content-type'); // fetch writes it, with the boundary
    const form = new FormData();
    for (const [name, value] of pairsOf(data)) form.append(name, value);
    return form;
  }
  if (!kind) headers.set('content-type', 'application/json');
  return JSON.stringify(data);
}

async function dataOf(answer, kind) {
  if (kind === 'stream') return answer.body ? require('stream').Readable.fromWeb(answer.body) : undefined;
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (kind === 'arraybuffer') return bytes;
  if (kind === 'blob') return new Blob([bytes], { type: answer.headers.get('content-type') ?? '' });
  const text = bytes.toString('utf8').replace(/^\ufeff/, '');
  if (kind === 'text') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text; // not JSON, whatever its headers say
  }
}

/** Exports an answer, where there is somebody to show it to. */
function show(context, { data, status, statusText, headers }) {
  if (typeof context?.export !== 'function') return;
  context.export('debug', cloneSafe({ status, statusText, headers, data: isBytes(data) ? undefined : data }) ?? null);
}

const isBytes = (data) => ArrayBuffer.isView(data) || data instanceof Blob || typeof data?.pipe === 'function';

/** An answer's body in words. */
function wordsOf({ data, status }) {
  const body = isBytes(data) ? '' : typeof data === 'string' ? data : JSON.stringify(cloneSafe(data)) ?? '';
  const text = body.length > LONGEST ? `${body.slice(0, LONGEST)}…` : body;
  return text === '' ? `Request failed with status code ${status}` : text;
}

module.exports = { axios };
