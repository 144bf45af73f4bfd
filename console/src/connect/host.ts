// The page that this one is embedded in, or that opened it as a window.

/** What a host page is told: what the Pipedream contract knows, and more beside. */
export type Message =
  | { type: 'ready' }
  | { type: 'success'; connectionId: string; authProvisionId: string }
  | { type: 'error'; error: string; code: string }
  | { type: 'close' };

const framed = window.parent !== window;

/** Who listens, if anybody does. */
const listener: Window | null = framed ? window.parent : window.opener;

/** What the address says beside the link. */
export type Asked = {
  /** The app that is chosen already. */
  app: string | undefined;
  /** Whether the host page has a way to close this one, so that this one shows none. */
  hidesClose: boolean;
};

export const asked = (location: Location): Asked => {
  const query = new URLSearchParams(location.search);
  return { app: query.get('app') ?? undefined, hidesClose: query.has('hideClose') };
};

/** Whether another page shows this one. */
export const embedded = listener !== null;

/** Whether this page is a window that another page opened. */
export const isWindow = !framed && listener !== null;

/**
 * Tells the host, at the origins that the session allows and at no other: the browser delivers
 * only where the host's origin is the one that is named.
 */
export const tell = (origins: readonly string[], message: Message) => {
  if (!listener) return;
  // Where the browser says who the host is, the others need not be tried.
  const host = framed ? window.location.ancestorOrigins?.[0] : undefined;
  for (const origin of origins) {
    if (host === undefined || origin === host) listener.postMessage(message, origin);
  }
};
