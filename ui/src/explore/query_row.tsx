/** One query: its editor, its error, its switches. The editor's code comes when it is needed; until then a plain field stands in. */

import { createEffect, createSignal, on, onCleanup, onMount, Show, type JSX } from 'solid-js';
import type { Editor } from '../editor/promql_editor.ts';
import type { QueryError } from '../plain/query_error.ts';
import { Icon } from '../part/icon.tsx';
import { Shape } from '../part/mark.tsx';

export interface RowControl { readonly insert: (text: string) => void; readonly focus: () => void }

export function QueryRow(props: {
  letter: string;
  many: boolean;
  text: string;
  off: boolean;
  error: QueryError | null;
  autofocus: boolean;
  changed: (text: string) => void;
  run: () => void;
  toggle: () => void;
  remove: () => void;
  mounted: (control: RowControl) => void;
  focused: (control: RowControl) => void;
  tools: JSX.Element;
}): JSX.Element {
  let host!: HTMLDivElement;
  let area: HTMLTextAreaElement | undefined;
  let editor: Editor | undefined;
  const [ready, setReady] = createSignal(false);
  const label = () => (props.many ? `Query ${props.letter}` : 'Query');
  const control: RowControl = {
    insert: (text) => {
      if (editor) return editor.insert(text);
      props.changed(props.text + text);
      area?.focus();
    },
    focus: () => (editor ? editor.focus() : area?.focus()),
  };

  let gone = false;
  const load = async (): Promise<void> => {
    const { mountEditor } = await import('../editor/promql_editor.ts');
    if (gone || editor) return;
    const hadFocus = document.activeElement === area;
    editor = mountEditor(host, { text: props.text, label: label(), placeholder: 'A PromQL query, for example rate(node_cpu_seconds_total[1m])', changed: (text) => props.changed(text), run: () => props.run(), leave: () => document.getElementById('main')?.focus() });
    setReady(true);
    if (hadFocus || props.autofocus) editor.focus();
    editor.setError(placed(props.error));
  };
  onMount(() => {
    props.mounted(control);
    // A frame later the page has painted; the editor is four times the rest.
    const idle = setTimeout(() => void load().catch(() => undefined), 60);
    onCleanup(() => clearTimeout(idle));
  });
  onCleanup(() => {
    gone = true;
    editor?.destroy();
  });
  createEffect(on(() => props.text, (text) => editor?.setText(text), { defer: true }));
  createEffect(on(() => props.error, (error) => editor?.setError(placed(error)), { defer: true }));

  return (
    <div class="query" classList={{ off: props.off }} role="group" aria-label={label()} onFocusIn={() => props.focused(control)}>
      <Show when={props.many}>
        <button type="button" class="letter" aria-pressed={!props.off} aria-label={`Show query ${props.letter}`} onClick={() => props.toggle()}>{props.letter}</button>
      </Show>
      <div class="query-editor">
        <div ref={host} class="editor-host" classList={{ ready: ready() }} />
        <Show when={!ready()}>
          <textarea
            ref={area}
            class="editor-plain"
            aria-label={label()}
            rows={1}
            spellcheck={false}
            placeholder="A PromQL query"
            value={props.text}
            onFocus={() => void load().catch(() => undefined)}
            onInput={(event) => props.changed(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' || event.shiftKey) return;
              event.preventDefault();
              props.run();
            }}
          />
        </Show>
      </div>
      <div class="query-tools">
        {props.tools}
        <Show when={props.many}>
          <button type="button" class="plain" aria-label={`Remove query ${props.letter}`} onClick={() => props.remove()}><Icon name="close" /></button>
        </Show>
      </div>
      <Show when={props.error}>
        {(error) => <p class="query-error crit" role="alert"><Shape state="crit" /> {error().at === null ? '' : `at character ${(error().at ?? 0) + 1}: `}{error().message}</p>}
      </Show>
    </div>
  );
}

function placed(error: QueryError | null): { at: number; message: string } | null {
  return error === null || error.at === null ? null : { at: error.at, message: error.message };
}
