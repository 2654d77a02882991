/** An instant answer as a table: one column per label that differs, the value last. What all rows share stands above. */

import { createMemo, For, Show, type JSX } from 'solid-js';
import { formatInstant } from '../plain/clock.ts';
import { counted, parseValue } from '../plain/number.ts';
import { commonLabels, labelNames, seriesKey, type Labels } from '../plain/series.ts';
import { zone } from '../settings.ts';
import { LabelList } from '../part/mark.tsx';
import { VirtualList } from '../part/virtual_list.tsx';
import type { InstantData } from '../prometheus.ts';

interface Row { readonly key: string; readonly labels: Labels; readonly value: string; readonly number: number; readonly at: number | null }

/** Samples of a range vector shown per series. */
const SAMPLES = 100;
/** Columns are that many signs wide at least and at most. */
const NARROWEST = 7;
const WIDEST = 48;

function rowsOf(data: InstantData): Row[] {
  if (data.resultType === 'scalar' || data.resultType === 'string') return [{ key: 'one', labels: {}, value: data.result[1], number: parseValue(data.result[1]), at: null }];
  if (data.resultType === 'vector') {
    return data.result.map((one, index) => ({ key: `${index} ${seriesKey(one.metric)}`, labels: one.metric, value: one.value?.[1] ?? 'native histogram', number: parseValue(one.value?.[1] ?? 'NaN'), at: null }));
  }
  return data.result.flatMap((series, index) => (series.values ?? []).slice(-SAMPLES).map(([at, value]) => ({ key: `${index} ${at}`, labels: series.metric, value, number: parseValue(value), at })));
}

export function ResultTable(props: { data: InstantData; sort: string; setSort: (sort: string) => void; stale: boolean }): JSX.Element {
  const rows = createMemo(() => rowsOf(props.data));
  const common = createMemo(() => commonLabels(rows().map((row) => row.labels)));
  const columns = createMemo(() => {
    const names = new Set<string>();
    for (const row of rows()) {
      for (const name of Object.keys(row.labels)) if (!(name in common())) names.add(name);
    }
    const listed = labelNames(Object.fromEntries([...names].map((name) => [name, ''])));
    return [...(names.has('__name__') ? ['__name__'] : []), ...listed, ...(rows().some((row) => row.at !== null) ? ['\u0000time'] : [])];
  });
  const title = (column: string): string => (column === '\u0000time' ? 'time' : column === '__name__' ? 'metric' : column);
  const text = (row: Row, column: string): string => (column === '\u0000time' ? formatInstant((row.at ?? 0) * 1000, zone()) : row.labels[column] ?? '');
  // Widths come from the text, so that rows which do not exist yet fit too.
  const widths = createMemo(() => {
    const longest = (texts: Iterable<string>): number => {
      let most = 0;
      for (const one of texts) most = Math.max(most, one.length);
      return Math.min(WIDEST, Math.max(NARROWEST, most));
    };
    const labels = columns().map((column) => longest([title(column), ...rows().map((row) => text(row, column))]));
    const value = longest(rows().map((row) => row.value));
    return { grid: `${labels.map((width) => `minmax(${width}ch, ${width}fr)`).join(' ')} minmax(${value + 2}ch, ${value}fr)`, sum: labels.reduce((sum, width) => sum + width, value + 2), count: labels.length };
  });
  const sortedBy = () => props.sort.replace(/^-/, '');
  const falling = () => props.sort.startsWith('-');
  const sorted = createMemo(() => {
    const column = sortedBy();
    const sign = falling() ? -1 : 1;
    if (column === 'value') return [...rows()].sort((a, b) => (a.number - b.number) * sign);
    if (!columns().includes(column)) return rows();
    return [...rows()].sort((a, b) => ((a.labels[column] ?? '') < (b.labels[column] ?? '') ? -1 : 1) * sign);
  });
  const sortBy = (column: string): void => {
    const first = column === 'value' ? '-value' : column;
    const second = column === 'value' ? 'value' : `-${column}`;
    props.setSort(props.sort === first ? second : props.sort === second ? '' : first);
  };
  const header = (column: string): JSX.Element => (
    <span role="columnheader" class={column === 'value' ? 'num' : ''} aria-sort={sortedBy() === column ? (falling() ? 'descending' : 'ascending') : 'none'}>
      <button type="button" class="plain" onClick={() => sortBy(column)}>{title(column)}<span aria-hidden="true">{sortedBy() === column ? (falling() ? ' ↓' : ' ↑') : ''}</span></button>
    </span>
  );
  return (
    <div classList={{ stale: props.stale }}>
      <Show when={Object.keys(common()).length > 0}>
        <div class="shared"><span class="muted">{counted(rows().length, 'row')}, all with</span> <Show when={common().__name__}><span class="mono">{common().__name__}</span></Show> <LabelList labels={common()} /></div>
      </Show>
      <div class="scroll" role="region" aria-label="Result" tabindex="0">
        <div class="result" role="table" aria-label="Result" aria-rowcount={rows().length + 1} style={{ '--grid': widths().grid, '--least': `calc(${widths().sum}ch + ${widths().count * 12 + 24}px)` }}>
          <div role="rowgroup"><div class="result-row result-head" role="row"><For each={columns()}>{header}</For>{header('value')}</div></div>
          <div role="rowgroup">
            <VirtualList rows={sorted()} key={(row) => row.key} estimate={() => 29}>
              {(row, index) => (
                <div class="result-row" role="row" aria-rowindex={index() + 2}>
                  <For each={columns()}>{(column) => <span role="cell" class="mono" title={text(row, column)}>{text(row, column)}</span>}</For>
                  <span role="cell" class="num value">{row.value}</span>
                </div>
              )}
            </VirtualList>
          </div>
        </div>
      </div>
    </div>
  );
}
