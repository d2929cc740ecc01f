// A function at a glance: its figures, its last calls, its versions and its settings.
import { useState } from 'preact/hooks';
import { ask, Failure, isAbort, messageOf, seg, type Call, type Figures, type Fn, type Point, type Version } from '../api';
import { ago, bytes, clock, count, millis } from '../text';
import { statusText } from '../ui/answer';
import type { Line } from '../ui/chart';
import { Choice, Foreign, Missing, Notice, Pill, useTicks } from '../ui/parts';
import { Timeline } from '../ui/timeline';
import { Access } from './access';
import { statusKind, versionName } from './calls';
import { pollSeconds } from './list';
import { EditSettings, Settings } from './settings';

interface Props {
  fn: Fn;
  versions: Version[];
  base: string;
  admin: boolean;
  reload: () => Promise<void>;
}

/** few is how many calls and versions are shown. */
const few = 5;

/** Overview shows what a function has been doing. */
export function Overview({ fn, versions, base, admin, reload }: Props) {
  const [figures, setFigures] = useState<Figures | null>(null);
  const [calls, setCalls] = useState<Call[] | null>(null);
  const [editing, setEditing] = useState(false);
  const [wrong, setWrong] = useState('');
  useTicks(async (signal) => {
    const absent = (err: unknown) => { // a server without these
      if (err instanceof Failure && err.status === 404) return null;
      throw err;
    };
    try {
      const [numbers, last] = await Promise.all([
        ask<Figures>('GET', `/functions/${seg(fn.id)}:figures`, undefined, signal).catch(absent),
        ask<{ calls: Call[] }>('GET', `/functions/${seg(fn.id)}/calls?limit=${few}`, undefined, signal).catch(absent),
      ]);
      setFigures(numbers);
      setCalls(last?.calls ?? null);
      setWrong('');
    } catch (err) {
      if (!isAbort(err)) setWrong(messageOf(err));
    }
  }, pollSeconds, [fn.id]);
  const latest = versions.find((v) => v.tags?.includes('$latest'));
  return (
    <>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {!figures && !wrong && <p class="empty">Loading…</p>}
      {figures && <Missing of={figures} />}
      {figures && (
        <dl class="numbers">
          <div><dt>Calls</dt><dd class={figures.calls ? '' : 'zero'}>{count(figures.calls)}</dd></div>
          <div><dt>Errors</dt><dd class={figures.errors ? 'bad-text' : 'zero'}>{count(figures.errors)}</dd></div>
          <div><dt>p50</dt><dd class={figures.calls ? '' : 'zero'}>{figures.calls ? millis(figures.p50MS) : '–'}</dd></div>
          <div><dt>p99</dt><dd class={figures.calls ? '' : 'zero'}>{figures.calls ? millis(figures.p99MS) : '–'}</dd></div>
          <div><dt>Instances</dt><dd class={figures.busy + figures.idle ? '' : 'zero'}>{figures.busy + figures.idle}<small> {figures.busy} busy</small></dd></div>
          <div><dt>Memory</dt><dd class={Number(figures.memory) ? '' : 'zero'}>{bytes(Number(figures.memory))}</dd></div>
        </dl>
      )}
      {figures && figures.points.length > 1 && <Recent points={figures.points} />}
      <div class="overview">
        <section class="panel" aria-label="Recent calls">
          <header class="panel-head"><h2>Recent calls</h2><span class="grow" /><a href={`${base}/calls`}>All</a></header>
          {calls === null ? <p class="empty">{fn.calls?.off ? 'Calls of this function are not kept.' : 'Loading…'}</p>
            : calls.length === 0 ? <p class="empty">None yet. <a href={`${base}/test`}>Call the function</a>, or share its address.</p>
              : (
                <ul class="short-list">
                  {calls.map((c) => (
                    <li><a href={`${base}/calls/${seg(c.id)}`}>
                      <Pill kind={statusKind(c.status)}>{c.status}</Pill>
                      <span class="clip">{c.error ? <Foreign text={c.error} /> : statusText(c.status)}</span>
                      <span class="grow" /><span class="muted">{millis(c.durationMS)}</span><time class="muted" dateTime={c.receivedAt}>{clock(c.receivedAt).slice(0, 8)}</time>
                    </a></li>
                  ))}
                </ul>
              )}
        </section>
        <section class="panel" aria-label="Newest versions">
          <header class="panel-head"><h2>Versions</h2><span class="grow" /><a href={`${base}/versions`}>All, and roll back</a></header>
          {versions.length === 0 ? <p class="empty">None yet.</p> : (
            <ul class="short-list">
              {versions.slice(0, few).map((v, i) => (
                <li><a href={`${base}/code/${versions[i + 1] ? `${seg(versions[i + 1]!.id)}..` : ''}${seg(v.id)}`} title={versions[i + 1] ? 'What it changed' : 'Its code'}>
                  <span class="clip">{(v.tags ?? []).length ? versionName(v.id, versions) : <code>{v.id}</code>}</span>
                  <span class="grow" /><span class="muted">{bytes(Number(v.imageSize))}</span><span class="muted">{ago(v.createdAt)}</span>
                </a></li>
              ))}
            </ul>
          )}
        </section>
      </div>
      {latest && (
        <section class="panel settings" aria-label="Settings">
          <header class="panel-head"><h2>Settings of the newest version</h2><span class="grow" /><button type="button" onClick={() => setEditing(true)}>Edit</button></header>
          <Settings version={latest} />
        </section>
      )}
      <Access fn={fn} editable={admin} />
      {editing && latest && <EditSettings fn={fn} version={latest} reload={reload} onClose={() => setEditing(false)} />}
    </>
  );
}

type What = 'calls' | 'duration' | 'instances' | 'memory';

const kinds: Record<What, { title: string; format: (n: number) => string; lines: (p: Point[]) => Line[] }> = {
  calls: {
    title: 'Calls in 10 s', format: (n) => count(Math.round(n * 10) / 10),
    lines: (p) => [{ name: 'calls', values: p.map((x) => x.calls), kind: 'good' }, { name: 'errors', values: p.map((x) => x.errors), kind: 'bad' }],
  },
  duration: {
    title: 'Duration', format: millis,
    lines: (p) => [{ name: 'p99', values: p.map((x) => x.p99MS ?? 0), kind: 'calm' }, { name: 'p50', values: p.map((x) => x.p50MS ?? 0), kind: 'good' }],
  },
  instances: {
    title: 'Instances', format: (n) => count(Math.round(n * 10) / 10),
    lines: (p) => [{ name: 'all', values: p.map((x) => (x.idle ?? 0) + (x.busy ?? 0)), kind: 'calm' }, { name: 'busy', values: p.map((x) => x.busy ?? 0), kind: 'good' }],
  },
  memory: { title: 'Memory', format: bytes, lines: (p) => [{ name: 'taken', values: p.map((x) => Number(x.memory ?? 0)), kind: 'good' }] },
};

/** perMinute is how many points there are in a minute. */
const perMinute = 6;

/** Recent shows one kind of figures over the last minutes. */
function Recent({ points }: { points: Point[] }) {
  const [what, setWhat] = useState<What>('calls');
  const [minutes, setMinutes] = useState<'2' | '5' | '10'>('10');
  const shown = points.slice(-Number(minutes) * perMinute);
  const { title, format, lines } = kinds[what];
  return (
    <section class="panel charts" aria-label="Figures">
      <header class="panel-head wrap">
        <Choice label="Which figures" value={what} options={[['calls', 'Calls'], ['duration', 'Duration'], ['instances', 'Instances'], ['memory', 'Memory']]} onChange={setWhat} />
        <span class="grow" />
        <Choice label="Minutes" value={minutes} options={[['2', '2 min'], ['5', '5 min'], ['10', '10 min']]} onChange={setMinutes} />
      </header>
      <div class="panel-body"><Timeline title={title} times={shown.map((p) => p.time)} format={format} lines={lines(shown)} /></div>
    </section>
  );
}
