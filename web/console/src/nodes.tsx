// The servers of a cluster, for those who act for all tenants.
import { useState } from 'preact/hooks';
import { ask, isAbort, messageOf, type ClusterNode } from './api';
import { pollSeconds } from './functions/list';
import { ago, bytes, count } from './text';
import { Confirm, Foreign, Notice, Pill, tell, useTicks } from './ui/parts';

/** Nodes shows what each node holds, and drains them. */
export function Nodes() {
  const [nodes, setNodes] = useState<ClusterNode[] | null>(null);
  const [wrong, setWrong] = useState('');
  const [turning, setTurning] = useState<ClusterNode | null>(null);
  const load = async (signal?: AbortSignal) => {
    try {
      setNodes((await ask<{ nodes: ClusterNode[] }>('GET', '/nodes', undefined, signal)).nodes);
      setWrong('');
    } catch (err) {
      if (!isAbort(err)) setWrong(messageOf(err));
    }
  };
  useTicks(load, pollSeconds, []);
  const turn = async (n: ClusterNode) => {
    await ask('POST', `/nodes:${n.draining ? 'undrain' : 'drain'}`, { address: n.address });
    tell(n.draining ? `${n.address} takes its share of the calls again.` : `${n.address} drains.`);
    await load();
  };
  return (
    <div class="page">
      <header class="page-head"><h1 tabIndex={-1}>Nodes</h1></header>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {nodes === null && !wrong && <p class="empty">Loading…</p>}
      {nodes?.length === 0 && <Notice>This server is in no cluster. Servers that share a store and are started with <code>--node-listen</code> send each other calls, and appear here.</Notice>}
      {nodes && nodes.length > 0 && (
        <div class="table-wrap">
          <table class="nodes">
            <thead><tr>
              <th scope="col">Node</th><th scope="col">State</th><th scope="col" class="n">Load</th><th scope="col" class="n">Calls</th>
              <th scope="col" class="n">Instances</th><th scope="col" class="n">Memory</th><th scope="col">Started</th><th scope="col"><span class="visually-hidden">Actions</span></th>
            </tr></thead>
            <tbody>
              {nodes.map((n) => (
                <tr key={n.address}>
                  <th scope="row"><code>{n.address}</code><span class="muted small-text"><Foreign text={n.version} /></span></th>
                  <td data-label="State">{n.draining ? <Pill kind="warn">draining</Pill> : <Pill kind="good">ready</Pill>}</td>
                  <td class="n" data-label="Load">{count(n.load)} <span class="muted">of {count(n.capacity)}</span></td>
                  <td class="n" data-label="Calls">{count(n.calls)}</td>
                  <td class="n" data-label="Instances">{count(n.instances)}</td>
                  <td class="n" data-label="Memory">{bytes(Number(n.memory))}</td>
                  <td data-label="Started"><time dateTime={n.startedAt} title={n.startedAt}>{ago(n.startedAt)}</time></td>
                  <td class="actions"><button type="button" class="small" aria-label={`${n.draining ? 'Undrain' : 'Drain'} ${n.address}`} onClick={() => setTurning(n)}>{n.draining ? 'Undrain' : 'Drain'}</button></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {turning && (
        <Confirm title={turning.draining ? `Undrain ${turning.address}?` : `Drain ${turning.address}?`} action={turning.draining ? 'Undrain' : 'Drain'}
          onDo={() => turn(turning)} onClose={() => setTurning(null)}>
          <p>{turning.draining ? 'It takes its share of the calls again.' : 'Other nodes take its calls, so that it can be stopped. It finishes those that it has, and drains until it is undrained or starts anew.'}</p>
        </Confirm>
      )}
    </div>
  );
}
