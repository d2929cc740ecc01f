// The page of one function.
import { useCallback, useEffect, useState } from 'preact/hooks';
import { all, ask, isAbort, messageOf, seg, type Fn, type Operation, type Version } from '../api';
import { Icon } from '../ui/icons';
import { Confirm, Copy, Field, Foreign, Notice, Pill, Tabs, tell, useTicks } from '../ui/parts';
import { Events } from '../events';
import { CallPage } from './call';
import { Calls } from './calls';
import { Code } from './code';
import { pollSeconds } from './list';
import { Logs } from './logs';
import { Overview } from './overview';
import { TestCall } from './test';
import { Versions } from './versions';

/** FunctionPage shows a function in tabs; item is what one of them has open. An admin decides who may call it. */
export function FunctionPage({ id, tab, item, admin }: { id: string; tab: string; item: string; admin: boolean }) {
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
  const at = ['', 'calls', 'code', 'versions', 'test', 'logs', 'events'].includes(tab) ? tab : '';
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
        [base, 'Overview'], [`${base}/calls`, 'Calls'], [`${base}/code`, 'Code'], [`${base}/versions`, 'Versions'], [`${base}/test`, 'Test'], [`${base}/logs`, 'Logs'], [`${base}/events`, 'Events'],
      ]} />
      {!fn && !wrong && <p class="empty">Loading…</p>}
      {fn && versions && versions.length === 0 && (
        <Notice>This function has no version yet. <a href={`#/deploy/${seg(fn.name || fn.id)}`}>Deploy one</a></Notice>
      )}
      {fn && at === '' && versions && <Overview fn={fn} versions={versions} base={base} admin={admin} reload={() => load()} />}
      {fn && at === 'calls' && !item && <Calls fn={fn} versions={versions ?? []} base={base} />}
      {fn && at === 'calls' && item && versions && <CallPage key={item} fn={fn} id={item} versions={versions} base={base} />}
      {fn && at === 'code' && versions && <Code fn={fn} versions={versions} item={item} base={base} reload={() => load()} />}
      {fn && at === 'versions' && versions && <Versions fn={fn} versions={versions} reload={() => load()} />}
      {fn && at === 'test' && <TestCall fn={fn} versions={versions ?? []} />}
      {fn && at === 'logs' && <Logs fn={fn} />}
      {fn && at === 'events' && <Events fn={fn} />}
      {fn && deleting && <Delete fn={fn} onClose={() => setDeleting(false)} />}
    </div>
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
