// The editor: CodeMirror in a shadow root. There its styles are constructed
// style sheets, which a strict Content-Security-Policy allows, so the page
// needs no nonce and can be cached.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { json } from '@codemirror/lang-json';
import { python, pythonLanguage } from '@codemirror/lang-python';
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { Annotation, Compartment, EditorState, RangeSet, StateEffect, StateField, type Extension } from '@codemirror/state';
import {
  Decoration, drawSelection, dropCursor, EditorView, GutterMarker, gutterLineClass, highlightActiveLine,
  highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers, WidgetType, type DecorationSet,
} from '@codemirror/view';
import { tags as t } from '@lezer/highlight';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { completions } from './completions';

/** Mark is a line with a message. */
export interface Mark {
  line: number;
  text: string;
}

interface Props {
  value: string;
  label: string;
  language: 'python' | 'json' | 'text';
  onChange?: (value: string) => void;
  onRun?: () => void;
  mark?: Mark | null;
  class?: string;
}

const colors = HighlightStyle.define([
  { tag: [t.keyword, t.controlKeyword, t.definitionKeyword, t.moduleKeyword, t.operatorKeyword], color: 'var(--syn-keyword)' },
  { tag: [t.string, t.special(t.string)], color: 'var(--syn-string)' },
  { tag: [t.number, t.bool, t.null, t.atom], color: 'var(--syn-number)' },
  { tag: [t.comment], color: 'var(--syn-comment)', fontStyle: 'italic' },
  { tag: [t.function(t.variableName), t.function(t.definition(t.variableName))], color: 'var(--syn-function)' },
  { tag: [t.definition(t.className), t.className], color: 'var(--syn-function)', fontWeight: '600' },
  { tag: [t.propertyName], color: 'var(--syn-property)' },
  { tag: [t.meta, t.escape], color: 'var(--syn-escape)' },
]);

const theme = EditorView.theme({
  '&': { height: '100%', backgroundColor: 'var(--surface)', color: 'var(--ink)', fontSize: '13.5px' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.6', overflow: 'auto' },
  '.cm-content': { padding: '12px 0', caretColor: 'var(--accent)' },
  '.cm-line': { padding: '0 16px 0 8px' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)', borderLeftWidth: '2px' },
  '.cm-gutters': { backgroundColor: 'var(--surface)', color: 'var(--faint)', border: 'none' },
  '.cm-lineNumbers .cm-gutterElement': { minWidth: '38px', padding: '0 8px 0 12px' },
  '.cm-activeLine': { backgroundColor: 'transparent' },
  '&.cm-focused .cm-activeLine': { backgroundColor: 'var(--line-active)' },
  '.cm-activeLineGutter': { backgroundColor: 'transparent', color: 'var(--muted)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'var(--selection)',
  },
  '.cm-selectionMatch': { backgroundColor: 'var(--selection)' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--accent-soft)', outline: '1px solid var(--accent-line)' },
  '.cm-specialChar': { color: 'var(--bad)' },
  '.cm-tooltip': {
    backgroundColor: 'var(--raised)', border: '1px solid var(--line)', borderRadius: '8px',
    boxShadow: 'var(--shadow)', overflow: 'hidden', color: 'var(--ink)',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', fontSize: '13px', maxHeight: '16em' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 10px' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
  '.cm-tooltip.cm-completionInfo': { padding: '8px 12px', maxWidth: '320px', fontFamily: 'var(--sans)', fontSize: '13px' },
  '.cm-completionDetail': { fontStyle: 'normal', opacity: '0.75' },
  '.cm-panels': { backgroundColor: 'var(--raised)', color: 'var(--ink)', borderColor: 'var(--line)' },
  '.cm-panels input, .cm-panels button': {
    backgroundImage: 'none', backgroundColor: 'var(--surface)', color: 'var(--ink)', border: '1px solid var(--line)', borderRadius: '6px',
  },
  '.cm-searchMatch': { backgroundColor: 'var(--warn-soft)' },
  '.cm-markedLine': { backgroundColor: 'var(--bad-soft) !important' },
  '.cm-gutterElement.cm-markedGutter': { color: 'var(--bad)', fontWeight: '700' },
  // CodeMirror counts a block's padding, but not its margin, when it places line numbers.
  '.cm-markNote': { padding: '2px 16px 6px 8px' },
  '.cm-markNote > div': {
    padding: '5px 10px', borderLeft: '3px solid var(--bad)', borderRadius: '0 6px 6px 0',
    backgroundColor: 'var(--bad-soft)', color: 'var(--bad)', fontFamily: 'var(--sans)', fontSize: '13px', whiteSpace: 'pre-wrap',
    overflowWrap: 'anywhere',
  },
});

/** fromProps marks changes that came in as properties and are not reported back. */
const fromProps = Annotation.define<boolean>();

const setMark = StateEffect.define<Mark | null>();

class Note extends WidgetType {
  constructor(readonly text: string) {
    super();
  }
  override eq(other: Note) {
    return other.text === this.text;
  }
  toDOM() {
    const block = document.createElement('div');
    block.className = 'cm-markNote';
    block.appendChild(document.createElement('div')).textContent = this.text;
    return block;
  }
}

const markedGutter = new (class extends GutterMarker {
  override elementClass = 'cm-markedGutter';
})();

interface Marked {
  line: DecorationSet;
  gutter: RangeSet<GutterMarker>;
}

const unmarked: Marked = { line: Decoration.none, gutter: RangeSet.empty };

/** marked holds the marked line until the text changes. */
const marked = StateField.define<Marked>({
  create: () => unmarked,
  update(value, tr) {
    if (tr.docChanged) value = unmarked;
    for (const effect of tr.effects) {
      if (!effect.is(setMark)) continue;
      const mark = effect.value;
      if (!mark || mark.line < 1 || mark.line > tr.state.doc.lines) {
        value = unmarked;
        continue;
      }
      const { from, to } = tr.state.doc.line(mark.line);
      value = {
        line: Decoration.set([
          Decoration.line({ class: 'cm-markedLine' }).range(from),
          Decoration.widget({ widget: new Note(mark.text), block: true, side: 1 }).range(to),
        ]),
        gutter: RangeSet.of(markedGutter.range(from)),
      };
    }
    return value;
  },
  provide: (field) => [
    EditorView.decorations.from(field, (m) => m.line),
    gutterLineClass.from(field, (m) => m.gutter),
  ],
});

function languageOf(name: Props['language']): Extension {
  if (name === 'python') return [python(), pythonLanguage.data.of({ autocomplete: completions }), indentUnit.of('    ')];
  return name === 'json' ? [json(), indentUnit.of('  ')] : [];
}

/** Editor is a text editor, read-only without onChange. */
export function Editor(props: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const latest = useRef(props);
  latest.current = props;
  const language = useRef(new Compartment());
  const known = useRef(props.value); // the last text that both sides agree on

  useLayoutEffect(() => {
    const root = host.current!.shadowRoot ?? host.current!.attachShadow({ mode: 'open' });
    const fixed = !latest.current.onChange;
    const editor = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: props.value,
        extensions: [
          keymap.of([
            { key: 'Mod-Enter', run: () => (latest.current.onRun?.(), !!latest.current.onRun) },
            ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap,
            ...(fixed ? [] : [indentWithTab]),
          ]),
          lineNumbers(), highlightSpecialChars(), history(), drawSelection(), dropCursor(), indentOnInput(),
          bracketMatching(), closeBrackets(), highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(),
          autocompletion({ icons: false }), syntaxHighlighting(colors), theme, marked, language.current.of(languageOf(props.language)),
          EditorState.readOnly.of(fixed),
          EditorView.contentAttributes.of({ 'aria-label': props.label, tabindex: '0' }),
          props.language === 'text' ? EditorView.lineWrapping : [],
          EditorView.updateListener.of((update) => {
            if (!update.docChanged || update.transactions.some((tr) => tr.annotation(fromProps))) return;
            known.current = update.state.doc.toString();
            latest.current.onChange?.(known.current);
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, []);

  useLayoutEffect(() => {
    if (known.current === props.value) return;
    known.current = props.value;
    const editor = view.current!;
    editor.dispatch({
      changes: { from: 0, to: editor.state.doc.length, insert: props.value }, annotations: fromProps.of(true),
    });
  }, [props.value]);

  useLayoutEffect(() => {
    view.current!.dispatch({ effects: language.current.reconfigure(languageOf(props.language)) });
  }, [props.language]);

  useLayoutEffect(() => {
    const editor = view.current!;
    const effects: StateEffect<unknown>[] = [setMark.of(props.mark ?? null)];
    if (props.mark && props.mark.line <= editor.state.doc.lines)
      effects.push(EditorView.scrollIntoView(editor.state.doc.line(props.mark.line).from, { y: 'nearest', yMargin: 60 }));
    editor.dispatch({ effects });
  }, [props.mark]);

  return <div ref={host} class={`editor ${props.class ?? ''}`} />;
}
