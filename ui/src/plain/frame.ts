/**
 * A range answer laid out for drawing: one clock, one column per series, `null` where there is no sample.
 *
 * ```text
 * times    t0   t1   t2   t3          seconds, every step of the range
 * column   1.0  null 3.0  3.5         a gap stays a gap
 * ```
 */

import { parseValue } from './number.ts';
import type { Labels } from './series.ts';

export interface RangeSeries { metric: Labels; values?: [number, string][]; histograms?: unknown[] }

export interface Stats { last: number | null; mean: number | null; min: number | null; max: number | null }

export interface Column { readonly labels: Labels; readonly values: (number | null)[]; readonly stats: Stats }

export interface Frame { readonly times: number[]; readonly columns: Column[]; /** Series with native histograms alone: not drawn. */ readonly skipped: number }

export function statsOf(values: readonly (number | null)[]): Stats {
  let sum = 0;
  let count = 0;
  let min = Infinity;
  let max = -Infinity;
  let last: number | null = null;
  for (const value of values) {
    if (value === null) continue;
    last = value;
    sum += value;
    count += 1;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (count === 0) return { last: null, mean: null, min: null, max: null };
  return { last, mean: sum / count, min, max };
}

/** `startS`, `endS` and `stepS` are those of the request: every answer's sample lies on that grid. */
export function frameOf(series: readonly RangeSeries[], startS: number, endS: number, stepS: number): Frame {
  const length = Math.max(1, Math.floor((endS - startS) / stepS + 1e-6) + 1);
  const times = Array.from({ length }, (_, index) => startS + index * stepS);
  const columns: Column[] = [];
  let skipped = 0;
  for (const one of series) {
    if (one.values === undefined) {
      skipped += 1;
      continue;
    }
    const values = new Array<number | null>(length).fill(null);
    for (const [at, text] of one.values) {
      const index = Math.round((at - startS) / stepS);
      const value = parseValue(text);
      if (index >= 0 && index < length && Number.isFinite(value)) values[index] = value;
    }
    columns.push({ labels: one.metric, values, stats: statsOf(values) });
  }
  return { times, columns, skipped };
}

/** Steps that give about `points` points and that people can read: 1, 2, 5, 10, 15, 30 s, 1 min … */
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800];

/** Seconds; never so fine that the server refuses (11 000 points a series). */
export function autoStep(lengthMs: number, points: number): number {
  const ideal = lengthMs / 1000 / Math.max(1, Math.min(points, 10_000));
  return STEPS_S.find((step) => step >= ideal) ?? Math.ceil(ideal / 86_400) * 86_400;
}
