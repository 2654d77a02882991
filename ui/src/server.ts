/**
 * Talking to our own server, and noticing when it is away.
 *
 * ```text
 *   ok ──request fails──► lost ──probe answers 503──► starting ──probe answers 200──► ok, epoch + 1
 *                           └───────────────probe answers 200────────────────────────┘
 * ```
 * Pages keep their last data meanwhile and ask again when `epoch` moves.
 * Limits: one probe at a time; waits 0.5, 1, 2, 4, then 8 s.
 */

import { createSignal } from 'solid-js';
import { to } from './base.ts';

/** An answer that says no. `type` is the API's own word (`bad_data`, `timeout`, …). */
export class ApiError extends Error {
  constructor(readonly status: number, readonly type: string, message: string) {
    super(message);
    this.name = 'ApiError';
  }
}

/** No answer at all. */
export class Unreachable extends Error {
  constructor() {
    super('the server does not answer');
    this.name = 'Unreachable';
  }
}

export type Reach = { readonly state: 'ok' } | { readonly state: 'lost' | 'starting'; readonly sinceMs: number; readonly nextMs: number };

/** A reader's clock that is off by less is left alone: `Date` has whole seconds. */
const SKEW_MS = 3000;
let skewMs = 0;

/** The server's time: what "now" means in every question. */
export function serverNow(): number {
  return Date.now() + skewMs;
}

function readClock(response: Response): void {
  const at = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(at)) return;
  const off = at + 500 - Date.now();
  skewMs = Math.abs(off) > SKEW_MS ? off : 0;
}

const WAITS_MS = [500, 1000, 2000, 4000, 8000];
const PROBE_TIMEOUT_MS = 4000;

const [reach, setReach] = createSignal<Reach>({ state: 'ok' });
const [epoch, setEpoch] = createSignal(0);
export { epoch, reach };

let attempt = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

function lost(state: 'lost' | 'starting'): void {
  const wait = WAITS_MS[Math.min(attempt, WAITS_MS.length - 1)] ?? 8000;
  attempt += 1;
  const now = Date.now();
  const before = reach();
  setReach({ state, sinceMs: before.state === 'ok' ? now : before.sinceMs, nextMs: now + wait });
  clearTimeout(timer);
  timer = setTimeout(() => void probe(), wait);
}

/** Asks at once whether the server is back. */
export async function probe(): Promise<void> {
  clearTimeout(timer);
  try {
    const answer = await fetch(to('/-/ready'), { cache: 'no-store', signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    // A store that refuses appends also says 503 but answers queries: then the page is of use.
    if (answer.status === 503 && !(await answersQueries())) return lost('starting');
    attempt = 0;
    setReach({ state: 'ok' });
    setEpoch((count) => count + 1);
  } catch {
    lost('lost');
  }
}

async function answersQueries(): Promise<boolean> {
  const answer = await fetch(to('/api/v1/query?query=1'), { cache: 'no-store', signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  return answer.ok;
}

function noticeLoss(state: 'lost' | 'starting'): void {
  if (reach().state === 'ok') {
    attempt = 0;
    lost(state);
  }
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(to(path), init);
    readClock(response);
    return response;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    noticeLoss('lost');
    throw new Unreachable();
  }
}

/** JSON of a path of ours. Errors are `ApiError`, `Unreachable` or an abort. */
export async function ask<T>(path: string, signal?: AbortSignal, body?: URLSearchParams): Promise<T> {
  const init: RequestInit = { headers: { accept: 'application/json' } };
  if (signal) init.signal = signal;
  if (body) Object.assign(init, { method: 'POST', body });
  const response = await send(path, init);
  const text = await response.text().catch(() => {
    if (signal?.aborted === true) throw new DOMException('aborted', 'AbortError');
    noticeLoss('lost');
    throw new Unreachable();
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    if (response.status === 503) noticeLoss('starting');
    throw new ApiError(response.status, 'answer', text.trim().slice(0, 300) || `answer ${response.status} without text`);
  }
  if (!response.ok) {
    const problem = parsed as { errorType?: string; error?: string };
    throw new ApiError(response.status, problem.errorType ?? 'answer', problem.error ?? `answer ${response.status}`);
  }
  return parsed as T;
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
