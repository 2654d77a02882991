/** Choices of this reader on this browser: theme, zone, keys, side bar. Kept in local storage, where it is allowed. */

import { createSignal } from 'solid-js';
import type { Zone } from './plain/clock.ts';

export function stored(name: string): string | null {
  try {
    return localStorage.getItem(`isobar.${name}`);
  } catch {
    return null;
  }
}

export function store(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`isobar.${name}`);
    else localStorage.setItem(`isobar.${name}`, value);
  } catch {
    // Forbidden or full: the choice lasts until the page is closed.
  }
}

const root = document.documentElement;
const systemLight = matchMedia('(prefers-color-scheme: light)');

export type Theme = 'dark' | 'light';
const shownTheme = (): Theme => (root.dataset.theme === 'dark' || root.dataset.theme === 'light' ? root.dataset.theme : systemLight.matches ? 'light' : 'dark');
const [theme, setThemeSignal] = createSignal<Theme>(shownTheme());
systemLight.addEventListener('change', () => setThemeSignal(shownTheme()));
export { theme };

/** null follows the system. */
export function setTheme(choice: Theme | null): void {
  if (choice === null) delete root.dataset.theme;
  else root.dataset.theme = choice;
  store('theme', choice);
  setThemeSignal(shownTheme());
}

const [zone, setZoneSignal] = createSignal<Zone>(stored('zone') === 'utc' ? 'utc' : 'local');
export { zone };
export function setZone(choice: Zone): void {
  store('zone', choice === 'utc' ? 'utc' : null);
  setZoneSignal(choice);
}

const [singleKeys, setSingleKeysSignal] = createSignal(stored('keys') !== 'off');
export { singleKeys };
export function setSingleKeys(on: boolean): void {
  store('keys', on ? null : 'off');
  setSingleKeysSignal(on);
}

const [folded, setFoldedSignal] = createSignal(root.dataset.side === 'folded');
export { folded };
export function setFolded(on: boolean): void {
  if (on) root.dataset.side = 'folded';
  else delete root.dataset.side;
  store('side', on ? 'folded' : null);
  setFoldedSignal(on);
}

/** One clock for everything that says "ago": moves every second while the page is seen. */
const [now, setNow] = createSignal(Date.now());
setInterval(() => {
  if (!document.hidden) setNow(Date.now());
}, 1000);
export { now };
