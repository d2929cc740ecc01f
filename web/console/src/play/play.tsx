// The playground: write code, run it, and see its result, log and figures.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Failure, isAbort, messageOf } from '../api';
import { bytes, fromBase64, millis } from '../text';
import { AnswerView, type Answer } from '../ui/answer';
import { Bar } from '../ui/chart';
import type { Mark } from '../ui/editor';
import { Flame } from '../ui/flame';
import { Icon } from '../ui/icons';
import { Lines, Log } from '../ui/log';
import { Choice, Foreign, Notice, Pill, tell } from '../ui/parts';
import { Splitter, tracks, useShare } from '../ui/splitter';
import { DeployDraft } from './deploy';
import { draftOf, examples } from './examples';
import { Files, mainFile } from './files';
import { EventEditor } from './request';
import { InvalidDraft, readLimits, run, type Draft, type Limits, type Options, type Result, type RunFigures } from './run';
import { pack, unpack } from './share';

const draftKey = 'vivarium.draft';
const first = draftOf(examples[0]!);

/** firstDraft returns the link's draft, or the visitor's last one, or an example. */
function firstDraft(shared: string): { draft: Draft; from: 'link' | 'before' | 'example'; wrong?: string } {
  if (shared) {
    try {
      return { draft: unpack(shared), from: 'link' };
    } catch {
      return { draft: first, from: 'example', wrong: 'The link is not whole: its code can’t be read. Ask for it again.' };
    }
  }
  try {
    const kept = sessionStorage.getItem(draftKey);
    if (kept) return { draft: unpack(kept), from: 'before' };
  } catch {
    // not a draft of this page
  }
  return { draft: first, from: 'example' };
}

type State =
  | { kind: 'idle' }
  | { kind: 'running' }
  | { kind: 'stopped' }
  | { kind: 'done'; result: Result; answer: Answer }
  | { kind: 'fault'; message: string; retry: number };

/** Play is the playground. */
export function Play({ shared }: { shared: string }) {
  const begin = useMemo(() => firstDraft(shared), [shared]);
  const [draft, setDraft] = useState(begin.draft);
  const [limits, setLimits] = useState<Limits | null>(null);
  const [network, setNetwork] = useState(false); // not in the draft: a link must not decide this
  const [off, setOff] = useState('');
  const [state, setState] = useState<State>({ kind: 'idle' });
  const [mark, setMark] = useState<(Mark & { file: string }) | null>(null);
  const [file, setFile] = useState(mainFile);
  const [whose, setWhose] = useState<'code' | 'all'>('code');
  const [spoken, setSpoken] = useState('');
  const [deploying, setDeploying] = useState(false);
  const [lines] = useState(() => new Lines());
  const columns = useShare('columns', 52);
  const rows = useShare('rows', 62);
  const running = useRef<AbortController | null>(null);
  const results = useRef<HTMLDivElement>(null);
  const latest = useRef(draft);
  latest.current = draft;
  const reachable = network ? (limits?.allowNet ?? '') : '';
  const [profile, setProfile] = useState(false);
  const options = useRef<Options>({ allowNet: '', profile: false });
  options.current = { allowNet: reachable, profile };
  const invalid = useRef('');

  useEffect(() => setDraft(begin.draft), [begin]);
  useEffect(() => {
    readLimits().then(setLimits, (err: unknown) => setOff(err instanceof Failure && err.status === 404
      ? 'This server does not run visitors’ code. Its operator can turn the playground on: vivarium serve --playground'
      : messageOf(err)));
    return () => running.current?.abort();
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => {
      try {
        sessionStorage.setItem(draftKey, pack(draft));
      } catch {
        // storage may be forbidden: the draft stays in memory
      }
    }, 300);
    return () => clearTimeout(timer);
  }, [draft]);

  const change = (part: Partial<Draft>) => {
    if (part.code !== undefined || part.files) setMark(null); // it is about the code as it was
    setDraft((d) => ({ ...d, ...part }));
  };

  const start = async () => {
    if (running.current) return;
    const stop = (running.current = new AbortController());
    lines.clear();
    setMark(null);
    setState({ kind: 'running' });
    setSpoken('Running');
    try {
      const result = await run(latest.current, options.current, invalid.current, (e) => lines.add(e), stop.signal);
      // The result and the marked line say it already.
      if (result.error?.stackTrace?.length) lines.hide((line) => line.message.startsWith('Traceback (most recent call last):') && line.message.includes(result.error!.errorType));
      lines.flush();
      setState({ kind: 'done', result, answer: answerOf(result) });
      const e = result.error;
      const where = e?.file ?? '';
      if (e?.line && (where === mainFile || latest.current.files[where] !== undefined)) {
        setFile(where);
        setMark({ file: where, line: e.line, text: `${e.errorType}: ${e.errorMessage.slice(0, 400)}` });
      }
      setSpoken(e ? `Failed after ${millis(result.figures.durationMS)}: ${e.errorType}: ${e.errorMessage.slice(0, 200)}`
        : `Answered ${result.status} in ${millis(result.figures.durationMS)}`);
    } catch (err) {
      if (isAbort(err)) {
        setState({ kind: 'stopped' });
        setSpoken('Stopped');
      } else {
        const failure = err instanceof Failure ? err : null;
        const message = failure || err instanceof InvalidDraft ? messageOf(err) : `The page failed: ${messageOf(err)}`;
        setState({ kind: 'fault', message, retry: failure?.retryAfter ?? 0 });
        setSpoken(message);
      }
    } finally {
      running.current = null;
      if (matchMedia('(max-width: 900px)').matches) results.current?.scrollIntoView({ block: 'start' });
    }
  };
  const stop = () => running.current?.abort();

  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      if (e.key === 'Enter' && (e.ctrlKey || e.metaKey) && !e.defaultPrevented) {
        e.preventDefault();
        void start();
      }
    };
    document.addEventListener('keydown', key);
    return () => document.removeEventListener('keydown', key);
  }, []);

  const share = async () => {
    const link = `${location.origin}${location.pathname}#/play?s=${pack(latest.current)}`;
    history.replaceState(null, '', link);
    try {
      await navigator.clipboard.writeText(link);
      tell('The link is in your clipboard. The code is in the link; nothing is kept on the server.');
    } catch {
      tell('The link is in the address bar. The code is in it; nothing is kept on the server.');
    }
  };

  const choose = (id: string) => {
    const found = examples.find((e) => e.id === id);
    if (!found) return;
    setDraft(draftOf(found));
    setFile(mainFile);
    setMark(null);
    setState({ kind: 'idle' });
    lines.clear();
    if (location.hash !== '#/play') history.replaceState(null, '', '#/play');
  };

  const example = examples.find((e) => e.draft.code === draft.code)?.id ?? '';
  const busy = state.kind === 'running';
  return (
    <div class="play">
      <h1 class="visually-hidden" tabIndex={-1}>Playground</h1>
      <div class="toolbar" role="group" aria-label="Run">
        <label class="inline"><span>Example</span>
          <select value={example} onChange={(e) => choose(e.currentTarget.value)}>
            {example === '' && <option value="">Your own</option>}
            {examples.map((e) => <option value={e.id}>{e.title}</option>)}
          </select>
        </label>
        <label class="inline"><span>Memory</span>
          <select value={String(draft.memoryMB)} onChange={(e) => change({ memoryMB: Number(e.currentTarget.value) })}>
            {memories(limits?.memoryMB ?? 256, draft.memoryMB).map((mb) => <option value={String(mb)}>{mb} MB</option>)}
          </select>
        </label>
        <label class="inline"><span>Timeout</span>
          <select value={String(draft.timeoutMS)} onChange={(e) => change({ timeoutMS: Number(e.currentTarget.value) })}>
            {timeouts(limits?.timeoutMS ?? 10_000, draft.timeoutMS).map((ms) => <option value={String(ms)}>{ms / 1000} s</option>)}
          </select>
        </label>
        <label class="inline" title="Find out where the time goes, by lines">
          <input type="checkbox" name="profile" checked={profile} onChange={(e) => setProfile(e.currentTarget.checked)} /><span>Profile</span>
        </label>
        {limits?.allowNet && (
          <label class="inline" title={`The code may connect to: ${limits.allowNet}`}>
            <input type="checkbox" name="network" checked={network} onChange={(e) => setNetwork(e.currentTarget.checked)} /><span>Network</span>
          </label>
        )}
        <span class="grow" />
        <button type="button" onClick={() => setDeploying(true)}><Icon name="upload" /> Deploy</button>
        <button type="button" onClick={() => void share()}><Icon name="share" /> Share</button>
        {busy
          ? <button type="button" class="danger run" onClick={stop}><Icon name="stop" /> Stop</button>
          : <button type="button" class="primary run" onClick={() => void start()} disabled={off !== ''} title="Ctrl + Enter"><Icon name="play" /> Run <kbd>{keyName}</kbd></button>}
      </div>
      {off && <Notice kind="warn">{off}</Notice>}
      {begin.wrong && <Notice kind="bad">{begin.wrong}</Notice>}
      {begin.from === 'link' && state.kind === 'idle' && <Notice>This code came with a link. Press Run to run it in a sandbox of its own.</Notice>}
      <div class="visually-hidden" role="status" aria-live="polite">{spoken}</div>
      <div class="bench" style={{ '--columns': tracks(columns), '--rows': tracks(rows) }}>
        <Files draft={draft} at={file} onAt={setFile} onChange={change} onRun={() => void start()} mark={mark?.file === file ? mark : null} />
        <Splitter label="Height of the code" share={rows} />
        <EventEditor draft={draft} onChange={change} onInvalid={(why) => { invalid.current = why; }} onRun={() => void start()} />
        <Splitter label="Width of the code" share={columns} upright />
        <div class="panel outcome" ref={results}>
          <section class="result" aria-label="Response" aria-busy={busy}>
          <header class="panel-head">
            <h2>Response</h2><span class="grow" />
            {state.kind === 'done' && <span class="muted"><b>{millis(state.result.figures.durationMS)}</b></span>}
            {state.kind === 'done' && (state.result.figures.cold ? <Pill>cold start</Pill> : <Pill kind="good">warm</Pill>)}
          </header>
          <div class="panel-body">
            {state.kind === 'idle' && <Welcome reachable={reachable} />}
            {busy && <div class="progress" aria-hidden="true"><i /></div>}
            {state.kind === 'stopped' && <p class="empty">Stopped. Nothing of it is still running.</p>}
            {state.kind === 'fault' && (
              <Notice kind="bad"><Foreign text={state.message} />{state.retry > 0 && ` Try again in ${state.retry} s.`}</Notice>
            )}
            {state.kind === 'done' && <AnswerView answer={state.answer} />}
            {state.kind === 'done' && state.result.profile && <section aria-label="Profile"><Flame lines={state.result.profile} /></section>}
          </div>
          {state.kind === 'done' && <RunView figures={state.result.figures} />}
        </section>
        <section class="output" aria-label="Log">
          <header class="panel-head">
            <h2>Log</h2><span class="grow" />
            {state.kind === 'done' && state.result.logTruncated && <Pill kind="warn">cut off</Pill>}
            {busy && <Pill>live</Pill>}
            <Choice label="Lines" value={whose} options={[['code', 'The code’s'], ['all', 'All']]} onChange={setWhose} />
          </header>
          <Log lines={lines} label="Log of the run" quiet={whose === 'code'}
            empty={state.kind === 'done' ? 'The code printed nothing.' : 'The code’s output appears here as it is written.'} />
        </section>
        </div>
      </div>
      {deploying && <DeployDraft draft={draft} allowNet={reachable} onClose={() => setDeploying(false)} />}
    </div>
  );
}

const keyName = /Mac|iP(hone|ad)/.test(navigator.platform) ? '⌘ ↵' : 'Ctrl ↵';

function Welcome({ reachable }: { reachable: string }) {
  return (
    <div class="welcome">
      <img src="logo.svg" alt="" width="56" height="56" />
      <p><b>Press Run.</b> The response appears here.</p>
      <p class="muted">Each run gets its own Python in a sandbox, with {reachable ? <>connections only to {reachable}</> : 'no network'} and no access to this machine’s files, and leaves nothing behind.</p>
    </div>
  );
}

/** RunView shows where the time and the memory of a run went. */
function RunView({ figures: f }: { figures: RunFigures }) {
  const named = f.queueMS + f.startMS + f.initMS + f.handlerMS;
  const peak = f.memoryLimit ? f.peakMemory / f.memoryLimit : 0;
  return (
    <div class="figures">
      <Bar label="Duration" total={Math.max(f.durationMS, named)} format={millis} parts={[
        { name: 'queue', value: f.queueMS, kind: 'queue' },
        { name: 'start', value: f.startMS, kind: 'start' },
        { name: 'init', value: f.initMS, kind: 'init' },
        { name: 'handler', value: f.handlerMS, kind: 'handler' },
      ]} />
      <div class="bar">
        <svg viewBox="0 0 400 10" height="10" preserveAspectRatio="none" role="img" aria-label={`Memory: at most ${bytes(f.peakMemory)} of ${bytes(f.memoryLimit)}`}>
          <rect class="bar-rest" width="400" height="10" />
          <rect class={peak > 0.9 ? 'part-full' : 'part-memory'} width={Math.max(2, Math.min(1, peak) * 400)} height="10" />
        </svg>
        <div class="bar-legend">
          <span class={`key ${peak > 0.9 ? 'part-full' : 'part-memory'}`}>memory <b>{bytes(f.peakMemory)}</b> of {bytes(f.memoryLimit)}</span>
          <span class="figure">processor <b>{millis(f.cpuMS)}</b></span>
        </div>
      </div>
    </div>
  );
}

function answerOf(result: Result): Answer {
  const body = result.bodyEncoding === 'base64' ? fromBase64(result.body) : new TextEncoder().encode(result.body);
  return { status: result.status, headers: result.headers, body, truncated: result.truncated ?? false, error: result.error };
}

/** memories returns the sizes to choose from, including the current one. */
function memories(most: number, chosen: number): number[] {
  const sizes = [];
  for (let mb = 128; mb <= most; mb *= 2) sizes.push(mb);
  return sizes.includes(chosen) ? sizes : [...sizes, chosen].sort((a, b) => a - b);
}

function timeouts(most: number, chosen: number): number[] {
  const times = [1000, 3000, 5000, 10_000, 30_000, 60_000].filter((ms) => ms <= most);
  return times.includes(chosen) ? times : [...times, chosen].sort((a, b) => a - b);
}
