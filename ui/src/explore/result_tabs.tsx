/** The row above a result: graph or table, what the answer was, the step, stacking. */

import { For, Show, type JSX } from 'solid-js';
import { parseDuration, roughDuration } from '../plain/duration.ts';
import type { ExploreState, Tab } from '../plain/explore_state.ts';

const TABS: readonly { tab: Tab; text: string }[] = [{ tab: 'graph', text: 'Graph' }, { tab: 'table', text: 'Table' }];
const STEPS = ['1s', '5s', '10s', '15s', '30s', '1m', '5m', '15m', '1h', '1d'];

export function ResultTabs(props: { state: ExploreState; line: string; go: (changes: Partial<ExploreState>, replace?: boolean) => void }): JSX.Element {
  const toOther = (event: KeyboardEvent, tab: Tab): void => {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
    const other = tab === 'graph' ? 'table' : 'graph';
    props.go({ tab: other, sort: '' });
    document.getElementById(`tab-${other}`)?.focus();
  };
  const steps = () => [...new Set([...STEPS, ...(props.state.step === '' ? [] : [props.state.step])])];
  return (
    <div class="tabs">
      <div role="tablist" aria-label="Shown as">
        <For each={TABS}>
          {({ tab, text }) => (
            <button
              type="button"
              role="tab"
              id={`tab-${tab}`}
              aria-selected={props.state.tab === tab}
              aria-controls="results"
              tabindex={props.state.tab === tab ? 0 : -1}
              onClick={() => props.go({ tab, sort: '' })}
              onKeyDown={(event) => toOther(event, tab)}
            >
              {text}
            </button>
          )}
        </For>
      </div>
      <span class="grow" />
      <span class="summary" role="status">{props.line}</span>
      <Show when={props.state.tab === 'graph'}>
        <select class="chip small" aria-label="Step" onChange={(event) => props.go({ step: event.currentTarget.value }, true)}>
          <option value="" selected={props.state.step === ''}>step auto</option>
          <For each={steps()}>{(one) => <option value={one} selected={one === props.state.step}>step {roughDuration(parseDuration(one) ?? 0)}</option>}</For>
        </select>
        <button type="button" class="chip small" aria-pressed={props.state.stacked} onClick={() => props.go({ stacked: !props.state.stacked }, true)}>Stack</button>
      </Show>
    </div>
  );
}
