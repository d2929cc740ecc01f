// The small components that pages are made of.
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Incomplete } from '../api';
import { count, hasHidden, pieces } from '../text';
import { Icon } from './icons';

/** Foreign shows text that strangers wrote, hidden characters included. */
export function Foreign({ text }: { text: string }) {
  if (!hasHidden(text)) return <>{text}</>;
  return (
    <>
      {pieces(text).map((p) => (p.name ? <span class="hidden-char" title={p.name}>{p.text}</span> : p.text))}
    </>
  );
}

/** Pill is a word that names a state. */
export function Pill({ kind = 'plain', children }: { kind?: 'good' | 'bad' | 'warn' | 'plain'; children: ComponentChildren }) {
  return <span class={`pill ${kind}`}>{children}</span>;
}

/** Choice selects one of a few options, all of them visible. */
export function Choice<T extends string>(props: {
  label: string; value: T; options: readonly (readonly [T, string])[]; onChange: (value: T) => void;
}) {
  return (
    <div class="choice" role="group" aria-label={props.label}>
      {props.options.map(([value, title]) => (
        <button type="button" aria-pressed={props.value === value} onClick={() => props.onChange(value)}>{title}</button>
      ))}
    </div>
  );
}

/** Field is an input with its label and its error. */
export function Field(props: { label: string; hint?: string; error?: string | undefined; children: ComponentChildren }) {
  return (
    <label class={`field ${props.error ? 'wrong' : ''}`}>
      <span class="field-name">{props.label}</span>
      {props.children}
      {props.hint && !props.error && <span class="hint">{props.hint}</span>}
      {props.error && <span class="error" role="alert">{props.error}</span>}
    </label>
  );
}

/** Notice is a message in the flow of a page. */
export function Notice({ kind = 'plain', children }: { kind?: 'bad' | 'warn' | 'plain'; children: ComponentChildren }) {
  return (
    <div class={`notice ${kind}`} role={kind === 'bad' ? 'alert' : undefined}>
      <Icon name={kind === 'plain' ? 'info' : 'alert'} size={18} />
      <div>{children}</div>
    </div>
  );
}

/** Missing warns that figures lack what some nodes have. */
export function Missing({ of }: { of: Incomplete }) {
  const nodes = of.silentNodes ?? 0;
  if (nodes === 0) return null;
  return (
    <Notice kind="warn">
      {nodes === 1 ? 'One node of the cluster did not answer: figures of calls that it has processed are missing.'
        : `${count(nodes)} nodes of the cluster did not answer: figures of calls that they have processed are missing.`}
      {of.silent && <> <Foreign text={of.silent.join(', ')} /></>}
    </Notice>
  );
}

/** copy puts a text into the clipboard. Browsers allow that to pages of other machines only over TLS. */
async function copy(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
}

/** Copy is a button that puts a text into the clipboard. */
export function Copy({ text, label, onTried }: { text: string; label: string; onTried?: () => void }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button
      type="button" class="bare" aria-label={done ? 'Copied' : label} title={label}
      onClick={() => void copy(text).then(() => setDone(true), () => tell('The browser does not allow copying here. Select the text and copy it yourself.', 'bad')).then(onTried)}
    >
      <Icon name={done ? 'check' : 'copy'} size={15} />
    </button>
  );
}

/** Dialog is modal. Its first field, or else its first button, gets the focus. Without onClose, only its contents can close it. */
export function Dialog(props: { title: string; onClose?: () => void; children: ComponentChildren; wide?: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const d = dialog.current!;
    const before = document.activeElement;
    d.showModal();
    // Without its key a dialog that can't be left is not even closed for a moment.
    const stay = (e: KeyboardEvent) => { if (e.key === 'Escape' && !props.onClose) e.preventDefault(); };
    document.addEventListener('keydown', stay);
    return () => {
      document.removeEventListener('keydown', stay);
      d.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog} class={props.wide ? 'wide' : ''} aria-labelledby="dialog-title"
      onCancel={(e) => { e.preventDefault(); props.onClose?.(); }}
      onClose={() => { // browsers close a dialog at the second Escape, whatever the page says
        if (!dialog.current) return; // it has left the page, where another may be open
        if (props.onClose) props.onClose();
        else dialog.current.showModal();
      }}
      onClick={(e) => { if (e.target === dialog.current) props.onClose?.(); }}
    >
      <div class="dialog-body">
        <h2 id="dialog-title">{props.title}</h2>
        {props.children}
      </div>
    </dialog>
  );
}

/** Confirm asks for confirmation. */
export function Confirm(props: {
  title: string; action: string; danger?: boolean; children: ComponentChildren;
  onDo: () => Promise<void>; onClose: () => void;
}) {
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState('');
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          setBusy(true);
          setWrong('');
          props.onDo().then(props.onClose, (err: Error) => { setWrong(err.message); setBusy(false); });
        }}
      >
        {props.children}
        {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
        <div class="dialog-actions">
          <button type="button" onClick={props.onClose}>Cancel</button>
          <button type="submit" class={props.danger ? 'danger' : 'primary'} disabled={busy}>{busy ? 'Working…' : props.action}</button>
        </div>
      </form>
    </Dialog>
  );
}

interface Toast {
  id: number;
  text: string;
  kind: 'good' | 'bad';
}

let showToast: (toast: Toast) => void = () => {};
let lastToast = 0;

/** tell shows a message for a while, on top of everything. */
export function tell(text: string, kind: 'good' | 'bad' = 'good'): void {
  showToast({ id: ++lastToast, text, kind });
}

/** Toasts is where messages appear. */
export function Toasts() {
  const [list, setList] = useState<Toast[]>([]);
  showToast = (toast) => {
    setList((l) => [...l.slice(-2), toast]);
    setTimeout(() => setList((l) => l.filter((other) => other.id !== toast.id)), toast.kind === 'bad' ? 8000 : 4000);
  };
  return (
    <div class="toasts" role="status" aria-live="polite">
      {list.map((toast) => (
        <div key={toast.id} class={`toast ${toast.kind}`}>
          <Icon name={toast.kind === 'bad' ? 'alert' : 'check'} />
          <Foreign text={toast.text} />
        </div>
      ))}
    </div>
  );
}

/** Tabs are links to the parts of a page. */
export function Tabs({ label, items, current }: { label: string; items: readonly (readonly [string, string])[]; current: string }) {
  return (
    <nav class="tabs" aria-label={label}>
      {items.map(([href, title]) => (
        <a href={href} aria-current={href === current ? 'page' : undefined}>{title}</a>
      ))}
    </nav>
  );
}

/** useTicks calls act at once and then every few seconds while the page is visible. */
export function useTicks(act: (signal: AbortSignal) => Promise<void>, seconds: number, deps: unknown[]): void {
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let busy = false;
    const tick = async () => {
      clearTimeout(timer);
      if (busy || document.hidden || stop.signal.aborted) return;
      busy = true;
      try {
        await act(stop.signal);
      } finally {
        busy = false;
        if (!stop.signal.aborted && !document.hidden) timer = setTimeout(() => void tick(), seconds * 1000);
      }
    };
    const wake = () => void tick();
    document.addEventListener('visibilitychange', wake);
    void tick();
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', wake);
    };
  }, deps);
}
