// A call of a function, made by hand.
import { useRef, useState } from 'preact/hooks';
import { isAbort, messageOf, reach, seg, type Fn, type Version } from '../api';
import { blank } from '../play/examples';
import { EventEditor } from '../play/request';
import { check, type Draft } from '../play/run';
import { millis } from '../text';
import { AnswerView, type Answer } from '../ui/answer';
import { Icon } from '../ui/icons';
import { Foreign, Notice } from '../ui/parts';

/** TestCall calls a function and shows its response. */
export function TestCall({ fn, versions }: { fn: Fn; versions: Version[] }) {
  const [draft, setDraft] = useState<Draft>({ ...blank, mode: 'http' });
  const [tag, setTag] = useState('$latest');
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState('');
  const [answer, setAnswer] = useState<{ answer: Answer; took: number; requestID: string } | null>(null);
  const running = useRef<AbortController | null>(null);
  const invalid = useRef('');
  const tags = [...new Set(['$latest', ...versions.flatMap((v) => v.tags ?? [])])];

  const call = async () => {
    if (running.current) return;
    const stop = (running.current = new AbortController());
    setBusy(true);
    setWrong('');
    const start = performance.now();
    try {
      check(draft, invalid.current);
      const response = await send(fn, draft, tag, stop.signal);
      const body = new Uint8Array(await response.arrayBuffer());
      setAnswer({ answer: answerOf(response, body), took: performance.now() - start, requestID: response.headers.get('X-Request-Id') ?? '' });
    } catch (err) {
      setAnswer(null);
      if (!isAbort(err)) setWrong(messageOf(err));
    } finally {
      running.current = null;
      setBusy(false);
    }
  };
  return (
    <div class="test">
      <EventEditor draft={draft} onChange={(part) => setDraft((d) => ({ ...d, ...part }))} onInvalid={(why) => { invalid.current = why; }} onRun={() => void call()} />
      <section class="panel result" aria-label="Response" aria-busy={busy} aria-live="polite">
        <header class="panel-head">
          <h2>Answer</h2>
          <span class="grow" />
          {answer && <span class="muted">{millis(answer.took)} there and back</span>}
          <label class="inline"><span>Tag</span>
            <select value={tag} onChange={(e) => setTag(e.currentTarget.value)}>{tags.map((t) => <option>{t}</option>)}</select>
          </label>
          {busy
            ? <button type="button" class="danger" onClick={() => running.current?.abort()}><Icon name="stop" /> Stop</button>
            : <button type="button" class="primary" onClick={() => void call()}><Icon name="play" /> Call</button>}
        </header>
        <div class="panel-body">
          {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
          {!answer && !wrong && <p class="empty">This really calls the function, as any caller does.</p>}
          {answer && <AnswerView answer={answer.answer} />}
          {answer?.requestID && <p class="hint test-foot"><span>Request <code>{answer.requestID}</code></span> {!fn.calls?.off && <a href={`#/functions/${seg(fn.name || fn.id)}/calls/request:${seg(answer.requestID)}`}>Open this call</a>}</p>}
        </div>
      </section>
    </div>
  );
}

async function send(fn: Fn, draft: Draft, tag: string, signal: AbortSignal): Promise<Response> {
  const { method, query, headers, body } = draft.request;
  const extra = tag === '$latest' ? '' : `tag=${encodeURIComponent(tag)}`;
  if (draft.mode === 'raw') {
    return reach(`/${seg(fn.id)}?integration=raw&${extra}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: draft.event, signal });
  }
  const parts = [query.replace(/^\?/, ''), extra].filter((p) => p);
  const named = Object.fromEntries(Object.entries(headers).filter(([name]) => name));
  return reach(`/${seg(fn.id)}${parts.length ? `?${parts.join('&')}` : ''}`, {
    method, headers: named, signal, redirect: 'manual',
    ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
  });
}

function answerOf(response: Response, body: Uint8Array<ArrayBuffer>): Answer {
  const headers: Record<string, string[]> = {};
  response.headers.forEach((value, name) => { headers[name] = [value]; });
  const answer: Answer = { status: response.status, headers, body };
  if (response.type === 'opaqueredirect') answer.status = 302; // browsers tell no more about it
  if (response.headers.has('X-Function-Error') || response.status >= 400) {
    try {
      const e = JSON.parse(new TextDecoder().decode(body)) as { errorType?: unknown; errorMessage?: unknown; stackTrace?: unknown };
      if (typeof e.errorMessage === 'string')
        answer.error = {
          errorType: String(e.errorType ?? ''), errorMessage: e.errorMessage,
          stackTrace: Array.isArray(e.stackTrace) ? e.stackTrace.map(String) : undefined,
        };
    } catch {
      // the handler's own response
    }
  }
  return answer;
}
