// <vivarium-run server="https://HOST">code</vivarium-run>: a snippet in any page
// that can be changed and run. It is one file without dependencies; the editor
// is a textarea over its own text in colour, since CodeMirror would be twenty
// times as large as everything else.
import { cut, hasHidden, millis, pieces } from '../text';
import { filesOf } from '../play/script';
import { serverEvents } from '../play/stream';
import { highlight } from './highlight';
import { styles } from './styles';

interface Entry {
  message: string;
  system: boolean;
}

interface Result {
  outcome: string;
  status: number;
  body: string;
  bodyEncoding: string;
  error?: { errorType: string; errorMessage: string; stackTrace?: string[]; file?: string; line?: number };
  figures: { durationMS: number };
}

/** Where this script came from; snippets without a server attribute run there. */
const origin = new URL((document.currentScript as HTMLScriptElement | null)?.src || location.href).origin;

/** How many characters of an output are shown, and of a line in it. */
const maxOutput = 64 << 10;

class VivariumRun extends HTMLElement {
  #stop: AbortController | null = null;
  #input = document.createElement('textarea');
  #colors = document.createElement('pre');
  #button = document.createElement('button');
  #state = document.createElement('span');
  #output = document.createElement('pre');
  #made = false;

  connectedCallback(): void {
    if (this.#made) return;
    this.#made = true;
    // The parser may not have read the code yet.
    if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', () => this.#make(), { once: true });
    else this.#make();
  }

  disconnectedCallback(): void {
    this.#stop?.abort();
  }

  #make(): void {
    const root = this.attachShadow({ mode: 'open' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    root.adoptedStyleSheets = [sheet];

    const box = document.createElement('section');
    box.setAttribute('aria-label', this.getAttribute('label') ?? 'Runnable Python');
    const editor = document.createElement('div');
    editor.className = 'editor';
    this.#colors.setAttribute('aria-hidden', 'true');
    this.#input.value = unindent(this.textContent ?? '');
    this.#input.spellcheck = false;
    this.#input.setAttribute('autocapitalize', 'off');
    this.#input.setAttribute('aria-label', 'Code');
    this.#input.addEventListener('input', () => this.#paint());
    this.#input.addEventListener('scroll', () => { this.#colors.scrollTop = this.#input.scrollTop; this.#colors.scrollLeft = this.#input.scrollLeft; });
    this.#input.addEventListener('keydown', (e) => {
      if (e.key !== 'Enter') return;
      if (e.ctrlKey || e.metaKey) {
        e.preventDefault();
        void this.#run();
        return;
      }
      // The next line is indented like this one, and further after a colon.
      const { selectionStart: at, value } = this.#input;
      const line = value.slice(value.lastIndexOf('\n', at - 1) + 1, at);
      const indent = /^ */.exec(line)![0] + (line.trimEnd().endsWith(':') ? '    ' : '');
      if (!indent) return;
      e.preventDefault();
      this.#input.setRangeText(`\n${indent}`, at, this.#input.selectionEnd, 'end');
      this.#paint();
    });
    editor.append(this.#colors, this.#input);

    const bar = document.createElement('div');
    bar.className = 'bar';
    this.#button.type = 'button';
    this.#button.textContent = 'Run';
    this.#button.title = 'Ctrl + Enter';
    this.#button.addEventListener('click', () => (this.#stop ? this.#stop.abort() : void this.#run()));
    this.#state.setAttribute('role', 'status');
    bar.append(this.#button, this.#state);

    this.#output.hidden = true;
    this.#output.tabIndex = 0;
    this.#output.setAttribute('aria-label', 'Output');
    box.append(editor, bar, this.#output);
    root.append(box);
    this.#paint();
  }

  /** paint colours the code, and makes the editor as high as the code. */
  #paint(mark = 0): void {
    const code = this.#input.value;
    const lines = code.split('\n').length;
    this.#input.rows = Math.min(Math.max(lines, 2), 24);
    this.#colors.textContent = '';
    let line = 1;
    for (const { text, kind } of highlight(code)) {
      for (const [i, part] of text.split('\n').entries()) {
        if (i > 0) { this.#colors.append('\n'); line++; }
        if (!part) continue;
        const span = document.createElement('span');
        span.className = `${kind} ${line === mark ? 'marked' : ''}`;
        span.textContent = part;
        this.#colors.append(span);
      }
    }
    this.#colors.append('\n');
  }

  async #run(): Promise<void> {
    if (this.#stop) return;
    const stop = (this.#stop = new AbortController());
    this.#output.hidden = false;
    this.#output.textContent = '';
    this.#output.className = '';
    this.#button.textContent = 'Stop';
    this.#state.textContent = 'running …';
    this.#paint();
    let shown = 0;
    let dropped = 0;
    const write = (text: string, kind = '') => {
      const [part, left] = cut(text, Math.max(0, maxOutput - shown));
      shown += part.length;
      dropped += left;
      if (part) this.#output.append(visible(part, kind));
    };
    try {
      const answer = await fetch(`${this.getAttribute('server')?.replace(/\/$/, '') || origin}/play/v1/run`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream' },
        body: JSON.stringify({ ...filesOf(this.#input.value), mode: 'http', request: { method: 'GET' } }),
        signal: stop.signal, credentials: 'omit',
      });
      if (!answer.ok || !answer.body) {
        const text = await answer.text();
        throw new Error((parse(text) as { errorMessage?: string } | null)?.errorMessage ?? `the server answered with status ${answer.status}`);
      }
      let ended = false;
      for await (const event of serverEvents(answer.body)) {
        if (event.name === 'log') {
          const entry = JSON.parse(event.data) as Entry;
          if (!entry.system) write(entry.message.replace(/\n?$/, '\n'));
        } else if (event.name === 'result') {
          ended = true;
          const result = JSON.parse(event.data) as Result;
          this.#state.textContent = `${result.outcome === 'ok' ? '' : 'failed, '}${millis(result.figures.durationMS)}`;
          if (result.error) {
            write(`${result.error.errorType}: ${result.error.errorMessage}\n`, 'bad');
            if (result.error.line && result.error.file === 'main.py') this.#paint(result.error.line);
          } else if (result.body) {
            write(result.bodyEncoding === 'utf8' ? result.body : `${result.body.length} characters of base64`, 'body');
          }
          break;
        } else if (event.name === 'fault') {
          throw new Error((JSON.parse(event.data) as { errorMessage: string }).errorMessage);
        }
      }
      if (!ended && !stop.signal.aborted) throw new Error('the response ended too early');
    } catch (err) {
      if (stop.signal.aborted) this.#state.textContent = 'stopped';
      else {
        this.#state.textContent = 'not run';
        write(err instanceof TypeError ? 'The server can’t be reached, or does not allow this page to use it.' : (err as Error).message, 'bad');
      }
    }
    if (dropped) this.#output.append(visible(`\n… ${dropped} more characters`, 'note'));
    if (!this.#output.textContent) this.#output.append(visible('(no output)', 'note'));
    this.#button.textContent = 'Run';
    this.#stop = null;
  }
}

/** visible returns an element that shows a text, hidden characters included. */
function visible(text: string, kind: string): HTMLElement {
  const span = document.createElement('span');
  span.className = kind;
  if (!hasHidden(text)) {
    span.textContent = text;
    return span;
  }
  for (const piece of pieces(text)) {
    if (!piece.name) {
      span.append(piece.text);
      continue;
    }
    const mark = document.createElement('i');
    mark.title = piece.name;
    mark.textContent = piece.text;
    span.append(mark);
  }
  return span;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** unindent removes the indentation that all lines of a text have in common. */
function unindent(text: string): string {
  const lines = text.replace(/^\s*\n/, '').trimEnd().split('\n');
  const indent = Math.min(...lines.filter((l) => l.trim()).map((l) => /^ */.exec(l)![0].length));
  return lines.map((l) => l.slice(Number.isFinite(indent) ? indent : 0)).join('\n');
}

if (!customElements.get('vivarium-run')) customElements.define('vivarium-run', VivariumRun);
