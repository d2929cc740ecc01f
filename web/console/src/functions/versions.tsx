// The versions of a function, and where its tags are.
import { useEffect, useState } from 'preact/hooks';
import { all, ask, messageOf, seg, type Fn, type Operation, type TagEvent, type Version } from '../api';
import { ago, bytes } from '../text';
import { Icon } from '../ui/icons';
import { Confirm, Dialog, Field, Foreign, Notice, Pill, tell } from '../ui/parts';
import { Settings } from './settings';
import { settingsOf } from './upload';

interface Props {
  fn: Fn;
  versions: Version[];
  reload: () => Promise<void>;
}

type Action =
  | { kind: 'tag'; version: Version }
  | { kind: 'untag'; version: Version; tag: string }
  | { kind: 'back'; tag: string; from: Version; to: Version }
  | { kind: 'again'; version: Version }
  | { kind: 'delete'; version: Version }
  | { kind: 'show'; version: Version };

/** Versions lists the versions, and moves tags. */
export function Versions({ fn, versions, reload }: Props) {
  const [history, setHistory] = useState<TagEvent[]>([]);
  const [action, setAction] = useState<Action | null>(null);
  const [wrong, setWrong] = useState('');
  const stamp = versions.map((v) => v.id + (v.tags ?? []).join()).join();
  useEffect(() => {
    all<TagEvent>(`/functions/${seg(fn.id)}:tagHistory`, 'functionTagHistoryRecord').then(setHistory, (err: unknown) => setWrong(messageOf(err)));
  }, [fn.id, stamp]);

  const byID = new Map(versions.map((v) => [v.id, v]));
  const tags = [...new Set(versions.flatMap((v) => v.tags ?? []))].filter((t) => t !== '$latest').sort();
  const close = () => setAction(null);
  const change = async (path: string, body: unknown, said: string) => {
    await ask<Operation>('POST', path, body);
    await reload();
    tell(said);
  };

  return (
    <>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {tags.length > 0 && (
        <section class="panel" aria-label="Tags">
          <header class="panel-head"><h2>Tags</h2></header>
          <ul class="tag-list">
            {tags.map((tag) => {
              const now = versions.find((v) => v.tags?.includes(tag))!;
              const before = previous(history, tag, now.id).map((id) => byID.get(id)).find((v) => v);
              return (
                <li>
                  <Pill kind="good">{tag}</Pill>
                  <span>on <code>{now.id}</code> <span class="muted">{ago(now.createdAt)}</span></span>
                  <span class="grow" />
                  {before
                    ? <button type="button" onClick={() => setAction({ kind: 'back', tag, from: now, to: before })}><Icon name="undo" /> Roll back {tag}</button>
                    : <span class="muted">was on no other version</span>}
                </li>
              );
            })}
          </ul>
        </section>
      )}
      <div class="table-wrap">
        <table class="versions">
          <thead><tr><th scope="col">Version</th><th scope="col">Tags</th><th scope="col">Created</th><th scope="col" class="n">Memory</th><th scope="col" class="n">Timeout</th><th scope="col" class="n">Archive</th><th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
          <tbody>
            {versions.map((v) => (
              <tr key={v.id}>
                <th scope="row"><button type="button" class="link" onClick={() => setAction({ kind: 'show', version: v })}><code>{v.id}</code></button>
                  {v.description && <span class="muted small-text"><Foreign text={v.description} /></span>}</th>
                <td data-label="Tags"><span class="tags">
                  {(v.tags ?? []).map((tag) => (
                    <Pill kind={tag === '$latest' ? 'plain' : 'good'}>{tag}
                      {tag !== '$latest' && <button type="button" aria-label={`Remove the tag ${tag}`} onClick={() => setAction({ kind: 'untag', version: v, tag })}><Icon name="close" size={11} /></button>}
                    </Pill>
                  ))}
                  {(v.tags ?? []).length === 0 && <span class="muted">none</span>}
                </span></td>
                <td data-label="Created"><time dateTime={v.createdAt} title={v.createdAt}>{ago(v.createdAt)}</time></td>
                <td class="n" data-label="Memory">{bytes(Number(v.resources.memory))}</td>
                <td class="n" data-label="Timeout">{v.executionTimeout}</td>
                <td class="n" data-label="Archive">{bytes(Number(v.imageSize))}</td>
                <td class="actions">
                  <button type="button" class="small" onClick={() => setAction({ kind: 'tag', version: v })}><Icon name="tag" size={14} /> Tag</button>
                  {!v.tags?.includes('$latest') && <button type="button" class="small" onClick={() => setAction({ kind: 'again', version: v })}><Icon name="undo" size={14} /> Make newest</button>}
                  <button type="button" class="bare" aria-label={`Delete version ${v.id}`} title="Delete" onClick={() => setAction({ kind: 'delete', version: v })}><Icon name="trash" size={15} /></button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>

      {action?.kind === 'show' && <Dialog title="Version" wide onClose={close}><Settings version={action.version} /><div class="dialog-actions"><button type="button" onClick={close}>Close</button></div></Dialog>}
      {action?.kind === 'tag' && <TagDialog version={action.version} versions={versions} tags={tags} onClose={close} onTag={(tag) => change(`/versions/${seg(action.version.id)}:setTag`, { tag }, `${tag} is on ${action.version.id} now.`)} />}
      {action?.kind === 'untag' && (
        <Confirm title={`Remove the tag ${action.tag}?`} action="Remove" danger onClose={close}
          onDo={() => change(`/versions/${seg(action.version.id)}:removeTag`, { tag: action.tag }, `${action.tag} is removed.`)}>
          <p>Calls with <code>?tag={action.tag}</code> get a 404 from then on.</p>
        </Confirm>
      )}
      {action?.kind === 'back' && (
        <Confirm title={`Roll ${action.tag} back?`} action="Roll back" onClose={close}
          onDo={() => change(`/versions/${seg(action.to.id)}:setTag`, { tag: action.tag }, `${action.tag} is back on ${action.to.id}.`)}>
          <Move from={action.from} to={action.to} way="Back to" />
          <p class="muted">No call is lost: those in progress finish on the version they started on.</p>
        </Confirm>
      )}
      {action?.kind === 'again' && (
        <Confirm title="Make this version the newest?" action="Make it the newest" onClose={close}
          onDo={() => change('/versions', { functionId: fn.id, versionId: action.version.id, ...settingsOf(action.version) }, 'A copy of the version is the newest one now.')}>
          <p>A new version is made with the code and the settings of <code>{action.version.id}</code>. Callers who name no tag get it at once. Its tags stay where they are.</p>
        </Confirm>
      )}
      {action?.kind === 'delete' && (
        <Confirm title="Delete this version?" action="Delete for good" danger onClose={close}
          onDo={async () => {
            await ask<Operation>('DELETE', `/versions/${seg(action.version.id)}${action.version.tags?.length ? '?force=true' : ''}`);
            await reload();
            tell('The version is deleted.');
          }}>
          <p><code>{action.version.id}</code>, made {ago(action.version.createdAt)}.</p>
          {action.version.tags && action.version.tags.length > 0 && <Notice kind="warn">It carries {action.version.tags.join(', ')}. Calls with these tags get a 404 from then on.</Notice>}
        </Confirm>
      )}
    </>
  );
}

function Move({ from, to, way }: { from: Version; to: Version; way: string }) {
  return (
    <dl class="facts">
      <div><dt>From</dt><dd><code>{from.id}</code> <span class="muted">created {ago(from.createdAt)}</span></dd></div>
      <div><dt>{way}</dt><dd><code>{to.id}</code> <span class="muted">created {ago(to.createdAt)}</span></dd></div>
    </dl>
  );
}

function TagDialog({ version, versions, tags, onTag, onClose }: { version: Version; versions: Version[]; tags: string[]; onTag: (tag: string) => Promise<void>; onClose: () => void }) {
  const [tag, setTag] = useState('');
  const has = versions.find((v) => v.tags?.includes(tag));
  return (
    <Confirm title="Tag this version" action={has ? `Move ${tag}` : 'Set the tag'} onClose={onClose} onDo={() => onTag(tag)}>
      <Field label="Tag" hint="Lower-case letters, digits, hyphens and underscores; a letter first.">
        <input value={tag} list="known-tags" onInput={(e) => setTag(e.currentTarget.value.trim())} required autocomplete="off" spellcheck={false} placeholder="prod" />
      </Field>
      <datalist id="known-tags">{tags.map((t) => <option value={t} />)}</datalist>
      {has && has.id !== version.id && <Move from={has} to={version} way="To" />}
    </Confirm>
  );
}

/** previous returns the versions that had a tag before, most recent first. */
function previous(history: TagEvent[], tag: string, now: string): string[] {
  return history
    .filter((e) => e.tag === tag && e.functionVersionId !== now)
    .sort((a, b) => (a.effectiveFrom < b.effectiveFrom ? 1 : -1))
    .map((e) => e.functionVersionId);
}
