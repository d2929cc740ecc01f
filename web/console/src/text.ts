// Functions for text that strangers wrote: nothing in it may hide.

// Control characters, those that change the direction of text, and invisible
// ones. Line feed and tab stay as they are.
const hiddenClass =
  '[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]';
const hidden = new RegExp(hiddenClass, 'g');
const anyHidden = new RegExp(hiddenClass);

/** hasHidden reports whether a text has characters that are not visible as themselves. */
export function hasHidden(text: string): boolean {
  return anyHidden.test(text);
}

/** Piece is a part of a text; name is set for a character that can't be shown. */
export interface Piece {
  text: string;
  name?: string;
}

/** pieces splits a text at its hidden characters, which get a visible name. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(hidden)) {
    if (match.index > from) found.push({ text: text.slice(from, match.index) });
    const code = match[0].charCodeAt(0);
    const name = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
    const symbol = code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '\u2421' : `‹${name}›`;
    found.push({ text: symbol, name });
    from = match.index + 1;
  }
  if (from < text.length) found.push({ text: text.slice(from) });
  return found;
}

/** cut returns at most n characters of a text, and how many remain. */
export function cut(text: string, n: number): [shown: string, left: number] {
  return text.length > n ? [text.slice(0, n), text.length - n] : [text, 0];
}

/** bytes formats a size. */
export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  if (n < 1e6) return `${(n / 1024).toFixed(n < 10240 ? 1 : 0)} KB`;
  if (n < 1e9) return `${(n / 1048576).toFixed(n < 10485760 ? 1 : 0)} MB`;
  return `${(n / 1073741824).toFixed(1)} GB`;
}

/** millis formats a duration. */
export function millis(ms: number): string {
  if (ms < 0.095) return ms > 0 ? '< 0.1 ms' : '0 ms';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
}

/** count formats a number. */
export function count(n: number): string {
  return n.toLocaleString('en-US');
}

/** clock returns the time of day, with milliseconds. */
export function clock(time: string): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return '';
  const two = (n: number, width = 2) => String(n).padStart(width, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${two(at.getMilliseconds(), 3)}`;
}

/** ago returns how long ago something was. */
export function ago(time: string): string {
  const seconds = (Date.now() - new Date(time).getTime()) / 1000;
  if (Number.isNaN(seconds)) return '';
  if (seconds < 60) return 'just now';
  for (const [limit, unit, size] of [
    [3600, 'minute', 60],
    [86400, 'hour', 3600],
    [86400 * 60, 'day', 86400],
  ] as const) {
    if (seconds < limit) {
      const n = Math.floor(seconds / size);
      return `${n} ${unit}${n === 1 ? '' : 's'} ago`;
    }
  }
  return new Date(time).toISOString().slice(0, 10);
}

/** until returns in how long something will be. */
export function until(time: string): string {
  const seconds = (new Date(time).getTime() - Date.now()) / 1000;
  if (Number.isNaN(seconds)) return '';
  if (seconds < 1) return 'now';
  for (const [limit, unit, size] of [
    [90, 'second', 1],
    [90 * 60, 'minute', 60],
    [36 * 3600, 'hour', 3600],
    [Infinity, 'day', 86400],
  ] as const) {
    if (seconds < limit) {
      const n = Math.round(seconds / size);
      return `in ${n} ${unit}${n === 1 ? '' : 's'}`;
    }
  }
  return '';
}

/** hex returns a dump of bytes, 16 per line. */
export function hex(data: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < data.length; at += 16) {
    const row = data.subarray(at, at + 16);
    const digits = Array.from(row, (b) => b.toString(16).padStart(2, '0')).join(' ');
    const letters = Array.from(row, (b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${digits.padEnd(47)}  ${letters}`);
  }
  return lines.join('\n');
}

/** fromBase64 decodes a text. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
