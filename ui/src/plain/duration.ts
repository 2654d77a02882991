/** Durations in the form PromQL writes them: `1h30m`, `250ms`, `1d`. Lengths are milliseconds. */

const UNIT_MS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** Words people type for the units above. */
const WORDS: Record<string, string> = {
  sec: 's', secs: 's', second: 's', seconds: 's',
  min: 'm', mins: 'm', minute: 'm', minutes: 'm',
  hour: 'h', hours: 'h', hr: 'h', hrs: 'h',
  day: 'd', days: 'd', week: 'w', weeks: 'w', year: 'y', years: 'y',
};

/** `1h30m` or `90 min` in milliseconds; null when the text is no duration. A bare number counts as seconds. */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim().toLowerCase();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed) * 1000;
  const part = /\s*(\d+(?:\.\d+)?)\s*([a-z]+)/gy;
  let total = 0;
  let end = 0;
  for (let match = part.exec(trimmed); match !== null; match = part.exec(trimmed)) {
    const word = match[2] ?? '';
    const unit = UNIT_MS[WORDS[word] ?? word];
    if (unit === undefined) return null;
    total += Number(match[1]) * unit;
    end = part.lastIndex;
  }
  return end > 0 && trimmed.slice(end).trim() === '' ? total : null;
}

/** The shortest exact text: 5400000 → `1h30m`. Below a millisecond is dropped. */
export function formatDuration(ms: number): string {
  let rest = Math.round(Math.abs(ms));
  if (rest === 0) return '0s';
  let text = ms < 0 ? '-' : '';
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const size = UNIT_MS[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

/** For people, two units at most: `3 d 4 h`, `12 s`, `340 ms`. */
export function roughDuration(ms: number): string {
  const length = Math.max(0, ms);
  if (length < 1000) return `${Math.round(length)} ms`;
  if (length < 10_000) return `${(length / 1000).toFixed(1).replace(/\.0$/, '')} s`;
  const steps: [string, number, string, number][] = [
    ['d', 86_400_000, 'h', 3_600_000],
    ['h', 3_600_000, 'min', 60_000],
    ['min', 60_000, 's', 1000],
  ];
  for (const [name, size, nextName, nextSize] of steps) {
    if (length < size) continue;
    const whole = Math.floor(length / size);
    const next = Math.floor((length - whole * size) / nextSize);
    return next === 0 || whole >= 10 ? `${whole} ${name}` : `${whole} ${name} ${next} ${nextName}`;
  }
  return `${Math.floor(length / 1000)} s`;
}
