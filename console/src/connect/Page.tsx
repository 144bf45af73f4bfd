// The page as a whole: which of its parts is shown, and what leads from one to the next.
import { useCallback, useEffect, useRef, useState } from 'react';
import { AppList } from './AppList';
import { Connected, Over, Trouble } from './Ends';
import { Frame, Loading } from './Frame';
import { Device, OtherWindow } from './Waiting';
import { Ways } from './Ways';
import { type Asked, embedded, isWindow, tell } from './host';
import { wear } from './theme';
import {
  type App, type Choice, type DevicePrompt, type Finished, type How, type Link, Problem,
  type Session,
} from './wire';

type Shown =
  | { at: 'loading' }
  | { at: 'over'; problem: Problem }
  | { at: 'apps' }
  | { at: 'ways'; app: App }
  | { at: 'window'; app: App; opened: Window }
  | { at: 'device'; app: App; prompt: DevicePrompt }
  | { at: 'trouble'; app: App; problem: Problem }
  | { at: 'done'; finished: Finished };

const asProblem = (error: unknown) => (error instanceof Problem ? error : new Problem({}));

/** Codes after which a link is good for nothing. */
const ends = (problem: Problem) => problem.code === 'connect_link_spent' || problem.code === 'not_found';

export function Page({ link, asked }: { link: Link; asked: Asked }) {
  const [session, setSession] = useState<Session>();
  const [shown, setShown] = useState<Shown>({ at: 'loading' });
  // Whether the customer has come further than the page's beginning, so that focus has to follow.
  const [moved, setMoved] = useState(false);
  const origins = useRef<readonly string[]>([]);

  const show = useCallback((next: Shown) => {
    setMoved(true);
    setShown(next);
  }, []);

  const complain = useCallback((problem: Problem) => {
    tell(origins.current, { type: 'error', error: problem.message, code: problem.code });
  }, []);

  const done = useCallback(
    (finished: Finished) => {
      const { id, account_id } = finished;
      tell(origins.current, { type: 'success', connectionId: id, authProvisionId: account_id });
      if (!embedded && finished.return_url) window.location.replace(finished.return_url);
      else show({ at: 'done', finished });
    },
    [show],
  );

  /** Loads what the link is for, and goes on where the customer was. */
  const load = useCallback(async () => {
    setShown({ at: 'loading' });
    try {
      const loaded = await link.session(asked.app);
      origins.current = loaded.allowed_origins;
      setSession(loaded);
      wear(loaded.theme);
      tell(origins.current, { type: 'ready' });
      const app = loaded.app;
      if (!app) {
        setShown({ at: 'apps' });
        return;
      }
      const progress = await link.progress();
      if (progress.state === 'waiting' && progress.device) {
        setShown({ at: 'device', app, prompt: progress.device });
      } else {
        setShown({ at: 'ways', app });
      }
    } catch (error) {
      const problem = asProblem(error);
      // A page that is loaded again after its work is done says so, rather than that its link is
      // used up.
      const progress = ends(problem) ? await link.progress().catch(() => undefined) : undefined;
      if (progress?.state === 'connected') {
        setShown({ at: 'done', finished: progress.connection });
        return;
      }
      complain(problem);
      setShown({ at: 'over', problem });
    }
  }, [link, asked.app, complain]);

  useEffect(() => {
    void load();
  }, [load]);

  const choose = async (slug: string) => {
    try {
      const { app } = await link.session(slug);
      if (app) show({ at: 'ways', app });
    } catch (error) {
      complain(asProblem(error));
      show({ at: 'over', problem: asProblem(error) });
    }
  };

  const failed = (app: App) => (problem: Problem) => {
    complain(problem);
    show(ends(problem) ? { at: 'over', problem } : { at: 'trouble', app, problem });
  };

  /** Sends what the customer typed. What is wrong with it is thrown, for the form to say. */
  const send = async (app: App, how: How, choice: Choice): Promise<void> => {
    // A window opens only while the click is handled, so it opens before the server is asked.
    const popup = how === 'browser' && embedded;
    const opened = popup ? link.open() : null;
    if (popup && !opened) {
      throw new Problem({
        code: 'popup_blocked',
        title: 'The window was blocked',
        detail: `Your browser did not open the window for ${app.name}. Allow windows of this page, then try again.`,
      });
    }
    try {
      if (how === 'keys' || how === 'nothing') {
        done(await link.submit(choice));
        return;
      }
      const started = await link.start({ ...choice, popup });
      if (started.kind === 'device') {
        opened?.window.close();
        show({ at: 'device', app, prompt: started });
      } else if (opened) {
        await opened.ready;
        opened.window.location.replace(started.url);
        show({ at: 'window', app, opened: opened.window });
      } else {
        window.location.assign(started.url);
        // The page stays as it is until the browser has left.
        await new Promise(() => {});
      }
    } catch (error) {
      opened?.window.close();
      const problem = asProblem(error);
      if (!ends(problem)) throw problem;
      failed(app)(problem);
    }
  };

  const close = useCallback(() => {
    tell(origins.current, { type: 'close' });
    if (isWindow) window.close();
  }, []);

  const closes = embedded && !asked.hidesClose;

  // While focus is in here, the host page's dialog does not hear that Escape was pressed.
  useEffect(() => {
    if (!closes) return;
    const escape = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !event.defaultPrevented) close();
    };
    window.addEventListener('keydown', escape);
    return () => window.removeEventListener('keydown', escape);
  }, [closes, close]);

  return (
    <Frame
      session={session}
      moved={moved}
      at={shown.at}
      close={closes ? close : undefined}
    >
      {(() => {
        switch (shown.at) {
          case 'loading':
            return <Loading />;
          case 'over':
            return (
              <Over
                problem={shown.problem}
                email={session?.support_email}
                retry={ends(shown.problem) ? undefined : () => void load()}
              />
            );
          case 'apps':
            return session && <AppList session={session} choose={choose} />;
          case 'ways':
            return (
              session && (
                <Ways
                  session={session}
                  app={shown.app}
                  send={send}
                  back={session.apps.length > 0 ? () => show({ at: 'apps' }) : undefined}
                />
              )
            );
          case 'window':
            return (
              <OtherWindow
                link={link}
                app={shown.app}
                opened={shown.opened}
                done={done}
                failed={failed(shown.app)}
                again={() => show({ at: 'ways', app: shown.app })}
              />
            );
          case 'device':
            return (
              <Device
                link={link}
                app={shown.app}
                prompt={shown.prompt}
                done={done}
                failed={failed(shown.app)}
                again={() => show({ at: 'ways', app: shown.app })}
              />
            );
          case 'trouble':
            return (
              <Trouble
                app={shown.app}
                problem={shown.problem}
                email={session?.support_email}
                again={() => show({ at: 'ways', app: shown.app })}
              />
            );
          case 'done':
            return (
              <Connected
                finished={shown.finished}
                company={session?.company}
                close={embedded ? close : undefined}
              />
            );
        }
      })()}
    </Frame>
  );
}
