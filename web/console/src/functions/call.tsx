// One call: what it was, and its repetition with another event or another version.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ask, Failure, isAbort, messageOf, seg, type Call, type CallText, type Fn, type LogEntry, type Version } from '../api';
import { plain, unfolded } from '../json';
import { bytes, clock, fromBase64, hex, millis } from '../text';
import { statusText } from '../ui/answer';
import { Bar } from '../ui/chart';
import { Editor } from '../ui/editor';
import { Flame } from '../ui/flame';
import { Icon } from '../ui/icons';
import { Copy, Foreign, Notice, Pill } from '../ui/parts';
import { kindText, statusKind, versionName } from './calls';
import { Lines } from './compare';
import { difference } from './diff';

interface Props {
  fn: Fn;
  id: string;
  versions: Version[];
  base: string;
}

/** CallPage shows a call and replays it. */
export function CallPage({ fn, id, versions, base }: Props) {
  const [call, setCall] = useState<Call | null>(null);
  const [again, setAgain] = useState<Call | null>(null);
  const [wrong, setWrong] = useState('');
  useEffect(() => {
    const stop = new AbortController();
    find(fn, id, stop.signal).then(
      (found) => { setCall(found); setWrong(''); },
      (err: unknown) => { if (!isAbort(err)) setWrong(messageOf(err)); },
    );
    return () => stop.abort();
  }, [id]);
  if (wrong) return <Notice kind="bad"><Foreign text={wrong} /> <a href={`${base}/calls`}>All calls</a></Notice>;
  if (!call) return <p class="empty">Loading…</p>;
  return (
    <div class="call">
      <p class="calls-head">
        <a href={`${base}/calls`}>All calls</a>
        <Pill kind={statusKind(call.status)}>{call.status} {statusText(call.status)}</Pill>
        {call.error && <span class="bad-text"><Foreign text={call.error} /></span>}
        <span class="muted"><time dateTime={call.receivedAt}>{new Date(call.receivedAt).toLocaleString()}</time></span>
      </p>
      <section class="panel" aria-label="Where the time went">
        <div class="panel-body">
          <Phases call={call} />
          <Facts call={call} versions={versions} base={base} />
        </div>
      </section>
      <div class="call-texts">
        <Replay fn={fn} call={call} versions={versions} onAgain={setAgain} />
        <section class="panel" aria-label="Answer">
          <header class="panel-head"><h2>Answer</h2><span class="grow" /><Notes text={call.answer!} /></header>
          <div class="panel-body"><Shown text={call.answer!} label="Answer" /></div>
        </section>
      </div>
      {again && <Again before={call} after={again} versions={versions} base={base} />}
      <CallLog fn={fn} call={call} />
    </div>
  );
}

/** find returns the call with an id, or that of request:REQUEST, which the history has soon after its answer. */
async function find(fn: Fn, id: string, signal: AbortSignal): Promise<Call> {
  let found = id;
  for (let left = 10; found.startsWith('request:') && left > 0; left--) {
    const { calls } = await ask<{ calls: Call[] }>('GET', `/functions/${seg(fn.id)}/calls?limit=1&requestId=${seg(id.slice('request:'.length))}`, undefined, signal);
    if (calls[0]) found = calls[0].id;
    else await new Promise((resolve) => setTimeout(resolve, 200));
  }
  if (found.startsWith('request:')) throw new Failure(404, 'The history has no call of this request. It keeps the last ones of each function, unless that is turned off.');
  return ask<Call>('GET', `/calls/${seg(found)}`, undefined, signal);
}

function Phases({ call }: { call: Call }) {
  const p = call.phases;
  return (
    <Bar label="Duration" total={call.durationMS} format={millis} parts={[
      { name: 'queue', value: p.queuingMS, kind: 'queue' },
      { name: 'instance', value: p.makingMS, kind: 'start' },
      { name: 'import', value: p.loadingMS, kind: 'init' },
      { name: 'handler', value: p.handlerMS, kind: 'handler' },
    ]} />
  );
}

function Facts({ call, versions, base }: { call: Call; versions: Version[]; base: string }) {
  const name = versionName(call.functionVersionId, versions);
  return (
    <dl class="call-facts">
      <div><dt>Took</dt><dd>{millis(call.durationMS)}, processor {millis(call.cpuMS)}</dd></div>
      <div><dt>Memory</dt><dd>{bytes(Number(call.memory))}</dd></div>
      <div><dt>Kind</dt><dd>{kindText(call)}, {call.cold ? 'cold start' : 'warm'}</dd></div>
      <div><dt>Version</dt><dd><code>{call.functionVersionId}</code>{name !== call.functionVersionId && <span class="muted"> {name}</span>}</dd></div>
      <div><dt>Request</dt><dd><code>{call.requestId}</code> <Copy text={call.requestId} label="Copy the request id" /></dd></div>
      <div><dt>Call</dt><dd><code>{call.id}</code> <Copy text={call.id} label="Copy the call’s id" /></dd></div>
      {call.replayOf && <div><dt>Replay of</dt><dd><a href={`${base}/calls/${seg(call.replayOf)}`}><code>{call.replayOf}</code></a></dd></div>}
      {(call.connections ?? []).length > 0 && (
        <div><dt>Connections</dt><dd>{call.connections!.map((c) => <div><code>{c.target}</code> <Foreign text={c.name ?? ''} /> <span class="muted">{bytes(Number(c.bytes))}</span></div>)}</dd></div>
      )}
      {(call.refused ?? []).length > 0 && <div><dt>Refused</dt><dd>{call.refused!.map((reason) => <div><Foreign text={reason} /></div>)}</dd></div>}
    </dl>
  );
}

/** Notes say how much there was of a text. */
function Notes({ text }: { text: CallText }) {
  return (
    <>
      {text.cut && <Pill kind="warn">cut</Pill>}
      {(text.redacted ?? []).length > 0 && <span title={text.redacted!.join(', ')}><Pill>redacted</Pill></span>}
      <span class="muted">{bytes(text.bytes)}</span>
    </>
  );
}

/** Shown is a text as it is read. */
function Shown({ text, label }: { text: CallText; label: string }) {
  const shown = useMemo(() => shownText(text), [text]);
  if (shown === '') return <p class="empty">It is empty.</p>;
  return <div class="body"><pre tabIndex={0} aria-label={label}><Foreign text={shown} /></pre></div>;
}

function shownText(t: CallText): string {
  return t.base64 ? hex(fromBase64(t.text)) : unfolded(t.text);
}

/** Replay has the event, to be edited, and makes the call again. */
function Replay({ fn, call, versions, onAgain }: { fn: Fn; call: Call; versions: Version[]; onAgain: (again: Call) => void }) {
  const event = call.event!;
  // Raw events stay as they were, to the byte.
  const first = useMemo(() => (event.base64 ? '' : call.kind === 'HTTP' ? plain(event.text) : event.text), [call]);
  const [text, setText] = useState(first);
  const [version, setVersion] = useState(call.functionVersionId);
  const [profile, setProfile] = useState(false);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState('');
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const edited = text !== first;

  const replay = async () => {
    if (running.current) return;
    const stop = (running.current = new AbortController());
    setBusy(true);
    setWrong('');
    try {
      onAgain(await ask<Call>('POST', `/calls/${seg(call.id)}:replay`, { functionVersionId: version, profile, ...(edited ? { event: text } : {}) }, stop.signal));
    } catch (err) {
      if (!isAbort(err)) setWrong(messageOf(err));
    } finally {
      running.current = null;
      setBusy(false);
    }
  };
  return (
    <section class="panel event" aria-label="Event" aria-busy={busy}>
      <header class="panel-head wrap">
        <h2>Event</h2>
        <Notes text={event} />
        <span class="grow" />
        {edited && <button type="button" class="small" onClick={() => setText(first)}>Undo edits</button>}
        <label class="inline"><span>Version</span>
          <select value={version} onChange={(e) => setVersion(e.currentTarget.value)}>
            {!versions.some((v) => v.id === call.functionVersionId) && <option value={call.functionVersionId}>{call.functionVersionId}, deleted</option>}
            {versions.map((v) => <option value={v.id}>{versionName(v.id, versions)}{v.id === call.functionVersionId ? ', as it was' : ''}</option>)}
          </select>
        </label>
        <label class="inline" title="Find out where the time goes, by lines">
          <input type="checkbox" name="profile" checked={profile} onChange={(e) => setProfile(e.currentTarget.checked)} /><span>Profile</span>
        </label>
        {busy
          ? <button type="button" class="danger" onClick={() => running.current?.abort()}><Icon name="stop" /> Stop</button>
          : <button type="button" class="primary" onClick={() => void replay()}><Icon name="undo" /> Replay</button>}
      </header>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      {event.cut && <Notice>Only the beginning of this event is kept. Edit it to make the call again.</Notice>}
      {(event.redacted ?? []).length > 0 && <Notice>The values of <b><Foreign text={event.redacted!.join(', ')} /></b> are not kept; <code>[redacted]</code> is sent in their place, unless you edit them.</Notice>}
      {event.base64
        ? <div class="panel-body"><Shown text={event} label="Event" /></div>
        : <Editor class="fill" label={`Event of the call of ${fn.name || fn.id}`} language={call.kind === 'HTTP' || /^\s*[[{]/.test(first) ? 'json' : 'text'}
            value={text} onChange={setText} onRun={() => void replay()} />}
    </section>
  );
}

/** Again shows what a replay answered, and what is different. */
function Again({ before, after, versions, base }: { before: Call; after: Call; versions: Version[]; base: string }) {
  const changes = useMemo(() => difference(shownText(before.answer!), shownText(after.answer!)), [before, after]);
  const equal = changes?.every((c) => c.kind === 'same');
  const box = useRef<HTMLElement>(null);
  useEffect(() => box.current?.scrollIntoView({ block: 'nearest' }), [after]);
  return (
    <section class="panel again" aria-label="Replay" ref={box} aria-live="polite">
      <header class="panel-head wrap">
        <h2>Replay</h2>
        <Pill kind={statusKind(after.status)}>{after.status} {statusText(after.status)}</Pill>
        {before.status !== after.status && <span class="muted">was {before.status}</span>}
        {after.error && <span class="bad-text"><Foreign text={after.error} /></span>}
        <span class="muted">{millis(after.durationMS)} on <code>{versionName(after.functionVersionId, versions)}</code></span>
        <span class="grow" />
        <a href={`${base}/calls/${seg(after.id)}`}>Open this call</a>
      </header>
      <div class="panel-body">
        {equal && <p><b>The answer is the same</b>{(before.answer!.cut || after.answer!.cut) && ', as far as it is kept'}.</p>}
        {changes === null && <Notice>The answers differ, and are too long to show where.</Notice>}
        {changes && !equal && <Lines changes={changes} label="the answers" />}
        {after.profileTree && <Profile call={after} />}
      </div>
    </section>
  );
}

/** Profile shows where the time of a replay went. */
function Profile({ call }: { call: Call }) {
  const [file, setFile] = useState('');
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([fromBase64(call.profile ?? '')]));
    setFile(made);
    return () => URL.revokeObjectURL(made);
  }, [call]);
  return (
    <section class="profile" aria-label="Profile">
      <p class="profile-head"><b>Where the time went</b><span class="grow" /><a href={file} download={`${call.id}.pprof`}><Icon name="download" size={14} /> For pprof</a></p>
      <Flame lines={call.profileTree!} />
    </section>
  );
}

/** CallLog shows what a call wrote. */
function CallLog({ fn, call }: { fn: Fn; call: Call }) {
  const [entries, setEntries] = useState<LogEntry[] | null>(null);
  const [wrong, setWrong] = useState('');
  useEffect(() => {
    const stop = new AbortController();
    const query = new URLSearchParams({ requestId: call.requestId, versionId: call.functionVersionId, limit: '1000', since: call.receivedAt });
    ask<{ entries: LogEntry[] }>('GET', `/functions/${seg(fn.id)}:logs?${query}`, undefined, stop.signal).then(
      (found) => setEntries(found.entries),
      (err: unknown) => { if (!isAbort(err)) setWrong(messageOf(err)); },
    );
    return () => stop.abort();
  }, [call.id]);
  return (
    <section class="panel" aria-label="Log">
      <header class="panel-head"><h2>Log</h2></header>
      {wrong && <Notice kind="bad"><Foreign text={wrong} /></Notice>}
      <div class="log" tabIndex={0} role="log" aria-label="Log of the call">
        {entries === null && !wrong && <p class="empty">Loading…</p>}
        {entries?.length === 0 && <p class="empty">Its entries are no longer kept.</p>}
        {entries?.map((e) => {
          const system = /^(START|END|REPORT) RequestID: /.test(e.message);
          return (
            <div class={`log-line ${system ? 'system' : e.level.toLowerCase()}`}>
              <time>{clock(e.timestamp)}</time>
              <span class="log-level">{system || e.level === 'UNSPECIFIED' ? '' : e.level}</span>
              <span class="log-text"><Foreign text={e.message} /></span>
            </div>
          );
        })}
      </div>
    </section>
  );
}
