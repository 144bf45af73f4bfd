// What the code of expressions uses. It runs in the sandbox, with the step's own rights.

/** The text of a value within other text. */
export const text = (value) => {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
};

/** A condition's value, which has to be one. */
export const condition = (value) => {
  if (typeof value === 'boolean') return value;
  throw new TypeError(`the condition gives ${named(value)}, and has to give true or false: write a comparison, or Boolean(…)`);
};

/** The items of a loop. */
export const items = (value) => {
  if (Array.isArray(value)) return value;
  throw new TypeError(`the items are ${named(value)}, and have to be a list`);
};

/** Goes on only if this is true. */
export const filter = ($, value) => {
  const goesOn = condition(value);
  if (!goesOn) $.flow.exit('the condition of the filter is false');
  return goesOn;
};

/** The number of the case that has the value; of the default, if none has. */
export const choose = (value, cases, otherwise) => {
  const found = cases.findIndex((values) => values.includes(value));
  return found >= 0 ? found : otherwise;
};

/** Sends a request, and gives its answer. */
export const request = async ({ url, method, query, headers, body, anyStatus }) => {
  const address = new URL(url);
  for (const [name, value] of fields('query', query)) address.searchParams.append(name, value);
  const sent = new Headers();
  for (const [name, value] of fields('headers', headers)) sent.append(name, value);
  const hasBody = body !== undefined && body !== null;
  if (hasBody && typeof body !== 'string' && !sent.has('content-type')) sent.set('content-type', 'application/json');
  const answer = await fetch(address, {
    method: method ?? (hasBody ? 'POST' : 'GET'),
    headers: sent,
    body: hasBody ? (typeof body === 'string' ? body : JSON.stringify(body)) : undefined,
  });
  const got = await answer.text();
  if (!answer.ok && answer.status >= 400 && !anyStatus) {
    const start = got.length > 500 ? `${got.slice(0, 500)}…` : got;
    throw new Error(`${address.origin}${address.pathname} answered ${answer.status}: ${start}`);
  }
  const isJson = /^application\/(?:[^;]+\+)?json/i.test(answer.headers.get('content-type') ?? '');
  return {
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    body: isJson && got !== '' ? JSON.parse(got) : got,
  };
};

const fields = (what, given) => {
  if (given === undefined || given === null) return [];
  if (typeof given !== 'object' || Array.isArray(given)) throw new TypeError(`${what} is ${named(given)}, and has to be an object`);
  return Object.entries(given).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value])
      .filter((one) => one !== null && one !== undefined)
      .map((one) => [name, text(one)]));
};

const named = (value) => {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${text(value).slice(0, 100)}`;
};
