// One large chart of recent figures, to be read off at any moment.
import { useState } from 'preact/hooks';
import type { Line } from './chart';

interface Props {
  title: string;
  lines: Line[];
  /** When the step of each value began. */
  times: string[];
  format: (n: number) => string;
}

const width = 600;
const height = 170;
const rules = [0, 0.5, 1];

/** Timeline draws lines over time, with a crosshair that tells the values below it. The arrow keys move it as well. */
export function Timeline({ title, lines, times, format }: Props) {
  const [at, setAt] = useState(-1); // the step below the crosshair; -1: there is none
  const n = Math.max(1, ...lines.map((l) => l.values.length));
  const top = Math.max(0, ...lines.flatMap((l) => l.values)) || 1;
  const x = (i: number) => (i / Math.max(1, n - 1)) * width;
  const y = (v: number) => height - 3 - (v / top) * (height - 10);
  const shown = at >= 0 && at < n ? at : n - 1;
  const say = (i: number) => `${clockOf(times[i])}, ${lines.map((l) => `${l.name} ${format(l.values[i] ?? 0)}`).join(', ')}`;
  const move = (e: PointerEvent & { currentTarget: HTMLElement }) => {
    const box = e.currentTarget.getBoundingClientRect();
    setAt(Math.round(Math.min(1, Math.max(0, (e.clientX - box.left) / (box.width || 1))) * (n - 1)));
  };
  const key = (e: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -6, PageUp: 6, Home: -n, End: n }[e.key];
    if (step === undefined) return;
    e.preventDefault();
    setAt(Math.min(n - 1, Math.max(0, shown + step)));
  };
  return (
    <div class="timeline">
      <p class="timeline-said">
        <span class="muted">{at >= 0 ? clockOf(times[shown]) : 'now'}</span>
        {lines.map((l) => <span class={`key ${l.kind}`}>{l.name} <b>{format(l.values[shown] ?? 0)}</b></span>)}
      </p>
      <div class="timeline-plot">
        <div class="timeline-scale" aria-hidden="true">{rules.map((part) => <span>{format(top * (1 - part))}</span>)}</div>
        <div
          class="timeline-area" role="slider" tabIndex={0} aria-label={`${title}, at`} aria-valuemin={0} aria-valuemax={n - 1} aria-valuenow={shown} aria-valuetext={say(shown)}
          onPointerMove={move} onPointerDown={move} onPointerLeave={() => setAt(-1)} onKeyDown={key} onBlur={() => setAt(-1)}
        >
          <svg viewBox={`0 0 ${width} ${height}`} height={height} preserveAspectRatio="none" aria-hidden="true" class="chart">
            {rules.map((part) => <line class="rule" x1="0" x2={width} y1={y(part * top)} y2={y(part * top)} />)}
            {lines.map((l) => {
              // A red line along the bottom would look like an error where there is none.
              if (l.values.length < 2 || (l.kind === 'bad' && !l.values.some((v) => v > 0))) return null;
              const points = l.values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(' ');
              return (
                <g class={l.kind}>
                  <polygon class="area" points={`0,${height} ${points} ${x(l.values.length - 1)},${height}`} />
                  <polyline class="line" points={points} />
                </g>
              );
            })}
            {at >= 0 && <line class="crosshair" x1={x(shown)} x2={x(shown)} y1="0" y2={height} />}
          </svg>
        </div>
      </div>
      <div class="chart-foot" aria-hidden="true"><span>{clockOf(times[0])}</span><span>now</span></div>
    </div>
  );
}

/** clockOf returns the time of day, to the second. */
function clockOf(time: string | undefined): string {
  const at = new Date(time ?? '');
  return Number.isNaN(at.getTime()) ? '' : at.toTimeString().slice(0, 8);
}
