// The page: the header, the view that the address names, and the dialog for a key
// when the server requires one.
import './css/base.css';
import './css/parts.css';
import './css/play.css';
import './css/functions.css';
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { apiKey, ask, Failure, messageOf, setAPIKey, whenDenied, type Who } from './api';
import { EventsPage } from './events';
import { Deploy } from './functions/deploy';
import { FunctionPage } from './functions/function';
import { FunctionList } from './functions/list';
import { Keys } from './keys';
import { Nodes } from './nodes';
import { Palette } from './palette';
import { Play } from './play/play';
import { TenantList, TenantPage } from './tenants';
import { Dialog, Field, Notice, Toasts } from './ui/parts';
import { Icon } from './ui/icons';
import { chooseTheme, currentTheme } from './ui/theme';

/** Route is the part of the address after #. */
interface Route {
  path: string[];
  query: URLSearchParams;
}

function route(): Route {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
  return { path: (path || 'play').split('/').map(unescape), query: new URLSearchParams(query) };
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** mac tells that the key for commands is ⌘; Ctrl + K deletes to the end of a line there. */
const mac = /Mac|iP(hone|ad)/.test(navigator.platform);

function App() {
  const [at, setAt] = useState(route);
  const [who, setWho] = useState<Who | null>(null);
  const [asking, setAsking] = useState(false);
  const [age, setAge] = useState(0); // grows with each new key, so that pages load again
  const [theme, setTheme] = useState(currentTheme);
  const [seeking, setSeeking] = useState(false);
  const main = useRef<HTMLElement>(null);

  useEffect(() => {
    const moved = () => setAt(route());
    addEventListener('hashchange', moved);
    const pressed = (e: KeyboardEvent) => {
      if (e.key.toLowerCase() !== 'k' || !(mac ? e.metaKey : e.ctrlKey) || e.altKey || e.shiftKey || document.querySelector('dialog')) return;
      e.preventDefault();
      setSeeking(true);
    };
    addEventListener('keydown', pressed);
    whenDenied(() => setAsking(true));
    const media = matchMedia('(prefers-color-scheme: dark)');
    const themed = () => setTheme(currentTheme());
    media.addEventListener('change', themed);
    return () => {
      removeEventListener('hashchange', moved);
      removeEventListener('keydown', pressed);
      media.removeEventListener('change', themed);
    };
  }, []);

  useEffect(() => {
    // A server without keys does not know this path.
    ask<Who>('GET', '/whoami').then(
      (w) => {
        setWho(w); // pages that need a key ask for it; the playground needs none
        if (!w.open && !w.role && route().path[0] !== 'play') setAsking(true);
      },
      (err: unknown) => {
        if (err instanceof Failure && err.status === 404) setWho({ open: true, tenant: '', role: '' });
      },
    );
  }, [age]);

  const section = at.path[0] ?? 'play';
  const operator = who?.role === 'admin' && who.tenant === '*';
  const tenants = who?.role !== 'admin' ? '' : operator ? '#/tenants' : `#/tenants/${encodeURIComponent(who.tenant)}`;
  const [clustered, setClustered] = useState(false);
  useEffect(() => {
    if (!operator) return setClustered(false);
    ask<{ nodes: unknown[] }>('GET', '/nodes').then(({ nodes }) => setClustered(nodes.length > 0), () => {}); // the page itself would say what is wrong
  }, [operator, age]);
  const place = at.path.join('/');
  const started = useRef(false);
  useEffect(() => {
    document.title = `${{ play: 'Playground', functions: at.path[1] ?? 'Functions', deploy: 'Deploy', events: 'Events', tenants: at.path[1] ?? 'Tenants', nodes: 'Nodes', keys: 'Keys' }[section] ?? 'Not found'} · Vivarium`;
    // Moves the focus, so that screen readers announce the new page.
    if (started.current) main.current?.querySelector<HTMLElement>('h1')?.focus();
    started.current = true;
  }, [section, at.path[1]]);

  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); main.current?.focus(); }}>Skip to the content</a>
      <header class="top">
        <a class="brand" href="#/play"><img src="logo.svg" alt="" width="26" height="26" />Vivarium</a>
        <nav aria-label="Main">
          <a href="#/play" aria-current={section === 'play' ? 'page' : undefined}>Playground</a>
          <a href="#/functions" aria-current={section === 'functions' || section === 'deploy' ? 'page' : undefined}>Functions</a>
          <a href="#/events" aria-current={section === 'events' ? 'page' : undefined}>Events</a>
          {tenants && (
            <a href={tenants} aria-current={section === 'tenants' ? 'page' : undefined}>
              {operator ? 'Tenants' : 'Tenant'}
            </a>
          )}
          {clustered && <a href="#/nodes" aria-current={section === 'nodes' ? 'page' : undefined}>Nodes</a>}
          {who?.role === 'admin' && <a href="#/keys" aria-current={section === 'keys' ? 'page' : undefined}>Keys</a>}
        </nav>
        <span class="grow" />
        <button type="button" class="seek" onClick={() => setSeeking(true)} title="Go to a page or a function"><Icon name="search" /> <span>Go to…</span> <kbd>{mac ? '⌘ K' : 'Ctrl K'}</kbd></button>
        {who && !who.open && (
          <button type="button" class="who" onClick={() => setAsking(true)} title="Use another key">
            <Icon name="key" /> {who.role ? <><b>{who.tenant === '*' ? 'all tenants' : who.tenant}</b> <span class="muted">{who.role}</span></> : <b>Enter a key</b>}
          </button>
        )}
        <button
          type="button" class="bare" aria-label={theme === 'dark' ? 'Light theme' : 'Dark theme'}
          onClick={() => { const next = theme === 'dark' ? 'light' : 'dark'; chooseTheme(next); setTheme(next); }}
        ><Icon name={theme === 'dark' ? 'sun' : 'moon'} size={18} /></button>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {section === 'play' ? <Play shared={at.query.get('s') ?? ''} />
          : section === 'functions' && at.path[1] ? <FunctionPage key={`${at.path[1]} ${age}`} id={at.path[1]} tab={at.path[2] ?? ''} item={at.path[3] ?? ''} admin={who?.role === 'admin'} />
          : section === 'functions' ? <FunctionList key={age} />
          : section === 'deploy' ? <Deploy key={`${at.path[1] ?? ''} ${age}`} name={at.path[1] ?? ''} />
          : section === 'events' ? <EventsPage key={age} />
          : section === 'nodes' ? <Nodes key={age} />
          : section === 'tenants' && at.path[1] ? <TenantPage key={`${at.path[1]} ${age}`} name={at.path[1]} editable={operator} />
          : section === 'tenants' ? <TenantList key={age} />
          : section === 'keys' ? <Keys age={age} open={who?.open ?? false} onChange={() => setAge((n) => n + 1)} />
          : <div class="page"><h1 tabIndex={-1}>Page not found</h1><p><a href="#/play">Go to the playground</a></p><p class="muted">{place}</p></div>}
      </main>
      {seeking && <Palette current={section === 'functions' || section === 'deploy' ? (at.path[1] ?? '') : ''} tenants={tenants} operator={operator} onClose={() => setSeeking(false)} />}
      {asking && (
        <KeyDialog onClose={() => setAsking(false)} onKey={(w) => { setWho(w); setAge((n) => n + 1); setAsking(false); }} />
      )}
      <Toasts />
    </>
  );
}

/** KeyDialog asks for a key, and accepts it only if it works. */
function KeyDialog({ onClose, onKey }: { onClose: () => void; onKey: (who: Who) => void }) {
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState('');
  const had = apiKey();
  const submit = async () => {
    setAPIKey(text.trim());
    let message = 'The server does not know this key.';
    try {
      const who = await ask<Who>('GET', '/whoami');
      if (who.open || who.role) return onKey(who);
    } catch (err) {
      if (!(err instanceof Failure) || err.status !== 401) message = messageOf(err);
    }
    setAPIKey(had);
    setWrong(message);
  };
  return (
    <Dialog title="This server requires a key" onClose={onClose}>
      <form onSubmit={(e) => { e.preventDefault(); void submit(); }}>
        <p class="muted">It is kept in this tab only, until you close it. The server’s operator can create one: <code>vivarium key create</code></p>
        <Field label="API key" error={wrong}>
          <input type="password" name="api-key" autocomplete="off" spellcheck={false} placeholder="viv_…" value={text} onInput={(e) => setText(e.currentTarget.value)} required />
        </Field>
        {had && <Notice>This tab already has a key. <button type="button" class="small" onClick={() => { setAPIKey(''); location.reload(); }}>Forget it</button></Notice>}
        <div class="dialog-actions">
          <button type="button" onClick={onClose}>Not now</button>
          <button type="submit" class="primary">Use this key</button>
        </div>
      </form>
    </Dialog>
  );
}

const root = document.getElementById('app')!;
root.textContent = '';
render(<App />, root);
