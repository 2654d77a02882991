/**
 * A live line that asks only for its end.
 *
 * The first visit asks for the whole window, later ones from the newest known step on; what falls out of the window is
 * dropped. Steps lie on multiples of the step, so that old and new points meet exactly.
 */

export interface Line { readonly times: readonly number[]; readonly values: readonly number[] }

export const EMPTY: Line = { times: [], values: [] };

export interface Ask { readonly startS: number; readonly endS: number; readonly stepS: number }

/** What to ask so that `line` covers the `windowS` seconds before `nowS`. The two newest steps are asked again: their samples may have come late. */
export function nextAsk(newestS: number | null, nowS: number, windowS: number, stepS: number): Ask {
  const endS = Math.floor(nowS / stepS) * stepS;
  const whole = Math.ceil((nowS - windowS) / stepS) * stepS;
  const again = newestS === null ? whole : newestS - stepS;
  return { startS: Math.min(endS, Math.max(whole, again)), endS, stepS };
}

/** `line` with everything from `ask.startS` on replaced by `fresh`, cut to the window that ends at `ask.endS`. */
export function extend(line: Line, fresh: Line, ask: Ask, windowS: number): Line {
  const oldest = ask.endS - windowS;
  const times: number[] = [];
  const values: number[] = [];
  for (const [index, at] of line.times.entries()) {
    if (at < oldest || at >= ask.startS - ask.stepS / 2) continue;
    times.push(at);
    values.push(line.values[index] ?? 0);
  }
  return { times: [...times, ...fresh.times], values: [...values, ...fresh.values] };
}
