// Drafts in links: deflated JSON in the fragment, which is never sent to a server.
import { deflateSync, Inflate, strFromU8, strToU8 } from 'fflate';
import { pathRule } from '../functions/code';
import { blank } from './examples';
import { mainFile } from './files';
import type { Draft } from './run';

/** maxShared is the maximum size of a draft from a link, in bytes, and maxFiles how many files it may have beside main.py. */
const maxShared = 1 << 20;
const maxFiles = 19;

/** pack returns a draft as text for a link. */
export function pack(draft: Draft): string {
  const data = deflateSync(strToU8(JSON.stringify(draft)), { level: 9 });
  let text = '';
  for (const b of data) text += String.fromCharCode(b);
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** unpack returns the draft in a link. It throws if there is none. */
export function unpack(text: string): Draft {
  const data = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  return sanitize(JSON.parse(strFromU8(inflate(data))));
}

/** inflate unpacks in small steps, so that a zip bomb is noticed in time. */
function inflate(data: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  const inflater = new Inflate((part) => {
    size += part.length;
    if (size > maxShared) throw new Error('too large');
    parts.push(part);
  });
  const step = 512;
  for (let at = 0; at < data.length; at += step) inflater.push(data.slice(at, at + step), at + step >= data.length);
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** sanitize returns a draft with whatever is valid in a value from an unknown source. */
function sanitize(value: unknown): Draft {
  const v = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const r = (typeof v['request'] === 'object' && v['request'] !== null ? v['request'] : {}) as Record<string, unknown>;
  const text = (x: unknown, fallback: string) => (typeof x === 'string' ? x : fallback);
  const number = (x: unknown, fallback: number) => (typeof x === 'number' && x > 0 && x < 1e7 ? Math.round(x) : fallback);
  const headers: Record<string, string> = {};
  if (typeof r['headers'] === 'object' && r['headers'] !== null)
    for (const [name, content] of Object.entries(r['headers'])) if (typeof content === 'string') headers[name] = content;
  const files = Object.entries(typeof v['files'] === 'object' && v['files'] !== null ? v['files'] : {})
    .filter((f): f is [string, string] => typeof f[1] === 'string' && pathRule.test(f[0]) && f[0] !== mainFile).slice(0, maxFiles);
  if (typeof v['code'] !== 'string') throw new Error('no code');
  return {
    code: v['code'],
    files: Object.fromEntries(files),
    environment: text(v['environment'], ''),
    mode: v['mode'] === 'raw' ? 'raw' : 'http',
    request: { method: text(r['method'], 'POST'), query: text(r['query'], ''), headers, body: text(r['body'], '') },
    event: text(v['event'], blank.event),
    memoryMB: number(v['memoryMB'], blank.memoryMB),
    timeoutMS: number(v['timeoutMS'], blank.timeoutMS),
  };
}
