// Components: modules whose default export is an object with `run`, what it needs in `props`, and
// functions in `methods`. Described, asked for the options of a prop, asked for additional props,
// or run as an action: the call says which.
'use strict';

const { StepError } = require('./contract.cjs');
const { checked, unwrapped } = require('./props.cjs');

/** A prop takes its definition from an app, which may take it from another one, and so on. */
const DEEPEST = 8;
/** What of a prop's definition is told, if it is data. */
const TOLD = ['label', 'description', 'optional', 'default', 'secret', 'min', 'max', 'disabled', 'hidden',
  'readOnly', 'static', 'format', 'reloadProps', 'withLabel', 'useQuery', 'alertType', 'content',
  'customResponse', 'appProp', 'eventNames'];

/**
 * @typedef {object} Prop A prop, whole.
 * @property {object} definition
 * @property {object | undefined} app The module of the app that `definition.options` belongs to.
 * @property {Function | undefined} derive Makes more arguments for the options, of the configured props.
 */

const wrong = (message) => new StepError('user_error', message);
const isObject = (value) => typeof value === 'object' && value !== null;

/** The component that a module exports, if it is one. */
function find(module) {
  for (const found of [module.default, module.default?.default]) {
    if (isObject(found) && typeof found.run === 'function') return found;
  }
  return undefined;
}

/** Does what the call asks of a component. */
async function perform(component, $, call) {
  if (typeof component === 'function') {
    throw wrong('its default export is a function: only a component, an object with `run`, has props');
  }
  const { task = 'run', ...rest } = call.component ?? {};
  const given = { configured: rest.props ?? {}, connections: call.connections, dynamic: rest.dynamic ?? [] };
  switch (task) {
    case 'describe':
      return describe(component);
    case 'options':
      return options(component, given, rest);
    case 'props':
      return additional(component, given);
    default:
      return run(component, $, given, call);
  }
}

function run(component, $, given, call) {
  if (component.type === 'source') throw wrong('this component is a source, and only actions are run so far');
  const props = wholeProps(component.props);
  for (const one of given.dynamic) if (!props.has(one.name)) props.set(one.name, { definition: one });
  const self = instance(component, props, given, true);
  return component.run.call(self, { $, steps: { trigger: { event: call.event }, ...call.steps } });
}

/** What a component is, without any of its functions. */
function describe(component) {
  const { key, name, version, type = 'source', description, annotations } = component;
  return { key, name, version, type, description, annotations, props: told(wholeProps(component.props)) };
}

const told = (props) => [...props].map(([name, prop]) => tell(name, prop));

function tell(name, { definition }) {
  const { type, app, options: choices } = definition;
  const all = { name, type };
  if (type === 'app') return { ...all, app, optional: definition.optional };
  for (const attribute of TOLD) {
    if (typeof definition[attribute] !== 'function') all[attribute] = definition[attribute];
  }
  if (Array.isArray(choices)) all.options = choices;
  if (typeof choices === 'function') all.remoteOptions = true;
  return all;
}

/** Every prop by its name. */
function wholeProps(given) {
  const props = new Map();
  for (const [name, one] of Object.entries(given ?? {})) props.set(name, whole(name, one, 0));
  return props;
}

/** @returns {Prop} */
function whole(name, given, depth) {
  if (typeof given === 'string') return { definition: { type: given } };
  if (!isObject(given)) throw wrong(`the prop \`${name}\` is defined by ${given === null ? 'null' : `a ${typeof given}`}, not by an object`);
  if (given.propDefinition === undefined) return { definition: given };
  if (depth === DEEPEST) throw wrong(`the definition of the prop \`${name}\` leads from app to app, ${DEEPEST} times and more`);
  const { propDefinition, ...own } = given;
  const [app, from, derive] = Array.isArray(propDefinition) ? propDefinition : [];
  const base = app?.propDefinitions?.[from];
  if (base === undefined) {
    throw wrong(`the prop \`${name}\` is to be defined as \`${from}\` of ${app?.app ?? 'an app'}, which has no such definition`);
  }
  const inner = whole(name, base, depth + 1);
  return {
    definition: { ...inner.definition, ...own },
    app: own.options === undefined ? inner.app ?? app : undefined,
    derive: derive ?? inner.derive,
  };
}

/** What the component's functions see as `this`. What is not there yet matters if it is to `run`. */
function instance(component, props, { configured, connections }, toRun) {
  const self = {};
  for (const [name, { definition }] of props) {
    if (definition.type === 'app') {
      const connection = connections[name];
      if (toRun && !connection && !definition.optional) {
        throw wrong(`the prop \`${name}\` needs an account of the app ${definition.app}: none is linked under this name`);
      }
      self[name] = appObject(definition, connection);
    } else {
      self[name] = toRun
        ? checked(name, definition, configured[name])
        : unwrapped(configured[name] ?? definition.default, definition.withLabel);
    }
  }
  bind(component.methods, self);
  return self;
}

/** An app as code sees it: its account and its methods, which see no more than that themselves. */
function appObject(app, connection) {
  const object = { $auth: connection?.$auth ?? {} };
  bind(app.methods, object);
  return object;
}

function bind(methods, self) {
  for (const [name, method] of Object.entries(methods ?? {})) {
    self[name] = typeof method === 'function' ? method.bind(self) : method;
  }
}

/** The choices that a prop offers now. */
async function options(component, given, { prop: name, page = 0, prev_context: prevContext, query }) {
  const props = wholeProps(component.props);
  const self = instance(component, props, given, false);
  let prop = props.get(name);
  if (!prop && component.additionalProps) {
    prop = wholeProps(await component.additionalProps.call(self, definitions(props))).get(name);
  }
  if (!prop) throw wrong(`there is no prop \`${name}\``);
  const { definition, app, derive } = prop;
  const choices = definition.options;
  if (typeof choices !== 'function') return offered(choices ?? []);
  const values = plainValues(props, given);
  const more = derive ? await derive.call(self, values) : {};
  const owner = app ? ownerOf(app, props, self) : self;
  return offered(await choices.call(owner, { page, prevContext: prevContext ?? {}, query, ...more }));
}

/** The object of the app that a definition is taken from, with the account that is linked to it. */
function ownerOf(app, props, self) {
  for (const [name, { definition }] of props) {
    if (definition === app || (definition.type === 'app' && definition.app === app.app)) {
      const linked = { $auth: self[name].$auth };
      bind(app.methods, linked);
      return linked;
    }
  }
  return appObject(app, undefined);
}

/** The configured values as a definition's third element gets them. */
function plainValues(props, { configured }) {
  const values = {};
  for (const [name, value] of Object.entries(configured)) {
    const definition = props.get(name)?.definition;
    if (definition?.type !== 'app') values[name] = unwrapped(value, definition?.withLabel);
  }
  return values;
}

/** Choices in one form: texts alone, or values with labels; and what the next page is asked with. */
function offered(given) {
  const list = Array.isArray(given) ? given : given?.options;
  if (!Array.isArray(list)) throw wrong('`options` gives a list, or an object with a list `options`');
  const context = Array.isArray(given) ? undefined : given.context;
  if (list.every((one) => typeof one === 'string')) return { strings: list, context };
  const labelled = list.map((one) => {
    if (!isObject(one)) return { label: String(one), value: one };
    const { label, value } = one.__lv ?? one;
    return { label: String(label ?? value), value: value ?? null };
  });
  return { options: labelled, context };
}

/** All props that the component has with these values. */
async function additional(component, given) {
  const props = wholeProps(component.props);
  if (typeof component.additionalProps !== 'function') return { props: told(props) };
  const before = definitions(props);
  const more = await component.additionalProps.call(instance(component, props, given, false), before);
  for (const [name, prop] of props) props.set(name, { ...prop, definition: before[name] ?? prop.definition });
  for (const [name, prop] of wholeProps(more)) props.set(name, prop);
  return { props: told(props) };
}

/** Definitions by name, which `additionalProps` may change. */
function definitions(props) {
  return Object.fromEntries([...props].map(([name, { definition }]) => [name, { ...definition }]));
}

module.exports = { find, perform };
