/** The graph and its legend: hover either, pick lines with a click. */

import { createEffect, createMemo, createSignal, For, on, onCleanup, onMount, Show, type JSX } from 'solid-js';
import { TimeChart, type Hover } from '../chart/time_chart.ts';
import { formatInstant } from '../plain/clock.ts';
import type { Column } from '../plain/frame.ts';
import { counted, format, type Unit } from '../plain/number.ts';
import { commonLabels, seriesKey, seriesText } from '../plain/series.ts';
import { hash, inks, type Ink } from '../plain/series_color.ts';
import { theme, zone } from '../settings.ts';
import { VirtualList } from '../part/virtual_list.tsx';
import type { Results } from './run.ts';

/** Lines drawn at once; the ones with the highest values win. */
const DRAWN = 200;
const TOOLTIP_ROWS = 10;
const SEARCH_FROM = 12;
/** Inks there are: ten hues, three dashes. */
const COLORED = 30;

export interface Entry { readonly key: string; readonly mark: string; readonly letter: string; readonly name: string; readonly full: string; readonly column: Column; readonly ink: Ink }

export function entriesOf(results: Results, many: boolean): Entry[] {
  const flat = results.outcomes.flatMap((outcome) => outcome.columns.map((column) => ({ outcome, column })));
  const common = new Set(Object.keys(commonLabels(flat.map(({ column }) => column.labels))));
  // Where colors run out, the highest lines get them.
  const order = flat.map((_, index) => index).sort((a, b) => (flat.length > COLORED ? (flat[b]?.column.stats.max ?? -Infinity) - (flat[a]?.column.stats.max ?? -Infinity) : 0));
  const colors: Ink[] = [];
  inks(order.map((index) => flat[index]?.column.labels ?? {})).forEach((ink, rank) => (colors[order[rank] ?? 0] = ink));
  return flat.map(({ outcome, column }, index) => {
    const key = `${outcome.row}\u0003${seriesKey(column.labels)}`;
    const short = seriesText(column.labels, common);
    const full = Object.keys(column.labels).length === 0 ? outcome.expr : seriesText(column.labels);
    return { key, mark: hash(key).toString(36), letter: many ? letterOf(outcome.row) : '', name: short === '{}' ? full : short.replace(/^\{(.*)\}$/s, '$1'), full, column, ink: colors[index] as Ink };
  });
}

const byHeight = (entries: readonly Entry[]): Entry[] => [...entries].sort((a, b) => (b.column.stats.max ?? -Infinity) - (a.column.stats.max ?? -Infinity));

export const letterOf = (row: number): string => String.fromCharCode(65 + row);

const SORTS = ['name', 'last', 'mean', 'min', 'max'] as const;
type SortBy = (typeof SORTS)[number];

export function Graph(props: {
  results: Results;
  entries: readonly Entry[];
  unit: Unit;
  stacked: boolean;
  only: readonly string[];
  sort: string;
  setOnly: (only: readonly string[]) => void;
  setSort: (sort: string) => void;
  zoom: (fromMs: number, toMs: number) => void;
  zoomOut: () => void;
  toTable: () => void;
  stale: boolean;
}): JSX.Element {
  let host!: HTMLDivElement;
  let chart: TimeChart | undefined;
  const [hover, setHover] = createSignal<Hover | null>(null);
  const [all, setAll] = createSignal(false);
  const [spoken, setSpoken] = createSignal('');
  const drawn = createMemo(() => {
    if (all() || props.entries.length <= DRAWN) return props.entries;
    const highest = byHeight(props.entries).slice(0, DRAWN);
    const picked = props.entries.filter((entry) => props.only.includes(entry.mark) && !highest.includes(entry));
    return [...highest, ...picked];
  });
  const isShown = (entry: Entry): boolean => props.only.length === 0 || props.only.includes(entry.mark);
  const sentence = createMemo(() => {
    const top = props.entries.reduce<Entry | null>((best, entry) => ((entry.column.stats.max ?? -Infinity) > (best?.column.stats.max ?? -Infinity) ? entry : best), null);
    const queries = props.results.outcomes.map((outcome) => outcome.expr).join('; ');
    return `${queries}: ${counted(props.entries.length, 'series', 'series')}${top === null ? '' : `, highest ${top.name} at ${format(top.column.stats.max ?? 0, props.unit)}`}. Arrow keys walk the points, Enter opens the table.`;
  });

  onMount(() => {
    chart = new TimeChart(host, { zoom: props.zoom, zoomOut: props.zoomOut, hover: setHover, value: (value) => format(value, props.unit), zone });
    createEffect(() => {
      const series = drawn().map((entry) => ({ values: entry.column.values, ink: entry.ink, shown: isShown(entry) }));
      chart?.set(props.results.times, series, props.stacked);
    });
    createEffect(on([theme, zone, () => props.unit], () => chart?.rebuild(), { defer: true }));
  });
  onCleanup(() => chart?.destroy());

  const highlight = (entry: Entry | null): void => chart?.highlight(entry === null ? null : drawn().indexOf(entry));
  let lastSpoken = 0;
  const walk = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (event.key === 'Enter') return props.toTable();
    if (event.key === 'Escape') return chart?.leave();
    if (step === 0) return;
    event.preventDefault();
    chart?.walk(event.shiftKey ? step * 10 : step);
    if (event.timeStamp - lastSpoken < 300) return;
    lastSpoken = event.timeStamp;
    const at = hover();
    if (at) setSpoken(`${formatInstant((props.results.times[at.index] ?? 0) * 1000, zone())}: ${tooltipRows(at).slice(0, 3).map((row) => `${row.entry.name} ${format(row.value, props.unit)}`).join(', ')}`);
  };
  const tooltipRows = (at: Hover): { entry: Entry; value: number; near: boolean }[] => {
    const near = at.series === null ? null : drawn()[at.series];
    return drawn()
      .filter(isShown)
      .flatMap((entry) => {
        const value = entry.column.values[at.index];
        return value === null || value === undefined ? [] : [{ entry, value, near: entry === near }];
      })
      .sort((a, b) => Number(b.near) - Number(a.near) || b.value - a.value);
  };

  return (
    <>
      <div class="graph" classList={{ stale: props.stale }}>
        <div ref={host} class="chart" role="img" tabindex="0" aria-label={sentence()} onKeyDown={walk} onBlur={() => chart?.leave()} />
        <Show when={hover()}>{(at) => <Tooltip hover={at()} time={props.results.times[at().index] ?? 0} rows={tooltipRows(at())} unit={props.unit} />}</Show>
        <span class="sr" aria-live="polite">{spoken()}</span>
      </div>
      <Show when={props.entries.length > DRAWN && !all()}>
        <p class="more muted">The {DRAWN} highest of {props.entries.length} series are drawn. <button type="button" class="chip small" onClick={() => setAll(true)}>Draw all</button></p>
      </Show>
      <Legend entries={props.entries} unit={props.unit} only={props.only} sort={props.sort} setOnly={props.setOnly} setSort={props.setSort} highlight={highlight} near={(() => { const at = hover(); return at?.series === null || at?.series === undefined ? null : drawn()[at.series]?.key ?? null; })()} />
    </>
  );
}

function Swatch(props: { ink: Ink }): JSX.Element {
  return <span class="swatch" classList={{ dashed: props.ink.dash.length > 0 }} style={{ '--ink': `var(${props.ink.token})` }} aria-hidden="true" />;
}

function Tooltip(props: { hover: Hover; time: number; rows: { entry: Entry; value: number; near: boolean }[]; unit: Unit }): JSX.Element {
  const right = () => props.hover.left > props.hover.width / 2;
  return (
    <div class="tooltip" classList={{ left: right() }} style={{ '--x': `${props.hover.left}px`, '--y': `${props.hover.top}px` }} aria-hidden="true">
      <div class="tooltip-time">{formatInstant(props.time * 1000, zone())}</div>
      <For each={props.rows.slice(0, TOOLTIP_ROWS)}>
        {(row) => <div class="tooltip-row" classList={{ near: row.near }}><Swatch ink={row.entry.ink} /><span class="tooltip-name">{row.entry.letter} {row.entry.name}</span><b>{format(row.value, props.unit)}</b></div>}
      </For>
      <Show when={props.rows.length > TOOLTIP_ROWS}><div class="muted">and {props.rows.length - TOOLTIP_ROWS} more</div></Show>
    </div>
  );
}

function Legend(props: { entries: readonly Entry[]; unit: Unit; only: readonly string[]; sort: string; near: string | null; setOnly: (only: readonly string[]) => void; setSort: (sort: string) => void; highlight: (entry: Entry | null) => void }): JSX.Element {
  const [text, setText] = createSignal('');
  const falling = () => props.sort.startsWith('-');
  const by = (): SortBy | null => SORTS.find((name) => name === props.sort.replace(/^-/, '')) ?? null;
  const rows = createMemo(() => {
    const words = text().toLowerCase().split(/\s+/).filter((word) => word !== '');
    const found = props.entries.filter((entry) => words.every((word) => entry.full.toLowerCase().includes(word)));
    const column = by();
    // The server's order; where colors run out, those that have one first.
    if (column === null) return props.entries.length > COLORED ? byHeight(found) : found;
    const sign = falling() ? -1 : 1;
    return [...found].sort((a, b) => (column === 'name' ? (a.full < b.full ? -1 : 1) * sign : ((a.column.stats[column] ?? -Infinity) - (b.column.stats[column] ?? -Infinity)) * sign));
  });
  // First click: the largest on top; names from A.
  const sortBy = (column: SortBy): void => {
    const first = column === 'name' ? 'name' : `-${column}`;
    const second = column === 'name' ? '-name' : column;
    props.setSort(props.sort === first ? second : props.sort === second ? '' : first);
  };
  const pick = (entry: Entry, add: boolean): void => {
    if (add) return props.setOnly(props.only.includes(entry.mark) ? props.only.filter((mark) => mark !== entry.mark) : [...props.only, entry.mark]);
    props.setOnly(props.only.length === 1 && props.only[0] === entry.mark ? [] : [entry.mark]);
  };
  const shown = (entry: Entry): boolean => props.only.length === 0 || props.only.includes(entry.mark);
  const cell = (value: number | null): string => (value === null ? '–' : format(value, props.unit));
  return (
    <div class="legend-box">
      <Show when={props.entries.length > SEARCH_FROM}>
        <div class="legend-search"><input class="search" type="search" aria-label="Filter the series" placeholder={`filter ${props.entries.length} series`} value={text()} onInput={(event) => setText(event.currentTarget.value)} /></div>
      </Show>
      <div class="legend" role="table" aria-label="Series" aria-rowcount={rows().length + 1} onPointerLeave={() => props.highlight(null)}>
        <div role="rowgroup">
          <div class="legend-row legend-head" role="row">
            <For each={SORTS}>
              {(column) => (
                <span role="columnheader" aria-sort={by() === column ? (falling() ? 'descending' : 'ascending') : 'none'} class={column === 'name' ? '' : `num${column === 'min' || column === 'mean' ? ' wide' : ''}`}>
                  <button type="button" class="plain" onClick={() => sortBy(column)}>{column === 'name' ? 'Series' : column}<span aria-hidden="true">{by() === column ? (falling() ? ' ↓' : ' ↑') : ''}</span></button>
                </span>
              )}
            </For>
          </div>
        </div>
        <div role="rowgroup">
          <VirtualList rows={rows()} key={(entry) => entry.key} estimate={() => 29}>
            {(entry, index) => (
              <div
                class="legend-row"
                classList={{ faint: !shown(entry), near: props.near === entry.key }}
                role="row"
                aria-rowindex={index() + 2}
                onPointerEnter={() => props.highlight(entry)}
                onClick={(event) => {
                  if (String(getSelection() ?? '') === '') pick(entry, event.metaKey || event.ctrlKey);
                }}
              >
                <span role="cell" class="legend-name">
                  <button
                    type="button"
                    class="plain swatch-button"
                    data-row
                    aria-pressed={props.only.includes(entry.mark)}
                    aria-label={`Show only ${entry.full}`}
                    onFocus={() => props.highlight(entry)}
                    onBlur={() => props.highlight(null)}
                    onClick={(event) => {
                      event.stopPropagation();
                      pick(entry, event.metaKey || event.ctrlKey || event.shiftKey);
                    }}
                  >
                    <Swatch ink={entry.ink} />
                  </button>
                  <Show when={entry.letter !== ''}><span class="letter-mark">{entry.letter}</span></Show>
                  <span class="mono name" title={entry.full}>{entry.name}</span>
                </span>
                <span role="cell" class="num">{cell(entry.column.stats.last)}</span>
                <span role="cell" class="num wide">{cell(entry.column.stats.mean)}</span>
                <span role="cell" class="num wide">{cell(entry.column.stats.min)}</span>
                <span role="cell" class="num">{cell(entry.column.stats.max)}</span>
              </div>
            )}
          </VirtualList>
        </div>
      </div>
    </div>
  );
}
