// The code of a version, read-only.
import { strFromU8, unzipSync } from 'fflate';
import { useEffect, useState } from 'preact/hooks';
import { failureOf, Failure, isAbort, messageOf, reach, seg, type Version } from '../api';
import { ago, bytes } from '../text';
import { Editor } from '../ui/editor';
import { Icon } from '../ui/icons';
import { Foreign, Notice } from '../ui/parts';

/** maxArchive is the largest archive that the page opens, maxFile the largest file that it shows. */
const maxArchive = 20 << 20;
const maxFile = 512 << 10;

interface CodeFile {
  name: string;
  size: number;
  text: string | null; // null if it is not text, or too long
}

/** Code shows the files of a version. */
export function Code({ versions }: { versions: Version[] }) {
  const [id, setID] = useState(versions[0]?.id ?? '');
  const [files, setFiles] = useState<CodeFile[] | null>(null);
  const [name, setName] = useState('');
  const [wrong, setWrong] = useState('');
  const [archive, setArchive] = useState('');

  useEffect(() => {
    if (!id) return;
    const stop = new AbortController();
    let url = '';
    setFiles(null);
    setWrong('');
    setArchive('');
    void (async () => {
      try {
        const answer = await reach(`/functions/v1/versions/${seg(id)}:download`, { signal: stop.signal });
        if (!answer.ok) throw await failureOf(answer);
        const data = new Uint8Array(await answer.arrayBuffer());
        setArchive((url = URL.createObjectURL(new Blob([data], { type: 'application/zip' }))));
        const read = data.length > maxArchive ? [] : readArchive(data);
        setFiles(read);
        setName((n) => (read.some((f) => f.name === n) ? n : (read.find((f) => f.name === 'main.py') ?? read[0])?.name ?? ''));
      } catch (err) {
        if (isAbort(err)) return;
        setWrong(err instanceof Failure && err.status === 404 ? 'The code of this version was not kept as an archive, so it can’t be shown.' : messageOf(err));
      }
    })();
    return () => {
      stop.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [id]);

  if (versions.length === 0) return null;
  const file = files?.find((f) => f.name === name);
  return (
    <section class="panel code-view" aria-label="Code">
      <header class="panel-head wrap">
        <label class="inline"><span>Version</span>
          <select value={id} onChange={(e) => setID(e.currentTarget.value)}>
            {versions.map((v) => <option value={v.id}>{v.tags?.length ? v.tags.join(', ') : v.id} · {ago(v.createdAt)}</option>)}
          </select>
        </label>
        <span class="grow" />
        {archive && <a class="button" href={archive} download={`${id}.zip`}><Icon name="download" /> Archive</a>}
      </header>
      {wrong && <Notice kind="warn"><Foreign text={wrong} /></Notice>}
      {!files && !wrong && <p class="empty">Loading…</p>}
      {files && files.length === 0 && <Notice>The archive is too large to open here; save it instead.</Notice>}
      {files && files.length > 0 && (
        <div class="files">
          <nav aria-label="Files">
            <ul>
              {files.map((f) => (
                <li><button type="button" aria-current={f.name === name ? 'true' : undefined} onClick={() => setName(f.name)}>
                  <Icon name="file" size={14} /> <span><Foreign text={f.name} /></span> <small class="muted">{bytes(f.size)}</small>
                </button></li>
              ))}
            </ul>
          </nav>
          {file && (file.text === null
            ? <p class="empty">{bytes(file.size)}, not shown as text.</p>
            : <Editor key={`${id} ${name}`} class="fill" label={`${name}, read only`} value={file.text} language={name.endsWith('.py') ? 'python' : name.endsWith('.json') ? 'json' : 'text'} />)}
        </div>
      )}
    </section>
  );
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
