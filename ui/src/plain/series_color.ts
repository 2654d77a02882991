/**
 * Which color a series gets: the same on every page and after every reload, since it hangs on the labels alone.
 *
 * A hash of the labels picks one of ten hues; inside one chart a second series on the same hue moves to the next free
 * one. After ten, hues come again dashed, then dotted; after thirty, lines are grey. A few labels mean a color by
 * themselves (`code="503"`, `mode="idle"`): those take the severity's token.
 */

import { seriesKey, type Labels } from './series.ts';

export interface Ink {
  /** A CSS custom property, without `var()`. */
  readonly token: string;
  /** Canvas dash pattern; empty is a full line. */
  readonly dash: readonly number[];
}

const HUES = 10;
const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 3]];

/** FNV-1a, 32 bits: short and well spread on short text. */
export function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    state ^= text.charCodeAt(index);
    state = Math.imul(state, 0x01000193);
  }
  // FNV's low bits are weak; fold the high ones in.
  return ((state >>> 15) ^ state) >>> 0;
}

function meaning(labels: Labels): string | null {
  const code = labels.code ?? labels.status ?? labels.status_code;
  if (code !== undefined && /^5\d\d$|^5xx$/i.test(code)) return '--crit';
  if (code !== undefined && /^4\d\d$|^4xx$/i.test(code)) return '--warn';
  if (labels.mode === 'idle') return '--unknown';
  const state = labels.state ?? labels.status ?? labels.result;
  if (state !== undefined && /^(error|failed|failure|critical)$/i.test(state)) return '--crit';
  return null;
}

/** One ink per series, in order. `salt` tells equal labels of different queries apart. */
export function inks(series: readonly Labels[], salt = ''): Ink[] {
  const taken = new Set<string>();
  return series.map((labels) => {
    const fixed = meaning(labels);
    if (fixed !== null && !taken.has(fixed)) {
      taken.add(fixed);
      return { token: fixed, dash: [] };
    }
    const home = hash(salt + seriesKey(labels)) % HUES;
    for (const [round, dash] of DASHES.entries()) {
      for (let step = 0; step < HUES; step += 1) {
        const hue = (home + step) % HUES;
        const slot = `${hue}/${round}`;
        if (taken.has(slot)) continue;
        taken.add(slot);
        return { token: `--c${hue}`, dash };
      }
    }
    return { token: '--unknown', dash: [] };
  });
}
