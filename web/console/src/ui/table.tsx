// An answer as a table: a JSON list of objects, or CSV.
import { count } from '../text';
import { Foreign } from './parts';

/** Rows is a table. */
export interface Rows {
  columns: string[];
  rows: string[][];
  /** How many rows and columns are left out. */
  left: number;
  narrower: number;
}

const maxRows = 500;
const maxColumns = 30;
const maxCell = 300;

/** rowsOf returns a text as a table, or null if it is none. */
export function rowsOf(text: string, type: string): Rows | null {
  if (/^text\/csv\b/i.test(type)) {
    const [columns, ...rows] = readCSV(text);
    return columns && rows.length > 0 ? bounded(columns, rows) : null;
  }
  if (!/^\s*\[\s*\{/.test(text)) return null;
  try {
    const list = JSON.parse(text) as unknown[];
    if (!list.every((item): item is Record<string, unknown> => typeof item === 'object' && item !== null && !Array.isArray(item))) return null;
    const columns = [...new Set(list.flatMap((item) => Object.keys(item)))];
    if (columns.length === 0) return null;
    return bounded(columns, list.map((item) => columns.map((c) => cell(item[c]))));
  } catch {
    return null;
  }
}

function bounded(columns: string[], rows: string[][]): Rows {
  return {
    columns: columns.slice(0, maxColumns), rows: rows.slice(0, maxRows).map((r) => r.slice(0, maxColumns)),
    left: Math.max(0, rows.length - maxRows), narrower: Math.max(0, columns.length - maxColumns),
  };
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > maxCell ? `${text.slice(0, maxCell)}…` : text;
}

/** readCSV reads fields with commas between them; those in quotes may have commas, quotes and line breaks. */
function readCSV(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [whole, quoted, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    if (whole === '' && row.length === 0) break;
    row.push(cell(quoted?.replaceAll('""', '"') ?? bare));
    if (end === ',') continue;
    rows.push(row);
    row = [];
    if (end === '' || rows.length > 10 * maxRows) break;
  }
  return rows;
}

/** Table shows rows. */
export function Table({ rows: t }: { rows: Rows }) {
  return (
    <>
      <div class="answer-table" tabIndex={0} role="region" aria-label="Body, as a table">
        <table>
          <thead><tr>{t.columns.map((c) => <th scope="col"><Foreign text={c} /></th>)}</tr></thead>
          <tbody>{t.rows.map((r) => <tr>{t.columns.map((_, i) => <td class={/^-?\d[\d.,]*$/.test(r[i] ?? '') ? 'n' : ''}><Foreign text={r[i] ?? ''} /></td>)}</tr>)}</tbody>
        </table>
      </div>
      {(t.left > 0 || t.narrower > 0) && <p class="left-out">{t.left > 0 && `${count(t.left)} more rows. `}{t.narrower > 0 && `${count(t.narrower)} more columns.`}</p>}
    </>
  );
}
