// A zip archive out of what was dropped on the page.
import { Zip, ZipDeflate, ZipPassThrough } from 'fflate';

/** Source is code that is to be deployed. */
export interface Source {
  /** What it was called where it came from. */
  name: string;
  files: { path: string; file: File }[];
  /** A ready archive, in place of files. */
  archive?: File;
  /** How many files were left out. */
  skipped: number;
}

/** maxContent is the most that the server takes. */
export const maxContent = 52_428_800;
const maxFiles = 20_000;

/** leftOut says if a file or folder is none of the function's: as vivarium deploy has it. */
function leftOut(name: string): boolean {
  return name.startsWith('.') || name === '__pycache__' || name === 'node_modules' || name === 'venv';
}

/** fromDrop returns what was dropped: one folder, one archive, or some files. */
export async function fromDrop(data: DataTransfer): Promise<Source> {
  // Entries have to be asked for before anything is waited for.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((e) => e !== null);
  const source: Source = { name: '', files: [], skipped: 0 };
  const single = entries.length === 1 ? entries[0]! : null;
  if (single?.isFile && single.name.toLowerCase().endsWith('.zip')) return fromArchive(await fileOf(single as FileSystemFileEntry));
  if (single?.isDirectory) {
    source.name = single.name;
    await walk(single as FileSystemDirectoryEntry, '', source);
  } else {
    for (const entry of entries) await take(entry, '', source);
  }
  return checked(source);
}

/** fromArchive returns the source that an archive is. */
export function fromArchive(archive: File): Source {
  return { name: archive.name.replace(/\.zip$/i, ''), files: [], archive, skipped: 0 };
}

/** fromFiles returns the source that a chosen folder is, or some chosen files are. */
export function fromFiles(list: FileList): Source {
  const files = [...list];
  if (files.length === 1 && files[0]!.name.toLowerCase().endsWith('.zip')) return fromArchive(files[0]!);
  const source: Source = { name: '', files: [], skipped: 0 };
  for (const file of files) {
    const parts = (file.webkitRelativePath || file.name).split('/');
    if (parts.length > 1) source.name = parts.shift()!;
    if (parts.some(leftOut)) source.skipped++;
    else source.files.push({ path: parts.join('/'), file });
  }
  return checked(source);
}

function checked(source: Source): Source {
  if (source.files.length === 0) throw new Error('There is no file in it.');
  source.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return source;
}

async function take(entry: FileSystemEntry, below: string, source: Source): Promise<void> {
  if (leftOut(entry.name)) {
    source.skipped++;
    return;
  }
  const path = below + entry.name;
  if (entry.isDirectory) return walk(entry as FileSystemDirectoryEntry, `${path}/`, source);
  source.files.push({ path, file: await fileOf(entry as FileSystemFileEntry) });
  if (source.files.length > maxFiles) throw new Error(`There are more than ${maxFiles} files in it. Is it the right folder?`);
}

async function walk(folder: FileSystemDirectoryEntry, below: string, source: Source): Promise<void> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // It gives a hundred at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) break;
    all.push(...some);
  }
  if (all.some((e) => e.name === 'pyvenv.cfg')) {
    source.skipped++;
    return;
  }
  for (const entry of all) await take(entry, below, source);
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** pack returns a source as an archive, and says from time to time how far it is. */
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
    const data = new Uint8Array(await file.arrayBuffer()); // which also lets the page live
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

/** base64 returns a blob's bytes as text. */
export function base64(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ''));
    reader.onerror = () => reject(new Error('The files can’t be read any more. Drop them again.'));
    reader.readAsDataURL(blob);
  });
}
