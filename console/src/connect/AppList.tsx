// The choice of an app, where the link leaves it open.
import { useMemo, useState } from 'react';
import { Heading } from './Frame';
import type { Session } from './wire';

/** As many as are shown before something is searched for. */
const MOST = 50;

const plain = (text: string) =>
  text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase();

export function AppList({ session, choose }: { session: Session; choose: (slug: string) => Promise<void> }) {
  const [wanted, setWanted] = useState('');
  const [chosen, setChosen] = useState<string>();
  const found = useMemo(() => {
    const words = plain(wanted).split(/\s+/).filter(Boolean);
    if (words.length === 0) return session.apps;
    const scored = session.apps.flatMap((app) => {
      const [name, rest] = [plain(app.name), plain(`${app.slug} ${app.description} ${app.categories.join(' ')}`)];
      if (!words.every((word) => name.includes(word) || rest.includes(word))) return [];
      const first = words[0] ?? '';
      return [{ app, rank: name.startsWith(first) ? 0 : name.includes(first) ? 1 : 2 }];
    });
    return scored.sort((a, b) => a.rank - b.rank).map(({ app }) => app);
  }, [session.apps, wanted]);
  const listed = found.slice(0, MOST);
  const count =
    found.length === 0
      ? 'No app has this name.'
      : found.length > MOST
        ? `${found.length} apps, the first ${MOST} are shown. Search for yours.`
        : found.length === 1
          ? '1 app'
          : `${found.length} apps`;
  return (
    <>
      <Heading>Choose an app</Heading>
      <p>
        Which app do you want to connect{session.company && <> to <strong>{session.company}</strong></>}?
      </p>
      <search>
        <label htmlFor="wanted">Search</label>
        <input
          id="wanted"
          type="search"
          autoComplete="off"
          spellCheck={false}
          value={wanted}
          onChange={(event) => setWanted(event.target.value)}
        />
      </search>
      <p role="status" className="note">{count}</p>
      <ul className="apps" aria-label="Apps">
        {listed.map((app) => (
          <li key={app.slug}>
            <button
              type="button"
              className="app"
              disabled={chosen !== undefined}
              onClick={() => {
                setChosen(app.slug);
                void choose(app.slug).finally(() => setChosen(undefined));
              }}
            >
              <Initial name={app.name} />
              <span>
                <strong>{app.name}</strong>
                {app.description && <small>{app.description}</small>}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

/** What stands for an app's own sign. */
export function Initial({ name }: { name: string }) {
  return (
    <span className="initial" aria-hidden="true">
      {Array.from(name)[0]?.toUpperCase()}
    </span>
  );
}
