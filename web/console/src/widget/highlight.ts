// Colours for Python, good enough for a snippet.

/** Token is a part of a text; kind is '' if it has no colour. */
export interface Token {
  text: string;
  kind: 'keyword' | 'string' | 'number' | 'comment' | 'name' | '';
}

const keywords =
  'and|as|assert|async|await|break|case|class|continue|def|del|elif|else|except|False|finally|for|from|global|if|import|in|is|lambda|match|None|nonlocal|not|or|pass|raise|return|True|try|while|with|yield';

const token = new RegExp(
  [
    '(#[^\\n]*)',
    '([rbfuRBFU]{0,2}(?:"""(?:[^\\\\]|\\\\[^])*?(?:"""|$)|\'\'\'(?:[^\\\\]|\\\\[^])*?(?:\'\'\'|$)|"(?:[^"\\\\\\n]|\\\\.)*"?|\'(?:[^\'\\\\\\n]|\\\\.)*\'?))',
    `\\b(${keywords})\\b`,
    '\\b(\\d[\\w.]*)',
    '\\b([A-Za-z_]\\w*)(?=\\()',
    '[A-Za-z_]\\w*',
  ].join('|'),
  'g',
);

const kinds = ['comment', 'string', 'keyword', 'number', 'name'] as const;

/** highlight splits code into parts with and without a colour. */
export function highlight(code: string): Token[] {
  const found: Token[] = [];
  let from = 0;
  for (const match of code.matchAll(token)) {
    const at = match.slice(1).findIndex((group) => group !== undefined);
    if (at < 0) continue;
    if (match.index > from) found.push({ text: code.slice(from, match.index), kind: '' });
    found.push({ text: match[0], kind: kinds[at]! });
    from = match.index + match[0].length;
  }
  if (from < code.length) found.push({ text: code.slice(from), kind: '' });
  return found;
}
