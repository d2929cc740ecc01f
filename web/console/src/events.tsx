// Who calls functions besides people: timers; and the asynchronous calls that failed
// for good.
import { useEffect, useState } from 'preact/hooks';
import { all, ask, Failure, isAbort, messageOf, seg, type Call, type DeadLetter, type Fn, type Timer } from './api';
import { statusKind } from './functions/calls';
import { pollSeconds } from './functions/list';
import { ago, bytes, cut, fromBase64, hex, until } from './text';
import { statusText } from './ui/answer';
import { Icon } from './ui/icons';
import { Confirm, Dialog, Field, Foreign, Notice, Pill, tell, useTicks } from './ui/parts';

/** letterPage is how many dead letters are asked for at once. */
const letterPage = 50;

/** EventsPage shows the timers and dead letters of all functions. */
export function EventsPage() {
  return (
    <div class="page">
      <header class="page-head"><h1 tabIndex={-1}>Events</h1></header>
      <Events fn={null} />
    </div>
  );
}

/** Events shows the timers and dead letters of a function, or of all. */
export function Events({ fn }: { fn: Fn | null }) {
  const [functions, setFunctions] = useState<Fn[]>(fn ? [fn] : []);
  const [timers, setTimers] = useState<Timer[] | null>(null);
  const [letters, setLetters] = useState<DeadLetter[] | null>(null);
  const [size, setSize] = useState(letterPage);
  const [more, setMore] = useState(false);
  const [wrong, setWrong] = useState('');
  const [absent, setAbsent] = useState(false);
  const load = async (signal?: AbortSignal) => {
    try {
      const [list, clock, post] = await Promise.all([
        fn ? [fn] : all<Fn>('/functions', 'functions', signal),
        ask<{ timers: Timer[] }>('GET', `/timers${fn ? `?functionId=${seg(fn.id)}` : ''}`, undefined, signal),
        ask<{ deadLetters: DeadLetter[]; nextPageToken?: string }>('GET', `/deadLetters?limit=${size}${fn ? `&functionId=${seg(fn.id)}` : ''}`, undefined, signal),
      ]);
      setFunctions(list);
      setTimers(clock.timers);
      setLetters(post.deadLetters);
      setMore(!!post.nextPageToken);
      setWrong('');
    } catch (err) {
      if (isAbort(err)) return;
      setAbsent(err instanceof Failure && err.status === 404);
      setWrong(messageOf(err));
    }
  };
  useTicks(load, pollSeconds, [fn?.id, size]);
  const nameOf = (id: string) => functions.find((f) => f.id === id)?.name || id;
  if (wrong && absent && !timers) return <Notice>This server has neither timers nor asynchronous calls.</Notice>;
  return (
    <>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {!timers && !wrong && <p class="empty">Loading…</p>}
      {timers && <Timers fn={fn} functions={functions} timers={timers} nameOf={nameOf} reload={() => load()} />}
      {letters && <Letters fn={fn} letters={letters} nameOf={nameOf} reload={() => load()} />}
      {more && <p><button type="button" onClick={() => setSize(Math.min(1000, size + letterPage))}>More dead letters</button></p>}
    </>
  );
}

interface Shown {
  /** The function that everything here is about, if it is one. */
  fn: Fn | null;
  nameOf: (id: string) => string;
  reload: () => Promise<void>;
}

function Timers({ fn, functions, timers, nameOf, reload }: Shown & { functions: Fn[]; timers: Timer[] }) {
  const [making, setMaking] = useState(false);
  const [removing, setRemoving] = useState<Timer | null>(null);
  const turn = async (t: Timer) => {
    try {
      await ask('POST', `/timers/${seg(t.id)}:${t.paused ? 'resume' : 'pause'}`);
      tell(t.paused ? `${t.name} ticks again.` : `${t.name} is paused.`);
      await reload();
    } catch (err) {
      tell(messageOf(err), 'bad');
    }
  };
  return (
    <section class="panel timers" aria-label="Timers">
      <header class="panel-head"><h2>Timers</h2><span class="grow" /><button type="button" onClick={() => setMaking(true)}><Icon name="plus" /> New timer</button></header>
      {timers.length === 0 ? <p class="empty">None. A timer calls a function at the times that a cron expression names.</p> : (
        <div class="table-in">
          <table>
            <thead><tr><th scope="col">Timer</th>{!fn && <th scope="col">Function</th>}<th scope="col">When</th><th scope="col">Next</th><th scope="col">Last</th><th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
            <tbody>
              {timers.map((t) => (
                <tr key={t.id}>
                  <th scope="row"><Foreign text={t.name} />{t.payload && <span class="muted small-text" title={t.payload}><Foreign text={cut(t.payload, 60)[0]} /></span>}</th>
                  {!fn && <td data-label="Function"><a href={`#/functions/${seg(nameOf(t.functionId))}`}>{nameOf(t.functionId)}</a></td>}
                  <td data-label="When"><span><code><Foreign text={t.cronExpression} /></code> <span class="muted small-text">{t.timeZone}{t.tag !== '$latest' && `, ${t.tag}`}</span></span></td>
                  <td data-label="Next">{t.paused ? <Pill kind="warn">paused</Pill> : t.nextTick ? <time dateTime={t.nextTick} title={t.nextTick}>{until(t.nextTick)}</time> : <span class="muted">never again</span>}</td>
                  <td data-label="Last">{t.lastTick ? <Last timer={t} name={nameOf(t.functionId)} /> : <span class="muted">not yet</span>}</td>
                  <td class="actions">
                    <button type="button" class="small" aria-label={`${t.paused ? 'Resume' : 'Pause'} ${t.name}`} onClick={() => void turn(t)}>{t.paused ? 'Resume' : 'Pause'}</button>
                    <button type="button" class="bare" aria-label={`Delete timer ${t.name}`} onClick={() => setRemoving(t)}><Icon name="trash" size={15} /></button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {making && <NewTimer fn={fn} functions={functions} reload={reload} onClose={() => setMaking(false)} />}
      {removing && (
        <Confirm title={`Delete ${removing.name}?`} action="Delete for good" danger onClose={() => setRemoving(null)}
          onDo={async () => { await ask('DELETE', `/timers/${seg(removing.id)}`); tell('The timer is deleted.'); await reload(); }}>
          <p>It no longer calls <Foreign text={nameOf(removing.functionId)} />. Calls that it has made go on.</p>
        </Confirm>
      )}
    </section>
  );
}

/** Last tells when a timer ticked last, and what became of the call. */
function Last({ timer: t, name }: { timer: Timer; name: string }) {
  const [call, setCall] = useState<Call | null>(null);
  useEffect(() => setCall(null), [t.lastTick]);
  useTicks(async (signal) => {
    try {
      setCall(await callOf(t, call?.requestId, signal));
    } catch {
      // the history may be off; the time of the tick is shown all the same
    }
  }, pollSeconds, [t.lastTick, call?.requestId]);
  return (
    <span class="tags">
      {call && <a href={`#/functions/${seg(name)}/calls/${seg(call.id)}`} title="The call"><Pill kind={statusKind(call.status)}>{call.status} {statusText(call.status)}</Pill></a>}
      <time class="muted" dateTime={t.lastTick!} title={t.lastTick!}>{ago(t.lastTick!)}</time>
    </span>
  );
}

/** soonMS is how long after a tick its first call is looked for, mostTicks among how many. */
const soonMS = 60_000;
const mostTicks = 20;

/** callOf returns the last attempt of the call that a timer's last tick has made, as far as it is in the history; requestId is the call's, once it is known. */
async function callOf(t: Timer, requestId: string | undefined, signal: AbortSignal): Promise<Call | null> {
  const list = async (query: string) => (await ask<{ calls: Call[] }>('GET', `/functions/${seg(t.functionId)}/calls?${query}`, undefined, signal)).calls;
  if (requestId) return (await list(`requestId=${seg(requestId)}&limit=1`))[0] ?? null;
  const end = new Date(Date.parse(t.lastTick!) + soonMS).toISOString();
  const near = await list(`since=${seg(t.lastTick!)}&until=${seg(end)}&limit=1000`);
  for (const { id } of near.reverse().filter((c) => c.kind === 'TIMER' && !c.replayOf).slice(0, mostTicks)) {
    const call = await ask<Call>('GET', `/calls/${seg(id)}`, undefined, signal);
    if (call.event?.text.includes(`"trigger_id":"${t.id}"`)) return call; // as the platform writes it; in a payload its quotes are escaped
  }
  return null;
}

function NewTimer({ fn, functions, reload, onClose }: { fn: Fn | null; functions: Fn[]; reload: () => Promise<void>; onClose: () => void }) {
  const [name, setName] = useState('');
  const [functionId, setFunction] = useState(fn?.id ?? functions[0]?.id ?? '');
  const [cronExpression, setCron] = useState('');
  const [timeZone, setZone] = useState('');
  const [payload, setPayload] = useState('');
  const [fields, setFields] = useState<Record<string, string>>({});
  const make = async () => {
    setFields({});
    try {
      await ask('POST', '/timers', { name, functionId, cronExpression, timeZone, payload });
    } catch (err) {
      if (err instanceof Failure) setFields(err.fields);
      throw err;
    }
    tell(`${name} is there.`);
    await reload();
  };
  return (
    <Confirm title="New timer" action="Create the timer" onDo={make} onClose={onClose}>
      <Field label="Name" error={fields['name']}><input name="name" value={name} onInput={(e) => setName(e.currentTarget.value.trim())} required autocomplete="off" spellcheck={false} placeholder="nightly" /></Field>
      {!fn && (
        <Field label="Function"><select name="function" value={functionId} onChange={(e) => setFunction(e.currentTarget.value)}>
          {functions.map((f) => <option value={f.id}>{f.name || f.id}</option>)}
        </select></Field>
      )}
      <Field label="Cron expression" hint="minute hour day month weekday [year] with a ? as in the cloud; five or six fields as in Unix; or @hourly and the like." error={fields['cronExpression']}>
        <input name="cron" value={cronExpression} onInput={(e) => setCron(e.currentTarget.value)} required autocomplete="off" spellcheck={false} placeholder="0 3 ? * *" />
      </Field>
      <Field label="Time zone" error={fields['timeZone']}><input name="zone" value={timeZone} onInput={(e) => setZone(e.currentTarget.value.trim())} autocomplete="off" spellcheck={false} placeholder="UTC" /></Field>
      <Field label="Payload" hint="A part of the event." error={fields['payload']}><input name="payload" value={payload} onInput={(e) => setPayload(e.currentTarget.value)} autocomplete="off" spellcheck={false} /></Field>
    </Confirm>
  );
}

function Letters({ fn, letters, nameOf, reload }: Shown & { letters: DeadLetter[] }) {
  const [open, setOpen] = useState<DeadLetter | null>(null);
  const again = async (l: DeadLetter) => {
    await ask('POST', `/deadLetters/${seg(l.id)}:replay`);
    tell('The call is queued again.');
    await reload();
  };
  return (
    <section class="panel letters" aria-label="Dead letters">
      <header class="panel-head"><h2>Dead letters</h2></header>
      {letters.length === 0 ? <p class="empty">None. An asynchronous call that fails however often it is tried is kept here.</p> : (
        <div class="table-in">
          <table>
            <thead><tr><th scope="col">Failed</th>{!fn && <th scope="col">Function</th>}<th scope="col">Last answer</th><th scope="col" class="n">Attempts</th><th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
            <tbody>
              {letters.map((l) => (
                <tr key={l.id}>
                  <th scope="row"><time dateTime={l.failedAt} title={l.failedAt}>{ago(l.failedAt)}</time></th>
                  {!fn && <td data-label="Function"><a href={`#/functions/${seg(nameOf(l.functionId))}`}>{nameOf(l.functionId)}</a></td>}
                  <td data-label="Last answer"><Foreign text={cut(errorOf(l.error), 120)[0]} /></td>
                  <td class="n" data-label="Attempts">{l.attempts}</td>
                  <td class="actions">
                    <button type="button" class="small" aria-label={`Show ${l.id}`} onClick={() => setOpen(l)}>Show</button>
                    <button type="button" class="small" aria-label={`Send again: ${l.id}`} onClick={() => again(l).catch((err: unknown) => tell(messageOf(err), 'bad'))}>Send again</button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {open && <Letter letter={open} onAgain={() => again(open)} onClose={() => setOpen(null)} />}
    </section>
  );
}

/** errorOf returns what the last answer says was wrong. */
function errorOf(answer: string): string {
  try {
    const { errorType, errorMessage } = JSON.parse(answer) as { errorType?: string; errorMessage?: string };
    return [errorType, errorMessage].filter((part) => part).join(': ') || answer;
  } catch {
    return answer;
  }
}

/** shownBytes is how much of a letter's body is shown. */
const shownBytes = 16 << 10;

function Letter({ letter, onAgain, onClose }: { letter: DeadLetter; onAgain: () => Promise<void>; onClose: () => void }) {
  const body = fromBase64(letter.body);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body.subarray(0, shownBytes), { stream: true });
  } catch {
    text = hex(body.subarray(0, 2048));
  }
  return (
    <Dialog title="Dead letter" wide onClose={onClose}>
      <p class="muted">{letter.attempts} attempts; request <code>{letter.requestId}</code></p>
      <Foreign text={cut(errorOf(letter.error), 4000)[0]} />
      <div class="body">
        <span class="muted">The function was called with {bytes(body.length)}{body.length > shownBytes && ', of which this is the beginning'}:</span>
        <pre tabIndex={0} aria-label="Body"><Foreign text={text} /></pre>
      </div>
      <div class="dialog-actions">
        <button type="button" onClick={onClose}>Close</button>
        <button type="button" class="primary" onClick={() => onAgain().then(onClose, (err: unknown) => tell(messageOf(err), 'bad'))}>Send again</button>
      </div>
    </Dialog>
  );
}
