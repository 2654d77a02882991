/**
 * Time ranges as they stand in the address bar.
 *
 * ```text
 * from=now-1h&to=now              relative, moves with the clock
 * from=now/d&to=now               rounded down to the day
 * from=1763632800000&to=…         absolute, epoch milliseconds
 * ```
 * People may also type `3h`, `yesterday 14:00`, `2026-11-20 08:00 to 09:00`; see {@link parseTyped}.
 */

import { formatClock, formatDate, formatInstant, fromParts, partsOf, type Zone } from './clock.ts';
import { formatDuration, parseDuration, roughDuration } from './duration.ts';

/** The two ends as written. */
export interface TimeRange { readonly from: string; readonly to: string }

/** The two ends as instants, from < to. */
export interface Span { readonly fromMs: number; readonly toMs: number }

export const LAST_HOUR: TimeRange = { from: 'now-1h', to: 'now' };

/** Shortest range that is drawn; below that a zoom does nothing. */
const SHORTEST_MS = 1000;
/** Shortest live range of a server that has just begun. */
const YOUNGEST_MS = 30_000;

const ROUNDINGS: Record<string, (ms: number, zone: Zone) => number> = {
  s: (ms) => Math.floor(ms / 1000) * 1000,
  m: (ms) => Math.floor(ms / 60_000) * 60_000,
  h: (ms, zone) => fromParts({ ...partsOf(ms, zone), minute: 0, second: 0, ms: 0 }, zone),
  d: (ms, zone) => fromParts({ ...partsOf(ms, zone), hour: 0, minute: 0, second: 0, ms: 0 }, zone),
  w: (ms, zone) => {
    const parts = partsOf(ms, zone);
    const weekday = (new Date(Date.UTC(parts.year, parts.month - 1, parts.day)).getUTCDay() + 6) % 7;
    return fromParts({ ...parts, day: parts.day - weekday, hour: 0, minute: 0, second: 0, ms: 0 }, zone);
  },
  M: (ms, zone) => fromParts({ ...partsOf(ms, zone), day: 1, hour: 0, minute: 0, second: 0, ms: 0 }, zone),
  y: (ms, zone) => fromParts({ ...partsOf(ms, zone), month: 1, day: 1, hour: 0, minute: 0, second: 0, ms: 0 }, zone),
};

/** One end (`now-1h`, `now/d`, epoch milliseconds, an ISO date) as an instant; null when it is none of these. */
export function resolveEnd(text: string, nowMs: number, zone: Zone): number | null {
  const relative = /^now(?:([+-])([0-9a-z.]+?))?(?:\/([smhdwMy]))?$/.exec(text.trim());
  if (relative) {
    let at = nowMs;
    if (relative[2] !== undefined) {
      const length = /^\d/.test(relative[2]) && /[a-z]/.test(relative[2]) ? parseDuration(relative[2]) : null;
      if (length === null) return null;
      at += relative[1] === '-' ? -length : length;
    }
    return relative[3] === undefined ? at : (ROUNDINGS[relative[3]]?.(at, zone) ?? at);
  }
  if (/^\d{13}$/.test(text)) return Number(text);
  if (/^\d{9,10}(\.\d+)?$/.test(text)) return Number(text) * 1000;
  return parseInstant(text, nowMs, zone)?.ms ?? null;
}

/** Both ends, ordered and at least a second apart; null when an end cannot be read. */
export function resolve(range: TimeRange, nowMs: number, zone: Zone): Span | null {
  const from = resolveEnd(range.from, nowMs, zone);
  const to = resolveEnd(range.to, nowMs, zone);
  if (from === null || to === null || !Number.isFinite(from) || !Number.isFinite(to)) return null;
  if (to - from < SHORTEST_MS) return null;
  return { fromMs: from, toMs: to };
}

export function isLive(range: TimeRange): boolean {
  return range.to.startsWith('now');
}

/** A live range begins where the data begins, lest a young server show an empty hour; never shorter than {@link YOUNGEST_MS}. */
export function sinceData(range: TimeRange, span: Span, dataFromMs: number | null): Span {
  if (dataFromMs === null || range.to !== 'now' || dataFromMs <= span.fromMs) return span;
  return { fromMs: Math.max(span.fromMs, Math.min(dataFromMs, span.toMs - YOUNGEST_MS)), toMs: span.toMs };
}

export function absolute(span: Span): TimeRange {
  return { from: String(Math.round(span.fromMs)), to: String(Math.round(span.toMs)) };
}

/** The range moved by half its length: −1 earlier, +1 later. */
export function shift(span: Span, direction: -1 | 1): TimeRange {
  const half = (span.toMs - span.fromMs) / 2;
  return absolute({ fromMs: span.fromMs + direction * half, toMs: span.toMs + direction * half });
}

/** Twice as long: a live range keeps its end at now, an absolute one grows to both sides. */
export function zoomOut(range: TimeRange, span: Span): TimeRange {
  const length = span.toMs - span.fromMs;
  if (range.to === 'now') return { from: `now-${formatDuration(Math.round(length / 500) * 1000)}`, to: 'now' };
  return absolute({ fromMs: span.fromMs - length / 2, toMs: span.toMs + length / 2 });
}

/** How the range reads on the button. */
export function describe(range: TimeRange, nowMs: number, zone: Zone): string {
  const plain = /^now-([0-9a-z]+)$/.exec(range.from);
  if (plain && range.to === 'now') {
    const length = parseDuration(plain[1] ?? '');
    if (length !== null) return `last ${roughDuration(length)}`;
  }
  if (range.from === 'now/d' && range.to === 'now') return 'today';
  if (range.from === 'now-1d/d' && range.to === 'now/d') return 'yesterday';
  const span = resolve(range, nowMs, zone);
  if (span === null) return `${range.from} to ${range.to}`;
  const seconds = (span.toMs - span.fromMs) < 120_000;
  const sameDay = formatDate(span.fromMs, zone) === formatDate(span.toMs, zone);
  const today = formatDate(span.fromMs, zone) === formatDate(nowMs, zone);
  const date = (ms: number): string => (today && sameDay ? '' : `${formatDate(ms, zone)} `);
  const to = formatClock(span.toMs, zone, seconds);
  return `${date(span.fromMs)}${formatClock(span.fromMs, zone, seconds)} – ${sameDay ? to : `${date(span.toMs)}${to}`}`;
}

/** The end as people edit it: relative text stays, instants become calendar text. */
export function editableEnd(text: string, nowMs: number, zone: Zone): string {
  if (text.startsWith('now')) return text;
  const at = resolveEnd(text, nowMs, zone);
  return at === null ? text : formatInstant(at, zone);
}

interface Instant { ms: number; /** How much calendar the text named: a whole day, or a moment in it. */ whole: 'day' | 'moment' }

/** `2026-11-20`, `2026-11-20 08:00[:30[.5]]` (`T` and `Z` allowed), `yesterday 14:00`, `today`, `14:00`. */
function parseInstant(text: string, nowMs: number, zone: Zone): Instant | null {
  const match = /^(?:(\d{4})-(\d{1,2})-(\d{1,2})|(today|yesterday))?[T ]*(?:(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?)?\s*(z|utc)?$/i.exec(text.trim());
  if (!match) return null;
  const [, year, month, day, word, hour, minute, second, fraction, mark] = match;
  if (year === undefined && word === undefined && hour === undefined) return null;
  const where: Zone = mark === undefined ? zone : 'utc';
  const base = partsOf(nowMs, where);
  const parts = { ...base, hour: Number(hour ?? 0), minute: Number(minute ?? 0), second: Number(second ?? 0), ms: Number((fraction ?? '0').padEnd(3, '0')) };
  if (year !== undefined) Object.assign(parts, { year: Number(year), month: Number(month), day: Number(day) });
  if (word?.toLowerCase() === 'yesterday') parts.day -= 1;
  if (parts.month < 1 || parts.month > 12 || parts.day > 31 || parts.hour > 24 || parts.minute > 59 || parts.second > 59) return null;
  return { ms: fromParts(parts, where), whole: hour === undefined ? 'day' : 'moment' };
}

/**
 * What a person typed, as a range; null when it cannot be read.
 *
 * `3h` and `last 90 min` are relative; a day is that day; a moment is the hour that starts there; `A to B` is both, and
 * a bare clock time in B belongs to the day of A.
 */
export function parseTyped(text: string, nowMs: number, zone: Zone): TimeRange | null {
  const clean = text.trim().replace(/^last\s+/i, '');
  if (clean === '') return null;
  const length = /^\d+(\.\d+)?$/.test(clean) ? null : parseDuration(clean);
  if (length !== null && length >= SHORTEST_MS) return { from: `now-${formatDuration(length)}`, to: 'now' };
  if (/^today$/i.test(clean)) return { from: 'now/d', to: 'now' };
  if (/^yesterday$/i.test(clean)) return { from: 'now-1d/d', to: 'now/d' };
  const ends = clean.split(/\s+(?:to|until|–|—)\s+|\s*\.\.\s*/i);
  if (ends.length === 2) {
    const [first = '', second = ''] = ends;
    const from = resolveEnd(first, nowMs, zone);
    if (from === null) return null;
    const bareClock = /^\d{1,2}:\d{2}/.test(second.trim());
    const to = bareClock ? (parseInstant(second, from, zone)?.ms ?? null) : resolveEnd(second, nowMs, zone);
    if (to === null) return null;
    const range = {
      from: /^now/.test(first) ? first : String(from),
      to: /^now/.test(second) ? second : String(to),
    };
    return resolve(range, nowMs, zone) === null ? null : range;
  }
  if (/^now./.test(clean)) return resolve({ from: clean, to: 'now' }, nowMs, zone) ? { from: clean, to: 'now' } : null;
  const instant = parseInstant(clean, nowMs, zone);
  if (instant === null) return null;
  const end = instant.whole === 'day'
    ? fromParts({ ...partsOf(instant.ms, zone), day: partsOf(instant.ms, zone).day + 1 }, zone)
    : instant.ms + 3_600_000;
  return absolute({ fromMs: instant.ms, toMs: end });
}

/** Ranges offered in the dialog. */
export const QUICK_RANGES: readonly { label: string; range: TimeRange }[] = [
  ...['5m', '15m', '30m', '1h', '3h', '6h', '12h', '24h', '2d', '7d', '30d', '90d'].map((length) => ({
    label: `last ${roughDuration(parseDuration(length) ?? 0)}`,
    range: { from: `now-${length}`, to: 'now' },
  })),
  { label: 'today', range: { from: 'now/d', to: 'now' } },
  { label: 'yesterday', range: { from: 'now-1d/d', to: 'now/d' } },
];
