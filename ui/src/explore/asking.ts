/** Asking what Explore's address says: when, over which span, at which step, and what came of it. */

import { createEffect, createMemo, createSignal, on, onCleanup, type Accessor } from 'solid-js';
import { createPoll, type Poll } from '../poll.ts';
import { serverNow } from '../server.ts';
import { zone } from '../settings.ts';
import { summarized, summary } from '../summary.ts';
import { parseDuration } from '../plain/duration.ts';
import type { ExploreState } from '../plain/explore_state.ts';
import { autoStep } from '../plain/frame.ts';
import { isLive, resolve, sinceData, type Span } from '../plain/time_range.ts';
import { remember } from './history.ts';
import { runQueries, type Results } from './run.ts';

const PX_PER_POINT = 3;
/** After that a running query offers to be canceled. */
const CANCEL_AFTER_MS = 2000;

interface Asked extends Pick<ExploreState, 'queries' | 'tab' | 'range' | 'step'> { readonly count: number; readonly dataFromMs: number | null }

export interface Asking {
  /** What is asked; null while no query has a text. */
  readonly asked: Accessor<Asked | null>;
  /** Asks the same again. */
  readonly again: () => void;
  readonly poll: Poll<Results>;
  readonly results: Accessor<Results | undefined>;
  /** Has the question been under way for long? */
  readonly slow: Accessor<boolean>;
  /** The server's oldest sample. */
  readonly dataFromMs: Accessor<number | null>;
}

/** Seconds. A live range is never cut finer than a second: nothing is visited more often. */
function stepOf(state: ExploreState, span: Span, width: number): number {
  const chosen = parseDuration(state.step);
  if (chosen !== null) return chosen / 1000;
  const step = autoStep(span.toMs - span.fromMs, Math.max(100, Math.round(width / PX_PER_POINT / 50) * 50));
  return isLive(state.range) ? Math.max(1, step) : step;
}

/** `width` is that of the graph, in pixels. */
export function createAsking(state: Accessor<ExploreState>, width: Accessor<number>): Asking {
  const [count, setCount] = createSignal(0);
  const dataFromMs = createMemo(() => summary()?.dataFromMs ?? null);
  const asked = createMemo<Asked | null>(
    () => {
      const { queries, tab, range, step } = state();
      return queries.some((query) => !query.off && query.expr.trim() !== '') ? { queries, tab, range, step, count: count(), dataFromMs: dataFromMs() } : null;
    },
    null,
    { equals: (a, b) => JSON.stringify(a) === JSON.stringify(b) },
  );
  const poll = createPoll(
    asked,
    async (_, signal): Promise<Results> => {
      await summarized();
      const { range } = state();
      const span = resolve(range, serverNow(), zone());
      if (span === null) throw new Error(`the time range ${range.from} to ${range.to} cannot be read, or ends before it begins`);
      const seen = sinceData(range, span, dataFromMs());
      return runQueries(state(), seen, stepOf(state(), seen, width()), signal);
    },
    () => (isLive(state().range) ? parseDuration(state().refresh) : null),
  );
  const [slow, setSlow] = createSignal(false);
  createEffect(on(poll.busy, (busy) => {
    setSlow(false);
    if (!busy) return;
    const timer = setTimeout(() => setSlow(true), CANCEL_AFTER_MS);
    onCleanup(() => clearTimeout(timer));
  }));
  createEffect(on(asked, (known) => known && remember(known.queries.map((query) => query.expr))));
  return { asked, again: () => void setCount((before) => before + 1), poll, results: () => (asked() === null ? undefined : poll.data()), slow, dataFromMs };
}
