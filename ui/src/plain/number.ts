/** Numbers for people: four significant digits, a unit always. */

export type Unit = 'none' | 'bytes' | 'bytes/s' | 'bits/s' | 'seconds' | 'ratio' | 'percent';

export interface Shown { readonly text: string; readonly unit: string }

const SI = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** `digits` significant digits without trailing zeros, never in exponent form below 1e21. */
export function significant(value: number, digits = 4): string {
  if (value === 0) return '0';
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  if (magnitude < -6) return value.toExponential(Math.max(0, digits - 2)).replace('e-', 'e−');
  const decimals = Math.min(10, Math.max(0, digits - 1 - magnitude));
  const text = value.toFixed(decimals);
  return minus(text.includes('.') ? text.replace(/\.?0+$/, '') : text);
}

const minus = (text: string): string => text.replace(/^-/, '−');

function scaled(value: number, base: number, names: readonly string[], digits: number): Shown {
  let step = 0;
  let size = Math.abs(value);
  while (size >= base && step < names.length - 1) {
    size /= base;
    step += 1;
  }
  const rounded = significant(value / base ** step, digits);
  return { text: rounded, unit: names[step] ?? '' };
}

/** Value and unit apart, so that the unit can be set small. */
export function show(value: number, unit: Unit, digits = 4): Shown {
  if (Number.isNaN(value)) return { text: 'NaN', unit: '' };
  if (!Number.isFinite(value)) return { text: value > 0 ? '+Inf' : '−Inf', unit: '' };
  switch (unit) {
    case 'bytes': return scaled(value, 1024, BINARY, digits);
    case 'bytes/s': {
      const { text, unit: name } = scaled(value, 1024, BINARY, digits);
      return { text, unit: `${name}/s` };
    }
    case 'bits/s': {
      const { text, unit: name } = scaled(value, 1000, SI, digits);
      return { text, unit: `${name}bit/s` };
    }
    case 'ratio': return { text: significant(value * 100, digits), unit: '%' };
    case 'percent': return { text: significant(value, digits), unit: '%' };
    case 'seconds': {
      const size = Math.abs(value);
      if (size === 0) return { text: '0', unit: 's' };
      if (size < 1e-6) return { text: significant(value * 1e9, digits), unit: 'ns' };
      if (size < 1e-3) return { text: significant(value * 1e6, digits), unit: 'µs' };
      if (size < 1) return { text: significant(value * 1e3, digits), unit: 'ms' };
      if (size < 120) return { text: significant(value, digits), unit: 's' };
      if (size < 7200) return { text: significant(value / 60, digits), unit: 'min' };
      if (size < 172_800) return { text: significant(value / 3600, digits), unit: 'h' };
      return { text: significant(value / 86_400, digits), unit: 'd' };
    }
    case 'none': {
      if (Math.abs(value) < 100_000) return { text: significant(value, Math.max(digits, Math.abs(value) >= 1000 ? 5 : 0)), unit: '' };
      return scaled(value, 1000, SI, digits);
    }
  }
}

/**
 * For a number that stands alone and moves: always as many decimals at the same size, so that it does not jump.
 * Shares have one decimal, plain numbers two, all else three digits.
 */
export function steady(value: number, unit: Unit): Shown {
  if (!Number.isFinite(value)) return show(value, unit);
  if (unit === 'ratio') return { text: minus((value * 100).toFixed(1)), unit: '%' };
  if (unit === 'none' && Math.abs(value) < 100) return { text: minus(value.toFixed(2)), unit: '' };
  const shown = show(value, unit, 3);
  const digits = shown.text.replace(/^−?0?\.?/, '').replace('.', '').length;
  if (value === 0 || digits >= 3) return shown;
  return { text: `${shown.text}${shown.text.includes('.') ? '' : '.'}${'0'.repeat(3 - digits)}`, unit: shown.unit };
}

export function format(value: number, unit: Unit, digits = 4): string {
  const shown = show(value, unit, digits);
  return shown.unit === '' ? shown.text : `${shown.text} ${shown.unit}`;
}

/** 1234567 → `1 234 567` (narrow no-break spaces). */
export function grouped(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f');
}

/** `1 target`, `3 targets`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** A value of the wire: numbers, `NaN`, `+Inf`, `-Inf`. */
export function parseValue(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number(text);
}
