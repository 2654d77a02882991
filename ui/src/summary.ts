/** What every page says about this server: its name and version, and since when it has data. Asked once per connection, and again while there is no data. */

import { createRoot, createSignal, createEffect } from 'solid-js';
import { overview, type Overview } from './catalog.ts';
import { epoch } from './server.ts';

export interface Summary { readonly hostname: string; readonly version: string; readonly registry: boolean; /** The oldest sample; null while there is none. */ readonly dataFromMs: number | null }

const [summary, setSummary] = createSignal<Summary>();
export { summary };

let loadedFrom: string | undefined;
const [updated, setUpdated] = createSignal(false);
/** Has the version changed since this page was loaded? */
export { updated };

/** Between questions while the server has no sample yet: the first wait, doubled up to the last. */
const EMPTY_FIRST_MS = 250;
const EMPTY_LAST_MS = 8000;

/** Takes the summary out of an overview that a page has asked for. */
export function note(answer: Overview): void {
  loadedFrom ??= answer.server.version;
  setUpdated(answer.server.version !== loadedFrom);
  const { hostname } = answer.machine;
  const { version, registry, data_from_ms: dataFromMs } = answer.server;
  setSummary({ hostname, version, registry, dataFromMs });
}

let timer: ReturnType<typeof setTimeout> | undefined;

async function learn(waitMs: number): Promise<void> {
  clearTimeout(timer);
  const answer = await overview().catch(() => null);
  if (answer === null) return;
  note(answer);
  if (answer.server.data_from_ms === null) timer = setTimeout(() => void learn(Math.min(EMPTY_LAST_MS, waitMs * 2)), waitMs);
}

let first: Promise<void> | undefined;
/** Resolves once the summary is known, or cannot be. */
export const summarized = (): Promise<void> => first ?? Promise.resolve();

createRoot(() => {
  createEffect(() => {
    epoch();
    const asked = learn(EMPTY_FIRST_MS);
    first ??= asked;
  });
});
