// The input of a draft: a request, or a trigger's event.
import { useEffect, useState } from 'preact/hooks';
import { Choice } from '../ui/parts';
import { Editor } from '../ui/editor';
import { Icon } from '../ui/icons';
import { samples } from './examples';
import type { Draft, Request } from './run';

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

interface Props {
  draft: Pick<Draft, 'mode' | 'request' | 'event'>;
  onChange: (change: Partial<Draft>) => void;
  /** Reports why the request is not valid, or an empty text if it is. */
  onInvalid: (why: string) => void;
  onRun: () => void;
}

/** EventEditor edits the handler's input. */
export function EventEditor({ draft, onChange, onInvalid, onRun }: Props) {
  const [as, setAs] = useState<'form' | 'json'>('form');
  return (
    <section class="panel event" aria-label="Event">
      <header class="panel-head">
        <h2>Event</h2>
        <Choice label="Mode" value={draft.mode} options={[['http', 'HTTP'], ['raw', 'Raw']]} onChange={(mode) => onChange({ mode })} />
        <span class="grow" />
        {draft.mode === 'http' ? (
          <Choice label="Edit the request as" value={as} options={[['form', 'Form'], ['json', 'JSON']]} onChange={setAs} />
        ) : (
          <select aria-label="Event samples" value="" onChange={(e) => {
            const sample = samples.find((s) => s.id === e.currentTarget.value);
            if (sample) onChange({ event: sample.event });
            e.currentTarget.value = '';
          }}>
            <option value="">Samples…</option>
            {samples.map((s) => <option value={s.id}>{s.title}</option>)}
          </select>
        )}
      </header>
      {draft.mode === 'raw' ? (
        <Editor key="raw" class="fill" label="Event, as JSON" language="json" value={draft.event} onChange={(event) => onChange({ event })} onRun={onRun} />
      ) : as === 'json' ? (
        <RequestJSON request={draft.request} onChange={(request) => onChange({ request })} onInvalid={onInvalid} onRun={onRun} />
      ) : (
        <RequestForm request={draft.request} onChange={(request) => onChange({ request })} onRun={onRun} />
      )}
    </section>
  );
}

interface RequestProps {
  request: Request;
  onChange: (request: Request) => void;
  onRun: () => void;
}

/** RequestForm edits a request field by field. */
function RequestForm({ request, onChange, onRun }: RequestProps) {
  const rows = Object.entries(request.headers);
  const setRows = (next: [string, string][]) => onChange({ ...request, headers: Object.fromEntries(next) });
  return (
    <div class="request">
      <div class="request-line">
        <select aria-label="Method" value={request.method} onChange={(e) => onChange({ ...request, method: e.currentTarget.value })}>
          {methods.map((m) => <option>{m}</option>)}
        </select>
        <span class="prefix" aria-hidden="true">?</span>
        <input
          aria-label="Query" placeholder="name=Ann&amp;page=2" value={request.query} spellcheck={false} autocomplete="off"
          onInput={(e) => onChange({ ...request, query: e.currentTarget.value })}
          onKeyDown={(e) => { if (e.key === 'Enter') onRun(); }}
        />
      </div>
      {rows.map(([name, value], i) => (
        <div class="request-header" key={i}>
          <input aria-label={`Name of header ${i + 1}`} placeholder="Header" value={name} spellcheck={false} autocomplete="off"
            onChange={(e) => setRows(rows.map((r, j) => (j === i ? [e.currentTarget.value.trim(), value] : r)))} />
          <input aria-label={`Value of header ${i + 1}`} placeholder="value" value={value} spellcheck={false} autocomplete="off"
            onInput={(e) => setRows(rows.map((r, j) => (j === i ? [name, e.currentTarget.value] : r)))} />
          <button type="button" class="bare" aria-label={`Remove header ${i + 1}`} onClick={() => setRows(rows.filter((_, j) => j !== i))}><Icon name="close" size={14} /></button>
        </div>
      ))}
      <div class="request-more">
        <button type="button" class="small" disabled={'' in request.headers} onClick={() => setRows([...rows, ['', '']])}><Icon name="plus" size={13} /> Header</button>
      </div>
      {request.method !== 'GET' && request.method !== 'HEAD' && (
        <Editor key="body" class="fill" label="Body of the request" language="json" value={request.body} onChange={(body) => onChange({ ...request, body })} onRun={onRun} />
      )}
    </div>
  );
}

/** RequestJSON edits a request as JSON. Text that is not valid is not used, and can't be run. */
function RequestJSON({ request, onChange, onInvalid, onRun }: RequestProps & Pick<Props, 'onInvalid'>) {
  const [text, setText] = useState(() => JSON.stringify(request, null, 2));
  const [wrong, setWrong] = useState('');
  useEffect(() => {
    if (!wrong && JSON.stringify(request) !== compact(text)) setText(JSON.stringify(request, null, 2));
  }, [request]);
  useEffect(() => () => onInvalid(''), []);
  const judge = (why: string) => {
    setWrong(why);
    onInvalid(why); // at once: it may be run before an effect would tell
  };
  const edit = (next: string) => {
    setText(next);
    try {
      const value = JSON.parse(next) as Partial<Request> | null;
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('it must be an object');
      const headers = Object.entries(value.headers ?? {}).map(([k, v]) => [k, String(v)]);
      const body = typeof value.body === 'string' ? value.body : value.body === undefined ? '' : JSON.stringify(value.body);
      onChange({ method: String(value.method ?? 'GET'), query: String(value.query ?? ''), headers: Object.fromEntries(headers) as Record<string, string>, body });
      judge('');
    } catch (err) {
      judge((err as Error).message);
    }
  };
  return (
    <>
      <Editor class="fill" label="Request, as JSON" language="json" value={text} onChange={edit} onRun={onRun} />
      {wrong && <p class="error" role="alert">Not JSON: {wrong}</p>}
    </>
  );
}

function compact(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return '';
  }
}
