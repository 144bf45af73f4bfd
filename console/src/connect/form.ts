// The checks of a form, as the server makes them too: what is wrong is said before it is sent.
import type { Field } from './wire';

/** The value without what was copied around it. */
export const cut = (field: Field, typed: string): string => {
  let text = typed.trim();
  if (field.prefix && text.startsWith(field.prefix)) text = text.slice(field.prefix.length);
  const end = field.suffix ? text.indexOf(field.suffix) : -1;
  return end >= 0 ? text.slice(0, end) : text;
};

/** What is wrong with a value and what to type instead; undefined if nothing is. */
export const wrong = (field: Field, typed: string): string | undefined => {
  const text = cut(field, typed);
  if (text === '') {
    return field.optional || field.default ? undefined : `${field.label} is missing.`;
  }
  if (field.options.length > 0) {
    return field.options.some((option) => option.value === text) ? undefined : 'Choose one of the list.';
  }
  switch (field.format) {
    case 'text':
      return /[\r\n]/.test(text) ? 'Type one line.' : undefined;
    case 'label':
      return /^[a-z0-9_][a-z0-9_-]{0,62}$/i.test(text)
        ? undefined
        : 'Type letters, digits and hyphens only, without the rest of the address.';
    case 'host':
      return /^[a-z0-9.:[\]_-]+$/i.test(text)
        ? undefined
        : 'Type a host name like crm.example.com, without https:// and without a path.';
    case 'url':
      return URL.canParse(text) && text.startsWith('https://')
        ? undefined
        : 'Type an address that begins with https://.';
    case 'email':
      return /^[^\s@]+@[^\s]+\.[^\s]+$/.test(text) ? undefined : 'Type an e-mail address.';
    case 'number':
      return /^[0-9]+$/.test(text) ? undefined : 'Type digits only.';
    case 'multiline':
      return undefined;
  }
};

/** What stands in a form at first. */
export const initial = (fields: readonly Field[]): Record<string, string> =>
  Object.fromEntries(fields.map((field) => [field.name, field.default ?? (field.optional ? '' : (field.options[0]?.value ?? ''))]));

/** What to send: fields left empty are left out. */
export const filled = (fields: readonly Field[], typed: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    fields.map((field) => [field.name, cut(field, typed[field.name] ?? '')] as const).filter(([, text]) => text !== ''),
  );

/** The names of ways to connect. */
export const wayName = (scheme: string, app: string): string => {
  switch (scheme) {
    case 'oauth2':
    case 'oauth1':
    case 'mcp':
      return `Sign in at ${app}`;
    case 'installation':
      return `Install at ${app}`;
    case 'device':
      return `Enter a code at ${app}`;
    case 'client_credentials':
      return 'Client ID and secret';
    case 'jwt':
      return 'Signing key';
    case 'api_key':
      return 'API key';
    case 'token_exchange':
      return 'API credentials';
    case 'signature':
      return 'Access keys';
    case 'basic':
      return 'User name and password';
    default:
      return 'Without signing in';
  }
};
