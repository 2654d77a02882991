/** Services, their instances and checks: the registry's answers joined with what is scraped. */

import type { Target } from './target.ts';

export type State = 'ok' | 'warn' | 'crit' | 'unknown';

/** One row of `GET /ui/services`. */
export interface Service {
  readonly name: string;
  readonly instances: number;
  readonly passing: number;
  readonly warning: number;
  readonly critical: number;
  /** How it was found: `registry`, or a discovery mechanism such as `static_configs`. */
  readonly how: string;
  readonly scraped: boolean;
  readonly targets_up: number;
  readonly targets_down: number;
  readonly tags: readonly string[];
}

export interface Judged { readonly state: State; readonly word: string }

/** One word for a service: checks first, then its targets. */
export function judge(service: Service): Judged {
  if (service.critical > 0) return { state: 'crit', word: service.critical >= service.instances ? 'down' : 'failing' };
  if (service.warning > 0) return { state: 'warn', word: 'warning' };
  if (service.targets_down > 0) return { state: 'crit', word: service.targets_up === 0 ? 'unreachable' : 'partly down' };
  if (service.passing > 0 || service.targets_up > 0) return { state: 'ok', word: 'ok' };
  return { state: 'unknown', word: 'unknown' };
}

const RANK: Record<State, number> = { crit: 0, warn: 1, unknown: 2, ok: 3 };

/** What needs eyes first, then by name. */
export function ordered(services: readonly Service[]): Service[] {
  return [...services].sort((a, b) => RANK[judge(a).state] - RANK[judge(b).state] || (a.name < b.name ? -1 : 1));
}

export interface ServiceFilter { readonly text: string; readonly states: ReadonlySet<State> }

export function filterServices(services: readonly Service[], filter: ServiceFilter): Service[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter((word) => word !== '');
  return services.filter((service) => {
    if (filter.states.size > 0 && !filter.states.has(judge(service).state)) return false;
    const text = `${service.name} ${service.how} ${service.tags.join(' ')}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** An entry of `GET /v1/health/service/NAME`, the fields that are read. */
export interface HealthEntry {
  readonly Node: { readonly Node: string; readonly Address: string };
  readonly Service: { readonly ID: string; readonly Service: string; readonly Tags: readonly string[] | null; readonly Address: string; readonly Port: number };
  readonly Checks: readonly { readonly CheckID: string; readonly Name: string; readonly Status: string; readonly Output: string; readonly ServiceID: string }[];
}

export interface Check { readonly id: string; readonly name: string; readonly state: State; readonly word: string; readonly output: string }

export interface Instance {
  readonly id: string;
  readonly node: string;
  readonly address: string;
  readonly tags: readonly string[];
  readonly state: State;
  readonly word: string;
  readonly checks: readonly Check[];
  readonly target: Target | null;
}

const CHECK_STATE: Record<string, State> = { passing: 'ok', warning: 'warn', critical: 'crit' };

const hostPort = (host: string, port: number): string => (port === 0 ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`);

/** The instances the registry knows, each with its target when one is scraped. */
export function fromRegistry(entries: readonly HealthEntry[], targets: readonly Target[]): Instance[] {
  return entries.map((entry) => {
    const host = entry.Service.Address !== '' ? entry.Service.Address : entry.Node.Address;
    const address = hostPort(host, entry.Service.Port);
    const checks = entry.Checks.map((check): Check => ({ id: check.CheckID, name: check.Name || check.CheckID, state: CHECK_STATE[check.Status] ?? 'unknown', word: check.Status, output: check.Output }));
    const worst = checks.reduce<State>((state, check) => (RANK[check.state] < RANK[state] ? check.state : state), 'ok');
    const target = targets.find((one) => one.discoveredLabels.__meta_consul_service_id === entry.Service.ID && one.discoveredLabels.__meta_consul_service === entry.Service.Service)
      ?? targets.find((one) => one.discoveredLabels.__address__ === address)
      ?? null;
    const words: Record<State, string> = { ok: 'passing', warn: 'warning', crit: 'critical', unknown: 'unknown' };
    return { id: entry.Service.ID, node: entry.Node.Node, address, tags: entry.Service.Tags ?? [], state: worst, word: words[worst], checks, target };
  });
}

/** Without a registry an instance is a target, and its one check is the visit. */
export function fromTargets(name: string, targets: readonly Target[]): Instance[] {
  return targets.filter((target) => serviceOf(target) === name).map((target) => ({
    id: target.labels.instance ?? target.scrapeUrl,
    node: target.labels.nodename ?? '',
    address: target.discoveredLabels.__address__ ?? target.labels.instance ?? '',
    tags: [],
    state: target.health === 'up' ? 'ok' : target.health === 'down' ? 'crit' : 'unknown',
    word: target.health,
    checks: [],
    target,
  }));
}

/** The service a target belongs to: the registry's name for it, or its job. */
export function serviceOf(target: Target): string {
  return target.discoveredLabels.__meta_consul_service ?? target.labels.job ?? target.scrapePool;
}
