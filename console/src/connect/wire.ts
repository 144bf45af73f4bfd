// What the page and its server say to each other: JSON below the page's own address.

export type Theme = {
  accent?: string | null;
  logo_url?: string | null;
  appearance?: string | null;
  radius?: number | null;
};

export type Option = { value: string; label: string };

export type Format = 'text' | 'label' | 'host' | 'url' | 'email' | 'number' | 'multiline';

export type Field = {
  name: string;
  label: string;
  help?: string | null;
  secret: boolean;
  optional: boolean;
  format: Format;
  options: Option[];
  default?: string | null;
  example?: string | null;
  prefix?: string | null;
  suffix?: string | null;
};

export type How = 'browser' | 'device' | 'keys' | 'nothing';

export type Scheme = { scheme: string; how: How; docs: string; fields: Field[] };

export type App = { slug: string; name: string; fields: Field[]; schemes: Scheme[] };

export type AppChoice = { slug: string; name: string; description: string; categories: string[] };

export type Session = {
  company: string;
  support_email: string;
  theme: Theme;
  customer: string;
  reconnect?: { name: string; account?: string | null } | null;
  return_url?: string | null;
  allowed_origins: string[];
  expires_at: string;
  apps: AppChoice[];
  app?: App | null;
};

export type DevicePrompt = {
  user_code: string;
  verification_uri: string;
  verification_uri_complete?: string | null;
  expires_at: string;
  /** Seconds between two questions. */
  interval: number;
};

export type Finished = {
  id: string;
  /** The same id as the Pipedream contract writes it. */
  account_id: string;
  app_name: string;
  account?: string | null;
  return_url?: string | null;
  missing_scopes: string[];
};

export type Started = { kind: 'redirect'; url: string } | ({ kind: 'device' } & DevicePrompt);

export type Progress =
  | { state: 'open' }
  | { state: 'waiting'; device?: DevicePrompt | null }
  | { state: 'connected'; connection: Finished }
  | { state: 'failed'; code: string; detail: string };

/** What the customer chose and typed. */
export type Choice = {
  app: string;
  scheme: string;
  fields: Record<string, string>;
  popup?: boolean;
};

/** Why the server does not do something (RFC 9457), or why it was not reached. */
export class Problem extends Error {
  readonly code: string;
  readonly title: string;
  /** The field that is wrong, if it is one. */
  readonly field: string | undefined;
  readonly requestId: string | undefined;

  constructor(body: { code?: unknown; title?: unknown; detail?: unknown; field?: unknown; request_id?: unknown }) {
    const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
    // A wrong field stands before the sentence about it.
    const named = /^`([a-z0-9_]+)`: ([^]+)$/.exec(text(body.detail) ?? '');
    const field = text(body.field) ?? named?.[1];
    const detail = field && named?.[2] ? sentence(named[2]) : text(body.detail);
    super(detail ?? 'The server gave an answer that cannot be read. Try again in a minute.');
    this.code = text(body.code) ?? 'unreadable_answer';
    this.title = text(body.title) ?? 'Something went wrong';
    this.field = field;
    this.requestId = text(body.request_id);
  }
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** A request and its answer may take this long: the server may have to ask the app. */
const PATIENCE = 60_000;
/** The header by which a page proves that it is the same one, where it has no cookie. */
const BROWSER = 'causeway-browser';

/** The server, as far as one link reaches it. */
export class Link {
  readonly #base: string;
  /** Whether the page stands in another site's, where it may have no cookie. */
  readonly #embedded: boolean;
  readonly #kept: string;
  #browser: string;

  constructor(location: Location, embedded: boolean) {
    this.#base = location.pathname.replace(/\/+$/, '');
    this.#embedded = embedded;
    this.#kept = `${BROWSER} ${this.#base}`;
    this.#browser = embedded ? (remembered(this.#kept) ?? 'new') : '';
  }

  /** Shows what the link is for; with `app`, how that app is connected. */
  session(app?: string): Promise<Session> {
    return this.#ask('session', app === undefined ? {} : { query: { app } });
  }

  start(choice: Choice): Promise<Started> {
    return this.#ask('start', { body: choice });
  }

  submit(choice: Choice): Promise<Finished> {
    return this.#ask('submit', { body: choice });
  }

  progress(): Promise<Progress> {
    return this.#ask('progress', {});
  }

  /**
   * Opens a window that has this page's proof as its cookie, and gives it once it has; null if the
   * browser lets none open. Has to be called while a click is handled.
   */
  open(): { window: Window; ready: Promise<void> } | null {
    const name = `causeway-${crypto.getRandomValues(new Uint32Array(1))[0] ?? 0}`;
    const opened = window.open('about:blank', name, 'popup,width=600,height=760');
    if (!opened) return null;
    const form = document.createElement('form');
    form.method = 'post';
    form.action = `${this.#base}/window`;
    form.target = name;
    const field = document.createElement('input');
    field.type = 'hidden';
    field.name = 'browser';
    field.value = this.#browser;
    form.append(field);
    document.body.append(form);
    form.submit();
    form.remove();
    return { window: opened, ready: arrived(opened, `${this.#base}/window`) };
  }

  async #ask<T>(path: string, ask: { query?: Record<string, string>; body?: unknown }): Promise<T> {
    const query = ask.query ? `?${new URLSearchParams(ask.query)}` : '';
    const headers = new Headers({ accept: 'application/json' });
    if (this.#embedded) headers.set(BROWSER, this.#browser);
    const init: RequestInit = { headers, signal: AbortSignal.timeout(PATIENCE), cache: 'no-store' };
    if (ask.body !== undefined) {
      headers.set('content-type', 'application/json');
      init.method = 'POST';
      init.body = JSON.stringify(ask.body);
    }
    let answer: Response;
    try {
      answer = await fetch(`${this.#base}/${path}${query}`, init);
    } catch {
      throw new Problem({
        code: 'unreachable',
        title: 'No connection',
        detail: 'The server was not reached. Check your network and try again.',
      });
    }
    const given = answer.headers.get(BROWSER);
    if (this.#embedded && given) {
      this.#browser = given;
      remember(this.#kept, given);
    }
    const body: unknown = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Problem(typeof body === 'object' && body !== null ? body : {});
    return body as T;
  }
}

/** Waits until a window of ours shows this path. */
const arrived = (opened: Window, path: string) =>
  new Promise<void>((resolve) => {
    const started = Date.now();
    const look = () => {
      let there = false;
      try {
        there = opened.location.pathname === path && opened.document.readyState === 'complete';
      } catch {
        // It shows something else already.
      }
      if (there || opened.closed || Date.now() - started > PATIENCE) resolve();
      else setTimeout(look, 50);
    };
    look();
  });

// A page in another site's may be refused any storage; then a reload begins anew.
const remembered = (key: string): string | null => {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
};

const remember = (key: string, value: string) => {
  try {
    sessionStorage.setItem(key, value);
  } catch {
    // See above.
  }
};
