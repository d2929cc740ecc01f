// The code of a version: to be read, edited and deployed again, and compared with another version's.
import { useEffect, useState } from 'preact/hooks';
import { seg, type Fn, type Version } from '../api';
import { ago, bytes } from '../text';
import { Editor } from '../ui/editor';
import { Icon } from '../ui/icons';
import { Confirm, Field, Foreign, Notice, Pill, tell } from '../ui/parts';
import { versionName } from './calls';
import { edited, sourceWith, useCode, type Edits, type VersionCode } from './codefiles';
import { Compare } from './compare';
import { DeployDialog } from './deploydialog';
import { deploy, settingsOf } from './upload';

interface Props {
  fn: Fn;
  versions: Version[];
  /** ID, or BEFORE..ID to compare; empty: the newest. */
  item: string;
  base: string;
  reload: () => Promise<void>;
}

/** drafts are edits that are not deployed yet, by version: they outlive the tab's being left. */
const drafts = new Map<string, Edits>();
const none: Edits = new Map();

/** Code shows the files of a version. */
export function Code({ fn, versions, item, base, reload }: Props) {
  const [than, wanted] = item.includes('..') ? (item.split('..', 2) as [string, string]) : ['', item];
  const id = wanted || (versions[0]?.id ?? '');
  const version = versions.find((v) => v.id === id);
  const other = versions.find((v) => v.id === than);
  const { code, wrong } = useCode(version ? id : '');
  const old = useCode(other && than !== id ? than : '');
  const [, redraw] = useState(0);
  const edits = drafts.get(id) ?? none;
  const [name, setName] = useState('');
  const [dialog, setDialog] = useState<'' | 'deploy' | 'file'>('');

  const files = code && edited(code.files, edits);
  const file = files?.find((f) => f.name === name) ?? files?.find((f) => f.name === 'main.py') ?? files?.[0];
  const edit = (path: string, text: string | null) => {
    const before = code?.files.find((f) => f.name === path);
    const next = new Map(edits);
    if (text === null ? !before : before?.text === text) next.delete(path);
    else next.set(path, text);
    if (next.size > 0) drafts.set(id, next);
    else drafts.delete(id);
    redraw((n) => n + 1);
  };
  const undo = () => {
    drafts.delete(id);
    redraw((n) => n + 1);
  };
  const go = (now: string, before: string) => { location.hash = `${base}/code/${before && `${seg(before)}..`}${seg(now)}`; };

  if (versions.length === 0) return null;
  if (!version) return <Notice kind="bad">This function has no version <Foreign text={id} />. <a href={`${base}/code`}>Its newest</a></Notice>;
  return (
    <section class="panel code-view" aria-label="Code">
      <header class="panel-head wrap">
        <label class="inline"><span>Version</span>
          <select name="version" value={id} onChange={(e) => go(e.currentTarget.value, than)}>{versions.map((v) => <Choice version={v} versions={versions} />)}</select>
        </label>
        <label class="inline"><span>Compare with</span>
          <select name="than" value={than} onChange={(e) => go(id, e.currentTarget.value)}>
            <option value="">nothing</option>
            {versions.filter((v) => v.id !== id || edits.size > 0).map((v) => (v.id === id ? <option value={id}>as it was deployed</option> : <Choice version={v} versions={versions} />))}
          </select>
        </label>
        <span class="grow" />
        {edits.size > 0 && (
          <>
            <Pill kind="warn">{edits.size} {edits.size === 1 ? 'file' : 'files'} edited</Pill>
            <button type="button" onClick={undo}>Undo edits</button>
          </>
        )}
        {code && <Archive id={id} code={code} />}
        {code && code.files.length > 0 && (
          <button type="button" class="primary" disabled={edits.size === 0} title={edits.size === 0 ? 'Edit a file first' : undefined} onClick={() => setDialog('deploy')}><Icon name="upload" /> Deploy edits</button>
        )}
      </header>
      {(wrong || old.wrong) && <Notice kind="warn"><Foreign text={wrong || old.wrong} /></Notice>}
      {!code && !wrong && <p class="empty">Loading…</p>}
      {code && code.files.length === 0 && <Notice>The archive is too large to open here; save it instead.</Notice>}
      {code && files && code.files.length > 0 && (than && other
        ? than === id ? <Compare before={{ version, files: code.files }} after={{ version, files }} />
          : old.code ? <Compare before={{ version: other, files: old.code.files }} after={{ version, files }} /> : !old.wrong && <p class="empty">Loading…</p>
        : (
          <div class="files">
            <nav aria-label="Files">
              <ul>
                {files.map((f) => (
                  <li><button type="button" aria-current={f === file ? 'true' : undefined} onClick={() => setName(f.name)}>
                    <Icon name="file" size={14} /> <span><Foreign text={f.name} /></span> {edits.has(f.name) ? <small class="edited">edited</small> : <small class="muted">{bytes(f.size)}</small>}
                  </button></li>
                ))}
              </ul>
              <div class="files-foot">
                <button type="button" class="small" onClick={() => setDialog('file')}><Icon name="plus" size={14} /> New file</button>
                {file && <button type="button" class="bare" aria-label={`Remove ${file.name}`} title={`Remove ${file.name}`} onClick={() => edit(file.name, null)}><Icon name="trash" size={15} /></button>}
              </div>
            </nav>
            {file && (file.text === null
              ? <p class="empty">{bytes(file.size)}, not shown as text.</p>
              : <Editor key={`${id} ${file.name}`} class="fill" label={`Code, ${file.name}`} value={file.text} onChange={(text) => edit(file.name, text)} language={file.name.endsWith('.py') ? 'python' : file.name.endsWith('.json') ? 'json' : 'text'} />)}
          </div>
        ))}
      {dialog === 'file' && <NewFile taken={(path) => files?.some((f) => f.name === path) ?? false} onMake={(path) => { edit(path, ''); setName(path); }} onClose={() => setDialog('')} />}
      {dialog === 'deploy' && code && (
        <DeployDialog title="Deploy the edits?" onClose={() => setDialog('')}
          onDeploy={async (tags, allowBroken, progress) => {
            const made = await deploy(sourceWith(code, edits), { ...settingsOf(version), functionId: fn.id, tag: tags, allowBroken }, progress);
            drafts.delete(id);
            await reload();
            tell(`${fn.name || fn.id} has a new version: ${made.response?.id ?? ''}`);
            go(made.response?.id ?? '', '');
          }}>
          <p>A new version is made of <code>{versionName(id, versions)}</code> with {[...edits.keys()].map((path, i) => <>{i > 0 && ', '}<code><Foreign text={path} /></code></>)} as edited. Its settings stay as they are, and so do the tags of other versions, but for those named here.</p>
        </DeployDialog>
      )}
    </section>
  );
}

function Choice({ version: v, versions }: { version: Version; versions: Version[] }) {
  return <option value={v.id}>{versionName(v.id, versions)} · {ago(v.createdAt)}</option>;
}

/** Archive saves the archive of a version. */
function Archive({ id, code }: { id: string; code: VersionCode }) {
  const [url, setURL] = useState('');
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([code.data], { type: 'application/zip' }));
    setURL(made);
    return () => URL.revokeObjectURL(made);
  }, [code]);
  return <a class="button" href={url} download={`${id}.zip`}><Icon name="download" /> Archive</a>;
}

/** pathRule matches paths of files below a folder. */
export const pathRule = /^(?!\.\.?(\/|$))[^/\\\0]+(\/(?!\.\.?(\/|$))[^/\\\0]+)*$/;

/** NewFile asks for a file's path. */
export function NewFile({ taken, onMake, onClose }: { taken: (path: string) => boolean; onMake: (path: string) => void; onClose: () => void }) {
  const [path, setPath] = useState('');
  return (
    <Confirm title="New file" action="Add" onClose={onClose}
      onDo={async () => {
        if (!pathRule.test(path)) throw new Error('Give a path such as lib/words.py.');
        if (taken(path)) throw new Error(`There is ${path} already.`);
        onMake(path);
      }}>
      <Field label="Path" hint="Below the folder with the code.">
        <input value={path} onInput={(e) => setPath(e.currentTarget.value.trim())} autocomplete="off" spellcheck={false} placeholder="lib/words.py" />
      </Field>
    </Confirm>
  );
}
