// The API keys of the server.
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import { apiKey, ask, Failure, messageOf, seg, setAPIKey, type Key } from './api';
import { ago } from './text';
import { Icon } from './ui/icons';
import { Confirm, Copy, Dialog, Field, Foreign, Notice, Pill, tell } from './ui/parts';

/** NewKey is a key with its secret, which the server returns only once. */
interface NewKey {
  key: Key;
  secret: string;
}

/** Keys lists, creates and deletes keys. onChange is called when this tab's own rights may have changed, and age grows then. */
export function Keys({ age, open, onChange }: { age: number; open: boolean; onChange: () => void }) {
  const [keys, setKeys] = useState<Key[] | null>(null);
  const [wrong, setWrong] = useState('');
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<NewKey | null>(null);
  const [removing, setRemoving] = useState<Key | null>(null);
  const load = async () => {
    try {
      setKeys((await ask<{ keys: Key[] }>('GET', '/keys')).keys);
      setWrong('');
    } catch (err) {
      setWrong(err instanceof Failure && err.status === 404 ? 'This server knows no keys.' : messageOf(err));
    }
  };
  useEffect(() => void load(), [age]);
  return (
    <div class="page">
      <header class="page-head">
        <h1 tabIndex={-1}>Keys</h1><span class="grow" />
        <button type="button" class="primary" onClick={() => setMaking(true)} disabled={!keys}><Icon name="plus" /> New key</button>
      </header>
      {wrong && <Notice kind="warn"><Foreign text={wrong} /></Notice>}
      {keys === null && !wrong && <p class="empty">Loading…</p>}
      {open && <Notice kind="warn">Anyone who can reach this server may do everything. Once there is a key, every request needs one.</Notice>}
      {keys && keys.length > 0 && (
        <div class="table-wrap">
          <table>
            <thead><tr><th scope="col">Key</th><th scope="col">Role</th><th scope="col">Tenant</th><th scope="col">Created</th><th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
            <tbody>
              {keys.map((k) => (
                <tr key={k.id}>
                  <th scope="row"><code>{k.id}</code><span class="muted small-text"><Foreign text={k.description} /></span></th>
                  <td data-label="Role"><Pill kind={k.role === 'admin' ? 'warn' : 'plain'}>{k.role}</Pill></td>
                  <td data-label="Tenant">{k.tenant === '*' ? 'all' : k.tenant}</td>
                  <td data-label="Created">{ago(k.createdAt)}</td>
                  <td class="actions"><button type="button" class="bare" aria-label={`Delete key ${k.id}`} onClick={() => setRemoving(k)}><Icon name="trash" size={15} /></button></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {making && <Make open={open} onClose={() => setMaking(false)} onMade={(k) => {
        setMade(k);
        if (!open) return void load();
        setAPIKey(k.secret); // from now on this tab needs one, too
        onChange();
      }} />}
      {made && <Secret secret={made.secret} onDone={() => setMade(null)} onUse={() => { setAPIKey(made.secret); setMade(null); onChange(); }} />}
      {removing && (
        <Confirm title="Delete this key?" action="Delete for good" danger onClose={() => setRemoving(null)}
          onDo={async () => { await ask('DELETE', `/keys/${seg(removing.id)}`); tell('The key is deleted.'); await load(); }}>
          <p><code>{removing.id}</code> <Foreign text={removing.description} /></p>
          <p>Requests with it are refused from then on.</p>
        </Confirm>
      )}
    </div>
  );
}

/** Secret shows a key, which can't be shown again, until the visitor has copied it. */
function Secret({ secret, onDone, onUse }: { secret: string; onDone: () => void; onUse: () => void }) {
  const [kept, setKept] = useState(false);
  const used = apiKey() === secret;
  useLayoutEffect(() => { // an effect would hold on to the page for a frame too long
    const leave = (e: BeforeUnloadEvent) => { if (!kept) e.preventDefault(); };
    addEventListener('beforeunload', leave);
    return () => removeEventListener('beforeunload', leave);
  }, [kept]);
  return (
    <Dialog title="The new key">
      <p>Copy it now: it is shown only this once.{used && ' This tab uses it from now on; nothing works here without a key any more.'}</p>
      <p class="secret"><code onCopy={() => setKept(true)}>{secret}</code><Copy text={secret} label="Copy the key" onTried={() => setKept(true)} /></p>
      <div class="dialog-actions">
        {!used && <button type="button" onClick={onUse}>Use it in this tab</button>}
        <button type="button" class="primary" disabled={!kept} title={kept ? '' : 'Copy the key first'} onClick={onDone}>I have it</button>
      </div>
    </Dialog>
  );
}

function Make({ open, onClose, onMade }: { open: boolean; onClose: () => void; onMade: (k: NewKey) => void }) {
  // The first key must be an admin's: no other could create a second one.
  const [tenant, setTenant] = useState(open ? '*' : 'default');
  const [role, setRole] = useState(open ? 'admin' : 'deployer');
  const [description, setDescription] = useState('');
  const make = async () => onMade(await ask<NewKey>('POST', '/keys', { tenant, role, description }));
  return (
    <Confirm title="New key" action="Create the key" onClose={onClose} onDo={make}>
      <Field label="Role"><select name="role" value={role} onChange={(e) => setRole(e.currentTarget.value)}>
        <option value="invoker">invoker: calls functions</option><option value="deployer">deployer: manages them, too</option><option value="admin">admin: manages keys, too</option>
      </select></Field>
      <Field label="Tenant" hint="* for all of them."><input name="tenant" value={tenant} onInput={(e) => setTenant(e.currentTarget.value.trim())} required autocomplete="off" spellcheck={false} /></Field>
      <Field label="Description"><input name="description" value={description} onInput={(e) => setDescription(e.currentTarget.value)} autocomplete="off" /></Field>
    </Confirm>
  );
}
