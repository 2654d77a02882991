/** System → Targets: what is scraped, how that went, and what relabelling left out. */

import { createMemo, createSignal, For, Show, type JSX } from 'solid-js';
import { to } from '../base.ts';
import '../style/targets.css';
import { bindKeys } from '../keys.ts';
import { createPoll, type Poll } from '../poll.ts';
import { targets, type Targets } from '../prometheus.ts';
import { navigate, search } from '../route.ts';
import { Bar } from '../part/bar.tsx';
import { Ago, Empty, LabelList, Problem, StateMark, StateToggle, Waiting } from '../part/mark.tsx';
import { VirtualList } from '../part/virtual_list.tsx';
import { parseDuration, roughDuration } from '../plain/duration.ts';
import { exploreHref } from '../plain/explore_state.ts';
import { counted } from '../plain/number.ts';
import { quote, seriesKey, type Labels } from '../plain/series.ts';
import type { State } from '../plain/service.ts';
import { countStates, filterTargets, poolsOf, safeHref, shortError, type DroppedTarget, type Health, type Target } from '../plain/target.ts';

const HEALTHS: readonly { health: Health; state: State; word: string }[] = [{ health: 'up', state: 'ok', word: 'up' }, { health: 'down', state: 'crit', word: 'down' }, { health: 'unknown', state: 'unknown', word: 'not visited yet' }];
const EVERY_MS = 5000;
/** Half a kilobyte a target: a long list is asked for less often. */
const MANY = 1000;
const SLOW_MS = 20_000;
/** Rows that are not shown and yet kept, lest a filter forgets them at every letter. */
const KEPT = 2000;
const DROPPED_EVERY_MS = 15_000;
/** Dropped targets shown at once: discovery may drop tens of thousands. */
const DROPPED_SHOWN = 500;

type Row =
  | { readonly kind: 'pool'; readonly key: string; readonly name: string; readonly text: () => string; readonly down: () => number }
  | { readonly kind: 'target'; readonly key: string; readonly target: () => Target };

const stateOf = (health: Health): State => HEALTHS.find((one) => one.health === health)?.state ?? 'unknown';

export function TargetsPage(): JSX.Element {
  const page: Poll<Targets> = createPoll(() => 'targets', (_, signal) => targets('active', signal), () => ((page.data()?.activeTargets.length ?? 0) > MANY ? SLOW_MS : EVERY_MS));
  const params = createMemo(() => new URLSearchParams(search()));
  const text = () => params().get('q') ?? params().get('search') ?? '';
  const pool = () => params().get('pool') ?? '';
  const showsDropped = () => params().get('show') === 'dropped';
  const states = createMemo(() => new Set((params().get('state') ?? '').split(',').filter((word): word is Health => HEALTHS.some((one) => one.health === word))));
  const change = (changes: Record<string, string>): void => {
    const next = new URLSearchParams(search());
    next.delete('search');
    for (const [name, value] of Object.entries(changes)) {
      if (value === '') next.delete(name);
      else next.set(name, value);
    }
    const query = next.toString();
    navigate(`/system/targets${query === '' ? '' : `?${query}`}`, { replace: true });
  };
  const toggle = (health: Health): void => {
    const chosen = new Set(states());
    if (!chosen.delete(health)) chosen.add(health);
    change({ state: [...chosen].join(',') });
  };
  const all = () => page.data()?.activeTargets ?? [];
  const counts = createMemo(() => countStates(all()));
  const names = createMemo(() => [...new Set(all().map((target) => target.scrapePool))].sort());
  const shown = createMemo(() => filterTargets(all(), { text: text(), states: states(), pool: pool() }));
  // The server counts them only where it lists them, and the list may be long: a large installation is asked when somebody looks.
  const asksDropped = createMemo(() => showsDropped() || (page.data() !== undefined && all().length <= MANY));
  const dropped = createPoll(() => (asksDropped() ? 'dropped' : null), async (_, signal) => (await targets('dropped', signal)).droppedTargets, () => DROPPED_EVERY_MS);
  const rows = useRows(shown);
  const [open, setOpen] = createSignal<ReadonlySet<string>>(new Set());
  const flip = (key: string): void => {
    setOpen((before) => {
      const after = new Set(before);
      if (!after.delete(key)) after.add(key);
      return after;
    });
  };
  let box!: HTMLInputElement;
  bindKeys([{ keys: 'r', what: 'Refresh', run: page.again }, { keys: 'f', what: 'Filter targets', run: () => box.focus() }]);

  return (
    <>
      <Bar title="Targets" />
      <main id="main" tabindex="-1">
        <div class="filters">
          <For each={HEALTHS}>{(one) => <StateToggle state={one.state} word={one.word} count={counts()[one.health]} on={states().has(one.health)} toggle={() => toggle(one.health)} />}</For>
          <Show when={names().length > 1}>
            <select class="chip" aria-label="Scrape pool" onChange={(event) => change({ pool: event.currentTarget.value })}>
              <option value="" selected={pool() === ''}>all {names().length} pools</option>
              <For each={names()}>{(name) => <option value={name} selected={name === pool()}>{name}</option>}</For>
            </select>
          </Show>
          <input ref={box} class="search" type="search" aria-label="Filter targets" placeholder="filter by address, label, error" value={text()} onInput={(event) => change({ q: event.currentTarget.value })} />
          <span class="grow" />
          <button type="button" class="chip" aria-pressed={showsDropped()} onClick={() => change({ show: showsDropped() ? '' : 'dropped' })}><Show when={dropped.data()}>{(list) => <b>{list().length}</b>}</Show> dropped by relabelling</button>
        </div>
        <Show when={showsDropped()}><Dropped page={dropped} text={text()} pool={pool()} /></Show>
        <Show when={page.data()} fallback={<div class="panel"><Show when={page.error()} fallback={<Waiting rows={6} />}>{(error) => <Problem error={error()} again={page.again} />}</Show></div>}>
          <Show
            when={rows().length > 0}
            fallback={(
              <div class="panel">
                {all().length > 0
                  ? <Empty title={`None of ${counted(all().length, 'target')} matches`}><button type="button" class="chip" onClick={() => navigate('/system/targets', { replace: true })}>Clear the filter</button></Empty>
                  : <Empty title="Nothing is scraped yet"><p>Discovery has found no target, or relabelling dropped all of them.</p></Empty>}
              </div>
            )}
          >
            <div class="panel targets" role="table" aria-label="Targets" aria-rowcount={rows().length + 1}>
              <div role="rowgroup">
                <div class="target-head" role="row">
                  <span role="columnheader">State</span><span role="columnheader">Endpoint</span><span role="columnheader" class="wide">Labels</span><span role="columnheader" class="num">Took</span><span role="columnheader" class="num">Ago</span>
                </div>
              </div>
              <div role="rowgroup">
                <VirtualList rows={rows()} key={(row) => row.key} estimate={(row) => (row.kind === 'pool' ? 37 : 29)}>
                  {(row, index) => (row.kind === 'pool'
                    ? <div class="pool" role="row" aria-rowindex={index() + 2}><span role="cell" class="pool-cell"><h2>{row.name}</h2><span class="muted">{row.text()}</span><Show when={row.down() > 0}><StateMark state="crit" word={`${row.down()} down`} /></Show></span></div>
                    : <TargetRow target={row.target()} index={index() + 2} open={open().has(row.key)} flip={() => flip(row.key)} />)}
                </VirtualList>
              </div>
            </div>
          </Show>
        </Show>
      </main>
    </>
  );
}

/** Pools and targets as one list. A row keeps its identity over refreshes, so that focus and selection stay. */
function useRows(shown: () => readonly Target[]): () => Row[] {
  const known = new Map<string, { row: Row; set: (target: Target) => void }>();
  return createMemo(() => {
    const list: Row[] = [];
    const seen = new Map<string, number>();
    for (const pool of poolsOf(shown())) {
      const intervals = new Set(pool.targets.map((target) => target.scrapeInterval));
      const every = intervals.size === 1 ? ` · every ${people([...intervals][0] ?? '')}` : '';
      const title = `${counted(pool.targets.length, 'target')}${every}`;
      list.push({ kind: 'pool', key: `pool ${pool.name} ${title} ${pool.down}`, name: pool.name, text: () => title, down: () => pool.down });
      for (const target of pool.targets) {
        const base = `${pool.name} ${target.scrapeUrl} ${seriesKey(target.labels)}`;
        const twin = seen.get(base) ?? 0;
        seen.set(base, twin + 1);
        const key = `${base} ${twin}`;
        let entry = known.get(key);
        if (entry) {
          entry.set(target);
        } else {
          const [read, write] = createSignal(target);
          entry = { row: { kind: 'target', key, target: read }, set: (fresh) => void write(() => fresh) };
          known.set(key, entry);
        }
        list.push(entry.row);
      }
    }
    // Targets that come and go, as in a cluster, must not pile up here.
    if (known.size > 2 * list.length + KEPT) {
      const shownKeys = new Set(list.map((row) => row.key));
      for (const key of known.keys()) if (!shownKeys.has(key)) known.delete(key);
    }
    return list;
  });
}

function TargetRow(props: { target: Target; index: number; open: boolean; flip: () => void }): JSX.Element {
  const visited = () => Date.parse(props.target.lastScrape);
  const href = () => safeHref(props.target.scrapeUrl);
  return (
    <div class="target" classList={{ open: props.open }} role="row" aria-rowindex={props.index}>
      <span role="cell">
        <button type="button" class="plain expand" data-row aria-expanded={props.open} aria-label={`${props.target.health}, details of ${props.target.scrapeUrl}`} onClick={props.flip}>
          <span class="chevron" aria-hidden="true">›</span><StateMark state={stateOf(props.target.health)} word={props.target.health} />
        </button>
      </span>
      <span role="cell" class="mono endpoint">
        <Show when={href()} fallback={props.target.scrapeUrl}>{(url) => <a href={url()} rel="noreferrer">{props.target.scrapeUrl}</a>}</Show>
        <Show when={props.target.lastError !== ''}><span class="crit error" title={props.target.lastError}>{shortError(props.target)}</span></Show>
      </span>
      <span role="cell" class="wide"><LabelList labels={props.target.labels} /></span>
      <span role="cell" class="num">{visited() > 0 ? roughDuration(props.target.lastScrapeDuration * 1000).replace(/^0 ms$/, '<1 ms') : '–'}</span>
      <span role="cell" class="num muted"><Show when={visited() > 0} fallback="–"><Ago at={visited()} /></Show></span>
      <Show when={props.open}>
        <div class="details" role="cell">
          <Show when={props.target.lastError !== ''}><p class="crit">{props.target.lastError}</p></Show>
          <div class="narrow"><h3>Labels</h3><LabelList labels={props.target.labels} /></div>
          <h3>Before relabelling</h3><LabelList labels={props.target.discoveredLabels} />
          <p class="muted">
            every {people(props.target.scrapeInterval)}, at most {people(props.target.scrapeTimeout)} · <a data-page href={to(exploreHref(`scrape_duration_seconds${selectorOf(props.target.labels)}`))}>how long visits took</a> · <a data-page href={to(exploreHref(`scrape_samples_scraped${selectorOf(props.target.labels)}`))}>samples per visit</a> · <a data-page href={to(exploreHref(`up${selectorOf(props.target.labels)}`))}>up</a>
          </p>
        </div>
      </Show>
    </div>
  );
}

/** `1m30s` → `1 min 30 s`. */
const people = (duration: string): string => roughDuration(parseDuration(duration) ?? 0);

const selectorOf = (labels: Labels): string => `{job=${quote(labels.job ?? '')}, instance=${quote(labels.instance ?? '')}}`;

function Dropped(props: { page: Poll<readonly DroppedTarget[]>; text: string; pool: string }): JSX.Element {
  const pool = (target: DroppedTarget): string => target.scrapePool ?? target.discoveredLabels.job ?? '';
  const serviceName = (target: DroppedTarget): string => target.discoveredLabels.__meta_consul_service ?? '';
  const shown = createMemo(() => {
    const words = props.text.toLowerCase().split(/\s+/).filter((word) => word !== '');
    return (props.page.data() ?? []).filter((target) => {
      const labels = Object.entries(target.discoveredLabels).map(([name, value]) => `${name}="${value}"`).join(' ').toLowerCase();
      return (props.pool === '' || props.pool === pool(target)) && words.every((word) => labels.includes(word));
    });
  });
  return (
    <section class="panel" aria-labelledby="dropped-title">
      <div class="head"><h2 id="dropped-title">Dropped</h2><span class="muted">discovered, then left out by relabelling</span></div>
      <Show when={props.page.data()} fallback={<Show when={props.page.error()} fallback={<Waiting rows={2} />}>{(error) => <Problem error={error()} again={props.page.again} />}</Show>}>
        <For each={shown().slice(0, DROPPED_SHOWN)} fallback={<Empty title={props.page.data()?.length === 0 ? 'Relabelling dropped nothing' : 'Relabelling dropped nothing that matches'} />}>
          {(target) => (
            <details class="dropped">
              <summary data-row><span class="dropped-pool">{pool(target)}</span><span class="mono">{target.discoveredLabels.__address__}</span><span class="muted">{serviceName(target)}</span></summary>
              <LabelList labels={target.discoveredLabels} />
            </details>
          )}
        </For>
        <Show when={shown().length > DROPPED_SHOWN}><p class="more muted">and {counted(shown().length - DROPPED_SHOWN, 'more', 'more')}: narrow the filter to see them</p></Show>
      </Show>
    </section>
  );
}
