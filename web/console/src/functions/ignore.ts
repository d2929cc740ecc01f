// Which files of a folder are not deployed: the rules of the command line
// (web/cli/ignore.go and secrets.go), with the same results.

/** ignoreFile lists further files of a folder that are not part of the function. */
export const ignoreFile = '.vivariumignore';

const secretFiles = ['.env', '.netrc', '.pypirc', '.pgpass', '.git-credentials', 'id_rsa', 'id_ecdsa', 'id_ed25519'];
const patterns = /\.(example|sample|template)$/;
const maxKeyFile = 64 << 10;

const base = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/** isHidden reports whether a file or folder is not the function's, by its name. */
export function isHidden(path: string, dir: boolean): boolean {
  const name = base(path);
  return path === 'vivarium.yaml' || name.startsWith('.') || (dir && (name === '__pycache__' || name === 'node_modules'));
}

/** isSecret reports whether a file should not be deployed because code can be downloaded. */
export async function isSecret(path: string, file: Blob): Promise<boolean> {
  const name = base(path).toLowerCase();
  if (secretFiles.includes(name) || /\.(p12|pfx)$/.test(name)) return true;
  if (name.startsWith('.env.')) return !patterns.test(name);
  return /\.(pem|key)$/.test(name) && (await file.slice(0, maxKeyFile).text()).includes('PRIVATE KEY-----');
}

/** Part matches one piece of a name. */
type Part = { kind: 'any' } | { kind: 'one' } | { kind: 'sign'; sign: string } | { kind: 'set'; not: boolean; ranges: [string, string][] };

interface Rule {
  /** They match a name and the folders above it; null matches any number of folders. */
  parts: (Part[] | null)[];
  tied: boolean;
  bringIn: boolean;
  dirsOnly: boolean;
}

/** Verdict reports whether a path is excluded or included; undefined if no rule applies. */
export type Verdict = (path: string, dir: boolean) => boolean | undefined;

/** parseIgnore reads rules in the format of a .gitignore. */
export function parseIgnore(text: string): Verdict {
  const rules: Rule[] = [];
  for (let line of text.replace(/^\ufeff/, '').split('\n')) {
    line = line.replace(/\r+$/, '');
    const trimmed = line.replace(/[ \t]+$/, '');
    if (!trimmed.endsWith('\\')) line = trimmed;
    if (line === '' || line.startsWith('#')) continue;
    const bringIn = line.startsWith('!');
    if (bringIn) line = line.slice(1);
    const dirsOnly = line.endsWith('/');
    if (dirsOnly) line = line.slice(0, -1);
    if (line === '') continue;
    const tied = line.includes('/');
    const names = line.replace(/^\//, '').split('/');
    const parts = names.flatMap((name, i): (Part[] | null)[] => {
      if (name !== '**' || names.length === 1) return [glob(name)];
      return i === names.length - 1 ? [[{ kind: 'any' }], null] : [null]; // not the folder itself
    });
    rules.push({ parts, tied, bringIn, dirsOnly });
  }
  return (path, dir) => {
    const names = path.split('/').map((name) => [...name]);
    let verdict: boolean | undefined;
    for (const rule of rules) {
      if (rule.dirsOnly && !dir) continue;
      if (matches(rule.parts, rule.tied ? names : names.slice(-1), (part) => part === null, (part, name) => matchesName(part!, name))) verdict = !rule.bringIn;
    }
    return verdict;
  };
}

function glob(pattern: string): Part[] {
  const signs = [...pattern];
  const wrong = (why: string) => new Error(`${ignoreFile}: “${pattern.slice(0, 80)}” is not a pattern: ${why}`);
  const parts: Part[] = [];
  for (let i = 0; i < signs.length; i++) {
    const sign = signs[i]!;
    if (sign === '*') {
      if (parts.at(-1)?.kind !== 'any') parts.push({ kind: 'any' });
    } else if (sign === '?') {
      parts.push({ kind: 'one' });
    } else if (sign === '[') {
      const not = signs[i + 1] === '!' || signs[i + 1] === '^';
      if (not) i++;
      const ranges: [string, string][] = [];
      for (const first = ++i; ; i++) {
        if (i >= signs.length) throw wrong('a [ without its ]');
        if (signs[i] === ']' && i > first) break; // a ] in the first place is a member
        if (signs[i] === '\\' && i + 1 < signs.length) i++;
        const low = signs[i]!;
        let high = low;
        if (signs[i + 1] === '-' && i + 2 < signs.length && signs[i + 2] !== ']') {
          i += 2;
          if (signs[i] === '\\' && i + 1 < signs.length) i++;
          high = signs[i]!;
        }
        ranges.push([low, high]);
      }
      parts.push({ kind: 'set', not, ranges });
    } else if (sign === '\\') {
      if (++i === signs.length) throw wrong('a \\ at the end');
      parts.push({ kind: 'sign', sign: signs[i]! });
    } else {
      parts.push({ kind: 'sign', sign });
    }
  }
  return parts;
}

/** matches matches parts with items. Of the parts that match any number, only the last is tried again: the earlier ones can stay as short as they are. */
function matches<P, I>(parts: P[], items: I[], isAny: (part: P) => boolean, takes: (part: P, item: I) => boolean): boolean {
  let p = 0;
  let back = -1;
  let from = 0;
  for (let n = 0; n < items.length; ) {
    const part = parts[p];
    if (part !== undefined && isAny(part)) {
      back = p++;
      from = n;
    } else if (part !== undefined && takes(part, items[n]!)) {
      p++;
      n++;
    } else if (back >= 0) {
      n = ++from;
      p = back + 1;
    } else {
      return false;
    }
  }
  while (p < parts.length && isAny(parts[p]!)) p++;
  return p === parts.length;
}

function matchesName(parts: Part[], name: string[]): boolean {
  return matches(parts, name, (part) => part.kind === 'any', (part, sign) => {
    if (part.kind === 'set') return part.ranges.some(([low, high]) => low <= sign && sign <= high) !== part.not;
    return part.kind === 'one' || (part.kind === 'sign' && part.sign === sign);
  });
}
