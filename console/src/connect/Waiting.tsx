// While the customer agrees elsewhere: on another device, or in another window.
import { useEffect, useRef, useState } from 'react';
import { Heading } from './Frame';
import { webUrl } from './theme';
import { type App, type DevicePrompt, type Finished, type Link, Problem } from './wire';

/** The longest time between two questions, in milliseconds. */
const LONGEST = 30_000;

type Ends = { done: (finished: Finished) => void; failed: (problem: Problem) => void };

/** How long to wait after a number of questions, in milliseconds. */
type Pace = (asked: number) => number;

/**
 * Asks how far the session is, again and again, until something came of it. Whatever fails on the
 * way doubles the time between two questions. True as long as the server cannot be reached.
 */
function useProgress(link: Link, pace: Pace, ends: Ends): boolean {
  const [lost, setLost] = useState(false);
  const latest = useRef({ pace, ends });
  latest.current = { pace, ends };
  useEffect(() => {
    let timer = 0;
    let over = false;
    let failures = 0;
    let asked = 0;
    const next = () => {
      const wait = latest.current.pace(asked) * 2 ** failures;
      timer = window.setTimeout(() => void ask(), Math.min(wait, LONGEST));
    };
    const ask = async () => {
      asked += 1;
      try {
        const progress = await link.progress();
        if (over) return;
        failures = 0;
        setLost(false);
        const { done, failed } = latest.current.ends;
        if (progress.state === 'connected') return done(progress.connection);
        if (progress.state === 'failed') {
          return failed(new Problem({ code: progress.code, title: 'It was not connected', detail: progress.detail }));
        }
        next();
      } catch (error) {
        if (over) return;
        if (error instanceof Problem && error.code === 'connect_link_spent') {
          return latest.current.ends.failed(error);
        }
        failures += 1;
        setLost(true);
        next();
      }
    };
    next();
    return () => {
      over = true;
      window.clearTimeout(timer);
    };
  }, [link]);
  return lost;
}

function Status({ lost, children }: { lost: boolean; children: string }) {
  return (
    <p role="status" className="busy">
      <span className="spinner" aria-hidden="true" />
      {lost ? 'The server cannot be reached at the moment. Trying again…' : children}
    </p>
  );
}

type WindowProps = Ends & { link: Link; app: App; opened: Window; again: () => void };

export function OtherWindow({ link, app, opened, done, failed, again }: WindowProps) {
  // Quick while the customer is likely to come back, slower later.
  const lost = useProgress(link, (asked) => (asked < 60 ? 1000 : 5000), { done, failed });
  return (
    <>
      <Heading>Go on in the other window</Heading>
      <p>Sign in at {app.name} and agree there. This page goes on by itself.</p>
      <Status lost={lost}>{`Waiting for ${app.name}…`}</Status>
      <div className="actions">
        <button type="button" className="plain" onClick={() => opened.focus()}>Show the window</button>
        <button
          type="button"
          className="plain"
          onClick={() => {
            opened.close();
            again();
          }}
        >
          Start over
        </button>
      </div>
      <p className="note">If you closed the window, start over.</p>
    </>
  );
}

type DeviceProps = Ends & { link: Link; app: App; prompt: DevicePrompt; again: () => void };

export function Device({ link, app, prompt, done, failed, again }: DeviceProps) {
  const lost = useProgress(link, () => Math.max(prompt.interval, 1) * 1000, { done, failed });
  const address = webUrl(prompt.verification_uri);
  const direct = webUrl(prompt.verification_uri_complete) ?? address;
  return (
    <>
      <Heading>Enter this code at {app.name}</Heading>
      <ol className="steps">
        <li>
          <Code code={prompt.user_code} />
        </li>
        <li>
          {direct && (
            <a className="button strong" href={direct} target="_blank" rel="noreferrer">
              Open {app.name}<span className="unseen"> (opens in a new window)</span>
            </a>
          )}
          {address && (
            <p className="note">
              On another device: <strong className="address">{address.replace(/^https?:\/\//, '').replace(/\/$/, '')}</strong>
            </p>
          )}
        </li>
        <li>Enter the code, sign in and agree. This page goes on by itself.</li>
      </ol>
      <Status lost={lost}>{`Waiting for ${app.name}…`}</Status>
      <Deadline at={prompt.expires_at} />
      <button type="button" className="link" onClick={again}>Start over</button>
    </>
  );
}

function Deadline({ at }: { at: string }) {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return null;
  const clock = time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  return <p className="note">The code works until {clock}.</p>;
}

function Code({ code }: { code: string }) {
  const [copied, setCopied] = useState<'yes' | 'no'>();
  const shown = useRef<HTMLElement>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(code);
      setCopied('yes');
    } catch {
      // The host page, or the browser, keeps pages from writing there: the code is selected.
      if (shown.current) getSelection()?.selectAllChildren(shown.current);
      setCopied('no');
    }
  };
  return (
    <>
      <div className="code">
        <strong ref={shown} aria-hidden="true">{code}</strong>
        <span className="unseen">{Array.from(code).join(' ')}</span>
        <button type="button" className="plain" onClick={() => void copy()}>Copy the code</button>
      </div>
      <p role="status" className="note">
        {copied === 'yes' && 'Copied.'}
        {copied === 'no' && 'The code is selected: copy it with your keyboard.'}
      </p>
    </>
  );
}
