/** Data that is asked for again and again while somebody looks at it. */

import { batch, createEffect, createSignal, on, onCleanup, untrack, type Accessor } from 'solid-js';
import { epoch, isAbort, reach } from './server.ts';

export interface Poll<T> {
  /** The newest answer; an older one stays while the server is away. */
  readonly data: Accessor<T | undefined>;
  readonly error: Accessor<Error | undefined>;
  readonly busy: Accessor<boolean>;
  readonly again: () => void;
  /** Gives up the question that is under way. */
  readonly cancel: () => void;
}

/**
 * Asks at once, whenever `key` changes, when the server comes back, and `everyMs` after each answer (null: never).
 * A hidden tab asks nothing. A null key asks nothing and forgets nothing.
 */
export function createPoll<K, T>(key: Accessor<K | null>, question: (key: K, signal: AbortSignal) => Promise<T>, everyMs: () => number | null): Poll<T> {
  const [data, setData] = createSignal<T>();
  const [error, setError] = createSignal<Error>();
  const [busy, setBusy] = createSignal(false);
  let control: AbortController | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const schedule = (): void => {
    clearTimeout(timer);
    const wait = untrack(everyMs);
    if (wait !== null && !document.hidden) timer = setTimeout(run, wait);
  };

  function run(): void {
    const asked = untrack(key);
    if (asked === null) return;
    clearTimeout(timer);
    control?.abort();
    const own = new AbortController();
    control = own;
    setBusy(true);
    question(asked, own.signal).then(
      (answer) => {
        if (own.signal.aborted) return;
        batch(() => {
          setData(() => answer);
          setError(undefined);
          setBusy(false);
        });
        schedule();
      },
      (problem: unknown) => {
        if (own.signal.aborted || isAbort(problem)) return;
        batch(() => {
          setError(problem instanceof Error ? problem : new Error(String(problem)));
          setBusy(false);
        });
        // While the server is away its probe asks; the new epoch brings us back.
        if (untrack(reach).state === 'ok') schedule();
      },
    );
  }

  const seen = (): void => {
    if (!document.hidden && untrack(everyMs) !== null) run();
  };
  document.addEventListener('visibilitychange', seen);
  createEffect(on([key, epoch], run));
  createEffect(on(everyMs, schedule, { defer: true }));
  onCleanup(() => {
    document.removeEventListener('visibilitychange', seen);
    clearTimeout(timer);
    control?.abort();
  });
  const cancel = (): void => {
    control?.abort();
    setBusy(false);
    schedule();
  };
  return { data, error, busy, again: run, cancel };
}
