/** `?`: the keys of the page that is open, and the switch that turns single letters off. */

import { createMemo, For, onCleanup, onMount, type JSX } from 'solid-js';
import { to } from '../base.ts';
import { bindings, keyText, type Binding } from '../keys.ts';
import { setSingleKeys, singleKeys } from '../settings.ts';
import { closeDialog } from './palette_state.ts';

export function KeyHelp(): JSX.Element {
  let dialog!: HTMLDialogElement;
  const before = document.activeElement;
  onMount(() => dialog.showModal());
  onCleanup(() => {
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  const rows = createMemo(() => {
    const byWhat = new Map<string, Binding[]>();
    for (const binding of bindings()) byWhat.set(binding.what, [...(byWhat.get(binding.what) ?? []), binding]);
    return [...byWhat.entries()];
  });
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={closeDialog} onClick={(event) => event.target === dialog && closeDialog()}>
      <div class="head"><h2 id="help-title">Keys on this page</h2><span class="grow" /><button type="button" class="chip small" onClick={() => dialog.close()}>Close</button></div>
      <dl class="key-list">
        <For each={rows()}>
          {([what, list]) => <div><dt>{what}</dt><dd><For each={list}>{(binding) => <kbd>{keyText(binding.keys)}</kbd>}</For></dd></div>}
        </For>
      </dl>
      <div class="help-foot">
        <label><input type="checkbox" checked={singleKeys()} onChange={(event) => setSingleKeys(event.currentTarget.checked)} /> Keys without {keyText('mod+')} are on</label>
        <span class="grow" />
        <a href={to('/licenses.md')}>Licenses</a>
      </div>
    </dialog>
  );
}
