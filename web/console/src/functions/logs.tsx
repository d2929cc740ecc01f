// The log of a function, as it is written.
import { useEffect, useState } from 'preact/hooks';
import { failureOf, isAbort, messageOf, reach, seg, type Fn, type LogEntry } from '../api';
import { Lines, Log } from '../ui/log';
import { LogCalls } from '../ui/logcalls';
import { Choice, Foreign, Notice, Pill } from '../ui/parts';

const levels = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];

const spans = { '15m': 15, '1h': 60, '24h': 24 * 60, '3d': 3 * 24 * 60 } as const;

/** Logs follows the log of a function. */
export function Logs({ fn }: { fn: Fn }) {
  const [lines] = useState(() => new Lines());
  const [level, setLevel] = useState('');
  const [text, setText] = useState('');
  const [span, setSpan] = useState<keyof typeof spans>('1h');
  const [as, setAs] = useState<'calls' | 'lines'>('calls');
  const [mode, setMode] = useState<'follow' | 'still'>('follow');
  const [state, setState] = useState<'connecting' | 'live' | 'ended'>('connecting');
  const [wrong, setWrong] = useState('');
  const [sought, setSought] = useState('');

  useEffect(() => {
    const timer = setTimeout(() => setSought(text), 300);
    return () => clearTimeout(timer);
  }, [text]);

  useEffect(() => {
    const stop = new AbortController();
    let again: ReturnType<typeof setTimeout> | undefined;
    let last = '';
    const follow = async () => {
      setState('connecting');
      const query = new URLSearchParams({ since: last || new Date(Date.now() - spans[span] * 60_000).toISOString(), limit: '1000' });
      if (level) query.set('minLevel', level);
      if (sought) query.set('contains', sought);
      if (mode === 'follow') query.set('follow', 'true');
      try {
        const answer = await reach(`/functions/v1/functions/${seg(fn.id)}:logs?${query}`, { signal: stop.signal });
        if (!answer.ok) throw await failureOf(answer);
        lines.clear();
        setWrong('');
        if (mode === 'follow' && answer.body) {
          setState('live');
          await eachLine(answer.body, (line) => add(lines, JSON.parse(line) as LogEntry));
          again = setTimeout(() => void follow(), 2000); // the server has stopped; it may come back
        } else {
          for (const e of ((await answer.json()) as { entries: LogEntry[] }).entries) add(lines, e);
        }
        setState('ended');
      } catch (err) {
        if (isAbort(err)) return;
        setWrong(messageOf(err));
        setState('ended');
        if (mode === 'follow') again = setTimeout(() => void follow(), 5000);
      }
    };
    void follow();
    return () => {
      stop.abort();
      clearTimeout(again);
    };
  }, [fn.id, level, sought, span, mode]);

  const empty = state === 'connecting' ? 'Loading…' : sought || level ? 'No entry matches.'
    : `Nothing in the last ${span}. Call the function: what it prints, and what it logs with the logging module, appears here as it is written.`;
  return (
    <section class="panel logs" aria-label="Log">
      <header class="panel-head wrap">
        <input type="search" aria-label="Find in the log" placeholder="Find text" value={text} onInput={(e) => setText(e.currentTarget.value)} />
        <label class="inline"><span>From level</span>
          <select value={level} onChange={(e) => setLevel(e.currentTarget.value)}>
            <option value="">all</option>
            {levels.map((l) => <option>{l}</option>)}
          </select>
        </label>
        <label class="inline"><span>Last</span>
          <select value={span} onChange={(e) => setSpan(e.currentTarget.value as keyof typeof spans)}>
            {Object.keys(spans).map((s) => <option>{s}</option>)}
          </select>
        </label>
        <span class="grow" />
        {state === 'live' && <Pill kind="good">live</Pill>}
        <Choice label="Show" value={as} options={[['calls', 'Calls'], ['lines', 'Lines']]} onChange={setAs} />
        <Choice label="New entries" value={mode} options={[['follow', 'Follow'], ['still', 'Pause']]} onChange={setMode} />
      </header>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {as === 'calls'
        ? <LogCalls lines={lines} label={`Log of ${fn.name || fn.id}`} empty={empty} open={sought !== ''} href={(request) => `#/functions/${seg(fn.id)}/calls/request:${seg(request)}`} />
        : <Log lines={lines} label={`Log of ${fn.name || fn.id}`} empty={empty} />}
    </section>
  );
}

function add(lines: Lines, e: LogEntry): void {
  const system = /^(START|END|REPORT) RequestID: /.test(e.message);
  lines.add({
    time: e.timestamp, level: system ? '' : e.level, message: e.message, system, ...(e.requestId ? { request: e.requestId } : {}),
    ...(e.jsonPayload !== undefined && !system ? { note: JSON.stringify(e.jsonPayload) } : {}),
  });
}

/** eachLine calls act with each non-empty line of a body, until that ends. */
async function eachLine(body: ReadableStream<Uint8Array>, act: (line: string) => void): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line) act(line);
  }
}
