// A log that may grow without bound: the last lines are shown, the others are
// counted.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { memo } from './memo';
import { clock, count, cut } from '../text';
import { Foreign } from './parts';

/** maxLines is how many entries are shown, maxWidth how many characters of each. */
const maxLines = 1000;
const maxWidth = 2000;

/** LogLine is an entry as shown. */
export interface LogLine {
  id: number;
  time: string;
  level: string;
  message: string;
  system: boolean;
  note?: string;
  /** The request whose call wrote it. */
  request?: string;
}

/** Lines holds the last entries of a log, and notifies of new ones at most once per frame. */
export class Lines {
  shown: LogLine[] = [];
  dropped = 0;
  #last = 0;
  #asked: ReturnType<typeof setTimeout> | undefined;
  #listener = () => {};

  add(line: Omit<LogLine, 'id'>): void {
    this.shown.push({ ...line, id: ++this.#last });
    if (this.shown.length >= 2 * maxLines) this.#trim(); // cheaper than at each entry
    this.#changed();
  }

  /** hide marks lines as the platform's, so that a quiet log leaves them out. */
  hide(which: (line: LogLine) => boolean): void {
    this.shown = this.shown.map((line) => (which(line) ? { ...line, system: true } : line));
    this.#changed();
  }

  clear(): void {
    this.shown = [];
    this.dropped = 0;
    this.#changed();
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  #trim(): void {
    const over = this.shown.length - maxLines;
    if (over <= 0) return;
    this.shown = this.shown.slice(over);
    this.dropped += over;
  }

  #changed(): void {
    // A timer, since hidden tabs get no animation frames.
    this.#asked ??= setTimeout(() => this.flush(), 16);
  }

  /** flush shows new entries at once. */
  flush(): void {
    clearTimeout(this.#asked);
    this.#asked = undefined;
    this.#trim();
    this.#listener();
  }
}

/** Row is a line. */
export const Row = memo(function Row({ line }: { line: LogLine }) {
  const [text, left] = cut(line.message.replace(/\n$/, ''), maxWidth);
  const level = line.level === 'UNSPECIFIED' ? '' : line.level;
  return (
    <div class={`log-line ${line.system ? 'system' : ''} ${level.toLowerCase()}`}>
      <time>{clock(line.time)}</time>
      <span class="log-level">{level}</span>
      <span class="log-text">
        <Foreign text={text} />
        {left > 0 && <i class="left-out"> … {count(left)} more characters</i>}
        {line.note && <span class="log-note"><Foreign text={line.note} /></span>}
      </span>
    </div>
  );
});

interface Props {
  lines: Lines;
  label: string;
  empty: string;
  /** Leave out the platform's lines. */
  quiet?: boolean;
}

/** Log shows lines and stays at the end unless the reader has scrolled up. */
export function Log({ lines, label, empty, quiet }: Props) {
  const [, redraw] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useEffect(() => {
    lines.onChange(() => redraw((n) => n + 1));
    redraw((n) => n + 1);
  }, [lines]);
  useLayoutEffect(() => {
    if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  const shown = quiet ? lines.shown.filter((l) => !l.system) : lines.shown;
  return (
    <div
      ref={box} class="log" role="log" aria-label={label} tabIndex={0} aria-live="off"
      onScroll={() => {
        const b = box.current!;
        atEnd.current = b.scrollHeight - b.scrollTop - b.clientHeight < 24;
      }}
    >
      {lines.dropped > 0 && <p class="left-out">{count(lines.dropped)} earlier lines are not shown</p>}
      {shown.length === 0 && <p class="empty">{empty}</p>}
      {shown.map((line) => <Row key={line.id} line={line} />)}
    </div>
  );
}
