// A zip archive of what was dropped on the page.
import { strFromU8, unzipSync, Zip, ZipDeflate, ZipPassThrough } from 'fflate';
import { ignoreFile, isHidden, isSecret, parseIgnore, type Verdict } from './ignore';

/** Source is code to deploy. */
export interface Source {
  /** Its name on the visitor's machine. */
  name: string;
  files: { path: string; file: File }[];
  /** A ready-made archive instead of files, and the names in it. */
  archive?: File;
  names?: string[];
  /** How many files and folders were left out, without those that may contain secrets. */
  skipped: number;
  secrets: string[];
}

/** maxContent is the largest archive that the server accepts, in bytes. */
export const maxContent = 52_428_800;
const maxFiles = 20_000;

/** namesIn returns the paths of a source's files. */
export function namesIn(source: Source): string[] {
  return source.names ?? source.files.map((f) => f.path);
}

/** fromDrop returns what was dropped: one folder, one archive, or some files. */
export async function fromDrop(data: DataTransfer): Promise<Source> {
  // Entries are only available before the first await.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((e) => e !== null);
  const single = entries.length === 1 ? entries[0]! : null;
  if (single?.isFile && single.name.toLowerCase().endsWith('.zip')) return fromArchive(await fileOf(single as FileSystemFileEntry));
  const source = empty(single?.isDirectory ? single.name : '');
  const top = single?.isDirectory ? await list(single as FileSystemDirectoryEntry) : entries;
  const rules = top.find((e) => e.isFile && e.name === ignoreFile);
  const verdict = parseIgnore(rules ? await (await fileOf(rules as FileSystemFileEntry)).text() : '');
  for (const entry of top) await take(entry, '', source, verdict);
  return checked(source);
}

/** fromArchive returns the source for an archive. If that has secrets, it is made again without them. */
export async function fromArchive(archive: File): Promise<Source> {
  const source: Source = { ...empty(archive.name.replace(/\.zip$/i, '')), archive, names: [] };
  const data = new Uint8Array(await archive.arrayBuffer());
  const files: { path: string; file: File }[] = [];
  let rules = '';
  try {
    // Unpacks only what may be a secret or lists exclusions; the server checks the rest.
    const some = unzipSync(data, { filter: ({ name }) => (source.names!.push(name), name === ignoreFile) });
    rules = strFromU8(some[ignoreFile] ?? new Uint8Array());
    const verdict = parseIgnore(rules);
    const suspects = unzipSync(data, { filter: ({ name, originalSize }) => originalSize < maxContent && verdict(name, false) === undefined && maySecret.test(name) });
    for (const [path, content] of Object.entries(suspects))
      if (await isSecret(path, new Blob([content as Uint8Array<ArrayBuffer>]))) source.secrets.push(path);
    if (source.secrets.length === 0) return source;
    for (const [path, content] of Object.entries(unzipSync(data, { filter: ({ name }) => !name.endsWith('/') && !source.secrets.includes(name) })))
      files.push({ path, file: new File([content as Uint8Array<ArrayBuffer>], path) });
  } catch {
    return { ...source, names: [], secrets: [] }; // the server says what is wrong with it
  }
  const { archive: _, names: __, ...rest } = source;
  return checked({ ...rest, files });
}

/** maySecret matches the names that isSecret may match. */
const maySecret = /(^|\/)(\.[^/]+|id_[^/]+|[^/]+\.(pem|key|p12|pfx))$/i;

/** fromFiles returns the source for a chosen folder or some chosen files. */
export async function fromFiles(chosen: FileList): Promise<Source> {
  const files = [...chosen];
  if (files.length === 1 && files[0]!.name.toLowerCase().endsWith('.zip')) return fromArchive(files[0]!);
  const source = empty('');
  const all = files.map((file) => {
    const parts = (file.webkitRelativePath || file.name).split('/');
    if (parts.length > 1) source.name = parts.shift()!;
    return { path: parts.join('/'), file };
  });
  const rules = all.find((f) => f.path === ignoreFile);
  const verdict = parseIgnore(rules ? await rules.file.text() : '');
  const environments = new Set(all.filter((f) => f.path.endsWith('/pyvenv.cfg')).map((f) => f.path.slice(0, -'/pyvenv.cfg'.length)));
  for (const { path, file } of all) {
    const above = path.split('/').slice(0, -1).map((_, i, names) => names.slice(0, i + 1).join('/'));
    if (above.some((dir) => verdict(dir, true) ?? (isHidden(dir, true) || environments.has(dir)))) source.skipped++;
    else await judge(path, file, source, verdict);
  }
  return checked(source);
}

function empty(name: string): Source {
  return { name, files: [], skipped: 0, secrets: [] };
}

function checked(source: Source): Source {
  if (source.files.length === 0) throw new Error('It has no files.');
  source.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  source.secrets.sort();
  return source;
}

/** judge adds a file to a source, or records there that it is left out. */
async function judge(path: string, file: File, source: Source, verdict: Verdict): Promise<void> {
  const out = verdict(path, false);
  if (out === undefined && (await isSecret(path, file))) source.secrets.push(path);
  else if (out ?? isHidden(path, false)) source.skipped++;
  else source.files.push({ path, file });
  if (source.files.length > maxFiles) throw new Error(`There are more than ${maxFiles} files in it. Is it the right folder?`);
}

async function take(entry: FileSystemEntry, below: string, source: Source, verdict: Verdict): Promise<void> {
  const path = below + entry.name;
  if (!entry.isDirectory) return judge(path, await fileOf(entry as FileSystemFileEntry), source, verdict);
  const out = verdict(path, true);
  if (out ?? isHidden(path, true)) {
    source.skipped++;
    return;
  }
  const inside = await list(entry as FileSystemDirectoryEntry);
  if (out === undefined && inside.some((e) => e.name === 'pyvenv.cfg')) {
    source.skipped++;
    return;
  }
  for (const one of inside) await take(one, `${path}/`, source, verdict);
}

async function list(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // It returns a hundred at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** pack returns a source as an archive, and reports its progress. */
export async function pack(source: Source, progress: (part: number) => void): Promise<Blob> {
  if (source.archive) return source.archive;
  const total = source.files.reduce((sum, f) => sum + f.file.size, 0) || 1;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let failed: Error | null = null;
  const zip = new Zip((err, part) => {
    if (err) failed = err;
    else parts.push(part as Uint8Array<ArrayBuffer>);
  });
  let done = 0;
  for (const { path, file } of source.files) {
    const data = new Uint8Array(await file.arrayBuffer()); // which also keeps the page responsive
    const entry = data.length < 64 ? new ZipPassThrough(path) : new ZipDeflate(path, { level: 6 });
    entry.mtime = new Date(2000, 0, 1);
    zip.add(entry);
    entry.push(data, true);
    done += data.length;
    progress(done / total);
  }
  zip.end();
  if (failed) throw failed;
  return new Blob(parts, { type: 'application/zip' });
}

/** base64 encodes a blob. */
export function base64(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ''));
    reader.onerror = () => reject(new Error('The files can’t be read any more. Drop them again.'));
    reader.readAsDataURL(blob);
  });
}
