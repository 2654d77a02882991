/** What every page says about this server: its name and version. Asked once per connection. */

import { createRoot, createSignal, createEffect } from 'solid-js';
import { overview, type Overview } from './catalog.ts';
import { epoch } from './server.ts';

export interface Summary { readonly hostname: string; readonly version: string; readonly registry: boolean; readonly startedMs: number }

const [summary, setSummary] = createSignal<Summary>();
export { summary };

let loadedFrom: string | undefined;
const [updated, setUpdated] = createSignal(false);
/** Has the version changed since this page was loaded? */
export { updated };

/** Takes the summary out of an overview that a page has asked for. */
export function note(answer: Overview): void {
  loadedFrom ??= answer.server.version;
  setUpdated(answer.server.version !== loadedFrom);
  setSummary({ hostname: answer.machine.hostname, version: answer.server.version, registry: answer.server.registry, startedMs: answer.server.started_ms });
}

createRoot(() => {
  createEffect(() => {
    epoch();
    overview().then(note, () => undefined);
  });
});
