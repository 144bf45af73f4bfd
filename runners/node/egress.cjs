// The way out. The sandbox has no network interface; one Unix socket leads to the server, which
// decides about each connection and dials it. Node's `net` and `tls` are made to use it, and so
// everything above them does: http, https, http2, fetch, and the libraries built on these.
//
// A connection by host and port first asks on a connection of its own: `dial PORT HOST`. The
// server answers `ok TOKEN ADDRESS` once it holds the connection, or `no CODE MESSAGE`. The
// socket then connects to the Unix socket and begins with `use TOKEN`: from there on it carries
// the code's bytes, and its `connect` event means what it always means.
'use strict';

const SOCKET = '/run/egress.sock';
/** The certificate of the sandbox's own authority, which signs those of linked apps' hosts. */
const AUTHORITY = '/runner/authority.pem';
let done = false;

/** Patches `net`, `tls` and `dns`, once: they take long to load, so only when code wants them. */
function ensure() {
  if (done) return;
  done = true;
  const net = require('net');
  const tls = require('tls');
  patchNet(net, tls);
  patchTls(net, tls);
  patchDns(net, require('dns'));
  require('module').syncBuiltinESMExports();
}

function patchNet(net, tls) {
  const { Socket } = net;
  const original = Socket.prototype.connect;
  const writeNow = Socket.prototype._writeGeneric;
  const { Pipe } = process.binding('pipe_wrap');
  const connectPipe = Pipe.prototype.connect;
  /** The connection whose `connect` is being called: net connects the handle within that call. */
  let asked;

  Socket.prototype.connect = function connect(...given) {
    const normalized = Array.isArray(given[0]) ? given[0] : net._normalizeArgs(given);
    const [options, callback] = normalized;
    if (options.path || options.port === undefined) return original.apply(this, given);
    if (this instanceof tls.TLSSocket && !this._parent) {
      throw new Error('in a sandbox a TLS socket is made by tls.connect()');
    }
    if (callback) this.once('connect', callback);
    asked = { socket: this, host: hostName(options.host), port: portNumber(options.port) };
    try {
      original.call(this, { ...options, host: undefined, port: undefined, path: SOCKET });
    } finally {
      asked = undefined;
    }
    return this;
  };

  Pipe.prototype.connect = function connect(request, path) {
    if (!asked) return connectPipe.call(this, request, path);
    const { socket, host, port } = asked;
    asked = undefined;
    const isCurrent = () => !socket.destroyed && socket._handle === this;
    dial(new Socket(), original, host, port).then(({ token, address }) => {
      if (!isCurrent()) return;
      name(net, socket, host, port, address);
      // First of all listeners: what the code has written waits for this event, too.
      socket.prependOnceListener('connect', () => {
        writeNow.call(socket, false, `use ${token}\n`, 'latin1', () => {});
      });
      if (connectPipe.call(this, request, path)) socket.destroy(closed(host, port));
    }, (error) => {
      if (isCurrent()) socket.destroy(error);
    });
    return 0;
  };
}

/** Asks the server for a connection. */
function dial(socket, connect, host, port) {
  return new Promise((resolve, reject) => {
    let answer = '';
    socket.setEncoding('utf8');
    socket.on('error', () => reject(closed(host, port)));
    socket.on('close', () => reject(closed(host, port)));
    socket.on('data', (text) => {
      answer += text;
      const end = answer.indexOf('\n');
      if (end < 0) return;
      const [verdict, first, ...rest] = answer.slice(0, end).split(' ');
      if (verdict === 'ok') resolve({ token: first, address: rest[0] ?? '' });
      else reject(refusal(first, rest.join(' '), host, port));
      socket.destroy();
    });
    connect.call(socket, { path: SOCKET });
    socket.write(`dial ${port} ${host}\n`);
  });
}

function refusal(code, message, host, port) {
  return Object.assign(new Error(message), { code, syscall: 'connect', hostname: host, host, port });
}

const closed = (host, port) => refusal('ECONNRESET', `the way out of the sandbox to ${host}:${port} is closed`, host, port);

/** The socket says whom it is connected to, as a TCP socket does. */
function name(net, socket, host, port, address) {
  socket._host = net.isIP(host) ? null : host;
  const values = { remoteAddress: address, remotePort: port, remoteFamily: `IPv${net.isIP(address) || 4}` };
  for (const [key, value] of Object.entries(values)) {
    Object.defineProperty(socket, key, { configurable: true, enumerable: true, value });
  }
}

function hostName(host) {
  const text = String(host ?? 'localhost');
  if (/[\s\0]/.test(text) || text === '') throw Object.assign(new TypeError(`${JSON.stringify(text)} is not a host`), { code: 'ERR_INVALID_ARG_VALUE' });
  return text;
}

function portNumber(port) {
  const number = typeof port === 'string' && port.trim() !== '' ? Number(port) : port;
  if (!Number.isInteger(number) || number < 0 || number > 65535) {
    throw Object.assign(new RangeError(`options.port should be >= 0 and < 65536. Received ${String(port)}.`), { code: 'ERR_SOCKET_BAD_PORT' });
  }
  return number;
}

/** A TLS socket wraps a raw one: over a handle of its own it could not say `use TOKEN` in clear. */
function patchTls(net, tls) {
  const original = tls.connect;
  tls.connect = function connect(...given) {
    const [first, callback] = net._normalizeArgs(given);
    const more = [given[1], given[2]].find((each) => typeof each === 'object' && each !== null);
    const options = { ...first, ...more };
    trust(options);
    if (options.socket || options.path) return original(options, callback ?? undefined);
    const socket = new net.Socket({ allowHalfOpen: options.allowHalfOpen });
    socket.connect({ host: options.host, port: options.port });
    const secure = original({ ...options, socket }, callback ?? undefined);
    for (const key of ['remoteAddress', 'remotePort', 'remoteFamily']) {
      Object.defineProperty(secure, key, { configurable: true, enumerable: true, get: () => socket[key] });
    }
    if (options.timeout) secure.setTimeout(options.timeout);
    return secure;
  };
}

/** Node's own roots hold the authority; a client that brings roots of its own gets it beside them. */
function trust(options) {
  if (!options.ca && !options.secureContext) return;
  const authority = require('fs').readFileSync(AUTHORITY, 'latin1');
  if (options.ca) options.ca = [].concat(options.ca, authority);
  else options.secureContext.context.addCACert(authority);
}

/** Names are looked up by the server, which connects to the address that it has checked. */
function patchDns(net, dns) {
  const refuse = (host) => Object.assign(
    new Error(`a sandbox looks up no names: connect to ${host} by name`),
    { code: 'ENOTFOUND', errno: -3008, syscall: 'getaddrinfo', hostname: host },
  );
  dns.lookup = function lookup(host, options, callback = options) {
    const family = net.isIP(host);
    const all = typeof options === 'object' && options?.all;
    process.nextTick(() => {
      if (!family) callback(refuse(host));
      else if (all) callback(null, [{ address: host, family }]);
      else callback(null, host, family);
    });
    return {};
  };
  dns.promises.lookup = async function lookup(host, options) {
    const family = net.isIP(host);
    if (!family) throw refuse(host);
    return options?.all ? [{ address: host, family }] : { address: host, family };
  };
}

/** Watches for the ways in which code comes by a client. */
function install() {
  const { getBuiltinModule } = process;
  process.getBuiltinModule = (id) => {
    ensure();
    return getBuiltinModule(id);
  };
  const { fetch } = globalThis;
  globalThis.fetch = function (input, init = undefined) {
    ensure();
    return fetch(input, init);
  };
  Object.defineProperty(globalThis.fetch, 'name', { value: 'fetch' });
  // Whatever reads the global's present value loads all of fetch, and so does redefining it, but
  // not deleting it. http has the same class.
  delete globalThis.WebSocket;
  Object.defineProperty(globalThis, 'WebSocket', {
    configurable: true,
    get() {
      ensure();
      return require('http').WebSocket;
    },
    set(value) {
      Object.defineProperty(globalThis, 'WebSocket', { configurable: true, writable: true, value });
    },
  });
}

module.exports = { install, ensure };
