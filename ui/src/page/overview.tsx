/** Overview: this machine in six live tiles, the services found, ports nobody watches, this process. */

import { createEffect, createMemo, createSignal, For, Index, on, Show, type JSX } from 'solid-js';
import { to } from '../base.ts';
import { overview, type Overview } from '../catalog.ts';
import { bindKeys } from '../keys.ts';
import { headSeries, queryRange, runtimeInfo, vector } from '../prometheus.ts';
import { createPoll } from '../poll.ts';
import { navigate, search } from '../route.ts';
import { reach, serverNow } from '../server.ts';
import { note } from '../summary.ts';
import { now } from '../settings.ts';
import { Bar } from '../part/bar.tsx';
import { CommandLine } from '../part/command_line.tsx';
import { Ago, Empty, Problem, Shape, StateMark, Waiting } from '../part/mark.tsx';
import { ServiceTable } from '../part/service_table.tsx';
import { SparkLine } from '../part/spark_line.tsx';
import { roughDuration } from '../plain/duration.ts';
import { exploreHref } from '../plain/explore_state.ts';
import { counted, format, grouped, parseValue } from '../plain/number.ts';
import { judge, ordered } from '../plain/service.ts';
import { EMPTY, extend, nextAsk, type Line } from '../plain/tail.ts';
import { behind, chooseDisk, factQuery, GRADE_WORD, joined, NO_FACTS, partQueries, readFacts, tilesOf, type Subject, type Tile } from '../plain/tile.ts';

const WINDOWS = [{ text: 'last 5 min', s: 300 }, { text: 'last 15 min', s: 900 }, { text: 'last 1 h', s: 3600 }, { text: 'last 6 h', s: 21_600 }, { text: 'last 24 h', s: 86_400 }];
const DEFAULT_WINDOW_S = 900;
/** A young server is scraped every second: show that. */
const YOUNG_MS = 120_000;
const POINTS = 180;
/** The narrowest time axis of a tile. */
const NARROWEST_S = 30;
const SERVICES_SHOWN = 12;
const PORTS_SHOWN = 6;

export function OverviewPage(): JSX.Element {
  const [startedMs, setStartedMs] = createSignal(0);
  const young = createMemo(() => now() - startedMs() < YOUNG_MS);
  const page = createPoll(() => 'overview', (_, signal) => overview(signal), () => (young() ? 2000 : 5000));
  createEffect(() => {
    const known = page.data();
    if (!known) return;
    note(known);
    setStartedMs(known.server.started_ms);
  });
  const windowS = () => WINDOWS.find((one) => String(one.s) === new URLSearchParams(search()).get('last'))?.s ?? DEFAULT_WINDOW_S;
  const choose = (s: number): void => navigate(s === DEFAULT_WINDOW_S ? '/' : `/?last=${s}`, { replace: true });
  bindKeys([{ keys: 'r', what: 'Refresh', run: () => page.again() }]);
  return (
    <>
      <Bar title="Overview">
        <select class="chip" aria-label="Time range of the charts" onChange={(event) => choose(Number(event.currentTarget.value))}>
          <For each={WINDOWS}>{(one) => <option value={one.s} selected={one.s === windowS()}>{one.text}</option>}</For>
        </select>
        <Show when={reach().state === 'ok'} fallback={<span class="live wide"><Shape state="warn" />stopped</span>}>
          <span class="live wide"><Shape state="ok" />live {young() ? '1 s' : '5 s'}</span>
        </Show>
      </Bar>
      <main id="main" tabindex="-1">
        <Show when={page.error() && !page.data() ? page.error() : undefined}>{(error) => <div class="panel"><Problem error={error()} again={page.again} /></div>}</Show>
        <Notices page={page.data()} />
        <MachineTiles page={page.data()} windowS={windowS()} young={young()} />
        <section class="panel" aria-labelledby="services-title">
          <div class="head">
            <h2 id="services-title">Services</h2>
            <span class="muted wide">{page.data()?.server.registry === false ? 'found by discovery' : 'found in the registry'}</span>
            <span class="grow" />
            <Show when={page.data()?.services.length}>{(count) => <a href={to('/services')} data-page>all {count()}</a>}</Show>
          </div>
          <Show when={page.data()} fallback={<Waiting />}>
            {(known) => (
              <Show when={known().services.length > 0} fallback={<Empty title={known().server.registry ? 'No service is registered yet' : 'Discovery has found no service'}><p>{known().server.registry ? 'Services appear here as soon as one registers itself.' : 'Services appear here as soon as a job of the configuration finds targets.'}</p></Empty>}>
                <ServiceTable services={ordered(known().services).slice(0, SERVICES_SHOWN)} />
              </Show>
            )}
          </Show>
        </section>
        <div class="cols">
          <Show when={page.data()?.server.registry !== false || (page.data()?.ports.length ?? 0) > 0}><Ports page={page.data()} /></Show>
          <Process page={page.data()} />
        </div>
      </main>
    </>
  );
}

/** What is accepted and not done, and parts that do not run. */
function Notices(props: { page: Overview | undefined }): JSX.Element {
  const broken = () => props.page?.server.parts.filter((part) => part.state !== 'running') ?? [];
  const warnings = () => props.page?.server.warnings ?? [];
  return (
    <>
      <For each={broken()}>
        {(part) => (
          <div class="notice crit-line" role="status">
            <StateMark state={part.state === 'failed' ? 'crit' : 'warn'} word={`${part.name} ${part.state}`} />
            <span>{part.error ?? ''}</span>
            <Show when={part.restarts > 0}><span class="muted">{counted(part.restarts, 'restart')}</span></Show>
          </div>
        )}
      </For>
      <Show when={warnings().length > 0}>
        <details class="notice">
          <summary><StateMark state="warn" word={`${counted(warnings().length, 'setting')} accepted, not done yet`} /></summary>
          <ul><For each={warnings()}>{(warning) => <li><b>{warning.role}</b> {warning.text}</li>}</For></ul>
        </details>
      </Show>
    </>
  );
}

/** The exporter that stands for this machine: what the server says, else the one whose host has our name, else the first. */
function useInstance(page: () => Overview | undefined): () => string | null {
  const [found, setFound] = createSignal<string | null>(null);
  const told = createMemo(() => page()?.machine.instance ?? null);
  const hostname = createMemo(() => page()?.machine.hostname ?? null);
  const asked = createPoll(() => (told() === null ? hostname() ?? '' : null), (_, signal) => vector('node_uname_info', signal), () => (found() === null ? 1000 : 60_000));
  createEffect(on(asked.data, (machines) => {
    const own = machines?.find((one) => one.metric.nodename === hostname()) ?? machines?.[0];
    setFound(own?.metric.instance ?? null);
  }));
  return () => told() ?? found();
}

function MachineTiles(props: { page: Overview | undefined; windowS: number; young: boolean }): JSX.Element {
  const instance = useInstance(() => props.page);
  const [known, setKnown] = createSignal(false);
  const facts = createPoll(instance, async (name: string, signal) => readFacts(await vector(factQuery(name), signal)), () => (known() ? 15_000 : 1000));
  createEffect(() => setKnown((facts.data()?.disks.length ?? 0) > 0));
  const mountpoint = createMemo(() => chooseDisk(facts.data()?.disks ?? [])?.mountpoint ?? '/');
  const subject = createMemo<Subject | null>(
    () => {
      const name = instance();
      return name === null ? null : { instance: name, mountpoint: mountpoint() };
    },
    null,
    { equals: (a, b) => a?.instance === b?.instance && a?.mountpoint === b?.mountpoint },
  );
  const stepS = createMemo(() => (props.young && props.windowS <= 900 ? 1 : Math.max(1, Math.ceil(props.windowS / POINTS))));
  // Lines grow by their tail; a new subject, window or step starts them anew.
  let lines = new Map<string, Line>();
  let shape = '';
  const asked = createMemo(() => (subject() === null ? null : { subject: subject() as Subject, windowS: props.windowS, stepS: stepS() }), null, { equals: (a, b) => JSON.stringify(a) === JSON.stringify(b) });
  const drawn = createPoll(
    asked,
    async (wanted, signal) => {
      const own = JSON.stringify(wanted);
      if (own !== shape) lines = new Map();
      const newest = Math.max(0, ...[...lines.values()].map((line) => line.times[line.times.length - 1] ?? 0));
      const ask = nextAsk(newest === 0 ? null : newest, serverNow() / 1000, wanted.windowS, wanted.stepS);
      const { data } = await queryRange(joined(partQueries(wanted.subject), 'tile'), ask.startS, ask.endS, ask.stepS, signal);
      const fresh = new Map<string, Line>();
      for (const series of data.result) {
        const points = (series.values ?? []).map(([at, text]) => [at, parseValue(text)] as const).filter(([, value]) => Number.isFinite(value));
        fresh.set(series.metric.tile ?? '', { times: points.map(([at]) => at), values: points.map(([, value]) => value) });
      }
      const merged = new Map<string, Line>();
      for (const name of new Set([...lines.keys(), ...fresh.keys()])) {
        const line = extend(lines.get(name) ?? EMPTY, fresh.get(name) ?? EMPTY, ask, wanted.windowS);
        if (line.times.length > 0) merged.set(name, line);
      }
      lines = merged;
      shape = own;
      return { lines: merged, endS: ask.endS, stepS: wanted.stepS, windowS: wanted.windowS };
    },
    () => (props.young ? 1000 : 5000),
  );
  const span = createMemo(() => {
    const known = drawn.data();
    if (!known) return { fromS: 0, toS: 1 };
    const first = Math.min(known.endS, ...[...known.lines.values()].map((line) => line.times[0] ?? known.endS));
    return { fromS: Math.min(known.endS - NARROWEST_S, Math.max(known.endS - known.windowS, first)), toS: known.endS };
  });
  const tiles = createMemo<Tile[]>(() => tilesOf(drawn.data()?.lines ?? new Map(), facts.data() ?? NO_FACTS, subject() ?? { instance: '', mountpoint: '/' }));
  const silent = () => props.page !== undefined && instance() === null;
  const uptime = () => {
    const boot = facts.data()?.bootS ?? null;
    return boot === null ? '' : `up ${roughDuration(now() - boot * 1000)}`;
  };
  const about = () => {
    const machine = props.page?.machine;
    if (!machine) return '';
    return [machine.os, machine.cores > 0 ? counted(machine.cores, 'core') : '', machine.memory_bytes > 0 ? format(machine.memory_bytes, 'bytes', 3) : '', uptime()].filter((text) => text !== '').join(' · ');
  };
  return (
    <section class="machine" aria-labelledby="machine-title">
      <div class="machine-head">
        <h2 id="machine-title">{props.page?.machine.hostname ?? '\u00a0'}</h2>
        <span class="muted">{about()}</span>
        <span class="grow" />
        <Counts page={props.page} />
      </div>
      <Show when={reach().state === 'ok' ? drawn.error() : undefined}>{(error) => <Problem error={error()} />}</Show>
      <div class="tiles" aria-live="off">
        <For each={[0, 1, 2, 3, 4, 5]}>{(index) => <TileBox tile={tiles()[index] as Tile} fromS={span().fromS} toS={span().toS} stepS={drawn.data()?.stepS ?? 1} silent={silent()} windowS={props.windowS} />}</For>
      </div>
      <Show when={silent()}>
        <p class="muted">No node exporter is scraped, so there is nothing to draw about a machine. The tiles fill as soon as a target exposes <code>node_uname_info</code>.</p>
      </Show>
    </section>
  );
}

function Counts(props: { page: Overview | undefined }): JSX.Element {
  const failing = () => props.page?.services.filter((service) => judge(service).state === 'crit').length ?? 0;
  return (
    <Show when={props.page}>
      {(page) => (
        <span class="counts muted">
          <b>{page().services.length}</b> services found · <b>{page().services.filter((service) => service.scraped).length}</b> scraped
          <Show when={failing() > 0}> · <StateMark state="crit" word={`${failing()} failing`} /></Show>
          <Show when={page().ports.length > 0}> · <StateMark state="warn" word={`${counted(page().ports.length, 'port')} not watched`} /></Show>
        </span>
      )}
    </Show>
  );
}

function TileBox(props: { tile: Tile; fromS: number; toS: number; stepS: number; silent: boolean; windowS: number }): JSX.Element {
  const late = () => behind(props.tile.line, props.toS, props.stepS);
  const tone = () => (late() !== null || props.tile.grade === 'ok' ? '' : props.tile.grade);
  return (
    <a class="panel tile" data-page data-tile={props.tile.id} href={to(exploreHref(props.tile.query, { from: `now-${props.windowS}s`, to: 'now' }))}>
      <span class="tile-label">
        <span>{props.tile.title}</span>
        <span class={`tile-note ${tone()}`}>
          <Show when={tone() !== ''}><Shape state={props.tile.grade} /> <Show when={props.tile.note !== GRADE_WORD[props.tile.grade]}><span class="sr">{GRADE_WORD[props.tile.grade]}, </span></Show></Show>
          <Show when={late()} fallback={props.tile.note}>{(age) => <><Shape state="unknown" /> {roughDuration(age() * 1000)} old</>}</Show>
        </span>
      </span>
      <span class="tile-value" classList={{ muted: late() !== null }}>
        <Show when={props.tile.value} fallback={<span class="muted">{props.silent ? '–' : '…'}</span>}>
          {(value) => <>{value().text}<span class="unit">{value().unit}</span></>}
        </Show>
      </span>
      <Show when={props.tile.line} fallback={<span class="spark" />}>
        {(line) => <SparkLine line={line()} second={props.tile.second} top={props.tile.top} fromS={props.fromS} toS={props.toS} gapS={Math.max(props.stepS * 2.5, 5)} tone={tone()} label={`${props.tile.title}, ${line().times.length} points`} />}
      </Show>
    </a>
  );
}

function Ports(props: { page: Overview | undefined }): JSX.Element {
  const [all, setAll] = createSignal(false);
  const count = () => props.page?.ports.length ?? 0;
  return (
    <section class="panel" aria-labelledby="ports-title">
      <div class="head">
        <h2 id="ports-title">Not watched yet</h2><span class="muted wide">ports that listen and no service claims; paste a line to add one</span>
        <span class="grow" />
        <Show when={count() > PORTS_SHOWN}><button type="button" class="chip small" aria-expanded={all()} onClick={() => setAll(!all())}>{all() ? 'Show fewer' : `Show all ${count()}`}</button></Show>
      </div>
      <Show when={props.page} fallback={<Waiting rows={2} />}>
        {(page) => (
          <Index each={all() ? page().ports : page().ports.slice(0, PORTS_SHOWN)} fallback={<Empty title="Every listening port belongs to a service" />}>
            {(port) => (
              <div class="line">
                <span class="line-what" title={`${port().address}:${port().port}${port().pid === null ? '' : `, process ${port().pid}`}`}>
                  <b>{port().program ?? 'unknown'}</b><span class="muted">:{port().port}</span>
                </span>
                <CommandLine text={port().line} what={`watch ${port().program ?? 'the program'} on port ${port().port}`} />
              </div>
            )}
          </Index>
        )}
      </Show>
    </section>
  );
}

function Process(props: { page: Overview | undefined }): JSX.Element {
  const about = createPoll(
    () => 'process',
    async (_, signal) => {
      const [runtime, series] = await Promise.allSettled([runtimeInfo(signal), headSeries(signal)]);
      return { runtime: runtime.status === 'fulfilled' ? runtime.value : null, series: series.status === 'fulfilled' ? series.value : null };
    },
    () => 15_000,
  );
  const runtime = () => about.data()?.runtime ?? null;
  return (
    <section class="panel" aria-labelledby="process-title">
      <div class="head"><h2 id="process-title">This process</h2><span class="muted wide">{props.page ? `isobar ${props.page.server.version}` : ''}</span></div>
      <Show when={props.page} fallback={<Waiting rows={2} />}>
        {(page) => (
          <dl class="facts">
            <Index each={page().server.parts}>
              {(part) => (
                <div>
                  <dt>{part().name}</dt>
                  <dd>
                    <StateMark state={part().state === 'running' ? 'ok' : part().state === 'failed' ? 'crit' : 'warn'} word={part().state} />
                    <Show when={part().address}><span class="mono muted">{part().address}</span></Show>
                    <Show when={part().restarts > 0}><span class="muted">{counted(part().restarts, 'restart')}</span></Show>
                  </dd>
                </div>
              )}
            </Index>
            <div><dt>started</dt><dd><span><Ago at={page().server.started_ms} /> ago</span></dd></div>
            <Show when={about.data()?.series}>{(series) => <div><dt>series in memory</dt><dd>{grouped(series())}</dd></div>}</Show>
            <Show when={runtime()}>{(known) => (
              <>
                <div><dt>retention</dt><dd>{known().storageRetention}</dd></div>
                <div><dt>configuration</dt><dd><StateMark state={known().reloadConfigSuccess ? 'ok' : 'crit'} word={known().reloadConfigSuccess ? 'loaded' : 'last reload failed'} /> <span class="muted"><Ago at={Date.parse(known().lastConfigTime)} /> ago</span></dd></div>
              </>
            )}</Show>
          </dl>
        )}
      </Show>
    </section>
  );
}
