/** Our own joins under `/ui/` and the registry's `/v1/`: see API.md for the shapes. */

import { ask } from './server.ts';
import type { HealthEntry, Service } from './plain/service.ts';

export interface Machine { readonly hostname: string; readonly os: string; readonly cores: number; readonly memory_bytes: number; readonly instance: string | null }
export interface Part { readonly name: string; readonly state: 'running' | 'restarting' | 'failed' | 'degraded'; readonly error: string | null; readonly restarts: number; readonly address: string | null }
export interface Port { readonly address: string; readonly port: number; readonly pid: number | null; readonly program: string | null; readonly line: string }

export interface Overview {
  readonly machine: Machine;
  readonly server: { readonly version: string; readonly started_ms: number; readonly data_from_ms: number | null; readonly registry: boolean; readonly warnings: readonly { readonly role: string; readonly text: string }[]; readonly parts: readonly Part[] };
  readonly services: readonly Service[];
  readonly ports: readonly Port[];
}

export function overview(signal?: AbortSignal): Promise<Overview> {
  return ask<Overview>('/ui/overview', signal);
}

export function services(signal?: AbortSignal): Promise<{ readonly registry: boolean; readonly services: readonly Service[] }> {
  return ask('/ui/services', signal);
}

export function healthOf(service: string, signal?: AbortSignal): Promise<readonly HealthEntry[]> {
  return ask<readonly HealthEntry[]>(`/v1/health/service/${encodeURIComponent(service)}`, signal);
}
