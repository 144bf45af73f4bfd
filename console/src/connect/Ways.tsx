// The ways to connect an app, and the form of the chosen one.
import { type FormEvent, useEffect, useId, useRef, useState } from 'react';
import { Initial } from './AppList';
import { Words } from './Ends';
import { FieldInput } from './FieldInput';
import { Heading } from './Frame';
import { cut, filled, initial, wayName, wrong } from './form';
import { webUrl } from './theme';
import { type App, type Choice, type Field, type How, Problem, type Scheme, type Session } from './wire';

type Props = {
  session: Session;
  app: App;
  send: (app: App, how: How, choice: Choice) => Promise<void>;
  back: (() => void) | undefined;
};

export function Ways({ session, app, send, back }: Props) {
  const [chosen, setChosen] = useState(app.schemes[0]?.scheme);
  const scheme = app.schemes.find((one) => one.scheme === chosen);
  const account = session.reconnect?.account;
  return (
    <>
      {back && (
        <button type="button" className="link" onClick={back}>
          <span aria-hidden="true">← </span>All apps
        </button>
      )}
      <div className="title">
        <Initial name={app.name} />
        <Heading>{session.reconnect ? `Reconnect ${app.name}` : `Connect ${app.name}`}</Heading>
      </div>
      <p>
        {session.company ? (
          <>
            <strong>{session.company}</strong> {session.reconnect ? 'renews' : 'gets'} access to your{' '}
            {app.name} account
          </>
        ) : (
          <>This {session.reconnect ? 'renews' : 'gives'} access to your {app.name} account</>
        )}
        {account && <> <strong>{account}</strong></>}, for <strong>{session.customer}</strong>.
      </p>
      {app.schemes.length === 0 && (
        <p role="alert" className="bad">
          {app.name} cannot be connected yet. Ask {session.company || 'whoever sent you this link'} for help.
        </p>
      )}
      {app.schemes.length > 1 && (
        <fieldset className="ways">
          <legend>How do you want to connect?</legend>
          {app.schemes.map((one) => (
            <label key={one.scheme}>
              <input
                type="radio"
                name="way"
                checked={one.scheme === chosen}
                onChange={() => setChosen(one.scheme)}
              />
              {wayName(one.scheme, app.name)}
            </label>
          ))}
        </fieldset>
      )}
      {scheme && <Form key={scheme.scheme} app={app} scheme={scheme} send={send} />}
    </>
  );
}

const action = (how: How, app: string) => {
  switch (how) {
    case 'browser':
      return `Continue to ${app}`;
    case 'device':
      return 'Get a code';
    default:
      return 'Connect';
  }
};

function Form({ app, scheme, send }: { app: App; scheme: Scheme; send: Props['send'] }) {
  const fields = [...app.fields, ...scheme.fields];
  const [typed, setTyped] = useState(() => initial(fields));
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [trouble, setTrouble] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  // Counts refusals: after each, focus goes to the first thing that is wrong.
  const [refused, setRefused] = useState(0);
  const form = useRef<HTMLFormElement>(null);
  const idBase = useId();

  useEffect(() => {
    if (refused === 0) return;
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"], [role="alert"]')?.focus();
  }, [refused]);

  const refuse = (wrongs: Record<string, string>, problem?: Problem) => {
    setErrors(wrongs);
    setTrouble(problem);
    setRefused((count) => count + 1);
  };

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy) return;
    const wrongs = Object.fromEntries(
      fields.flatMap((field) => {
        const text = wrong(field, typed[field.name] ?? '');
        return text === undefined ? [] : [[field.name, text]];
      }),
    );
    if (Object.keys(wrongs).length > 0) {
      refuse(wrongs);
      return;
    }
    setBusy(true);
    setErrors({});
    setTrouble(undefined);
    const choice = { app: app.slug, scheme: scheme.scheme, fields: filled(fields, typed) };
    try {
      await send(app, scheme.how, choice);
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem({});
      const field = fields.find((one) => one.name === problem.field);
      if (field) refuse({ [field.name]: problem.message });
      else refuse({}, problem);
    } finally {
      setBusy(false);
    }
  };

  const change = (field: Field) => (text: string) => {
    setTyped((before) => ({ ...before, [field.name]: text }));
    // What was said about the old value does not hold for the new one.
    setErrors(({ [field.name]: _, ...others }) => others);
  };

  const leave = (field: Field) => () => {
    // What was copied along goes, so that what is seen is what is sent.
    const text = cut(field, typed[field.name] ?? '');
    setTyped((before) => ({ ...before, [field.name]: text }));
    const message = text === '' ? undefined : wrong(field, text);
    if (message) setErrors((before) => ({ ...before, [field.name]: message }));
  };

  const docs = webUrl(scheme.docs);
  return (
    <form ref={form} noValidate autoComplete="off" aria-busy={busy} onSubmit={(event) => void submit(event)}>
      {trouble && (
        <div role="alert" tabIndex={-1} className="bad">
          <strong>{trouble.title}</strong>
          <p><Words text={trouble.message} /></p>
          {trouble.requestId && trouble.code === 'internal' && <small>Request {trouble.requestId}</small>}
        </div>
      )}
      {fields.map((field) => (
        <FieldInput
          key={field.name}
          id={`${idBase}${field.name}`}
          field={field}
          value={typed[field.name] ?? ''}
          error={errors[field.name]}
          onChange={change(field)}
          onLeave={leave(field)}
        />
      ))}
      {docs && fields.length > 0 && (
        <p className="note">
          <a href={docs} target="_blank" rel="noreferrer">
            Where to find this<span className="unseen"> (opens in a new window)</span>
          </a>
        </p>
      )}
      <button type="submit" className="strong" aria-disabled={busy}>
        {busy && <span className="spinner" aria-hidden="true" />}
        {busy ? 'One moment…' : action(scheme.how, app.name)}
      </button>
      <p role="status" className="unseen">{busy ? 'One moment…' : ''}</p>
    </form>
  );
}
