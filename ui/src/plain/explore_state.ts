/**
 * Everything Explore shows, as its address says it.
 *
 * ```text
 * /explore?q=up&q=rate(x[5m])&off=1&tab=table&from=now-3h&to=now&step=30s&refresh=10s&stack=1&sort=-max&only=1k2j
 * ```
 * `q` repeats, `off` lists the positions that are switched off. Prometheus' own links (`g0.expr`, `g0.range_input`,
 * `g0.end_input`, `g0.tab`, `g0.step_input`, `g0.stacked`) are read too, since every alert carries one.
 */

import { formatDuration, parseDuration } from './duration.ts';
import { LAST_HOUR, type TimeRange } from './time_range.ts';

export type Tab = 'graph' | 'table';

export interface Query { readonly expr: string; readonly off: boolean }

export interface ExploreState {
  readonly queries: readonly Query[];
  readonly tab: Tab;
  readonly range: TimeRange;
  /** A duration (`30s`), or empty for automatic. */
  readonly step: string;
  /** A duration, or empty for none. */
  readonly refresh: string;
  readonly stacked: boolean;
  /** Marks of the series that are shown alone; empty shows all. */
  readonly only: readonly string[];
  /** Column the list is sorted by, `-` before it for falling order; empty is the server's order. */
  readonly sort: string;
}

export const BLANK: ExploreState = { queries: [{ expr: '', off: false }], tab: 'graph', range: LAST_HOUR, step: '', refresh: '', stacked: false, only: [], sort: '' };

/** More rows than that are not read from an address. */
const MOST_QUERIES = 26;

const duration = (text: string | null): string => (text !== null && (parseDuration(text) ?? 0) > 0 ? text : '');

export function readExplore(search: string): ExploreState {
  const params = new URLSearchParams(search);
  if (params.has('g0.expr')) return readPrometheus(params);
  const off = new Set((params.get('off') ?? '').split(',').filter((text) => text !== '').map(Number));
  const queries = params.getAll('q').slice(0, MOST_QUERIES).map((expr, index) => ({ expr, off: off.has(index) }));
  return {
    queries: queries.length > 0 ? queries : BLANK.queries,
    tab: params.get('tab') === 'table' ? 'table' : 'graph',
    range: { from: params.get('from') ?? LAST_HOUR.from, to: params.get('to') ?? LAST_HOUR.to },
    step: duration(params.get('step')),
    refresh: duration(params.get('refresh')),
    stacked: params.get('stack') === '1',
    only: (params.get('only') ?? '').split(' ').filter((mark) => mark !== ''),
    sort: params.get('sort') ?? '',
  };
}

function readPrometheus(params: URLSearchParams): ExploreState {
  const queries: Query[] = [];
  for (let index = 0; index < MOST_QUERIES; index += 1) {
    const expr = params.get(`g${index}.expr`);
    if (expr === null) break;
    queries.push({ expr, off: false });
  }
  const length = parseDuration(params.get('g0.range_input') ?? '1h') ?? 3_600_000;
  const endText = params.get('g0.end_input') ?? params.get('g0.moment_input');
  // Prometheus writes UTC here, without saying so.
  const end = endText === null || endText === '' ? NaN : Date.parse(`${endText.replace(' ', 'T').replace(/Z$/, '')}Z`);
  const tab = params.get('g0.tab');
  const step = params.get('g0.step_input');
  return {
    queries,
    // Both spellings: numbers until 3.0, words after.
    tab: tab === '1' || tab === 'table' ? 'table' : 'graph',
    range: Number.isNaN(end) ? { from: `now-${formatDuration(length)}`, to: 'now' } : { from: String(end - length), to: String(end) },
    step: step === null || !(Number(step) > 0) ? duration(step) : formatDuration(Number(step) * 1000),
    refresh: '',
    stacked: params.get('g0.stacked') === '1' || params.get('g0.display_mode') === 'stacked',
    only: [],
    sort: '',
  };
}

/** The address's search part, with what is default left out. */
export function writeExplore(state: ExploreState): string {
  const params = new URLSearchParams();
  const filled = state.queries.filter((query, index) => query.expr !== '' || index > 0 || state.queries.length > 1);
  for (const query of filled) params.append('q', query.expr);
  const off = filled.flatMap((query, index) => (query.off ? [index] : []));
  if (off.length > 0) params.set('off', off.join(','));
  if (state.tab !== 'graph') params.set('tab', state.tab);
  if (state.range.from !== LAST_HOUR.from || state.range.to !== LAST_HOUR.to) {
    params.set('from', state.range.from);
    params.set('to', state.range.to);
  }
  if (state.step !== '') params.set('step', state.step);
  if (state.refresh !== '') params.set('refresh', state.refresh);
  if (state.stacked) params.set('stack', '1');
  if (state.only.length > 0) params.set('only', state.only.join(' '));
  if (state.sort !== '') params.set('sort', state.sort);
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

/** The page's path for one query. */
export function exploreHref(expr: string, range?: TimeRange): string {
  return `/explore${writeExplore({ ...BLANK, queries: [{ expr, off: false }], range: range ?? LAST_HOUR })}`;
}
