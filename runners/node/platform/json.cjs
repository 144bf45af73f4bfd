// JSON of what JSON cannot hold: rather a part of it than an error.
'use strict';

/** JSON of a value. What contains itself, and what JSON has no word for, is left out. */
function jsonStringifySafe(value) {
  const above = [];
  return JSON.stringify(value, function (_key, one) {
    if (typeof one === 'bigint') return String(one);
    if (typeof one !== 'object' || one === null) return one;
    while (above.length > 0 && above.at(-1) !== this) above.pop();
    if (above.includes(one)) return undefined;
    above.push(one);
    return one;
  });
}

/** A copy of what of a value is JSON. */
function cloneSafe(value) {
  const text = jsonStringifySafe(value);
  return text === undefined ? undefined : JSON.parse(text);
}

module.exports = { jsonStringifySafe, cloneSafe };
