/** styles are the widget's; a page may set the custom properties that they read. */
export const styles = `
:host { display: block; margin: 1em 0; color-scheme: light dark;
  --v-page: light-dark(#fff, #141b17); --v-ink: light-dark(#17211b, #e4ece7); --v-muted: light-dark(#55645a, #9cb0a4);
  --v-line: light-dark(#dde5de, #2a3830); --v-sunk: light-dark(#f5f8f4, #101713); --v-bad: light-dark(#ac2a20, #ff9a8d);
  --v-accent: var(--vivarium-accent, light-dark(#1b6b45, #58c48e)); --v-on: light-dark(#fff, #06210f); }
section { border: 1px solid var(--v-line); border-radius: 10px; overflow: hidden; background: var(--v-page); color: var(--v-ink); font: 14px/1.5 system-ui, sans-serif; }
.editor { position: relative; }
.editor pre, textarea, section > pre { margin: 0; font: 13.5px/1.6 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; tab-size: 4; }
.editor pre, textarea { padding: 12px 14px; white-space: pre; overflow: auto; border: 0; }
.editor pre { position: absolute; inset: 0; pointer-events: none; overflow: hidden; }
textarea { position: relative; display: block; width: 100%; box-sizing: border-box; resize: none; background: transparent; color: transparent; caret-color: var(--v-ink); outline-offset: -2px; }
textarea::selection { background: light-dark(#cfe8da, #24503a); color: transparent; }
.bar { display: flex; align-items: center; gap: 10px; padding: 8px 10px; border-top: 1px solid var(--v-line); background: var(--v-sunk); }
button { font: inherit; font-weight: 600; height: 30px; padding: 0 14px; border: 0; border-radius: 7px; background: var(--v-accent); color: var(--v-on); cursor: pointer; }
.bar span { color: var(--v-muted); font-size: 13px; }
section > pre { padding: 10px 14px; border-top: 1px solid var(--v-line); white-space: pre-wrap; overflow-wrap: anywhere; max-height: 320px; overflow-y: auto; unicode-bidi: isolate; }
.bad, .bar .bad { color: var(--v-bad); }
.note { color: var(--v-muted); }
i { font-style: normal; color: var(--v-bad); }
.marked { background: light-dark(#fbd9d4, #5a241f); border-radius: 3px; }
.keyword { color: light-dark(#8a3a8f, #d8a0e0); } .string { color: light-dark(#1f6e3d, #8fd6a4); } .number { color: light-dark(#9a4a00, #f0b072); }
.comment { color: light-dark(#66746a, #84978b); font-style: italic; } .name { color: light-dark(#1c5fa8, #8dbdf2); }
`;
