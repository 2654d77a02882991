/** Small marks that carry meaning: state (shape, color and word), labels, times, empty boxes. */

import { For, Show, type JSX } from 'solid-js';
import { formatInstant } from '../plain/clock.ts';
import { roughDuration } from '../plain/duration.ts';
import { labelNames, type Labels } from '../plain/series.ts';
import type { State } from '../plain/service.ts';
import { now, zone } from '../settings.ts';

const SHAPE: Record<State, string> = { ok: '●', warn: '▲', crit: '■', unknown: '○' };

export function StateMark(props: { state: State; word: string }): JSX.Element {
  return (
    <span class={`state ${props.state}`}>
      <i aria-hidden="true">{SHAPE[props.state]}</i>
      {props.word}
    </span>
  );
}

/** A switch of a filter that names a state and counts it. */
export function StateToggle(props: { state: State; word: string; count: number; on: boolean; toggle: () => void }): JSX.Element {
  return (
    <button type="button" class="chip" aria-pressed={props.on} onClick={props.toggle}>
      <span class={props.state} aria-hidden="true">{SHAPE[props.state]}</span>
      <b>{props.count}</b> {props.word}
    </button>
  );
}

/** Labels as selectable text; names in `without` are left out. */
export function LabelList(props: { labels: Labels; without?: readonly string[] }): JSX.Element {
  return (
    <span class="labels">
      <For each={labelNames(props.labels).filter((name) => props.without?.includes(name) !== true)}>
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
