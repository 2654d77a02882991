/**
 * The keyboard map. Whoever offers a key binds it while shown; the help lists what is bound right now.
 *
 * `g o` is one key after the other (within a second); `mod+k` is ⌘ on a Mac and Ctrl elsewhere. Keys without `mod` are
 * off while typing, and can be switched off altogether.
 */

import { createSignal, onCleanup } from 'solid-js';
import { singleKeys } from './settings.ts';

export interface Binding { readonly keys: string; readonly what: string; readonly run: () => void }

const [bindings, setBindings] = createSignal<readonly Binding[]>([]);
export { bindings };

export const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

/** How a binding is written for people. */
export function keyText(keys: string): string {
  return keys
    .replace(/^mod\+([a-z])$/, (_, letter: string) => `mod+${letter.toUpperCase()}`)
    .replace('mod+', isMac ? '⌘' : 'Ctrl+')
    .replace('Enter', isMac ? '⏎' : 'Enter')
    .replace('ArrowLeft', '←')
    .replace('ArrowRight', '→');
}

/** Binds keys until the calling component goes away. */
export function bindKeys(list: readonly Binding[]): void {
  setBindings((before) => [...before, ...list]);
  onCleanup(() => setBindings((before) => before.filter((binding) => !list.includes(binding))));
}

const SEQUENCE_MS = 1000;
let first = '';
let firstAt = 0;

function isTyping(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export function listenForKeys(): void {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector('dialog[open]') !== null) return;
    const mod = event.metaKey || event.ctrlKey;
    if (event.altKey) return;
    const key = mod ? `mod+${event.key.toLowerCase()}` : event.key;
    if (!mod && (isTyping(event) || !singleKeys())) return;
    const pair = !mod && first !== '' && event.timeStamp - firstAt < SEQUENCE_MS ? `${first} ${key}` : '';
    const list = bindings();
    const binding = list.findLast((one) => one.keys === pair) ?? list.findLast((one) => one.keys === key);
    const opensPair = !mod && list.some((one) => one.keys.startsWith(`${key} `));
    first = '';
    if (binding && !(opensPair && pair === '' && binding.keys !== key)) {
      if (opensPair && pair === '') {
        // `t` opens the time dialog and begins `t z`: wait for the second key.
        first = key;
        firstAt = event.timeStamp;
        setTimeout(() => {
          if (first !== key) return;
          first = '';
          binding.run();
        }, 350);
      } else {
        binding.run();
      }
      event.preventDefault();
    } else if (opensPair) {
      first = key;
      firstAt = event.timeStamp;
    }
  });
}
