// Small charts of recent figures.

/** Line is one series of figures in a chart. */
export interface Line {
  name: string;
  values: number[];
  kind: 'good' | 'bad' | 'calm' | 'none';
}

interface Props {
  title: string;
  lines: Line[];
  format: (n: number) => string;
  height?: number;
  /** The label of the left end, such as "5 min ago"; without it, the chart is a sparkline. */
  since?: string;
  /** The value at the top; default: the largest of these. */
  most?: number;
}

const width = 240;

/** Chart draws lines over time. Its label has the same in words. */
export function Chart({ title, lines, format, height = 36, since, most: given }: Props) {
  const most = given ?? Math.max(0, ...lines.flatMap((l) => l.values));
  const top = most || 1;
  const say = lines
    .map((l) => `${l.name}: now ${format(l.values.at(-1) ?? 0)}, at most ${format(Math.max(0, ...l.values))}`)
    .join('; ');
  return (
    <figure class={since ? 'chart' : 'chart spark'}>
      {since && (
        <figcaption>
          <span class="chart-title">{title}</span>
          <span class="legend">{lines.map((l) => <span class={`key ${l.kind}`}>{l.name}</span>)}</span>
        </figcaption>
      )}
      <svg viewBox={`0 0 ${width} ${height}`} height={height} preserveAspectRatio="none" role="img" aria-label={`${title}: ${say}`}>
        {since && [0, 0.5, 1].map((part) => (
          <line class="rule" x1="0" x2={width} y1={1 + part * (height - 2)} y2={1 + part * (height - 2)} />
        ))}
        {lines.map((l) => {
          const step = width / Math.max(1, l.values.length - 1);
          const points = l.values.map((v, i) => `${(i * step).toFixed(1)},${(height - 2 - (v / top) * (height - 5)).toFixed(1)}`);
          // A red line along the bottom would look like an error where there is none.
          if (points.length < 2 || (l.kind === 'bad' && !l.values.some((v) => v > 0))) return null;
          return (
            <g class={l.kind}>
              <polygon class="area" points={`0,${height} ${points.join(' ')} ${width},${height}`} />
              <polyline class="line" points={points.join(' ')} />
            </g>
          );
        })}
      </svg>
      {since && (
        <div class="chart-foot" aria-hidden="true">
          <span>{since}</span>
          <span>at most {format(most)}</span>
          <span>now</span>
        </div>
      )}
    </figure>
  );
}

/** Part is one piece of a bar. */
export interface Part {
  name: string;
  value: number;
  kind: string;
}

/** Bar shows the parts of a whole, with a legend. */
export function Bar({ label, parts, total, format }: { label: string; parts: Part[]; total: number; format: (n: number) => string }) {
  const whole = Math.max(total, parts.reduce((sum, p) => sum + p.value, 0)) || 1;
  let at = 0;
  return (
    <div class="bar">
      <svg viewBox="0 0 400 10" height="10" preserveAspectRatio="none" role="img" aria-label={`${label}: ${parts.map((p) => `${p.name} ${format(p.value)}`).join(', ')}`}>
        <rect class="bar-rest" width="400" height="10" />
        {parts.map((p) => {
          const w = (p.value / whole) * 400;
          const rect = <rect class={`part-${p.kind}`} x={at} width={w} height="10" />;
          at += w;
          return rect;
        })}
      </svg>
      <div class="bar-legend">
        {parts.map((p) => (
          <span class={`key part-${p.kind}`}>{p.name} <b>{format(p.value)}</b></span>
        ))}
      </div>
    </div>
  );
}
