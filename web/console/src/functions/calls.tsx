// The calls of a function that the history has.
import { useEffect, useState } from 'preact/hooks';
import { ask, isAbort, messageOf, seg, type Call, type Fn, type Version } from '../api';
import { ago, clock, millis } from '../text';
import { statusText } from '../ui/answer';
import { Choice, Foreign, Notice, Pill, useTicks } from '../ui/parts';
import { pollSeconds } from './list';

/** page is how many calls are asked for at once. */
const page = 50;

/** statusKind returns the colour of a status. */
export function statusKind(status: number): 'good' | 'warn' | 'bad' {
  return status < 400 ? 'good' : status < 500 ? 'warn' : 'bad';
}

/** kindText says what made a call. */
export function kindText(call: Call): string {
  const kind = { HTTP: 'HTTP', RAW: 'raw', ASYNC: 'asynchronous', TIMER: 'timer' }[call.kind] ?? call.kind;
  return call.replayOf ? `${kind}, replay` : kind;
}

/** versionName returns how a version is best called: by its tags, or its id. */
export function versionName(id: string, versions: Version[]): string {
  const tags = versions.find((v) => v.id === id)?.tags ?? [];
  return tags.filter((t) => t !== '$latest').concat(tags.includes('$latest') ? ['$latest'] : []).join(', ') || id;
}

/** Calls lists calls, newest first, and looks for newer ones. */
export function Calls({ fn, versions, base }: { fn: Fn; versions: Version[]; base: string }) {
  const [which, setWhich] = useState<'all' | 'failed'>('all');
  const [calls, setCalls] = useState<Call[] | null>(null);
  const [older, setOlder] = useState<Call[]>([]);
  const [more, setMore] = useState(false);
  const [wrong, setWrong] = useState('');
  const path = `/functions/${seg(fn.id)}/calls?limit=${page}${which === 'failed' ? '&failed=true' : ''}`;
  const list = async (rest: string, signal?: AbortSignal) => (await ask<{ calls: Call[] }>('GET', path + rest, undefined, signal)).calls;

  useEffect(() => { setCalls(null); setOlder([]); }, [path]);
  useTicks(async (signal) => {
    try {
      const found = await list('', signal);
      setCalls(found);
      setMore((before) => before || found.length === page);
      setWrong('');
    } catch (err) {
      if (!isAbort(err)) setWrong(messageOf(err));
    }
  }, pollSeconds, [path]);
  const shown = [...(calls ?? []), ...older.filter((o) => !calls?.some((c) => c.id === o.id))];
  const load = async () => {
    try {
      const found = await list(`&before=${seg(shown.at(-1)!.id)}`);
      setOlder((before) => [...before, ...(calls ?? []).filter((c) => !before.some((o) => o.id === c.id)), ...found].sort((a, b) => (a.id < b.id ? 1 : -1)));
      setMore(found.length === page);
    } catch (err) {
      setWrong(messageOf(err));
    }
  };
  return (
    <section class="calls" aria-label="Calls">
      <div class="calls-head">
        <Choice label="Which calls" value={which} options={[['all', 'All'], ['failed', 'Failed']]} onChange={(w) => { setMore(false); setWhich(w); }} />
        <span class="grow" />
        {fn.calls?.off && <Pill kind="warn">calls are not kept</Pill>}
      </div>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {calls === null && !wrong && <p class="empty">Loading…</p>}
      {calls?.length === 0 && <Empty failed={which === 'failed'} off={fn.calls?.off ?? false} fn={fn} />}
      {shown.length > 0 && (
        <div class="table-wrap">
          <table class="call-list">
            <thead><tr><th scope="col">Received</th><th scope="col">Status</th><th scope="col" class="n">Took</th><th scope="col">Start</th><th scope="col">Kind</th><th scope="col">Version</th></tr></thead>
            <tbody>{shown.map((c) => <Row key={c.id} call={c} versions={versions} href={`${base}/calls/${seg(c.id)}`} />)}</tbody>
          </table>
        </div>
      )}
      {more && shown.length > 0 && <p><button type="button" onClick={() => void load()}>Older calls</button></p>}
    </section>
  );
}

function Row({ call: c, versions, href }: { call: Call; versions: Version[]; href: string }) {
  return (
    <tr onClick={(e) => { if (!(e.target as Element).closest('a')) location.hash = href; }}>
      <th scope="row"><a href={href}><time dateTime={c.receivedAt} title={c.receivedAt}>{clock(c.receivedAt)}</time></a>
        <span class="muted small-text">{ago(c.receivedAt)}</span></th>
      <td data-label="Status"><span class="tags"><Pill kind={statusKind(c.status)}>{c.status} {statusText(c.status)}</Pill>
        {c.error && c.error !== statusText(c.status) && <span class="bad-text"><Foreign text={c.error} /></span>}</span></td>
      <td class="n" data-label="Took">{millis(c.durationMS)}</td>
      <td data-label="Start">{c.cold ? <Pill>cold</Pill> : <span class="muted">warm</span>}</td>
      <td data-label="Kind">{kindText(c)}</td>
      <td data-label="Version"><code>{versionName(c.functionVersionId, versions)}</code></td>
    </tr>
  );
}

function Empty({ failed, off, fn }: { failed: boolean; off: boolean; fn: Fn }) {
  const name = fn.name || fn.id;
  if (off) return <p class="empty">No call of this function is kept. To keep them: <code>vivarium function calls {name} --keep</code></p>;
  if (failed) return <p class="empty">No call that is kept has failed.</p>;
  return (
    <p class="empty">
      No calls yet. <a href={`#/functions/${seg(fn.id)}/test`}>Call the function</a>, and each call appears here: with its event and its answer,
      where its time went, and a button to make it again.
    </p>
  );
}
