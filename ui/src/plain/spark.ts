/** Paths of the small charts, in a box of `width` × `height`. */

import type { Line } from './tail.ts';

export interface Box { readonly width: number; readonly height: number; readonly fromS: number; readonly toS: number; readonly low: number; readonly high: number }

/** Lowest and highest value with some air; zero stays in when the data is near it. */
export function spanOf(lines: readonly Line[], top: number | null): { low: number; high: number } {
  let low = Infinity;
  let high = -Infinity;
  for (const line of lines) {
    for (const value of line.values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (!Number.isFinite(low)) return { low: 0, high: 1 };
  if (top !== null) return { low: 0, high: Math.max(top, high) };
  if (high === low) return { low: Math.min(0, low), high: high === 0 ? 1 : Math.max(0, high) * 1.5 };
  if (low >= 0 && low < high * 0.6) low = 0;
  return { low, high: high + (high - low) * 0.1 };
}

/** Points farther apart than `gapS` are not joined. */
export function paths(line: Line, box: Box, gapS: number): { stroke: string; fill: string } {
  const x = (at: number): number => ((at - box.fromS) / (box.toS - box.fromS)) * box.width;
  const y = (value: number): number => box.height - ((value - box.low) / (box.high - box.low || 1)) * (box.height - 2) - 1;
  let stroke = '';
  let fill = '';
  let start = NaN;
  let before = NaN;
  for (const [index, at] of line.times.entries()) {
    const px = x(at);
    const py = y(line.values[index] ?? 0);
    const joins = at - before <= gapS;
    if (!joins) {
      if (!Number.isNaN(before)) fill += `L${x(before).toFixed(1)} ${box.height}L${start.toFixed(1)} ${box.height}Z`;
      start = px;
    }
    const step = `${joins ? 'L' : 'M'}${px.toFixed(1)} ${py.toFixed(1)}`;
    stroke += step;
    fill += step;
    before = at;
  }
  if (!Number.isNaN(before)) fill += `L${x(before).toFixed(1)} ${box.height}L${start.toFixed(1)} ${box.height}Z`;
  return { stroke, fill };
}
