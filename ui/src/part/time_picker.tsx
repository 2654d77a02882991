/** The time range: typed, picked or written as two ends; the zone; shift and zoom by key. */

import { createSignal, For, Show, type JSX } from 'solid-js';
import { bindKeys } from '../keys.ts';
import { formatInstant, zoneName } from '../plain/clock.ts';
import { describe, editableEnd, parseTyped, QUICK_RANGES, resolve, resolveEnd, shift, zoomOut, type TimeRange } from '../plain/time_range.ts';
import { now, setZone, zone } from '../settings.ts';
import { Icon } from './icon.tsx';
import { Popover, type PopoverControl } from './popover.tsx';

export function TimePicker(props: { range: TimeRange; change: (range: TimeRange) => void }): JSX.Element {
  let control: PopoverControl | undefined;
  const move = (direction: -1 | 1): void => {
    const span = resolve(props.range, Date.now(), zone());
    if (span) props.change(shift(span, direction));
  };
  const out = (): void => {
    const span = resolve(props.range, Date.now(), zone());
    if (span) props.change(zoomOut(props.range, span));
  };
  bindKeys([
    { keys: 't', what: 'Choose the time range', run: () => control?.open() },
    { keys: 't z', what: 'Zoom out', run: out },
    { keys: 't ArrowLeft', what: 'Earlier by half', run: () => move(-1) },
    { keys: 't ArrowRight', what: 'Later by half', run: () => move(1) },
  ]);
  return (
    <span class="joined">
      <button type="button" class="chip square wide" aria-label="Earlier by half" onClick={() => move(-1)}>‹</button>
      <Popover label={`Time range: ${describe(props.range, now(), zone())}`} class="range" control={(given) => (control = given)} button={<><Icon name="clock" />{describe(props.range, now(), zone())}</>}>
        {(close) => <RangeDialog range={props.range} choose={(range) => { props.change(range); close(); }} />}
      </Popover>
      <button type="button" class="chip square wide" aria-label="Later by half" onClick={() => move(1)}>›</button>
      <button type="button" class="chip square wide" aria-label="Zoom out" onClick={out}>−</button>
    </span>
  );
}

function RangeDialog(props: { range: TimeRange; choose: (range: TimeRange) => void }): JSX.Element {
  const [typed, setTyped] = createSignal('');
  const [from, setFrom] = createSignal(editableEnd(props.range.from, Date.now(), zone()));
  const [to, setTo] = createSignal(editableEnd(props.range.to, Date.now(), zone()));
  const read = () => parseTyped(typed(), now(), zone());
  const ends = (): TimeRange | null => {
    const parts = [from(), to()].map((text) => (text.startsWith('now') ? text : String(resolveEnd(text, Date.now(), zone()) ?? '')));
    const range = { from: parts[0] ?? '', to: parts[1] ?? '' };
    return resolve(range, Date.now(), zone()) === null ? null : range;
  };
  const meaning = (range: TimeRange): string => {
    const span = resolve(range, now(), zone());
    return span === null ? '' : `${formatInstant(Math.round(span.fromMs / 1000) * 1000, zone())} – ${formatInstant(Math.round(span.toMs / 1000) * 1000, zone())}`;
  };
  return (
    <div class="range-dialog">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const range = read();
          if (range) props.choose(range);
        }}
      >
        <label for="range-typed">Type a range</label>
        <input id="range-typed" class="search" data-first autocomplete="off" placeholder="3h · yesterday 14:00 · 08:00 to 09:30" value={typed()} onInput={(event) => setTyped(event.currentTarget.value)} aria-describedby="range-meaning" />
        <p id="range-meaning" class="muted range-meaning" aria-live="polite">
          <Show when={typed() !== ''} fallback={meaning(props.range)}>{(() => {
            const range = read();
            return range === null ? 'Not understood. Try 90m, today, or 2026-11-20 08:00 to 09:00.' : `${meaning(range)} ⏎`;
          })()}</Show>
        </p>
      </form>
      <div class="quick" role="group" aria-label="Usual ranges">
        <For each={QUICK_RANGES}>
          {(quick) => <button type="button" class="plain" aria-pressed={quick.range.from === props.range.from && quick.range.to === props.range.to} onClick={() => props.choose(quick.range)}>{quick.label}</button>}
        </For>
      </div>
      <form
        class="ends"
        onSubmit={(event) => {
          event.preventDefault();
          const range = ends();
          if (range) props.choose(range);
        }}
      >
        <label>From<input class="search" autocomplete="off" value={from()} onInput={(event) => setFrom(event.currentTarget.value)} /></label>
        <label>To<input class="search" autocomplete="off" value={to()} onInput={(event) => setTo(event.currentTarget.value)} /></label>
        <button type="submit" class="chip" disabled={ends() === null}>Apply</button>
      </form>
      <Show when={zoneName('local', now()) !== 'UTC'}>
        <div class="zone" role="group" aria-label="Time zone">
          <button type="button" class="chip small" aria-pressed={zone() === 'local'} onClick={() => setZone('local')}>local · {zoneName('local', now())}</button>
          <button type="button" class="chip small" aria-pressed={zone() === 'utc'} onClick={() => setZone('utc')}>UTC</button>
        </div>
      </Show>
    </div>
  );
}
