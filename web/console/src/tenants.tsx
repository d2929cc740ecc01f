// The tenants of the server: their quotas and use, and what their functions may
// reach.
import { useEffect, useState } from 'preact/hooks';
import { all, ask, messageOf, seg, type Quota, type Tenant } from './api';
import { bytes, count } from './text';
import { Choice, Confirm, Field, Foreign, Notice, Pill, tell } from './ui/parts';

/** things are the names of what quotas bound. */
const things: Record<string, { title: string; sized?: boolean }> = {
  functions: { title: 'Functions' },
  versions: { title: 'Versions' },
  codeBytes: { title: 'Archives', sized: true },
  imageBytes: { title: 'Images on disk', sized: true },
  instances: { title: 'Instances' },
  sessions: { title: 'Sessions' },
  memory: { title: 'Memory', sized: true },
  calls: { title: 'Calls' },
  timers: { title: 'Timers' },
  secrets: { title: 'Versions of secrets' },
  asyncCalls: { title: 'Queued calls' },
  asyncBytes: { title: 'Bodies of queued calls', sized: true },
  logBytes: { title: 'Logs', sized: true },
  callBytes: { title: 'Calls in the history', sized: true },
  logStreams: { title: 'Followers of logs' },
  connections: { title: 'Connections' },
  trafficBytes: { title: 'Traffic within an hour', sized: true },
};

function thing(quota: string): { title: string; sized?: boolean } {
  return things[quota] ?? { title: quota };
}

/** amount formats an amount of what a quota bounds. */
function amount(quota: string, n: string): string {
  return thing(quota).sized ? bytes(Number(n)) : count(Number(n));
}

/** reach describes what functions may reach under a ceiling's rules. */
function reach(rules: string): string {
  return rules === '*' ? 'whatever the server allows' : rules || 'nothing';
}

/** TenantList lists the tenants, for those who act for all of them. */
export function TenantList() {
  const [tenants, setTenants] = useState<Tenant[] | null>(null);
  const [wrong, setWrong] = useState('');
  const [name, setName] = useState('');
  useEffect(() => {
    all<Tenant>('/tenants', 'tenants').then(setTenants, (err: unknown) => setWrong(messageOf(err)));
  }, []);
  return (
    <div class="page">
      <header class="page-head">
        <h1 tabIndex={-1}>Tenants</h1><span class="grow" />
        <form class="inline" onSubmit={(e) => { e.preventDefault(); location.hash = `#/tenants/${seg(name)}`; }}>
          <input name="tenant" aria-label="Name of a tenant" placeholder="Name" value={name} onInput={(e) => setName(e.currentTarget.value.trim())} required autocomplete="off" spellcheck={false} />
          <button type="submit">Open</button>
        </form>
      </header>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {tenants === null && !wrong && <p class="empty">Loading…</p>}
      {tenants?.length === 0 && <p class="empty">No tenant has anything yet, or quotas of its own. Open one by its name to set them.</p>}
      {tenants && tenants.length > 0 && (
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">Tenant</th>
                {listed.map((q) => <th scope="col" class="n">{thing(q).title}</th>)}
                <th scope="col" class="n">Refused</th><th scope="col">Network</th>
              </tr>
            </thead>
            <tbody>
              {tenants.map((t) => (
                <tr key={t.folderId}>
                  <th scope="row"><a href={`#/tenants/${seg(t.folderId)}`}>{t.folderId}</a></th>
                  {listed.map((q) => <td class="n" data-label={thing(q).title}>{amount(q, t.quotas.find((of) => of.name === q)?.use ?? '0')}</td>)}
                  <td class="n" data-label="Refused">{count(t.quotas.reduce((sum, q) => sum + Number(q.exceeded), 0))}</td>
                  <td class="rules" data-label="Network"><Foreign text={reach(t.allowNet)} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

/** listed are the quotas that the list shows. */
const listed = ['functions', 'instances', 'memory', 'connections'];

/** TenantPage shows a tenant's quotas and use; those who act for all tenants can change the quotas. */
export function TenantPage({ name, editable }: { name: string; editable: boolean }) {
  const [tenant, setTenant] = useState<Tenant | null>(null);
  const [wrong, setWrong] = useState('');
  const [changing, setChanging] = useState<Quota | 'network' | null>(null);
  useEffect(() => {
    ask<Tenant>('GET', `/quotas?folderId=${seg(name)}`).then(setTenant, (err: unknown) => setWrong(messageOf(err)));
  }, []);
  const change = async (what: object) => {
    setTenant(await ask<Tenant>('PATCH', '/quotas', { folderId: name, ...what }));
    tell('The change is in effect.');
  };
  return (
    <div class="page">
      <header class="page-head"><h1 tabIndex={-1}><Foreign text={name} /></h1></header>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {tenant === null && !wrong && <p class="empty">Loading…</p>}
      {tenant && (
        <>
          <section class="panel" aria-label="Network">
            <header class="panel-head"><h2>Network</h2></header>
            <dl class="facts">
              <div>
                <dt>At most</dt>
                <dd class="grow"><Foreign text={reach(tenant.allowNet)} /></dd>
                {editable && <dd><button type="button" class="small" onClick={() => setChanging('network')}>Change</button></dd>}
              </div>
            </dl>
          </section>
          <div class="table-wrap">
            <table>
              <thead><tr><th scope="col">Quota</th><th scope="col" class="n">Use</th><th scope="col" class="n">Limit</th><th scope="col" class="n">Refused</th>{editable && <th scope="col"><span class="visually-hidden">Actions</span></th>}</tr></thead>
              <tbody>
                {tenant.quotas.map((q) => {
                  const full = Number(q.limit) >= 0 && Number(q.use) >= Number(q.limit);
                  return (
                    <tr key={q.name}>
                      <th scope="row">{thing(q.name).title} {full && <Pill kind="warn">used up</Pill>}</th>
                      <td class="n" data-label="Use">{amount(q.name, q.use)}</td>
                      <td class="n" data-label="Limit">{Number(q.limit) < 0 ? 'none' : amount(q.name, q.limit)}</td>
                      <td class="n" data-label="Refused">{count(Number(q.exceeded))}</td>
                      {editable && (
                        <td class="actions"><button type="button" class="small" aria-label={`Change the limit of ${thing(q.name).title}`} onClick={() => setChanging(q)}>Change</button></td>
                      )}
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        </>
      )}
      {changing === 'network' && tenant && <Network tenant={tenant} onSave={(allowNet) => change({ allowNet })} onClose={() => setChanging(null)} />}
      {changing && changing !== 'network' && <Limit quota={changing} onSave={(n) => change({ limits: { [changing.name]: String(n) } })} onClose={() => setChanging(null)} />}
    </div>
  );
}

/** Network asks what the tenant's functions may reach. */
function Network({ tenant, onSave, onClose }: { tenant: Tenant; onSave: (rules: string) => Promise<void>; onClose: () => void }) {
  const [kind, setKind] = useState<'all' | 'none' | 'some'>(tenant.allowNet === '*' ? 'all' : tenant.allowNet ? 'some' : 'none');
  const [rules, setRules] = useState(tenant.allowNet === '*' ? '' : tenant.allowNet);
  const save = async () => {
    const list = rules.split(/[\s,]+/).filter((r) => r).join(',');
    if (kind === 'some' && !list) throw new Error('Enter what they may reach, or choose Nothing.');
    await onSave(kind === 'all' ? '*' : kind === 'none' ? '' : list);
  };
  return (
    <Confirm title="What its functions may reach at most" action="Save" onDo={save} onClose={onClose}>
      <Choice label="What they may reach" value={kind} options={[['all', 'No ceiling'], ['some', 'Only'], ['none', 'Nothing']]} onChange={setKind} />
      {kind === 'some' && (
        <Field label="Hosts, addresses, prefixes" hint="Separated by commas or lines, each with :PORT if only one is meant; public is the public internet.">
          <textarea name="rules" rows={4} value={rules} onInput={(e) => setRules(e.currentTarget.value)} spellcheck={false} placeholder="*.example.com:443" />
        </Field>
      )}
      <p class="muted">A function reaches what its version asks for, as far as this and the server’s own setting allow it. Connections that are no longer allowed are cut.</p>
    </Confirm>
  );
}

/** Limit asks for a tenant's limit of something. */
function Limit({ quota, onSave, onClose }: { quota: Quota; onSave: (limit: number) => Promise<void>; onClose: () => void }) {
  const { title, sized = false } = thing(quota.name);
  const [kind, setKind] = useState<'most' | 'default' | 'none'>(Number(quota.limit) < 0 ? 'none' : 'most');
  const [text, setText] = useState(Number(quota.limit) < 0 ? '' : sized ? sizeText(Number(quota.limit)) : quota.limit);
  const save = async () => {
    const n = kind === 'default' ? 0 : kind === 'none' ? -1 : parse(text, sized);
    if (kind === 'most' && !(n > 0)) throw new Error(sized ? 'Enter a number of bytes, such as 512 MB.' : 'Enter a whole number, 1 or more.');
    await onSave(n);
  };
  return (
    <Confirm title={`Limit of ${title}`} action="Save" onDo={save} onClose={onClose}>
      <Choice label="Limit" value={kind} options={[['most', 'At most'], ['default', 'Default'], ['none', 'No limit']]} onChange={setKind} />
      {kind === 'most' && (
        <Field label="At most" hint={sized ? 'In bytes, KB, MB, GB or TB; each is 1024 times the one before.' : ''}>
          <input name="limit" value={text} onInput={(e) => setText(e.currentTarget.value)} autocomplete="off" spellcheck={false} />
        </Field>
      )}
      <p class="muted">What exceeds a new limit stays.</p>
    </Confirm>
  );
}

const units = ['', 'KB', 'MB', 'GB', 'TB'];

/** parse returns the number in a text, or NaN if there is none. */
function parse(text: string, sized: boolean): number {
  const [, digits, unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?i?B)?\s*$/i.exec(text) ?? [];
  if (digits === undefined || (!sized && unit)) return NaN;
  const n = Number(digits) * 1024 ** Math.max(0, units.indexOf(unit.toUpperCase().replace('I', '')));
  return Number.isSafeInteger(Math.round(n)) && (sized || Number.isInteger(n)) ? Math.round(n) : NaN;
}

/** sizeText returns the text for a size, exactly. */
function sizeText(n: number): string {
  let unit = 0;
  while (n > 0 && n % 1024 === 0 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${n} ${units[unit]}`.trim();
}
