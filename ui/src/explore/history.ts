/** Queries run on this browser, newest first, each once. */

import { createSignal } from 'solid-js';
import { store, stored } from '../settings.ts';

const MOST = 100;
const LONGEST = 4000;

function load(): readonly string[] {
  try {
    const list: unknown = JSON.parse(stored('queries') ?? '[]');
    return Array.isArray(list) ? list.filter((one): one is string => typeof one === 'string').slice(0, MOST) : [];
  } catch {
    return [];
  }
}

const [queries, setQueries] = createSignal(load());
export { queries };

export function remember(list: readonly string[]): void {
  const fresh = list.filter((one) => one.trim() !== '' && one.length <= LONGEST);
  const next = [...new Set([...fresh, ...queries()])].slice(0, MOST);
  setQueries(next);
  store('queries', JSON.stringify(next));
}

export function forget(): void {
  setQueries([]);
  store('queries', null);
}
