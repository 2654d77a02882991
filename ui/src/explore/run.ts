/** Running the queries of Explore: every row by itself, so that one bad row does not hide the others. */

import { frameOf, type Column } from '../plain/frame.ts';
import { readQueryError, type QueryError } from '../plain/query_error.ts';
import type { ExploreState } from '../plain/explore_state.ts';
import type { Span } from '../plain/time_range.ts';
import { query, queryRange, type InstantData } from '../prometheus.ts';
import { isAbort, Unreachable } from '../server.ts';

export interface Outcome {
  readonly row: number;
  readonly expr: string;
  readonly error: QueryError | null;
  readonly notes: readonly string[];
  readonly ms: number;
  readonly columns: readonly Column[];
  readonly instant: InstantData | null;
}

export interface Results {
  readonly tab: ExploreState['tab'];
  readonly outcomes: readonly Outcome[];
  readonly times: readonly number[];
  readonly span: Span;
  readonly stepS: number;
}

export async function runQueries(state: ExploreState, span: Span, stepS: number, signal: AbortSignal): Promise<Results> {
  const startS = Math.floor(span.fromMs / 1000 / stepS) * stepS;
  const endS = Math.floor(span.toMs / 1000 / stepS) * stepS;
  const rows = state.queries.map((one, row) => ({ ...one, row })).filter((one) => !one.off && one.expr.trim() !== '');
  const outcomes = await Promise.all(rows.map(async ({ expr, row }): Promise<Outcome> => {
    const begun = performance.now();
    const blank = { row, expr, error: null, notes: [], columns: [], instant: null };
    try {
      if (state.tab === 'table') {
        const { data, warnings, infos } = await query(expr, span.toMs / 1000, signal);
        return { ...blank, ms: performance.now() - begun, notes: [...warnings, ...infos], instant: data };
      }
      const { data, warnings, infos } = await queryRange(expr, startS, endS, stepS, signal);
      const frame = frameOf(data.result, startS, endS, stepS);
      const skipped = frame.skipped === 0 ? [] : [`${frame.skipped} series are native histograms, which the graph cannot draw yet`];
      return { ...blank, ms: performance.now() - begun, notes: [...warnings, ...infos, ...skipped], columns: frame.columns };
    } catch (error) {
      if (isAbort(error) || error instanceof Unreachable) throw error;
      const message = error instanceof Error ? error.message : String(error);
      return { ...blank, ms: performance.now() - begun, error: readQueryError(message, expr) };
    }
  }));
  return { tab: state.tab, outcomes, times: frameOf([], startS, endS, stepS).times, span, stepS };
}
