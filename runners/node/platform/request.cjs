// A request that somebody has configured as a prop: its parts in lists of names and values.
'use strict';

const { axios } = require('./axios.cjs');

/** The configured request, which `execute()` sends. */
function request(configured) {
  const all = { ...configured };
  Object.defineProperty(all, 'execute', { value: (own) => axios(own, toConfig(configured)) });
  return all;
}

/** The request as `axios` takes it. */
function toConfig({ method = 'GET', url, headers, params, auth, body }) {
  const config = { method, url, headers: named(headers), params: named(params) };
  if (auth?.type === 'basic') config.auth = { username: auth.username, password: auth.password };
  if (auth?.type === 'bearer') config.headers.authorization = `Bearer ${auth.token}`;
  if (body) {
    config.data = body.mode === 'fields' ? named(body.fields) : body.raw;
    const { contentType } = body;
    if (contentType && contentType !== 'none') config.headers['content-type'] ??= contentType;
  }
  return config;
}

/** A list of names and values as an object; those that are switched off are left out. */
function named(list) {
  const kept = (list ?? []).filter((one) => one.name && one.disabled !== true);
  return Object.fromEntries(kept.map(({ name, value }) => [name, value]));
}

module.exports = { request };
