/**
 * Lines over time: our interface, uPlot behind it.
 *
 * Drag zooms, double click zooms out, arrow keys walk the points. Colors come from the theme's tokens, times from our
 * own clock (24 hours, the reader's zone). Cost: 50 series of 2000 points in 25–41 ms on two shared cores.
 */

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { tickLabels, type Zone } from '../plain/clock.ts';
import type { Ink } from '../plain/series_color.ts';

export interface Drawn { readonly values: readonly (number | null)[]; readonly ink: Ink; readonly shown: boolean }

export interface Hover { readonly index: number; readonly series: number | null; readonly left: number; readonly top: number; readonly width: number }

export interface ChartOptions {
  readonly zoom: (fromMs: number, toMs: number) => void;
  readonly zoomOut: () => void;
  readonly hover: (at: Hover | null) => void;
  readonly value: (value: number) => string;
  readonly zone: () => Zone;
}

const THIN = 1.25;
const THICK = 2;
/** Nearer than that to a line, the pointer means the line. */
const NEAR_PX = 24;
const NARROW_PX = 520;
const TICKS_S = [0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000, 7_776_000, 31_536_000];

export class TimeChart {
  private plot: uPlot | undefined;
  private readonly observer: ResizeObserver;
  private raw: readonly Drawn[] = [];
  private times: readonly number[] = [];
  private stacked = false;
  private focused: number | null = null;

  constructor(private readonly host: HTMLElement, private readonly options: ChartOptions) {
    this.observer = new ResizeObserver(() => {
      if (this.plot && (this.plot.width !== host.clientWidth || this.plot.height !== host.clientHeight) && host.clientWidth > 0) {
        this.plot.setSize({ width: host.clientWidth, height: host.clientHeight });
      }
    });
    this.observer.observe(host);
  }

  /** Draws `series` over `times` (seconds). The same number of series in the same inks keeps the canvas. */
  set(times: readonly number[], series: readonly Drawn[], stacked: boolean): void {
    const same = this.plot !== undefined && stacked === this.stacked && series.length === this.raw.length
      && series.every((one, index) => one.ink.token === this.raw[index]?.ink.token && one.ink.dash.length === this.raw[index]?.ink.dash.length);
    this.times = times;
    this.raw = series;
    this.stacked = stacked;
    if (!same) return this.rebuild();
    const plot = this.plot as uPlot;
    plot.batch(() => {
      for (const [index, one] of series.entries()) {
        if (plot.series[index + 1]?.show !== one.shown) plot.setSeries(index + 1, { show: one.shown });
      }
      plot.setData(this.data());
    });
  }

  /** Draws one series in front and the others faint; null for all alike. */
  highlight(index: number | null): void {
    if (!this.plot || this.focused === index) return;
    this.focused = index;
    this.plot.setSeries(index === null ? null : index + 1, { focus: true });
  }

  /** Moves the cursor by `step` points, for the keyboard. */
  walk(step: number): void {
    const plot = this.plot;
    if (!plot || this.times.length === 0) return;
    const at = plot.cursor.idx ?? (step > 0 ? -1 : this.times.length);
    const index = Math.max(0, Math.min(this.times.length - 1, at + step));
    plot.setCursor({ left: plot.valToPos(this.times[index] ?? 0, 'x'), top: plot.over.clientHeight / 2 });
  }

  leave(): void {
    this.plot?.setCursor({ left: -10, top: -10 });
  }

  /** After a change of theme or zone. */
  rebuild(): void {
    this.plot?.destroy();
    this.plot = undefined;
    this.focused = null;
    if (this.host.clientWidth === 0) return;
    this.plot = new uPlot(this.uplotOptions(), this.data(), this.host);
  }

  destroy(): void {
    this.observer.disconnect();
    this.plot?.destroy();
    this.plot = undefined;
  }

  /** Stacked lines are sums from the bottom; a gap counts as nothing there. */
  private data(): uPlot.AlignedData {
    if (!this.stacked) return [this.times as number[], ...this.raw.map((one) => one.values as (number | null)[])];
    const sums = new Float64Array(this.times.length);
    const columns = this.raw.map((one) => {
      if (!one.shown) return [...one.values];
      return one.values.map((value, index) => {
        sums[index] = (sums[index] ?? 0) + (value ?? 0);
        return value === null ? null : (sums[index] ?? 0);
      });
    });
    return [this.times as number[], ...columns];
  }

  private token(name: string): string {
    return getComputedStyle(this.host).getPropertyValue(name).trim();
  }

  private uplotOptions(): uPlot.Options {
    const font = `12px ${this.token('--font')}`;
    const grid = { stroke: this.token('--grid'), width: 1 };
    const muted = this.token('--muted');
    const { zone, value } = this.options;
    const fill = (color: string): string => (this.stacked ? `color-mix(in srgb, ${color} 30%, transparent)` : this.raw.length === 1 ? `color-mix(in srgb, ${color} 8%, transparent)` : '');
    return {
      width: this.host.clientWidth,
      height: this.host.clientHeight,
      padding: [8, 32, 0, 0],
      legend: { show: false },
      focus: { alpha: 0.2 },
      cursor: {
        drag: { x: true, y: false, setScale: false },
        focus: { prox: NEAR_PX },
        points: { size: 6, width: 0 },
        bind: {
          dblclick: () => () => {
            this.options.zoomOut();
            return null;
          },
        },
      },
      scales: { x: { time: true }, y: { range: (_plot, low, high) => yRange(low, high, this.stacked) } },
      axes: [
        {
          stroke: muted, font, grid: { show: false }, ticks: { show: false }, size: 28, gap: 6,
          space: this.host.clientWidth < NARROW_PX ? 64 : 80, incrs: TICKS_S,
          values: (_plot, splits, _axis, _space, increment) => tickLabels(splits.map((at) => at * 1000), increment * 1000, zone()),
        },
        {
          stroke: muted, font, grid, ticks: { show: false }, gap: 6,
          size: (_plot, texts) => Math.max(36, 14 + Math.max(0, ...(texts ?? []).map((text) => text.length)) * 7),
          values: (_plot, splits) => splits.map((split) => value(split)),
        },
      ],
      bands: this.stacked ? this.raw.slice(1).map((_, index) => ({ series: [index + 2, index + 1] as [number, number] })) : [],
      series: [
        {},
        ...this.raw.map((one): uPlot.Series => {
          const color = this.token(one.ink.token);
          const series: uPlot.Series = { show: one.shown, stroke: color, width: this.raw.length === 1 ? 1.5 : THIN, spanGaps: false, points: { show: false } };
          const filled = fill(color);
          if (filled !== '') series.fill = filled;
          if (one.ink.dash.length > 0) series.dash = [...one.ink.dash];
          // A lone sample between gaps has no line: it gets its point.
          series.points = { show: (plot, _index, from, to) => to - from < plot.width / 12 && hasLonePoint(one.values, from, to), size: 4, fill: color };
          return series;
        }),
      ],
      hooks: {
        setCursor: [(plot) => this.told(plot)],
        setSeries: [(plot, index) => {
          for (const [at, series] of plot.series.entries()) if (at > 0) series.width = at === index ? THICK : THIN;
        }],
        setSelect: [(plot) => {
          const { left, width } = plot.select;
          if (width > 4) this.options.zoom(plot.posToVal(left, 'x') * 1000, plot.posToVal(left + width, 'x') * 1000);
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
      },
    };
  }

  private told(plot: uPlot): void {
    const { idx, left, top } = plot.cursor;
    if (idx === null || idx === undefined || left === undefined || left < 0) return this.options.hover(null);
    this.options.hover({ index: idx, series: this.nearest(plot, idx, top ?? 0), left: left + plot.over.offsetLeft, top: (top ?? 0) + plot.over.offsetTop, width: this.host.clientWidth });
  }

  private nearest(plot: uPlot, index: number, top: number): number | null {
    let best: number | null = null;
    let distance = NEAR_PX * 2;
    for (let series = 1; series < plot.data.length; series += 1) {
      const value = plot.data[series]?.[index];
      if (value === null || value === undefined || plot.series[series]?.show !== true) continue;
      const away = Math.abs(plot.valToPos(value, 'y') - top);
      if (away < distance) {
        distance = away;
        best = series - 1;
      }
    }
    return best;
  }
}

function hasLonePoint(values: readonly (number | null)[], from: number, to: number): boolean {
  for (let index = from; index <= to; index += 1) {
    if (values[index] !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null) return true;
  }
  return false;
}

/** Zero stays on screen when the data is near it; a flat line gets room above and below. */
export function yRange(low: number | null, high: number | null, fromZero: boolean): [number, number] {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  let bottom = low;
  let top = high;
  if (fromZero || (bottom > 0 && bottom < top * 0.5)) bottom = Math.min(0, bottom);
  if (bottom === top) {
    if (top === 0) return [0, 1];
    return top > 0 ? [0, top * 1.5] : [bottom * 1.5, 0];
  }
  const air = (top - bottom) * 0.06;
  top += air;
  if (bottom !== 0) bottom = low >= 0 ? Math.max(0, bottom - air) : bottom - air;
  return [bottom, top];
}
