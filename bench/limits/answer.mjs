// The limit of a step: a bare Node process that runs the same code on the same event, and nothing
// else. Frames are 4 bytes of length (big-endian) and JSON, in on standard input, out on standard
// output. It reads and writes synchronously: that is the fastest way that Node has.
import { readSync, writeSync } from 'node:fs';
import step from '../workflows/cold/answer.mjs';

const HEADER = 4;
const inbox = Buffer.allocUnsafe(1 << 20);

for (let held = 0; ; ) {
  const whole = held < HEADER ? Infinity : HEADER + inbox.readUInt32BE(0);
  if (held < whole) {
    const count = readSync(0, inbox, held, inbox.length - held);
    if (count === 0) break;
    held += count;
    continue;
  }
  const { event } = JSON.parse(inbox.toString('utf8', HEADER, whole));
  held = 0; // one in flight: nothing follows
  const body = Buffer.from(JSON.stringify(await step({ event })));
  const frame = Buffer.allocUnsafe(HEADER + body.length);
  frame.writeUInt32BE(body.length, 0);
  body.copy(frame, HEADER);
  writeSync(1, frame);
}
