// The page of one function.
import { useCallback, useEffect, useState } from 'preact/hooks';
import { all, ask, Failure, isAbort, messageOf, seg, type Figures, type Fn, type Operation, type Version } from '../api';
import { bytes, count, millis } from '../text';
import { Chart } from '../ui/chart';
import { Icon } from '../ui/icons';
import { Confirm, Copy, Field, Foreign, Notice, Pill, Tabs, tell, useTicks } from '../ui/parts';
import { CallPage } from './call';
import { Calls } from './calls';
import { Code } from './code';
import { pollSeconds } from './list';
import { Logs } from './logs';
import { TestCall } from './test';
import { Versions } from './versions';

/** FunctionPage shows a function in tabs; item is what one of them has open. */
export function FunctionPage({ id, tab, item }: { id: string; tab: string; item: string }) {
  const [fn, setFn] = useState<Fn | null>(null);
  const [versions, setVersions] = useState<Version[] | null>(null);
  const [wrong, setWrong] = useState('');
  const [deleting, setDeleting] = useState(false);

  const load = useCallback(async (signal?: AbortSignal) => {
    try {
      const found = await ask<Fn>('GET', `/functions/${seg(id)}`, undefined, signal);
      setFn(found);
      setVersions(await all<Version>(`/versions?functionId=${seg(found.id)}`, 'versions', signal));
      setWrong('');
    } catch (err) {
      if (!isAbort(err)) setWrong(messageOf(err));
    }
  }, [id]);
  useTicks(load, 3 * pollSeconds, [load]);

  const base = `#/functions/${seg(id)}`;
  const at = ['', 'calls', 'code', 'versions', 'test', 'logs'].includes(tab) ? tab : '';
  const latest = versions?.find((v) => v.tags?.includes('$latest')) ?? null;
  const url = fn ? `${location.origin}/${fn.name || fn.id}` : '';
  return (
    <div class="page">
      <header class="page-head">
        <a class="back" href="#/functions" aria-label="All functions">Functions</a>
        <span class="muted" aria-hidden="true">/</span>
        <h1 tabIndex={-1}>{fn?.name || id}</h1>
        {fn && fn.status !== 'ACTIVE' && <Pill kind="warn">{fn.status.toLowerCase()}</Pill>}
        <span class="grow" />
        {fn && (
          <>
            <a class="button" href={`#/deploy/${seg(fn.name || fn.id)}`}><Icon name="upload" /> Deploy</a>
            <button type="button" class="danger-quiet" onClick={() => setDeleting(true)}><Icon name="trash" /> Delete</button>
          </>
        )}
      </header>
      {fn && (
        <p class="where"><code>{url}</code><Copy text={url} label="Copy the address" />
          {fn.description && <span class="muted"><Foreign text={fn.description} /></span>}</p>
      )}
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      <Tabs label="Parts of this function" current={at ? `${base}/${at}` : base} items={[
        [base, 'Overview'], [`${base}/calls`, 'Calls'], [`${base}/code`, 'Code'], [`${base}/versions`, 'Versions'], [`${base}/test`, 'Test'], [`${base}/logs`, 'Logs'],
      ]} />
      {!fn && !wrong && <p class="empty">Loading…</p>}
      {fn && versions && versions.length === 0 && (
        <Notice>This function has no version yet. <a href={`#/deploy/${seg(fn.name || fn.id)}`}>Deploy one</a></Notice>
      )}
      {fn && at === '' && <Overview fn={fn} latest={latest} />}
      {fn && at === 'calls' && !item && <Calls fn={fn} versions={versions ?? []} base={base} />}
      {fn && at === 'calls' && item && versions && <CallPage key={item} fn={fn} id={item} versions={versions} base={base} />}
      {fn && at === 'code' && versions && <Code fn={fn} versions={versions} item={item} base={base} reload={() => load()} />}
      {fn && at === 'versions' && versions && <Versions fn={fn} versions={versions} reload={() => load()} />}
      {fn && at === 'test' && <TestCall fn={fn} versions={versions ?? []} />}
      {fn && at === 'logs' && <Logs fn={fn} />}
      {fn && deleting && <Delete fn={fn} onClose={() => setDeleting(false)} />}
    </div>
  );
}

function Overview({ fn, latest }: { fn: Fn; latest: Version | null }) {
  const [figures, setFigures] = useState<Figures | null>(null);
  const [wrong, setWrong] = useState('');
  useTicks(async (signal) => {
    try {
      setFigures(await ask<Figures>('GET', `/functions/${seg(fn.id)}:figures`, undefined, signal));
      setWrong('');
    } catch (err) {
      if (!isAbort(err)) setWrong(err instanceof Failure && err.status === 404 ? '' : messageOf(err));
    }
  }, pollSeconds, [fn.id]);
  const points = figures?.points ?? [];
  const since = points.length ? `${Math.round((points.length * 10) / 60)} min ago` : '';
  return (
    <>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {figures && (
        <>
          <dl class="numbers">
            <div><dt>Calls</dt><dd>{count(figures.calls)}</dd></div>
            <div><dt>Errors</dt><dd class={figures.errors ? 'bad-text' : ''}>{count(figures.errors)}</dd></div>
            <div><dt>p50</dt><dd>{figures.calls ? millis(figures.p50MS) : '–'}</dd></div>
            <div><dt>p99</dt><dd>{figures.calls ? millis(figures.p99MS) : '–'}</dd></div>
            <div><dt>Instances</dt><dd>{figures.busy + figures.idle}<small> {figures.busy} busy</small></dd></div>
            <div><dt>Memory</dt><dd>{bytes(Number(figures.memory))}</dd></div>
          </dl>
          {points.length > 1 && (
            <div class="charts">
              <Chart title="Calls in 10 s" since={since} format={count} height={90} lines={[
                { name: 'calls', values: points.map((p) => p.calls), kind: 'good' },
                { name: 'errors', values: points.map((p) => p.errors), kind: 'bad' },
              ]} />
              <Chart title="Duration" since={since} format={millis} height={90} lines={[
                { name: 'p99', values: points.map((p) => p.p99MS ?? 0), kind: 'calm' },
                { name: 'p50', values: points.map((p) => p.p50MS ?? 0), kind: 'good' },
              ]} />
              <Chart title="Instances" since={since} format={count} height={90} lines={[
                { name: 'all', values: points.map((p) => (p.idle ?? 0) + (p.busy ?? 0)), kind: 'calm' },
                { name: 'busy', values: points.map((p) => p.busy ?? 0), kind: 'good' },
              ]} />
              <Chart title="Memory" since={since} format={bytes} height={90} lines={[
                { name: 'taken', values: points.map((p) => Number(p.memory ?? 0)), kind: 'good' },
              ]} />
            </div>
          )}
        </>
      )}
      {latest && (
        <section class="panel settings" aria-label="Settings">
          <header class="panel-head"><h2>Settings of the newest version</h2></header>
          <Settings version={latest} />
        </section>
      )}
    </>
  );
}

/** Settings lists the settings of a version. */
export function Settings({ version: v }: { version: Version }) {
  const environment = Object.entries(v.environment ?? {});
  return (
    <dl class="facts">
      <div><dt>Version</dt><dd><code>{v.id}</code></dd></div>
      <div><dt>Entry point</dt><dd><code><Foreign text={v.entrypoint} /></code></dd></div>
      <div><dt>Runtime</dt><dd>{v.runtime}</dd></div>
      <div><dt>Memory</dt><dd>{bytes(Number(v.resources.memory))}</dd></div>
      <div><dt>Timeout</dt><dd>{v.executionTimeout}</dd></div>
      <div><dt>Archive</dt><dd>{bytes(Number(v.imageSize))}</dd></div>
      {v.allowNet && <div><dt>Network</dt><dd><Foreign text={v.allowNet} /></dd></div>}
      {v.serviceAccountId && <div><dt>Service account</dt><dd><Foreign text={v.serviceAccountId} /></dd></div>}
      {v.logOptions?.minLevel && <div><dt>Minimum log level</dt><dd>{v.logOptions.minLevel}</dd></div>}
      <div><dt>Asynchronous</dt><dd>{v.asyncInvocationConfig ? 'yes' : 'no'}</dd></div>
      {v.description && <div><dt>Description</dt><dd><Foreign text={v.description} /></dd></div>}
      <div><dt>Environment</dt><dd>{environment.length === 0 ? 'empty' : environment.map(([k, value]) => <div><code>{k}=<Foreign text={value} /></code></div>)}</dd></div>
    </dl>
  );
}

function Delete({ fn, onClose }: { fn: Fn; onClose: () => void }) {
  const [typed, setTyped] = useState('');
  const name = fn.name || fn.id;
  const remove = async () => {
    if (typed !== name) throw new Error(`Type ${name} to confirm.`);
    const op = await ask<Operation>('DELETE', `/functions/${seg(fn.id)}`);
    tell(op.done ? `${name} is deleted.` : `${name} will be deleted once its calls have finished.`);
    location.hash = '#/functions';
  };
  useEffect(() => setTyped(''), [fn.id]);
  return (
    <Confirm title={`Delete ${name}?`} action="Delete for good" danger onDo={remove} onClose={onClose}>
      <p>All its versions and tags are deleted, and it can no longer be called. Calls in progress finish first.</p>
      <Field label={`Type ${name} to confirm`}>
        <input value={typed} onInput={(e) => setTyped(e.currentTarget.value)} autocomplete="off" spellcheck={false} />
      </Field>
    </Confirm>
  );
}
