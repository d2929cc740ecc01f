// The list of functions, with their figures.
import { useState } from 'preact/hooks';
import { all, Failure, isAbort, messageOf, type Figures, type Fn, type Incomplete } from '../api';
import { bytes, count, millis } from '../text';
import { Chart } from '../ui/chart';
import { Icon } from '../ui/icons';
import { Foreign, Missing, Notice, Pill, useTicks } from '../ui/parts';

/** pollSeconds is the interval between requests for figures while they are visible. */
export const pollSeconds = 5;

/** Column is what the list can be sorted by; failing is its first order: errors first, then the busiest. */
type Column = 'failing' | 'name' | 'calls' | 'errors' | 'p50' | 'p99' | 'instances' | 'memory';

interface Sort {
  by: Column;
  down: boolean;
}

const columns: readonly (readonly [Exclude<Column, 'failing' | 'name'>, string])[] = [
  ['calls', 'Calls'], ['errors', 'Errors'], ['p50', 'p50'], ['p99', 'p99'], ['instances', 'Instances'], ['memory', 'Memory'],
];

/** FunctionList is the list. */
export function FunctionList() {
  const [functions, setFunctions] = useState<Fn[] | null>(null);
  const [figures, setFigures] = useState<Map<string, Figures> | null>(null);
  const [missing, setMissing] = useState<Incomplete>({});
  const [wrong, setWrong] = useState('');
  const [filter, setFilter] = useState('');
  const [sort, setSort] = useState<Sort>({ by: 'failing', down: true });

  useTicks(async (signal) => {
    let lacking: Incomplete = {};
    try {
      const [list, numbers] = await Promise.all([
        all<Fn>('/functions', 'functions', signal),
        all<Figures>('/functions:figures', 'functions', signal, (page: Incomplete) => {
          if ((page.silentNodes ?? 0) > (lacking.silentNodes ?? 0)) lacking = page;
        }).catch((err: unknown) => {
          if (err instanceof Failure && err.status === 404) return null; // a server without figures
          throw err;
        }),
      ]);
      setFunctions(list);
      setFigures(numbers && new Map(numbers.map((f) => [f.functionId, f])));
      setMissing(lacking);
      setWrong('');
    } catch (err) {
      if (!isAbort(err)) setWrong(messageOf(err));
    }
  }, pollSeconds, []);

  const shown = sorted(functions?.filter((f) => f.name.includes(filter) || f.id.includes(filter)) ?? [], figures, sort);
  const tenants = new Set(functions?.map((f) => f.folderId));
  // One scale for all, so that a busy function looks busier than a quiet one.
  const most = Math.max(0, ...[...(figures?.values() ?? [])].flatMap((f) => f.points.map((p) => p.calls)));
  const by = (column: Column) => setSort((s) => ({ by: column, down: s.by === column ? !s.down : column !== 'name' }));
  return (
    <div class="page">
      <header class="page-head">
        <h1 tabIndex={-1}>Functions</h1>
        {functions && functions.length > 0 && <span class="muted count">{count(functions.length)}</span>}
        <span class="grow" />
        {functions && functions.length > 5 && (
          <input type="search" aria-label="Find a function" placeholder="Find" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} />
        )}
        {figures && shown.length > 1 && (
          <label class="inline only-narrow"><span>Sort by</span>
            <select value={sort.by} onChange={(e) => { const column = e.currentTarget.value as Column; setSort({ by: column, down: column !== 'name' }); }}>
              <option value="failing">failing first</option><option value="name">name</option>
              {columns.map(([column, title]) => <option value={column}>{title}</option>)}
            </select>
          </label>
        )}
        <a class="button primary" href="#/deploy"><Icon name="plus" /> New function</a>
      </header>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      <Missing of={missing} />
      {functions === null && !wrong && <p class="empty">Loading…</p>}
      {functions?.length === 0 && <FirstSteps />}
      {shown.length > 0 && (
        <div class="table-wrap">
          <table class="functions">
            <thead>
              <tr>
                <Head column="name" title="Name" sort={sort} onSort={by} />
                {figures && <th scope="col">Last 5 minutes</th>}
                {figures && columns.map(([column, title]) => <Head column={column} title={title} sort={sort} onSort={by} number />)}
              </tr>
            </thead>
            <tbody>
              {shown.map((f) => <Row key={f.id} fn={f} figures={figures} most={most} tenant={tenants.size > 1} />)}
            </tbody>
          </table>
        </div>
      )}
      {functions && functions.length > 0 && shown.length === 0 && <p class="empty">No function matches “{filter}”. <button type="button" class="link" onClick={() => setFilter('')}>Show all</button></p>}
    </div>
  );
}

function Head({ column, title, sort, onSort, number }: { column: Column; title: string; sort: Sort; onSort: (column: Column) => void; number?: boolean }) {
  const chosen = sort.by === column;
  return (
    <th scope="col" class={number ? 'n' : ''} aria-sort={chosen ? (sort.down ? 'descending' : 'ascending') : undefined}>
      <button type="button" class="sort" onClick={() => onSort(column)}>{title}{chosen && <span aria-hidden="true">{sort.down ? '↓' : '↑'}</span>}</button>
    </th>
  );
}

/** sorted returns the functions in an order; of what is equal, by name. */
function sorted(functions: Fn[], figures: Map<string, Figures> | null, { by, down }: Sort): Fn[] {
  const value = (fn: Fn): number => {
    const f = figures?.get(fn.id);
    if (!f) return -1;
    switch (by) {
      case 'p50': return f.calls ? f.p50MS : -1;
      case 'p99': return f.calls ? f.p99MS : -1;
      case 'instances': return f.busy + f.idle;
      case 'memory': return Number(f.memory);
      case 'calls': return f.calls;
      default: return f.errors;
    }
  };
  const calls = (fn: Fn) => (by === 'failing' ? (figures?.get(fn.id)?.calls ?? 0) : 0);
  const sign = down ? -1 : 1;
  const byName = (a: Fn, b: Fn) => (a.name || a.id).localeCompare(b.name || b.id, 'en');
  if (by === 'name') return [...functions].sort((a, b) => sign * byName(a, b));
  return [...functions].sort((a, b) => sign * (value(a) - value(b)) || sign * (calls(a) - calls(b)) || byName(a, b));
}

/** FirstSteps says what to do where there is nothing yet. */
function FirstSteps() {
  return (
    <div class="panel welcome first-steps">
      <img src="logo.svg" alt="" width="56" height="56" />
      <p><b>No functions yet.</b> There are three ways to the first one:</p>
      <ol>
        <li><a href="#/play">Write it in the playground</a>, run it there, and press <b>Deploy</b>.</li>
        <li><a href="#/deploy">Drop a folder</a> with a <code>main.py</code> that has <code>def handler(event, context)</code>.</li>
        <li>On the command line: <code>vivarium deploy hello ./hello</code></li>
      </ol>
      <a class="button primary" href="#/deploy"><Icon name="upload" /> Deploy the first one</a>
    </div>
  );
}

function Row({ fn, figures, most, tenant }: { fn: Fn; figures: Map<string, Figures> | null; most: number; tenant: boolean }) {
  const f = figures?.get(fn.id);
  const href = `#/functions/${encodeURIComponent(fn.id)}`;
  const zero = (n: number | undefined) => (n ? '' : 'zero');
  return (
    <tr class={f?.errors ? 'failing' : ''} onClick={(e) => { if (!(e.target as Element).closest('a')) location.hash = href; }}>
      <th scope="row">
        <a href={href}>{fn.name || fn.id}</a>{' '}
        {fn.status !== 'ACTIVE' && <Pill kind="warn">{fn.status.toLowerCase()}</Pill>}
        <span class="muted small-text">{tenant && `${fn.folderId} · `}<Foreign text={fn.description || fn.id} /></span>
      </th>
      {figures && (
        <>
          <td data-label="Last 5 minutes">{f && f.points.length > 1
            ? <Chart title="Calls in the last 5 minutes" format={count} most={most} lines={[
                { name: 'calls', values: f.points.map((p) => p.calls), kind: f.calls ? 'good' : 'none' },
                { name: 'errors', values: f.points.map((p) => p.errors), kind: 'bad' },
              ]} height={22} />
            : <span class="zero">–</span>}</td>
          <td class={`n ${zero(f?.calls)}`} data-label="Calls">{count(f?.calls ?? 0)}</td>
          <td class={`n ${f?.errors ? 'bad-text' : 'zero'}`} data-label="Errors">{count(f?.errors ?? 0)}</td>
          <td class={`n ${zero(f?.calls)}`} data-label="p50">{f?.calls ? millis(f.p50MS) : '–'}</td>
          <td class={`n ${zero(f?.calls)}`} data-label="p99">{f?.calls ? millis(f.p99MS) : '–'}</td>
          <td class={`n ${zero(f && f.busy + f.idle)}`} data-label="Instances" title={f && `${f.busy} busy, ${f.idle} idle`}>{f ? f.busy + f.idle : '–'}</td>
          <td class={`n ${zero(f && Number(f.memory))}`} data-label="Memory">{f ? bytes(Number(f.memory)) : '–'}</td>
        </>
      )}
    </tr>
  );
}
