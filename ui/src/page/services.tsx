/** Services: the catalogue, and one service with its instances and checks. */

import { createMemo, For, Index, Show, type JSX } from 'solid-js';
import { to } from '../base.ts';
import { healthOf, services } from '../catalog.ts';
import { bindKeys } from '../keys.ts';
import { createPoll } from '../poll.ts';
import { targets } from '../prometheus.ts';
import { navigate, search } from '../route.ts';
import { ApiError } from '../server.ts';
import { summarized, summary } from '../summary.ts';
import { Bar } from '../part/bar.tsx';
import { Ago, Empty, LabelList, Problem, StateMark, StateToggle, Waiting } from '../part/mark.tsx';
import { ServiceTable } from '../part/service_table.tsx';
import { exploreHref } from '../plain/explore_state.ts';
import { counted } from '../plain/number.ts';
import { quote, seriesText } from '../plain/series.ts';
import { filterServices, fromRegistry, fromTargets, judge, ordered, serviceOf, type Instance, type State } from '../plain/service.ts';
import { shortError } from '../plain/target.ts';

const STATES: readonly { state: State; word: string }[] = [{ state: 'crit', word: 'failing' }, { state: 'warn', word: 'warning' }, { state: 'ok', word: 'ok' }, { state: 'unknown', word: 'unknown' }];
const EVERY_MS = 5000;

export function ServicesPage(): JSX.Element {
  const page = createPoll(() => 'services', (_, signal) => services(signal), () => EVERY_MS);
  const params = createMemo(() => new URLSearchParams(search()));
  const filter = createMemo(() => ({ text: params().get('q') ?? '', states: new Set((params().get('state') ?? '').split(',').filter((word): word is State => STATES.some((one) => one.state === word))) }));
  const change = (name: string, value: string): void => {
    const next = new URLSearchParams(search());
    if (value === '') next.delete(name);
    else next.set(name, value);
    const text = next.toString();
    navigate(`/services${text === '' ? '' : `?${text}`}`, { replace: true });
  };
  const toggle = (state: State): void => {
    const states = new Set(filter().states);
    if (!states.delete(state)) states.add(state);
    change('state', [...states].join(','));
  };
  const all = createMemo(() => ordered(page.data()?.services ?? []));
  const shown = createMemo(() => filterServices(all(), filter()));
  const count = (state: State): number => all().filter((service) => judge(service).state === state).length;
  let box!: HTMLInputElement;
  bindKeys([{ keys: 'r', what: 'Refresh', run: page.again }, { keys: 'f', what: 'Filter services', run: () => box.focus() }]);
  return (
    <>
      <Bar title="Services" />
      <main id="main" tabindex="-1">
        <div class="filters">
          <For each={STATES}>{(one) => <Show when={count(one.state) > 0 || filter().states.has(one.state)}><StateToggle state={one.state} word={one.word} count={count(one.state)} on={filter().states.has(one.state)} toggle={() => toggle(one.state)} /></Show>}</For>
          <input ref={box} class="search" type="search" aria-label="Filter services" placeholder="filter by name, tag, discovery" value={filter().text} onInput={(event) => change('q', event.currentTarget.value)} />
        </div>
        <section class="panel" aria-label="Services">
          <Show when={page.data()} fallback={<Show when={page.error()} fallback={<Waiting rows={6} />}>{(error) => <Problem error={error()} again={page.again} />}</Show>}>
            {(known) => (
              <Show
                when={shown().length > 0}
                fallback={all().length > 0
                  ? <Empty title={`None of ${counted(all().length, 'service')} matches`}><button type="button" class="chip" onClick={() => navigate('/services', { replace: true })}>Clear the filter</button></Empty>
                  : <Empty title={known().registry ? 'No service is registered yet' : 'Discovery has found no service'}><p>{known().registry ? 'A service appears here as soon as it registers itself with the registry.' : 'Services appear here as soon as the configuration’s jobs find targets.'}</p></Empty>}
              >
                <ServiceTable services={shown()} />
              </Show>
            )}
          </Show>
        </section>
      </main>
    </>
  );
}

/** The registry's answer, or null where there is none. */
async function registryInstances(name: string, signal: AbortSignal): Promise<Awaited<ReturnType<typeof healthOf>> | null> {
  await summarized();
  if (summary()?.registry === false) return null;
  try {
    return await healthOf(name, signal);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export function ServicePage(props: { name: string }): JSX.Element {
  const page = createPoll(
    () => props.name,
    async (name, signal) => {
      const [entries, known] = await Promise.all([registryInstances(name, signal), targets('active', signal)]);
      const fromCatalog = entries === null ? [] : fromRegistry(entries, known.activeTargets);
      const instances = fromCatalog.length > 0 ? fromCatalog : fromTargets(name, known.activeTargets);
      return { instances, targets: known.activeTargets.filter((target) => serviceOf(target) === name) };
    },
    () => EVERY_MS,
  );
  bindKeys([{ keys: 'r', what: 'Refresh', run: page.again }]);
  const failing = () => page.data()?.instances.filter((instance) => instance.state === 'crit').length ?? 0;
  const warning = () => page.data()?.instances.filter((instance) => instance.state === 'warn').length ?? 0;
  const head = () => {
    const total = page.data()?.instances.length ?? 0;
    if (failing() > 0) return <StateMark state="crit" word={`${failing()} of ${counted(total, 'instance')} failing`} />;
    if (warning() > 0) return <StateMark state="warn" word={`${warning()} of ${counted(total, 'instance')} warning`} />;
    return <StateMark state="ok" word={`${counted(total, 'instance')} ok`} />;
  };
  const upQuery = () => {
    const first = page.data()?.instances.find((instance) => instance.target !== null)?.target;
    const job = first?.labels.job;
    return job === undefined ? null : `up{job=${quote(job)}}`;
  };
  return (
    <>
      <Bar title={props.name} crumb={{ text: 'Services', href: '/services' }} />
      <main id="main" tabindex="-1">
        <section class="panel" aria-labelledby="service-title">
          <div class="head">
            <h2 id="service-title">{props.name}</h2>
            <Show when={page.data()?.instances.length}>{head()}</Show>
            <span class="grow" />
            <Show when={upQuery()}>{(query) => <a href={to(exploreHref(query()))} data-page>explore {query()}</a>}</Show>
          </div>
          <Show when={page.data()} fallback={<Show when={page.error()} fallback={<Waiting rows={3} />}>{(error) => <Problem error={error()} again={page.again} />}</Show>}>
            {(known) => (
              <Show when={known().instances.length > 0} fallback={<Empty title={`Nothing is known about ${props.name}`}><p>It may have been deregistered. <a href={to('/services')} data-page>All services</a></p></Empty>}>
                <div class="scroll" role="region" aria-label="Instances" tabindex="0">
                  <table class="top">
                    <thead><tr><th scope="col">State</th><th scope="col">Instance</th><th scope="col">Address</th><th scope="col" class="wide">Tags</th><th scope="col">Checks</th><th scope="col">Target</th></tr></thead>
                    <tbody><Index each={known().instances}>{(instance) => <InstanceRow instance={instance()} />}</Index></tbody>
                  </table>
                </div>
              </Show>
            )}
          </Show>
        </section>
      </main>
    </>
  );
}

function InstanceRow(props: { instance: Instance }): JSX.Element {
  const target = () => props.instance.target;
  return (
    <tr>
      <td><StateMark state={props.instance.state} word={props.instance.word} /></td>
      <td class="instance">{props.instance.id}<Show when={props.instance.node !== ''}><div class="muted">{props.instance.node}</div></Show></td>
      <td class="mono">{props.instance.address}</td>
      <td class="wide"><span class="labels"><For each={props.instance.tags}>{(tag) => <span class="label">{tag}</span>}</For></span></td>
      <td class="checks">
        <Index each={props.instance.checks} fallback={<span class="muted">none</span>}>
          {(check) => (
            <div class="check">
              <StateMark state={check().state} word={check().name} />
              <Show when={check().output !== ''}><div class={check().state === 'ok' ? 'muted output' : 'output'} title={check().output.trim()}>{check().output.trim()}</div></Show>
            </div>
          )}
        </Index>
      </td>
      <td>
        <Show when={target()} fallback={<span class="muted">not scraped</span>}>
          {(known) => (
            <>
              <a href={to(`/system/targets?q=${encodeURIComponent(known().scrapeUrl)}`)} data-page data-row>
                <StateMark state={known().health === 'up' ? 'ok' : known().health === 'down' ? 'crit' : 'unknown'} word={known().health} />
              </a>{' '}
              <span class="muted"><Ago at={Date.parse(known().lastScrape)} /> ago</span>
              <Show when={known().lastError !== ''}><div class="crit output" title={known().lastError}>{shortError(known())}</div></Show>
              <span class="sr">{seriesText(known().labels)}</span>
              <div class="wide"><LabelList labels={known().labels} /></div>
            </>
          )}
        </Show>
      </td>
    </tr>
  );
}
