// How it ends: well, or not.
import { Heading } from './Frame';
import { webUrl } from './theme';
import type { App, Finished, Problem } from './wire';

type ConnectedProps = { finished: Finished; company: string | undefined; close: (() => void) | undefined };

export function Connected({ finished, company, close }: ConnectedProps) {
  const back = webUrl(finished.return_url);
  return (
    <div className="end">
      <Sign good />
      <Heading>{finished.app_name} is connected</Heading>
      {finished.account && <p>Account: <strong>{finished.account}</strong></p>}
      {finished.missing_scopes.length > 0 && (
        <div className="hint">
          <p>Not granted, so some things may not work:</p>
          <ul>{finished.missing_scopes.map((scope) => <li key={scope}><code>{scope}</code></li>)}</ul>
        </div>
      )}
      {close ? (
        <button type="button" className="strong" onClick={close}>Done</button>
      ) : back ? (
        <a className="button strong" href={back}>Back to {company || 'where you came from'}</a>
      ) : (
        <p>You can close this page.</p>
      )}
    </div>
  );
}

function Help({ email }: { email: string | undefined }) {
  if (!email) return null;
  return <p className="note">Need help? <a href={`mailto:${encodeURIComponent(email).replace('%40', '@')}`}>{email}</a></p>;
}

/** What the server says for pages that have no button for it. */
const HERE = / Open your link again (to retry|and start over)\.$/;

/** A sentence of the server's, whose codes stand between backticks. */
export function Words({ text }: { text: string }) {
  // What stands at odd places was between two backticks.
  return text.split('`').map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part));
}

type TroubleProps = { app: App; problem: Problem; email: string | undefined; again: () => void };

export function Trouble({ app, problem, email, again }: TroubleProps) {
  return (
    <div className="end">
      <Sign />
      <Heading>{app.name} was not connected</Heading>
      <p role="alert"><Words text={problem.message.replace(HERE, '')} /></p>
      <button type="button" className="strong" onClick={again}>Try again</button>
      <Help email={email} />
    </div>
  );
}

type OverProps = { problem: Problem; email: string | undefined; retry: (() => void) | undefined };

export function Over({ problem, email, retry }: OverProps) {
  // The text says which it is: used, expired, another browser's, or not whole.
  const spent = problem.code === 'connect_link_spent';
  return (
    <div className="end">
      <Sign />
      <Heading>{spent ? 'This link does not work any more' : problem.title}</Heading>
      <p role="alert"><Words text={problem.message} /></p>
      {retry && <button type="button" className="strong" onClick={retry}>Try again</button>}
      <Help email={email} />
      {problem.requestId && problem.code === 'internal' && <p className="note">Request {problem.requestId}</p>}
    </div>
  );
}

function Sign({ good = false }: { good?: boolean }) {
  return (
    <svg className={good ? 'sign good' : 'sign bad'} viewBox="0 0 48 48" aria-hidden="true">
      <circle cx="24" cy="24" r="22" />
      <path d={good ? 'M14 25l7 7 13-15' : 'M24 12v15M24 34v2'} />
    </svg>
  );
}
