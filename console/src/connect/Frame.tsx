// What stands around every part of the page.
import { type ReactNode, useEffect, useRef } from 'react';
import { logo } from './theme';
import type { Session } from './wire';

type Props = {
  session: Session | undefined;
  /** Which part is shown. */
  at: string;
  /** Whether another part was shown before. */
  moved: boolean;
  close: (() => void) | undefined;
  children: ReactNode;
};

export function Frame({ session, at, moved, close, children }: Props) {
  const main = useRef<HTMLElement>(null);
  // Whoever listens to the page hears its new part from its heading on.
  useEffect(() => {
    const heading = main.current?.querySelector('h1');
    if (heading) document.title = heading.textContent;
    if (moved) heading?.focus();
  }, [at, moved]);
  const picture = session && logo(session.theme);
  return (
    <div className="card">
      <header>
        <p className="company">
          {picture && <img src={picture} alt="" height="32" />}
          <span>{session?.company}</span>
        </p>
        {close && (
          <button type="button" className="close" aria-label="Close" onClick={close}>
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <path d="M3 3l10 10M13 3L3 13" />
            </svg>
          </button>
        )}
      </header>
      <main ref={main} aria-busy={at === 'loading'}>
        {children}
      </main>
    </div>
  );
}

export function Heading({ children }: { children: ReactNode }) {
  return <h1 tabIndex={-1}>{children}</h1>;
}

export function Loading() {
  return (
    <>
      <h1 className="unseen">Connect an account</h1>
      <p role="status" className="busy">
        <span className="spinner" aria-hidden="true" />
        Loading…
      </p>
    </>
  );
}
