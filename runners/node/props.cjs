// The values of a component's props: out of their wire form, with their defaults, and of the type
// that the component asks for.
'use strict';

const { StepError } = require('./contract.cjs');

const isText = (value) => typeof value === 'string';
const isList = (test) => (value) => Array.isArray(value) && value.every(test);

/** What each type takes, in code and in words. Types that are not here take anything. */
const TYPES = {
  string: [isText, 'a text'],
  'string[]': [isList(isText), 'a list of texts'],
  integer: [Number.isInteger, 'a whole number'],
  'integer[]': [isList(Number.isInteger), 'a list of whole numbers'],
  boolean: [(value) => typeof value === 'boolean', 'true or false'],
  'boolean[]': [isList((value) => typeof value === 'boolean'), 'a list of true and false'],
  object: [(value) => typeof value === 'object' && !Array.isArray(value), 'an object'],
  http_request: [(value) => typeof value === 'object' && isText(value.url), 'an object with `url`'],
};
/** Types without a value. */
const VALUELESS = new Set(['alert']);

const wrong = (message) => new StepError('user_error', message);

/** A value as code sees it: `{"__lv": {label, value}}` is the value, or both if the prop wants labels. */
function unwrapped(given, withLabel) {
  if (Array.isArray(given)) return given.map((one) => unwrapped(one, withLabel));
  const pair = given?.__lv;
  if (pair === undefined) return given;
  if (Array.isArray(pair)) return pair.map((one) => unwrapped({ __lv: one }, withLabel));
  return withLabel ? { label: pair?.label, value: pair?.value } : pair?.value;
}

/** The value that a prop has when its component runs. */
function checked(name, definition, given) {
  if (VALUELESS.has(definition.type)) return undefined;
  const value = unwrapped(given ?? copy(definition.default), definition.withLabel);
  if (value === undefined || value === null) {
    if (definition.optional) return undefined;
    throw wrong(`the prop \`${name}\` has no value, and the component cannot do without`);
  }
  const [fits, wanted] = TYPES[definition.type] ?? [];
  const bare = definition.withLabel ? withoutLabels(value) : value;
  if (fits && !fits(bare)) throw wrong(`the prop \`${name}\` takes ${wanted}, and got ${nameOf(bare)}`);
  for (const number of [].concat(bare)) {
    if (number < definition.min || number > definition.max) {
      throw wrong(`the prop \`${name}\` takes numbers from ${definition.min ?? '-∞'} to ${definition.max ?? '∞'}`);
    }
  }
  return definition.type === 'http_request' ? require('./platform/request.cjs').request(value) : value;
}

const copy = (value) => (typeof value === 'object' ? structuredClone(value) : value);

function withoutLabels(value) {
  if (Array.isArray(value)) return value.map(withoutLabels);
  return typeof value === 'object' && value !== null && 'label' in value ? value.value : value;
}

function nameOf(value) {
  if (Array.isArray(value)) return 'a list';
  return { string: 'a text', number: 'a number', boolean: 'true or false' }[typeof value] ?? 'an object';
}

module.exports = { checked, unwrapped };
