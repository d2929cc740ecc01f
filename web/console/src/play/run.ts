// One run of code on /play/v1, which does not keep it.
import { failureOf, Failure, reach } from '../api';
import { environmentOf } from '../functions/upload';
import type { ProfileLine } from '../ui/flame';
import { filesOf } from './script';
import { serverEvents } from './stream';

/** Limits bound what a run may use. */
export interface Limits {
  memoryMB: number;
  timeoutMS: number;
  bytes: number;
  /** What code may connect to if it asks for it; empty: nothing. */
  allowNet?: string;
}

/** Request is what a handler in HTTP mode is called with. */
export interface Request {
  method: string;
  query: string;
  headers: Record<string, string>;
  body: string;
}

/** Draft is all the input of a run. */
export interface Draft {
  /** The text of main.py. */
  code: string;
  /** The other files, by path. */
  files: Record<string, string>;
  /** Lines of NAME=value. */
  environment: string;
  mode: 'http' | 'raw';
  request: Request;
  /** The event of raw mode, as JSON text. */
  event: string;
  memoryMB: number;
  timeoutMS: number;
}

/** Entry is one entry of the log; system entries are the platform's. */
export interface Entry {
  time: string;
  level: string;
  message: string;
  system: boolean;
}

/** FunctionError describes why a call failed. */
export interface FunctionError {
  errorType: string;
  errorMessage: string;
  stackTrace?: string[];
  file?: string;
  line?: number;
  /** What can be done about it. */
  hint?: string;
}

/** RunFigures say where time and memory went. */
export interface RunFigures {
  durationMS: number;
  queueMS: number;
  startMS: number;
  initMS: number;
  handlerMS: number;
  cpuMS: number;
  peakMemory: number;
  memoryLimit: number;
  cold: boolean;
}

/** Result is the outcome of a run. */
export interface Result {
  requestId: string;
  outcome: 'ok' | 'error' | 'timeout';
  status: number;
  headers: Record<string, string[]>;
  body: string;
  bodyEncoding: 'utf8' | 'base64';
  truncated?: boolean;
  error?: FunctionError;
  logTruncated?: boolean;
  figures: RunFigures;
  profile?: ProfileLine[];
}

/** readLimits returns the limits of runs. A Failure with status 404 means that the server's playground is off. */
export async function readLimits(): Promise<Limits> {
  const answer = await reach('/play/v1/limits');
  if (!answer.ok) throw await failureOf(answer);
  return (await answer.json()) as Limits;
}

/** InvalidDraft says what in a draft can't be sent. */
export class InvalidDraft extends Error {}

/** Options are what a draft does not decide: it may be a stranger's. */
export interface Options {
  /** What the code may connect to. */
  allowNet: string;
  /** Find out where the time goes. */
  profile: boolean;
}

/** bodyOf returns the request that runs a draft. */
export function bodyOf(draft: Draft, { allowNet, profile }: Options): unknown {
  const variables = environmentOf(draft.environment);
  if (variables.wrong) throw new InvalidDraft(`The environment: ${variables.wrong}`);
  const common = {
    ...filesOf(draft.code, draft.files), environment: variables.environment, memoryMB: draft.memoryMB, timeoutMS: draft.timeoutMS, ...(allowNet ? { allowNet } : {}), ...(profile ? { profile } : {}),
  };
  if (draft.mode === 'http') {
    const { method, query, body } = draft.request;
    const headers = Object.fromEntries(Object.entries(draft.request.headers).filter(([name]) => name !== ''));
    return { ...common, mode: 'http', request: { method, query, headers, body: method === 'GET' || method === 'HEAD' ? '' : body } };
  }
  return { ...common, mode: 'raw', event: draft.event.trim() ? JSON.parse(draft.event) : '' };
}

/** check throws an InvalidDraft if the handler's input is not valid; invalid says what is wrong with the request. */
export function check(draft: Pick<Draft, 'mode' | 'event'>, invalid: string): void {
  if (draft.mode === 'http') {
    if (invalid) throw new InvalidDraft(`The request is not JSON: ${invalid}`);
    return;
  }
  try {
    if (draft.event.trim()) JSON.parse(draft.event);
  } catch (err) {
    throw new InvalidDraft(`The event is not JSON: ${(err as Error).message}`);
  }
}

/** run runs a draft and returns its outcome; onEntry gets the log as it is written. */
export async function run(draft: Draft, options: Options, invalid: string, onEntry: (e: Entry) => void, signal: AbortSignal): Promise<Result> {
  check(draft, invalid);
  const answer = await reach('/play/v1/run', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream' },
    body: JSON.stringify(bodyOf(draft, options)),
    signal,
  });
  if (!answer.ok || !answer.body) throw await failureOf(answer);
  for await (const event of serverEvents(answer.body)) {
    if (event.name === 'log') onEntry(JSON.parse(event.data) as Entry);
    if (event.name === 'result') return JSON.parse(event.data) as Result;
    if (event.name === 'fault') {
      const fault = JSON.parse(event.data) as { errorCode: number; errorMessage: string };
      throw new Failure(fault.errorCode, fault.errorMessage);
    }
  }
  throw new Failure(0, 'The response ended before the run did. Run it again.');
}
