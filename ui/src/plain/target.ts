/** Targets as the server lists them: grouping by pool, filtering, counting. */

import type { Labels } from './series.ts';

export type Health = 'up' | 'down' | 'unknown';

export interface Target {
  readonly discoveredLabels: Labels;
  readonly labels: Labels;
  readonly scrapePool: string;
  readonly scrapeUrl: string;
  readonly globalUrl: string;
  readonly lastError: string;
  readonly lastScrape: string;
  readonly lastScrapeDuration: number;
  readonly health: Health;
  readonly scrapeInterval: string;
  readonly scrapeTimeout: string;
}

export interface DroppedTarget { readonly discoveredLabels: Labels; readonly scrapePool?: string }

export interface TargetFilter { readonly text: string; readonly states: ReadonlySet<Health>; readonly pool: string }

const haystacks = new WeakMap<object, string>();

function haystack(target: Target): string {
  let text = haystacks.get(target);
  if (text === undefined) {
    const labels = Object.entries(target.labels).map(([name, value]) => `${name}="${value}"`).join(' ');
    text = `${target.scrapeUrl} ${target.scrapePool} ${labels} ${target.lastError}`.toLowerCase();
    haystacks.set(target, text);
  }
  return text;
}

/** Every word of the text must occur; no state chosen means all. */
export function filterTargets(targets: readonly Target[], filter: TargetFilter): Target[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter((word) => word !== '');
  return targets.filter((target) => (filter.states.size === 0 || filter.states.has(target.health))
    && (filter.pool === '' || filter.pool === target.scrapePool)
    && words.every((word) => haystack(target).includes(word)));
}

export interface Pool { readonly name: string; readonly targets: Target[]; readonly up: number; readonly down: number; readonly unknown: number }

/** Pools in the order of their names; inside, what is down comes first, then by address. */
export function poolsOf(targets: readonly Target[]): Pool[] {
  const groups = new Map<string, Target[]>();
  for (const target of targets) {
    const group = groups.get(target.scrapePool);
    if (group) group.push(target);
    else groups.set(target.scrapePool, [target]);
  }
  const rank: Record<Health, number> = { down: 0, unknown: 1, up: 2 };
  return [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, group]) => ({
    name,
    targets: group.sort((a, b) => rank[a.health] - rank[b.health] || (a.scrapeUrl < b.scrapeUrl ? -1 : a.scrapeUrl > b.scrapeUrl ? 1 : 0)),
    ...countStates(group),
  }));
}

export function countStates(targets: readonly Target[]): { up: number; down: number; unknown: number } {
  const counts = { up: 0, down: 0, unknown: 0 };
  for (const target of targets) counts[target.health in counts ? target.health : 'unknown'] += 1;
  return counts;
}

/** Why a visit failed, without what the row says already: `Get "URL": dial tcp ADDRESS: connect: connection refused` → `connection refused`. */
export function shortError(target: Pick<Target, 'lastError' | 'scrapeUrl'>): string {
  const get = `Get "${target.scrapeUrl}": `;
  const text = target.lastError.startsWith(get) ? target.lastError.slice(get.length) : target.lastError;
  return text.replace(/^dial tcp \S+: (?:connect: )?(?=\S)/, '');
}

/** Only web addresses become links: labels are the users' own text. */
export function safeHref(url: string): string | null {
  return /^https?:\/\//i.test(url) ? url : null;
}
