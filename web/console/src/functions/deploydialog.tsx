// The last step before a version is made: its tags, and what is wrong with it.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Failure, messageOf } from '../api';
import { Icon } from '../ui/icons';
import { Dialog, Field, Foreign, Notice } from '../ui/parts';
import { Broken, type Progress } from './upload';

interface Props {
  title: string;
  wide?: boolean;
  children: ComponentChildren;
  /** Makes the version. */
  onDeploy: (tags: string[], allowBroken: boolean, progress: Progress) => Promise<void>;
  onClose: () => void;
}

/** tagRule matches tags. */
const tagRule = /^[a-z][-_0-9a-z]*$/;

/** DeployDialog makes a version and closes, or says why it can't be made. */
export function DeployDialog({ title, wide, children, onDeploy, onClose }: Props) {
  const [tags, setTags] = useState('');
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const [broken, setBroken] = useState<Failure['broken']>(null);
  const [progress, setProgress] = useState<{ what: string; part: number } | null>(null);
  const submit = async (allowBroken: boolean) => {
    const list = tags.split(/[\s,]+/).filter((t) => t);
    const bad = list.find((t) => !tagRule.test(t));
    setBroken(null);
    setWrong(bad ? { tag: `“${bad.slice(0, 40)}” must have lower-case letters, digits, - and _, a letter first.` } : {});
    if (bad) return;
    setProgress({ what: 'Packing', part: 0 });
    try {
      await onDeploy(list, allowBroken, (what, part) => setProgress({ what, part }));
      onClose();
    } catch (err) {
      if (err instanceof Failure && err.broken) setBroken(err.broken);
      else if (err instanceof Failure && err.fields['tag']) setWrong({ tag: err.fields['tag'] });
      else setWrong({ '': Object.entries(err instanceof Failure ? err.fields : {}).map(([field, text]) => `${field}: ${text}`).join(' ') || messageOf(err) });
    } finally {
      setProgress(null);
    }
  };
  return (
    <Dialog title={title} wide={wide ?? false} onClose={onClose}>
      <form noValidate onSubmit={(e) => { e.preventDefault(); void submit(false); }}>
        {children}
        <Field label="Tags" hint="Separated by spaces; they move here. $latest does so by itself." error={wrong['tag']}>
          <input name="tags" value={tags} onInput={(e) => { setTags(e.currentTarget.value); setWrong({}); }} autocomplete="off" spellcheck={false} placeholder="prod" />
        </Field>
        {broken && <Broken broken={broken} onAnyway={() => void submit(true)} />}
        {wrong[''] && <Notice kind="bad"><Foreign text={wrong['']} /></Notice>}
        <div class="dialog-actions">
          {progress && <div class="uploading" role="status"><progress value={progress.part} max={1} aria-label={progress.what} /> {progress.what}…</div>}
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class="primary" disabled={progress !== null}><Icon name="upload" /> Deploy</button>
        </div>
      </form>
    </Dialog>
  );
}
