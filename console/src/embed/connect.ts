// The script of host pages: opens the connect page in a dialog, in a window or in place of the host
// page, and passes on what it says. It believes nobody but that page: each message's window and
// origin are checked.

export type Result = { connectionId: string; authProvisionId: string };
export type Failure = { code: string; message: string };
export type Mode = 'iframe' | 'redirect' | 'popup';

export type Options = {
  url?: string;
  token?: string;
  baseUrl?: string;
  mode?: Mode;
  container?: HTMLElement;
  title?: string;
  onSuccess?: (result: Result) => void;
  onError?: (error: Failure) => void;
  onClose?: () => void;
};

export type Handle = { close: () => void };

/** Time for the page to say that it is there, in milliseconds. */
const PATIENCE = 15_000;

/** Where this script came from, which is where the page is. */
const script = document.currentScript as HTMLScriptElement | null;

const pageOf = ({ url, token, baseUrl }: Options): URL => {
  if (url) return new URL(url, location.href);
  if (!token) throw new TypeError('Causeway.connect: give `url`, or `token` and `baseUrl`');
  const base = baseUrl ?? (script?.src ? script.src.replace(/\/connect\.js(\?.*)?$/, '') : '');
  return new URL(`${base.replace(/\/+$/, '')}/connect/${encodeURIComponent(token)}`, location.href);
};

export const connect = (options: Options): Handle => {
  const page = pageOf(options);
  if (page.protocol !== 'https:' && page.protocol !== 'http:') {
    throw new TypeError('Causeway.connect: the address must be an https one');
  }
  const mode = options.mode ?? 'iframe';
  if (mode === 'redirect') {
    location.assign(page);
    return { close: () => {} };
  }

  let over = false;
  let heard = false;
  let target: Window | null = null;
  let take = () => {};
  const timers: number[] = [];

  const close = () => {
    if (over) return;
    over = true;
    removeEventListener('message', listen);
    timers.forEach((timer) => clearInterval(timer));
    take();
    options.onClose?.();
  };

  const listen = (event: MessageEvent) => {
    // Another origin may be in the window by now, and other windows may send what they like.
    if (over || !target || event.source !== target || event.origin !== page.origin) return;
    const data: unknown = event.data;
    if (typeof data !== 'object' || data === null) return;
    const message = data as Record<'type' | 'connectionId' | 'authProvisionId' | 'error' | 'code', unknown>;
    heard = true;
    if (message.type === 'success') {
      options.onSuccess?.({
        connectionId: String(message.connectionId),
        authProvisionId: String(message.authProvisionId),
      });
    } else if (message.type === 'error') {
      options.onError?.({ code: String(message.code), message: String(message.error) });
    } else if (message.type === 'close') {
      close();
    }
  };
  addEventListener('message', listen);

  const fail = (code: string, message: string) => {
    heard = true;
    options.onError?.({ code, message });
  };

  if (mode === 'popup') {
    target = open(page, '_blank', 'popup,width=520,height=760');
    if (!target) {
      fail('popup_blocked', 'The browser did not open the window.');
      close();
      return { close };
    }
    const opened = target;
    take = () => opened.close();
    timers.push(setInterval(() => opened.closed && close(), 500));
    return { close };
  }

  const frame = document.createElement('iframe');
  frame.title = options.title ?? 'Connect an account';
  frame.allow = 'clipboard-write';
  frame.referrerPolicy = 'no-referrer';
  frame.src = page.href;
  const host = options.container;
  if (host) {
    Object.assign(frame.style, { width: '100%', height: '100%', minHeight: '640px', border: '0' });
    host.append(frame);
    take = () => frame.remove();
  } else {
    take = dialog(frame, close);
  }
  target = frame.contentWindow;
  timers.push(
    setTimeout(() => {
      if (!heard) fail('not_loaded', 'The connect page did not load. Does the session allow this origin?');
    }, PATIENCE),
  );
  return { close };
};

/** Shows a frame over the page; gives what takes it away again. */
const dialog = (frame: HTMLIFrameElement, close: () => void): (() => void) => {
  const before = document.activeElement;
  const overflow = document.documentElement.style.overflow;
  // A modal dialog: what is behind it is inert, focus stays inside, and Escape cancels.
  const box = document.createElement('dialog');
  box.setAttribute('aria-label', frame.title);
  Object.assign(box.style, {
    position: 'fixed', inset: '0', width: '100vw', height: '100vh', maxWidth: 'none', maxHeight: 'none',
    margin: '0', padding: '0', border: '0', background: 'rgb(15 22 35 / .55)',
  });
  Object.assign(frame.style, {
    position: 'absolute', inset: '0', margin: 'auto', width: 'min(32rem, 100%)',
    height: 'min(46rem, 100%)', border: '0', borderRadius: 'min(12px, max(0px, 100vw - 32rem))',
  });
  // For a page that does not load, and so has no button of its own.
  const exit = document.createElement('button');
  exit.type = 'button';
  exit.textContent = 'Close';
  Object.assign(exit.style, {
    position: 'absolute', left: '-999rem', top: '.5rem', padding: '.4rem .8rem', font: 'inherit',
  });
  exit.onfocus = () => (exit.style.left = '.5rem');
  exit.onblur = () => (exit.style.left = '-999rem');
  exit.onclick = close;
  box.append(exit, frame);
  box.addEventListener('cancel', (event) => {
    event.preventDefault();
    close();
  });
  document.body.append(box);
  document.documentElement.style.overflow = 'hidden';
  box.showModal();
  frame.focus();
  return () => {
    box.close();
    box.remove();
    document.documentElement.style.overflow = overflow;
    if (before instanceof HTMLElement) before.focus();
  };
};
