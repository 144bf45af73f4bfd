// Standard output and error: each write becomes a frame at once, so that nothing is lost when
// the process is ended.
'use strict';

/** Longest text of one frame, in UTF-16 units. */
const LONGEST = 256 << 10;

function install(send) {
  for (const [name, kind] of [['stdout', 'O'], ['stderr', 'E']]) {
    let stream;
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get() {
        stream ??= make(kind, send);
        return stream;
      },
    });
  }
}

function make(kind, send) {
  const { Writable } = require('stream');
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, encoding, done) {
      const text = typeof chunk === 'string' ? chunk : chunk.toString('utf8');
      if (text.length <= LONGEST) send(kind, text);
      else for (let at = 0; at < text.length; at += LONGEST) send(kind, text.slice(at, at + LONGEST));
      done();
    },
  });
  stream.fd = kind === 'O' ? 1 : 2;
  stream._type = 'pipe';
  stream.destroy = () => stream; // as Node's own: it cannot be closed
  return stream;
}

module.exports = { install };
