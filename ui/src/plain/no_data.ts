/** What a query that answered nothing is made of: the selectors and the shortest window, found by reading the text. */

import { parseDuration } from './duration.ts';

export interface Selector { readonly metric: string; readonly matchers: readonly string[] }

const WORDS = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'and', 'or', 'unless', 'bool', 'offset', 'start', 'end', 'inf', 'nan', 'atan2']);

/** Plain selectors in the order they stand: `name{a="b"}`, `name`, `{__name__="x"}`. */
export function selectorsOf(query: string): Selector[] {
  const strings: string[] = [];
  const masked = query
    .replace(/#[^\n]*/g, '')
    .replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, (text) => `\u0000${strings.push(text) - 1}\u0000`)
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)/gi, ' ');
  const found: Selector[] = [];
  const pattern = /([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*\{([^{}]*)\}|([a-zA-Z_:][a-zA-Z0-9_:]*)(?![a-zA-Z0-9_:]|\s*[({])/g;
  const bare = masked.replace(/\[[^\]]*\]/g, ' ');
  for (const match of bare.matchAll(pattern)) {
    const [, before = '', inside, alone] = match;
    if (alone !== undefined) {
      if (!WORDS.has(alone.toLowerCase()) && !/^\d/.test(alone) && !(match.index > 0 && /[0-9.]/.test(bare[match.index - 1] ?? ''))) found.push({ metric: alone, matchers: [] });
      continue;
    }
    const matchers = (inside ?? '').split(',').map((part) => part.replace(/\u0000(\d+)\u0000/g, (_, index) => strings[Number(index)] ?? '').trim()).filter((part) => part !== '');
    found.push({ metric: WORDS.has(before.toLowerCase()) ? '' : before, matchers });
  }
  return found;
}

/** The shortest range in brackets, milliseconds; null when there is none. */
export function shortestWindow(query: string): { text: string; ms: number } | null {
  let best: { text: string; ms: number } | null = null;
  for (const match of query.matchAll(/\[\s*([0-9a-z.]+)\s*(?::[^\]]*)?\]/g)) {
    const ms = parseDuration(match[1] ?? '');
    if (ms !== null && (best === null || ms < best.ms)) best = { text: match[1] ?? '', ms };
  }
  return best;
}

export function selectorText(selector: Selector, matchers = selector.matchers.length): string {
  const inside = selector.matchers.slice(0, matchers).join(', ');
  return inside === '' && selector.metric !== '' ? selector.metric : `${selector.metric}{${inside}}`;
}
