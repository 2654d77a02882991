/** Small marks that carry meaning: state (shape, color and word), labels, times, empty boxes. */

import { For, Show, type JSX } from 'solid-js';
import { formatInstant } from '../plain/clock.ts';
import { roughDuration } from '../plain/duration.ts';
import { labelNames, type Labels } from '../plain/series.ts';
import type { State } from '../plain/service.ts';
import { now, zone } from '../settings.ts';

const SHAPES: Record<State, string> = { ok: 'M9 5A4 4 0 1 1 1 5a4 4 0 0 1 8 0Z', warn: 'M5 .8 9.600 9H.4Z', crit: 'M1.200 1.200h7.600v7.600H1.200Z', unknown: 'M8.400 5a3.400 3.400 0 1 1-6.800 0 3.400 3.400 0 0 1 6.800 0Z' };

/** The shape of a state. Drawn, not written: fonts differ in size and height of these signs. */
export function Shape(props: { state: State }): JSX.Element {
  return <svg class={`shape ${props.state}`} viewBox="0 0 10 10" aria-hidden="true"><path d={SHAPES[props.state]} /></svg>;
}

export function StateMark(props: { state: State; word: string }): JSX.Element {
  return <span class={`state ${props.state}`}><Shape state={props.state} />{props.word}</span>;
}

/** A switch of a filter that names a state and counts it. */
export function StateToggle(props: { state: State; word: string; count: number; on: boolean; toggle: () => void }): JSX.Element {
  return (
    <button type="button" class="chip" aria-pressed={props.on} onClick={props.toggle}>
      <Shape state={props.count === 0 ? 'unknown' : props.state} />
      <b>{props.count}</b> {props.word}
    </button>
  );
}

/** Labels as selectable text. */
export function LabelList(props: { labels: Labels }): JSX.Element {
  return (
    <span class="labels">
      <For each={labelNames(props.labels)}>
        {(name) => <span class="label">{name}=<b>"{props.labels[name]}"</b></span>}
      </For>
    </span>
  );
}

/** `12 s ago`, with the instant on hover. */
export function Ago(props: { at: number }): JSX.Element {
  return (
    <Show when={props.at > 0} fallback="–">
      <time dateTime={new Date(props.at).toISOString()} title={formatInstant(props.at, zone())}>{roughDuration(Math.max(0, Math.floor((now() - props.at) / 1000) * 1000)).replace(/^0 ms$/, '0 s')}</time>
    </Show>
  );
}

/** Why a box holds nothing, and what to do about it. */
export function Empty(props: { title: string; children?: JSX.Element }): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{props.title}</p>
      {props.children}
    </div>
  );
}

/** An outline where data will be; shown after a moment, so that fast answers do not flash. */
export function Waiting(props: { rows?: number }): JSX.Element {
  return (
    <div class="waiting" role="status" aria-label="Loading">
      <For each={Array.from({ length: props.rows ?? 3 })}>{() => <span class="bone" />}</For>
    </div>
  );
}

export function Problem(props: { error: Error; again?: () => void }): JSX.Element {
  return (
    <div class="problem" role="alert">
      <StateMark state="crit" word={props.error.message} />
      <Show when={props.again}>{(again) => <button type="button" class="chip small" onClick={() => again()()}>Try again</button>}</Show>
    </div>
  );
}
