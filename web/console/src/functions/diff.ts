// What is different between two texts, by lines.

/** Change is a line of one text or of both. */
export interface Change {
  kind: 'same' | 'gone' | 'new';
  text: string;
}

/** most is how many pairs of lines are compared at most: a page must not stand still over a difference. */
const most = 4_000_000;

/** difference returns the lines of both texts in order, or null when there are too many to compare. */
export function difference(before: string, after: string): Change[] | null {
  const a = before.split('\n');
  const b = after.split('\n');
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const same = (text: string): Change => ({ kind: 'same', text });
  const middle = changed(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return middle && [...a.slice(0, start).map(same), ...middle, ...a.slice(a.length - end).map(same)];
}

/** changed finds the longest sequence of lines that both have. */
function changed(a: string[], b: string[]): Change[] | null {
  const width = b.length + 1;
  if ((a.length + 1) * width > most) return null;
  const common = new Uint32Array((a.length + 1) * width); // of the lines from i and j on
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      common[i * width + j] = a[i] === b[j] ? common[(i + 1) * width + j + 1]! + 1
        : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
  const found: Change[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push({ kind: 'same', text: a[i]! });
      i++;
      j++;
    } else if (j === b.length || (i < a.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) {
      found.push({ kind: 'gone', text: a[i++]! });
    } else {
      found.push({ kind: 'new', text: b[j++]! });
    }
  }
  return found;
}

/** near leaves out lines that are the same, but for some around each change; a number stands for how many. */
export function near(changes: Change[], around = 3): (Change | number)[] {
  const shown: (Change | number)[] = [];
  let hidden = 0;
  changes.forEach((change, at) => {
    const close = changes.slice(Math.max(0, at - around), at + around + 1).some((c) => c.kind !== 'same');
    if (!close) {
      hidden++;
      return;
    }
    if (hidden > 0) shown.push(hidden);
    hidden = 0;
    shown.push(change);
  });
  if (hidden > 0) shown.push(hidden);
  return shown;
}
