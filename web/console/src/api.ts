// The server's APIs: /functions/v1, which manages functions, and /play/v1, which
// runs code without keeping it.

import type { ProfileLine } from './ui/flame';

/** Failure is an error response. */
export class Failure extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** What is wrong with the request, by field. */
    readonly fields: Record<string, string> = {},
    readonly retryAfter = 0,
    /** Why the deployed code does not load. */
    readonly broken: { message: string; trace: string[] } | null = null,
  ) {
    super(message);
  }
}

export interface Who {
  open: boolean;
  tenant: string;
  role: string;
}

export interface Fn {
  id: string;
  folderId: string;
  createdAt: string;
  name: string;
  description: string;
  httpInvokeUrl: string;
  calls?: { off?: boolean; redact?: string[] };
  status: string;
}

export interface Version {
  id: string;
  functionId: string;
  description: string;
  createdAt: string;
  runtime: string;
  entrypoint: string;
  resources: { memory: string };
  executionTimeout: string;
  serviceAccountId?: string;
  imageSize: string;
  status: string;
  tags: string[] | null;
  environment: Record<string, string>;
  logOptions?: { minLevel?: string };
  asyncInvocationConfig?: unknown;
  noFreeze?: boolean;
  allowNet?: string;
  allowBroken?: boolean;
  metadataOptions?: unknown;
  secrets?: { id: string; versionId: string; key: string; environmentVariable: string }[];
  tmpfsSize?: string;
  mounts?: unknown[];
}

export interface TagEvent {
  functionVersionId: string;
  tag: string;
  effectiveFrom: string;
  effectiveTo: string | null;
}

export interface LogEntry {
  timestamp: string;
  versionId: string;
  requestId?: string;
  level: string;
  message: string;
  jsonPayload?: unknown;
}

export interface Point {
  time: string;
  calls: number;
  errors: number;
  p50MS?: number;
  p99MS?: number;
  idle?: number;
  busy?: number;
  memory?: number | string;
}

/** Incomplete says that figures of some nodes of a cluster are missing. */
export interface Incomplete {
  silentNodes?: number;
  /** Their addresses, for those who may list the nodes. */
  silent?: string[];
}

export interface Figures extends Incomplete {
  functionId: string;
  calls: number;
  errors: number;
  p50MS: number;
  p99MS: number;
  idle: number;
  busy: number;
  memory: number | string;
  points: Point[];
}

/** Call is a call in the history. One of a list has no texts. */
export interface Call {
  id: string;
  functionVersionId: string;
  requestId: string;
  kind: 'HTTP' | 'RAW' | 'ASYNC' | 'TIMER';
  replayOf?: string;
  receivedAt: string;
  status: number;
  error?: string;
  cold: boolean;
  durationMS: number;
  cpuMS: number;
  memory: string;
  phases: { queuingMS: number; makingMS: number; loadingMS: number; handlerMS: number };
  connections?: { target: string; name?: string; bytes: string }[];
  refused?: string[];
  event?: CallText;
  answer?: CallText;
  /** Of a replay that asked for it: for pprof, in base64, and as lines. */
  profile?: string;
  profileTree?: ProfileLine[];
}

/** CallText is an event or an answer, as far as it is kept. */
export interface CallText {
  text: string;
  base64?: boolean;
  bytes: number;
  cut?: boolean;
  redacted?: string[];
}

export interface Operation {
  id: string;
  done: boolean;
  metadata: { functionId?: string; functionVersionId?: string };
  response?: { id?: string };
  error?: { message: string };
}

/** Timer calls a function at set times. */
export interface Timer {
  id: string;
  name: string;
  functionId: string;
  tag: string;
  cronExpression: string;
  timeZone: string;
  payload: string;
  lastTick: string | null;
  nextTick: string | null;
  paused?: boolean;
}

/** DeadLetter is an asynchronous call that failed for good. */
export interface DeadLetter {
  id: string;
  functionId: string;
  requestId: string;
  attempts: string;
  error: string;
  failedAt: string;
  /** In base64. */
  body: string;
}

/** ClusterNode is a server of a cluster. */
export interface ClusterNode {
  address: string;
  version: string;
  startedAt: string;
  draining: boolean;
  capacity: number;
  load: number;
  calls: number;
  instances: number;
  memory: string;
}

export interface Key {
  id: string;
  tenant: string;
  role: string;
  description: string;
  createdAt: string;
}

/** Tenant has a tenant's quotas and use. */
export interface Tenant {
  folderId: string;
  quotas: Quota[];
  /** The most that its functions may reach; *: whatever the server allows. */
  allowNet: string;
}

/** Quota is a tenant's limit and use of one thing. A limit of -1 means none. */
export interface Quota {
  name: string;
  limit: string;
  use: string;
  exceeded: string;
}

const keyName = 'vivarium.key';

/** apiKey returns the secret that requests are made with, or an empty string. */
export function apiKey(): string {
  try {
    return sessionStorage.getItem(keyName) ?? '';
  } catch {
    return '';
  }
}

/** setAPIKey keeps a secret until the tab is closed. */
export function setAPIKey(secret: string): void {
  if (secret) sessionStorage.setItem(keyName, secret);
  else sessionStorage.removeItem(keyName);
}

/** authorization returns the header that authenticates requests. */
export function authorization(): Record<string, string> {
  const key = apiKey();
  return key ? { Authorization: `Api-Key ${key}` } : {};
}

/** onDenied is called when the server requires a key, or another one. */
let onDenied = () => {};

/** whenDenied sets what to do when the server requires a key. */
export function whenDenied(action: () => void): void {
  onDenied = action;
}

/** failureOf returns the error in a response. */
export async function failureOf(answer: Response): Promise<Failure> {
  if (answer.status === 401) onDenied();
  return readFailure(answer.status, await answer.text(), Number(answer.headers.get('Retry-After')) || 0);
}

/** readFailure reads an error document, of the management API or of the platform. */
export function readFailure(status: number, text: string, retryAfter = 0): Failure {
  let message = `the server answered with status ${status}`;
  const fields: Record<string, string> = {};
  let broken: Failure['broken'] = null;
  try {
    const body = JSON.parse(text) as {
      message?: string;
      errorMessage?: string;
      details?: { fieldViolations?: { field: string; description: string }[]; detail?: string; stackEntries?: string[] }[];
    };
    message = body.message || body.errorMessage || message;
    for (const detail of body.details ?? []) {
      for (const { field, description } of detail.fieldViolations ?? []) fields[field] = description;
      if (detail.detail) broken = { message: detail.detail, trace: detail.stackEntries ?? [] };
    }
  } catch {
    // the response is not from Vivarium, but from a proxy before it
  }
  return new Failure(status, message, fields, retryAfter, broken);
}

/** revision is what a server has answered that it knows: where several share a store, the next one to answer waits for that. */
let revision = '';

/** reach is fetch with the key, and with errors that say what to do. */
export async function reach(path: string, init: RequestInit = {}): Promise<Response> {
  try {
    const answer = await fetch(path, {
      ...init,
      headers: {
        ...authorization(),
        ...(revision && { 'Vivarium-Revision': revision }),
        ...(init.headers as Record<string, string>),
      },
      cache: 'no-store',
    });
    revision = answer.headers.get('Vivarium-Revision') ?? revision;
    return answer;
  } catch (err) {
    if (err instanceof DOMException && err.name === 'AbortError') throw err;
    throw new Failure(0, 'The server can’t be reached. Is it running?');
  }
}

/** ask makes a request to the management API and returns the response's body. */
export async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const answer = await reach(`/functions/v1${path}`, {
    method,
    signal: signal ?? null,
    ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw await failureOf(answer);
  return (await answer.json()) as T;
}

/** all returns the items of all pages of a list; each is given to also. */
export async function all<T>(path: string, member: string, signal?: AbortSignal, also?: (page: Record<string, unknown>) => void): Promise<T[]> {
  const items: T[] = [];
  let token = '';
  do {
    const page = await ask<Record<string, unknown>>(
      'GET',
      `${path}${path.includes('?') ? '&' : '?'}pageSize=1000${token && `&pageToken=${encodeURIComponent(token)}`}`,
      undefined,
      signal,
    );
    items.push(...((page[member] as T[] | undefined) ?? []));
    also?.(page);
    token = (page['nextPageToken'] as string | undefined) ?? '';
  } while (token);
  return items;
}

/** seg escapes an id for a path. */
export const seg = encodeURIComponent;

/** messageOf returns an error's message. */
export function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err);
}

/** isAbort reports whether an error means that the request was cancelled here. */
export function isAbort(err: unknown): boolean {
  return err instanceof DOMException && err.name === 'AbortError';
}
