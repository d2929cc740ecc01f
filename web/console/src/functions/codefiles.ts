// The files of a version: read from its archive, edited here, and packed again.
import { strFromU8, unzipSync } from 'fflate';
import { useEffect, useState } from 'preact/hooks';
import { failureOf, Failure, isAbort, messageOf, reach, seg } from '../api';
import type { Source } from './archive';
import { sourceOf } from './upload';

/** maxArchive is the largest archive that the page opens, maxFile the largest file that it shows. */
const maxArchive = 20 << 20;
const maxFile = 512 << 10;

/** CodeFile is a file of a version. */
export interface CodeFile {
  name: string;
  size: number;
  text: string | null; // null if it is not text, or too long
}

/** VersionCode is a version's archive and the files in it. */
export interface VersionCode {
  data: Uint8Array<ArrayBuffer>;
  files: CodeFile[]; // in order of name; empty if there is too much of it
}

/** Edits are the texts of files that were changed or added; null means that the file is removed. */
export type Edits = ReadonlyMap<string, string | null>;

/** useCode loads a version's code; nothing for an empty id. */
export function useCode(id: string): { code: VersionCode | null; wrong: string } {
  const [state, setState] = useState<{ id: string; code: VersionCode | null; wrong: string }>({ id: '', code: null, wrong: '' });
  useEffect(() => {
    if (!id) return;
    const stop = new AbortController();
    void (async () => {
      try {
        const answer = await reach(`/functions/v1/versions/${seg(id)}:download`, { signal: stop.signal });
        if (!answer.ok) throw await failureOf(answer);
        const data = new Uint8Array(await answer.arrayBuffer());
        setState({ id, code: { data, files: data.length > maxArchive ? [] : readArchive(data) }, wrong: '' });
      } catch (err) {
        if (isAbort(err)) return;
        setState({ id, code: null, wrong: err instanceof Failure && err.status === 404 ? 'The code of this version was not kept as an archive, so it can’t be shown.' : messageOf(err) });
      }
    })();
    return () => stop.abort();
  }, [id]);
  return state.id === id ? state : { code: null, wrong: '' };
}

/** readArchive returns the files of a zip archive, in order of name. */
function readArchive(data: Uint8Array): CodeFile[] {
  const found: CodeFile[] = [];
  const small = unzipSync(data, {
    filter: (f) => {
      if (f.name.endsWith('/')) return false;
      found.push({ name: f.name, size: f.originalSize, text: null });
      return f.originalSize <= maxFile && found.length <= 2000;
    },
  });
  for (const file of found) {
    const content = small[file.name];
    if (!content || content.subarray(0, 8000).includes(0)) continue;
    file.text = strFromU8(content);
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** edited returns the files as they are with the edits. */
export function edited(files: CodeFile[], edits: Edits): CodeFile[] {
  const changed = new Map(files.map((f) => [f.name, f]));
  for (const [name, text] of edits) {
    if (text === null) changed.delete(name);
    else changed.set(name, { name, size: new Blob([text]).size, text });
  }
  return [...changed.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** sourceWith returns the whole code with the edits, to be deployed. */
export function sourceWith(code: VersionCode, edits: Edits): Source {
  const files = unzipSync(code.data, { filter: ({ name }) => !name.endsWith('/') && !edits.has(name) }) as Record<string, Uint8Array<ArrayBuffer>>;
  return sourceOf({ ...files, ...Object.fromEntries([...edits].filter((e): e is [string, string] => e[1] !== null)) });
}
