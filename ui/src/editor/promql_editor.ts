/**
 * The PromQL editor: CodeMirror with the official grammar, completion from our own API.
 *
 * It lives in a shadow root: there CodeMirror adopts its style sheets, which the policy (`style-src 'self'`) allows,
 * while in the document it would write style elements, which it does not.
 */

import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, completionStatus, startCompletion } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { setDiagnostics, type Diagnostic } from '@codemirror/lint';
import { EditorState, Prec } from '@codemirror/state';
import { EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { PromQLExtension, type PrometheusClient } from '@prometheus-io/codemirror-promql';
import { EqlRegex, EqlSingle, Neq, NeqRegex } from '@prometheus-io/lezer-promql';
import * as api from '../prometheus.ts';
import { quote } from '../plain/series.ts';

export interface EditorOptions {
  readonly text: string;
  readonly label: string;
  readonly placeholder: string;
  readonly changed: (text: string) => void;
  readonly run: () => void;
  /** Escape: back to the page and its single keys. */
  readonly leave: () => void;
}

export interface Editor {
  /** Replaces the text without telling `changed`. */
  setText(text: string): void;
  insert(text: string): void;
  /** Underlines the place the server complains about; null clears. */
  setError(error: { at: number; message: string } | null): void;
  focus(): void;
  destroy(): void;
}

/** Answers of the API are kept that long for completion. */
const FRESH_MS = 60_000;

function remembered<T>(question: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const known = new Map<string, { at: number; answer: Promise<T> }>();
  return (key) => {
    const before = known.get(key);
    if (before && Date.now() - before.at < FRESH_MS) return before.answer;
    const answer = question(key);
    known.set(key, { at: Date.now(), answer });
    if (known.size > 200) known.delete(known.keys().next().value ?? '');
    answer.catch(() => known.delete(key));
    return answer;
  };
}

const OPERATORS = new Map<number, string>([[EqlSingle, '='], [Neq, '!='], [EqlRegex, '=~'], [NeqRegex, '!~']]);

function client(): PrometheusClient {
  const names = remembered(() => api.metricNames());
  const labels = remembered((selector: string) => api.labelNamesOf(selector));
  const values = remembered((key: string) => {
    const [label = '', selector = ''] = key.split('\n');
    return api.labelValuesOf(label, selector);
  });
  const about = remembered(() => api.metadata());
  const quiet = <T>(answer: Promise<T>, fallback: T): Promise<T> => answer.catch(() => fallback);
  return {
    labelNames: (metric) => quiet(labels(metric === undefined || metric === '' ? '' : `{__name__=${quote(metric)}}`), []),
    labelValues: (label, metric, matchers) => {
      const parts = (matchers ?? []).filter((one) => one.name !== label && one.value !== '').map((one) => `${one.name}${OPERATORS.get(one.type) ?? '='}${quote(one.value)}`);
      if (metric !== undefined && metric !== '') parts.unshift(`__name__=${quote(metric)}`);
      return quiet(values(`${label}\n${parts.length > 0 ? `{${parts.join(',')}}` : ''}`), []);
    },
    metricMetadata: () => quiet(about(''), {}) as ReturnType<PrometheusClient['metricMetadata']>,
    series: (metric) => quiet(api.seriesOf(`{__name__=${quote(metric)}}`).then((list) => list.map((labels) => new Map(Object.entries(labels)))), []),
    metricNames: () => quiet(names(''), []),
    flags: () => Promise.resolve({}),
  };
}

const colors = HighlightStyle.define([
  { tag: tags.name, color: 'var(--text)' },
  { tag: tags.function(tags.variableName), color: 'var(--syntax-function)' },
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: 'var(--syntax-function)' },
  { tag: tags.labelName, color: 'var(--syntax-label)' },
  { tag: tags.string, color: 'var(--syntax-string)' },
  { tag: tags.number, color: 'var(--syntax-number)' },
  { tag: tags.special(tags.number), color: 'var(--syntax-number)' },
  { tag: tags.comment, color: 'var(--muted)', fontStyle: 'italic' },
  { tag: [tags.operator, tags.arithmeticOperator, tags.compareOperator, tags.paren, tags.separator], color: 'var(--muted)' },
  { tag: tags.invalid, color: 'var(--crit)' },
]);

const look = EditorView.theme({
  '&': { backgroundColor: 'transparent', color: 'var(--text)', fontSize: '14px' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '22px', overflowX: 'auto' },
  '.cm-content': { padding: '7px 0', caretColor: 'var(--text)' },
  '.cm-line': { padding: '0 12px' },
  '.cm-placeholder': { color: 'var(--muted)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': { backgroundColor: 'var(--selection)' },
  '.cm-matchingBracket, &.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--selection)', color: 'inherit', outline: 'none' },
  '.cm-nonmatchingBracket, &.cm-focused .cm-nonmatchingBracket': { backgroundColor: 'transparent', color: 'var(--crit)' },
  '.cm-tooltip': { backgroundColor: 'var(--raised)', border: '1px solid var(--line)', borderRadius: '6px', color: 'var(--text)', boxShadow: 'var(--lift)', overflow: 'hidden' },
  '.cm-tooltip-below': { marginTop: '5px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', fontSize: '12px', maxHeight: '17em', minWidth: '280px', maxWidth: 'min(640px, 90vw)' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 10px', lineHeight: '20px', display: 'flex', gap: '12px' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--selection)', color: 'var(--text)' },
  '.cm-completionIcon': { display: 'none' },
  '.cm-completionMatchedText': { textDecoration: 'none', color: 'var(--accent)', fontWeight: '600' },
  '.cm-completionDetail': { marginLeft: 'auto', fontStyle: 'normal', color: 'var(--muted)', fontFamily: 'var(--font)' },
  '.cm-completionInfo': { padding: '8px 12px', fontFamily: 'var(--font)', fontSize: '12px', lineHeight: '18px', maxWidth: '320px', color: 'var(--muted)' },
  '.cm-diagnostic': { padding: '6px 10px', borderLeft: '3px solid var(--crit)', fontFamily: 'var(--font)', fontSize: '12px' },
  '.cm-lintRange-error': { backgroundImage: 'none', textDecoration: 'underline wavy var(--crit)', textDecorationSkipInk: 'none', textUnderlineOffset: '3px' },
});

/** The word at the place, or the sign before the end. */
function mark(state: EditorState, error: { at: number; message: string }): Diagnostic {
  const at = Math.min(error.at, state.doc.length);
  const word = state.wordAt(at);
  const from = word?.from ?? Math.max(0, Math.min(at, state.doc.length - 1));
  const to = word?.to ?? Math.min(state.doc.length, from + 1);
  return { from, to, severity: 'error', message: error.message };
}

export function mountEditor(host: HTMLElement, options: EditorOptions): Editor {
  const shadow = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  shadow.replaceChildren();
  const parent = document.createElement('div');
  shadow.append(parent);
  let quiet = false;
  const run = (): boolean => {
    options.run();
    return true;
  };
  const promql = new PromQLExtension().setComplete({ remote: client() });
  // The server's word on this very text stands before the editor's own reading of it.
  let told: { at: number; message: string; text: string } | null = null;
  const read = promql.getLinter();
  const readText = read.promQL.call(read);
  const diagnose = (at: EditorView): readonly Diagnostic[] | Promise<readonly Diagnostic[]> => (told !== null && told.text === at.state.doc.toString() ? [mark(at.state, told)] : readText(at));
  promql.setLinter({ promQL: () => diagnose });
  const view = new EditorView({
    root: shadow,
    parent,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        history(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ icons: false, maxRenderedOptions: 200 }),
        promql.asExtension(),
        syntaxHighlighting(colors),
        look,
        EditorView.lineWrapping,
        placeholder(options.placeholder),
        EditorView.contentAttributes.of({ 'aria-label': options.label, 'aria-multiline': 'true', spellcheck: 'false' }),
        // Enter runs, as on Prometheus' own page. Tab takes an offered word and otherwise leaves the editor.
        Prec.high(keymap.of([
          { key: 'Mod-Enter', run },
          { key: 'Ctrl-Enter', run },
          { key: 'Enter', run: (at) => completionStatus(at.state) === 'active' ? acceptCompletion(at) : run() },
          { key: 'Shift-Enter', run: insertNewlineAndIndent },
          { key: 'Tab', run: (at) => completionStatus(at.state) === 'active' && acceptCompletion(at) },
          { key: 'Ctrl-Space', run: startCompletion },
          {
            key: 'Escape',
            run: (at) => {
              if (completionStatus(at.state) !== null) return false;
              options.leave();
              return true;
            },
          },
        ])),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap.filter((one) => one.key !== 'Mod-Enter')]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !quiet) options.changed(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    setText(text) {
      if (text === view.state.doc.toString()) return;
      quiet = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
      quiet = false;
    },
    insert(text) {
      view.dispatch(view.state.replaceSelection(text), { scrollIntoView: true });
      view.focus();
    },
    setError(error) {
      told = error === null ? null : { ...error, text: view.state.doc.toString() };
      view.dispatch(setDiagnostics(view.state, told === null ? [] : [mark(view.state, told)]));
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
