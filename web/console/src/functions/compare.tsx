// What is different between the code and the settings of two versions.
import { useMemo } from 'preact/hooks';
import type { Version } from '../api';
import { count } from '../text';
import { Foreign, Notice, Pill } from '../ui/parts';
import type { CodeFile } from './codefiles';
import { difference, near, type Change } from './diff';
import { settingsOf } from './upload';

interface Side {
  version: Version;
  files: CodeFile[];
}

/** Compare lists the files that are not the same, with their lines. */
export function Compare({ before, after }: { before: Side; after: Side }) {
  const settings = useMemo(() => difference(settingsText(before.version), settingsText(after.version)), [before.version, after.version]);
  const names = [...new Set([...before.files, ...after.files].map((f) => f.name))].sort();
  const pairs = names
    .map((name) => ({ name, old: before.files.find((f) => f.name === name), now: after.files.find((f) => f.name === name) }))
    .filter(({ old, now }) => !old || !now || old.text !== now.text || (old.text === null && old.size !== now.size));
  const same = settings?.every((c) => c.kind === 'same') ?? false;
  const unread = names.length - pairs.length > 0 && after.files.some((f) => f.text === null);
  return (
    <div class="compare" tabIndex={0} role="region" aria-label="Differences">
      {pairs.map(({ name, old, now }) => <FileChange key={name} name={name} old={old} now={now} />)}
      {!same && <section aria-label="Settings"><h3>Settings</h3><Lines changes={settings} label="Settings" /></section>}
      {pairs.length === 0 && same && <p class="empty"><b>Nothing is different</b>, neither in the code nor in the settings.</p>}
      {unread && <p class="empty">Files that are not text are compared by their size.</p>}
    </div>
  );
}

function FileChange({ name, old, now }: { name: string; old: CodeFile | undefined; now: CodeFile | undefined }) {
  const text = !((old && old.text === null) || (now && now.text === null));
  const changes = useMemo(() => (text ? difference(old?.text ?? '', now?.text ?? '') : null), [old, now]);
  return (
    <section aria-label={name}>
      <h3><code><Foreign text={name} /></code> {!old && <Pill kind="good">new</Pill>}{!now && <Pill kind="bad">removed</Pill>}</h3>
      {text ? <Lines changes={changes} label={name} /> : <p class="muted">It is not text.</p>}
    </section>
  );
}

/** Lines shows the changed lines, with some around them. */
export function Lines({ changes, label }: { changes: Change[] | null; label: string }) {
  if (changes === null) return <Notice>They differ, and are too long to show where.</Notice>;
  return (
    <pre class="diff" tabIndex={0} aria-label={`Difference of ${label}`}>
      {near(changes).map((c) => (typeof c === 'number'
        ? <div class="left-out">{count(c)} {c === 1 ? 'line is' : 'lines are'} the same</div>
        : <div class={c.kind}><span class="visually-hidden">{{ same: '', gone: 'before: ', new: 'now: ' }[c.kind]}</span><span aria-hidden="true">{{ same: '  ', gone: '− ', new: '+ ' }[c.kind]}</span><Foreign text={c.text} /></div>))}
    </pre>
  );
}

/** settingsText returns settings as lines, one for each value. */
function settingsText(v: Version): string {
  const lines: string[] = [];
  const add = (name: string, value: unknown) => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) for (const [key, inner] of Object.entries(value)) add(`${name}.${key}`, inner);
    else lines.push(`${name} = ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  };
  for (const [name, value] of Object.entries(settingsOf(v))) add(name, value);
  return lines.sort().join('\n');
}
