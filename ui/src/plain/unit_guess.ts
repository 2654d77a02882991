/** The unit of a query's answer, guessed from metric suffixes; `none` as soon as arithmetic makes it doubtful. */

import type { Unit } from './number.ts';

/** Functions whose answer is a count or a flag, whatever they are given. */
const COUNTING = /\b(count|count_values|absent|absent_over_time|changes|resets|group|count_over_time|present_over_time|sgn|timestamp|time)\b\s*(by|without|\()/;
const RATES = /\b(rate|irate|deriv)\s*\(/;

export function guessUnit(query: string): Unit {
  const bare = query
    .replace(/#[^\n]*/g, '')
    .replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, '')
    .replace(/\{[^{}]*\}/g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)/g, '$1 ');
  if (COUNTING.test(bare)) return 'none';
  if (/[*/%^]|\b(and|or|unless|bool)\b|[<>=]=?/.test(bare)) return 'none';
  const metrics = bare.match(/[a-zA-Z_:][a-zA-Z0-9_:]*_(?:bytes|seconds|ratio|bytes_total|seconds_total|bytes_sum|seconds_sum|seconds_bucket|bytes_bucket|timestamp_seconds|time_seconds)\b/g) ?? [];
  if (metrics.length === 0) return 'none';
  const kinds = new Set(metrics.map((name) => kindOf(name)));
  const [kind] = kinds;
  if (kinds.size !== 1 || kind === undefined) return 'none';
  const quantile = /\bhistogram_quantile\s*\(/.test(bare);
  const rate = RATES.test(bare) && !quantile;
  if (kind === 'timestamp') return 'none';
  if (kind === 'bytes') return rate ? 'bytes/s' : 'bytes';
  // Seconds per second are a share of time, not a time.
  if (kind === 'seconds') return rate ? 'none' : quantile || !/_bucket\b/.test(bare) ? 'seconds' : 'none';
  return 'ratio';
}

function kindOf(name: string): 'bytes' | 'seconds' | 'ratio' | 'timestamp' {
  if (/timestamp_seconds$|(start|boot)_time_seconds$/.test(name)) return 'timestamp';
  if (/_bytes/.test(name)) return 'bytes';
  return /_ratio$/.test(name) ? 'ratio' : 'seconds';
}
