/** Explore: metrics on the left, queries, their graph or table. The address holds all of it. */

import { batch, createEffect, createMemo, createSignal, For, Index, on, onCleanup, onMount, Show, type JSX } from 'solid-js';
import '../style/explore.css';
import { entriesOf, Graph, letterOf } from '../explore/graph.tsx';
import { createAsking } from '../explore/asking.ts';
import { forget, queries as past } from '../explore/history.ts';
import { firstQuery, MetricList } from '../explore/metric_list.tsx';
import { NoData } from '../explore/no_data.tsx';
import { QueryRow, type RowControl } from '../explore/query_row.tsx';
import { ResultTable } from '../explore/result_table.tsx';
import { ResultTabs } from '../explore/result_tabs.tsx';
import type { Results } from '../explore/run.ts';
import { bindKeys, keyText } from '../keys.ts';
import { navigate } from '../route.ts';
import { reach, serverNow } from '../server.ts';
import { zone } from '../settings.ts';
import { Bar } from '../part/bar.tsx';
import { Icon } from '../part/icon.tsx';
import { Empty, Problem, Shape } from '../part/mark.tsx';
import { Popover } from '../part/popover.tsx';
import { TimePicker } from '../part/time_picker.tsx';
import { formatClock } from '../plain/clock.ts';
import { parseDuration, roughDuration } from '../plain/duration.ts';
import { readExplore, writeExplore, type ExploreState } from '../plain/explore_state.ts';
import { counted, type Unit } from '../plain/number.ts';
import { absolute, resolve, zoomOut, type TimeRange } from '../plain/time_range.ts';
import { guessUnit } from '../plain/unit_guess.ts';

const REFRESHES = ['1s', '5s', '10s', '30s', '1m', '5m'];
const EXAMPLES = ['up', 'sum by (mode) (rate(node_cpu_seconds_total[1m]))', 'node_memory_MemAvailable_bytes', 'topk(5, scrape_duration_seconds)'];

export function ExplorePage(props: { search: string }): JSX.Element {
  const state = createMemo(() => readExplore(props.search));
  const [drafts, setDrafts] = createSignal<readonly string[]>(state().queries.map((query) => query.expr));
  createEffect(on(() => JSON.stringify(state().queries.map((query) => query.expr)), () => setDrafts(state().queries.map((query) => query.expr)), { defer: true }));
  const [width, setWidth] = createSignal(900);
  const go = (changes: Partial<ExploreState>, replace = false): void => navigate(`/explore${writeExplore({ ...state(), ...changes })}`, { replace });

  const { asked, again, poll, results, slow, dataFromMs } = createAsking(state, width);

  const run = (exprs: readonly string[] = drafts()): void => {
    batch(() => {
      go({ queries: exprs.map((expr, row) => ({ expr, off: state().queries[row]?.off ?? false })), only: [] });
      again();
    });
  };
  const draft = (row: number, text: string): void => void setDrafts((before) => before.map((one, index) => (index === row ? text : one)));
  const errorOf = (row: number) => results()?.outcomes.find((outcome) => outcome.row === row && outcome.expr === drafts()[row])?.error ?? null;
  let current: { row: number; control: RowControl } | undefined;
  const choose = (name: string, type: string): void => {
    const row = Math.min(current?.row ?? 0, drafts().length - 1);
    if ((drafts()[row] ?? '').trim() === '' || drafts()[row] === state().queries[row]?.expr) run(drafts().map((one, index) => (index === row ? firstQuery(name, type) : one)));
    else current?.control.insert(name);
  };
  const useQuery = (expr: string): void => run(drafts().map((one, index) => (index === Math.min(current?.row ?? 0, drafts().length - 1) ? expr : one)));
  bindKeys([
    { keys: 'r', what: 'Run again', run: again },
    { keys: 'mod+Enter', what: 'Run the queries (in the editor)', run: () => run() },
    { keys: 'e', what: 'Edit the query', run: () => current?.control.focus() },
    { keys: 'f', what: 'Find a metric', run: () => document.querySelector<HTMLInputElement>('.metrics-search input')?.focus() },
    { keys: 'v', what: 'Graph or table', run: () => go({ tab: state().tab === 'graph' ? 'table' : 'graph' }) },
  ]);
  let column!: HTMLDivElement;
  onMount(() => {
    const observer = new ResizeObserver(() => setWidth(column.clientWidth || 900));
    observer.observe(column);
    onCleanup(() => observer.disconnect());
  });
  const entries = createMemo(() => {
    const known = results();
    return known === undefined ? [] : entriesOf(known, state().queries.length > 1);
  });
  const unit = createMemo<Unit>(() => {
    const units = new Set((results()?.outcomes ?? []).filter((outcome) => outcome.columns.length > 0).map((outcome) => guessUnit(outcome.expr)));
    return units.size === 1 ? [...units][0] ?? 'none' : 'none';
  });
  const resultLine = () => {
    const known = results();
    if (known === undefined || failed(known)) return '';
    const ms = Math.max(0, ...known.outcomes.map((outcome) => outcome.ms));
    const took = `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
    if (known.tab === 'table') return `at the end of the range · ${took}`;
    const since = dataFromMs();
    const wanted = resolve(state().range, known.span.toMs, zone());
    const begun = since !== null && wanted !== null && state().range.to === 'now' && since > wanted.fromMs ? `data since ${formatClock(since, zone())} · ` : '';
    return `${counted(entries().length, 'series', 'series')} · ${begun}step ${roughDuration(known.stepS * 1000)} · ${took}`;
  };

  return (
    <>
      <Bar title="Explore">
        <TimePicker range={state().range} change={(range) => go({ range })} />
        <RefreshSelect refresh={state().refresh} change={(refresh) => go({ refresh }, true)} />
      </Bar>
      <main id="main" tabindex="-1">
        <div class="explore">
          <MetricList choose={choose} inUse={drafts().join(' ')} />
          <div ref={column} class="explore-column">
            <section class="panel" aria-label="Queries">
              <Index each={drafts()}>
                {(text, row) => (
                  <QueryRow
                    letter={letterOf(row)}
                    many={drafts().length > 1}
                    text={text()}
                    off={state().queries[row]?.off ?? false}
                    error={errorOf(row)}
                    autofocus={text() === '' && matchMedia('(pointer: fine)').matches}
                    changed={(value) => draft(row, value)}
                    run={() => run()}
                    toggle={() => go({ queries: drafts().map((expr, index) => ({ expr, off: (state().queries[index]?.off ?? false) !== (index === row) })) })}
                    remove={() => go({ queries: drafts().flatMap((expr, index) => (index === row ? [] : [{ expr, off: state().queries[index]?.off ?? false }])), only: [] })}
                    mounted={(control) => (current ??= { row, control })}
                    focused={(control) => (current = { row, control })}
                    tools={row > 0 ? undefined : (
                      <>
                        <Show when={slow()}><button type="button" class="chip" onClick={poll.cancel}>Cancel</button></Show>
                        <button type="button" class="chip primary" onClick={() => run()}>Run <kbd class="wide">{keyText('mod+Enter')}</kbd></button>
                      </>
                    )}
                  />
                )}
              </Index>
              <div class="query-foot">
                <button type="button" class="plain" onClick={() => setDrafts((before) => [...before, ''])}><Icon name="plus" /> Add a query</button>
                <Popover label="History of queries" class="bare" button={<><Icon name="history" /> History</>}>{(close) => <History choose={(expr) => { close(); useQuery(expr); }} />}</Popover>
              </div>
            </section>
            <section class="panel" aria-label="Results">
              <ResultTabs state={state()} go={go} line={poll.busy() && results() === undefined ? 'running …' : resultLine()} />
              <div id="results" role="tabpanel" aria-labelledby={`tab-${state().tab}`}>
                <Show when={asked() !== null && (reach().state === 'ok' || results() === undefined) ? poll.error() : undefined}>{(error) => <Problem error={error()} again={poll.again} />}</Show>
                <Show when={asked() !== null} fallback={<Start choose={(expr) => useQuery(expr)} />}>
                  <Show when={results()} fallback={<div class="chart-place" />}>
                    {(known) => <ResultBody results={known()} state={state()} entries={entries()} unit={unit()} busy={poll.busy()} go={go} useQuery={useQuery} />}
                  </Show>
                </Show>
              </div>
            </section>
          </div>
        </div>
      </main>
    </>
  );
}

function RefreshSelect(props: { refresh: string; change: (refresh: string) => void }): JSX.Element {
  return (
    <select class="chip" aria-label="Refresh" onChange={(event) => props.change(event.currentTarget.value)}>
      <option value="" selected={props.refresh === ''}>refresh off</option>
      <For each={[...new Set([...REFRESHES, ...(props.refresh === '' ? [] : [props.refresh])])]}>{(one) => <option value={one} selected={one === props.refresh}>every {roughDuration(parseDuration(one) ?? 0)}</option>}</For>
    </select>
  );
}

const failed = (results: Results): boolean => results.outcomes.length > 0 && results.outcomes.every((outcome) => outcome.error !== null);

function ResultBody(props: { results: Results; state: ExploreState; entries: ReturnType<typeof entriesOf>; unit: Unit; busy: boolean; go: (changes: Partial<ExploreState>, replace?: boolean) => void; useQuery: (expr: string) => void }): JSX.Element {
  const notes = () => [...new Set(props.results.outcomes.flatMap((outcome) => outcome.notes))];
  const empty = () => props.results.outcomes.find((outcome) => outcome.error === null && outcome.columns.length === 0 && (outcome.instant === null || outcome.instant.result.length === 0));
  const goRange = (range: TimeRange): void => props.go({ range });
  return (
    <>
      <For each={notes()}>{(text) => <p class="result-note"><Shape state="warn" /> {text}</p>}</For>
      <Show when={failed(props.results)}><Empty title="Nothing to show"><p>The reason stands under the query.</p></Empty></Show>
      <Show when={props.results.tab === 'graph' && props.entries.length > 0}>
        <Graph
          results={props.results}
          entries={props.entries}
          unit={props.unit}
          stacked={props.state.stacked}
          only={props.state.only}
          sort={props.state.sort}
          setOnly={(only) => props.go({ only }, true)}
          setSort={(sort) => props.go({ sort }, true)}
          zoom={(fromMs, toMs) => goRange(absolute({ fromMs, toMs }))}
          zoomOut={() => goRange(zoomOut(props.state.range, resolve(props.state.range, serverNow(), zone()) ?? props.results.span))}
          toTable={() => props.go({ tab: 'table', sort: '' })}
          stale={props.busy}
        />
      </Show>
      <Show when={props.results.tab === 'table'}>
        <Index each={props.results.outcomes}>
          {(outcome) => (
            <Show when={outcome().instant && outcome().instant?.result.length !== 0 ? outcome().instant : undefined}>
              {(data) => (
                <>
                  <Show when={props.results.outcomes.length > 1}><h3 class="result-title"><span class="letter-mark">{letterOf(outcome().row)}</span> <span class="mono">{outcome().expr}</span></h3></Show>
                  <ResultTable data={data()} sort={props.state.sort} setSort={(sort) => props.go({ sort }, true)} stale={props.busy} />
                </>
              )}
            </Show>
          )}
        </Index>
      </Show>
      <Show when={empty()}>{(outcome) => <NoData expr={outcome().expr} span={props.results.span} run={props.useQuery} go={goRange} />}</Show>
    </>
  );
}

function Start(props: { choose: (expr: string) => void }): JSX.Element {
  return (
    <Empty title="Nothing asked yet">
      <p>Write a query, pick a metric, or begin with one of these:</p>
      <div class="empty-actions"><For each={EXAMPLES}>{(expr) => <button type="button" class="chip mono" onClick={() => props.choose(expr)}>{expr}</button>}</For></div>
    </Empty>
  );
}

function History(props: { choose: (expr: string) => void }): JSX.Element {
  const [text, setText] = createSignal('');
  const found = () => past().filter((expr) => expr.toLowerCase().includes(text().toLowerCase()));
  return (
    <div class="history">
      <input class="search" type="search" data-first aria-label="Search past queries" placeholder="search past queries" value={text()} onInput={(event) => setText(event.currentTarget.value)} />
      <ul><For each={found()} fallback={<li class="muted">{past().length === 0 ? 'Nothing has been run on this browser yet' : 'None is like that'}</li>}>{(expr) => <li><button type="button" class="plain mono" onClick={() => props.choose(expr)}>{expr}</button></li>}</For></ul>
      <Show when={past().length > 0}><button type="button" class="chip small" onClick={forget}>Forget all</button></Show>
    </div>
  );
}
