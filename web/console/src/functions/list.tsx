// The list of functions, with their figures.
import { useState } from 'preact/hooks';
import { all, ask, Failure, isAbort, messageOf, type Figures, type Fn } from '../api';
import { bytes, count, millis } from '../text';
import { Chart } from '../ui/chart';
import { Icon } from '../ui/icons';
import { Foreign, Notice, Pill, useTicks } from '../ui/parts';

/** pollSeconds is the interval between requests for figures while they are visible. */
export const pollSeconds = 5;

interface ListFigures {
  functions: Figures[];
}

/** FunctionList is the list. */
export function FunctionList() {
  const [functions, setFunctions] = useState<Fn[] | null>(null);
  const [figures, setFigures] = useState<Map<string, Figures> | null>(null);
  const [wrong, setWrong] = useState('');
  const [filter, setFilter] = useState('');

  useTicks(async (signal) => {
    try {
      const [list, numbers] = await Promise.all([
        all<Fn>('/functions', 'functions', signal),
        ask<ListFigures>('GET', '/functions:figures', undefined, signal).catch((err: unknown) => {
          if (err instanceof Failure && err.status === 404) return null; // a server without figures
          throw err;
        }),
      ]);
      setFunctions(list);
      setFigures(numbers && new Map(numbers.functions.map((f) => [f.functionId, f])));
      setWrong('');
    } catch (err) {
      if (!isAbort(err)) setWrong(messageOf(err));
    }
  }, pollSeconds, []);

  const shown = functions?.filter((f) => f.name.includes(filter) || f.id.includes(filter)) ?? [];
  const tenants = new Set(functions?.map((f) => f.folderId));
  return (
    <div class="page">
      <header class="page-head">
        <h1 tabIndex={-1}>Functions</h1>
        {functions && functions.length > 0 && <span class="muted count">{count(functions.length)}</span>}
        <span class="grow" />
        {functions && functions.length > 5 && (
          <input type="search" aria-label="Find a function" placeholder="Find" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} />
        )}
        <a class="button primary" href="#/deploy"><Icon name="plus" /> New function</a>
      </header>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {functions === null && !wrong && <p class="empty">Loading…</p>}
      {functions?.length === 0 && (
        <div class="panel welcome">
          <img src="logo.svg" alt="" width="56" height="56" />
          <p><b>No functions yet.</b></p>
          <p class="muted">Drop a folder with a <code>main.py</code> on the next page, or use the command line: <code>vivarium deploy hello ./hello</code></p>
          <a class="button primary" href="#/deploy"><Icon name="upload" /> Deploy the first one</a>
        </div>
      )}
      {shown.length > 0 && (
        <div class="table-wrap">
          <table class="functions">
            <thead>
              <tr>
                <th scope="col">Name</th>
                {figures && <><th scope="col">Last 5 minutes</th><th scope="col" class="n">Calls</th><th scope="col" class="n">Errors</th><th scope="col" class="n">p50</th><th scope="col" class="n">p99</th><th scope="col" class="n">Instances</th><th scope="col" class="n">Memory</th></>}
              </tr>
            </thead>
            <tbody>
              {shown.map((f) => <Row key={f.id} fn={f} figures={figures} tenant={tenants.size > 1} />)}
            </tbody>
          </table>
        </div>
      )}
      {functions && functions.length > 0 && shown.length === 0 && <p class="empty">No function matches “{filter}”.</p>}
    </div>
  );
}

function Row({ fn, figures, tenant }: { fn: Fn; figures: Map<string, Figures> | null; tenant: boolean }) {
  const f = figures?.get(fn.id);
  return (
    <tr>
      <th scope="row">
        <a href={`#/functions/${encodeURIComponent(fn.id)}`}>{fn.name || fn.id}</a>
        {fn.status !== 'ACTIVE' && <Pill kind="warn">{fn.status.toLowerCase()}</Pill>}
        <span class="muted small-text">{tenant && `${fn.folderId} · `}<Foreign text={fn.description || fn.id} /></span>
      </th>
      {figures && (
        <>
          <td data-label="Last 5 minutes">{f && f.points.length > 1
            ? <Chart title="Calls in the last 5 minutes" format={count} lines={[
                { name: 'calls', values: f.points.map((p) => p.calls), kind: 'good' },
                { name: 'errors', values: f.points.map((p) => p.errors), kind: 'bad' },
              ]} height={28} />
            : <span class="muted">–</span>}</td>
          <td class="n" data-label="Calls">{count(f?.calls ?? 0)}</td>
          <td class={`n ${f?.errors ? 'bad-text' : ''}`} data-label="Errors">{count(f?.errors ?? 0)}</td>
          <td class="n" data-label="p50">{f?.calls ? millis(f.p50MS) : '–'}</td>
          <td class="n" data-label="p99">{f?.calls ? millis(f.p99MS) : '–'}</td>
          <td class="n" data-label="Instances">{f ? `${f.busy} busy, ${f.idle} idle` : '–'}</td>
          <td class="n" data-label="Memory">{f ? bytes(Number(f.memory)) : '–'}</td>
        </>
      )}
    </tr>
  );
}
