// A log as one row for each call: what it wrote is inside.
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { clock, count, cut } from '../text';
import { Row, type LogLine, type Lines } from './log';
import { memo } from './memo';
import { Foreign } from './parts';

/** Group is the lines of one call, or a line that belongs to none. */
interface Group {
  key: string;
  request: string;
  lines: LogLine[]; // the code's
  platform: LogLine[];
  level: string; // the worst of its lines
}

const levels = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const maxPreview = 300;

/** groupsOf puts the lines of each call together, in the order in which calls began. Groups that are as they were before are the same objects, so that they are not drawn again. */
function groupsOf(lines: LogLine[], before: Map<string, Group>): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const line of lines) {
    const key = line.request || `line ${line.id}`;
    let group = groups.get(key);
    if (!group) groups.set(key, (group = { key, request: line.request ?? '', lines: [], platform: [], level: '' }));
    (line.system ? group.platform : group.lines).push(line);
    if (!line.system && levels.indexOf(line.level) > levels.indexOf(group.level)) group.level = line.level;
  }
  for (const [key, group] of groups) {
    const old = before.get(key);
    if (old && same(old.lines, group.lines) && same(old.platform, group.platform)) groups.set(key, old);
  }
  return groups;
}

/** same reports whether lines are the same: they only come at the end and go at the beginning. */
function same(a: LogLine[], b: LogLine[]): boolean {
  return a.length === b.length && a[0]?.id === b[0]?.id && a.at(-1)?.id === b.at(-1)?.id;
}

/** reported reads the platform's summary of a call. */
function reported(group: Group): { duration: string; cold: boolean; ended: boolean } {
  const report = group.platform.find((l) => l.message.startsWith('REPORT '))?.message ?? '';
  const [, duration = ''] = / Duration: ([\d.]+ ms)/.exec(report) ?? [];
  return { duration, cold: report.includes('Function Init Duration'), ended: report !== '' };
}

const CallRow = memo(function CallRow({ group, open, onToggle, href }: { group: Group; open: boolean; onToggle: (key: string) => void; href: string }) {
  const first = group.lines.find((l) => l.level === group.level && group.level !== '') ?? group.lines[0];
  const { duration, cold, ended } = reported(group);
  const at = (group.platform[0] ?? group.lines[0])!.time;
  return (
    <div class={`log-call worst-${group.level.toLowerCase()}`}>
      <button type="button" class="log-call-head" aria-expanded={open} onClick={() => onToggle(group.key)}>
        <span class="log-fold" aria-hidden="true">{open ? '▾' : '▸'}</span>
        <time>{clock(at)}</time>
        <span class="log-preview">
          {group.level && !['INFO', 'DEBUG', 'TRACE', 'UNSPECIFIED'].includes(group.level) && <b class="log-level">{group.level}</b>}
          {first ? <Foreign text={cut(first.message.split('\n', 1)[0]!, maxPreview)[0]} /> : <i>wrote nothing</i>}
        </span>
        {group.lines.length > 1 && <span class="log-more">{count(group.lines.length)} lines</span>}
        {cold && <span class="log-more">cold</span>}
        <span class="log-took">{duration || (group.request && !ended ? 'running' : '')}</span>
      </button>
      {open && (
        <div class="log-call-body">
          {group.lines.map((line) => <Row key={line.id} line={line} />)}
          {group.platform.length > 0 && (
            <details class="log-platform">
              <summary>The platform’s {count(group.platform.length)} {group.platform.length === 1 ? 'line' : 'lines'}</summary>
              {group.platform.map((line) => <Row key={line.id} line={line} />)}
            </details>
          )}
          {group.request && <a class="log-link" href={href}>Find this call</a>}
        </div>
      )}
    </div>
  );
});

interface Props {
  lines: Lines;
  label: string;
  empty: string;
  /** Show the calls open, as when something is sought in them. */
  open: boolean;
  /** Returns where a request's call is. */
  href: (request: string) => string;
}

/** LogCalls shows calls and stays at the end unless the reader has scrolled up. */
export function LogCalls({ lines, label, empty, open, href }: Props) {
  const [, redraw] = useState(0);
  const [turned, setTurned] = useState<ReadonlySet<string>>(new Set()); // those that are not as open says
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => lines.onChange(() => redraw((n) => n + 1)), [lines]);
  useEffect(() => setTurned(new Set()), [open]);
  useLayoutEffect(() => {
    if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  const drawn = useRef(new Map<string, Group>());
  const groups = (drawn.current = groupsOf(lines.shown, drawn.current));
  const turn = useCallback((key: string) => setTurned((before) => {
    const next = new Set(before);
    if (!next.delete(key)) next.add(key);
    return next;
  }), []);
  return (
    <div
      ref={box} class="log log-calls" role="region" aria-label={label} tabIndex={0}
      onScroll={() => {
        const b = box.current!;
        atEnd.current = b.scrollHeight - b.scrollTop - b.clientHeight < 24;
      }}
    >
      {lines.dropped > 0 && <p class="left-out">{count(lines.dropped)} earlier lines are not shown</p>}
      {groups.size === 0 && <p class="empty">{empty}</p>}
      {[...groups.values()].map((g) => (
        <CallRow key={g.key} group={g} open={open !== turned.has(g.key)} onToggle={turn} href={href(g.request)} />
      ))}
    </div>
  );
}
