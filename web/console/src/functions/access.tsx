// Who may call a function without a key.
import { useEffect, useState } from 'preact/hooks';
import { ask, messageOf, seg, type Fn } from '../api';
import { Confirm, Foreign, Notice, Pill, tell } from '../ui/parts';

/** everyone is the binding that makes a function public. */
const everyone = { roleId: 'functions.functionInvoker', subject: { id: 'allUsers', type: 'system' } };

/** Access shows who may call a function; those who may, change it. */
export function Access({ fn, editable }: { fn: Fn; editable: boolean }) {
  const [open, setOpen] = useState<boolean | null>(null);
  const [wrong, setWrong] = useState('');
  const [turning, setTurning] = useState(false);
  const load = async () => {
    try {
      const { accessBindings } = await ask<{ accessBindings: typeof everyone[] | null }>('GET', `/functions/${seg(fn.id)}:listAccessBindings`);
      setOpen((accessBindings ?? []).some((b) => b.subject.id === everyone.subject.id));
      setWrong('');
    } catch (err) {
      setWrong(messageOf(err));
    }
  };
  useEffect(() => void load(), [fn.id]);
  const turn = async () => {
    await ask('POST', `/functions/${seg(fn.id)}:updateAccessBindings`, { accessBindingDeltas: [{ action: open ? 'REMOVE' : 'ADD', accessBinding: everyone }] });
    tell(open ? 'Callers need a key now.' : 'Anyone may call it now.');
    await load();
  };
  return (
    <section class="panel access" aria-label="Who may call it">
      <header class="panel-head">
        <h2>Who may call it</h2>
        {open !== null && <Pill kind={open ? 'warn' : 'good'}>{open ? 'anyone' : 'who has a key'}</Pill>}
        <span class="grow" />
        {editable && open !== null && <button type="button" onClick={() => setTurning(true)}>{open ? 'Require a key' : 'Make public'}</button>}
      </header>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {turning && (
        <Confirm title={open ? 'Require a key?' : 'Make it public?'} action={open ? 'Require a key' : 'Make public'} onDo={turn} onClose={() => setTurning(false)}>
          <p>{open ? 'Callers then need a key of its tenant. Those without one get a 401.' : 'Whoever can reach this server may then call it, without a key. Its code, its settings and its log stay where they are.'}</p>
        </Confirm>
      )}
    </section>
  );
}
