// JSON with indentation. Numbers stay as they were written, since parsing would
// round those that do not fit a double.

/** Token is a part of a JSON text; kind selects its colour. */
export interface Token {
  text: string;
  kind: 'key' | 'string' | 'number' | 'word' | 'punctuation' | 'space';
}

const token = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|(true|false|null)|([[\]{},])/g;

/** plain returns a JSON text with indentation, or the very text if it is not JSON. */
export function plain(text: string): string {
  return layOut(text)?.map((t) => t.text).join('') ?? text;
}

/** unfolded is plain for a text whose member body may be JSON, too, in a string: that is laid out as well. */
export function unfolded(text: string): string {
  const tokens = layOut(text);
  if (!tokens) return text;
  return tokens.map((t, i) => {
    if (t.kind !== 'string' || tokens[i - 2]?.text !== '"body"') return t.text;
    const inner = layOut(JSON.parse(t.text) as string);
    if (!inner || inner[0]?.kind !== 'punctuation') return t.text;
    return inner.map((n) => (n.kind === 'space' ? `${n.text}  ` : n.text)).join('');
  }).join('');
}

/** layOut returns the tokens of a JSON text with line breaks and indentation, or null if it is not JSON. */
export function layOut(text: string): Token[] | null {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const found: Token[] = [];
  let depth = 0;
  let last = '';
  const line = () => found.push({ text: `\n${'  '.repeat(Math.min(depth, 40))}`, kind: 'space' });
  for (const [, string, colon, number, word, mark] of text.matchAll(token)) {
    if (mark === ']' || mark === '}') {
      depth--;
      if (last !== '[' && last !== '{') line();
    } else if (last === '[' || last === '{' || last === ',') {
      line();
    }
    if (string !== undefined) {
      found.push({ text: string, kind: colon ? 'key' : 'string' });
      if (colon) found.push({ text: ': ', kind: 'punctuation' });
    } else if (number !== undefined) {
      found.push({ text: number, kind: 'number' });
    } else if (word !== undefined) {
      found.push({ text: word, kind: 'word' });
    } else if (mark !== undefined) {
      found.push({ text: mark, kind: 'punctuation' });
      if (mark === '[' || mark === '{') depth++;
    }
    last = mark ?? '';
  }
  return found;
}
