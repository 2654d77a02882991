/** Calendar text in the reader's zone: 24-hour clock and ISO dates, everywhere. Times are epoch milliseconds. */

export type Zone = 'local' | 'utc';

export interface Parts { year: number; month: number; day: number; hour: number; minute: number; second: number; ms: number }

/** The calendar fields of an instant. Month counts from 1. */
export function partsOf(ms: number, zone: Zone): Parts {
  const at = new Date(ms);
  return zone === 'utc'
    ? { year: at.getUTCFullYear(), month: at.getUTCMonth() + 1, day: at.getUTCDate(), hour: at.getUTCHours(), minute: at.getUTCMinutes(), second: at.getUTCSeconds(), ms: at.getUTCMilliseconds() }
    : { year: at.getFullYear(), month: at.getMonth() + 1, day: at.getDate(), hour: at.getHours(), minute: at.getMinutes(), second: at.getSeconds(), ms: at.getMilliseconds() };
}

/** The instant of calendar fields; days and hours may run over, as in `Date`. */
export function fromParts(parts: Parts, zone: Zone): number {
  const { year, month, day, hour, minute, second, ms } = parts;
  return zone === 'utc'
    ? Date.UTC(year, month - 1, day, hour, minute, second, ms)
    : new Date(year, month - 1, day, hour, minute, second, ms).getTime();
}

const two = (n: number): string => String(n).padStart(2, '0');

export function formatDate(ms: number, zone: Zone): string {
  const p = partsOf(ms, zone);
  return `${p.year}-${two(p.month)}-${two(p.day)}`;
}

export function formatClock(ms: number, zone: Zone, seconds = true): string {
  const p = partsOf(ms, zone);
  return seconds ? `${two(p.hour)}:${two(p.minute)}:${two(p.second)}` : `${two(p.hour)}:${two(p.minute)}`;
}

/** `2026-11-20 08:00:00`, with milliseconds only when there are any. */
export function formatInstant(ms: number, zone: Zone): string {
  const fraction = ((Math.round(ms) % 1000) + 1000) % 1000;
  const tail = fraction === 0 ? '' : `.${String(fraction).padStart(3, '0')}`;
  return `${formatDate(ms, zone)} ${formatClock(ms, zone)}${tail}`;
}

/** `UTC` or the local offset: `UTC+02:00`. */
export function zoneName(zone: Zone, atMs: number): string {
  if (zone === 'utc') return 'UTC';
  const offset = -new Date(atMs).getTimezoneOffset();
  if (offset === 0) return 'UTC';
  const size = Math.abs(offset);
  return `UTC${offset < 0 ? '−' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** Labels for ticks of a time axis: the shortest text that tells neighbours apart, with the date where the day changes. */
export function tickLabels(ticksMs: readonly number[], stepMs: number, zone: Zone): string[] {
  let lastDay = '';
  return ticksMs.map((tick, index) => {
    const day = formatDate(tick, zone);
    const changed = day !== lastDay;
    lastDay = day;
    if (stepMs >= 86_400_000) return stepMs >= 28 * 86_400_000 ? day.slice(0, 7) : day.slice(5);
    const p = partsOf(tick, zone);
    if (changed && (index > 0 || (p.hour === 0 && p.minute === 0 && p.second === 0))) return day.slice(5);
    if (stepMs < 1000) return `${formatClock(tick, zone)}.${String(p.ms).padStart(3, '0')}`;
    return formatClock(tick, zone, stepMs < 60_000);
  });
}
