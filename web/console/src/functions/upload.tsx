// New versions: what is sent, and what is said when the code does not load.
import { ask, authorization, Failure, readFailure, seg, type Fn, type Operation, type Version } from '../api';
import { Trace } from '../ui/answer';
import { base64, maxContent, pack, type Source } from './archive';
import { bytes } from '../text';

/** Progress is told while a version is made: what happens, and how much of it is done. */
export type Progress = (what: string, part: number) => void;

/** deploy makes a version of the code with settings, which have the members of the request. */
export async function deploy(source: Source, settings: Record<string, unknown>, progress: Progress): Promise<Operation> {
  progress('Packing', 0);
  const blob = await pack(source, (part) => progress('Packing', part));
  if (blob.size > maxContent) throw new Failure(413, '', { content: `The archive has ${bytes(blob.size)}; the server takes at most ${bytes(maxContent)}.` });
  const content = await base64(blob);
  return upload({ ...settings, content }, (part) => progress(part < 1 ? 'Sending' : 'Checking the code', part));
}

/** sourceOf returns code that is made here of texts and of bytes. */
export function sourceOf(files: Record<string, string | Uint8Array<ArrayBuffer>>): Source {
  return {
    name: '', skipped: 0, secrets: [],
    files: Object.entries(files).map(([path, content]) => ({ path, file: new File([content], path) })),
  };
}

/** settingsOf returns a version's settings as members of the request for another one. */
export function settingsOf(v: Version): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (const name of settingNames) if (v[name] !== undefined && v[name] !== null) settings[name] = v[name];
  return settings;
}

const settingNames = [
  'description', 'runtime', 'entrypoint', 'resources', 'executionTimeout', 'serviceAccountId', 'environment', 'secrets', 'logOptions',
  'asyncInvocationConfig', 'metadataOptions', 'tmpfsSize', 'mounts', 'noFreeze', 'allowNet', 'allowBroken',
] as const satisfies (keyof Version)[];

/** memorySizes are the sizes of memory to choose from, in MB. */
export const memorySizes = [128, 256, 384, 512, 1024, 2048, 4096];

/** environmentOf reads lines of NAME=value; wrong says which one is none. */
export function environmentOf(text: string): { environment: Record<string, string>; wrong: string } {
  const environment: Record<string, string> = {};
  let wrong = '';
  for (const line of text.split('\n')) {
    if (!line.trim()) continue;
    const [, name, value] = /^\s*([A-Za-z]\w*)=(.*)$/.exec(line) ?? [];
    if (name === undefined) wrong = `“${line.slice(0, 40)}” is not NAME=value.`;
    else environment[name] = value ?? '';
  }
  return { environment, wrong };
}

/** Broken says why code does not load, and offers to deploy it all the same. */
export function Broken({ broken, onAnyway }: { broken: NonNullable<Failure['broken']>; onAnyway: () => void }) {
  return (
    <div class="broken" role="alert">
      <p>The code does not load, so the function stays as it is.</p>
      <Trace error={{ errorType: broken.message.split(':', 1)[0]!, errorMessage: broken.message.replace(/^[^:]*: ?/, ''), stackTrace: broken.trace }} />
      {broken.message.startsWith('ModuleNotFoundError') && (
        <p>The server installs no packages: put them into the folder, or use <code>vivarium deploy</code>, which installs what <code>requirements.txt</code> names.</p>
      )}
      <p><button type="button" class="small" onClick={onAnyway}>Deploy it anyway</button></p>
    </div>
  );
}

/** functionID returns the id of a function, which it creates if necessary. */
export async function functionID(name: string): Promise<string> {
  try {
    return (await ask<Fn>('GET', `/functions/${seg(name)}`)).id;
  } catch (err) {
    if (!(err instanceof Failure) || err.status !== 404) throw err;
  }
  const op = await ask<Operation>('POST', '/functions', { name });
  return op.metadata.functionId ?? '';
}

/** upload creates a version. Unlike fetch, it reports its progress. */
export function upload(version: unknown, progress: (part: number) => void): Promise<Operation> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', '/functions/v1/versions');
    request.setRequestHeader('Content-Type', 'application/json');
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.onprogress = (e) => progress(e.loaded / (e.total || 1));
    request.onerror = () => reject(new Failure(0, 'The server can’t be reached. Is it running?'));
    request.onload = () => {
      if (request.status >= 400) reject(readFailure(request.status, request.responseText));
      else resolve(JSON.parse(request.responseText) as Operation);
    };
    request.send(JSON.stringify(version));
  });
}
