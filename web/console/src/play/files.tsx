// The files of a draft, and its environment.
import { useState } from 'preact/hooks';
import { NewFile } from '../functions/code';
import { Editor, type Mark } from '../ui/editor';
import { Icon } from '../ui/icons';
import { Foreign, Notice } from '../ui/parts';
import type { Draft } from './run';

/** mainFile is the file that every draft has, environmentTab what is shown in place of a file for the environment. */
export const mainFile = 'main.py';
export const environmentTab = '';

interface Props {
  draft: Draft;
  /** The file that is shown. */
  at: string;
  onAt: (name: string) => void;
  onChange: (change: Partial<Draft>) => void;
  onRun: () => void;
  mark: Mark | null;
}

/** Files edits the files of a draft, one at a time. */
export function Files({ draft, at: wanted, onAt, onChange, onRun, mark }: Props) {
  const [adding, setAdding] = useState(false);
  const names = [mainFile, ...Object.keys(draft.files).sort()];
  const at = wanted === environmentTab || names.includes(wanted) ? wanted : mainFile;
  const text = at === environmentTab ? draft.environment : at === mainFile ? draft.code : draft.files[at]!;
  const set = (value: string) => {
    if (value === text) return;
    onChange(at === environmentTab ? { environment: value } : at === mainFile ? { code: value } : { files: { ...draft.files, [at]: value } });
  };
  const remove = () => {
    onChange({ files: Object.fromEntries(Object.entries(draft.files).filter(([name]) => name !== at)) });
    onAt(mainFile);
  };
  const variables = draft.environment.split('\n').filter((line) => line.trim()).length;
  return (
    <section class="panel code" aria-label="Code">
      <header class="panel-head">
        <div class="file-tabs" role="group" aria-label="Files">
          {names.map((name) => <button type="button" key={name} aria-pressed={name === at} onClick={() => onAt(name)}><Foreign text={name} /></button>)}
          <button type="button" aria-pressed={at === environmentTab} onClick={() => onAt(environmentTab)}>Environment{variables > 0 && <small> {variables}</small>}</button>
          <button type="button" class="bare" aria-label="New file" title="New file" onClick={() => setAdding(true)}><Icon name="plus" size={15} /></button>
        </div>
        <span class="grow" />
        {at !== mainFile && at !== environmentTab && <button type="button" class="bare" aria-label={`Remove ${at}`} title={`Remove ${at}`} onClick={remove}><Icon name="trash" size={15} /></button>}
        <span class="hint keys-hint">Esc, then Tab leaves the editor</span>
      </header>
      <Editor key={at} class="fill" label={at === environmentTab ? 'Environment, NAME=value, one per line' : `Code, ${at}`}
        language={at.endsWith('.py') ? 'python' : at.endsWith('.json') ? 'json' : 'text'} value={text} mark={mark} onRun={onRun} onChange={set} />
      {draft.files['requirements.txt'] !== undefined && (
        <Notice kind="warn">The playground installs no packages: its Python has the standard library, and requests. With these files in a folder, <code>vivarium run FOLDER</code> installs what <code>requirements.txt</code> names.</Notice>
      )}
      {adding && <NewFile taken={(path) => names.includes(path)} onMake={(path) => { onChange({ files: { ...draft.files, [path]: '' } }); onAt(path); }} onClose={() => setAdding(false)} />}
    </section>
  );
}
