// The command palette: every page and every function, a few keys away.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { all, isAbort, messageOf, seg, type Fn } from './api';
import { Dialog, Foreign } from './ui/parts';

interface Command {
  title: string;
  note: string;
  href: string;
}

interface Props {
  /** The function whose page is open. */
  current: string;
  /** Where an admin finds tenants; empty for others. */
  tenants: string;
  /** Whoever acts for all tenants, and may see the nodes. */
  operator: boolean;
  onClose: () => void;
}

/** most is how many commands are shown. */
const most = 30;

const parts = [['', 'Overview'], ['/calls', 'Calls'], ['/code', 'Code'], ['/versions', 'Versions'], ['/test', 'Test'], ['/logs', 'Logs'], ['/events', 'Events']] as const;

/** Palette finds pages by what is typed, and goes there. */
export function Palette({ current, tenants, operator, onClose }: Props) {
  const [functions, setFunctions] = useState<Fn[] | null>(null);
  const [wrong, setWrong] = useState('');
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    const stop = new AbortController();
    all<Fn>('/functions', 'functions', stop.signal).then(setFunctions, (err: unknown) => { if (!isAbort(err)) setWrong(messageOf(err)); });
    return () => stop.abort();
  }, []);
  const found = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter((w) => w);
    return commandsOf(functions ?? [], current, tenants, operator, words.length > 0)
      .filter((c) => words.every((w) => `${c.title} ${c.note}`.toLowerCase().includes(w))).slice(0, most);
  }, [functions, text, current, tenants, operator]);
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' }), [chosen]);
  const go = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    location.hash = command.href;
  };
  const key = (e: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step !== undefined) {
      e.preventDefault();
      setAt(found.length ? (chosen + step + found.length) % found.length : 0);
    } else if (e.key === 'Enter') {
      e.preventDefault();
      go(found[chosen]);
    }
  };
  return (
    <Dialog title="Go to" onClose={onClose}>
      <input
        type="search" role="combobox" list={undefined} aria-label="Page or function" aria-expanded="true" aria-controls="palette-list" aria-activedescendant={found.length ? `palette-${chosen}` : undefined}
        placeholder="A page, or a function and a page: orders logs" autocomplete="off" spellcheck={false} value={text}
        onInput={(e) => { setText(e.currentTarget.value); setAt(0); }} onKeyDown={key}
      />
      <ul class="palette" id="palette-list" role="listbox" aria-label="Pages" ref={list}>
        {found.map((c, i) => (
          <li key={c.href} id={`palette-${i}`} role="option" aria-selected={i === chosen} onPointerMove={() => setAt(i)} onClick={() => go(c)}>
            <span><Foreign text={c.title} /></span> <span class="muted clip"><Foreign text={c.note} /></span>
          </li>
        ))}
      </ul>
      {wrong && <p class="error"><Foreign text={wrong} /></p>}
      {found.length === 0 && <p class="empty">{functions === null && !wrong ? 'Loading…' : 'Nothing has these words.'}</p>}
    </Dialog>
  );
}

/** commandsOf lists what one can go to; the parts of functions that are not open only when something is sought. */
function commandsOf(functions: Fn[], current: string, tenants: string, operator: boolean, seeking: boolean): Command[] {
  const here = functions.find((f) => f.id === current || f.name === current);
  const pagesOf = (f: Fn, which: readonly (readonly [string, string])[]) => which.map(([path, part]) => (
    { title: path ? `${f.name || f.id}: ${part}` : f.name || f.id, note: path ? '' : f.description || 'function', href: `#/functions/${seg(f.name || f.id)}${path}` }
  ));
  return [
    ...(here ? [...pagesOf(here, parts.slice(1)), { title: `Deploy ${here.name || here.id}`, note: 'a new version', href: `#/deploy/${seg(here.name || here.id)}` }] : []),
    { title: 'Playground', note: 'write and run code', href: '#/play' },
    { title: 'Functions', note: 'what they are doing', href: '#/functions' },
    { title: 'New function', note: 'deploy a folder or an archive', href: '#/deploy' },
    { title: 'Events', note: 'timers and dead letters', href: '#/events' },
    ...(operator ? [{ title: 'Nodes', note: 'the servers of the cluster', href: '#/nodes' }] : []),
    ...(tenants ? [{ title: 'Tenants', note: 'quotas and what may be reached', href: tenants }, { title: 'Keys', note: 'who may use the server', href: '#/keys' }] : []),
    ...functions.flatMap((f) => pagesOf(f, seeking && f !== here ? parts : parts.slice(0, 1))),
  ];
}
