// Where the time of a call went: lines of Python below those that called them, waiting
// apart from computing.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { count, millis } from '../text';
import { Choice, Foreign } from './parts';

/** ProfileLine is a line that was executed, with the time of all that it called. It comes before that. */
export interface ProfileLine {
  depth: number;
  function: string;
  file: string;
  line: number;
  computingMS: number;
  waitingMS: number;
}

/** Kind is which time counts. */
type Kind = 'all' | 'computing' | 'waiting';

/** Frame is a line in the graph. */
interface Frame extends ProfileLine {
  index: number;
  parent: number; // -1 for the outermost
  own: { computing: number; waiting: number };
}

/** least is the smallest part of the width that is drawn, most how many lines the table has. */
const least = 0.004;
const most = 12;
const rowHeight = 22;

/** Flame draws a profile. */
export function Flame({ lines }: { lines: ProfileLine[] }) {
  const frames = useMemo(() => framesOf(lines), [lines]);
  const [kind, setKind] = useState<Kind>('all');
  const [top, setTop] = useState(-1); // the frame that has the whole width
  const [at, setAt] = useState(-1); // the frame under the pointer
  useEffect(() => { setTop(-1); setAt(-1); }, [frames]);
  const boxes = useMemo(() => place(frames, kind, top), [frames, kind, top]);
  const total = frames.filter((f) => f.parent < 0);
  const computing = sum(total, 'computing');
  const waiting = sum(total, 'waiting');
  if (frames.length === 0) return <p class="empty">It was over before anything of it could be noted.</p>;
  const said = frames[at] ?? frames[top];
  return (
    <div class="flame">
      <div class="flame-head">
        <Choice label="Which time" value={kind} options={[['all', 'All'], ['computing', 'Computing'], ['waiting', 'Waiting']]} onChange={setKind} />
        <span class="key flame-computing">computing <b>{millis(computing)}</b></span>
        <span class="key flame-waiting">waiting <b>{millis(waiting)}</b></span>
        <span class="grow" />
        {top >= 0 && <button type="button" class="small" onClick={() => setTop(-1)}>Show all of it</button>}
      </div>
      {/* The table has the same for those who don't use a mouse. */}
      <div class="flame-graph" aria-hidden="true" style={{ height: `${(1 + Math.max(0, ...boxes.map((b) => b.row))) * rowHeight}px` }} onMouseLeave={() => setAt(-1)}>
        {boxes.map((b) => {
          const f = frames[b.index]!;
          const all = timeOf(f, kind) || 1;
          const part = kind === 'all' ? f.computingMS / all : kind === 'computing' ? 1 : 0;
          return (
            <button
              key={b.index} type="button" tabIndex={-1} class={`flame-frame ${ofCode(f) ? '' : 'foreign'}`} data-line={placeOf(f)}
              style={{ left: `${b.left * 100}%`, width: `${b.width * 100}%`, top: `${b.row * rowHeight}px`, '--part': `${part * 100}%` }}
              onMouseEnter={() => setAt(b.index)} onClick={() => setTop(b.index === top ? f.parent : b.index)}
            >{b.width > 0.03 && <Foreign text={`${f.function} ${placeOf(f)}`} />}</button>
          );
        })}
      </div>
      <p class="flame-said">
        {said ? <><b><Foreign text={said.function} /></b> <code><Foreign text={placeOf(said)} /></code> computing {millis(said.computingMS)}, waiting {millis(said.waitingMS)}</>
          : <span class="muted">Point at a line to see its time; click it to look closer.</span>}
      </p>
      <Slowest frames={frames} kind={kind} onShow={setTop} />
    </div>
  );
}

/** Slowest lists the lines in which the time was spent, without what they called. */
function Slowest({ frames, kind, onShow }: { frames: Frame[]; kind: Kind; onShow: (index: number) => void }) {
  const rows = useMemo(() => {
    const found = new Map<string, { frame: Frame; computing: number; waiting: number; largest: number }>();
    for (const f of frames) {
      const key = `${f.file}\0${f.function}\0${f.line}`;
      const own = of(kind, f.own);
      const row = found.get(key) ?? { frame: f, computing: 0, waiting: 0, largest: own };
      if (own > row.largest) Object.assign(row, { frame: f, largest: own });
      row.computing += f.own.computing;
      row.waiting += f.own.waiting;
      found.set(key, row);
    }
    return [...found.values()].filter((r) => of(kind, r) > 0).sort((a, b) => of(kind, b) - of(kind, a));
  }, [frames, kind]);
  if (rows.length === 0) return <p class="empty">Nothing of it was {kind}.</p>;
  return (
    <table class="slowest">
      <caption class="visually-hidden">The lines that took longest, without what they called</caption>
      <thead><tr><th scope="col">Line</th><th scope="col">Function</th><th scope="col" class="n">Computing</th><th scope="col" class="n">Waiting</th></tr></thead>
      <tbody>
        {rows.slice(0, most).map((r) => (
          <tr>
            <th scope="row"><button type="button" class="link" onClick={() => onShow(r.frame.index)}><code><Foreign text={placeOf(r.frame)} /></code></button></th>
            <td data-label="Function"><Foreign text={r.frame.function} /></td>
            <td class={`n ${r.computing ? '' : 'zero'}`} data-label="Computing">{millis(r.computing)}</td>
            <td class={`n ${r.waiting ? '' : 'zero'}`} data-label="Waiting">{millis(r.waiting)}</td>
          </tr>
        ))}
      </tbody>
      {rows.length > most && <tfoot><tr><td colSpan={4} class="muted">{count(rows.length - most)} more took less</td></tr></tfoot>}
    </table>
  );
}

function of(kind: Kind, time: { computing: number; waiting: number }): number {
  return kind === 'all' ? time.computing + time.waiting : time[kind];
}

function timeOf(f: ProfileLine, kind: Kind): number {
  return of(kind, { computing: f.computingMS, waiting: f.waitingMS });
}

function sum(frames: Frame[], kind: Kind): number {
  return frames.reduce((n, f) => n + timeOf(f, kind), 0);
}

const codePath = '/function/code/';
/** runnerPath is where the runner lies, which calls the handler. */
const runnerPath = /^\/function\/runtime\/|^\/function\/code\/run_script\.py$/;

function ofCode(f: ProfileLine): boolean {
  return f.file.startsWith(codePath);
}

/** placeOf names a line as one finds it. */
function placeOf(f: ProfileLine): string {
  if (!f.file) return 'no line'; // the interpreter's own
  const file = ofCode(f) ? f.file.slice(codePath.length) : f.file.split('/').slice(-2).join('/');
  return f.line ? `${file}:${f.line}` : file;
}

/** framesOf returns the lines with their callers, without the runner's that lead to the code. */
function framesOf(lines: ProfileLine[]): Frame[] {
  const frames: Frame[] = [];
  const path: (number | null)[] = []; // the frame of each depth; null: it is left out
  lines.forEach((l, i) => {
    const above = path.slice(0, l.depth);
    const leads = above.every((p) => p === null) && runnerPath.test(l.file) && (lines[i + 1]?.depth ?? 0) > l.depth;
    path.length = l.depth;
    if (leads) {
      path[l.depth] = null;
      return;
    }
    const parent = above.findLast((p) => p !== null) ?? -1;
    const frame: Frame = { ...l, depth: above.filter((p) => p !== null).length, index: frames.length, parent, own: { computing: l.computingMS, waiting: l.waitingMS } };
    const caller = frames[parent];
    if (caller) {
      caller.own.computing = Math.max(0, caller.own.computing - l.computingMS);
      caller.own.waiting = Math.max(0, caller.own.waiting - l.waitingMS);
    }
    path[l.depth] = frame.index;
    frames.push(frame);
  });
  return frames;
}

interface Box {
  index: number;
  row: number;
  left: number; // parts of the width
  width: number;
}

/** place computes where frames are drawn, when one of them has the whole width. */
function place(frames: Frame[], kind: Kind, top: number): Box[] {
  const above = new Set<number>();
  for (let i = top; i >= 0; i = frames[i]!.parent) above.add(i);
  const whole = top >= 0 ? timeOf(frames[top]!, kind) : sum(frames.filter((f) => f.parent < 0), kind);
  const boxes = new Map<number, Box>();
  const filled = new Map<number, number>(); // how much of a frame is filled with what it called
  for (const f of frames) {
    if (above.has(f.index)) {
      boxes.set(f.index, { index: f.index, row: f.depth, left: 0, width: 1 });
      continue;
    }
    const parent = boxes.get(f.parent);
    if (f.parent >= 0 ? !parent : top >= 0) continue;
    if (f.parent !== top && above.has(f.parent)) continue; // beside what is looked at
    const left = (parent?.left ?? 0) + (filled.get(f.parent) ?? 0);
    const width = timeOf(f, kind) / (whole || 1);
    filled.set(f.parent, (filled.get(f.parent) ?? 0) + width);
    if (width >= least) boxes.set(f.index, { index: f.index, row: f.depth, left, width: Math.min(width, 1 - left) });
  }
  return [...boxes.values()];
}
