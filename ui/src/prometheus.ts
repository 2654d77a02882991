/** The query API, typed as far as the page reads it. */

import { ask, ApiError } from './server.ts';
import type { RangeSeries } from './plain/frame.ts';
import type { Labels } from './plain/series.ts';
import type { DroppedTarget, Target } from './plain/target.ts';

interface Envelope<T> { readonly status: 'success' | 'error'; readonly data: T; readonly error?: string; readonly errorType?: string; readonly warnings?: string[]; readonly infos?: string[] }

export interface Answer<T> { readonly data: T; readonly warnings: readonly string[]; readonly infos: readonly string[] }

async function call<T>(path: string, signal?: AbortSignal, body?: URLSearchParams): Promise<Answer<T>> {
  const envelope = await ask<Envelope<T>>(`/api/v1/${path}`, signal, body);
  if (envelope.status !== 'success') throw new ApiError(200, envelope.errorType ?? 'answer', envelope.error ?? 'the answer is no success and names no error');
  return { data: envelope.data, warnings: envelope.warnings ?? [], infos: envelope.infos ?? [] };
}

export interface VectorSample { metric: Labels; value?: [number, string]; histogram?: unknown }
export type InstantData =
  | { resultType: 'vector'; result: VectorSample[] }
  | { resultType: 'matrix'; result: RangeSeries[] }
  | { resultType: 'scalar'; result: [number, string] }
  | { resultType: 'string'; result: [number, string] };

export function queryRange(query: string, startS: number, endS: number, stepS: number, signal?: AbortSignal): Promise<Answer<{ resultType: 'matrix'; result: RangeSeries[] }>> {
  return call('query_range', signal, new URLSearchParams({ query, start: String(startS), end: String(endS), step: String(stepS) }));
}

export function query(expr: string, timeS: number | null, signal?: AbortSignal): Promise<Answer<InstantData>> {
  const body = new URLSearchParams({ query: expr });
  if (timeS !== null) body.set('time', String(timeS));
  return call('query', signal, body);
}

/** An instant query whose answer must be a vector of floats. */
export async function vector(expr: string, signal?: AbortSignal, timeS: number | null = null): Promise<{ metric: Labels; value: number }[]> {
  const { data } = await query(expr, timeS, signal);
  if (data.resultType !== 'vector') return [];
  return data.result.flatMap((one) => (one.value === undefined ? [] : [{ metric: one.metric, value: Number(one.value[1]) }]));
}

export interface MetricMetadata { readonly type: string; readonly help: string; readonly unit: string }

export async function metricNames(signal?: AbortSignal): Promise<string[]> {
  return (await call<string[] | null>('label/__name__/values', signal)).data ?? [];
}

export async function metadata(signal?: AbortSignal): Promise<Record<string, MetricMetadata[]>> {
  return (await call<Record<string, MetricMetadata[]> | null>('metadata', signal)).data ?? {};
}

export async function labelNamesOf(selector: string, signal?: AbortSignal): Promise<string[]> {
  const body = new URLSearchParams();
  if (selector !== '') body.set('match[]', selector);
  return (await call<string[] | null>('labels', signal, body)).data ?? [];
}

export async function labelValuesOf(label: string, selector: string, signal?: AbortSignal): Promise<string[]> {
  const match = selector === '' ? '' : `?match[]=${encodeURIComponent(selector)}`;
  return (await call<string[] | null>(`label/${encodeURIComponent(label)}/values${match}`, signal)).data ?? [];
}

export async function seriesOf(selector: string, signal?: AbortSignal): Promise<Labels[]> {
  return (await call<Labels[] | null>('series', signal, new URLSearchParams({ 'match[]': selector, limit: '2000' }))).data ?? [];
}

export interface Targets { readonly activeTargets: Target[]; readonly droppedTargets: DroppedTarget[] }

export async function targets(state: 'active' | 'dropped' | 'any', signal?: AbortSignal): Promise<Targets> {
  const data = (await call<Partial<Targets>>(`targets?state=${state}`, signal)).data;
  return { activeTargets: data.activeTargets ?? [], droppedTargets: data.droppedTargets ?? [] };
}

export interface RuntimeInfo { readonly startTime: string; readonly storageRetention: string; readonly reloadConfigSuccess: boolean; readonly lastConfigTime: string }

export async function runtimeInfo(signal?: AbortSignal): Promise<RuntimeInfo> {
  return (await call<RuntimeInfo>('status/runtimeinfo', signal)).data;
}

/** Series in the head. */
export async function headSeries(signal?: AbortSignal): Promise<number> {
  return (await call<{ headStats: { numSeries: number } }>('status/tsdb?limit=1', signal)).data.headStats.numSeries;
}
