// Bars between panes, which change how the room is shared.
import { useState } from 'preact/hooks';

/** Share is the share of the first of two panes, in percent, and what changes it. */
export interface Share {
  value: number;
  set: (value: number) => void;
  reset: () => void;
}

// A pane is never so small that it can't be found again.
const least = 20;
const most = 80;

/** useShare returns the visitor's share for a pair of panes, which is remembered, or the usual one. */
export function useShare(name: string, usual: number): Share {
  const key = `vivarium.share.${name}`;
  const [value, setValue] = useState(() => {
    try {
      const kept = Number(localStorage.getItem(key));
      return kept >= least && kept <= most ? kept : usual;
    } catch {
      return usual; // storage may be forbidden
    }
  });
  const set = (wanted: number) => {
    const share = Math.round(Math.min(most, Math.max(least, wanted)));
    setValue(share);
    try {
      localStorage.setItem(key, String(share));
    } catch {
      // the choice lasts until the page is closed
    }
  };
  return { value, set, reset: () => set(usual) };
}

/**
 * tracks returns the tracks of a grid with two panes and the bar between them. A style may take
 * it from a custom property.
 */
export function tracks({ value }: Share): string {
  return `minmax(0, ${value}fr) var(--gap) minmax(0, ${100 - value}fr)`;
}

/**
 * Splitter is the bar: it is dragged, or moved with the arrow keys, Home and End; a double click puts it back.
 * Its neighbours in the parent's grid are the panes. upright is a bar between left and right.
 */
export function Splitter({ label, share, upright = false }: { label: string; share: Share; upright?: boolean }) {
  const drag = (e: PointerEvent) => {
    const bar = e.currentTarget as HTMLElement;
    if (!bar.hasPointerCapture(e.pointerId)) return;
    const room = bar.parentElement!.getBoundingClientRect();
    share.set(upright ? ((e.clientX - room.left) / room.width) * 100 : ((e.clientY - room.top) / room.height) * 100);
  };
  const key = (e: KeyboardEvent) => {
    const less = upright ? 'ArrowLeft' : 'ArrowUp';
    const more = upright ? 'ArrowRight' : 'ArrowDown';
    const wanted = { [less]: share.value - 2, [more]: share.value + 2, Home: least, End: most }[e.key];
    if (wanted === undefined) return;
    e.preventDefault();
    share.set(wanted);
  };
  return (
    <div class={upright ? 'splitter upright' : 'splitter'} role="separator" tabIndex={0} aria-label={label}
      aria-orientation={upright ? 'vertical' : 'horizontal'} aria-valuemin={least} aria-valuemax={most} aria-valuenow={share.value}
      onPointerDown={(e) => e.currentTarget.setPointerCapture(e.pointerId)} onPointerMove={drag}
      onKeyDown={key} onDblClick={share.reset} />
  );
}
