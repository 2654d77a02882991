/**
 * A long list of which only the seen rows exist.
 *
 * Rows scroll with the page. A row starts with its estimated height and is measured once shown, so that rows may grow.
 * Cost: a list of 10 000 rows holds about 60 elements; a scroll step touches those alone.
 */

import { createEffect, createMemo, createSignal, For, onCleanup, onMount, type JSX } from 'solid-js';

const MARGIN_PX = 600;

export function VirtualList<T>(props: { rows: readonly T[]; estimate: (row: T) => number; key: (row: T) => string; children: (row: T, index: () => number) => JSX.Element }): JSX.Element {
  let host!: HTMLDivElement;
  const heights = new Map<string, number>();
  const [measured, setMeasured] = createSignal(0);
  const [view, setView] = createSignal({ from: 0, to: 2000 });

  const offsets = createMemo(() => {
    measured();
    const tops = new Float64Array(props.rows.length + 1);
    props.rows.forEach((row, index) => {
      tops[index + 1] = (tops[index] ?? 0) + (heights.get(props.key(row)) ?? props.estimate(row));
    });
    return tops;
  });
  const indexAt = (y: number): number => {
    const tops = offsets();
    let low = 0;
    let high = tops.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((tops[middle] ?? 0) <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const window = createMemo(
    () => {
      const { from, to } = view();
      return { first: indexAt(Math.max(0, from)), last: Math.min(props.rows.length, indexAt(Math.max(0, to)) + 1) };
    },
    undefined,
    { equals: (a, b) => a.first === b.first && a.last === b.last },
  );
  const shown = createMemo(() => props.rows.slice(window().first, window().last));

  let frame = 0;
  const look = (): void => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      const top = host.getBoundingClientRect().top;
      setView({ from: -top - MARGIN_PX, to: innerHeight - top + MARGIN_PX });
    });
  };
  const observer = new ResizeObserver((entries) => {
    let changed = false;
    for (const entry of entries) {
      const key = (entry.target as HTMLElement).dataset.key ?? '';
      const height = (entry.target as HTMLElement).offsetHeight;
      if (height > 0 && heights.get(key) !== height) {
        heights.set(key, height);
        changed = true;
      }
    }
    if (changed) setMeasured((count) => count + 1);
  });
  onMount(() => {
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    look();
  });
  createEffect(() => {
    props.rows.length;
    look();
  });
  onCleanup(() => {
    removeEventListener('scroll', look);
    removeEventListener('resize', look);
    cancelAnimationFrame(frame);
    observer.disconnect();
  });

  const space = (px: number): { height: string } => ({ height: `${px}px` });
  return (
    <div ref={host} class="virtual" role="presentation">
      <div role="presentation" style={space(offsets()[window().first] ?? 0)} />
      <For each={shown()}>
        {(row, index) => (
          <div
            role="presentation"
            data-key={props.key(row)}
            ref={(element) => {
              observer.observe(element);
              onCleanup(() => observer.unobserve(element));
            }}
          >
            {props.children(row, () => window().first + index())}
          </div>
        )}
      </For>
      <div role="presentation" style={space((offsets()[props.rows.length] ?? 0) - (offsets()[window().last] ?? 0))} />
    </div>
  );
}
