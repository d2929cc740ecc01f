// A function's response: status, headers and body. Whatever the body is, it is
// shown as text or as a picture only, a page on request in a sandbox.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { layOut } from '../json';
import { bytes, count, cut, hex } from '../text';
import { Choice, Foreign, Notice, Pill } from './parts';
import { Icon } from './icons';
import { Preview } from './preview';
import { rowsOf, Table } from './table';

/** Answer is a function's response. */
export interface Answer {
  status: number;
  headers: Record<string, string[]>;
  body: Uint8Array<ArrayBuffer>;
  truncated?: boolean;
  error?: { errorType: string; errorMessage: string; stackTrace?: string[] | undefined; hint?: string } | undefined;
}

/** step is how many characters of a long text are shown at a time. */
const step = 64 << 10;
const maxPretty = 256 << 10;

/** header returns the first value of a header. */
function header(answer: Answer, name: string): string {
  for (const [key, values] of Object.entries(answer.headers)) if (key.toLowerCase() === name) return values[0] ?? '';
  return '';
}

/** statusText returns the meaning of a status in a word or two. */
export function statusText(status: number): string {
  return (
    {
      200: 'OK', 201: 'Created', 202: 'Accepted', 204: 'No Content', 301: 'Moved', 302: 'Found', 304: 'Not Modified',
      400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict',
      413: 'Too Large', 418: 'I’m a teapot', 422: 'Unprocessable', 429: 'Too Many Requests', 500: 'Internal Error',
      502: 'Function error', 503: 'Unavailable', 504: 'Timed out',
    }[status] ?? ''
  );
}

/** AnswerView shows a response. */
export function AnswerView({ answer }: { answer: Answer }) {
  const kind = answer.status < 300 ? 'good' : answer.status < 500 ? 'warn' : 'bad';
  const names = Object.entries(answer.headers).sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = names.reduce((n, [, values]) => n + values.length, 0);
  return (
    <div class="answer">
      <div class="answer-head">
        <Pill kind={kind}>{answer.status} {statusText(answer.status)}</Pill>
        <span class="muted"><Foreign text={header(answer, 'content-type')} /></span>
        <span class="muted">{bytes(answer.body.length)}</span>
      </div>
      {answer.error ? <Trace error={answer.error} /> : <Body answer={answer} />}
      <details class="headers">
        <summary>{lines} header{lines === 1 ? '' : 's'}</summary>
        <dl>
          {names.flatMap(([name, values]) => values.map((value) => (
            <div><dt><Foreign text={name} /></dt><dd><Foreign text={value} /></dd></div>
          )))}
        </dl>
      </details>
    </div>
  );
}

/** ofRunner matches frames of the runner, which calls the handler and is not the visitor's code. */
const ofRunner = /File "\/function\/(runtime\/|code\/run_script\.py")/;

/** Trace shows how a function failed. */
export function Trace({ error }: { error: NonNullable<Answer['error']> }) {
  const [message, left] = cut(error.errorMessage, 4000);
  const frames = (error.stackTrace ?? []).filter((frame) => !ofRunner.test(frame));
  return (
    <div class="trace">
      <p class="trace-title"><b><Foreign text={error.errorType} /></b>: <Foreign text={message} />{left > 0 && ` … ${count(left)} more characters`}</p>
      {error.hint && <Notice><Foreign text={error.hint} /></Notice>}
      {frames.length > 0 && <pre tabIndex={0} aria-label="Traceback">{<Foreign text={cut(frames.join(''), step)[0]} />}</pre>}
    </div>
  );
}

const pages = /^(text\/html|application\/xhtml\+xml)\b/i;
const pictures = /^image\/(png|jpeg|gif|webp|avif|svg\+xml|bmp|x-icon|vnd\.microsoft\.icon)\b/i;

function Body({ answer }: { answer: Answer }) {
  const type = header(answer, 'content-type');
  if (answer.body.length === 0) return <p class="empty">The body is empty.</p>;
  if (pictures.test(type) && !answer.truncated) return <Picture data={answer.body} type={type.split(';')[0]!.trim()} />;
  return <Text answer={answer} />;
}

function Picture({ data, type }: { data: Uint8Array<ArrayBuffer>; type: string }) {
  const [url, setURL] = useState('');
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    setBroken(false);
    const made = URL.createObjectURL(new Blob([data], { type }));
    setURL(made);
    return () => URL.revokeObjectURL(made);
  }, [data, type]);
  if (broken) return <Binary data={data} />;
  return <div class="picture">{url && <img src={url} alt="The answer’s body, an image" onError={() => setBroken(true)} />}</div>;
}

function Text({ answer }: { answer: Answer }) {
  const text = useMemo(() => {
    try {
      // A cut may have gone through a character.
      return new TextDecoder('utf-8', { fatal: true }).decode(answer.body, { stream: answer.truncated ?? false });
    } catch {
      return null;
    }
  }, [answer]);
  const tokens = useMemo(() => {
    if (text === null || text.length > maxPretty || !/^\s*[[{"]/.test(text)) return null;
    return layOut(text);
  }, [text]);
  const rows = useMemo(() => (text === null || answer.truncated || text.length > maxPretty ? null : rowsOf(text, header(answer, 'content-type'))), [answer, text]);
  const [as, setAs] = useState<'pretty' | 'table' | 'plain' | 'page'>('pretty');
  const [size, setSize] = useState(step);
  useEffect(() => setSize(step), [answer]);
  if (text === null) return <Binary data={answer.body} />;
  const ways = [...(tokens ? [['pretty', 'Pretty'] as const] : []), ...(rows ? [['table', 'Table'] as const] : []), ['plain', 'As sent'] as const,
    ...(pages.test(header(answer, 'content-type')) ? [['page', 'Preview'] as const] : [])];
  const way = ways.some(([w]) => w === as) ? as : ways[0]![0];
  const pretty = tokens && way === 'pretty';
  const [shown, left] = cut(text, size);
  return (
    <div class="body">
      {ways.length > 1 && <Choice label="Show the body" value={way} options={ways} onChange={setAs} />}
      {way === 'page' ? <Preview html={text} /> : rows && way === 'table' ? <Table rows={rows} /> : <pre tabIndex={0} aria-label="Body">
        {pretty
          ? tokens.slice(0, 20_000).map((token) => (token.kind === 'space' ? token.text : <span class={`json-${token.kind}`}><Foreign text={token.text} /></span>))
          : <Foreign text={shown} />}
      </pre>}
      {pretty && tokens.length > 20_000 && <p class="left-out">The rest is too long to format; see it as sent.</p>}
      {way === 'plain' && left > 0 && (
        <p class="left-out">{count(left)} more characters <button type="button" class="small" onClick={() => setSize(size + 4 * step)}>Show more</button></p>
      )}
      {answer.truncated && <p class="left-out">The response was longer; only this part was sent to the page.</p>}
    </div>
  );
}

function Binary({ data }: { data: Uint8Array<ArrayBuffer> }) {
  const [url, setURL] = useState('');
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([data]));
    setURL(made);
    return () => URL.revokeObjectURL(made);
  }, [data]);
  return (
    <div class="body">
      <pre tabIndex={0} aria-label="Body, in hexadecimal">{hex(data.subarray(0, 2048))}</pre>
      <p class="left-out">
        {data.length > 2048 && `The first 2,048 of ${count(data.length)} bytes. `}
        <a href={url} download="body.bin"><Icon name="download" size={14} /> Save {bytes(data.length)}</a>
      </p>
    </div>
  );
}
